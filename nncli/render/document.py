"""What there is to read, in whatever format: a page made of blocks, and its record in full."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from nncli.core.files import release_pages
from nncli.nn.arrays import Array
from nncli.nn.measures import norm
from nncli.render.text import Extent, NumberFormat, number, number_formats

Indices = Sequence[int | None]
BLOCK = 1 << 20  # numbers at a time


class Heading(NamedTuple):
    """Level 0 is the title of the page, 1 a part of it, 2 and 3 what is in a part."""

    text: str
    level: int = 1


class Paragraph(NamedTuple):
    """Words. A `note` is about the page rather than about the network."""

    text: str
    note: bool = False


class Lines(NamedTuple):
    """Lines that keep their breaks."""

    lines: tuple[str, ...]


class Grid(NamedTuple):
    """A table: headings, rows of text. The first `words` columns are words, the others numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


class MatrixTerm(NamedTuple):
    """A matrix under its symbol, of which `rows` and `columns` are shown (None: a gap)."""

    symbol: str
    array: Array
    rows: Indices
    columns: Indices
    format: NumberFormat

    @property
    def is_cut(self) -> bool:
        return None in self.rows or None in self.columns

    def shown_values(self) -> Array:
        """The shown values as they read; gaps are left out."""
        rows = [r for r in self.rows if r is not None]
        columns = [c for c in self.columns if c is not None]
        return self.format.rounded(self.array[np.ix_(rows, columns)])


class Equation(NamedTuple):
    """Matrices with a sign between each two; `label` says of which part of larger arrays."""

    terms: tuple[MatrixTerm, ...]
    signs: str = ""
    label: str = ""


class HeatMap(NamedTuple):
    """A matrix whose cells are coloured by sign and size, where there is colour.

    Of a matrix in the making, `known` says which cells are there (rows x columns, None: all), and
    `made` where the last one is.
    """

    symbol: str
    array: Array
    rows: Indices
    columns: Indices
    label: str = ""
    known: Array | None = None
    made: tuple[int, int] | None = None

    def as_equation(self) -> Equation:
        """The same numbers where there is no colour."""
        (kind,) = number_formats([self.array])
        return Equation((MatrixTerm(self.symbol, self.array, self.rows, self.columns, kind),), "")


Leading = tuple[str, Sequence[int] | None]  # an axis by name, and the numbers of its entries

Block = Heading | Paragraph | Lines | Grid | Equation | HeatMap
Page = list[Block]


class Interactive(Protocol):
    """A page for a browser."""

    def document(self) -> bytes:
        """It as a file."""

    def fragment(self, text: str) -> str:
        """It as HTML for within another page; `text` stands there where scripts do not run."""


@dataclass(frozen=True)
class Document:
    """What every format can be written from; each part is made when a format asks for it.

    Attributes:
        title: of the whole.
        make_page: for reading, numbers rounded.
        record: as plain data (mappings, lists, numbers, text), every digit kept.
        arrays: those of the record, by name.
        web: the interactive page for a browser, where the document has one.
        figure: a drawing for a slide, as SVG, where it has one.
    """

    title: str
    make_page: Callable[[], Page]
    record: Callable[[], dict[str, Any]]
    arrays: Callable[[], Mapping[str, Array]]
    web: Callable[[], Interactive] | None = None
    figure: Callable[[], str] | None = None

    @cached_property
    def page(self) -> Page:
        return self.make_page()


def equations(
    terms: Sequence[tuple[str, Array]],
    signs: str,
    extent: Extent,
    axes: Sequence[Leading] = (),
) -> Iterator[Equation | Paragraph]:
    """An equation of matrices; of arrays of more axes, one for each of their matrices.

    Args:
        terms: each with its symbol. A vector is shown as a row. Arrays of more than two axes are of
            one shape.
        axes: what the leading axes are, each with its numbers where they are not 0, 1, 2, ...
    """
    arrays = [np.atleast_2d(array) for _, array in terms]
    kinds = number_formats(arrays, extent.decimals)
    leading = arrays[-1].shape[:-2]
    places = list(np.ndindex(leading))
    most = 2 if len(places) > 4 and not extent.full else len(places)
    for place in places[:most]:
        label = ", ".join(
            f"{name} {numbers[k] if numbers is not None else k}"
            for (name, numbers), k in zip(axes, place, strict=False)
        )
        matrices = tuple(
            MatrixTerm(
                symbol,
                array[place],
                extent.row_indices(array.shape[-2]),
                extent.column_indices(array.shape[-1]),
                kind,
            )
            for (symbol, _), array, kind in zip(terms, arrays, kinds, strict=True)
        )
        if any(not m.rows or not m.columns for m in matrices):
            missed = " and ".join(m.symbol for m in matrices if not m.rows or not m.columns)
            yield Paragraph(f"{missed}: outside the rows or columns asked for", note=True)
            return
        yield Equation(matrices, signs, label)
    if most < len(places):
        yield Paragraph(f"… and {len(places) - most} more matrices like these", note=True)
    if most < len(places) or any(m.is_cut for m in matrices):
        for symbol, array in terms:
            yield Paragraph(f"{symbol}: {statistics(array)}", note=True)


def statistics(array: Array) -> str:
    """Shape, norm, least, largest and mean; in blocks, for the array may be larger than memory."""
    length = mean = 0.0
    least, largest = np.inf, -np.inf
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    step = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        values = rows[start : start + step].astype(np.float64)
        with np.errstate(all="ignore"):  # sums and squares are not shown, infinity is an answer
            length = math.hypot(length, norm(values))
            total = float(values.sum())
            finite = math.isfinite(total)
            mean += total / array.size if finite else float((values / array.size).sum())
        least, largest = min(least, float(values.min())), max(largest, float(values.max()))
        release_pages(array)
    return (
        f"{'×'.join(map(str, array.shape))}, norm {number(length, 4)}, "
        f"from {number(least, 4)} to {number(largest, 4)}, mean {number(mean, 4)}"
    )


def rounding_note(page: Page) -> Paragraph:
    """That numbers are rounded, and by how much the sums that are shown miss what is shown."""
    off = 0.0
    for block in page:
        if isinstance(block, Equation) and block.signs == "+" * (len(block.terms) - 2) + "=":
            *parts, result = (term.shown_values() for term in block.terms)
            finite = np.isfinite(result)
            with np.errstate(invalid="ignore"):  # of infinities, which are left out
                difference = np.abs(sum(parts)[finite] - result[finite])  # type: ignore[index]
            off = max(off, float(difference.max(initial=0)))
    # Anything below this is float64's own rounding in adding decimal numbers.
    sums = f"sums of what is shown are off by at most {off:.0e}" if off > 1e-12 else "sums add up"
    return Paragraph(f"Numbers are rounded for reading; {sums}.", note=True)
