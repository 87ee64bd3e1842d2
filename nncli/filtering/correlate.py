"""A filter over a matrix: what a conv layer computes, for matrices and filters of any size.

Windows stand where `nncli.nn.windows` puts them, for a conv layer as here. The outputs are worked
out tile by tile, so that what a tile needs stays in the processor's cache, tiles can go to several
threads, and a matrix in a file may be larger than memory. Within a tile there are five ways:

    patches    the windows laid out as columns, times the filter as a row: the conv layer's own way
    shifts     Σ over the taps, each a shifted view of the tile (`Windows.taps`) times a number
    separable  a filter of rank 1 as a column and a row, each a product with a banded matrix
    banded     the tile in strips, each a product with the filter as a block Toeplitz matrix
    fft        the product of the transforms (overlap-save)

The way whose estimated time is least is taken (`Way.seconds`). Sums are carried in float64 and
rounded once, to the dtype of a floating matrix. Integers stay exact: float64 serves while every
partial sum is below 2^53, int64 beyond, and an output that does not fit into int64 is an error.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.filtering.padding import PADDING_MODES, fill_padded, widest
from nncli.nn.arrays import Array, Shape, execute, release
from nncli.nn.parallel.blas import threads_there
from nncli.nn.patches import PATCH_NUMBERS, blocks, correlation
from nncli.nn.windows import Axis, Padding, Pair, Windows, place_windows

BUDGET = 100 * 2**20  # bytes of a mapped matrix and its output that are in memory at once
EPS = 2.0**-53


class CorrelationError(NncliError):
    """A filter that cannot be applied; `key` is the argument to blame."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class How(TypedDict, total=False):
    """The arguments of `correlate` that say how; the defaults are there."""

    stride: Pair
    padding: Padding
    padding_mode: str
    dilation: Pair
    flip: bool
    summed: bool
    way: str | None
    threads: int | None


def correlate(
    image: Array,
    filter: Array,
    *,
    stride: Pair = (1, 1),
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Pair = (1, 1),
    flip: bool = False,
    summed: bool = False,
    way: str | None = None,
    threads: int | None = None,
) -> Array:
    """The cross-correlation of `image` with `filter`: y_rc = Σ_ij f_ij x_(r·s + i·d)(c·s + j·d).

    Args:
        image: rows x columns, or channels x rows x columns; booleans, integers or floats.
        filter: rows x columns, or channels x rows x columns: a filter for each channel.
        padding: valid, same (what is odd goes after), full (every window that meets a cell),
            a width, or (rows, columns).
        padding_mode: zeros, reflect, replicate, circular (as PyTorch has them), or symmetric (as
            NumPy has it).
        flip: true convolution: the filter is turned by 180 degrees first.
        summed: add the channels up, as a conv layer does; the output has no channels then.
        way: patches, shifts, separable, banded or fft; None for what is likely to be the fastest.
        threads: None for as many as OPENBLAS_NUM_THREADS, OMP_NUM_THREADS or the machine allow.

    Returns:
        [channels x] output rows x output columns. A floating image gives its own dtype; integers
        give int64, or, under a floating filter, NumPy's common floating dtype.

    Raises:
        CorrelationError: the filter does not fit, an argument makes no sense, or an output of
            integers does not fit into int64.
    """
    how = How(stride=stride, padding=padding, padding_mode=padding_mode, dilation=dilation)
    how |= How(flip=flip, summed=summed, way=way, threads=threads)
    plan = _plan(image, filter, **how)
    out = np.empty(plan.output_shape, plan.output_dtype)
    plan.run(out)
    return out


def correlate_blocks(
    image: Array,
    filter: Array,
    out: Array,
    *,
    budget: int = BUDGET,
    progress: Callable[[int, int], None] | None = None,
    **how: Unpack[How],
) -> None:
    """`correlate` from one memory-mapped array into another, either of them larger than memory.

    The numbers are those of `correlate` to the bit. After every `budget` bytes read and written
    the pages behind them go back to the system; what was written is kept by its file.

    Args:
        out: of the shape and dtype that `output_like` gives; written.
        progress: called now and then with how much is done and of how much.

    Raises:
        CorrelationError: as `correlate`; or `out` has another shape or dtype.
    """
    shape, dtype = output_like(image, filter, **how)
    if (out.shape, out.dtype) != (shape, dtype):
        raise CorrelationError(
            f"the output is {sizes(shape)} of {dtype}, not {sizes(out.shape)} of {out.dtype}", "out"
        )
    _plan(image, filter, **how).run(out, budget, progress)


def output_like(image: Array, filter: Array, **how: Unpack[How]) -> tuple[Shape, np.dtype[Any]]:
    """The shape and dtype of what `correlate` returns; no number is looked at.

    Raises:
        CorrelationError: the filter does not fit, or an argument makes no sense.
    """
    summed = how.get("summed", False)
    _check_shapes(image, filter, summed)
    windows = _place(image, filter, **how)
    shape = windows.output_shape if summed else (*image.shape[:-2], *windows.output_shape)
    return shape, _output_dtype(image.dtype, filter.dtype)


# What is asked for, checked


def _check_shapes(image: Array, filter: Array, summed: bool) -> None:
    named = f"the matrix is {sizes(image.shape)}, the filter {sizes(filter.shape)}"
    if image.ndim not in (2, 3) or not 2 <= filter.ndim <= image.ndim:
        raise CorrelationError(
            f"{named}; each takes rows x columns, or channels x rows x columns", "filter"
        )
    if filter.ndim == 3 and len(filter) != len(image):
        raise CorrelationError(f"{named}; they differ in their channels", "filter")
    if summed and image.ndim == 2:
        raise CorrelationError(f"{named}; there are no channels to be summed", "summed")
    if 0 in image.shape or 0 in filter.shape:
        raise CorrelationError(f"{named}; neither may be empty", "filter")


def _place(image: Array, filter: Array, **how: Unpack[How]) -> Windows:
    stride, dilation = how.get("stride", (1, 1)), how.get("dilation", (1, 1))
    padding, mode = how.get("padding", "valid"), how.get("padding_mode", "zeros")
    for key, pair in (("stride", stride), ("dilation", dilation)):
        if min(pair) < 1:
            raise CorrelationError(f"{key} must be at least 1, not {sizes(pair)}", key)
    _check_padding(padding, mode)
    rows, columns = image.shape[-2:]
    windows = place_windows((rows, columns), filter.shape[-2:], stride, padding, dilation)
    if min(windows.output_shape) < 1:
        raise CorrelationError(_larger(windows), "filter")
    _check_width(windows, mode)
    return windows


def _check_padding(padding: Padding, mode: str) -> None:
    if isinstance(padding, str):
        if padding not in ("valid", "same", "full"):
            raise CorrelationError(
                f"{padding!r} is no padding; there are valid, same, full, and widths", "padding"
            )
    elif min((padding,) if isinstance(padding, int) else padding) < 0:
        raise CorrelationError(f"padding must be at least 0, not {padding}", "padding")
    if mode not in PADDING_MODES:
        raise CorrelationError(
            f"{mode!r} is no padding mode; there are {', '.join(PADDING_MODES)}", "padding_mode"
        )


def _by(windows: Windows, name: str) -> str:
    return sizes((getattr(windows.rows, name), getattr(windows.columns, name)))


def _larger(windows: Windows) -> str:
    kernel, reach = _by(windows, "kernel"), _by(windows, "reach")
    dilated = f" (reaching over {reach})" if reach != kernel else ""
    padded = f", {_by(windows, 'padded')} with its padding" if windows.is_padded else ""
    matrix = _by(windows, "size")
    return f"a filter of {kernel}{dilated} is larger than the matrix of {matrix}{padded}"


def _check_width(windows: Windows, mode: str) -> None:
    for axis, name in ((windows.rows, "rows"), (windows.columns, "columns")):
        limit, width = widest(mode, axis.size), max(axis.before, axis.after)
        if limit is not None and width > limit:
            raise CorrelationError(
                f"{mode} can pad a matrix of {_by(windows, 'size')} by at most {limit} {name} on "
                f"a side, not by {width} for a filter of {_by(windows, 'kernel')}",
                "padding",
            )


def _output_dtype(image: np.dtype[Any], filter: np.dtype[Any]) -> np.dtype[Any]:
    for name, dtype in (("matrix", image), ("filter", filter)):
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise CorrelationError(
                f"a {name} of {dtype} cannot be used; it takes booleans, integers, or floats of "
                "at most 64 bits",
                name,
            )
    if image.kind == "f":
        return image.newbyteorder("=")
    return np.result_type(image, filter) if filter.kind == "f" else np.dtype(np.int64)


# The ways to fill a tile


class Scratch:
    """Arrays by name, for one thread, kept from tile to tile: fresh memory is slow at first."""

    def __init__(self) -> None:
        self._flat: dict[tuple[str, type], Array] = {}

    def __call__(self, name: str, shape: Shape, dtype: type = np.float64) -> Array:
        """An array of `shape`; what it holds is left over from the last tile."""
        size = math.prod(shape)
        flat = self._flat.get((name, dtype))
        if flat is None or flat.size < size:
            flat = self._flat[name, dtype] = np.empty(size, dtype)
        return flat[:size].reshape(shape)


class Way:
    """How one filter is applied to one tile.

    Attributes:
        tile: how many outputs a tile has, rows x columns; the last ones may have fewer.
    """

    tile: Pair

    def __init__(self, filter: Array, windows: Windows) -> None:
        self.filter = filter
        self.windows = windows

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        """About how long it takes: measured at 2048 x 2048 on one core, and only for choosing."""
        raise NotImplementedError

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        """The outputs of a tile of `shape` from the padded cells that its windows cover."""
        raise NotImplementedError

    def on(self, cells: Array) -> Windows:
        """The windows on the cells of one tile."""
        rows, columns = (
            Axis(size, axis.kernel, axis.stride, axis.dilation)
            for size, axis in zip(
                cells.shape, (self.windows.rows, self.windows.columns), strict=True
            )
        )
        return Windows(rows, columns)


def _outputs(windows: Windows) -> int:
    return math.prod(windows.output_shape)


def _tiles(windows: Windows, tile: Pair) -> int:
    return math.prod(-(-n // t) for n, t in zip(windows.output_shape, tile, strict=True))


class Patches(Way):
    """As a conv layer does it, for an image of one channel, one filter and one sample."""

    tile = (64, 2048)

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        rows, columns = windows.rows, windows.columns
        gather = rows.stride * columns.kernel * (0.15e-9 if columns.stride == 1 else 0.3e-9)
        each = 0.3e-9 + rows.kernel * columns.kernel * 0.09e-9 + gather
        cells = math.prod(windows.padded_shape) * 0.45e-9
        return _outputs(windows) * each + cells + _tiles(windows, cls.tile) * 3e-5

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        sums = scratch("sums", shape)
        # Of a large filter the windows of few columns are enough for the cache.
        wide = min(self.tile[1], max(16, PATCH_NUMBERS // self.filter.size))
        laid = blocks(
            self.on(cells),
            cells[None, :, :, None],
            wide,
            buffer=lambda numbers: scratch("patches", (numbers,)),
        )
        execute(correlation(self.filter.reshape(1, -1), laid, sums[None, :, :, None]))
        return sums


class Shifts(Way):
    """Σ over the taps. The only way for int64, and where a cell is infinite or no number."""

    # Few enough for the cache; with fewer, two threads often wait for each other's interpreter.
    tile = (64, 2048)
    RUN = 11  # how many taps np.correlate takes in one pass; from 12 on it is slow

    @staticmethod
    def is_dense(windows: Windows) -> bool:
        """Whether a row of taps lies side by side, and so do the windows."""
        return windows.rows.stride == windows.columns.stride == windows.columns.dilation == 1

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        rows, columns = windows.rows.kernel, windows.columns.kernel
        if cls.is_dense(windows):
            passes = rows * -(-columns // cls.RUN)
            each = 0.4e-9 + passes * 0.25e-9 + rows * columns * 0.145e-9
        else:
            passes = rows * columns
            each = 1e-9 + passes * (0.37e-9 if windows.columns.stride == 1 else 0.8e-9)
        return _outputs(windows) * each + _tiles(windows, cls.tile) * (passes * 2e-6 + 1e-5)

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        if self.is_dense(self.windows) and cells.dtype == np.float64:
            return self._sum_runs(cells, shape)
        return self._sum_taps(cells, shape, scratch)

    def _sum_taps(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        total, product = (scratch(name, shape, cells.dtype.type) for name in ("sum", "product"))
        total.fill(0)
        for i, j, met in self.on(cells).taps(cells[None]):
            np.multiply(met[0], self.filter[i, j], product)
            np.add(total, product, total)
        return total

    def _sum_runs(self, cells: Array, shape: Pair) -> Array:
        # The cells as one long row: a window that runs over an end lies between the outputs.
        pitch, flat = cells.shape[1], cells.reshape(-1)
        size = (shape[0] - 1) * pitch + shape[1]
        total: Array | None = None
        for start, taps in self._runs(pitch):
            part = np.correlate(flat[start : start + size + len(taps) - 1], taps)
            total = part if total is None else np.add(total, part, total)
        assert total is not None
        return as_strided(total, shape, (pitch * total.itemsize, total.itemsize))

    def _runs(self, pitch: int) -> Iterator[tuple[int, Array]]:
        for i, row in enumerate(self.filter):
            for j in range(0, len(row), self.RUN):
                yield i * self.windows.rows.dilation * pitch + j, row[j : j + self.RUN]


def banded(taps: Array, axis: Axis, outputs: int) -> Array:
    """The matrix that takes the cells under `outputs` neighbouring windows to their sums.

    Args:
        taps: ... x kernel.

    Returns:
        ... x axis.span(outputs) x outputs: column k holds the taps at k·stride + j·dilation.
    """
    matrix = np.zeros((*taps.shape[:-1], axis.span(outputs), outputs))
    for k in range(outputs):
        start = k * axis.stride
        matrix[..., start : start + axis.reach : axis.dilation, k] = taps
    return matrix


STRIP = 16  # outputs of a strip: more waste the zeros of its band, fewer do not fill registers
# Multiply-adds of one product: OpenBLAS leaves larger ones to threads of its own, for which those
# that work on other tiles would wait.
ALONE = 2**18


class Banded(Way):
    """The filter as a block Toeplitz matrix, for strips of a few outputs: one product a strip.

    The cells of a strip are laid out in one piece. Then all cells under STRIP neighbouring
    windows of a row follow each other in memory, and the windows of every q-th row, which do not
    overlap, are the rows of a matrix that is a view: nothing is laid out twice.
    """

    def __init__(self, filter: Array, windows: Windows) -> None:
        super().__init__(filter, windows)
        rows, columns = windows.rows, windows.columns
        self.span = columns.span(STRIP)
        taps = np.zeros((rows.reach, columns.kernel))
        taps[:: rows.dilation] = filter
        self.matrix = banded(taps, columns, STRIP).reshape(-1, STRIP)
        self.apart = -(-rows.reach // rows.stride)
        self.tile = self.tile_of(windows)

    @staticmethod
    def tile_of(windows: Windows) -> Pair:
        """Rows that do not overlap, for as many as one product takes, by 16 strips."""
        rows, matrix = windows.rows, windows.rows.reach * windows.columns.span(STRIP) * STRIP
        return -(-rows.reach // rows.stride) * min(64, max(1, ALONE // matrix)), 16 * STRIP

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        band = windows.rows.reach * windows.columns.span(STRIP)
        outputs = windows.rows.outputs * -(-windows.columns.outputs // STRIP) * STRIP
        each, tiles = 1.5e-9 + 2 * band / 36e9, _tiles(windows, cls.tile_of(windows))
        return outputs * each + band * STRIP * 3e-9 + tiles * 1.7e-5 + 1e-4

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        strips = -(-shape[1] // STRIP)
        laid = self._lay_out(cells, strips, scratch)
        sums = scratch("sums", (shape[0], strips, STRIP))
        for first in range(min(self.apart, shape[0])):
            into = sums[first :: self.apart].transpose(1, 0, 2)
            np.matmul(self._windows(laid, first, into.shape[1]), self.matrix, into)
        return sums.reshape(shape[0], -1)[:, : shape[1]]

    def _lay_out(self, cells: Array, strips: int, scratch: Scratch) -> Array:
        """Strips x rows x span; what a last strip has beyond the cells is zero."""
        step = STRIP * self.windows.columns.stride
        laid = scratch("laid", (strips, len(cells), self.span))
        whole = max(0, (cells.shape[1] - self.span) // step + 1)
        down, right = cells.strides
        np.copyto(
            laid[:whole],
            as_strided(cells, (whole, len(cells), self.span), (step * right, down, right)),
        )
        for k in range(whole, strips):
            rest = cells[:, k * step :]
            laid[k, :, : rest.shape[1]] = rest
            laid[k, :, rest.shape[1] :] = 0
        return laid

    def _windows(self, laid: Array, first: int, count: int) -> Array:
        """Strips x count x (reach · span): the windows of the rows first, first + apart, ..."""
        stride, item = self.windows.rows.stride, laid.itemsize
        start = laid[:, first * stride :]
        down = self.apart * stride * self.span * item
        shape = (len(laid), count, self.windows.rows.reach * self.span)
        return as_strided(start, shape, (laid.strides[0], down, item))


def rank_one(filter: Array) -> tuple[Array, Array] | None:
    """Column and row whose outer product is `filter` to 2·10⁻¹⁵ of its largest tap, if any are.

    They are a column and a row of the filter itself, through its largest tap. Singular vectors
    would be as near, but take longer, and turn the small integers of a known filter to fractions.
    """
    i, j = np.unravel_index(np.argmax(np.abs(filter)), filter.shape)
    largest = filter[i, j]
    if largest == 0 or not np.isfinite(largest):
        return None
    row, column = filter[i], filter[:, j] / largest
    if _all_integers(filter):  # primitive ones, so that the products are integers too
        divisor = np.gcd.reduce(row.astype(np.int64))
        row, column = row / divisor, filter[:, j] / (largest / divisor)
    difference = np.abs(np.multiply.outer(column, row) - filter).max()
    return (column, row) if difference <= 2e-15 * abs(largest) else None


def _all_integers(filter: Array) -> bool:
    return bool((np.abs(filter) < 2**53).all() and (filter == np.rint(filter)).all())


class Separable(Way):
    """A filter of rank 1 in two passes, along its row and then along its column."""

    def __init__(self, filter: Array, windows: Windows) -> None:
        super().__init__(filter, windows)
        factors = rank_one(filter)
        assert factors is not None
        self.axes = windows.rows, windows.columns
        self.down, self.across = (
            banded(taps, axis, STRIP).T for taps, axis in zip(factors, self.axes, strict=True)
        )
        rows = (min(256, ALONE // self.across.size) - windows.rows.reach) // windows.rows.stride
        self.tile = max(STRIP, rows), max(STRIP, min(256, ALONE // self.down.size))

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        flops = sum(2 * axis.span(STRIP) for axis in (windows.rows, windows.columns))
        return _outputs(windows) * (1.2e-9 + flops * windows.rows.stride / 36e9) + 1e-4

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        rows, columns = self.axes
        between = scratch("between", (len(cells), shape[1]))
        multiply_strips(self.across, columns, cells.T, between.T)
        sums = scratch("sums", shape)
        multiply_strips(self.down, rows, between, sums)
        return sums


def multiply_strips(matrix: Array, axis: Axis, cells: Array, into: Array) -> None:
    """Correlates along the first axis of `cells`, by one product for each strip of outputs.

    Args:
        matrix: strip x span, what `banded` made, transposed.
        into: outputs x anything; written.
    """
    strip, span = matrix.shape
    step = strip * axis.stride
    whole, rest = divmod(len(into), strip)
    if whole:
        down, right = cells.strides
        strips = as_strided(cells, (whole, span, cells.shape[1]), (step * down, down, right))
        np.matmul(matrix, strips, into[: whole * strip].reshape(whole, strip, -1))
    if rest:
        span = axis.span(rest)
        np.matmul(matrix[:rest, :span], cells[whole * step :][:span], into[whole * strip :])


# Powers of two, or next to them: transforms of other sizes take longer, cell for cell.
_GOOD_SIZES = sorted(m << a for a in range(25) for m in (1, 3, 5, 9, 15))


def _good_size(least: int) -> int:
    return _GOOD_SIZES[bisect_left(_GOOD_SIZES, least)]


@cache
def transform_size(axis: Axis) -> int:
    """The transform whose tiles have the fewest cells altogether, and that fits into the cache."""
    most = max(384, 3 * axis.reach)
    best, least = _good_size(axis.span(1)), math.inf
    for tiles in range(1, axis.outputs + 1):
        size = _good_size(axis.span(-(-axis.outputs // tiles)))
        if size <= most and tiles * (size + 16) < least:
            best, least = size, tiles * (size + 16)
        if size < max(64, 1.5 * axis.reach):
            break
    return best


class Fft(Way):
    """Overlap-save: of the cyclic correlation of a tile with the filter, what does not wrap."""

    def __init__(self, filter: Array, windows: Windows) -> None:
        super().__init__(filter, windows)
        rows, columns = windows.rows, windows.columns
        self.size = transform_size(rows), transform_size(columns)
        self.tile = self.outputs_of_tile(windows)
        taps = np.zeros((rows.reach, columns.reach))
        taps[:: rows.dilation, :: columns.dilation] = filter
        self.spectrum = np.conj(np.fft.rfft2(taps, self.size))

    @staticmethod
    def outputs_of_tile(windows: Windows) -> Pair:
        rows, columns = (
            (transform_size(axis) - axis.reach) // axis.stride + 1
            for axis in (windows.rows, windows.columns)
        )
        return rows, columns

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        cells = transform_size(windows.rows) * transform_size(windows.columns)
        return (_tiles(windows, cls.outputs_of_tile(windows)) + 1) * (cells * 6.3e-9 + 5e-5)

    @staticmethod
    def error(windows: Windows, peak: float, norm: float) -> float:
        """A bound on the error of an output: cells up to `peak`, a filter of ℓ₂ norm `norm`.

        Three transforms, each within 8·ε·log₂(size) of its input's norm (Percival, Rapid
        multiplication modulo the sum and difference of highly composite numbers, 2003, has a
        smaller constant), and the norm of the cells is at most peak · √size.
        """
        size = transform_size(windows.rows) * transform_size(windows.columns)
        return 24 * math.log2(size + 1) * EPS * peak * math.sqrt(size) * norm

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        rows, columns = self.windows.rows, self.windows.columns
        waves = scratch("waves", self.spectrum.shape, np.complex128)
        np.fft.rfft(cells, self.size[1], out=waves[: len(cells)])
        waves[len(cells) :] = 0
        np.fft.fft(waves, axis=0, out=waves)
        np.multiply(waves, self.spectrum, waves)
        np.fft.ifft(waves, axis=0, out=waves)
        kept = waves[: rows.span(shape[0]) - rows.reach + 1 : rows.stride]
        sums = scratch("sums", (shape[0], self.size[1]))
        np.fft.irfft(kept, self.size[1], out=sums)
        return sums[:, : columns.span(shape[1]) - columns.reach + 1 : columns.stride]


WAYS: dict[str, type[Way]] = {
    "patches": Patches,
    "shifts": Shifts,
    "separable": Separable,
    "banded": Banded,
    "fft": Fft,
}


# All tiles


@dataclass(frozen=True)
class Plan:
    """One correlation, ready to run.

    Attributes:
        ways: one for each channel, all of one kind.
        dtype: what the sums are carried in, float64 or int64.
        bound: of integers, no partial sum is larger; None for floats.
    """

    image: Array  # channels x rows x columns
    windows: Windows
    mode: str
    summed: bool
    ways: list[Way]
    dtype: type
    bound: float | None
    output_shape: Shape
    output_dtype: np.dtype[Any]
    threads: int

    def run(
        self,
        out: Array,
        budget: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Fills `out`; with a `budget`, hands mapped memory back after so many bytes."""
        grid = out.reshape(-1, *self.windows.output_shape)
        done, tiles = 0, len(grid) * _tiles(self.windows, self.ways[0].tile)
        scratches = [Scratch() for _ in range(self.threads)]
        with ThreadPoolExecutor(self.threads) as pool:
            for jobs in self._parts(len(grid), budget):
                work = [
                    partial(self._fill, grid, jobs[k :: self.threads], scratch)
                    for k, scratch in enumerate(scratches)
                ]
                if self.threads == 1:
                    work[0]()
                else:
                    for one in [pool.submit(part) for part in work]:
                        one.result()
                if budget is not None:
                    release(self.image)
                    release(out)
                done += len(jobs)
                if progress is not None:
                    progress(done, tiles)

    def _parts(self, channels: int, budget: int | None) -> Iterator[list[tuple[int, int, int]]]:
        """Where tiles start, as (channel, row, column) of the output, in parts of a `budget`."""
        tile = self.ways[0].tile
        rows, columns = self.windows.output_shape
        if budget is None:
            height = rows
        else:
            read = self.image[:, :1].nbytes * self.windows.rows.stride
            written = channels * columns * self.output_dtype.itemsize
            height = max(1, budget // (read + written) // tile[0]) * tile[0]
        for top in range(0, rows, height):
            yield [
                (channel, row, column)
                for channel in range(channels)
                for row in range(top, min(rows, top + height), tile[0])
                for column in range(0, columns, tile[1])
            ]

    def _fill(self, grid: Array, jobs: list[tuple[int, int, int]], scratch: Scratch) -> None:
        tile = self.ways[0].tile
        with np.errstate(all="ignore"):  # an infinite output is an answer
            for channel, row, column in jobs:
                part = grid[channel, row : row + tile[0], column : column + tile[1]]
                channels = range(len(self.image)) if self.summed else (channel,)
                np.copyto(part, self._sum(channels, row, column, part.shape, scratch), "unsafe")

    def _sum(
        self, channels: range | tuple[int], row: int, column: int, shape: Shape, scratch: Scratch
    ) -> Array:
        if len(channels) == 1:
            total = self._tile(channels[0], row, column, shape, scratch, self.dtype)
        else:
            total = scratch("total", shape, self.dtype)
            total.fill(0)
            for c in channels:
                total += self._tile(c, row, column, shape, scratch, self.dtype)
        if self.bound is not None and self.bound >= 2**63:
            self._check_overflow(total, channels, (row, column), scratch)
        return total

    def _check_overflow(
        self, total: Array, channels: range | tuple[int], start: Pair, scratch: Scratch
    ) -> None:
        """Compares `total`, which is right modulo 2^64, with floating sums wrong by < 2^62.

        Raises:
            CorrelationError: an output does not fit, or its terms are too large to know.
        """
        near, size = np.zeros(total.shape), np.zeros(total.shape)
        for c in channels:
            near += self._tile(c, *start, total.shape, scratch, np.float64)
            size += self._tile(c, *start, total.shape, scratch, np.float64, absolute=True)
        terms = self.ways[0].filter.size * len(channels)
        wrong = (np.abs(total - near) > 2.0**62) | (size * (terms + 2) * EPS > 2.0**61)
        if wrong.any():
            row, column = np.argwhere(wrong)[0] + start
            of_channel = f" of channel {channels[0]}" if len(self.output_shape) == 3 else ""
            raise CorrelationError(
                f"the output at {row},{column}{of_channel}, about {near[wrong][0]:.4g}, does not "
                "fit into 64 bits, or its terms are too large to tell; give the matrix or the "
                "filter as floats (1.0 for 1)",
                "filter",
            )

    def _tile(
        self,
        channel: int,
        row: int,
        column: int,
        shape: Shape,
        scratch: Scratch,
        dtype: type,
        absolute: bool = False,
    ) -> Array:
        """The outputs of one channel from (row, column) on, or those of the absolute values."""
        way, axes = self.ways[channel], (self.windows.rows, self.windows.columns)
        size = axes[0].span(shape[0]), axes[1].span(shape[1])
        cells = scratch("cells", size, dtype)
        start = row * axes[0].stride, column * axes[1].stride
        fill_padded(cells, self.image[channel], self.windows, self.mode, *start)
        if absolute:
            way = Shifts(np.abs(way.filter.astype(np.float64)), self.windows)
            np.abs(cells, cells)
        sums = way(cells, (shape[0], shape[1]), scratch)
        if isinstance(way, Fft) and self.bound is not None:
            np.rint(sums, sums)
        elif not isinstance(way, Shifts) and not np.isfinite(sums.sum()):
            # Products and transforms carry an infinity to outputs that have no part in it.
            sums = Shifts(way.filter, self.windows)(cells, (shape[0], shape[1]), scratch)
        return sums


# Choosing


def _plan(image: Array, filter: Array, **how: Unpack[How]) -> Plan:
    shape, dtype = output_like(image, filter, **how)
    windows = _place(image, filter, **how)
    if how.get("flip", False):
        filter = filter[..., ::-1, ::-1]
    channels = image.reshape(-1, *image.shape[-2:])
    filters = filter.reshape(-1, *filter.shape[-2:])
    summed = how.get("summed", False)
    bound = None
    if dtype == np.int64:
        if int(filter.max()) >= 2**63:
            raise CorrelationError(f"a tap of {filter.max()} does not fit into 64 bits", "filter")
        weights = np.abs(filters.astype(np.float64)).sum((1, 2))
        weight = weights.max() * len(channels) if summed else weights.max()
        peak = _peak(channels)
        bound = float(peak * weight) * (1 + 1e-9)
    carried = np.int64 if bound is not None and bound >= 2**53 else np.float64
    filters = np.ascontiguousarray(filters.astype(carried))
    possible = _possible(filters, windows, bound, 0 if bound is None else peak)
    chosen = _choose(how.get("way"), possible, windows)
    ways = [chosen(each, windows) for each in filters] * (len(channels) // len(filters))
    seconds = chosen.seconds(windows) * len(channels)
    threads = how.get("threads") or (threads_there() if seconds > 2e-3 else 1)
    mode = how.get("padding_mode", "zeros")
    return Plan(channels, windows, mode, summed, ways, carried, bound, shape, dtype, threads)


def _peak(channels: Array) -> float:
    """The largest absolute value, read so that a mapped file does not stay in memory."""
    peak = 0
    rows = max(1, BUDGET // 4 // channels[:1, :1].nbytes)
    for channel in channels:
        for top in range(0, len(channel), rows):
            part = channel[top : top + rows]
            peak = max(peak, int(part.max()), -int(part.min()))
            if len(channel) > rows:
                release(channels)
    return float(peak)


def _possible(
    filters: Array, windows: Windows, bound: float | None, peak: float
) -> list[type[Way]]:
    """The ways that give what is right: for integers, that are exact."""
    if filters.dtype == np.int64:
        return [Shifts]
    ways: list[type[Way]] = [Shifts]
    if not np.isfinite(filters).all():
        return ways
    ways += [Patches, Banded]
    if min(filters.shape[1:]) > 1 and all(rank_one(each) is not None for each in filters):
        ways.append(Separable)
    norm = float(np.sqrt(np.square(filters).sum((1, 2))).max())
    if bound is None or Fft.error(windows, peak, norm) < 0.25:
        ways.append(Fft)
    return ways


def _choose(name: str | None, possible: list[type[Way]], windows: Windows) -> type[Way]:
    if name is None:
        return min(possible, key=lambda way: way.seconds(windows))
    if name not in WAYS:
        raise CorrelationError(f"{name!r} is no way; there are {', '.join(WAYS)}", "way")
    if WAYS[name] not in possible:
        raise CorrelationError(f"{name} does not serve this matrix and this filter", "way")
    return WAYS[name]
