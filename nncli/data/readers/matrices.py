"""One matrix a file: text, .npy and images, read and written."""

import errno
import io
import math
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.files import whole_file, write_whole
from nncli.core.text import count_of, nearest, printable, quote, sizes
from nncli.data.messages import Problems, cell_of
from nncli.data.readers import images
from nncli.data.readers.arrays import (
    MAGIC,
    NpyHeader,
    check_length,
    mapped_numbers,
    read_header,
    release_large,
)
from nncli.data.readers.files import (
    CHUNK,
    RATIO_LIMIT,
    STANDARD_INPUT,
    START,
    TEXT_LIMIT,
    TEXT_RATIO_LIMIT,
    check_ratio,
    explain_read_errors,
    file_size,
    format_of,
    is_gzip,
    opened,
    read_upto,
    refuse_foreign,
)
from nncli.data.readers.text import TextReader, as_text
from nncli.data.samples import is_channels_last

Progress = Callable[[int, int | None], None]
"""Called with how much is done and of how much: None where that cannot be known."""

# Bytes written at once, and of numbers turned to text: few enough for the cache.
BLOCK = 1 << 18
TEXT_BLOCK = 1 << 15
SECONDS_BETWEEN = 0.25
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": " "}
KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".npy": "npy",
    **dict.fromkeys((*images.PILLOW_FORMATS, ".gif"), "image"),
}
WRITABLE = (".csv", ".tsv", ".txt", ".npy", *images.PILLOW_FORMATS)


@dataclass(frozen=True, eq=False)
class Matrix:
    """One matrix, rows x columns or channels x rows x columns, read-only and maybe mapped.

    kind: csv, tsv, text, npy, image, or array where it was no file; of a filter also name or
    literal.
    notes: what reading left out or changed, for the user to know.
    """

    name: str
    array: NDArray[Any]
    kind: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.array.flags.writeable = False


class Ticker:
    """Passes progress on, a few times a second and at the end."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self.progress = progress
        self.total = total
        self.last = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self.progress is not None and now - self.last >= SECONDS_BETWEEN:
            self.last = now
            self.progress(done, self.total)

    def finish(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, self.total)


def read_matrix(
    path: str | Path,
    *,
    allow_nan: bool = False,
    progress: Progress | None = None,
    stream: IO[bytes] | None = None,
) -> Matrix:
    """Reads a matrix of any format; `-` is standard input, or `stream` in its place.

    Images, .npy and gzip are known by what they begin with, .csv and .tsv by their names. Text that
    holds nothing but integers gives int64 (float64 where one is too large and all stay exact),
    other text float64; .npy keeps its type, and is mapped rather than read; images give uint8, or
    what more they hold.
    allow_nan: takes NaN and infinity too.
    progress: called with the bytes read and their number.
    Raises DataError for whatever is wrong with the file.
    """
    if path == "-":
        return read_standard_input(stream, allow_nan, progress)
    path = Path(path)
    name, stored = printable(path), file_size(path)
    tick = Ticker(progress, stored)
    with opened(path) as file:
        start = bytes(read_upto(file, START))
        kind = numbers_kind(start, name) or KINDS.get(suffix_of(path), "found")
        if kind == "npy" and not start.startswith(MAGIC):  # by its name alone
            refuse_foreign(start, name, "a NumPy array")
        if kind == "npy" and not is_gzip(path):
            matrix = Matrix(name, mapped(path), kind)
        else:
            raw = cast(Any, file).fileobj if is_gzip(path) else file
            most = RATIO_LIMIT if kind in ("npy", "image") else TEXT_RATIO_LIMIT

            def check(expanded: int) -> None:
                check_ratio(path, expanded, stored, most)
                tick(raw.tell())

            length = 0 if is_gzip(path) else stored
            matrix = from_stream(start, file, name, kind, allow_nan, check, length)
    if not allow_nan and kind in ("npy", "image"):
        check_finite(matrix, tick if is_mapped(matrix.array) else Ticker(None, None))
    tick.finish(stored)
    return with_note(matrix)


def read_standard_input(
    stream: IO[bytes] | None, allow_nan: bool, progress: Progress | None
) -> Matrix:
    if stream is None and sys.stdin is None:
        raise DataError(f"{STANDARD_INPUT}: is closed")
    source = sys.stdin.buffer if stream is None else stream
    tick = Ticker(progress, None)
    with explain_read_errors(Path(STANDARD_INPUT)):
        start = bytes(read_upto(source, START))
        kind = numbers_kind(start, STANDARD_INPUT) or "found"
        matrix = from_stream(start, source, STANDARD_INPUT, kind, allow_nan, tick)
    if not allow_nan and kind in ("npy", "image"):
        check_finite(matrix, Ticker(None, None))
    return with_note(matrix)


def with_note(matrix: Matrix) -> Matrix:
    """The matrix, with a note where its channels seem to be last."""
    shape = matrix.array.shape
    if not is_channels_last(shape):
        return matrix
    note = (
        f"{matrix.name}: its {sizes(shape)} are taken for channels x rows x columns; if the last "
        "number is that of the channels, save the array as x.transpose(2, 0, 1)"
    )
    return replace(matrix, notes=(*matrix.notes, note))


def suffix_of(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def numbers_kind(start: bytes, name: str) -> str | None:
    format = format_of(start, name)
    return format.kind if format is not None and format.kind in ("npy", "image") else None


def from_stream(
    start: bytes,
    stream: IO[bytes],
    name: str,
    kind: str,
    allow_nan: bool,
    check: Callable[[int], None],
    length: int = 0,
) -> Matrix:
    """What `start` and the rest of the stream hold; `check` is told how much was read.

    length: how many bytes that is altogether, where it is known.
    """
    if kind not in ("npy", "image"):
        return Matrix(name, *TextReader(name, kind, allow_nan).read(start, stream, check, length))
    limit = TEXT_LIMIT if kind == "npy" else images.BYTES_LIMIT
    rest = read_upto(stream, limit + 1 - len(start), lambda length: check(len(start) + length))
    content = start + rest
    if len(content) > limit:
        raise DataError(f"{name}: holds more than {limit >> 30} GiB, which is not read into memory")
    if kind == "npy":
        return Matrix(name, from_bytes(content, name), kind)
    return Matrix(name, *images.read(content, name))


# .npy


def mapped(path: Path) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped and read-only."""
    name = printable(path)
    with opened(path) as stream:
        header = read_header(stream, name)
    check_length(header, file_size(path) - header.offset, name)
    check_header(header, name)
    return without_bool(mapped_numbers(path, header))


def from_bytes(content: bytes, name: str) -> NDArray[Any]:
    header = read_header(io.BytesIO(content), name)
    check_length(header, len(content) - header.offset, name)
    check_header(header, name)
    array = np.frombuffer(content, header.dtype, offset=header.offset)
    return without_bool(array.reshape(header.shape, order="F" if header.fortran else "C"))


def without_bool(array: NDArray[Any]) -> NDArray[Any]:
    return array.view(np.uint8) if array.dtype.kind == "b" else array


def check_header(header: NpyHeader, name: str) -> None:
    if header.dtype.kind not in "biuf":
        raise DataError(f"{name}: must hold numbers, not text")
    check_dimensions(header.shape, name)


def check_dimensions(shape: tuple[int, ...], name: str) -> None:
    if len(shape) == 0:
        raise DataError(f"{name}: is a single number; a matrix has rows and columns")
    if len(shape) not in (2, 3):
        raise DataError(
            f"{name}: must be rows x columns or channels x rows x columns, not "
            f"{count_of(len(shape), 'dimension')} ({sizes(shape)})"
        )
    if 0 in shape:
        raise DataError(f"{name}: holds no numbers (its shape is {sizes(shape)})")


def is_mapped(array: NDArray[Any]) -> bool:
    return isinstance(array, np.memmap)


def check_finite(matrix: Matrix, tick: Ticker) -> None:
    """Raises DataError that points at NaN and infinity; a mapped array is gone through in parts."""
    array, name = matrix.array, matrix.name
    if array.dtype.kind != "f":
        return
    by_column = array.flags.f_contiguous and not array.flags.c_contiguous
    stored = array.T if by_column else array
    rows = stored.reshape(-1, stored.shape[-1])
    step = max(1, CHUNK // rows[0].nbytes)
    problems = Problems(name)

    def problem(position: int) -> str:
        index = [int(i) for i in np.unravel_index(position, stored.shape)]
        place = tuple(reversed(index)) if by_column else tuple(index)
        return f"{name}: {cell_of(place)}: {array[place]} is not a finite number"

    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        if not np.isfinite(part).all():
            wrong = np.flatnonzero(~np.isfinite(part)) + first * rows.shape[1]
            problems.add_each(wrong.tolist(), problem)
        release_large(array)
        tick(min(first + step, len(rows)) * rows[0].nbytes)
    problems.raise_any()


# Writing


def write_matrix(
    path: str | Path, array: NDArray[Any], *, progress: Progress | None = None
) -> tuple[str, ...]:
    """Writes a matrix in the format its name asks for, whole or not at all.

    Text holds rows x columns, each number as the shortest that reads back equal; .npy keeps any
    type; images are of 8 bits, of one channel or three. Returns notes on what the format changed.
    progress: called with the rows written and their number.
    Raises DataError for what the format cannot hold, RunError where the system refuses.
    """
    path = Path(path)
    name, suffix = printable(path), path.suffix.lower()
    if suffix not in WRITABLE:
        raise DataError(f"{name}: {unknown_suffix(path)}")
    array = without_bool(np.asarray(array))
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise DataError(f"{name}: cannot hold {array.dtype}; a matrix is written as plain numbers")
    check_dimensions(array.shape, name)
    if suffix in images.PILLOW_FORMATS:
        content, notes = images.encoded(array, name, suffix)
        write_whole(path, content)
        return notes
    if suffix != ".npy" and array.ndim != 2:
        raise DataError(
            f"{name}: text holds rows x columns, not {sizes(array.shape)}; write .npy instead"
        )
    rows = array.reshape(-1, array.shape[-1])
    tick = Ticker(progress, len(rows))
    with whole_file(path) as file:
        if suffix == ".npy":
            write_header(file, array.shape, array.dtype)
        step = max(1, (BLOCK if suffix == ".npy" else TEXT_BLOCK) // rows[0].nbytes)
        for first in range(0, len(rows), step):
            part = rows[first : first + step]
            if suffix == ".npy":
                file.write(np.ascontiguousarray(part).data)
            else:
                file.write(as_text(part, SEPARATORS[suffix]))
            tick(first)
    tick.finish(len(rows))
    return ()


def unknown_suffix(path: Path, known: Collection[str] = WRITABLE) -> str:
    """What is wrong with a name of none of the `known` formats."""
    if not path.suffix:
        return f"no suffix tells its format; known are {', '.join(known)}"
    return f"{quote(path.suffix)} is not a known format{known_instead(path.suffix, known)}"


def known_instead(word: str, known: Collection[str]) -> str:
    """What to go on with after `'x' is not known`: the nearest known word, and all of them."""
    near = nearest(word.lower(), known)
    return f"{near} Known are {', '.join(known)}" if near else f"; known are {', '.join(known)}"


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)


@contextmanager
def open_npy_for_writing(
    path: str | Path, shape: tuple[int, ...], dtype: np.dtype[Any] | type[Any]
) -> Iterator[np.memmap[Any, Any]]:
    """An array to fill that becomes the .npy file at `path` when the `with` ends without error.

    Its room on the disk is taken beforehand: a mapping that the disk has no room for would end
    the whole program.
    Raises RunError where the system refuses.
    """
    dtype = np.dtype(dtype)
    check_dimensions(shape, printable(Path(path)))
    with whole_file(Path(path)) as file:
        write_header(file, shape, dtype)
        file.flush()
        offset = file.tell()
        reserve_space(file, offset + math.prod(shape) * dtype.itemsize)
        array: np.memmap[Any, Any] = np.memmap(file, dtype, "r+", offset, shape)
        yield array
        array.flush()


def reserve_space(file: IO[bytes], length: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, length)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # not on this file system
                raise
    file.truncate(length)
