"""The array type of nncli.nn, and how its rules are recorded."""

from collections.abc import Callable, Iterable
from functools import partial
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


def with_next(array: Array, axis: int) -> Array:
    """A view of `array` and of what lies behind it in memory, one entry more along an axis.

    Only for arrays that were cut from such a larger one.
    """
    shape = [size + (k == axis) for k, size in enumerate(array.shape)]
    return np.lib.stride_tricks.as_strided(array, shape)


def zeros_before_ones(zeros: Zeros, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """An array of 0, behind which a row of ones lies in memory."""
    array = zeros((shape[0] + 1, *shape[1:]), dtype)
    array[-1] = 1
    return array[:-1]


def constant(value: float, dtype: np.dtype[Any]) -> Array:
    """`value` as an array without axes: NumPy's ufuncs take it twice as fast as a Python float."""
    return np.array(value, dtype)
