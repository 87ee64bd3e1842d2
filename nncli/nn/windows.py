"""Windows on a padded image: where they are, and copied to the columns of matrices (im2col).

Copied one by one, windows would fill as many times the image as a filter has taps. So the cells
under one row of taps are copied line by line, and the windows of an output row are as many lines as
the kernel has rows: with a kernel of 3 rows, output row r has lines r, r+1 and r+2. They are a
matrix, and that of output row r+1 is the same memory from a line further on. The idea is that of
MEC (Cho and Brand, MEC: memory-efficient convolution for deep neural network, 2017); here a block
of outputs at a time is copied, which stays in the cache while it is multiplied.

A conv layer does so forward and backward, with the samples of a mini-batch side by side;
`nncli.filtering` does so with the tiles of one matrix, where windows are not side by side.
"""

from collections.abc import Callable, Iterable, Iterator
from math import ceil, gcd, prod
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nncli.nn.arrays import Array, Operations, bind

Pair = tuple[int, int]
# "valid", "same", "same_upper", "full", one width, (rows, columns), or each as (before, after)
Padding = str | int | Pair | tuple[Pair, Pair]


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

    def cell(self, output: int, i: int) -> int:
        """The cell of the image under tap `i` in the window of an output; outside it: padding."""
        return output * self.stride + i * self.dilation - self.before

    @property
    def is_transposable(self) -> bool:
        """Whether `transposed` exists: a stride leaves gaps, padding may be beyond any tap."""
        return self.stride == 1 and max(self.before, self.after) < self.reach

    def transposed(self) -> "Axis":
        """The axis of the outputs; the window of a cell is the outputs whose windows hold it."""
        before, after = (self.reach - 1 - side for side in (self.before, self.after))
        return Axis(self.outputs, self.kernel, 1, self.dilation, before, after)

    def taps_within(self, cells: slice) -> Array:
        """How many taps of each window lie on these padded cells."""
        outputs, taps = np.arange(self.outputs)[:, None], np.arange(self.kernel)
        at = outputs * self.stride + taps * self.dilation
        found: Array = np.add.reduce((at >= cells.start) & (at < cells.stop), axis=1, dtype=int)
        return found

    def with_last_window(self) -> "Axis":
        """The axis where what a stride leaves over has a window too, which reaches beyond it.

        As PyTorch's ceil_mode: a window begins on the image or on the padding before it.
        """
        outputs = -((self.reach - self.padded) // self.stride) + 1
        if (outputs - 1) * self.stride >= self.before + self.size:
            outputs -= 1
        beyond = self.span(outputs) - self.padded
        return self._replace(after=self.after + max(0, beyond)) if outputs > 0 else self

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
        return any(axis.outputs > 1 and axis.stride < axis.reach for axis in self)

    @property
    def is_padded(self) -> bool:
        return self.padded_shape != (self.rows.size, self.columns.size)

    def on_padded(self) -> "Windows":
        """The same windows with the padded image for an image without padding."""
        rows, columns = (axis._replace(size=axis.padded, before=0, after=0) for axis in self)
        return Windows(rows, columns)

    def interior(self, padded: Array) -> Array:
        """The image inside `padded` (channels x rows x columns x samples), as a view."""
        return padded[:, self.rows.interior, self.columns.interior]

    def transposed(self) -> "Windows":
        """The windows of outputs over each cell, tap (i, j) being tap (−i, −j) of the others."""
        return Windows(self.rows.transposed(), self.columns.transposed())

    def lines(self, padded: Array) -> Array:
        """What one row of taps meets on each row of the image, a read-only view.

        padded rows x kernel columns x channels x output columns x samples.
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


def split_padding(
    padding: Padding, image: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> tuple[Pair, Pair]:
    """(before, after) of rows and of columns; where a total is odd, the extra one is after.

    `same` pads by the kernel alone, as PyTorch does; `same_upper` by what ceil(size / stride)
    windows need, as TensorFlow and ONNX do. They are alike where the stride is 1.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        rows, columns = ((total // 2, total - total // 2) for total in totals)
        return rows, columns
    if padding == "same_upper":
        axes = [Axis(*sizes) for sizes in zip(image, kernel, stride, dilation, strict=True)]
        totals = [max(axis.span(-(-axis.size // axis.stride)) - axis.size, 0) for axis in axes]
        rows, columns = ((total // 2, total - total // 2) for total in totals)
        return rows, columns
    if padding == "full":
        rows, columns = ((d * (k - 1),) * 2 for k, d in zip(kernel, dilation, strict=True))
        return rows, columns
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    assert not isinstance(padding, str)
    rows, columns = (side if isinstance(side, tuple) else (side, side) for side in padding)
    return rows, columns


def place_windows(
    image: Pair,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
    *,
    ceil_mode: bool = False,
) -> Windows:
    """The windows of `kernel` on an image of rows x columns; they may have no outputs: check.

    Args:
        ceil_mode: whether what a stride leaves over has a window too, see `Axis.with_last_window`.
    """
    both = split_padding(padding, image, kernel, stride, dilation)
    rows, columns = (Axis(image[k], kernel[k], stride[k], dilation[k], *both[k]) for k in range(2))
    if ceil_mode:
        rows, columns = rows.with_last_window(), columns.with_last_window()
    return Windows(rows, columns)


# Multiply-adds of one product. Below a million OpenBLAS has kernels for small matrices, which on
# AVX-512 take two thirds of the time: 8.9 us for 32 filters of 288 taps on 96 windows, and not 16.9
# for 128 of them.
PRODUCT = 1_000_000
PATCH_NUMBERS = 1 << 18  # numbers copied at a time: few enough for the cache


def product_width(weights: int) -> int:
    """How many windows a product with filters of so many weights takes."""
    return PRODUCT // weights


class Block(NamedTuple):
    """Some outputs of a correlation: copy `cells` to `patches`, then multiply `windows`."""

    patches: Array  # lines x taps of a row x channels x columns x samples, shared by all blocks
    cells: Array  # the same as they are in the image, a view
    windows: Array  # output rows x taps x (columns · samples): matrices that overlap in `patches`
    rows: slice  # of the outputs
    columns: slice

    def matrices(self, outputs: Array) -> Array:
        """This block's part of `outputs` (filters x rows x columns x samples), a view.

        rows x filters x (columns · samples): an output row a matrix. See `single_column_as_row`.
        """
        share = outputs[:, self.rows, self.columns]
        return share.reshape(len(outputs), len(self.windows), -1).swapaxes(0, 1)


def chunks(length: int, longest: int) -> Iterator[slice]:
    """A range of `length` in as few slices as possible, about equal and none above `longest`."""
    size = ceil(length / ceil(length / longest))  # of all but the last, which may be shorter
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


class BlockPlace(NamedTuple):
    """Where a block's outputs are, and the padded rows that their windows cover."""

    lines: slice
    rows: slice
    columns: slice


def block_places(windows: Windows, channels: int, samples: int, width: int) -> Iterator[BlockPlace]:
    """By chunks of columns, phases of a dilation, and chunks of rows; the first is as large as any.

    Args:
        width: as `blocks` has it.
    """
    rows, columns = windows
    # With a dilation it is not neighbours that have lines in common, but every `phases`th row.
    pace, phases = row_steps(windows)
    longest = max(1, width // samples)
    widest = next(chunks(columns.outputs, longest)).stop
    line = columns.kernel * channels * widest * samples
    high = max(rows.kernel, (PATCH_NUMBERS // line - rows.kernel) // pace + 1)
    # As the first phase has it: a later one may have a row less, and would take more at a time.
    highest = next(chunks(ceil(rows.outputs / phases), high)).stop
    for piece in chunks(columns.outputs, longest):
        for phase in range(min(phases, rows.outputs)):
            of_phase = range(phase, rows.outputs, phases)
            for chunk in chunks(len(of_phase), highest):
                part = of_phase[chunk]
                first, last = part[0] * rows.stride, part[-1] * rows.stride
                lines = slice(first, last + rows.reach, rows.dilation)
                yield BlockPlace(lines, slice(part[0], part[-1] + 1, phases), piece)


def is_single_column(windows: Windows) -> bool:
    """Whether the image is a single column: a series of numbers, say."""
    return windows.columns.padded == 1


def single_column_as_row(windows: Windows) -> Windows:
    """A single column as a row, whose outputs one product takes; the taps are in the same order."""
    return Windows(windows.columns, windows.rows) if is_single_column(windows) else windows


def patch_numbers(windows: Windows, channels: int, samples: int, width: int) -> int:
    """How many numbers the buffer of `blocks` holds: those of its first block, the largest."""
    windows = single_column_as_row(windows)
    first = next(block_places(windows, channels, samples, width))
    lines, columns = range(windows.rows.padded)[first.lines], range(windows.columns.outputs)
    windows_across = len(columns[first.columns]) * samples
    return len(lines) * windows.columns.kernel * channels * windows_across


def row_steps(windows: Windows) -> Pair:
    """(pace, phases) of output rows that read the same lines.

    Among every `dilation`th line, the window of the output row `phases` further on begins `pace`
    lines further on.
    """
    common = gcd(windows.rows.stride, windows.rows.dilation)
    return windows.rows.stride // common, windows.rows.dilation // common


def blocks(
    windows: Windows, padded: Array, width: int, *, buffer: Callable[[int], Array]
) -> list[Block]:
    """All outputs of a correlation.

    Args:
        padded: channels x rows x columns x samples.
        width: the most windows (columns · samples) of a product; it takes those of one column in
            any case.
        buffer: makes a flat array for the patches, of so many numbers.
    """
    channels, *_, samples = padded.shape
    numbers = patch_numbers(windows, channels, samples, width)
    is_column = is_single_column(windows)
    if is_column:
        windows, padded = single_column_as_row(windows), padded.swapaxes(1, 2)
    lines = windows.lines(padded)
    flat = buffer(numbers)
    pace, _ = row_steps(windows)
    found = []
    for place in block_places(windows, channels, samples, width):
        view = lines[place.lines, :, :, place.columns]
        patches = flat[: view.size].reshape(view.shape)
        taps, across = windows.rows.kernel * prod(view.shape[1:3]), prod(view.shape[3:])
        strides = (pace * patches.strides[0], patches.strides[2], patches.itemsize)
        shape = ((len(view) - windows.rows.kernel) // pace + 1, taps, across)
        matrices = as_strided(patches, shape, strides, writeable=False)
        outputs = (place.columns, place.rows) if is_column else (place.rows, place.columns)
        found.append(Block(patches, view, matrices, *outputs))
    return found


def correlation(weight: Array, blocks: Iterable[Block], outputs: Array) -> Operations:
    """The correlation itself.

    Args:
        weight: filters x taps, these by rows, then columns, then channels.
        outputs: filters x rows x columns x samples; written.
    """
    for block in blocks:
        yield bind(np.copyto, block.patches, block.cells)
        yield bind(np.matmul, weight, block.windows, block.matrices(outputs))
