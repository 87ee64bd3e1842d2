"""Where windows are on a padded image: the geometry that conv and pool layers share."""

from collections.abc import Iterator
from typing import NamedTuple

from numpy.lib.stride_tricks import as_strided

from nncli.nn.arrays import Array

Pair = tuple[int, int]
Padding = str | int | Pair  # "valid", "same", "full", one width, or (rows, columns)


class Axis(NamedTuple):
    """One axis: `size` cells, `before` and `after` cells of padding, a window of `kernel` taps."""

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def padded(self) -> int:
        return self.before + self.size + self.after

    @property
    def reach(self) -> int:
        """How many cells a window spans, the gaps of dilation included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def outputs(self) -> int:
        """floor((in + padding − dilation·(size − 1) − 1) / stride) + 1; below 1 it does not fit."""
        return (self.padded - self.reach) // self.stride + 1

    @property
    def interior(self) -> slice:
        return slice(self.before, self.before + self.size)

    def tap(self, i: int) -> slice:
        """The padded cells that tap `i` meets as its window moves over all outputs."""
        start = i * self.dilation
        return slice(start, start + (self.outputs - 1) * self.stride + 1, self.stride)

    @property
    def is_transposable(self) -> bool:
        """Whether `transposed` exists: a stride leaves gaps, padding may be beyond any tap."""
        return self.stride == 1 and max(self.before, self.after) < self.reach

    def transposed(self) -> "Axis":
        """The axis of the outputs; the window of a cell is the outputs whose windows hold it."""
        before, after = (self.reach - 1 - side for side in (self.before, self.after))
        return Axis(self.outputs, self.kernel, 1, self.dilation, before, after)

    def span(self, outputs: int) -> int:
        """How many padded cells the windows of `outputs` neighbouring outputs cover."""
        return (outputs - 1) * self.stride + self.reach


class Windows(NamedTuple):
    """All windows of a conv or pool layer on images of rows x columns."""

    rows: Axis
    columns: Axis

    @property
    def output_shape(self) -> Pair:
        return self.rows.outputs, self.columns.outputs

    @property
    def padded_shape(self) -> Pair:
        return self.rows.padded, self.columns.padded

    @property
    def overlap(self) -> bool:
        """Whether a cell may be under several windows."""
        return self.rows.stride < self.rows.reach or self.columns.stride < self.columns.reach

    @property
    def is_padded(self) -> bool:
        return self.padded_shape != (self.rows.size, self.columns.size)

    def interior(self, padded: Array) -> Array:
        """The image inside `padded` (channels x rows x columns x samples), as a view."""
        return padded[:, self.rows.interior, self.columns.interior]

    def transposed(self) -> "Windows":
        """The windows of outputs over each cell, tap (i, j) being tap (−i, −j) of the others."""
        return Windows(self.rows.transposed(), self.columns.transposed())

    def lines(self, padded: Array) -> Array:
        """What one row of taps meets on each row of the image: padded rows x kernel columns x

        channels x output columns x samples, a read-only view.
        """
        channels, rows, _, samples = padded.shape
        of_channel, of_row, of_column, of_sample = padded.strides
        columns = self.columns
        shape = (rows, columns.kernel, channels, columns.outputs, samples)
        along = (of_column * columns.dilation, of_channel, of_column * columns.stride)
        return as_strided(padded, shape, (of_row, *along, of_sample), writeable=False)

    def taps(self, padded: Array) -> Iterator[tuple[int, int, Array]]:
        """Each tap (i, j) in reading order with the cells it meets, a view."""
        for i in range(self.rows.kernel):
            for j in range(self.columns.kernel):
                yield i, j, padded[:, self.rows.tap(i), self.columns.tap(j)]


def split_padding(padding: Padding, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """(before, after) of rows and of columns; where a total is odd, the extra one is after."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        rows, columns = ((total // 2, total - total // 2) for total in totals)
        return rows, columns
    if padding == "full":
        rows, columns = ((d * (k - 1),) * 2 for k, d in zip(kernel, dilation, strict=True))
        return rows, columns
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    assert not isinstance(padding, str)
    return (padding[0], padding[0]), (padding[1], padding[1])


def place_windows(
    image: Pair,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
) -> Windows:
    """The windows of `kernel` on an image of rows x columns; they may have no outputs: check."""
    both = split_padding(padding, kernel, dilation)
    rows, columns = (Axis(image[k], kernel[k], stride[k], dilation[k], *both[k]) for k in range(2))
    return Windows(rows, columns)
