"""A page on a terminal or in a pipe."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from nncli.render.document import Block, Equation, Grid, Heading, Lines, Matrix, Page, Paragraph
from nncli.render.grid import bracketed, cells
from nncli.render.tables import Column, Columns
from nncli.render.text import plain, shape


def on_terminal(page: Page) -> RenderableType:
    parts: list[RenderableType] = []
    for before, block in zip([None, *page], page, strict=False):
        if before is not None and not (_tight(before) and _tight(block)):
            parts.append("")
        parts.append(_block(block))
    return Group(*parts)


def _tight(block: Block) -> bool:
    return isinstance(block, Paragraph) and block.note


def _block(block: Block) -> RenderableType:
    match block:
        case Heading(text, 1):
            return plain(text.upper(), "bold cyan")
        case Heading(text, 2):
            return plain(text, "bold cyan")
        case Heading(text, _):
            return plain(text, "bold")
        case Paragraph(text, note):
            return plain(text, "dim" if note else "")
        case Lines(lines):
            return Group(*(plain(line) for line in lines))
        case Grid(headings, rows, words):
            columns = [Column(text, words=k < words) for k, text in enumerate(headings)]
            return Columns(columns, rows)
        case Equation():
            return EquationLines(block)


class EquationLines:
    """Matrices side by side with a sign between each two, as many as the width takes."""

    def __init__(self, equation: Equation) -> None:
        self.equation = equation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.equation.label:
            yield plain(f"{self.equation.label}:", "italic")
        for row in rows_of_blocks(self.equation, options.max_width):
            for k, line in enumerate(joined(row)):
                style = "bold" if k == 0 else ""  # the matrices' headings
                yield Text(line, style, no_wrap=True, overflow="ignore")


def equation_lines(equation: Equation, width: int) -> list[str]:
    """An equation as plain lines."""
    lines = [f"{equation.label}:"] if equation.label else []
    return lines + [line for row in rows_of_blocks(equation, width) for line in joined(row)]


def rows_of_blocks(equation: Equation, width: int) -> Iterator[list[list[str]]]:
    """The equation's matrices as blocks of lines, as many in a row as the width takes."""
    row: list[list[str]] = []
    used = 0
    for matrix, sign in zip(equation.terms, f" {equation.signs}", strict=True):
        for k, part in enumerate(matrix_blocks(matrix, width - 2)):
            signed = [f"{sign if i == 1 and k == 0 else ' '} {x}" for i, x in enumerate(part)]
            if row and used + width_of(signed) + 1 > width:
                yield row
                row, used = [], 0
            row.append(signed)
            used += width_of(signed) + 1
    yield row


def matrix_blocks(matrix: Matrix, width: int) -> Iterator[list[str]]:
    """A matrix's symbol and shape over its rows; cut into pieces where they are too wide."""
    text = cells(matrix.array, matrix.format, matrix.rows, matrix.columns)
    widest = max(len(cell) for row in text for cell in row) + 1
    each = max(1, (width - 2) // widest)
    for start in range(0, len(matrix.columns), each):
        heading = f"{matrix.symbol}  {shape(matrix.array.shape)}"
        if each < len(matrix.columns):
            some = [c for c in matrix.columns[start : start + each] if c is not None]
            heading += f"  columns {some[0]}–{some[-1]}"
        yield [heading, *bracketed([row[start : start + each] for row in text])]


def width_of(lines: list[str]) -> int:
    return max(map(cell_len, lines))


def joined(blocks: list[list[str]]) -> Iterator[str]:
    """Blocks of lines side by side."""
    for k in range(max(map(len, blocks))):
        lines = [block[k] if k < len(block) else "" for block in blocks]
        padded = (line.ljust(width_of(b)) for line, b in zip(lines, blocks, strict=True))
        yield " ".join(padded).rstrip()
