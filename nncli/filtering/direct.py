"""Direct summation: Σ over the taps, each a number times a shifted view of the cells."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nncli.filtering.algorithm import Algorithm, Scratch, output_count, tile_count
from nncli.nn.arrays import Array
from nncli.nn.windows import Pair, Windows

# Taps that np.correlate is given at a time: its loop for up to 11 is unrolled, beyond it is slow.
MAX_TAPS = 11


class Direct(Algorithm):
    """Adds up the products of each output by themselves.

    So it serves every matrix: the only algorithm for sums in int64, and for cells that are infinite
    or NaN, which products of matrices and transforms would carry to other outputs.
    """

    # Few enough for the cache; with fewer, two threads often wait for the interpreter's lock.
    tile = (64, 2048)

    @staticmethod
    def is_contiguous(windows: Windows) -> bool:
        """Whether the taps of a row, and the windows, are next to each other."""
        return windows.rows.stride == windows.columns.stride == windows.columns.dilation == 1

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        rows, columns = windows.rows.kernel, windows.columns.kernel
        if cls.is_contiguous(windows):
            passes = rows * -(-columns // MAX_TAPS)
            each = 0.4e-9 + passes * 0.25e-9 + rows * columns * 0.145e-9
        else:
            passes = rows * columns
            each = 1e-9 + passes * (0.37e-9 if windows.columns.stride == 1 else 0.8e-9)
        per_tile = passes * 2e-6 + 1e-5
        return output_count(windows) * each + tile_count(windows, cls.tile) * per_tile

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        if self.is_contiguous(self.windows) and cells.dtype == np.float64:
            return self._sum_filter_rows(cells, shape)
        return self._sum_taps(cells, shape, scratch)

    def _sum_taps(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        total, product = (scratch(name, shape, cells.dtype.type) for name in ("sum", "product"))
        total.fill(0)
        for i, j, under_tap in self.windows_on(cells).taps(cells[None]):
            np.multiply(under_tap[0], self.filter[i, j], product)
            np.add(total, product, total)
        return total

    def _sum_filter_rows(self, cells: Array, shape: Pair) -> Array:
        # All rows of cells are taken as one long row. Windows that run over the end of a row give
        # values between those of two output rows, which the view that is returned skips.
        row_length, flat = cells.shape[1], cells.reshape(-1)
        size = (shape[0] - 1) * row_length + shape[1]
        total: Array | None = None
        for start, taps in self._filter_rows(row_length):
            part = np.correlate(flat[start : start + size + len(taps) - 1], taps)
            total = part if total is None else np.add(total, part, total)
        assert total is not None
        return as_strided(total, shape, (row_length * total.itemsize, total.itemsize))

    def _filter_rows(self, row_length: int) -> Iterator[tuple[int, Array]]:
        """The rows of the filter by at most MAX_TAPS taps, and the first flat cell of each."""
        for i, row in enumerate(self.filter):
            for j in range(0, len(row), MAX_TAPS):
                start = i * self.windows.rows.dilation * row_length + j
                yield start, row[j : j + MAX_TAPS]
