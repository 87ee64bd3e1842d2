"""The record that a page carries: plain data, and arrays as compressed bytes."""

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nncli.nn.arrays import Array


class Packed(NamedTuple):
    """Arrays as one text.

    Attributes:
        arrays: each one's [name, type, shape], in the order of `bytes`.
        bytes: zlib over all of them, in base64. The k-th bytes of all numbers of an array are
            together, which zlib compresses better; numbers are little-endian.
    """

    arrays: list[list[Any]]
    bytes: str


def pack(arrays: Mapping[str, Array]) -> Packed:
    """Arrays of float32, float64 or integers (as int32), as a page carries them."""
    index: list[list[Any]] = []
    parts: list[bytes] = []
    for name, array in arrays.items():
        if array.dtype.kind in "iub":
            array = array.astype(np.int32)
        elif array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float64)
        index.append([name, str(array.dtype), list(array.shape)])
        flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        parts.append(flat.view(np.uint8).reshape(len(flat), array.itemsize).T.tobytes())
    return Packed(index, base64.b64encode(zlib.compress(b"".join(parts), 9)).decode())


def plain(value: Any) -> Any:
    """Data as JSON has it: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
