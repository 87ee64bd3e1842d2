"""Windows laid out as the columns of a matrix, and its products with filters as rows.

All windows together would be as many times the image as a filter has taps, so they are gathered
for a block of outputs at a time, which stays in the cache while it is multiplied. A conv layer
does so in both directions, with the samples of a mini-batch side by side; `correlate` does so with
the tiles of one matrix, where windows do not lie side by side.
"""

from collections.abc import Iterable, Iterator
from math import ceil
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array, Calls, call
from nncli.nn.windows import Pair, Windows

# Multiply-adds of one product. Below a million OpenBLAS has kernels for small matrices, which on
# AVX-512 take half the time: 0.13 ms rather than 0.33 for 6 filters of 5 x 5 on 64 digits.
BLOCK = 1_000_000


class Block(NamedTuple):
    """Some outputs of a correlation: gather `cells` into `patches`, then multiply."""

    patches: Array  # channels x taps x outputs x samples, shared by all blocks
    cells: Array  # the same windows as they lie in the image, a view
    matrix: Array  # `patches` as a matrix, one column a window
    outputs: slice  # of the columns of all windows


def stretches(length: int, longest: int) -> Iterator[slice]:
    """A range of `length` in as few stretches as may be, about equal and none above `longest`."""
    size = ceil(length / ceil(length / longest))
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def block_places(outputs: Pair, most: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of blocks of at most `most` outputs, each of whole rows or within one."""
    rows, columns = outputs
    for place in stretches(rows, max(1, most // columns)):
        if most >= columns:
            yield place, slice(0, columns)
        else:
            yield from ((place, piece) for piece in stretches(columns, max(1, most)))


def blocks(
    windows: Windows, padded: Array, filters: int, *, room: Array | None = None
) -> list[Block]:
    """All outputs of a correlation of `padded` with `filters` filters, in order.

    Args:
        padded: channels x rows x columns x samples.
        room: for the patches, flat; as many as fit into it make a block. None takes a new one, for
            products of at most BLOCK multiply-adds.
    """
    all_cells = windows.cells(padded)
    channels, *_, samples = padded.shape
    taps = channels * windows.rows.kernel * windows.columns.kernel
    numbers = BLOCK // filters if room is None else room.size
    most = numbers // (taps * samples)
    found, start = [], 0
    places = list(block_places(windows.output_shape, most))
    views = [all_cells[:, :, :, rows, columns] for rows, columns in places]
    if room is None:
        room = np.zeros(max(view.size for view in views), padded.dtype)
    for view in views:
        patches = room[: view.size].reshape(view.shape)
        stop = start + view.size // taps
        found.append(Block(patches, view, patches.reshape(taps, -1), slice(start, stop)))
        start = stop
    return found


def products(weight: Array, blocks: Iterable[Block], outputs: Array) -> Calls:
    """The correlation itself: outputs = weight · patches.

    Args:
        weight: filters x (channels · taps).
        outputs: filters x (windows · samples); written.
    """
    for patches, cells, matrix, columns in blocks:
        yield call(np.copyto, patches, cells)
        yield call(np.matmul, weight, matrix, outputs[:, columns])
