"""One window of a filter over a matrix: its place, the cells under it, every product."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from nncli.core.text import count_of
from nncli.filtering.record import (
    Filtering,
    Window,
)
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis
from nncli.render.document import (
    Block,
    Heading,
    HeatMap,
    Lines,
    Paragraph,
    equations,
)
from nncli.render.text import Extent, largest, missed, number, number_formats

MOST = 16  # rows or columns of a matrix that is shown beside its output
SMALL = 5  # the same where there is little room
MOST_CHANNELS = 4  # channels that are shown
CHANNELS = (("channel", None),)


def products(
    filtering: Filtering,
    window: Window,
    extent: Extent,
    width: int = 80,
    *,
    is_brief: bool = False,
) -> Iterator[Block]:
    """window ⊙ filter = products → sum, with the window marked in the matrix.

    Args:
        is_brief: of a matrix that is not small, what is around the window alone; and cells of
            padding are not marked.
    """
    r, c = window.at
    of_channel = "" if window.channel is None else f" of channel {window.channel}"
    yield Heading(f"output [{r},{c}]{of_channel}", 2)
    yield from marked(filtering, window, width, SMALL if is_brief else MOST)
    name = "turned filter" if filtering.options.get("flip") else "filter"
    terms = [("window", window.cells), (name, window.filter), ("product", window.hadamard)]
    yield from equations(terms, "⊙=", extent, CHANNELS)
    if not is_brief:
        yield from with_padding(filtering, window, width)
    factors = [array for _, array in terms]
    yield Paragraph(sum_line(factors, window.sum, filtering.output.dtype, extent))


def sum_line(terms: Sequence[Array], total: float, dtype: np.dtype[Any], extent: Extent) -> str:
    """A sum of products as it was computed in `dtype`, with what is lost by rounding.

    Args:
        terms: two factors and their products.
        total: the sum, as the record has it.
    """
    *factors, products = terms
    kind = number_formats(terms, extent.decimals)[-1]
    own = number_formats([*terms, np.array([total])], extent.decimals)[-1]
    text = str(total) if isinstance(total, int) else own(total)
    if np.isfinite(total):
        off = missed((kind(value) for value in products.flat), text)
        within = f" (the products as shown add up to that within {number(off, 1)})"
        return f"sum = {text}{within if off else ''}"
    if not all(np.isfinite(array).all() for array in factors):
        return f"sum = {text}"
    if not np.isfinite(products).all():
        return f"sum = {text}: a product is beyond {largest(products.dtype)}"
    exact = sum(Decimal(value.item()) for value in products.flat)
    read = kind(float(exact)) if np.isfinite(float(exact)) else f"{exact:.3e}"
    return f"sum = {text}: the products add up to {read}, beyond {largest(dtype)}"


def marked(filtering: Filtering, window: Window, width: int, most: int = MOST) -> Iterator[Block]:
    """The matrix, or what of it is around, with brackets around the cells under the filter."""
    matrix = filtering.matrix if window.channel is None else filtering.matrix[window.channel]
    axes = (filtering.windows.rows, filtering.windows.columns)
    rows, columns = (
        visible_range(axis, at, most) for axis, at in zip(axes, window.at, strict=True)
    )
    under = [cells_under(axis, at) for axis, at in zip(axes, window.at, strict=True)]
    planes = matrix[None] if matrix.ndim == 2 else matrix[:MOST_CHANNELS]
    parts = np.stack(
        [plane[rows.start : rows.stop, columns.start : columns.stop] for plane in planes]
    )
    each = max(1, (width - 2) // cell_width(parts))
    if len(columns) > each:  # from the window's first column on, as far as there is room
        first = min([c for c in columns if c in under[1]], default=columns.start)
        first = max(columns.start, min(first, columns.stop - each))
        parts = parts[..., first - columns.start : first - columns.start + each]
        columns = range(first, min(first + each, columns.stop))
    marks = np.array([[r in under[0] and c in under[1] for c in columns] for r in rows])
    if (len(rows), len(columns)) != matrix.shape[-2:]:
        yield Paragraph(
            f"rows {rows[0]}–{rows[-1]}, columns {columns[0]}–{columns[-1]} of the matrix:",
            note=True,
        )
    for k, part in enumerate(parts):
        label = [f"channel {k}:"] if matrix.ndim == 3 else []
        yield Lines((*label, *marked_lines(part, marks, "[]")))
    if matrix.ndim == 3 and len(parts) < len(matrix):
        yield Paragraph(f"… and {len(matrix) - len(parts)} more channels like these", note=True)


def with_padding(filtering: Filtering, window: Window, width: int) -> Iterator[Block]:
    """The window's cells, those of the padding in parentheses, where there are any."""
    outside = window.is_padding
    padding = int(np.count_nonzero(outside))
    if not padding:
        return
    text = f"{count_of(padding, 'cell')} of this window on padding ({filtering.padding_mode})"
    planes = window.cells[None] if window.cells.ndim == 2 else window.cells[:MOST_CHANNELS]
    if max(outside.shape) > MOST:
        yield Paragraph(f"{text}.", note=True)
        return
    yield Paragraph(f"{text}, in parentheses:", note=True)
    each = max(1, (width - 2) // cell_width(planes))
    for k, plane in enumerate(planes):
        label = [f"channel {k}:"] if window.cells.ndim == 3 else []
        for start in range(0, plane.shape[1], each):
            part = slice(start, start + each)
            yield Lines((*label, *marked_lines(plane[:, part], outside[:, part], "()")))
            label = []


def cell_width(cells: Array) -> int:
    """How wide a cell of `marked_lines` is, its marks included."""
    (format,) = number_formats([cells], 4)
    return max(len(format(value)) for value in cells.flat) + 2


def marked_lines(cells: Array, marks: Array, pair: str) -> list[str]:
    """Rows of cells, with `pair` around those that are marked."""
    (format,) = number_formats([cells], 4)
    width = cell_width(cells) - 2
    before, after = pair[0], pair[1]
    return [
        "  "
        + "".join(
            f"{before}{format(value):>{width}}{after}" if mark else f" {format(value):>{width}} "
            for value, mark in zip(row, row_marks, strict=True)
        ).rstrip()
        for row, row_marks in zip(cells, marks, strict=True)
    ]


def visible_range(axis: Axis, at: int, most: int = MOST) -> range:
    """The cells of the matrix to show a window in: all of a small axis, or some around it."""
    if axis.size <= most:
        return range(axis.size)
    start = at * axis.stride - axis.before
    first = max(0, min(start - 2, axis.size - 5))
    last = min(axis.size, max(start + axis.reach + 2, first + 5), first + MOST)
    return range(first, last)


def cells_under(axis: Axis, at: int) -> set[int]:
    """The cells of the matrix, padding left out, under a window's taps along one axis."""
    start = at * axis.stride - axis.before
    taps = (start + i * axis.dilation for i in range(axis.kernel))
    return {cell for cell in taps if 0 <= cell < axis.size}


def heat_map(symbol: str, plane: Array, extent: Extent, label: str = "") -> HeatMap:
    rows, columns = extent.row_indices(plane.shape[0]), extent.column_indices(plane.shape[1])
    return HeatMap(symbol, plane, rows, columns, label)
