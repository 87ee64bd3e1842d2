"""The filter as a block Toeplitz matrix: one product with it gives a strip of outputs."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nncli.filtering.algorithm import Algorithm, Scratch, tile_count
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis, Pair, Windows

# Outputs of a strip: with more, more of the matrix is zeros; fewer do not fill the registers.
STRIP = 16
# Multiply-adds of one product. OpenBLAS shares larger ones out to threads of its own, and the
# threads that work on other tiles would have to wait for those.
SINGLE_THREAD_PRODUCT = 2**18


def toeplitz_matrix(taps: Array, axis: Axis, outputs: int) -> Array:
    """The banded Toeplitz matrix that takes the cells under neighbouring windows to their sums.

    Args:
        taps: ... x kernel.
        outputs: the number of windows.

    Returns:
        ... x axis.span(outputs) x outputs: column k holds the taps at k·stride + j·dilation.
    """
    matrix = np.zeros((*taps.shape[:-1], axis.span(outputs), outputs))
    for k in range(outputs):
        start = k * axis.stride
        matrix[..., start : start + axis.reach : axis.dilation, k] = taps
    return matrix


class Toeplitz(Algorithm):
    """Products of strips of the tile with one block Toeplitz matrix, STRIP outputs at a time.

    Each strip of cells is copied into an array of its own. Then all cells under STRIP neighbouring
    windows of a row follow each other in memory, and the windows of every `row_step`th output row,
    which do not overlap, are the rows of a matrix that is a view: no cell is copied twice.
    """

    def __init__(self, filter: Array, windows: Windows) -> None:
        super().__init__(filter, windows)
        rows, columns = windows.rows, windows.columns
        self.span = columns.span(STRIP)
        taps = np.zeros((rows.reach, columns.kernel))
        taps[:: rows.dilation] = filter
        self.matrix = toeplitz_matrix(taps, columns, STRIP).reshape(-1, STRIP)
        self.row_step = -(-rows.reach // rows.stride)
        self.tile = self.tile_of(windows)

    @staticmethod
    def tile_of(windows: Windows) -> Pair:
        """As many rows that do not overlap as one product takes, by 16 strips."""
        rows, matrix = windows.rows, windows.rows.reach * windows.columns.span(STRIP) * STRIP
        height = min(64, max(1, SINGLE_THREAD_PRODUCT // matrix))
        return -(-rows.reach // rows.stride) * height, 16 * STRIP

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        band = windows.rows.reach * windows.columns.span(STRIP)
        outputs = windows.rows.outputs * -(-windows.columns.outputs // STRIP) * STRIP
        each, tiles = 1.5e-9 + 2 * band / 36e9, tile_count(windows, cls.tile_of(windows))
        return outputs * each + band * STRIP * 3e-9 + tiles * 1.7e-5 + 1e-4

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        strips = -(-shape[1] // STRIP)
        copied = self._copy_strips(cells, strips, scratch)
        sums = scratch("sums", (shape[0], strips, STRIP))
        for first in range(min(self.row_step, shape[0])):
            out = sums[first :: self.row_step].transpose(1, 0, 2)
            np.matmul(self._window_rows(copied, first, out.shape[1]), self.matrix, out)
        return sums.reshape(shape[0], -1)[:, : shape[1]]

    def _copy_strips(self, cells: Array, strips: int, scratch: Scratch) -> Array:
        """Strips x rows x span, the last strip filled up with zeros."""
        step = STRIP * self.windows.columns.stride
        copied = scratch("strips", (strips, len(cells), self.span))
        whole = max(0, (cells.shape[1] - self.span) // step + 1)
        row_stride, column_stride = cells.strides
        np.copyto(
            copied[:whole],
            as_strided(
                cells,
                (whole, len(cells), self.span),
                (step * column_stride, row_stride, column_stride),
            ),
        )
        for k in range(whole, strips):
            rest = cells[:, k * step :]
            copied[k, :, : rest.shape[1]] = rest
            copied[k, :, rest.shape[1] :] = 0
        return copied

    def _window_rows(self, strips: Array, first: int, count: int) -> Array:
        """Strips x count x (reach · span): the windows of the rows first, first + row_step, ..."""
        stride, item = self.windows.rows.stride, strips.itemsize
        start = strips[:, first * stride :]
        row_stride = self.row_step * stride * self.span * item
        shape = (len(strips), count, self.windows.rows.reach * self.span)
        return as_strided(start, shape, (strips.strides[0], row_stride, item))
