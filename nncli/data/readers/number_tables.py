"""Tables of numbers alone: read in blocks, into the array in which they stay.

Everything else (words, gaps, mistakes, rows of other lengths) is left to the exact readers, which
say what is where: these functions give None then.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import printable
from nncli.data.readers.cells import LONGEST_LINE, lines_of, records
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
from nncli.data.readers.headers import LOOKED_AT, FirstRow, first_row, without_comments
from nncli.data.readers.helper import Begun, Helper, helper_for, parsed
from nncli.data.readers.numbers import Block, keep_freed_memory, narrowed
from nncli.data.readers.tables import Cells, Table

# Bytes: what is made of them, some 30 times as much, is in the cache when it is used, and less than
# `keep_freed_memory` keeps.
BLOCK = 1 << 17
FIRST = 1 << 20  # bytes in which the header is looked for
BOM = b"\xef\xbb\xbf"
SPARE = 1.05  # rows that an array has room for, to those that are expected


class Top(NamedTuple):
    """The first row of a file, and how many bytes come before the numbers."""

    first: FirstRow
    end: int


class Rows:
    """An array that blocks are appended to: of the smallest type that holds all of them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.array: NDArray[np.generic] = np.empty((0, width), np.uint8)
        self.used = 0
        self.plain = np.ones(width, np.bool_)

    def append(self, block: Block, expected: int = 0) -> None:
        """Adds rows; `expected` is how many there may be in all."""
        values = narrowed(block.values)
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
        self.plain &= block.plain

    def table(
        self, name: str, text: str | Callable[[], str], delimiter: str, first: FirstRow | None
    ) -> Table | None:
        """All rows; None where there are none.

        Args:
            text: where they are written, or what reads it again.
            first: the first row of the text; None where it is one of these.
        """
        if not self.used:
            return None
        above = 0 if first is None else first.lines_above
        has_header = first is not None and first.header.is_there
        return Table(
            name,
            tuple(first.cells) if first is not None and has_header else None,
            self.array[: self.used],
            np.arange(above + 1, above + 1 + self.used),
            () if first is None else first.header.notes,
            Cells(text, delimiter, int(has_header), self.used, self.width),
            self.plain,
        )


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
    keep_freed_memory()
    with ExitStack() as stack:
        stream = stack.enter_context(opened(path))
        start = stream.read(FIRST)
        cut = len(start) if len(start) < FIRST else start.rfind(b"\n") + 1
        top = _top(name, start[:cut], delimiter, header, names, is_all=len(start) < FIRST)
        if top is None:
            return None
        rows = Rows(len(top.first.cells))
        size = 0 if is_gzip(path) else stored
        helper = stack.enter_context(helper_for(stored, delimiter, rows.width))

        def texts() -> Iterator[bytes]:
            for lines, total in _whole_lines(start[top.end :], stream):
                check_ratio(path, total, stored, TEXT_RATIO_LIMIT)
                if total > TEXT_LIMIT or len(lines) > LONGEST_LINE:
                    yield b""  # which is no block of numbers
                    return
                yield lines

        for lines, block in parsed(texts(), delimiter, rows.width, helper):
            if block is None:
                return None
            rows.append(block, int(SPARE * len(block.values) * size / len(lines)))

    def text() -> str:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise DataError(f"{name}: has changed while it was read")
        return without_comments(name, read_text(path), delimiter, header, names).text

    return rows.table(name, text, delimiter, top.first)


def begin_rows(text: str, delimiter: str, width: int, helper: Helper | None) -> Begun:
    """Begins to parse the rows of a text without a header, for `read_number_rows`."""
    texts = (lines for lines, _ in _whole_lines(text.encode(), io.BytesIO()))
    return Begun(texts, delimiter, width, helper)


def read_number_rows(
    name: str, text: str, delimiter: str, width: int, begun: Begun
) -> Table | None:
    """The rows of a text without a header; None where they are not all of numbers."""
    rows = Rows(width)
    for block in begun.blocks():
        if block is None:
            return None
        rows.append(block)
    return rows.table(name, text, delimiter, None)


def _top(
    name: str,
    start: bytes,
    delimiter: str,
    header: bool | None,
    names: Sequence[str],
    *,
    is_all: bool,
) -> Top | None:
    """What a file begins with; None where that takes a closer look."""
    if format_of(start, name) is not None or b"\0" in start:
        return None
    end = len(BOM) if start.startswith(BOM) else 0
    try:
        plain = without_comments(name, start[end:].decode(), delimiter, header, names)
        if plain.notes:
            return None
        looked_at = sum(1 for _ in islice(records(lines_of(plain.text), delimiter), LOOKED_AT + 1))
        first = first_row(name, plain.text, delimiter, header, names)
    except (UnicodeDecodeError, csv.Error):
        return None
    if first is None or (looked_at <= LOOKED_AT and not is_all):
        return None
    for _ in range(first.lines_above):
        end = start.find(b"\n", end) + 1
        if not end:
            return None
    return Top(first, end)


def _whole_lines(start: bytes, stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Some whole lines at a time, each with how much was read; no blank end.

    Of a line that is longer than LONGEST_LINE, as much as shows that: the rest may be endless.
    """
    pieces = (start[at : at + BLOCK] for at in range(0, len(start), BLOCK))
    held, lines, total = b"", b"", 0
    for piece in chain(pieces, iter(partial(stream.read, BLOCK), b"")):
        total += len(piece)
        cut = piece.rfind(b"\n") + 1
        if not cut:
            held += piece
            if len(held) > LONGEST_LINE:
                yield held, total
                return
            continue
        if lines:
            yield lines, total
        lines, held = held + piece[:cut], piece[cut:]
    lines += held
    end = b"\r\n" if b"\r\n" in lines else b"\n"
    if lines := lines.rstrip(b"\r\n"):
        yield lines + end, total
