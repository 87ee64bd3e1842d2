"""The array type of this room."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


def constant(value: float, dtype: np.dtype[Any]) -> Array:
    """`value` as an array without axes: NumPy's ufuncs take it twice as fast as a Python float."""
    return np.array(value, dtype)
