"""What the five algorithms have in common: a filter applied to one tile of the output."""

import math

import numpy as np

from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import Axis, Pair, Windows


class Scratch:
    """Named work arrays of one thread, reused from tile to tile: fresh memory is slow at first."""

    def __init__(self) -> None:
        self._flat: dict[tuple[str, type], Array] = {}

    def __call__(self, name: str, shape: Shape, dtype: type = np.float64) -> Array:
        """An array of `shape`, not initialised."""
        size = math.prod(shape)
        flat = self._flat.get((name, dtype))
        if flat is None or flat.size < size:
            flat = self._flat[name, dtype] = np.empty(size, dtype)
        return flat[:size].reshape(shape)


class Algorithm:
    """One filter, prepared to be applied to one tile after another.

    Attributes:
        tile: the outputs of a tile, rows x columns; tiles at the edge may have fewer.
    """

    tile: Pair

    def __init__(self, filter: Array, windows: Windows) -> None:
        """
        Args:
            filter: rows x columns of one channel.
            windows: its windows on the whole matrix.
        """
        self.filter = filter
        self.windows = windows

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        """Estimated time for one channel.

        The constants were measured at 2048 x 2048 on one core; they serve to choose, no more.
        """
        raise NotImplementedError

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        """The outputs of a tile.

        Args:
            cells: the padded cells that the tile's windows cover, rows x columns.
            shape: of the outputs.

        Returns:
            rows x columns; may be a view of an array of `scratch`.
        """
        raise NotImplementedError

    def windows_on(self, cells: Array) -> Windows:
        """The windows of a tile, whose padding is among its `cells`."""
        rows, columns = (
            Axis(size, axis.kernel, axis.stride, axis.dilation)
            for size, axis in zip(
                cells.shape, (self.windows.rows, self.windows.columns), strict=True
            )
        )
        return Windows(rows, columns)


def output_count(windows: Windows) -> int:
    return math.prod(windows.output_shape)


def tile_count(windows: Windows, tile: Pair) -> int:
    return math.prod(-(-n // t) for n, t in zip(windows.output_shape, tile, strict=True))
