"""im2col: the windows as the columns of a matrix, times the filter as a row."""

import math

from nncli.filtering.algorithm import Algorithm, Scratch, output_count, tile_count
from nncli.nn.arrays import Array, execute
from nncli.nn.windows import PATCH_NUMBERS, Pair, Windows, blocks, correlation


class Im2col(Algorithm):
    """As a conv layer computes it (`nncli.nn.windows`): one channel, one filter, one sample."""

    tile = (64, 2048)

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        rows, columns = windows.rows, windows.columns
        gather = rows.stride * columns.kernel * (0.15e-9 if columns.stride == 1 else 0.3e-9)
        each = 0.3e-9 + rows.kernel * columns.kernel * 0.09e-9 + gather
        cells = math.prod(windows.padded_shape) * 0.45e-9
        return output_count(windows) * each + cells + tile_count(windows, cls.tile) * 3e-5

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        sums = scratch("sums", shape)
        # Of a large filter the windows of few columns are enough to fill the cache.
        width = min(self.tile[1], max(16, PATCH_NUMBERS // self.filter.size))
        patches = blocks(
            self.windows_on(cells),
            cells[None, :, :, None],
            width,
            buffer=lambda numbers: scratch("patches", (numbers,)),
        )
        execute(correlation(self.filter.reshape(1, -1), patches, sums[None, :, :, None]))
        return sums
