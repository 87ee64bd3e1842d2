"""Vector drawings in SVG: text, lines and matrices, in fonts that the reader has.

Drawings are light, on white, whatever the reader's scheme: they are for slides and print. Nothing
in them is fetched, and no colour says what a word, a sign or a line does not.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nncli.core.text import printable
from nncli.render.document import Equation, MatrixTerm, Page
from nncli.render.text import cells, shape

SANS = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, Menlo, 'DejaVu Sans Mono', Consolas, monospace"
INK, QUIET, LINE, ACCENT, SHADE = "#1a1c20", "#575c66", "#8a919c", "#0b57a4", "#dbe8f6"
SIZE = 14  # of text, in pixels
DIGIT = 0.62  # of the size: the width of a character of MONO, and at most of most of SANS
ROW, GAP = 22, 14
MARGIN = 24

MINUS = re.compile(r"(?<![\w-])-(?=[\d.])")  # a hyphen before a number

Marks = frozenset[tuple[int, int]]  # rows and columns of cells
NONE = Marks()


class Extent(NamedTuple):
    """What something takes in a drawing."""

    width: float
    height: float


class Drawing:
    """Shapes that are added one after the other; `text` gives them as a document.

    Attributes:
        boxes: of each text, by a generous estimate: left, top, right, bottom.
    """

    def __init__(self, title: str, words: str) -> None:
        self.title, self.words = title, words
        self.parts: list[str] = []
        self.boxes: list[tuple[float, float, float, float]] = []
        self.right = self.bottom = 0.0

    def reach(self, x: float, y: float) -> None:
        self.right, self.bottom = max(self.right, x), max(self.bottom, y)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        size: int = SIZE,
        mono: bool = False,
        bold: bool = False,
        quiet: bool = False,
        halo: bool = False,
    ) -> None:
        """Words whose middle line is at y; `halo` keeps a line behind them off."""
        words = MINUS.sub("−", words)
        length = width_of(words, size)
        left = x - {"start": 0, "middle": length / 2, "end": length}[anchor]
        self.boxes.append((left, y - size / 2, left + length, y + size / 2))
        self.reach(left + length, y + size / 2)
        kind = " ".join(
            name for name, is_so in (("m", mono), ("b", bold), ("q", quiet), ("h", halo)) if is_so
        )
        self.parts.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" text-anchor="{anchor}" font-size="{size}"'
            f'{f""" class="{kind}" """.rstrip() if kind else ""}>{escaped(words)}</text>'
        )

    def is_free(self, x: float, y: float, words: str, size: int) -> bool:
        """Whether words with their middle there would be on no other text."""
        half, high = width_of(words, size) / 2 + 2, size / 2 + 1
        return not any(
            left < x + half and right > x - half and top < y + high and bottom > y - high
            for left, top, right, bottom in self.boxes
        )

    def line(self, *points: tuple[float, float], bold: bool = False) -> None:
        for x, y in points:
            self.reach(x, y)
        path = "L".join(f"{x:g} {y:g}" for x, y in points)
        kind = ' class="l"' if bold else ""
        self.parts.append(f'<path d="M{path}"{kind}/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "") -> None:
        """A rectangle; of kind "s" shaded, "l" with a strong line."""
        self.reach(x + width, y + height)
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4"'
            f'{f""" class="{kind}" """.rstrip() if kind else ""}/>'
        )

    def circle(self, x: float, y: float, radius: float) -> None:
        self.reach(x + radius, y + radius)
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"/>')

    def matrix(
        self,
        x: float,
        y: float,
        heading: str,
        rows: Sequence[Sequence[str]],
        marks: Marks = NONE,
    ) -> Extent:
        """A matrix in brackets under its heading, with its top left corner at x, y."""
        widths = [max(width_of(row[c], SIZE) for row in rows) + 10 for c in range(len(rows[0]))]
        width, height = sum(widths) + 12, ROW * len(rows)
        self.text(x, y + ROW / 2, heading)
        top = y + ROW + 4
        for left, turn in ((x, 6), (x + width, -6)):
            self.line(
                (left + turn, top), (left, top), (left, top + height), (left + turn, top + height)
            )
        for r, row in enumerate(rows):
            right = x + 6
            for c, cell in enumerate(row):
                right += widths[c]
                if (r, c) in marks:
                    self.box(right - widths[c] + 1, top + r * ROW + 1, widths[c] - 2, ROW - 2, "s")
                self.text(right - 5, top + (r + 0.5) * ROW, cell, anchor="end", mono=True)
        return Extent(max(width, width_of(heading, SIZE)), height + ROW + 4)

    def equation(
        self, x: float, y: float, equation: Equation, marks: Iterable[Marks] = ()
    ) -> Extent:
        """Matrices side by side, with a sign between each two."""
        start, height = x, max(len(term.rows) for term in equation.terms) * ROW + ROW + 4
        each = [*marks, *[NONE] * len(equation.terms)]
        for k, (term, marked) in enumerate(zip(equation.terms, each, strict=False)):
            if k and equation.signs:
                middle = y + ROW + 4 + (height - ROW - 4) / 2
                self.text(x, middle, equation.signs[k - 1], size=22)
                x += 22 + GAP
            own = ROW * len(term.rows) + ROW + 4
            size = self.matrix(x, y + (height - own) / 2, *written(term), marked)
            x += size.width + GAP
        return Extent(x - start - GAP, height)

    def svg(self) -> str:
        """The document."""
        width, height = self.right + MARGIN, self.bottom + MARGIN
        style = (
            f"text {{ font-family: {SANS}; fill: {INK}; }} .m {{ font-family: {MONO}; }} "
            f".b {{ font-weight: 600; }} .q {{ fill: {QUIET}; }} "
            ".h { paint-order: stroke; stroke: #fff; stroke-width: 5px; } "
            f"path, rect, circle {{ fill: none; stroke: {LINE}; stroke-width: 1.2; }} "
            f"circle, rect {{ fill: #fff; }} .s {{ fill: {SHADE}; stroke: {ACCENT}; }} "
            f".l {{ stroke: {ACCENT}; stroke-width: 2; }}"
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img">\n'
            f"<title>{escaped(self.title)}</title>\n<desc>{escaped(self.words)}</desc>\n"
            f"<style>{style}</style>\n"
            f'<rect width="100%" height="100%" style="fill: #fff; stroke: none"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def equations_drawing(title: str, page: Page) -> str:
    """The equations of a page, one under the other."""
    drawing = Drawing(title, "the matrices of the page")
    drawing.text(MARGIN, MARGIN + 6, title, size=20, bold=True)
    y = float(MARGIN + 40)
    for block in page:
        if isinstance(block, Equation):
            y += drawing.equation(MARGIN, y, block).height + 1.6 * GAP
    return drawing.svg()


def written(term: MatrixTerm) -> tuple[str, list[list[str]]]:
    """The heading of a matrix, and its cells."""
    heading = f"{term.symbol}  {shape(term.array.shape)}" if term.is_cut else term.symbol
    return heading, cells(term.array, term.format, term.rows, term.columns)


def width_of(words: str, size: float) -> float:
    return DIGIT * size * len(printable(words))


def escaped(text: str) -> str:
    """Text in which nothing is markup."""
    made = printable(text)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        made = made.replace(sign, entity)
    return made
