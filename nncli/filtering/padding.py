"""The cells that padding adds around an image, computed for one tile at a time."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.windows import Axis, Windows

# By mode: the cells of the image that cells of padding repeat. Positions are those of the image,
# from -before to size + after.
_SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda p, size: np.where(p < size, np.abs(p), 2 * (size - 1) - p),
    "replicate": lambda p, size: np.clip(p, 0, size - 1),
    "circular": lambda p, size: p % size,
    "symmetric": lambda p, size: np.minimum(p % (2 * size), -(p + 1) % (2 * size)),
}
PADDING_MODES = ("zeros", *_SOURCES)

_Segment = tuple[slice, slice | Array | None]  # cells of a tile, and of the image; None: zeros


def widest(mode: str, size: int) -> int | None:
    """The largest padding of an axis of `size` cells on one side; None where there is no limit."""
    return {"reflect": size - 1, "circular": size}.get(mode)


def fill_padded(
    cells: Array, image: Array, windows: Windows, mode: str, rows: int, columns: int
) -> None:
    """Fills `cells` with the part of the padded image that begins at (rows, columns).

    Args:
        cells: rows x columns, not beyond the end of the padded image; written.
        image: rows x columns, without its padding.
        mode: one of PADDING_MODES.
    """
    axes = zip((windows.rows, windows.columns), (rows, columns), cells.shape, strict=True)
    row_segments, column_segments = (
        _segments(axis, mode, start, size) for axis, start, size in axes
    )
    for to_rows, from_rows in row_segments:
        for to_columns, from_columns in column_segments:
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
    """For each cell of the padded axis the index of the cell it repeats; -1 for a zero."""
    positions = np.arange(-axis.before, axis.size + axis.after)
    outside = (positions < 0) | (positions >= axis.size)
    read = np.full(len(positions), -1) if mode == "zeros" else _SOURCES[mode](positions, axis.size)
    return np.where(outside, read, positions)
