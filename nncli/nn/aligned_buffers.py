"""Where the arrays of a network and its steps lie."""

import mmap
from math import prod
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Shape

CHUNK = 1 << 18  # bytes asked for at a time; an array of an eighth or more has a piece of its own
LINE = 64  # bytes of a line of the processor's cache


class AlignedBuffers:
    """Makes arrays that begin with a line of the cache, where NumPy's own begin within one.

    Steps take 3 to 7 % less time by them. A chunk of memory goes with the last array in it.

    Args:
        shared: whether processes forked later see the arrays, and what any of them writes is seen
            by all, as among threads.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self._free = np.zeros(0, np.uint8)  # what is left of the last chunk

    def zeros(self, shape: Shape | int, dtype: Any = float) -> Array:
        """As np.zeros: an array of zeros, by rows.

        Raises:
            MemoryError: there is no room for it.
        """
        shape = (shape,) if isinstance(shape, int) else shape
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        taken = -(-size // LINE) * LINE
        if taken < CHUNK // 8:
            if taken > len(self._free):
                self._free = self._memory(CHUNK)
            piece, self._free = self._free[:taken], self._free[taken:]
        else:
            try:
                piece = self._memory(taken)
            except (MemoryError, OSError, OverflowError, ValueError):
                raise MemoryError(
                    f"Unable to allocate {size / 2**20:,.0f} MiB for an array with shape {shape} "
                    f"and data type {dtype}"
                ) from None
        array: Array = piece[:size].view(dtype).reshape(shape)
        return array

    def _memory(self, size: int) -> Array:
        if self.shared:
            return np.frombuffer(mmap.mmap(-1, size), np.uint8)
        chunk = np.zeros(size + LINE, np.uint8)
        start = -chunk.ctypes.data % LINE
        return chunk[start : start + size]
