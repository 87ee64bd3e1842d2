"""Pages of documentation are true: what their blocks show is what comes out when they are run.

A page is a Markdown file, the README or one of `docs/`. Its blocks are run in order in one folder,
which has `configs/`, `data/` and `docs/` as a clone has:

- `sh`: a command a line. `text` blocks below it show parts of what the last of them printed, on
  either stream, whole lines of it that follow each other.
- `{page}`: a command that writes a page, which the site shows.
- `python`: code; `text` below it is what it prints.
- `{code-block}` with a caption: a file of that name, for what is run below.

What else there is, is to be read only.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import Outcome, in_this_process

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>\S+)(?: (?P<of>\S+))?\n"
    r"(?::caption: (?P<file>\S+)\n\n?)?(?P<text>.*?)^(?P=fence)$",
    re.M | re.S,
)
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
NUMBER = r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e-?\d+)?"


@dataclass(frozen=True)
class Block:
    """One block of a page; `line` is where it begins, `file` what it is to be saved as."""

    language: str
    text: str
    line: int
    file: str | None = None


def blocks(text: str) -> list[Block]:
    """A page's blocks, in order."""
    return [
        Block(
            found["language"], found["text"], text.count("\n", 0, found.start()) + 1, found["file"]
        )
        for found in FENCE.finditer(text)
    ]


def sentences(text: str) -> str:
    """A page without its blocks, code, links' targets, and the numbers that are computed."""
    return re.sub(r"\{n\}`[^`]+`|`[^`\n]+`|\]\([^)]*\)", "", FENCED.sub("", text))


def ran(command: str, folder: Path) -> Outcome:
    """Runs a line of shell in what looks like a clone; nncli itself within this process."""
    _as_a_clone(folder)
    words = shlex.split(command, comments=True)
    if words[0] == "nncli" and not {"|", ">", "&&"} & set(words):
        return in_this_process(*words[1:], folder=folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        capture_output=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def executed(code: str, folder: Path) -> str:
    """What Python code prints."""
    _as_a_clone(folder)
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(code, "<page>", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def _as_a_clone(folder: Path) -> None:
    for shipped in ("configs", "data", "docs"):
        if not (folder / shipped).exists():
            (folder / shipped).symlink_to(ROOT / shipped)


def assert_true(page: Path, folder: Path) -> None:
    """Runs all blocks of a page.

    Raises:
        AssertionError: a block that fails, or shows what is not printed, with its line.
    """
    command, printed = "", ""
    for block in blocks(page.read_text(encoding="utf-8")):
        with _named(f"{page.relative_to(ROOT)}:{block.line}"):
            if block.file:
                (folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.language in ("sh", "{page}"):
                for command in commands(block):
                    done = ran(command, folder)
                    # 1 says that something was found, which is shown; 2 is a mistake, shown too.
                    assert done.status in (0, 1, 2), done.err
                    printed = f"{done.out}\n{done.err}"
                    assert done.status != 2 or "nncli:" in _shown_below(page, block), done.err
            elif block.language == "python":
                command, printed = "python", executed(block.text, folder)
            elif block.language == "text" and command:
                assert_printed(block.text, printed, exact=_exact(command))


def commands(block: Block) -> Iterator[str]:
    """The lines of a block that are commands of nncli; a backslash joins two."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if re.search(r"\bnncli\b", line.partition("#")[0]) and not line.startswith("pip "):
            yield line


def assert_printed(shown: str, printed: str, exact: bool = True) -> None:
    """`shown` is a part of what was printed: the same words, and the same numbers or close ones."""
    part = _part_like(shown, printed)
    # Of rounding errors only their size can be told.
    close = pytest.approx(_numbers(shown), rel=1e-9 if exact else 0.2)
    assert _numbers(part) == close or "largest relative error" in shown


def _exact(command: str) -> bool:
    """A training in float32 may end a little differently on another machine's matrix products."""
    return not re.search(r"\btrain\b|runs/|\bdiagnose\b|\bsweep\b", command)


def _part_like(shown: str, printed: str) -> str:
    """The part of what was printed that has the words of what is shown."""
    lines, wanted = printed.splitlines(), _words(shown)
    for start in range(len(lines)):
        part = "\n".join(lines[start : start + len(wanted)])
        if _words(part) == wanted:
            return part
    raise AssertionError(f"not printed:\n{shown}\nbut:\n{printed[:3000]}")


def _words(text: str) -> list[str]:
    """Its lines without their numbers."""
    lines = [re.sub(NUMBER, "#", line) for line in text.splitlines()]
    return [re.sub(r"\s+", " ", re.sub("─+", "─", line)).strip() for line in lines]


def _numbers(text: str) -> list[float]:
    return [float(x.replace(",", "")) for x in re.findall(NUMBER, text)]


def _shown_below(page: Path, block: Block) -> str:
    """The text block after this one."""
    all_of_it = blocks(page.read_text(encoding="utf-8"))
    return next((b.text for b in all_of_it if b.line > block.line and b.language == "text"), "")


@contextlib.contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{place}: {error}") from error
