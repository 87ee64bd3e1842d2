"""A filter over a matrix, as a page: sizes, the output as a heat map, every product."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.jsons import to_json
from nncli.core.text import count_of
from nncli.filtering.options import CorrelationError, Options
from nncli.filtering.record import (
    Backward,
    Filtering,
    Window,
    coverage,
    derivative,
    hadamard_products,
    is_symmetric,
    padding_counts,
    windows_of,
    with_opposite_flip,
)
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis
from nncli.render.formats.document import (
    Block,
    Heading,
    HeatMap,
    Lines,
    Page,
    Paragraph,
    equations,
    statistics,
)
from nncli.render.text import number, shape
from nncli.render.widgets.grid import Extent, formats

MOST = 16  # rows or columns of a matrix that is shown beside its output
SHOWN = 1 << 12  # outputs up to which the products of the way back are shown
SMALL = 1 << 20  # outputs up to which the other way is computed for comparison
MOST_CHANNELS = 4  # channels that are shown
CHANNELS = (("channel", None),)


def filtering_page(
    filtering: Filtering,
    names: tuple[str, str],
    extent: Extent,
    *,
    windows: Sequence[Window] = (),
    other: Array | None = None,
    backward: Backward | None = None,
    notes: Sequence[str] = (),
    width: int = 80,
) -> Page:
    """The whole page.

    Args:
        names: of the matrix and of the filter, as the user gave them.
        extent: what of the output is shown, and of what has its shape.
        other: what `with_opposite_flip` gives, to be shown beside the output.
        width: that lines are kept to.
    """
    matrix, filter = filtering.matrix, filtering.filter
    whole = Extent(full=extent.full)
    page: Page = [
        Heading(
            f"{names[0]} ({shape(matrix.shape)}) with {names[1]} ({shape(filter.shape)})",
            0,
        ),
        Paragraph(kind(filtering)),
        *(Paragraph(text) for text in channels(filtering)),
        Lines(tuple(sizes(filtering))),
        *(Paragraph(text) for text in margins(filtering)),
    ]
    if matrix.shape[-1] <= MOST and matrix.shape[-2] <= MOST and not windows:
        page += equations([("matrix", matrix)], "", whole, CHANNELS)
    if filter.shape[-1] <= MOST and filter.shape[-2] <= MOST:
        page += equations([("filter", filtering.applied)], "", whole, CHANNELS)
    for window in windows:
        page += products(filtering, window, whole, width)
    page += [Heading("output", 2), *heat_maps("output", filtering.output, extent)]
    if other is not None:
        page += comparison(filtering, other, extent)
    if backward is not None:
        page += backward_blocks(filtering, backward, extent)
    return [*page, *(Paragraph(note, note=True) for note in notes)]


def check_extent(matrix: Array, filter: Array, options: Options, extent: Extent) -> None:
    """Raises NncliError where the output has none of the rows or columns to be shown."""
    outputs = windows_of(matrix, filter, options).output_shape
    chosen = (("rows", extent.rows), ("columns", extent.columns))
    for (name, part), size in zip(chosen, outputs, strict=True):
        if part is not None and part.start >= size:
            raise NncliError(
                f"--{name} {part.start}: the output has {size} {name}, from 0 to {size - 1}"
            )


def filtering_json(
    filtering: Filtering,
    windows: Sequence[Window],
    *,
    other: Array | None = None,
    backward: Backward | None = None,
) -> str:
    """By the schema nncli.conv/1, every digit kept; what was asked for beyond it comes last."""
    record = {
        "schema": "nncli.conv/1",
        "matrix_shape": list(filtering.matrix.shape),
        "filter_shape": list(filtering.filter.shape),
        "output_shape": list(filtering.output.shape),
        "output": filtering.output.tolist(),
        "windows": [window_record(window) for window in windows],
    }
    if filtering.matrix.ndim == 3:
        record["channels"] = "sum" if filtering.options.get("summed") else "each"
    if other is not None:
        record |= {name: array.tolist() for name, array in both_ways(filtering, other).items()}
    if backward is not None:
        record["backward"] = {
            "upstream": backward.upstream.tolist(),
            "filter_gradient": backward.filter_gradient.tolist(),
            "matrix_gradient": backward.matrix_gradient.tolist(),
            "check": {
                "checked": backward.checked,
                "max_relative_error": backward.max_relative_error,
                "passed": backward.passed if backward.checked else None,
            },
        }
    return to_json(record)


def window_record(window: Window) -> dict[str, Any]:
    return {
        "at": list(window.at),
        **({} if window.channel is None else {"channel": window.channel}),
        "window": window.cells.tolist(),
        "filter": window.filter.tolist(),
        "hadamard": window.hadamard.tolist(),
        "sum": window.sum,
    }


def kind(filtering: Filtering) -> str:
    """Which of correlation and convolution it was, and whether that makes a difference."""
    done, other = "correlation (no flip, as in a conv layer)", "convolution"
    if filtering.options.get("flip"):
        done, other = "convolution (the filter turned by 180 degrees)", "correlation"
    if is_symmetric(filtering.filter):
        return f"This is {done}; the filter is symmetric, so {other} gives the same."
    if filtering.output.size > SMALL:
        return f"This is {done}; for this filter {other} differs (--compare shows both)."
    try:
        other_output = with_opposite_flip(filtering.matrix, filtering.filter, filtering.options)
    except CorrelationError:  # integers that fit one way only
        return f"This is {done}; for this filter {other} differs."
    difference = difference_of(other_output, filtering.output)
    off = np.abs(difference[np.isfinite(difference)]).max(initial=0)
    if off == 0:
        return f"This is {done}; for this filter {other} differs, though not on this matrix."
    text = f"{off:,}" if difference.dtype.kind == "i" else number(float(off))
    return f"This is {done}; for this filter {other} differs, here by up to {text}."


def difference_of(left: Array, right: Array) -> Array:
    """left − right: of integers exactly, or in float64 where that does not fit into 64 bits."""
    with np.errstate(all="ignore"):  # of two infinities there is no difference
        difference = left.astype(np.float64) - right.astype(np.float64)
    if left.dtype.kind == "i" and np.abs(difference).max() < 2.0**62:
        return left - right
    return difference


def channels(filtering: Filtering) -> Iterator[str]:
    """What became of the channels, where there are any."""
    if filtering.matrix.ndim == 2:
        return
    many = count_of(len(filtering.matrix), "channel")
    has_own = filtering.filter.ndim == 3
    if filtering.options.get("summed"):
        whose = "" if has_own else ", all with the same filter,"
        yield (
            f"The products of {many}{whose} are summed, as in a conv layer; --channels each keeps "
            "them apart."
        )
    else:
        whose = (
            "a filter of its own (groups = channels in PyTorch)" if has_own else "the same filter"
        )
        yield f"Each of {many} is filtered by itself, with {whose}; --channels sum adds them up."


def sizes(filtering: Filtering) -> Iterator[str]:
    yield size_line("rows:   ", filtering.windows.rows)
    yield size_line("columns:", filtering.windows.columns)


def size_line(name: str, axis: Axis) -> str:
    """floor((in + padding − dilation·(size − 1) − 1)/stride) + 1 with the numbers in it."""
    return (
        f"{name} floor(({axis.size} + {axis.before + axis.after} − {axis.dilation}·"
        f"({axis.kernel} − 1) − 1)/{axis.stride}) + 1 = {axis.outputs}"
    )


def margins(filtering: Filtering) -> Iterator[str]:
    rows, columns = (
        coverage(a).unreached for a in (filtering.windows.rows, filtering.windows.columns)
    )
    if rows or columns:
        unreached = f"{count_of(rows, 'row')} and {count_of(columns, 'column')}"
        yield f"No window reaches {unreached} of the matrix."
    windows, cells = padding_counts(filtering.windows)
    if windows:
        total = filtering.windows.rows.outputs * filtering.windows.columns.outputs
        yield (
            f"{windows:,} of {count_of(total, 'window')} meet padding ({filtering.padding_mode}), "
            f"with {count_of(cells, 'cell')} of it in all."
        )


def products(
    filtering: Filtering, window: Window, extent: Extent, width: int = 80
) -> Iterator[Block]:
    """window ⊙ filter = products → sum, with the window marked in the matrix."""
    r, c = window.at
    of_channel = "" if window.channel is None else f" of channel {window.channel}"
    yield Heading(f"output [{r},{c}]{of_channel}", 2)
    yield from marked(filtering, window, width)
    terms = [("window", window.cells), ("filter", window.filter), ("product", window.hadamard)]
    yield from equations(terms, "⊙=", extent, CHANNELS)
    yield from with_padding(filtering, window, width)
    yield Paragraph(sum_line([array for _, array in terms], window.sum, extent))


def sum_line(terms: Sequence[Array], total: float, extent: Extent) -> str:
    """The sum of the products, the last of `terms`, with what is lost by rounding them."""
    kind = formats(terms, extent.decimals)[-1]
    text = str(total) if isinstance(total, int) else kind(total)
    if not np.isfinite(total):
        return f"sum = {text}"
    off = abs(sum(Decimal(kind(value)) for value in terms[-1].flat) - Decimal(text))
    if not off:
        return f"sum = {text}"
    return f"sum = {text} (the products as shown add up to that within {number(float(off), 1)})"


def marked(filtering: Filtering, window: Window, width: int) -> Iterator[Block]:
    """The matrix, or what of it is around, with brackets around the cells under the filter."""
    matrix = filtering.matrix if window.channel is None else filtering.matrix[window.channel]
    axes = (filtering.windows.rows, filtering.windows.columns)
    rows, columns = (around(axis, at) for axis, at in zip(axes, window.at, strict=True))
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
    (format,) = formats([cells], 4)
    return max(len(format(value)) for value in cells.flat) + 2


def marked_lines(cells: Array, marks: Array, pair: str) -> list[str]:
    """Rows of cells, with `pair` around those that are marked."""
    (format,) = formats([cells], 4)
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


def around(axis: Axis, at: int) -> range:
    """The cells of the matrix to show a window in: all of a small axis, or some around it."""
    if axis.size <= MOST:
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


def heat_maps(symbol: str, array: Array, extent: Extent) -> Iterator[Block]:
    if array.ndim == 2:
        yield heat_map(symbol, array, extent)
        return
    shown = len(array) if extent.full else min(len(array), MOST_CHANNELS)
    for k, plane in enumerate(array[:shown]):
        yield heat_map(symbol, plane, extent, f"channel {k}")
    if shown < len(array):
        yield Paragraph(f"… and {len(array) - shown} more channels like these", note=True)
        yield Paragraph(f"{symbol}: {statistics(array)}", note=True)


def heat_map(symbol: str, plane: Array, extent: Extent, label: str = "") -> HeatMap:
    rows, columns = extent.row_indices(plane.shape[0]), extent.column_indices(plane.shape[1])
    return HeatMap(symbol, plane, rows, columns, label)


def both_ways(filtering: Filtering, other: Array) -> dict[str, Array]:
    """The correlation and the convolution."""
    pair = filtering.output, other
    if filtering.options.get("flip"):
        pair = pair[::-1]
    return {"correlation": pair[0], "convolution": pair[1]}


def comparison(filtering: Filtering, other: Array, extent: Extent) -> Iterator[Block]:
    pair = both_ways(filtering, other)
    yield Heading("correlation and convolution", 2)
    difference = difference_of(pair["convolution"], pair["correlation"])
    terms = [(name, pair[name]) for name in ("convolution", "correlation")]
    yield from equations([*terms, ("difference", difference)], "−=", extent, CHANNELS)


def backward_blocks(filtering: Filtering, backward: Backward, extent: Extent) -> Iterator[Block]:
    whole = Extent(full=extent.full)
    yield Heading("backward", 2)
    yield from equations([("∂C/∂output", backward.upstream)], "", extent, CHANNELS)
    yield Paragraph("∂C/∂filter: for each tap the cells that it met ⊙ ∂C/∂output, summed:")
    places = list(np.ndindex(backward.filter_gradient.shape))
    most = len(places) if extent.full or len(places) <= 9 else 2
    shown = 0 if backward.upstream.size > SHOWN else most
    for place in places[:shown]:
        yield from backward_products(filtering, backward, "filter", "cells met", place, extent)
    if 0 < shown < len(places):
        yield Paragraph(f"… and {len(places) - shown} more taps like these", note=True)
    yield from equations([("∂C/∂filter", backward.filter_gradient)], "", whole, CHANNELS)
    yield Paragraph(
        "∂C/∂matrix: for each cell the taps that lay on it, window by window, ⊙ ∂C/∂output, summed"
        + ("; for the cell in the middle:" if shown else ":")
    )
    if shown:
        middle = tuple(size // 2 for size in filtering.matrix.shape[-2:])
        cell = (0,) * (filtering.matrix.ndim - 2) + middle
        yield from backward_products(filtering, backward, "matrix", "taps", cell, extent)
    yield from equations([("∂C/∂matrix", backward.matrix_gradient)], "", whole, CHANNELS)
    if not backward.checked:
        yield Paragraph("Not checked against differences: not all of the numbers are finite.")
        return
    number_checked = count_of(backward.checked, "entry", "entries")
    if backward.checked < backward.entries:
        number_checked = f"{backward.checked:,} of {count_of(backward.entries, 'entry', 'entries')}"
    yield Paragraph(
        f"{'PASSED' if backward.passed else 'FAILED'}: {number_checked} against differences, which "
        "are exact here: the largest relative error is "
        f"{number(backward.max_relative_error, 2)}."
    )


def backward_products(
    filtering: Filtering,
    backward: Backward,
    of: str,
    symbol: str,
    place: tuple[int, ...],
    extent: Extent,
) -> Iterator[Block]:
    """∂output/∂entry ⊙ ∂C/∂output = products → sum, for one entry of the matrix or the filter."""
    met, upstream = derivative(filtering, of, place), backward.upstream
    if upstream.ndim == 3 and len(place) == 3:  # it has a part in the output of its channel alone
        met, upstream = met[place[0]], upstream[place[0]]
    made, total = hadamard_products(met, upstream)
    yield Heading(f"∂C/∂{of} [{','.join(map(str, place))}]", 3)
    terms = [(symbol, met), ("∂C/∂output", upstream), ("product", made)]
    yield from equations(terms, "⊙=", extent, CHANNELS)
    yield Paragraph(sum_line([array for _, array in terms], total, extent))
