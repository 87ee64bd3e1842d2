"""Which algorithm a correlation takes, and its work tile by tile, on one thread or several.

A tile is a rectangle of outputs, small enough for what it needs to stay in the processor's cache.
Tiles are shared out among threads, and a matrix in a file may be larger than memory.

Sums of integers are exact: float64 serves while every partial sum is below 2^53, int64 beyond, and
an output that does not fit into int64 is an error.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import numpy as np

from nncli.core.files import release_pages
from nncli.core.processes import available_threads
from nncli.filtering.algorithm import Algorithm, Scratch, tile_count
from nncli.filtering.direct import Direct
from nncli.filtering.fft import EPSILON, Fft
from nncli.filtering.im2col import Im2col
from nncli.filtering.options import (
    CorrelationError,
    Options,
    checked_windows,
    fill_padded,
    output_like,
)
from nncli.filtering.separable import Separable, rank_one_factors
from nncli.filtering.toeplitz import Toeplitz
from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import Pair, Windows

MAPPED_BYTES = 100 * 2**20  # of a mapped matrix and its output that are in memory at a time
THREADED_SECONDS = 2e-3  # what takes less is done before a second thread has started

ALGORITHMS: dict[str, type[Algorithm]] = {
    "im2col": Im2col,
    "direct": Direct,
    "separable": Separable,
    "toeplitz": Toeplitz,
    "fft": Fft,
}


@dataclass(frozen=True)
class CorrelationPlan:
    """One correlation, ready to run.

    Attributes:
        algorithms: one for each channel, all of one kind.
        dtype: what the sums are carried in, float64 or int64.
        bound: of integers, no partial sum is larger; None for floats.
    """

    image: Array  # channels x rows x columns
    windows: Windows
    mode: str
    summed: bool
    algorithms: list[Algorithm]
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
        """Fills `out`; after every `budget` bytes mapped pages are handed back to the system."""
        grid = out.reshape(-1, *self.windows.output_shape)
        done, tiles = 0, len(grid) * tile_count(self.windows, self.algorithms[0].tile)
        scratches = [Scratch() for _ in range(self.threads)]
        with ThreadPoolExecutor(self.threads) as pool:
            for batch in self._batches(len(grid), budget):
                work = [
                    partial(self._fill, grid, batch[k :: self.threads], scratch)
                    for k, scratch in enumerate(scratches)
                ]
                if self.threads == 1:
                    work[0]()
                else:
                    for future in [pool.submit(share) for share in work]:
                        future.result()
                if budget is not None:
                    release_pages(self.image)
                    release_pages(out)
                done += len(batch)
                if progress is not None:
                    progress(done, tiles)

    def _batches(self, channels: int, budget: int | None) -> Iterator[list[tuple[int, int, int]]]:
        """The tiles by their first (channel, row, column) of the output, a `budget` at a time."""
        tile = self.algorithms[0].tile
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

    def _fill(self, grid: Array, tiles: list[tuple[int, int, int]], scratch: Scratch) -> None:
        height, width = self.algorithms[0].tile
        with np.errstate(all="ignore"):  # an infinite output is an answer
            for channel, row, column in tiles:
                part = grid[channel, row : row + height, column : column + width]
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
            CorrelationError: an output does not fit, or its terms are too large to tell.
        """
        approximate, size = np.zeros(total.shape), np.zeros(total.shape)
        for c in channels:
            approximate += self._tile(c, *start, total.shape, scratch, np.float64)
            size += self._tile(c, *start, total.shape, scratch, np.float64, absolute=True)
        terms = self.algorithms[0].filter.size * len(channels)
        is_too_large = size * (terms + 2) * EPSILON > 2.0**61
        wrong = (np.abs(total - approximate) > 2.0**62) | is_too_large
        if wrong.any():
            row, column = np.argwhere(wrong)[0] + start
            of_channel = f" of channel {channels[0]}" if len(self.output_shape) == 3 else ""
            raise CorrelationError(
                f"the output at {row},{column}{of_channel}, about {approximate[wrong][0]:.4g}, "
                "does not fit into 64 bits, or its terms are too large to tell; give the matrix or "
                "the filter as floats (1.0 for 1)",
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
        """The outputs of one channel from (row, column) on.

        Args:
            absolute: of the absolute values of cells and taps, in place of themselves.
        """
        algorithm, axes = self.algorithms[channel], (self.windows.rows, self.windows.columns)
        size = axes[0].span(shape[0]), axes[1].span(shape[1])
        cells = scratch("cells", size, dtype)
        start = row * axes[0].stride, column * axes[1].stride
        fill_padded(cells, self.image[channel], self.windows, self.mode, *start)
        if absolute:
            algorithm = Direct(np.abs(algorithm.filter.astype(np.float64)), self.windows)
            np.abs(cells, cells)
        sums = algorithm(cells, (shape[0], shape[1]), scratch)
        if isinstance(algorithm, Fft) and self.bound is not None:
            np.rint(sums, sums)
        elif not isinstance(algorithm, Direct) and not np.isfinite(sums.sum()):
            # Products and transforms carry an infinity to outputs that have no part in it.
            direct = Direct(algorithm.filter, self.windows)
            sums = direct(cells, (shape[0], shape[1]), scratch)
        return sums


def plan_correlation(image: Array, filter: Array, **options: Unpack[Options]) -> CorrelationPlan:
    """Checks the arguments, described at `correlate`, and chooses an algorithm.

    Raises:
        CorrelationError: the filter does not fit, an argument makes no sense, or a tap does not fit
            into int64.
    """
    shape, dtype = output_like(image, filter, **options)
    windows = checked_windows(image, filter, **options)
    if options.get("flip", False):
        filter = filter[..., ::-1, ::-1]
    channels = image.reshape(-1, *image.shape[-2:])
    filters = filter.reshape(-1, *filter.shape[-2:])
    summed = options.get("summed", False)
    bound, peak = None, 0.0
    if dtype == np.int64:
        if int(filter.max()) >= 2**63:
            raise CorrelationError(f"a tap of {filter.max()} does not fit into 64 bits", "filter")
        weights = np.abs(filters.astype(np.float64)).sum((1, 2))
        weight = weights.max() * len(channels) if summed else weights.max()
        peak = _largest_absolute(channels)
        bound = float(peak * weight) * (1 + 1e-9)
    sum_dtype = np.int64 if bound is not None and bound >= 2**53 else np.float64
    filters = np.ascontiguousarray(filters.astype(sum_dtype))
    chosen = choose(options.get("algorithm"), applicable(filters, windows, bound, peak), windows)
    algorithms = [chosen(each, windows) for each in filters] * (len(channels) // len(filters))
    seconds = chosen.seconds(windows) * len(channels)
    threads = options.get("threads") or (available_threads() if seconds > THREADED_SECONDS else 1)
    mode = options.get("padding_mode", "zeros")
    return CorrelationPlan(
        channels, windows, mode, summed, algorithms, sum_dtype, bound, shape, dtype, threads
    )


def _largest_absolute(channels: Array) -> float:
    """The largest absolute value, read so that a mapped file does not stay in memory."""
    peak = 0
    rows = max(1, MAPPED_BYTES // 4 // channels[:1, :1].nbytes)
    for channel in channels:
        for top in range(0, len(channel), rows):
            part = channel[top : top + rows]
            peak = max(peak, int(part.max()), -int(part.min()))
            if len(channel) > rows:
                release_pages(channels)
    return float(peak)


def applicable(
    filters: Array, windows: Windows, bound: float | None, peak: float
) -> list[type[Algorithm]]:
    """The algorithms whose output is right: of integers, exact.

    Args:
        filters: channels x rows x columns, in the dtype of the sums.
        bound: as `CorrelationPlan` has it.
        peak: of integers, the largest absolute value of the matrix.
    """
    algorithms: list[type[Algorithm]] = [Direct]
    if filters.dtype == np.int64 or not np.isfinite(filters).all():
        return algorithms
    algorithms += [Im2col, Toeplitz]
    if min(filters.shape[1:]) > 1 and all(rank_one_factors(each) is not None for each in filters):
        algorithms.append(Separable)
    if bound is None:
        return [*algorithms, Fft]
    norm = float(np.sqrt(np.square(filters).sum((1, 2))).max())
    if Fft.error(windows, peak, norm) < 0.25:  # so that rounding is exact
        algorithms.append(Fft)
    return algorithms


def choose(
    name: str | None, algorithms: list[type[Algorithm]], windows: Windows
) -> type[Algorithm]:
    """The one called `name`; with None the one that is estimated to take the least time.

    Raises:
        CorrelationError: there is none of this name, or it is not among `algorithms`.
    """
    if name is None:
        return min(algorithms, key=lambda algorithm: algorithm.seconds(windows))
    if name not in ALGORITHMS:
        raise CorrelationError(
            f"{name!r} is no algorithm; there are {', '.join(ALGORITHMS)}", "algorithm"
        )
    if ALGORITHMS[name] not in algorithms:
        raise CorrelationError(f"{name} does not serve this matrix and this filter", "algorithm")
    return ALGORITHMS[name]
