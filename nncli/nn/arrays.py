"""The arrays of nncli.nn, their memory, and how its rules are recorded."""

import mmap
from collections.abc import Callable, Iterable
from functools import partial
from math import isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Zeros = Callable[..., Array]  # makes an array of (shape, dtype), as np.zeros does

# An operation is a NumPy call with its arrays: `bind(np.add, z, bias, z)`; a rule is a function
# that yields operations. Recorded once and run at every step, they cost a small network a tenth
# less than code that looks up its arrays and methods each time.
Operation = Callable[[], object]
Operations = Iterable[Operation]
bind = partial


def execute(operations: Operations) -> None:
    """Runs them, in order."""
    for operation in operations:
        operation()


def extended_by_one(array: Array, axis: int) -> Array:
    """A view of `array` and of what follows it in memory, with one entry more along an axis.

    Only for arrays that are views of such a larger one, see `layers.base`.
    """
    shape = [size + (k == axis) for k, size in enumerate(array.shape)]
    return np.lib.stride_tricks.as_strided(array, shape)


def zeros_with_ones_row(zeros: Zeros, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """An array of 0 that is followed by a row of ones in memory, see `layers.base`."""
    array = zeros((shape[0] + 1, *shape[1:]), dtype)
    array[-1] = 1
    return array[:-1]


def after_complex_step(array: Array, steps: float) -> Array:
    """The real numbers after a step of `steps` times the imaginary parts."""
    return array.real + steps * array.imag if steps else array.real


LEAST_RANGE = 1e38  # which numbers of every type of a network have


def constant(value: float, dtype: np.dtype[Any]) -> Array:
    """`value` as an array without axes: NumPy's ufuncs take it twice as fast as a Python float."""
    if -LEAST_RANGE < value < LEAST_RANGE:
        return np.array(value, dtype)
    with np.errstate(over="ignore"):  # infinite where it is beyond the type, as all else
        return np.array(value, dtype)


def all_finite(arrays: Iterable[Array]) -> bool:
    """Whether all numbers of some arrays are finite, each of which lies in C order.

    Where one is not, nor is the sum of squares, which takes a fraction of the time to know.
    """
    with np.errstate(all="ignore"):
        for array in arrays:
            flat = array.reshape(-1)
            if not isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                return False
    return True


CHUNK = 1 << 18  # bytes allocated at a time; arrays of an eighth of it have memory of their own
LINE = 64  # bytes of a line of the processor's cache


class AlignedBuffers:
    """Makes arrays that begin at a cache line, where NumPy's own begin within one.

    Steps take 3 to 7 % less time with them. A chunk of memory is freed with the last array in it.

    Args:
        shared: whether processes that are forked later share the arrays: what one writes all see,
            as among threads.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self._chunk = np.zeros(0, np.uint8)  # the last one
        self._used = 0  # bytes of it

    def zeros(self, shape: Shape | int, dtype: Any = float) -> Array:
        """As np.zeros: an array of zeros, in C order.

        Raises:
            MemoryError: there is not enough memory.
        """
        shape = (shape,) if isinstance(shape, int) else shape
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        padded = -(-size // LINE) * LINE
        if padded < CHUNK // 8:
            if padded > len(self._chunk) - self._used:
                self._chunk, self._used = self._memory(CHUNK), 0
            start, self._used = self._used, self._used + padded
            memory = self._chunk
        else:
            start = 0
            try:
                memory = self._memory(padded)
            except (MemoryError, OSError, OverflowError, ValueError):
                raise MemoryError(
                    f"Unable to allocate {size / 2**20:,.0f} MiB for an array with shape {shape} "
                    f"and data type {dtype}"
                ) from None
        array: Array = np.ndarray(shape, dtype, memory, start)
        return array

    def _memory(self, size: int) -> Array:
        if self.shared:
            return np.frombuffer(mmap.mmap(-1, size), np.uint8)
        chunk = np.zeros(size + LINE, np.uint8)
        start = -chunk.__array_interface__["data"][0] % LINE
        return chunk[start : start + size]


Place = tuple[str, int, tuple[int, ...]]


def place_of(array: Array) -> Place:
    """Which memory an array is, in which order: arrays of equal places have the same numbers.

    Their shapes may be others, as those of an image and of the vector that it is flattened to.
    """
    axes: list[int] = []  # of each its length and its stride; those that lie end to end as one
    for length, stride in zip(array.shape, array.strides, strict=True):
        if axes and axes[-1] == length * stride:
            axes[-2:] = [axes[-2] * length, stride]
        elif length != 1:
            axes += [length, stride]
    return array.dtype.str, _address(array), tuple(axes)


NEAR = 1024  # bytes; less than a page of memory, so that all between two arrays may be read


class MemoryCopy:
    """Copies arrays as they lie in memory, with what is between those that are near each other.

    That is a few long copies in place of many short ones, and none of them changes an order.

    Attributes:
        size: bytes that the copy of all takes.
    """

    def __init__(self, arrays: Iterable[Array]) -> None:
        self._arrays = [*arrays]
        stretches: list[list[int]] = []
        for start, end in sorted(map(_extent, self._arrays)):
            if stretches and start < stretches[-1][1] + NEAR:
                stretches[-1][1] = max(end, stretches[-1][1])
            else:
                stretches.append([start, end])
        self.size = 0
        self._pieces: list[tuple[int, int, Array]] = []  # from where, to where, and what
        for start, end in stretches:
            place = self.size + (start - self.size) % LINE  # as it lies in a line of the cache
            self._pieces.append((start, place, np.asarray(_Memory(start, end - start))))
            self.size = place + end - start

    def copy(self, room: Array) -> None:
        """Copies all into `room`, an array of `size` bytes or more."""
        for _, place, source in self._pieces:
            room[place : place + len(source)] = source

    def view(self, array: Array, room: Array) -> Array:
        """One of the arrays, or a part of one, as it is in the copy in `room`."""
        address = _address(array)
        start, place, _ = max(piece for piece in self._pieces if piece[0] <= address)
        found: Array = np.ndarray(
            array.shape, array.dtype, room, place + address - start, array.strides
        )
        return found


class _Memory:
    """Bytes at an address, for np.asarray."""

    def __init__(self, address: int, size: int) -> None:
        data = (address, True)  # to be read only
        self.__array_interface__ = {"version": 3, "data": data, "shape": (size,), "typestr": "|u1"}


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _extent(array: Array) -> tuple[int, int]:
    """Where the memory of an array begins and ends."""
    address = _address(array)
    steps = [
        (length - 1) * stride for length, stride in zip(array.shape, array.strides, strict=True)
    ]
    before, behind = (sum(step for step in steps if sign * step > 0) for sign in (-1, 1))
    return address + before, address + behind + array.itemsize
