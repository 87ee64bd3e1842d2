"""A page as Markdown: tables as tables, matrices as text that keeps its columns."""

import re
from collections.abc import Sequence

from nncli.core.text import printable
from nncli.render.document import (
    Block,
    Equation,
    Grid,
    Heading,
    HeatMap,
    Lines,
    Page,
    Paragraph,
)
from nncli.render.terminal import equation_lines

WIDTH = 100  # characters of an equation's lines


def to_markdown(page: Page) -> str:
    return "\n\n".join(_block(block) for block in page) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * max(level, 1)} {_escape(text)}"
        case Paragraph(text, note):
            return f"*{_escape(text)}*" if note else _escape(text)
        case Lines(lines):
            return _fenced(list(lines))
        case HeatMap():
            return _block(block.as_equation())
        case Equation():
            return _fenced(equation_lines(block, WIDTH))
        case Grid(headings, rows, words):
            rule = [":--" if k < words else "--:" for k in range(len(headings))]
            return "\n".join(_row(row) for row in (headings, rule, *rows))


def _fenced(lines: list[str]) -> str:
    # A fence is closed by no shorter one within it.
    longest = max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *map(printable, lines), fence])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    """Text in which nothing is markup: a name from a spec stays a name."""
    text = printable(text)
    for sign in "\\`*_[]<>|#~$&":
        text = text.replace(sign, f"\\{sign}")
    return text
