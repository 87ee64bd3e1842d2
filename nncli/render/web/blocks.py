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


def to_html(page: Page) -> str:
    """The blocks of a page, for the body of a document."""
    return "\n".join(block_html(block) for block in page)


def block_html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Paragraph(text, note):
            return f'<p class="note">{escape(text)}</p>' if note else f"<p>{escape(text)}</p>"
        case Lines(lines):
            return "<pre>{}</pre>".format("\n".join(map(escape, lines)))
        case Grid():
            return _scrolling(grid_html(block))
        case HeatMap():
            return block_html(block.as_equation())
        case Equation():
            return _equation(block)


def grid_html(grid: Grid, caption: str = "") -> str:
    """A table; its first column heads the rows where it is words."""
    heads = "".join(
        f'<th scope="col"{_class(k < grid.words)}>{escape(text)}</th>'
        for k, text in enumerate(grid.headings)
    )
    rows = "".join(f"<tr>{''.join(_row(row, grid.words))}</tr>" for row in grid.rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _row(row: Sequence[str], words: int) -> Iterator[str]:
    for k, text in enumerate(row):
        if k == 0 and words:
            yield f'<th scope="row">{escape(text)}</th>'
        else:
            yield f"<td{_class(k < words)}>{escape(text)}</td>"


def _class(is_words: bool) -> str:
    return ' class="words"' if is_words else ""


def _equation(equation: Equation) -> str:
    signs = zip_longest(equation.signs, equation.terms[1:])
    parts = [_matrix(equation.terms[0])]
    for sign, term in signs:
        parts += [f'<span class="sign">{escape(sign or "")}</span>', _matrix(term)]
    label = f"<p>{escape(equation.label)}:</p>" if equation.label else ""
    return f'{label}<div class="equation scroll">{"".join(parts)}</div>'


def _matrix(term: MatrixTerm) -> str:
    """A matrix as a table whose caption is its symbol; rows and columns bear their numbers."""
    text = cells(term.array, term.format, term.rows, term.columns)
    numbers = "".join(f'<th scope="col">{_index(c)}</th>' for c in term.columns)
    head = f"<thead><tr><td></td>{numbers}</tr></thead>" if len(term.columns) > 1 else ""
    rows = "".join(
        f"<tr>{_row_head(r, len(term.rows) > 1 or len(term.columns) > 1)}"
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for r, row in zip(term.rows, text, strict=True)
    )
    caption = f"<caption>{escape(term.symbol)} <small>{shape(term.array.shape)}</small></caption>"
    return f'<table class="matrix">{caption}{head}<tbody>{rows}</tbody></table>'


def _row_head(index: int | None, is_shown: bool) -> str:
    return f'<th scope="row">{_index(index)}</th>' if is_shown else ""


def _index(index: int | None) -> str:
    return GAP if index is None else str(index)


def _scrolling(table: str) -> str:
    return f'<div class="scroll">{table}</div>'
