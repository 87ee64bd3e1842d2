"""YAML text becomes a tree of nodes, scalars read by YAML 1.2's core schema.

The tree is built from PyYAML's events without recursion, so that its depth and its size (aliases
counted as often as they are used) are bounded while it grows. Below that, `explain` puts PyYAML's
complaints in plain words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import MarkedYAMLError, events

from nncli.core.text import brief, count_of, quote
from nncli.spec.nodes import Node, Place, Problem, Scalar
from nncli.spec.words import KeyPath

# Each value takes some hundred bytes until it is checked, each mistake some thousand.
MOST_NODES = 300_000
MOST_KEYS = 50
MOST_PROBLEMS = 1000
MOST_LEVELS = 64
MOST_DIGITS = 1000

# libyaml reads a 1000 x 10 inline list in about a tenth of the time of the Python parser.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NUMBER = re.compile(
    r"""(?P<int>[-+]?[0-9]+)
      | (?P<oct>0o[0-7]+)
      | (?P<hex>0x[0-9a-fA-F]+)
      | (?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)
      | (?P<inf>[-+]?\.(?:inf|Inf|INF))
      | (?P<nan>\.(?:nan|NaN|NAN))""",
    re.VERBOSE,
)
_CONVERT: dict[str, Callable[[str], Scalar]] = {
    "int": int,
    "oct": lambda text: int(text[2:], 8),
    "hex": lambda text: int(text[2:], 16),
    "float": float,
    "inf": lambda text: float(text.replace(".", "")),
    "nan": lambda text: float("nan"),
}
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# What YAML calls non-printable; the parsers refuse it too, but without saying where.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NOT_ZERO = re.compile("[-+.0]*[1-9]")
_SMALLEST = 5e-324
_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF = "half of a surrogate pair is not a character"


def resolve(text: str) -> Scalar:
    """A plain (unquoted) scalar's value: `1e-3` and `0o17` are numbers, `yes` and `1:30` text."""
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.fullmatch(text)
    return text if match is None else _CONVERT[str(match.lastgroup)](text)


class Unreadable(Exception):
    """The text cannot be read beyond this problem."""

    def __init__(self, line: int, column: int, message: str, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.problem = Problem(path, message, place=Place(line, column))


def read(text: str) -> tuple[Node | None, list[Problem]]:
    """The tree of a YAML document (None if it is empty), and the mistakes that do not stop it."""
    bad = _FORBIDDEN.search(text)
    if bad is not None:
        line, column = _line_and_column(text, bad.start())
        code = f"U+{ord(bad.group()):04X}"
        raise Unreadable(line, column, f"the control character {code} is not allowed; remove it")
    try:
        return _tree(text)
    except Unreadable:
        # A parser that looks far ahead may meet a limit of its own before the builder sees an event
        # that is beyond ours, so the text is read once more as far as that.
        deep = _too_deep(text)
        if deep is not None:
            _tree(text[: deep + 1])
        raise


def _tree(text: str) -> tuple[Node | None, list[Problem]]:
    builder = _Builder()
    for event in _events(text):
        builder.add(event)
    return builder.root, builder.problems


def _too_deep(text: str) -> int | None:
    """Where a bracket is within MOST_LEVELS others, be it in a text; None: nowhere."""
    level = 0
    for bracket in re.finditer(r"[][{}]", text):
        level += 1 if bracket.group() in "[{" else -1
        if level > MOST_LEVELS:
            return bracket.start()
    return None


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")


def _events(text: str) -> Iterator[events.Event]:
    loader = LOADER(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
            if isinstance(event, events.StreamEndEvent):
                return
    except yaml.MarkedYAMLError as error:
        raise Unreadable(*explain(error, text)) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # The Python parser lets chr() complain of an escape such as "\UFFFFFFFF".
        mark = loader.get_mark() if hasattr(loader, "get_mark") else None
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise Unreadable(line, column, f"not valid YAML: {BAD_ESCAPE}") from None
    finally:
        loader.dispose()


@dataclass(slots=True)
class _Open:
    """A list or a mapping whose end has not come yet."""

    node: Node
    anchor: str | None
    key: str | None = None
    skip: bool = False  # the value of a key that was refused is read and dropped


class _Builder:
    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}  # None while the node is still being read
        self._size = 0
        self._documents = 0

    def add(self, event: Any) -> None:
        if isinstance(event, events.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, events.SequenceStartEvent):
            self._start(event, [])
        elif isinstance(event, events.MappingStartEvent):
            self._start(event, {})
        elif isinstance(event, events.SequenceEndEvent | events.MappingEndEvent):
            self._end(event)
        elif isinstance(event, events.AliasEvent):
            self._alias(event)
        elif isinstance(event, events.DocumentStartEvent):
            self._document(event)

    def _path(self) -> KeyPath:
        """The path of the value that is being read."""
        return tuple(
            len(frame.node.value) if isinstance(frame.node.value, list) else frame.key or ""
            for frame in self._open
        )

    def _awaits_key(self) -> bool:
        return (
            bool(self._open)
            and isinstance(self._open[-1].node.value, dict)
            and self._open[-1].key is None
        )

    def _stop(self, event: Any, message: str) -> Unreadable:
        path = self._path()
        if self._awaits_key():
            path = path[:-1]
        return Unreadable(*_place(event), message, path)

    def _complain(self, event: Any, message: str, path: KeyPath) -> None:
        if len(self.problems) >= MOST_PROBLEMS:  # far fewer of them are shown
            return
        self.problems.append(Problem(path, message, place=Place(*_place(event))))

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise Unreadable(
                *_place(event), "a second document begins here; keep one document in a file"
            )

    def _scalar(self, event: events.ScalarEvent) -> None:
        if self._awaits_key():
            self._take_key(event)
            return
        self._check_tag(event)
        node = Node(self._value(event), *_place(event), text_column=_text_column(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node, event, new=1)

    def _value(self, event: events.ScalarEvent) -> Scalar:
        text: str = event.value
        if _SURROGATE.search(text):
            self._complain(event, _HALF, self._path())
            return ""
        if not event.implicit[0]:
            return text
        if len(text) > MOST_DIGITS and _NUMBER.fullmatch(text):
            self._complain(event, f"a number of {len(text)} digits is too long", self._path())
            return 0
        value = resolve(text)
        if value == 0 and isinstance(value, float) and _NOT_ZERO.match(text):
            message = f"{brief(text)} is too small for a number; the smallest is {_SMALLEST}"
            self._complain(event, message, self._path())
            return _SMALLEST  # positive, so that it is not refused as a 0 as well
        return value

    def _take_key(self, event: events.ScalarEvent) -> None:
        # Keys are words, so `1:` and `yes:` are text here and duplicates are found by their text.
        self._grow(1, event)
        frame = self._open[-1]
        if len(frame.node.keys) >= MOST_KEYS:
            raise self._stop(
                event, f"more than {count_of(MOST_KEYS, 'key')}; no part of a spec has so many"
            )
        key: str = event.value
        frame.key, frame.skip = key, False
        self._check_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = Node(key, *_place(event))
        if _SURROGATE.search(key):
            self._complain(event, _HALF, self._path()[:-1])
            frame.skip = True
        elif key == "<<" and event.implicit[0]:
            self._complain(event, "'<<' does not merge here; write the keys out", self._path())
            frame.skip = True
        elif key in frame.node.keys:
            first = frame.node.keys[key][0]
            message = f"the key {quote(key)} is given twice, first in line {first}; keep one"
            self._complain(event, message, self._path())
            frame.skip = True
        else:
            frame.node.keys[key] = _place(event)

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!", 1)
            message = f"the tag {quote(tag)} has no place in a spec; leave it out"
            self._complain(event, message, self._path())

    def _start(self, event: Any, empty: list[Node] | dict[str, Node]) -> None:
        if self._awaits_key():
            raise self._stop(event, "a key must be a word, not a list or a mapping")
        self._check_tag(event)
        if len(self._open) >= MOST_LEVELS:
            raise self._too_deep(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(Node(empty, *_place(event)), event.anchor))

    def _end(self, event: Any) -> None:
        frame = self._open.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = frame.node
        self._add(frame.node, event, new=1)

    def _alias(self, event: events.AliasEvent) -> None:
        if self._awaits_key():
            raise self._stop(event, "a key must be a word, not an alias")
        name = event.anchor or ""
        if name not in self._anchors:
            raise self._stop(event, f"*{brief(name)} refers to nothing; no &{brief(name)} precedes")
        node = self._anchors[name]
        if node is None:
            raise self._stop(event, f"*{brief(name)} refers to the value that it is a part of")
        if len(self._open) + node.height > MOST_LEVELS:
            raise self._too_deep(event)
        self._add(node, event, new=node.size)

    def _too_deep(self, event: Any) -> Unreadable:
        path = self._path()[:3]
        message = f"lists and mappings are nested more than {MOST_LEVELS} deep"
        return Unreadable(*_place(event), message, path)

    def _grow(self, nodes: int, event: Any) -> None:
        self._size += nodes
        if self._size > MOST_NODES:
            limit = count_of(MOST_NODES, "value")
            raise self._stop(event, f"more than {limit} (aliases expanded); put data in a file")

    def _add(self, node: Node, event: Any, new: int) -> None:
        """Put a finished node in its parent; `new` of its values were not counted before."""
        self._grow(new, event)
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        parent = frame.node
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif isinstance(parent.value, dict):
            key, frame.key = frame.key or "", None
            if frame.skip:
                return
            parent.value[key] = node
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _text_column(event: Any) -> int | None:
    """Where a text's first character stands, if all of it stands in one line as it is."""
    start, end = event.start_mark, event.end_mark
    quotes = 1 if event.style in ("'", '"') else 0
    width = len(event.value) + 2 * quotes
    if event.anchor is not None or event.tag is not None or event.style in ("|", ">"):
        return None
    if start.line != end.line or end.column - start.column != width:
        return None
    return int(start.column) + 1 + quotes


# PyYAML's complaints in plain words; libyaml and the Python parser word them differently


_MISFIT = "this does not fit the lines above; check indentation and quotes"
# A part of the parser's complaint, and what to tell the user. The first that fits is taken.
_SYNTAX_ERRORS = [
    (
        "mapping values are not allowed",
        "a ':' is out of place; check the indentation, or put text that holds ': ' in quotes",
    ),
    ("node content", "a value is missing here"),
    ("end of stream", "a quotation mark is never closed"),
    ("document separator", "a quotation mark is never closed"),
    ("document indicator", "a quotation mark is never closed"),
    ("block end", _MISFIT),
    ("expected key", _MISFIT),
    ("'-' indicator", _MISFIT),
    ("could not find expected ':'", "a ':' is missing after a key"),
    ("sequence entries", "a '-' is out of place; put each item of a list on a line of its own"),
    ("incompatible", "lines that begin with '%' have no place in a spec"),
    ("directive", "lines that begin with '%' have no place in a spec"),
    ("document start", "lines that begin with '%' have no place in a spec"),
    ("tab", "a tab cannot indent; use spaces"),
]


BAD_ESCAPE = "a wrong escape with '\\'; use single quotes for text as it stands"
_UNREADABLE = "this cannot be read; put text with special characters in quotes"
# A part of what the parser was reading, and what to say of a mistake in it, where it began.
_ERROR_CONTEXTS = [
    ("tag", "a tag, which begins with '!', has no place in a spec; put the text in quotes"),
    ("anchor", "'&' begins a name for a value; put text that begins with '&' in quotes"),
    ("alias", "'*' begins the name of a value; put text that begins with '*' in quotes"),
    ("block scalar", "behind '|' or '>' the line ends; put text that begins so in quotes"),
]


def explain(error: MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Line, column and words for a syntax error; an unclosed bracket is reported where it opens."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    opening = error.context_mark
    reason = ""
    if "flow" in context and opening is not None and ("']'" in problem or "'}'" in problem):
        inside = _bracket_in_text(text, mark.line, mark.column) if mark is not None else None
        if inside is not None:
            return inside
        mark, reason = opening, _unclosed(context)
    elif "cannot start any token" in problem and mark is not None:
        reason = _bad_start(text, mark.line, mark.column)
    elif "undefined tag" in problem:
        mark, reason = (opening or mark), _ERROR_CONTEXTS[0][1]
    elif "quoted scalar" in context and opening is not None:
        # libyaml places a wrong escape at the opening quote, at the backslash, or behind it.
        mark = opening
        if "escape" in problem or "hexdecimal" in problem or "Unicode" in problem:
            reason = BAD_ESCAPE
    elif opening is not None:
        reason = next((words for part, words in _ERROR_CONTEXTS if part in context), "")
        mark = opening if reason else mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    if not reason:
        reason = next((words for part, words in _SYNTAX_ERRORS if part in problem), _UNREADABLE)
    return line, column, f"not valid YAML: {reason}"


def _unclosed(context: str) -> str:
    opening, closing = "{}" if "mapping" in context else "[]"
    return f"after this '{opening}' a ',' or the closing '{closing}' is missing"


def _bracket_in_text(text: str, line: int, column: int) -> tuple[int, int, str] | None:
    """Of `{network[0].units: 1}`, where a bracket opens within a word: the word, and the cure."""
    lines = text.splitlines()
    written = lines[line] if line < len(lines) else ""
    before = re.search(r"[^\s,:\[\]{}'\"]+$", written[:column])
    if before is None or written[column : column + 1] not in ("[", "{"):
        return None
    word = re.match(r"[\w.]+(?:\[\d+\][\w.]*)+(?=[\s:,\]}]|$)", written[before.start() :])
    cure = f": '{brief(word.group())}'" if word is not None else ""
    message = f"text that holds '{written[column]}' goes in quotes within brackets{cure}"
    return line + 1, before.start() + 1, f"not valid YAML: {message}"


def _bad_start(text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    char = lines[line][column] if line < len(lines) and column < len(lines[line]) else ""
    if char == "\t":
        return "a tab cannot indent; use spaces"
    return f"text cannot begin with '{brief(char)}'; put it in quotes"
