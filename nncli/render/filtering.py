"""A filter over a matrix, as a page: sizes, the output as a heat map, every product."""

from collections.abc import Iterator, Sequence

import numpy as np

from nncli.inspection.filtering import (
    Backward,
    Filtering,
    Window,
    coverage,
    is_symmetric,
    other_way,
    padding_met,
)
from nncli.jsons import to_json
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis
from nncli.render.document import Block, Heading, HeatMap, Lines, Page, Paragraph, equations
from nncli.render.grid import Extent, formats
from nncli.render.text import count, number, shape

SMALL = 1 << 20  # outputs up to which the other way is computed for comparison


def filtering_page(
    filtering: Filtering,
    names: tuple[str, str],
    extent: Extent,
    *,
    windows: Sequence[Window] = (),
    compare: bool = False,
    backward: Backward | None = None,
    notes: Sequence[str] = (),
) -> Page:
    """The whole page. `names`: of the matrix and of the filter, as the user gave them."""
    matrix, filter = filtering.matrix, filtering.filter
    page: Page = [
        Heading(f"{names[0]} ({shape(matrix.shape)}) with {names[1]} ({shape(filter.shape)})", 0),
        Paragraph(kind(filtering)),
        Lines(tuple(sizes(filtering))),
        *(Paragraph(text) for text in margins(filtering)),
    ]
    if matrix.shape[-1] <= 16 and matrix.shape[-2] <= 16 and not windows:
        page += equations([("matrix", matrix)], "", extent, ("channel",))
    if filter.shape[-1] <= 16 and filter.shape[-2] <= 16:
        page += equations([("filter", filtering.applied)], "", extent, ("channel",))
    for window in windows:
        page += products(filtering, window, extent)
    page += [Heading("output", 2), *heat_maps("output", filtering.output, extent)]
    if compare:
        page += comparison(filtering, extent)
    if backward is not None:
        page += backward_blocks(backward, extent)
    return [*page, *(Paragraph(note, note=True) for note in notes)]


def filtering_json(filtering: Filtering, windows: Sequence[Window]) -> str:
    """By the schema nncli.conv/1, every digit kept."""
    return to_json(
        {
            "schema": "nncli.conv/1",
            "matrix_shape": list(filtering.matrix.shape),
            "filter_shape": list(filtering.filter.shape),
            "output_shape": list(filtering.output.shape),
            "output": filtering.output.tolist(),
            "windows": [
                {
                    "at": list(window.at),
                    "window": window.cells.tolist(),
                    "filter": window.filter.tolist(),
                    "hadamard": window.hadamard.tolist(),
                    "sum": window.sum,
                }
                for window in windows
            ],
        }
    )


def kind(filtering: Filtering) -> str:
    """Which of correlation and convolution it was, and whether that makes a difference."""
    done, other = "correlation (no flip, as in a conv layer)", "convolution"
    if filtering.how.get("flip"):
        done, other = "convolution (the filter turned by 180 degrees)", "correlation"
    if is_symmetric(filtering.filter):
        return f"This is {done}; the filter is symmetric, so {other} gives the same."
    if filtering.output.size > SMALL:
        return f"This is {done}; for this filter {other} differs (--compare shows both)."
    off = np.abs(other_way(filtering).astype(np.float64) - filtering.output).max()
    return f"This is {done}; for this filter {other} differs, here by up to {number(float(off))}."


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
        yield (
            f"No window reaches {count(rows, 'row')} and {count(columns, 'column')} of the matrix."
        )
    windows, cells = padding_met(filtering.windows)
    if windows:
        total = filtering.windows.rows.outputs * filtering.windows.columns.outputs
        yield (
            f"{windows:,} of {count(total, 'window')} meet padding ({filtering.padding_mode}), "
            f"with {count(cells, 'cell')} of it in all."
        )


def products(filtering: Filtering, window: Window, extent: Extent) -> Iterator[Block]:
    """window ⊙ filter = products → sum, with the window marked in the matrix."""
    r, c = window.at
    yield Heading(f"output [{r},{c}]", 2)
    if max(filtering.matrix.shape[-2:]) <= 16 and filtering.matrix.ndim == 2:
        yield Lines(tuple(marked(filtering, window)))
    terms = [("window", window.cells), ("filter", window.filter), ("product", window.hadamard)]
    yield from equations(terms, "⊙=", extent, ("channel",))
    padding = int(np.count_nonzero(window.is_padding))
    if padding:
        yield Paragraph(
            f"{count(padding, 'cell')} of this window on padding "
            f"({filtering.padding_mode}), in parentheses:",
            note=True,
        )
        if window.cells.ndim == 2:
            yield Lines(tuple(with_padding(window)))
    shown = formats([window.hadamard], extent.decimals)[0].rounded(window.hadamard).sum()
    off = abs(float(shown) - window.sum)
    told = "" if off < 1e-12 else f" (what is shown sums to that within {off:.0e})"
    yield Paragraph(
        f"sum = {number(window.sum, 10) if window.sum % 1 else f'{window.sum:.0f}'}{told}"
    )


def marked(filtering: Filtering, window: Window) -> list[str]:
    """The matrix with brackets around the cells under the filter."""
    matrix = filtering.matrix
    format = formats([matrix], 4)[0]
    rows, columns = filtering.windows.rows, filtering.windows.columns
    under_rows = cells_under(rows, window.at[0])
    under_columns = cells_under(columns, window.at[1])
    text = [[format(value) for value in row] for row in matrix]
    width = max(len(cell) for row in text for cell in row)
    lines = []
    for r, row in enumerate(text):
        cells = [
            f"[{cell:>{width}}]" if r in under_rows and c in under_columns else f" {cell:>{width}} "
            for c, cell in enumerate(row)
        ]
        lines.append("  " + "".join(cells).rstrip())
    return lines


def with_padding(window: Window) -> list[str]:
    """The window's cells, those of the padding in parentheses."""
    format = formats([window.cells], 4)[0]
    text = [[format(value) for value in row] for row in window.cells]
    width = max(len(cell) for row in text for cell in row)
    return [
        "  "
        + "".join(
            f"({cell:>{width}})" if outside else f" {cell:>{width}} "
            for cell, outside in zip(row, marks, strict=True)
        ).rstrip()
        for row, marks in zip(text, window.is_padding, strict=True)
    ]


def cells_under(axis: Axis, at: int) -> set[int]:
    """The cells of the matrix, padding left out, under a window's taps along one axis."""
    start = at * axis.stride - axis.before
    taps = (start + i * axis.dilation for i in range(axis.kernel))
    return {cell for cell in taps if 0 <= cell < axis.size}


def heat_maps(symbol: str, array: Array, extent: Extent) -> Iterator[Block]:
    planes = array if array.ndim == 3 else array[None]
    for k, plane in enumerate(planes):
        label = f"channel {k}" if array.ndim == 3 else ""
        yield HeatMap(
            symbol,
            plane,
            extent.row_indices(plane.shape[0]),
            extent.column_indices(plane.shape[1]),
            label,
        )


def comparison(filtering: Filtering, extent: Extent) -> Iterator[Block]:
    other = other_way(filtering)
    yield Heading("correlation and convolution", 2)
    pair = [("correlation", filtering.output), ("convolution", other)]
    if filtering.how.get("flip"):
        pair = [("correlation", other), ("convolution", filtering.output)]
    difference = pair[1][1] - pair[0][1]
    yield from equations([pair[1], pair[0], ("difference", difference)], "−=", extent, ("channel",))


def backward_blocks(backward: Backward, extent: Extent) -> Iterator[Block]:
    yield Heading("backward", 2)
    yield from equations([("∂C/∂output", backward.upstream)], "", extent, ("channel",))
    yield Paragraph("∂C/∂filter: for each tap the cells that it met ⊙ ∂C/∂output, summed:")
    yield from equations([("∂C/∂filter", backward.filter_gradient)], "", extent, ("channel",))
    yield Paragraph("∂C/∂matrix: for each cell Σ ∂C/∂output ⊙ filter over the windows it is in:")
    yield from equations([("∂C/∂matrix", backward.matrix_gradient)], "", extent, ("channel",))
    verdict = "PASSED" if backward.max_relative_error < 1e-9 else "FAILED"
    yield Paragraph(
        f"{verdict}: {count(backward.checked, 'entry', 'entries')} against differences, which are "
        f"exact here: the largest relative error is {number(backward.max_relative_error, 2)}."
    )
