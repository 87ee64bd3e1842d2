"""Tables of numbers alone: read in blocks, into the array in which they stay.

Everything else (words, gaps, mistakes, rows of other lengths) is left to the exact readers, which
say what is where: these functions give None then.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import printable
from nncli.data.readers.cells import filled, lines_of, records, stripped
from nncli.data.readers.files import (
    TEXT_LIMIT,
    TEXT_RATIO_LIMIT,
    check_ratio,
    file_size,
    format_of,
    is_gzip,
    opened,
    read_text,
)
from nncli.data.readers.headers import LOOKED_AT, Header, header_of, without_comments
from nncli.data.readers.numbers import MARGIN, Block, Bytes, parse
from nncli.data.readers.tables import Cells, Table

BLOCK = 1 << 18  # bytes; what is made of them is in the cache when it is used
FIRST = 1 << 20  # bytes in which the header is looked for
BOM = b"\xef\xbb\xbf"
LONGEST_LINE = 4 << 20
SPARE = 1.05  # rows that an array has room for, to those that are expected


class Rows:
    """An array that rows are appended to: of the smallest type that holds all of them."""

    def __init__(self) -> None:
        self.array: NDArray[np.generic] = np.empty((0, 0), np.uint8)
        self.used = 0

    def append(self, values: NDArray[np.generic], expected: int) -> None:
        """Adds rows; `expected` is how many there may be in all."""
        values = narrowed(values)
        end = self.used + len(values)
        dtype = np.result_type(values, self.array) if self.used else values.dtype
        if end > len(self.array) or dtype != self.array.dtype:
            room = max(len(self.array), end + end // 2 if self.used else 0, end, expected)
            array: NDArray[np.generic] = np.empty((room, values.shape[1]), dtype)
            if self.used:
                array[: self.used] = self.array[: self.used]
            self.array = array
        self.array[self.used : end] = values
        self.used = end


def narrowed(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Integers in the smallest type that holds them; other numbers as they are."""
    if values.dtype.kind == "f":
        return values
    low, high = int(values.min()), int(values.max())
    for dtype in (np.uint8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values.astype(np.int64)


def read_number_table(
    path: Path, delimiter: str, header: bool | None = None, names: Sequence[str] = ()
) -> Table | None:
    """The table at `path`; None where it is not one of numbers, or not in an obvious way.

    Args:
        header, names: as of `read_table`.

    Raises:
        DataError: the file cannot be read.
    """
    name, stored = printable(path), file_size(path)
    before = path.stat()
    with opened(path) as stream:
        start = stream.read(FIRST)
        cut = len(start) if len(start) < FIRST else start.rfind(b"\n") + 1
        top = _top(name, start[:cut], delimiter, header, names, is_all=len(start) < FIRST)
        if top is None:
            return None
        heading, found, skipped, position = top
        width = len(heading)
        size = 0 if is_gzip(path) else stored
        rows, plain = Rows(), np.ones(width, np.bool_)
        for buffer, total in _whole_lines(start[position:], stream):
            check_ratio(path, total, stored, TEXT_RATIO_LIMIT)
            block: Block | None = None
            if total <= TEXT_LIMIT and len(buffer) < LONGEST_LINE:
                block = parse(buffer, MARGIN, len(buffer), ord(delimiter), width)
            if block is None:
                return None
            rows.append(block.values, int(SPARE * len(block.values) * size / len(buffer)))
            plain &= block.plain
    if not rows.used:
        return None

    def text() -> str:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise DataError(f"{name}: has changed while it was read")
        return without_comments(name, read_text(path), delimiter, header, names).text

    written = Cells(text, delimiter, 1 if found.is_there else 0, rows.used, width)
    lines = np.arange(skipped + 1, skipped + 1 + rows.used)
    cells = rows.array[: rows.used]
    title = tuple(heading) if found.is_there else None
    return Table(name, title, cells, lines, found.notes, written, plain)


def read_number_rows(name: str, text: str, delimiter: str, width: int) -> Table | None:
    """The rows of a text without a header; None where they are not all of numbers."""
    rows, plain = Rows(), np.ones(width, np.bool_)
    for buffer, _ in _whole_lines(text.encode(), io.BytesIO()):
        block = parse(buffer, MARGIN, len(buffer), ord(delimiter), width)
        if block is None:
            return None
        rows.append(block.values, 0)
        plain &= block.plain
    if not rows.used:
        return None
    written = Cells(text, delimiter, 0, rows.used, width)
    lines = np.arange(1, rows.used + 1)
    return Table(name, None, rows.array[: rows.used], lines, (), written, plain)


def _top(
    name: str,
    start: bytes,
    delimiter: str,
    header: bool | None,
    names: Sequence[str],
    *,
    is_all: bool,
) -> tuple[list[str], Header, int, int] | None:
    """The first row, whether it is a header, and how many lines and bytes come before the numbers.

    None where that takes a closer look.
    """
    if format_of(start, name) is not None or b"\0" in start:
        return None
    position = len(BOM) if start.startswith(BOM) else 0
    try:
        text = start[position:].decode()
        plain = without_comments(name, text, delimiter, header, names)
        if plain.notes:
            return None
        looked = list(islice(records(lines_of(plain.text), delimiter), LOOKED_AT + 1))
        reader = records(lines_of(plain.text), delimiter)
        first = next(filter(filled, reader), None)
    except (UnicodeDecodeError, csv.Error):
        return None
    if first is None or (len(looked) <= LOOKED_AT and not is_all):
        return None
    first = stripped(first)
    found = Header(header is True)
    if header is None:
        found = header_of(name, first, filter(filled, looked), names)
    skipped = reader.line_num if found.is_there else reader.line_num - 1
    for _ in range(skipped):
        position = start.find(b"\n", position) + 1
        if not position:
            return None
    return first, found, skipped, position


def _whole_lines(start: bytes, stream: IO[bytes]) -> Iterator[tuple[Bytes, int]]:
    """Buffers of MARGIN bytes and some whole lines, each with how much was read; no blank end."""
    pieces = (start[at : at + BLOCK] for at in range(0, len(start), BLOCK))
    held, lines, total = b"", b"", 0
    for piece in chain(pieces, iter(partial(stream.read, BLOCK), b"")):
        total += len(piece)
        cut = piece.rfind(b"\n") + 1
        if not cut:
            held += piece
            continue
        if lines:
            yield _buffer(lines), total
        lines, held = held + piece[:cut], piece[cut:]
    lines += held
    end = b"\r\n" if b"\r\n" in lines else b"\n"
    if lines := lines.rstrip(b"\r\n"):
        yield _buffer(lines + end), total


def _buffer(lines: bytes) -> Bytes:
    return np.frombuffer(bytes(MARGIN) + lines, np.uint8)
