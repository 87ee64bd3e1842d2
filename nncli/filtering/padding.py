"""What stands around an image: the cells that padding adds, laid out a tile at a time."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.windows import Axis, Windows

# Where a cell outside is read from: positions from -before to size + after, and the size.
_SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda p, size: np.where(p < size, np.abs(p), 2 * (size - 1) - p),
    "replicate": lambda p, size: np.clip(p, 0, size - 1),
    "circular": lambda p, size: p % size,
    "symmetric": lambda p, size: np.minimum(p % (2 * size), -(p + 1) % (2 * size)),
}
PADDING_MODES = ("zeros", *_SOURCES)

_Segment = tuple[slice, slice | Array | None]  # cells of a tile, and where of the image they are


def widest(mode: str, size: int) -> int | None:
    """How far `mode` can pad an axis of `size` cells; None where there is no end to it."""
    return {"reflect": size - 1, "circular": size}.get(mode)


def fill_padded(
    cells: Array, image: Array, windows: Windows, mode: str, rows: int, columns: int
) -> None:
    """Fills `cells` with the part of the padded image that starts at (rows, columns).

    Args:
        cells: rows x columns of any size that the padded image has from there on; written.
        image: rows x columns, without its padding.
        mode: one of PADDING_MODES.
    """
    starts = zip((windows.rows, windows.columns), (rows, columns), cells.shape, strict=True)
    down, across = (_segments(axis, mode, start, size) for axis, start, size in starts)
    for to_rows, from_rows in down:
        for to_columns, from_columns in across:
            if from_rows is None or from_columns is None:
                cells[to_rows, to_columns] = 0
            else:
                part = cells[to_rows, to_columns]
                np.copyto(part, image[from_rows, :][:, from_columns], casting="unsafe")


def _segments(axis: Axis, mode: str, start: int, size: int) -> list[_Segment]:
    """The `size` cells from `start` on, cut at the edges of the image; no segment is empty."""
    first, last = start - axis.before, start - axis.before + size  # as positions of the image
    cuts = (first, min(max(0, first), last), max(min(axis.size, last), first), last)
    segments: list[_Segment] = []
    for k, (a, b) in enumerate(pairwise(cuts)):
        if a < b:
            inside = slice(a, b) if k == 1 else _outside(mode, a, b, axis.size)
            segments.append((slice(a - first, b - first), inside))
    return segments


def _outside(mode: str, start: int, stop: int, size: int) -> Array | None:
    return None if mode == "zeros" else _SOURCES[mode](np.arange(start, stop), size)


def sources(axis: Axis, mode: str) -> Array:
    """For each cell of the padded axis the cell of the image it is read from; -1 for a zero."""
    positions = np.arange(-axis.before, axis.size + axis.after)
    outside = (positions < 0) | (positions >= axis.size)
    read = np.full(len(positions), -1) if mode == "zeros" else _SOURCES[mode](positions, axis.size)
    return np.where(outside, read, positions)
