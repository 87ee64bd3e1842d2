"""A filter over a matrix, explained: every window, the sizes, correlation against convolution."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nncli.core.errors import NncliError
from nncli.filtering.correlate import correlate
from nncli.filtering.gradient import correlate_gradient
from nncli.filtering.options import Options
from nncli.filtering.padding import sources
from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import Axis, Windows, place_windows


@dataclass(frozen=True)
class Filtering:
    """A filter that was applied to a matrix.

    Attributes:
        matrix: rows x columns, or channels x rows x columns.
        filter: as it was given: rows x columns, or one for each channel.
        options: padding, stride, dilation, whether the filter is turned (true convolution), and
            whether channels are summed.
        windows: where the filter stood.
        output: what came of it; channels x rows x columns where each channel has its own.
    """

    matrix: Array
    filter: Array
    options: Options
    windows: Windows
    output: Array

    @property
    def applied(self) -> Array:
        """The filter as it lay on the matrix: turned by 180 degrees for true convolution."""
        return turned(self.filter) if self.options.get("flip") else self.filter

    @property
    def padding_mode(self) -> str:
        return self.options.get("padding_mode", "zeros")

    def window(self, *place: int) -> "Window":
        """The products behind one output: see `window`."""
        return window(self, *place)


@dataclass(frozen=True)
class Window:
    """One window: the cells under the filter ⊙ the filter = products, and their sum.

    Arrays are rows x columns of the filter, or channels x rows x columns where channels are summed.
    `is_padding` (rows x columns) marks cells that are no cells of the matrix; `channel` is the one
    that `at` is an output of, where each has its own.
    """

    at: tuple[int, int]
    channel: int | None
    cells: Array
    is_padding: Array
    filter: Array
    hadamard: Array
    sum: float


def apply_filter(matrix: Array, filter: Array, options: Options) -> Filtering:
    """Applies a filter and keeps what it was applied to.

    Raises:
        CorrelationError: the filter does not fit, or an argument makes no sense.
    """
    output = correlate(matrix, filter, **options)
    return Filtering(matrix, filter, options, windows_of(matrix, filter, options), output)


def windows_of(matrix: Array, filter: Array, options: Options) -> Windows:
    """Where the filter stands."""
    stride, dilation = options.get("stride", (1, 1)), options.get("dilation", (1, 1))
    padding = options.get("padding", "valid")
    return place_windows(matrix.shape[-2:], filter.shape[-2:], stride, padding, dilation)


def turned(filter: Array) -> Array:
    """A filter turned by 180 degrees."""
    return filter[..., ::-1, ::-1]


def check_place(place: Shape, outputs: Shape) -> None:
    """Raises NncliError where no output is at `place`, an index of an array of shape `outputs`."""
    if len(place) == len(outputs) and all(0 <= k < n for k, n in zip(place, outputs, strict=True)):
        return
    names = (
        ("channels count", "rows", "columns") if len(outputs) == 3 else ("rows count", "columns")
    )
    counts = (f"{name} from 0 to {size - 1}" for name, size in zip(names, outputs, strict=True))
    raise NncliError(f"there is no output at {','.join(map(str, place))}: {', '.join(counts)}")


def places(outputs: Shape) -> Iterator[Shape]:
    """Every output in reading order, as an index; at each place the channels in turn."""
    for place in np.ndindex(*outputs[-2:]):
        yield from ((*channel, *place) for channel in np.ndindex(*outputs[:-2]))


def window(filtering: Filtering, *place: int) -> Window:
    """The products behind one output.

    Args:
        place: its row and column; before them its channel, where each has an output of its own.

    Raises:
        NncliError: there is no such output.
    """
    check_place(place, filtering.output.shape)
    *channel, row, column = place
    matrix, filter = filtering.matrix, filtering.applied
    if channel:
        matrix = matrix[channel[0]]
        filter = filter[channel[0]] if filter.ndim == 3 else filter
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
    filter = np.broadcast_to(filter, cells.shape)
    products, total = multiplied(cells, filter)
    of_channel = channel[0] if channel else None
    return Window((row, column), of_channel, cells, is_padding, filter, products, total)


def multiplied(cells: Array, filter: Array) -> tuple[Array, float]:
    """cells ⊙ filter and its sum, in float64; or, of integers, exactly, in int64 where that holds.

    Integers too large for it become float64, all but their sum.
    """
    if cells.dtype.kind in "biu" and filter.dtype.kind in "biu":
        exact = cells.astype(object) * filter.astype(object)
        fits = all(abs(product) < 2**63 for product in exact.flat)
        return exact.astype(np.int64 if fits else np.float64), int(exact.sum())
    with np.errstate(all="ignore"):  # an infinite product is an answer
        products = cells.astype(np.float64) * filter.astype(np.float64)
        return products, float(products.sum())


def all_windows(filtering: Filtering) -> Iterator[Window]:
    """Every window in reading order; at each place the channels in turn."""
    return (window(filtering, *place) for place in places(filtering.output.shape))


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


def other_way(matrix: Array, filter: Array, options: Options) -> Array:
    """The output of the other one of correlation and convolution than `options` ask for.

    Raises:
        CorrelationError: the filter does not fit, or an output of integers does not fit into int64.
    """
    return correlate(matrix, filter, **(options | Options(flip=not options.get("flip"))))


@dataclass(frozen=True)
class Backward:
    """∂C/∂filter and ∂C/∂matrix from ∂C/∂output, and how far differences are from them.

    Differences are exact here but for rounding: the output is linear in both.

    Attributes:
        checked: so many of `entries`, all numbers of both gradients; 0 where one is not finite.
        max_relative_error: of an entry, relative to the largest sum of its terms' sizes.
    """

    upstream: Array
    filter_gradient: Array
    matrix_gradient: Array
    checked: int
    max_relative_error: float

    @property
    def entries(self) -> int:
        return self.filter_gradient.size + self.matrix_gradient.size

    @property
    def passed(self) -> bool:
        """Whether no difference contradicts; also where there was none to be taken."""
        return not self.checked or self.max_relative_error < TOLERANCE


TOLERANCE = 1e-9
CHECKED_CELLS = 1 << 26  # of all outputs that are computed for a check, together


def take_backward(filtering: Filtering, upstream: Array, most: int = 2000) -> Backward:
    """Sends an upstream back through the filter, as a conv layer does, and checks it.

    Args:
        upstream: ∂C/∂output, of the output's shape.
        most: how many entries of each gradient are checked, a seeded choice; fewer of large ones.

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
    if not all(np.isfinite(a).all() for a in (matrix, filter, upstream)):
        with np.errstate(all="ignore"):
            by_matrix, by_filter = correlate_gradient(matrix, filter, upstream, **filtering.options)
        return Backward(upstream, by_filter, by_matrix, 0, np.nan)
    by_matrix, by_filter = correlate_gradient(matrix, filter, upstream, **filtering.options)
    # What cancels leaves rounding behind: errors are measured by the terms, not by their sum.
    terms = correlate_gradient(
        np.abs(matrix), np.abs(filter), np.abs(upstream), **filtering.options
    )
    rng = np.random.default_rng(0)
    worst, checked = 0.0, 0
    most = max(10, min(most, CHECKED_CELLS // (matrix.size + upstream.size)))
    for which, gradient in ((0, by_matrix), (1, by_filter)):
        largest = float(terms[which].max()) or 1.0
        size = gradient.size
        chosen = rng.choice(size, min(size, most), replace=False) if size > most else range(size)
        for flat in chosen:
            unit = np.zeros(gradient.shape)
            unit.flat[flat] = 1
            pair = (unit, filter) if which == 0 else (matrix, unit)
            difference = float((upstream * correlate(*pair, **filtering.options)).sum())
            worst = max(worst, abs(difference - float(gradient.flat[flat])) / largest)
            checked += 1
    return Backward(upstream, by_filter, by_matrix, checked, worst)


def derivative(filtering: Filtering, of: str, place: tuple[int, ...]) -> Array:
    """∂output/∂entry of the "matrix" or the "filter" at `place`, for each output.

    For a tap of the filter these are the cells that it met; for a cell of the matrix the tap that
    lay on it, or the sum of taps where padding repeats it.
    """
    unit = np.zeros((filtering.matrix if of == "matrix" else filtering.filter).shape)
    unit[place] = 1
    if of == "matrix":
        return correlate(unit, np.asarray(filtering.filter, np.float64), **filtering.options)
    return correlate(np.asarray(filtering.matrix, np.float64), unit, **filtering.options)
