"""Overlap-save: products of Fourier transforms, a tile at a time."""

import math
from bisect import bisect_left
from functools import cache

import numpy as np

from nncli.filtering.algorithm import Algorithm, Scratch, tile_count
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis, Pair, Windows

EPSILON = 2.0**-53  # the relative error of one rounding in float64

# Powers of two, or next to them: transforms of other sizes take longer, cell for cell.
_FAST_SIZES = sorted(m << a for a in range(25) for m in (1, 3, 5, 9, 15))


def _fast_size(least: int) -> int:
    return _FAST_SIZES[bisect_left(_FAST_SIZES, least)]


@cache
def transform_size(axis: Axis) -> int:
    """The size whose tiles have the fewest cells in total, among those that fit into the cache."""
    limit = max(384, 3 * axis.reach)
    best, fewest = _fast_size(axis.span(1)), math.inf
    for tiles in range(1, axis.outputs + 1):
        size = _fast_size(axis.span(-(-axis.outputs // tiles)))
        if size <= limit and tiles * (size + 16) < fewest:
            best, fewest = size, tiles * (size + 16)
        if size < max(64, 1.5 * axis.reach):
            break
    return best


class Fft(Algorithm):
    """Of the cyclic correlation of a tile with the filter, the outputs that do not wrap around.

    Attributes:
        size: of the transforms, rows x columns.
        spectrum: the conjugate transform of the filter.
    """

    def __init__(self, filter: Array, windows: Windows) -> None:
        super().__init__(filter, windows)
        rows, columns = windows.rows, windows.columns
        self.size = transform_size(rows), transform_size(columns)
        self.tile = self.tile_of(windows)
        taps = np.zeros((rows.reach, columns.reach))
        taps[:: rows.dilation, :: columns.dilation] = filter
        self.spectrum = np.conj(np.fft.rfft2(taps, self.size))

    @staticmethod
    def tile_of(windows: Windows) -> Pair:
        """The outputs that one transform gives."""
        rows, columns = (
            (transform_size(axis) - axis.reach) // axis.stride + 1
            for axis in (windows.rows, windows.columns)
        )
        return rows, columns

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        cells = transform_size(windows.rows) * transform_size(windows.columns)
        return (tile_count(windows, cls.tile_of(windows)) + 1) * (cells * 6.3e-9 + 5e-5)

    @staticmethod
    def error(windows: Windows, peak: float, norm: float) -> float:
        """A bound on the error of an output: cells up to `peak`, a filter of ℓ₂ norm `norm`.

        Three transforms, each within 8·ε·log₂(size) of its input's norm (Percival, Rapid
        multiplication modulo the sum and difference of highly composite numbers, 2003, has a
        smaller constant), and the norm of the cells is at most peak · √size.
        """
        size = transform_size(windows.rows) * transform_size(windows.columns)
        return 24 * math.log2(size + 1) * EPSILON * peak * math.sqrt(size) * norm

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        rows, columns = self.windows.rows, self.windows.columns
        transform = scratch("transform", self.spectrum.shape, np.complex128)
        np.fft.rfft(cells, self.size[1], out=transform[: len(cells)])
        transform[len(cells) :] = 0
        np.fft.fft(transform, axis=0, out=transform)
        np.multiply(transform, self.spectrum, transform)
        np.fft.ifft(transform, axis=0, out=transform)
        output_rows = transform[: rows.span(shape[0]) - rows.reach + 1 : rows.stride]
        sums = scratch("sums", (shape[0], self.size[1]))
        np.fft.irfft(output_rows, self.size[1], out=sums)
        return sums[:, : columns.span(shape[1]) - columns.reach + 1 : columns.stride]
