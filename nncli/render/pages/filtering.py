"""A filter over a matrix, as a page: its sizes, the output as a heat map, every product."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from nncli.app.records import ExplainedFilter
from nncli.core.text import count_of, join_words
from nncli.filtering.options import CorrelationError
from nncli.filtering.record import (
    Backward,
    Filtering,
    Window,
    coverage,
    derivative,
    hadamard_products,
    is_symmetric,
    overflows,
    padding_counts,
    window,
    with_opposite_flip,
)
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis
from nncli.render.document import (
    Block,
    Document,
    Heading,
    Lines,
    Page,
    Paragraph,
    equations,
    statistics,
)
from nncli.render.pages.figures import window_figure
from nncli.render.pages.windows import (
    CHANNELS,
    MOST,
    MOST_CHANNELS,
    heat_map,
    products,
    sum_line,
)
from nncli.render.text import Extent, largest, number, shape
from nncli.render.web.convolution import convolution_page

PRODUCTS = 1 << 12  # outputs up to which the products of the backward pass are shown
SMALL = 1 << 20  # outputs up to which the other way is computed for comparison


def document(explained: ExplainedFilter, extent: Extent, width: int = 80) -> Document:
    """What there is to read of a filter over a matrix, for every format."""
    filtering = explained.filtering
    return Document(
        " with ".join(explained.names),
        lambda: filtering_page(explained, extent, width),
        lambda: filtering_record(explained),
        lambda: {
            "matrix": filtering.matrix,
            "filter": filtering.filter,
            "output": filtering.output,
        },
        lambda: convolution_page(
            " with ".join(explained.names),
            filtering,
            explained.backward,
            filtering_page(explained, extent, width),
            next(iter(explained.indices), None),
        ),
        lambda: window_figure(
            filtering,
            next(iter(explained.indices), (0,) * filtering.output.ndim),
            " with ".join(explained.names),
            extent,
        ),
    )


def filtering_page(explained: ExplainedFilter, extent: Extent, width: int = 80) -> Page:
    """The whole page.

    Args:
        extent: what of the output is shown, and of what has its shape.
        width: that lines are kept to.
    """
    filtering, names = explained.filtering, explained.names
    matrix, filter = filtering.matrix, filtering.filter
    whole = Extent(full=extent.full)
    page: Page = [
        Heading(
            f"{names[0]} ({shape(matrix.shape)}) with {names[1]} ({shape(filter.shape)})",
            0,
        ),
        Paragraph(kind(filtering)),
        *(Paragraph(text) for text in channels(filtering)),
        Lines(tuple(output_sizes(filtering))),
        *(Paragraph(text) for text in margins(filtering)),
    ]
    if matrix.shape[-1] <= MOST and matrix.shape[-2] <= MOST and not explained.indices:
        page += equations([("matrix", matrix)], "", whole, CHANNELS)
    if filter.shape[-1] <= MOST and filter.shape[-2] <= MOST:
        page += filters(filtering, whole)
    for index in explained.indices:
        page += products(filtering, window(filtering, *index), whole, width)
    page += heat_maps("output", filtering.output, extent)
    page += overflow_note(filtering)
    if explained.other is not None:
        page += both_ways_page(filtering, explained.other, extent)
    if explained.backward is not None:
        page += backward_page(filtering, explained.backward, extent)
    return [*page, *(Paragraph(note, note=True) for note in explained.notes)]


def filtering_record(explained: ExplainedFilter) -> dict[str, Any]:
    """By the schema nncli.conv/1, every digit kept; what was asked for beyond it comes last."""
    filtering, backward = explained.filtering, explained.backward
    windows = [window(filtering, *index) for index in explained.indices]
    record: dict[str, Any] = {
        "schema": "nncli.conv/1",
        "matrix_shape": list(filtering.matrix.shape),
        "filter_shape": list(filtering.filter.shape),
        "output_shape": list(filtering.output.shape),
        "output": filtering.output.tolist(),
        "windows": [window_record(each) for each in windows],
    }
    if filtering.matrix.ndim == 3:
        record["channels"] = "sum" if filtering.options.get("summed") else "each"
    if explained.other is not None:
        pair = both_ways(filtering, explained.other)
        record |= {name: array.tolist() for name, array in pair.items()}
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
    return record


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


def output_sizes(filtering: Filtering) -> Iterator[str]:
    yield output_size("rows:   ", filtering.windows.rows)
    yield output_size("columns:", filtering.windows.columns)


def output_size(name: str, axis: Axis) -> str:
    """floor((in + padding − dilation·(size − 1) − 1)/stride) + 1 with the numbers in it."""
    return (
        f"{name} floor(({axis.size} + {axis.before + axis.after} − {axis.dilation}·"
        f"({axis.kernel} − 1) − 1)/{axis.stride}) + 1 = {axis.outputs}"
    )


def margins(filtering: Filtering) -> Iterator[str]:
    rows, columns = (
        coverage(a).unreached for a in (filtering.windows.rows, filtering.windows.columns)
    )
    unreached = [count_of(k, what) for k, what in ((rows, "row"), (columns, "column")) if k]
    if unreached:
        yield f"No window reaches {join_words(unreached, 'and')} of the matrix."
    windows, cells = padding_counts(filtering.windows)
    if windows:
        total = filtering.windows.rows.outputs * filtering.windows.columns.outputs
        yield (
            f"{windows:,} of {count_of(total, 'window')} meet padding ({filtering.padding_mode}), "
            f"with {count_of(cells, 'cell')} of it in all."
        )


def heat_maps(symbol: str, array: Array, extent: Extent) -> Iterator[Block]:
    if array.ndim == 2:
        yield heat_map(symbol, array, extent)
        return
    shown = len(array) if extent.full else min(len(array), MOST_CHANNELS)
    for k, plane in enumerate(array[:shown]):
        yield heat_map(symbol, plane, extent, f"channel {k}")
    if shown < len(array):
        yield Paragraph(
            f"… and {count_of(len(array) - shown, 'more channel')} like these", note=True
        )
        yield Paragraph(f"{symbol}: {statistics(array)}", note=True)


def filters(filtering: Filtering, extent: Extent) -> Iterator[Block]:
    """The filter as it was given, and where it is another, as it is applied."""
    turned = [("turned filter", filtering.applied)] if filtering.options.get("flip") else []
    yield from equations(
        [("filter", filtering.filter), *turned], "→"[: len(turned)], extent, CHANNELS
    )


def overflow_note(filtering: Filtering) -> Iterator[Block]:
    """That outputs are beyond their type, where no cell is."""
    if isinstance(filtering.output, np.memmap) or not (found := overflows(filtering)):
        return
    are = "is" if found == 1 else "are"
    dtype = filtering.output.dtype
    yield Paragraph(
        f"{count_of(found, 'output')} {are} not finite though the cells and the filter are: the "
        f"sum is beyond {largest(dtype)}."
    )


def both_ways(filtering: Filtering, other: Array) -> dict[str, Array]:
    """The correlation and the convolution."""
    pair = filtering.output, other
    if filtering.options.get("flip"):
        pair = pair[::-1]
    return {"correlation": pair[0], "convolution": pair[1]}


def both_ways_page(filtering: Filtering, other: Array, extent: Extent) -> Iterator[Block]:
    pair = both_ways(filtering, other)
    yield Heading("correlation and convolution", 2)
    difference = difference_of(pair["convolution"], pair["correlation"])
    terms = [(name, pair[name]) for name in ("convolution", "correlation")]
    yield from equations([*terms, ("difference", difference)], "−=", extent, CHANNELS)


def backward_page(filtering: Filtering, backward: Backward, extent: Extent) -> Iterator[Block]:
    whole = Extent(full=extent.full)
    yield Heading("backward", 2)
    yield from equations([("∂C/∂output", backward.upstream)], "", extent, CHANNELS)
    yield Paragraph("∂C/∂filter: for each tap the cells that it met ⊙ ∂C/∂output, summed:")
    places = list(np.ndindex(backward.filter_gradient.shape))
    most = len(places) if extent.full or len(places) <= 9 else 2
    shown = 0 if backward.upstream.size > PRODUCTS else most
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
    made = hadamard_products(met, upstream)
    gradient = getattr(backward, f"{of}_gradient")
    yield Heading(f"∂C/∂{of} [{','.join(map(str, place))}]", 3)
    terms = [(symbol, met), ("∂C/∂output", upstream), ("product", made)]
    yield from equations(terms, "⊙=", extent, CHANNELS)
    factors, total = [array for _, array in terms], gradient[place].item()
    yield Paragraph(sum_line(factors, total, gradient.dtype, extent))
