"""Named arrays in the safetensors format: a JSON header and plain numbers, nothing that runs.

The layout: eight bytes (little-endian) that give the header's length; the header, a JSON object of
name -> {dtype, shape, data_offsets}, with strings under `__metadata__`; then the numbers.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nncli.errors import RunError
from nncli.files import reason, shown

Arrays = dict[str, npt.NDArray[Any]]

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
    "BOOL": "|b1",
}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}
LARGEST_HEADER = 100_000_000  # bytes; the format's own limit
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what bad bytes lead to


def pack(arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The file's bytes. Arrays are of one of DTYPES."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    chunks: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        header[name] = {
            "dtype": NAMES[plain.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + plain.nbytes],
        }
        chunks.append(plain.tobytes())
        offset += plain.nbytes
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + b"".join(chunks)


def read(path: Path) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the metadata of a file.

    Raises:
        RunError: it cannot be read, or is not what the format says; the message says what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{shown(path)}: cannot be read: {reason(error)}") from error
    try:
        return unpack(content)
    except DAMAGE as error:
        raise RunError(f"{shown(path)}: not a whole safetensors file: {error}") from error


def unpack(content: bytes) -> tuple[Arrays, dict[str, str]]:
    """The arrays and metadata in a file's bytes; one of DAMAGE where they are damaged."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(LARGEST_HEADER, len(content) - 8):
        raise ValueError(f"its header of {length} bytes does not fit in {len(content)} bytes")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise ValueError("its metadata are not strings")
    numbers = memoryview(content)[8 + length :]
    return {name: _array(name, entry, numbers) for name, entry in header.items()}, metadata


def _array(name: str, entry: dict[str, Any], numbers: memoryview) -> npt.NDArray[Any]:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"{name!r} is of {entry['dtype']!r}; known are {', '.join(DTYPES)}")
    dtype, shape = np.dtype(DTYPES[entry["dtype"]]), entry["shape"]
    start, stop = entry["data_offsets"]
    if not all(isinstance(n, int) and n >= 0 for n in (*shape, start, stop)):
        raise ValueError(f"{name!r} has a shape or a place that is not of whole numbers")
    if stop > len(numbers) or stop - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name!r} does not lie where the header says")
    return np.frombuffer(numbers[start:stop], dtype).reshape(shape)
