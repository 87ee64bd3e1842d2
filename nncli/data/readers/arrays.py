"""Files of arrays: NumPy's .npy and .npz, and IDX; and rows of large memory-mapped ones.

The .npy header is read here rather than by `np.load`: nothing in a file can then run code, warn,
or ask for more memory than the file is long.
"""

import ast
import math
import os
import re
import struct
import warnings
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.files import release_pages
from nncli.core.text import nearest, printable, quote, quote_all, sizes
from nncli.data.readers.files import (
    GZIP_BEST_RATIO,
    cannot_read,
    check_ratio,
    file_size,
    is_gzip,
    opened,
    read_upto,
)

MAGIC = b"\x93NUMPY"
HEADER_LIMIT = 10_000
# Column by column, or not aligned to its items: `take` would copy the whole file at every step.
COPY_LIMIT = 1 << 30
# More bytes than NumPy can address, whatever file they are to come from.
MOST_BYTES = 2**63 - 1
PLAIN_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[US][1-9]\d{0,5})")


class NpyHeader(NamedTuple):
    """What a .npy file says of itself; `offset` is where the numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], name: str) -> NpyHeader:
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


def parse_header(text: bytes, offset: int, name: str) -> NpyHeader:
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
    return NpyHeader(dtype, shape, fields["fortran_order"], offset)


def check_length(header: NpyHeader, found: int, name: str) -> None:
    if found != header.size:
        raise DataError(
            f"{name}: its header promises {header.size:,} bytes of data "
            f"({sizes(header.shape) or 'one value'}, {header.dtype}), but it holds {found:,}"
        )


def mapped_numbers(path: Path, header: NpyHeader) -> NDArray[Any]:
    """The numbers behind a header, memory-mapped and read-only."""
    order: Any = "F" if header.fortran else "C"
    try:
        return np.memmap(path, header.dtype, "r", header.offset, header.shape, order=order)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error


def read_npy(path: Path) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped and read-only: nothing is read yet.

    One that is gzip is in memory. Where mapping would make each mini-batch read the whole file (see
    COPY_LIMIT), a small file is read into memory and a large one is refused.
    """
    name = printable(path)
    length = file_size(path)
    with opened(path) as stream:
        header = read_header(stream, name)
        if is_gzip(path):
            return unpacked(stream, header, path)
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


def unpacked(stream: IO[bytes], header: NpyHeader, path: Path) -> NDArray[Any]:
    """The numbers that follow a header in a gzip file."""
    name, stored = printable(path), file_size(path)
    check_ratio(path, header.size, stored)
    content = read_upto(stream, header.size + 1)
    check_length(header, len(content), name)
    return in_rows(content, header)


def in_rows(content: bytes | bytearray, header: NpyHeader) -> NDArray[Any]:
    """The array of a header and the bytes that follow it, row by row."""
    array = np.frombuffer(content, header.dtype).reshape(
        header.shape, order="F" if header.fortran else "C"
    )
    return np.asarray(array, order="C")  # np.ascontiguousarray would make a number a list of one


def npz_names(path: Path) -> tuple[str, ...]:
    """What the arrays of an .npz file are called."""
    with npz_members(path) as (_, members):
        return tuple(members)


def read_npz(path: Path, wanted: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names in an .npz file, in memory."""
    with npz_members(path) as (archive, members):
        for key in wanted:
            if key not in members:
                known = nearest(key, members) or f"; it holds {quote_all(members) or 'none'}"
                raise DataError(f"{printable(path)}: holds no array {quote(key)}{known}")
        return {key: read_member(archive, members[key], path, key) for key in wanted}


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
    return in_rows(content, header)


# IDX, the format in which MNIST is published: two zero bytes, one for the type, one for the number
# of dimensions, each dimension as a big-endian uint32, then the values, big-endian, the last
# dimension fastest. Source: Y. LeCun et al., "The MNIST database", section "The IDX file format".

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx_name(path: Path) -> bool:
    """Whether the name is one that IDX files usually have, such as train-images-idx3-ubyte.gz."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(("-ubyte", ".idx")) or ".idx" in name or "-idx" in name


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file, in memory and in the machine's byte order.

    Raises DataError where the header promises more or fewer bytes than there are, before any
    memory is taken for them.
    """
    name = printable(path)
    stored = file_size(path)
    with opened(path) as stream:
        start = stream.read(4)
        if not start:
            raise DataError(f"{name}: is empty; an IDX file is needed")
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not start[3]:
            raise DataError(
                f"{name}: is not IDX: it begins with 0x{start.hex()}, not with 0x0000, a type "
                "(08, 09, 0b, 0c, 0d or 0e) and a number of dimensions"
            )
        dtype, dimensions = np.dtype(IDX_TYPES[start[2]]), start[3]
        lengths = stream.read(4 * dimensions)
        if len(lengths) < 4 * dimensions:
            raise DataError(f"{name}: is cut short within its header")
        shape = struct.unpack(f">{dimensions}I", lengths)
        if dimensions > 4:
            raise DataError(
                f"{name}: has {dimensions} dimensions ({sizes(shape)}); at most 4 are known"
            )
        promised = math.prod(shape) * dtype.itemsize
        heading = f"{name}: its header promises {promised:,} bytes ({sizes(shape)})"
        offset = 4 + len(lengths)
        if not is_gzip(path) and stored - offset != promised:
            raise DataError(f"{heading}, but the file holds {stored - offset:,}")
        if is_gzip(path) and promised > GZIP_BEST_RATIO * stored:
            most = GZIP_BEST_RATIO * stored
            raise DataError(f"{heading}, but {stored:,} bytes of gzip cannot hold above {most:,}")
        if is_gzip(path):
            check_ratio(path, promised, stored)
        content = read_upto(stream, promised + 1)
    if len(content) > promised:
        raise DataError(f"{heading}, but the file holds more than {promised:,}")
    if len(content) < promised:
        raise DataError(f"{heading}, but the file holds {len(content):,}")
    # The other lengths may be such that no array has them.
    if not promised:
        raise DataError(f"{name}: holds no samples (its shape is {sizes(shape)})")
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


# Large memory-mapped arrays, read without filling the memory. Every page of a mapped file that is
# touched counts as the process's own until it is let go, and the system maps its neighbours too: a
# training would soon hold the whole file. So scattered rows are read from the file itself, in half
# the time that mapping pages and letting go of them takes; and scans let go of what is behind them.

SMALL = 64 << 20  # bytes; a smaller file may be in memory as a whole


def is_large(array: NDArray[Any]) -> bool:
    """Whether it is mapped from a file that shall not be in memory as a whole."""
    return isinstance(array, np.memmap) and array.nbytes > SMALL


def release_large(array: NDArray[Any]) -> None:
    """Hands the pages of a large array back; they stay in the system's cache of files."""
    if is_large(array):
        release_pages(array)


class RowFile:
    """Reads rows of a large array (N x ...) from its file."""

    def __init__(self, path: Path, offset: int, row: int) -> None:
        """offset: where in the file the first row begins; row: its length. Both in bytes."""
        self.path = path
        self.offset = offset
        self.row = row
        try:
            self.file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise cannot_read(path, error) from error
        weakref.finalize(self, os.close, self.file)

    @classmethod
    def of(cls, array: NDArray[Any]) -> "RowFile | None":
        """That of an array; None where it is small, or no plain view of the whole of a file."""
        if not is_large(array) or not hasattr(os, "preadv"):
            return None
        whole = cast(Any, array)
        while isinstance(whole.base, np.memmap):
            whole = whole.base
        same = whole.nbytes == array.nbytes and array.flags.c_contiguous
        if not same or whole.filename is None:
            return None
        return cls(Path(whole.filename), whole.offset, array.nbytes // len(array))

    def read(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Writes `rows` into `out`, len(rows) x a sample's shape, in one piece.

        Raises:
            DataError: the file has become shorter, or cannot be read any more.
        """
        first, last = int(rows[0]), int(rows[-1])
        if last - first == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
            self.fill(out, first)
        else:
            for row, place in zip(rows.tolist(), out, strict=True):
                self.fill(place, row)

    def fill(self, out: NDArray[Any], row: int) -> None:
        """Writes into `out` what begins with `row`, as many bytes as it takes; see `read`."""
        try:
            done = os.preadv(self.file, [out.data], self.offset + row * self.row)
        except OSError as error:
            raise cannot_read(self.path, error) from error
        if done != out.nbytes:
            raise DataError(f"{printable(self.path)}: has become shorter while it was being read")
