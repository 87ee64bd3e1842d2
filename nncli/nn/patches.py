"""Windows copied to the columns of matrices (im2col), and their products with filters as rows.

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
from nncli.nn.windows import Pair, Windows

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
        """This block's share of `outputs` (filters x rows x columns x samples), an output row a

        matrix: rows x filters x (columns · samples), a view. See `single_column_as_row`.
        """
        share = outputs[:, self.rows, self.columns]
        return share.reshape(len(outputs), len(self.windows), -1).swapaxes(0, 1)


def chunks(length: int, longest: int) -> Iterator[slice]:
    """A range of `length` in as few slices as possible, about equal and none above `longest`."""
    size = ceil(length / ceil(length / longest))  # of all but the last, which may be shorter
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


class Place(NamedTuple):
    """Where a block's outputs are, and the padded rows that their windows cover."""

    lines: slice
    rows: slice
    columns: slice


def block_places(windows: Windows, channels: int, samples: int, width: int) -> Iterator[Place]:
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
                yield Place(lines, slice(part[0], part[-1] + 1, phases), piece)


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
    """(pace, phases): among every `dilation`th line, the window of the output row `phases` further

    on begins `pace` lines further on.
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
