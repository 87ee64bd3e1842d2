"""A page as semantic HTML: headings, paragraphs, tables with headings of rows and columns."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

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
from nncli.render.text import GAP, cells, shape
from nncli.render.web.page import escape

UNNUMBERED = 4  # rows or columns of a matrix that can be told apart without their numbers
NEWLINE = "\n"
PHONE = 30  # characters beside each other that a phone has room for
SCROLLING = "<div class=scroll tabindex=0 role=group aria-label=table>"  # by keyboard too


def to_html(page: Page) -> str:
    """The blocks of a page, for the body of a document."""
    return "\n".join(block_html(block) for block in page)


def block_html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Paragraph(text, note):
            return f"<p class=note>{escape(text)}</p>" if note else f"<p>{escape(text)}</p>"
        case Lines(lines):
            return f"<pre tabindex=0>{NEWLINE.join(map(escape, lines))}</pre>"
        case Grid():
            return f"{SCROLLING}{grid_html(block)}</div>"
        case HeatMap():
            return block_html(block.as_equation())
        case Equation():
            return _equation(block)


# The end tags of rows, cells and captions may be left out in HTML, and are: they are a quarter of a
# table. So may <tbody> where no head is, and quotes around words.


def grid_html(grid: Grid, caption: str = "") -> str:
    """A table; its first column heads the rows where it is words.

    The class of the table is how many columns are words (`w2`, up to `w4`).
    """
    heads = "".join(_head(text, "col") for text in grid.headings)
    rows = "".join(f"<tr>{''.join(_row(row, grid.words))}" for row in grid.rows)
    title = f"<caption>{escape(caption)}" if caption else ""
    kind = f" class=w{min(grid.words, 4)}" if grid.words else ""
    return f"<table{kind}>{title}<thead><tr>{heads}<tbody>{rows}</table>"


def _row(row: Sequence[str], words: int) -> Iterator[str]:
    for k, text in enumerate(row):
        yield _head(text, "row") if k == 0 and words else f"<td>{escape(text)}"


def _head(text: str, scope: str) -> str:
    """The head of a row or a column; an empty one heads nothing."""
    return f"<th scope={scope}>{escape(text)}" if text else "<td>"


def _equation(equation: Equation) -> str:
    first = equation.terms[0]
    assert isinstance(first, MatrixTerm)
    html, widest = _matrix(first)
    for sign, term in zip_longest(equation.signs, equation.terms[1:], fillvalue=""):
        assert isinstance(term, MatrixTerm)
        table, width = _matrix(term)
        html, widest = f"{html}<b>{escape(sign)}</b>{table}", max(widest, width)
    label = f"<p>{escape(equation.label)}:</p>" if equation.label else ""
    by_key = " tabindex=0 role=group aria-label=equation" if widest > PHONE else ""
    return f'{label}<div class="equation scroll"{by_key}>{html}</div>'


def _matrix(term: MatrixTerm) -> tuple[str, int]:
    """A matrix as a table whose caption is its symbol, and how many characters wide it is.

    Of a large one lines bear their numbers.
    """
    text = cells(term.array, term.format, term.rows, term.columns)
    caption = f"<caption>{escape(term.symbol)} <small>{shape(term.array.shape)}</small>"
    if term.is_cut or max(len(term.rows), len(term.columns)) > UNNUMBERED:
        numbers = "".join(f"<th scope=col>{_index(c)}" for c in term.columns)
        head = f"<thead><tr><td>{numbers}<tbody>"
        starts = [f"<th scope=row>{_index(r)}" for r in term.rows]
    else:
        head, starts = "", [""] * len(text)
    rows = (
        f"<tr>{start}{''.join(f'<td>{escape(cell)}' for cell in row)}"
        for start, row in zip(starts, text, strict=True)
    )
    width = max((sum(max(len(cell), 3) + 2 for cell in row) for row in text), default=0)
    return f"<table>{caption}{head}{''.join(rows)}</table>", width


def _index(index: int | None) -> str:
    return GAP if index is None else str(index)
