"""A filter over a matrix, explained: every window, the sizes, correlation against convolution."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nncli.errors import NncliError
from nncli.nn.arrays import Array
from nncli.nn.correlate import How, correlate
from nncli.nn.correlate_gradient import correlate_gradient
from nncli.nn.padding import sources
from nncli.nn.windows import Axis, Windows, place_windows


@dataclass(frozen=True)
class Filtering:
    """A filter that was applied to a matrix.

    Attributes:
        matrix: rows x columns, or channels x rows x columns.
        filter: as it was given: rows x columns, or one for each channel.
        how: padding, stride, dilation, and whether the filter is turned (true convolution).
        windows: where the filter stood.
        output: what came of it; rows x columns where the channels were summed.
    """

    matrix: Array
    filter: Array
    how: How
    windows: Windows
    output: Array

    @property
    def applied(self) -> Array:
        """The filter as it lay on the matrix: turned by 180 degrees for true convolution."""
        return turned(self.filter) if self.how.get("flip") else self.filter

    @property
    def padding_mode(self) -> str:
        return self.how.get("padding_mode", "zeros")


@dataclass(frozen=True)
class Window:
    """One window: the cells under the filter ⊙ the filter = products, and their sum.

    Arrays have the filter's shape. `is_padding` marks cells that are no cells of the matrix.
    """

    at: tuple[int, int]
    cells: Array
    is_padding: Array
    filter: Array
    hadamard: Array
    sum: float


def apply_filter(matrix: Array, filter: Array, how: How) -> Filtering:
    """Applies a filter and keeps what it was applied to.

    Raises:
        CorrelationError: the filter does not fit, or an argument makes no sense.
    """
    output = correlate(matrix, filter, **how)
    return Filtering(matrix, filter, how, windows_of(matrix, filter, how), output)


def windows_of(matrix: Array, filter: Array, how: How) -> Windows:
    """Where the filter stands."""
    stride, dilation = how.get("stride", (1, 1)), how.get("dilation", (1, 1))
    padding = how.get("padding", "valid")
    return place_windows(matrix.shape[-2:], filter.shape[-2:], stride, padding, dilation)


def turned(filter: Array) -> Array:
    """A filter turned by 180 degrees."""
    return filter[..., ::-1, ::-1]


def window(filtering: Filtering, row: int, column: int, channel: int | None = None) -> Window:
    """The products behind one output; of one channel, where each has an output of its own.

    Raises:
        NncliError: there is no such output.
    """
    rows, columns = filtering.windows.output_shape
    if not (0 <= row < rows and 0 <= column < columns):
        raise NncliError(
            f"there is no output at {row},{column}: rows count from 0 to {rows - 1}, "
            f"columns from 0 to {columns - 1}"
        )
    matrix, filter = filtering.matrix, filtering.applied
    if channel is not None:
        matrix = matrix[channel]
        filter = filter[channel] if filter.ndim == 3 else filter
    axes = (filtering.windows.rows, row), (filtering.windows.columns, column)
    met = [at * axis.stride + axis.dilation * np.arange(axis.kernel) for axis, at in axes]
    read = [
        sources(axis, filtering.padding_mode)[cells]
        for (axis, _), cells in zip(axes, met, strict=True)
    ]
    outside = [
        (cells < axis.before) | (cells >= axis.before + axis.size)
        for (axis, _), cells in zip(axes, met, strict=True)
    ]
    is_padding = outside[0][:, None] | outside[1][None, :]
    is_zero = (read[0] < 0)[:, None] | (read[1] < 0)[None, :]
    cells = np.where(is_zero, 0, matrix[..., read[0][:, None], read[1][None, :]])
    products = cells * filter
    total = products.sum()
    return Window((row, column), cells, is_padding, filter, products, total.item())


def all_windows(filtering: Filtering, channel: int | None = None) -> Iterator[Window]:
    """Every window in reading order."""
    for row, column in np.ndindex(filtering.windows.output_shape):
        yield window(filtering, row, column, channel)


@dataclass(frozen=True)
class Coverage:
    """What of a matrix, and of its padding, the windows meet along one axis.

    Attributes:
        unreached: rows (or columns) of the matrix that no window reaches.
        inside: for each output, how many of its taps lie on the matrix rather than on padding.
    """

    unreached: int
    inside: Array


def coverage(axis: Axis) -> Coverage:
    met = np.zeros(axis.padded, bool)
    inside = np.zeros(axis.outputs, int)
    on_matrix = np.zeros(axis.padded, bool)
    on_matrix[axis.interior] = True
    for i in range(axis.kernel):
        met[axis.tap(i)] = True
        inside += on_matrix[axis.tap(i)]
    return Coverage(int(np.count_nonzero(~met[axis.interior])), inside)


def padding_met(windows: Windows) -> tuple[int, int]:
    """How many windows meet padding, and how many cells of padding they meet in all."""
    rows, columns = coverage(windows.rows).inside, coverage(windows.columns).inside
    height, width = windows.rows.kernel, windows.columns.kernel
    whole = np.count_nonzero(rows == height) * np.count_nonzero(columns == width)
    cells = len(rows) * len(columns) * height * width - int(rows.sum()) * int(columns.sum())
    return len(rows) * len(columns) - int(whole), cells


def is_symmetric(filter: Array) -> bool:
    """Whether turning the filter changes nothing, so that correlation is convolution."""
    return bool(np.array_equal(filter, turned(filter)))


def other_way(filtering: Filtering) -> Array:
    """The output of the other one of correlation and convolution."""
    how = filtering.how | How(flip=not filtering.how.get("flip"))
    return correlate(filtering.matrix, filtering.filter, **how)


@dataclass(frozen=True)
class Backward:
    """∂C/∂filter and ∂C/∂matrix from ∂C/∂output, and how far differences are from them.

    Differences are exact here but for rounding: the output is linear in both.
    """

    upstream: Array
    filter_gradient: Array
    matrix_gradient: Array
    checked: int
    max_relative_error: float


def take_backward(filtering: Filtering, upstream: Array, most: int = 2000) -> Backward:
    """Sends an upstream back through the filter, as a conv layer does, and checks it.

    Args:
        upstream: ∂C/∂output, of the output's shape.
        most: how many entries of each gradient are checked, a seeded choice.

    Raises:
        NncliError: the upstream has another shape.
    """
    if upstream.shape != filtering.output.shape:
        raise NncliError(
            f"the upstream is {'x'.join(map(str, upstream.shape))}, "
            f"the output {'x'.join(map(str, filtering.output.shape))}; they must be alike"
        )
    matrix, filter = (np.asarray(a, np.float64) for a in (filtering.matrix, filtering.filter))
    upstream = np.asarray(upstream, np.float64)
    by_matrix, by_filter = correlate_gradient(matrix, filter, upstream, **filtering.how)
    rng = np.random.default_rng(0)
    worst, checked = 0.0, 0
    for which, gradient in ((0, by_matrix), (1, by_filter)):
        largest = float(np.abs(gradient).max()) or 1.0
        size = gradient.size
        chosen = rng.choice(size, min(size, most), replace=False) if size > most else range(size)
        for flat in chosen:
            unit = np.zeros(gradient.shape)
            unit.flat[flat] = 1
            pair = (unit, filter) if which == 0 else (matrix, unit)
            difference = float((upstream * correlate(*pair, **filtering.how)).sum())
            worst = max(worst, abs(difference - float(gradient.flat[flat])) / largest)
            checked += 1
    return Backward(upstream, by_filter, by_matrix, checked, worst)
