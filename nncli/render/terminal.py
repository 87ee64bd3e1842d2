"""A page on a terminal or in a pipe."""

import io
from collections.abc import Callable, Iterator
from math import ceil
from textwrap import wrap
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from nncli.core.text import in_ascii, printable
from nncli.render.document import (
    Block,
    Equation,
    Grid,
    Heading,
    HeatMap,
    Lines,
    MatrixTerm,
    Page,
    Paragraph,
)
from nncli.render.text import bracketed, cells, shape
from nncli.render.widgets.pictures import HeatLines
from nncli.render.widgets.tables import Column, Columns

RECORDED_WIDTH = 100  # characters of a page in a file
CONTINUED: Any = {"subsequent_indent": "    "}  # of a line that is too long
Line = tuple[str, str]  # a style, and what is written in it
Spell = Callable[[str], str]  # text as it is, or spelled out in ASCII


class TerminalPage:
    """A page as lines. They are laid out here, so rich has nothing left to measure or to wrap."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        before: Block | None = None
        spell = in_ascii if options.ascii_only else str
        for block in self.page:
            if before is not None and not (is_note(before) and is_note(block)):
                yield Segment("\n")
            before = block
            if isinstance(block, HeatMap):
                yield HeatLines(block)
                continue
            if isinstance(block, Grid):
                columns = [Column(h, words=k < block.words) for k, h in enumerate(block.headings)]
                yield Columns(columns, block.rows)
                continue
            for style, text in block_lines(block, options.max_width, spell):
                yield Segment(f"{printable(text)}\n", console.get_style(style) if style else None)


def recorded(page: Page) -> Console:
    """A console on which the page was written, of a fixed width and with all its colours."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=RECORDED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(TerminalPage(page))
    return console


def is_note(block: Block) -> bool:
    return isinstance(block, Paragraph) and block.note


def block_lines(block: Block, width: int, spell: Spell = str) -> Iterator[Line]:
    match block:
        case Heading(text, level):
            text, style = spell(text), "bold" if level > 2 else "bold cyan"
            yield from ((style, x) for x in wrap(text.upper() if level == 1 else text, width))
        case Paragraph(text, note):
            yield from (("dim" if note else "", line) for line in wrap(spell(text), width))
        case Lines(lines):
            for line in map(spell, lines):
                fits = cell_len(line) <= width
                yield from (("", x) for x in ([line] if fits else wrap(line, width, **CONTINUED)))
        case Equation():
            if block.label:
                yield "italic", f"{spell(block.label)}:"
            for row in rows_of_blocks(block, width, spell):
                for k, line in enumerate(joined(row)):
                    yield "bold" if k == 0 else "", line  # the matrices' headings come first


def equation_lines(equation: Equation, width: int) -> list[str]:
    """An equation as plain lines."""
    lines = [f"{equation.label}:"] if equation.label else []
    return lines + [line for row in rows_of_blocks(equation, width) for line in joined(row)]


def rows_of_blocks(equation: Equation, width: int, spell: Spell = str) -> Iterator[list[list[str]]]:
    """The equation's matrices as blocks of lines, as many in a row as the width takes."""
    row: list[list[str]] = []
    used = 0
    for matrix, symbol in zip(equation.terms, f" {equation.signs}", strict=True):
        sign = spell(symbol)
        pieces = list(matrix_blocks(matrix, width - len(sign) - 1, spell))
        for k, part in enumerate(pieces):
            before = [sign if i == 1 and k == 0 else " " * len(sign) for i in range(len(part))]
            signed = [f"{start} {line}" for start, line in zip(before, part, strict=True)]
            if row and (used + width_of(signed) + 1 > width or len(pieces) > 1):
                yield row
                row, used = [], 0
            row.append(signed)
            used += width_of(signed) + 1
        if len(pieces) > 1:  # what comes next would look like a part of it
            yield row
            row, used = [], 0
    if row:
        yield row


def matrix_blocks(matrix: MatrixTerm, width: int, spell: Spell = str) -> Iterator[list[str]]:
    """A matrix's symbol and shape over its rows; cut into pieces where they are too wide."""
    text = cells(matrix.array, matrix.format, matrix.rows, matrix.columns)
    text = [[spell(cell) for cell in row] for row in text]
    widest = max(len(cell) for row in text for cell in row) + 1
    each = max(1, (width - 2) // widest)
    each = ceil(len(matrix.columns) / ceil(len(matrix.columns) / each))  # pieces of one size
    for start in range(0, len(matrix.columns), each):
        heading = f"{spell(matrix.symbol)}  {spell(shape(matrix.array.shape))}"
        if each < len(matrix.columns):
            some = [c for c in matrix.columns[start : start + each] if c is not None]
            heading += f"  columns {some[0]}{spell('–')}{some[-1]}"
        yield [heading, *bracketed([row[start : start + each] for row in text])]


def width_of(lines: list[str]) -> int:
    return max(map(cell_len, lines))


def joined(blocks: list[list[str]]) -> Iterator[str]:
    """Blocks of lines side by side."""
    for k in range(max(map(len, blocks))):
        lines = [block[k] if k < len(block) else "" for block in blocks]
        padded = (line.ljust(width_of(b)) for line, b in zip(lines, blocks, strict=True))
        yield " ".join(padded).rstrip()
