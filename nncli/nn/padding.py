"""What padding repeats: the cell of the image behind each cell of the padded image, by mode."""

from collections.abc import Callable

import numpy as np

from nncli.nn.arrays import Array, Operations, bind
from nncli.nn.windows import Axis, Windows

# By mode: the cells of the image that cells of padding repeat. Positions are those of the image,
# from -before to size + after.
SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda p, size: np.where(p < size, np.abs(p), 2 * (size - 1) - p),
    "replicate": lambda p, size: np.clip(p, 0, size - 1),
    "circular": lambda p, size: p % size,
    "symmetric": lambda p, size: np.minimum(p % (2 * size), -(p + 1) % (2 * size)),
}


def widest(mode: str, size: int) -> int | None:
    """The largest padding of an axis of `size` cells on one side; None where there is no limit."""
    return {"reflect": size - 1, "circular": size}.get(mode)


def sources(axis: Axis, mode: str) -> Array:
    """For each cell of the padded axis the index of the cell it repeats; -1 for a zero."""
    positions = np.arange(-axis.before, axis.size + axis.after)
    outside = (positions < 0) | (positions >= axis.size)
    read = np.full(len(positions), -1) if mode == "zeros" else SOURCES[mode](positions, axis.size)
    return np.where(outside, read, positions)


def pad(image: Array, windows: Windows, mode: str) -> Array:
    """Images with their padding; rows and columns are the last two axes."""
    if mode == "zeros":
        padded = np.zeros((*image.shape[:-2], *windows.padded_shape), image.dtype)
        padded[..., windows.rows.interior, windows.columns.interior] = image
        return padded
    rows, columns = (sources(axis, mode) for axis in windows)
    repeated: Array = image[..., rows[:, None], columns]
    return repeated


def fold(padded: Array, windows: Windows, mode: str, first: int) -> Operations:
    """Adds what came to cells of padding to the cells that they repeat, in place.

    Args:
        first: the axis of the rows; that of the columns follows it.
    """
    for which, axis in enumerate(windows, first):
        along = np.moveaxis(padded, which, 0)
        for cell, source in enumerate(sources(axis, mode)):
            to = along[axis.before + source]
            if source >= 0 and cell != axis.before + source:
                yield bind(np.add, to, along[cell], to)
