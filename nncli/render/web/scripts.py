"""The scripts of a page: files of `assets`, joined, without what only their readers need."""

import re
from collections.abc import Iterable, Iterator
from functools import cache, reduce
from importlib.resources import files

BLANKS = re.compile(r" ?((?:[{}()\[\],;:=<>?&|*]|!=)+) ?")
SIGNS = re.compile(r"(?<![-+]) ?([-+/%]) ?(?![-+])")  # two in a row would be another sign
PARAMETER = re.compile(r"(?<![\w$])\((\w+)\)=>")  # of a function with one; async keeps its own
SHORTER = {"true": "!0", "false": "!1", "undefined": "void 0"}
LONGER = re.compile(rf"(?<![.\w$])({'|'.join(SHORTER)})\b(?!:)")  # but as a key
ZERO = re.compile(r"(?<![\w.])0(?=\.\d)")
CONST = re.compile(r"\bconst\b")  # which says more to who reads it, and no more to a browser
DECLARATION = re.compile(r"let(?: |(?=[\[{]))")
STYLE_BLANKS = re.compile(r" ?([{};,>]) ?|(?<=[a-z]:) ")
BEFORE_PATTERN = (
    "(,=:[!&|?{;"  # what stands before a regular expression, and never before a quotient
)


def joined(names: Iterable[str], start: str) -> str:
    """Scripts as one, in a scope of their own, which ends in a call of `start`."""
    return f'(() => {{\n"use strict";\n{code(names)}\n{start}(document);\n}})();'


def code(names: Iterable[str]) -> str:
    """Scripts by their names, one after the other."""
    return "\n".join(asset(f"{name}.js") for name in names)


@cache
def asset(name: str) -> str:
    """A file of `assets`, without needless blanks; of a script without comments."""
    text = (files("nncli.render.web") / "assets" / name).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    if not name.endswith(".js"):
        return STYLE_BLANKS.sub(r"\1", "".join(lines))
    return reduce(_followed, declared(line for line in lines if line[:2] not in ("", "//")))


def declared(lines: Iterable[str]) -> list[str]:
    """Lines of a script, squeezed; declarations that follow each other are one."""
    made, is_let, ended = list[str](), [False], True  # by depth, of the statement there
    for line in lines:
        short = squeezed(line)
        declared = DECLARATION.match(short)
        if ended and is_let[-1] and declared and made[-1].endswith(";"):
            made[-1], short = f"{made[-1][:-1]},", short[declared.end() :]
        elif ended:
            is_let[-1] = declared is not None
        code = "".join(part for is_text, part in _split(line) if not is_text).strip()
        for at, sign in enumerate(code, 1):
            if sign in "([{":
                is_let.append(False)
            elif sign in ")]}":
                is_let.pop()
            elif sign == ";" and at < len(code):  # another statement begins on this line
                is_let[-1] = False
        made.append(short)
        ended = short.endswith((";", "{", "}"))
    return made


def _followed(code: str, line: str) -> str:
    """Code and the line behind it.

    The line break is left out where no statement can end, and what ends a line where a bracket
    ends it.
    """
    if code.endswith((";", ",")) and line.startswith(("}", "]", ")")):
        return code[:-1] + line
    between = "" if code.endswith(tuple(";{([,")) or line.startswith(tuple("})].,?:")) else "\n"
    return f"{code}{between}{line}"


def squeezed(line: str) -> str:
    """A line of a script without its blanks, but those between words and those of text."""
    return "".join(part if is_text else _closed(part) for is_text, part in _split(line)).strip()


def _closed(code: str) -> str:
    made = SIGNS.sub(r"\1", BLANKS.sub(r"\1", CONST.sub("let", code))).replace(";}", "}")
    made = LONGER.sub(lambda match: SHORTER[match[1]], made)
    return ZERO.sub("", PARAMETER.sub(r"\1=>", made))


def _split(line: str) -> Iterator[tuple[bool, str]]:
    """A line of a script as code and text in turn: text is strings, templates and patterns.

    A comment at its end is left out.

    A template begins and ends on its line; what is within `${}` is code.
    """
    open_braces: list[str] = []  # "`" of a template, "$" of code in one, "{" of a block in that
    start = at = 0
    while at < len(line):
        c, is_template = line[at], bool(open_braces) and open_braces[-1] == "`"
        if is_template and c == "\\":
            at += 2
        elif is_template and c in "`$" and (c == "`" or line[at : at + 2] == "${"):
            end = at + (1 if c == "`" else 2)
            yield True, line[start:end]
            open_braces = open_braces[:-1] if c == "`" else [*open_braces, "$"]
            start = at = end
        elif not is_template and c == "`":
            yield False, line[start:at]
            open_braces.append("`")
            start, at = at, at + 1
        elif not is_template and line.startswith("//", at):
            yield False, line[start:at]
            return
        elif not is_template and c in "\"'/" and (c != "/" or _is_pattern(line, at)):
            yield False, line[start:at]
            end = _closing(line, at)
            yield True, line[at:end]
            start = at = end
        elif not is_template and c in "{}" and open_braces:
            if c == "}" and open_braces.pop() == "$":
                yield False, line[start:at]
                start = at
            elif c == "{":
                open_braces.append("{")
            at += 1
        else:
            at += 1
    yield bool(open_braces) and open_braces[-1] == "`", line[start:]


def _is_pattern(line: str, at: int) -> bool:
    before = line[:at].rstrip()
    return not before or before[-1] in BEFORE_PATTERN


def _closing(line: str, at: int) -> int:
    """Behind the sign that closes what the one at `at` opens."""
    is_class, end = False, at + 1
    while line[end] != line[at] or is_class:
        if line[end] == "\\":
            end += 1
        elif line[at] == "/":
            is_class = line[end] == "[" or (is_class and line[end] != "]")
        end += 1
    return end + 1
