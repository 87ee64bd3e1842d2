"""Memory that a process and those forked from it share, as threads share all of theirs."""

import mmap
from math import prod
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Shape

CHUNK = 1 << 20  # bytes asked of the system at a time, at least
LINE = 64  # bytes of a line of the processor's cache, in which each array begins anew


class SharedMemory:
    """Room for arrays that a process forked later sees, and whose changes are seen by it.

    A chunk is given back to the system when the last array in it goes.
    """

    def __init__(self) -> None:
        self._free = np.zeros(0, np.uint8)  # what is left of the last chunk

    def zeros(self, shape: Shape | int, dtype: Any = float) -> Array:
        """As np.zeros: an array of zeros, by rows."""
        shape = (shape,) if isinstance(shape, int) else shape
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        taken = -(-size // LINE) * LINE
        if taken > len(self._free):
            self._free = np.frombuffer(mmap.mmap(-1, max(CHUNK, taken)), np.uint8)
        array: Array = self._free[:size].view(dtype).reshape(shape)
        self._free = self._free[taken:]
        return array
