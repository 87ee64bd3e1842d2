"""Named arrays in the safetensors format: a JSON header and plain numbers, nothing that runs.

The layout: eight bytes (little-endian) that give the header's length; the header, a JSON object of
name -> {dtype, shape, data_offsets}, with strings under `__metadata__`; then the numbers.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nncli.core.errors import Malformed, RunError
from nncli.core.files import reason
from nncli.core.text import printable, quote

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
# A dtype of the machine's own byte order is equal to one of these where that is little-endian.
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}
_ENCODER = json.JSONEncoder(ensure_ascii=False)  # to make one takes as long as a header
# Bytes; JSON may take twenty times its size in memory, and a layer takes but some hundred bytes.
LARGEST_HEADER = 4 << 20
MOST_BYTES = 2**63 - 1  # that NumPy can address
MOST_DIMENSIONS = 32  # of an array, in any version of NumPy


def pack(arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The file's bytes. Arrays are of one of DTYPES."""
    return b"".join(parts(arrays, metadata))


def parts(
    arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]
) -> list[bytes | memoryview]:
    """The file's bytes in pieces, to be joined; numbers that lie as the file has them uncopied."""
    described = entries((name, array.dtype.str, array.shape) for name, array in arrays.items())
    return [header(described, metadata), *joined_numbers(arrays.values())]


def entries(arrays: Iterable[tuple[str, str, Sequence[int]]]) -> str:
    """Names, dtypes (NumPy's words for them) and shapes of arrays, as a header has them."""
    found: dict[str, Any] = {}
    offset = 0
    for name, code, shape in arrays:
        dtype = np.dtype(code)
        end = offset + math.prod(shape) * dtype.itemsize
        found[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    return _ENCODER.encode(found)[1:-1]


def header(described: str, metadata: Mapping[str, str]) -> bytes:
    """A file's bytes in front of the numbers of the arrays that `entries` described."""
    text = f'{{"__metadata__": {_ENCODER.encode(dict(metadata))}'
    text += f", {described}}}" if described else "}"
    return with_length(text.encode())


def with_length(content: bytes) -> bytes:
    """A header's JSON as a file begins with it."""
    content += b" " * (-len(content) % 8)  # so that the numbers begin at a multiple of eight
    return len(content).to_bytes(8, "little") + content


def joined_numbers(arrays: Iterable[npt.NDArray[Any]]) -> Iterator[memoryview]:
    """The numbers of arrays one behind the other; those that lie so are one piece."""
    owner, address, start, end = None, 0, 0, 0  # of the piece that goes on: in bytes of its owner
    for array in arrays:
        of = array.base
        if of is not owner or of is None:
            if owner is not None:
                yield owner[start:end].data
            owner = of if isinstance(of, np.ndarray) and of.dtype.char == "B" else None
            if owner is not None:
                address, start, end = owner.__array_interface__["data"][0], 0, 0
        if owner is None or not _lies_so(array):
            if owner is not None:
                yield owner[start:end].data
            owner = None
            yield numbers_of(array)
            continue
        place = array.__array_interface__["data"][0] - address
        if place != end:
            if end > start:
                yield owner[start:end].data
            start = place
        end = place + array.nbytes
    if owner is not None:
        yield owner[start:end].data


def _lies_so(array: npt.NDArray[Any]) -> bool:
    """Whether an array's numbers are in memory as in a file."""
    return array.flags.c_contiguous and array.dtype in NAMES


def numbers_of(array: npt.NDArray[Any]) -> memoryview:
    """The bytes of an array's numbers as a file has them, in C order and little-endian."""
    if not _lies_so(array):
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return array.reshape(-1).view(np.uint8).data


def read(path: Path) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the metadata of a file.

    Raises:
        RunError: it cannot be read, or is not what the format says; the message says what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    try:
        return unpack(content)
    except Malformed as error:
        raise RunError(f"{printable(path)}: not a whole safetensors file: {error}") from error


def unpack(content: bytes) -> tuple[Arrays, dict[str, str]]:
    """The arrays and metadata in a file's bytes; Malformed says how they are damaged."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise Malformed(f"its header of {length} bytes does not fit in {len(content)} bytes")
    if length > LARGEST_HEADER:
        raise Malformed(f"its header of {length} bytes is longer than any network's")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise Malformed("its header is no JSON") from error
    if not isinstance(header, dict):
        raise Malformed("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(t, str) for t in metadata.values()):
        raise Malformed("its metadata are not strings")
    numbers = memoryview(content)[8 + length :]
    return {name: _array(name, entry, numbers) for name, entry in header.items()}, metadata


def _array(name: str, entry: Any, numbers: memoryview) -> npt.NDArray[Any]:
    quoted = quote(name)
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise Malformed(f"{quoted} lacks its dtype, shape or data_offsets")
    code, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise Malformed(f"{quoted} is of {str(code)[:40]!r}; known are {', '.join(DTYPES)}")
    if not _is_whole(shape) or not _is_whole(place) or len(place) != 2:
        raise Malformed(f"{quoted} has a shape or a place that is not of whole numbers")
    dtype, (start, stop) = np.dtype(DTYPES[code]), place
    if stop > len(numbers) or stop - start != math.prod(shape) * dtype.itemsize:
        raise Malformed(f"{quoted} does not lie where the header says")
    # NumPy counts this way too: a length of 0 does not make up for one that cannot be.
    if len(shape) > MOST_DIMENSIONS or math.prod(filter(None, shape)) > MOST_BYTES // 8:
        raise Malformed(f"{quoted} has a shape that no array has")
    return np.frombuffer(numbers[start:stop], dtype).reshape(shape)


def _is_whole(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
