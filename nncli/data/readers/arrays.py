"""NumPy's files and lists of numbers.

The .npy header is read here rather than by `np.load`: nothing in a file can then run code, warn,
or ask for more memory than the file is long.
"""

import ast
import math
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import printable, quote, quote_all, sizes
from nncli.data.messages import Problems
from nncli.data.readers.files import cannot_read, check_ratio, file_size, opened, read_upto

# Integers below this, of either sign, stay integers: they fit int64.
EXACT_INTEGERS = 2**63
MAGIC = b"\x93NUMPY"
HEADER_LIMIT = 10_000
# Column by column, or not aligned to its items: `take` would copy the whole file at every step.
COPY_LIMIT = 1 << 30
# More bytes than NumPy can address, whatever file they are to come from.
MOST_BYTES = 2**63 - 1
# Characters that an array of text may hold however few of them are needed.
MOST_PADDED = 16 << 20
PLAIN_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[US][1-9]\d{0,5})")


class Header(NamedTuple):
    """What a .npy file says of itself; `offset` is where the numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], name: str) -> Header:
    """Reads the header of .npy format 1, 2 or 3. Raises DataError for anything it does not know."""
    start = stream.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        raise DataError(f"{name}: is not a NumPy array: it does not begin with \\x93NUMPY")
    major = start[-2] if len(start) == len(MAGIC) + 2 else 0
    if major not in (1, 2, 3):
        raise DataError(f"{name}: is damaged, or of a .npy format later than 3.0")
    length_bytes = stream.read(2 if major == 1 else 4)
    if len(length_bytes) != (2 if major == 1 else 4):
        raise DataError(f"{name}: is cut short within its header")
    (length,) = struct.unpack("<H" if major == 1 else "<I", length_bytes)
    if length > HEADER_LIMIT:
        raise DataError(f"{name}: is damaged: its header would be {length:,} bytes long")
    text = stream.read(length)
    if len(text) != length:
        raise DataError(f"{name}: is cut short within its header")
    offset = len(start) + len(length_bytes) + length
    return parse_header(text, offset, name)


def parse_header(text: bytes, offset: int, name: str) -> Header:
    damaged = DataError(f"{name}: is damaged: its header cannot be read")
    try:
        with warnings.catch_warnings(action="ignore"):  # those of Python's parser, about its style
            fields = ast.literal_eval(text.decode("utf-8").strip())
    # What literal_eval is documented to raise, and what decoding adds.
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise damaged from error
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise damaged
    descr, shape = fields["descr"], fields["shape"]
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not whole or not isinstance(fields["fortran_order"], bool) or len(shape) > 64:
        raise damaged
    if isinstance(descr, str) and descr.lstrip("|<>=").startswith("O"):
        raise DataError(f"{name}: holds pickled Python objects, which are never read")
    if not isinstance(descr, str) or not PLAIN_TYPE.fullmatch(descr):
        raise DataError(f"{name}: holds {quote(descr)}; it must be plain numbers or text")
    dtype = np.dtype(descr)
    # NumPy counts this way too: a length of 0 does not make up for one that cannot be.
    if math.prod(filter(None, shape)) * dtype.itemsize > MOST_BYTES:
        raise DataError(f"{name}: is damaged: no array can be as large as its header says")
    return Header(dtype, shape, fields["fortran_order"], offset)


def check_length(header: Header, found: int, name: str) -> None:
    if found != header.size:
        raise DataError(
            f"{name}: its header promises {header.size:,} bytes of data "
            f"({sizes(header.shape) or 'one value'}, {header.dtype}), but it holds {found:,}"
        )


def mapped_numbers(path: Path, header: Header) -> NDArray[Any]:
    """The numbers behind a header, memory-mapped and read-only."""
    order: Any = "F" if header.fortran else "C"
    try:
        return np.memmap(path, header.dtype, "r", header.offset, header.shape, order=order)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error


def read_npy(path: Path) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped and read-only: nothing is read yet.

    Where mapping would make each mini-batch read the whole file (see COPY_LIMIT), a small file
    is read into memory and a large one is refused.
    """
    name = printable(path)
    length = file_size(path)
    with opened(path) as stream:
        header = read_header(stream, name)
    check_length(header, length - header.offset, name)
    if header.size == 0:
        return np.empty(header.shape, header.dtype)
    array = mapped_numbers(path, header)
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    if header.size > COPY_LIMIT:
        raise DataError(
            f"{name}: is stored column by column or unaligned, so it cannot be read sample by "
            "sample; save np.ascontiguousarray(array)"
        )
    return np.array(array, order="C", subok=False)


def read_npz(path: Path, wanted: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names that an .npz file holds, in memory."""
    with npz_members(path) as (archive, members):
        found = [key for key in wanted if key in members]
        if not found:
            raise DataError(
                f"{printable(path)}: needs arrays named x and y; it holds "
                f"{quote_all(members) or 'none'}"
            )
        return {key: read_member(archive, members[key], path, key) for key in found}


def read_whole_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file, in memory and in the file's order."""
    stored = file_size(path)
    with npz_members(path) as (archive, members):
        # Members may share their bytes, so that each for itself looks harmless.
        check_ratio(path, sum(info.file_size for info in members.values()), stored)
        return {key: read_member(archive, info, path, key) for key, info in members.items()}


@contextmanager
def npz_members(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """An .npz file and its members by name; what is wrong with it is a DataError."""
    name = printable(path)
    file_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise DataError(f"{name}: is not an .npz file, or is damaged") from error
    # An encrypted member; a damaged stream, or one that cannot be.
    except (RuntimeError, NotImplementedError, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{name}: is damaged, or not as NumPy writes .npz files") from error
    except OSError as error:
        raise cannot_read(path, error) from error


def read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, key: str
) -> NDArray[Any]:
    name = f"{printable(path)}: {key}"
    # Each further method would bring errors of its own, and NumPy writes none of them.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{name}: is compressed in a way that NumPy does not write; save it again by "
            "np.savez_compressed"
        )
    # What the archive says of a member's stored size may be as wrong as all the rest.
    check_ratio(path, info.file_size, min(info.compress_size, file_size(path)))
    with archive.open(info) as stream:
        header = read_header(stream, name)
        check_length(header, info.file_size - header.offset, name)
        content = read_upto(stream, header.size)
    check_length(header, len(content), name)
    array = np.frombuffer(content, header.dtype).reshape(
        header.shape, order="F" if header.fortran else "C"
    )
    return np.asarray(array, order="C")  # np.ascontiguousarray would make a number a list of one


def from_list(values: list[Any], name: str) -> NDArray[Any]:
    """Nested lists as an array: int64, float64 or text, by what they hold.

    Raises DataError that points at the elements to blame: not a number, or a row of another
    length than the first.
    """
    shape = shape_of(values)
    if len(shape) > 4:
        raise DataError(f"{name}: lists are nested {len(shape)} deep; at most 4 are known")
    problems = Problems(name)
    leaves = list(walk(values, shape, (), name, problems))
    problems.raise_any()
    if not leaves:
        raise DataError(f"{name}: holds no samples")
    kinds = {str if isinstance(leaf, str) else type(leaf) for leaf in leaves}
    if str in kinds and len(kinds) > 1:
        raise DataError(f"{name}: mixes numbers and text")
    small = all(isinstance(leaf, int) and abs(leaf) < EXACT_INTEGERS for leaf in leaves)
    if str in kinds:
        texts = [str(leaf) for leaf in leaves]
        return text_array(texts, lambda row: f"{name}: element [{row}]").reshape(shape)
    return np.array(leaves, np.int64 if small else np.float64).reshape(shape)


def text_array(texts: list[str], place: Callable[[int], str]) -> NDArray[np.str_]:
    """Labels as an array of text, in which each takes as much room as the longest.

    place: names the label of a row. Raises DataError where one label alone would make the array
    a multiple of what all of them take.
    """
    lengths = list(map(len, texts))
    longest = max(lengths, default=0)
    if longest * len(texts) > max(MOST_PADDED, 16 * sum(lengths)):
        row = lengths.index(longest)
        raise DataError(
            f"{place(row)}: the label {quote(texts[row])} has {longest:,} characters, far more "
            "than the others; is a quote left open?"
        )
    return np.array(texts, np.str_)


def shape_of(values: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return tuple(shape)


def leaves_of(values: list[Any]) -> list[Any]:
    """What lists that `from_list` took hold, in order."""
    return [leaf for v in values for leaf in (leaves_of(v) if isinstance(v, list) else [v])]


def walk(
    value: Any, shape: tuple[int, ...], index: tuple[int, ...], name: str, problems: Problems
) -> Iterator[int | float | str]:
    """The leaves in order; what does not fit `shape`, or is no number or text, is a problem."""
    place = f"{name}: element [{', '.join(str(i) for i in index)}]" if index else name
    if isinstance(value, list):
        if not shape:
            problems.add(f"{place}: is a list, where the first element is a number")
        elif len(value) != shape[0]:
            problems.add(f"{place}: has {len(value)} elements, but the first has {shape[0]}")
        else:
            for i, inner in enumerate(value):
                yield from walk(inner, shape[1:], (*index, i), name, problems)
    elif shape:
        problems.add(f"{place}: {quote(value)} is not a list, where the first element is one")
    elif isinstance(value, bool) or not isinstance(value, int | float | str):
        problems.add(f"{place}: {quote(value)} is not a number")
    elif isinstance(value, int) and not -(10**308) < value < 10**308:
        problems.add(f"{place}: the integer is too large for a number")
    else:
        yield value
