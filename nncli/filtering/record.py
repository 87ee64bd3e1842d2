"""What `nncli conv` shows of a filter over a matrix: windows, products, coverage, gradients."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.filtering.correlate import correlate, correlate_gradient
from nncli.filtering.options import Options
from nncli.nn.arrays import Array, Shape
from nncli.nn.padding import sources
from nncli.nn.windows import Axis, Windows, place_windows


@dataclass(frozen=True)
class Filtering:
    """A filter that was applied to a matrix.

    Attributes:
        matrix: rows x columns, or channels x rows x columns.
        filter: as it was given: rows x columns, or one for each channel.
        options: padding, stride, dilation, whether it is true convolution, and whether channels are
            summed.
        windows: where the filter was applied.
        output: rows x columns, or channels x rows x columns where each channel has an output.
        backward: what flows back of an upstream gradient, where one was given.
    """

    matrix: Array
    filter: Array
    options: Options
    windows: Windows
    output: Array
    backward: "Backward | None" = None

    @property
    def applied(self) -> Array:
        """The filter that windows are multiplied with: flipped for true convolution."""
        return flipped(self.filter) if self.options.get("flip") else self.filter

    @property
    def padding_mode(self) -> str:
        return self.options.get("padding_mode", "zeros")

    def window(self, *index: int) -> "Window":
        """The products behind one output: see `window`."""
        return window(self, *index)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


@dataclass(frozen=True)
class Window:
    """One window: the cells under the filter ⊙ the filter = products, and their sum.

    Arrays are rows x columns of the filter, or channels x rows x columns where channels are summed.
    `is_padding` (rows x columns) marks cells of padding. `at` is the row and column of the output,
    `channel` its channel where each has an output. `sum` is the output itself, rounded as it is.
    """

    at: tuple[int, int]
    channel: int | None
    cells: Array
    is_padding: Array
    filter: Array
    hadamard: Array
    sum: float


def apply_filter(matrix: Array, filter: Array, options: Options) -> Filtering:
    """Applies a filter and keeps the matrix with the output.

    Raises:
        CorrelationError: the filter does not fit, or an argument makes no sense.
    """
    output = correlate(matrix, filter, **options)
    return Filtering(matrix, filter, options, filter_windows(matrix, filter, options), output)


def filter_windows(matrix: Array, filter: Array, options: Options) -> Windows:
    """Where the filter is applied."""
    stride, dilation = options.get("stride", (1, 1)), options.get("dilation", (1, 1))
    padding = options.get("padding", "valid")
    return place_windows(matrix.shape[-2:], filter.shape[-2:], stride, padding, dilation)


def flipped(filter: Array) -> Array:
    """A filter with its rows and columns reversed: turned by 180 degrees."""
    return filter[..., ::-1, ::-1]


def check_index(index: Shape, outputs: Shape) -> None:
    """Raises NncliError where an array of shape `outputs` has no entry at `index`."""
    if len(index) == len(outputs) and all(0 <= k < n for k, n in zip(index, outputs, strict=True)):
        return
    names = (
        ("channels count", "rows", "columns") if len(outputs) == 3 else ("rows count", "columns")
    )
    counts = (f"{name} from 0 to {size - 1}" for name, size in zip(names, outputs, strict=True))
    raise NncliError(f"there is no output at {','.join(map(str, index))}: {', '.join(counts)}")


def output_indices(outputs: Shape) -> Iterator[Shape]:
    """The index of every output in reading order; at each row and column the channels in turn."""
    return (output_index(outputs, k) for k in range(math.prod(outputs)))


def output_index(outputs: Shape, k: int) -> Shape:
    """The index of the k-th output, see `output_indices`."""
    *channels, _, columns = outputs
    place, channel = divmod(k, math.prod(channels))
    return (*[channel][: len(channels)], *divmod(place, columns))


def window(filtering: Filtering, *index: int) -> Window:
    """The products behind one output.

    Args:
        index: its row and column; before them its channel, where each has an output.

    Raises:
        NncliError: there is no such output.
    """
    check_index(index, filtering.output.shape)
    *channel, row, column = index
    matrix, filter = filtering.matrix, filtering.applied
    if channel:
        matrix = matrix[channel[0]]
        filter = filter[channel[0]] if filter.ndim == 3 else filter
    axes = (filtering.windows.rows, row), (filtering.windows.columns, column)
    covered = [at * axis.stride + axis.dilation * np.arange(axis.kernel) for axis, at in axes]
    read = [
        sources(axis, filtering.padding_mode)[cells]
        for (axis, _), cells in zip(axes, covered, strict=True)
    ]
    outside = [
        (cells < axis.before) | (cells >= axis.before + axis.size)
        for (axis, _), cells in zip(axes, covered, strict=True)
    ]
    is_padding = outside[0][:, None] | outside[1][None, :]
    is_zero = (read[0] < 0)[:, None] | (read[1] < 0)[None, :]
    cells = np.where(is_zero, 0, matrix[..., read[0][:, None], read[1][None, :]])
    filter = np.broadcast_to(filter, cells.shape)
    products = hadamard_products(cells, filter)
    of_channel = channel[0] if channel else None
    total = filtering.output[index].item()
    return Window((row, column), of_channel, cells, is_padding, filter, products, total)


def hadamard_products(cells: Array, filter: Array) -> Array:
    """cells ⊙ filter in float64, in which sums are carried; exact for integers.

    Products of integers that do not fit into int64 are rounded to float64.
    """
    products: Array
    if cells.dtype.kind in "biu" and filter.dtype.kind in "biu":
        products = cells.astype(object) * filter.astype(object)
        fits = all(abs(product) < 2**63 for product in products.flat)
        return products.astype(np.int64 if fits else np.float64)
    with np.errstate(all="ignore"):  # an infinite product is an answer
        products = cells.astype(np.float64) * filter.astype(np.float64)
    return products


def overflows(filtering: Filtering) -> int:
    """How many outputs are beyond their type though every cell under the filter is finite."""
    if filtering.output.dtype.kind in "biu":  # `correlate` raises where one does not fit
        return 0
    beyond = ~np.isfinite(filtering.output)
    if not beyond.any():
        return 0
    matrix, filter = (~np.isfinite(a) for a in (filtering.matrix, filtering.filter))
    met = correlate(matrix.astype(int), np.ones(filter.shape, int), **filtering.options)
    return 0 if filter.any() else int(np.count_nonzero(beyond & (met == 0)))


@dataclass(frozen=True)
class Coverage:
    """How much of a matrix, and of its padding, the windows cover along one axis.

    Attributes:
        unreached: rows (or columns) of the matrix that no window reaches.
        inside: for each output, how many of its taps are on the matrix rather than on padding.
    """

    unreached: int
    inside: Array


def coverage(axis: Axis) -> Coverage:
    covered = np.zeros(axis.padded, bool)
    inside = np.zeros(axis.outputs, int)
    on_matrix = np.zeros(axis.padded, bool)
    on_matrix[axis.interior] = True
    for i in range(axis.kernel):
        covered[axis.tap(i)] = True
        inside += on_matrix[axis.tap(i)]
    return Coverage(int(np.count_nonzero(~covered[axis.interior])), inside)


def padding_counts(windows: Windows) -> tuple[int, int]:
    """How many windows have cells of padding, and how many such cells they have in all."""
    rows, columns = coverage(windows.rows).inside, coverage(windows.columns).inside
    height, width = windows.rows.kernel, windows.columns.kernel
    whole = np.count_nonzero(rows == height) * np.count_nonzero(columns == width)
    cells = len(rows) * len(columns) * height * width - int(rows.sum()) * int(columns.sum())
    return len(rows) * len(columns) - int(whole), cells


def is_symmetric(filter: Array) -> bool:
    """Whether flipping the filter changes nothing, so that correlation is convolution."""
    return bool(np.array_equal(filter, flipped(filter)))


def with_opposite_flip(matrix: Array, filter: Array, options: Options) -> Array:
    """The output of convolution where `options` ask for correlation, and the reverse.

    Raises:
        CorrelationError: the filter does not fit, or an output of integers does not fit into int64.
    """
    return correlate(matrix, filter, **(options | Options(flip=not options.get("flip"))))


@dataclass(frozen=True)
class Backward:
    """∂C/∂filter and ∂C/∂matrix from ∂C/∂output, checked against differences.

    The output is linear in both, so that differences are exact but for rounding.

    Attributes:
        checked: how many of the `entries` of both gradients; 0 where a number is not finite.
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
        """Whether all that were checked agree; also where none were."""
        return not self.checked or self.max_relative_error < TOLERANCE


TOLERANCE = 1e-9
CHECKED_CELLS = 1 << 26  # outputs that are computed for a check, in total


def backward_pass(filtering: Filtering, upstream: Array, most: int = 2000) -> Backward:
    """The gradients of a filter that was applied, as a conv layer has them, with their check.

    Args:
        upstream: ∂C/∂output, of the output's shape.
        most: how many entries of each gradient are checked, drawn with a fixed seed; fewer where
            the matrix is large.

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
    options = filtering.options
    with np.errstate(all="ignore"):  # an infinite gradient is an answer
        by_matrix, by_filter = correlate_gradient(matrix, filter, upstream, **options)
    if not all(np.isfinite(a).all() for a in (matrix, filter, upstream)):
        return Backward(upstream, by_filter, by_matrix, 0, np.nan)
    # Terms that cancel leave rounding behind: errors are relative to the terms, not to their sum.
    terms = correlate_gradient(np.abs(matrix), np.abs(filter), np.abs(upstream), **options)
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
            difference = float((upstream * correlate(*pair, **options)).sum())
            worst = max(worst, abs(difference - float(gradient.flat[flat])) / largest)
            checked += 1
    return Backward(upstream, by_filter, by_matrix, checked, worst)


def derivative(filtering: Filtering, of: str, index: tuple[int, ...]) -> Array:
    """∂output/∂entry of the "matrix" or the "filter" at `index`, for each output.

    For a tap of the filter these are the cells under it; for a cell of the matrix the tap that is
    multiplied with it, or the sum of taps where padding repeats it.
    """
    unit = np.zeros((filtering.matrix if of == "matrix" else filtering.filter).shape)
    unit[index] = 1
    if of == "matrix":
        return correlate(unit, np.asarray(filtering.filter, np.float64), **filtering.options)
    return correlate(np.asarray(filtering.matrix, np.float64), unit, **filtering.options)
