"""Matrices as text, read and written.

Text is parsed by NumPy, a block of lines at a time. A block that NumPy refuses is read again cell
by cell, which also tells where the mistake is.
"""

import csv
import io
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote_all
from nncli.data.messages import Problems
from nncli.data.readers.cells import csv_mistake, stripped
from nncli.data.readers.files import TEXT_LIMIT, refuse_foreign, utf8_text
from nncli.data.readers.headers import (
    empty_at_end,
    header_of,
    is_run,
    left_out_words,
    number_of_count,
)
from nncli.data.readers.helper import helper_for, parsed
from nncli.data.readers.numbers import Block, keep_freed_memory, parse
from nncli.data.readers.tables import INTEGER, is_number, to_number, why_no_number

BOM = b"\xef\xbb\xbf"
BLOCK = 1 << 17  # bytes read at once: few enough for the cache, as in `number_tables`
# Of one row: more would take a multiple of it in memory, cell by cell.
LONGEST_LINE = 8 << 20
MOST_CELLS = 1_000_000
MOST_BYTES = 1 << 29  # of all the numbers, which may be short in the text
LONG_INTEGER = 48  # bytes of one that int64 does not hold
SPARE = 1.05  # of the rows that a file would have if all were as long as its first ones
DELIMITERS: dict[str, str | None] = {"csv": ",", "tsv": "\t", "text": None, "found": None}
BETWEEN = {"csv": "commas", "tsv": "tabs", "text": "spaces"}
INTEGER_CHARACTERS = b"0123456789+-, \t\r\n"
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.I | re.ASCII)


@dataclass(frozen=True)
class Rows:
    """Rows of one block: int64 or float64, or Python's integers where one does not fit int64."""

    values: NDArray[Any]
    lines: Sequence[int]
    """The line of the file that each row was read from, the first being 1."""

    def __len__(self) -> int:
        return len(self.values)


class RowBuffer:
    """An array for all rows, filled as they come: joining them in the end would copy them all."""

    def __init__(self, rows: int, like: NDArray[Any]) -> None:
        self.array = np.empty((rows, like.shape[1]), like.dtype)
        self.used = 0

    def store(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values` where they will stay; or as they are, where they do not fit."""
        end = self.used + len(values)
        if values.dtype != self.array.dtype or end > len(self.array):
            return values
        part = self.array[self.used : end]
        part[...] = values
        self.used = end
        return part


class TextReader:
    """Collects the rows of one text, and its mistakes."""

    def __init__(self, name: str, kind: str, allow_nan: bool) -> None:
        self.name = name
        self.kind = kind
        self.allow_nan = allow_nan
        self.problems = Problems(name)
        self.line = 1
        self.width = 0
        self.nameless = 0  # empty columns at the end
        self.header: str | None = None
        self.counted: str | None = None  # a first row of numbers that might be a header
        self.integers = True  # nothing else was met so far
        self.rows: list[Rows] = []
        self.buffer: RowBuffer | None = None

    @property
    def delimiter(self) -> str | None:
        return DELIMITERS[self.kind]

    def read(
        self, start: bytes, stream: IO[bytes], check: Callable[[int], None], size: int = 0
    ) -> tuple[NDArray[Any], str, tuple[str, ...]]:
        """The numbers, what kind of text it was, and notes on what was left out.

        check: told how many bytes were read. size: how many there are; 0 where that is not known.
        """
        refuse_foreign(start, self.name, "a matrix")
        keep_freed_memory()

        def count(length: int, unended: int) -> None:
            # A line that does not end may be all there is, and more than there is memory.
            if unended > LONGEST_LINE:
                raise self.too_wide(f"a row is longer than {LONGEST_LINE >> 20} MiB")
            if length > TEXT_LIMIT:
                raise DataError(
                    f"{self.name}: holds more than {TEXT_LIMIT >> 30} GiB of text; "
                    "save the matrix as .npy, which is not read whole"
                )
            check(length)

        taken = 0
        text = io.BufferedReader(Counted(start.removeprefix(BOM), stream, count), BLOCK)
        for lines, rows in self.parsed_blocks(iter(partial(text.readlines, BLOCK), []), size):
            if rows is None:
                continue
            if self.buffer is None:
                # The last lines are the rows: what is above them, a header, may be long.
                share = sum(map(len, lines[-len(rows) :])) / max(size, 1)
                self.buffer = RowBuffer(int(SPARE * len(rows) / share), rows.values)
            self.rows.append(Rows(self.buffer.store(rows.values), rows.lines))
            taken += rows.values.size * (8 if rows.values.dtype.kind in "if" else LONG_INTEGER)
            if taken > MOST_BYTES:
                raise DataError(
                    f"{self.name}: its numbers take more than {MOST_BYTES >> 20} MiB; "
                    "save the matrix as .npy, which is not read whole"
                )
        self.problems.raise_any()
        if not self.rows:
            raise DataError(
                f"{self.name}: is empty; a matrix is needed"
                if self.header is None
                else f"{self.name}: has a header but no rows below it"
            )
        found = self.header or self.counted
        header = () if found is None else (f"{self.name}: {found}",)
        left_out = left_out_words(self.name, self.width, self.width + self.nameless)
        notes = (*header, *((left_out,) if self.nameless else ()))
        return exact(self.rows, self.name, self.buffer), self.kind, notes

    def too_wide(self, how: str) -> DataError:
        return DataError(f"{self.name}: {how}; save the matrix as .npy")

    def parsed_blocks(
        self, blocks: Iterator[list[bytes]], size: int
    ) -> Iterator[tuple[list[bytes], Rows | None]]:
        """Lines, and the rows in them. Once the first row is known, a helper takes a share."""
        for lines in blocks:
            yield lines, self.parse(lines, None)
            if self.width:
                break
        held: deque[list[bytes]] = deque()

        def texts() -> Iterator[bytes]:
            for lines in blocks:
                held.append(lines)
                yield whole_lines(lines)

        delimiter = self.delimiter or " "
        with helper_for(size, delimiter, self.width) as helper:
            for _, block in parsed(texts(), delimiter, self.width, helper):
                lines = held.popleft()
                yield lines, self.parse(lines, block)

    def parse(self, lines: list[bytes], block: Block | None) -> Rows | None:
        """The rows of whole lines, the first of which is number `self.line`.

        block: their numbers; None where they are not just numbers, or the first.
        """
        if not self.width:
            lines = self.parse_start(with_newlines(b"".join(lines))).splitlines(keepends=True)
            block = parse(whole_lines(lines), self.delimiter or " ", self.width)
        if not any(map(bytes.strip, lines)):
            self.line += with_newlines(b"".join(lines)).count(b"\n")
            return None
        return self.parse_fast(lines, block) or self.parse_exactly(
            utf8_text(self.name, with_newlines(b"".join(lines)), self.line, "matrix")
        )

    def parse_start(self, block: bytes) -> bytes:
        """Finds out kind, width and header by the first row; returns what is left to read."""
        lines = utf8_text(self.name, block, self.line, "matrix").split("\n")
        for i, text in enumerate(lines):
            if not self.is_data_line(text):
                continue
            if self.kind == "found":
                self.kind = kind_of_text(text)
            self.line += i
            if self.delimiter is not None:
                rows = (self.cells(row, self.line) for row in filter(self.is_data_line, lines[i:]))
                self.nameless = min(map(empty_at_end, islice(rows, 2)))
            cells = self.cells(text, self.line)
            self.width = len(cells)
            if self.width > MOST_CELLS:
                raise self.too_wide(f"row {self.line} has more than {MOST_CELLS:,} cells")
            rows = (self.cells(row, self.line) for row in filter(self.is_data_line, lines[i:]))
            if header_of("", cells, rows, ()).is_there and not any(map(self.hint, cells)):
                self.header = f"row {self.line} was taken for a header: {quote_all(cells)}"
                self.line += 1
                i += 1
            elif self.delimiter is not None and (whole := number_of_count(cells)):
                below = [self.cells(row, 0) for row in filter(self.is_data_line, lines[i + 1 :])]
                if not all(is_run(row, whole) for row in below):
                    self.counted = (
                        f"row {self.line}, {cells[0]} to {cells[-1]}, was taken for a row of the "
                        "matrix; if it is a header, leave it out"
                    )
            return "\n".join(lines[i:]).encode()
        self.line += len(lines) - 1
        return b""

    def parse_fast(self, lines: list[bytes], block: Block | None) -> Rows | None:
        """The rows by NumPy's reader; None where it refuses, or something needs a closer look."""
        values = None if block is None else self.numbers_of(block)
        if values is None and self.integers:
            values = self.parsed(lines, np.int64)
        if values is None:
            if self.integers and not b"".join(lines).translate(None, INTEGER_CHARACTERS):
                return None  # one of the integers is too large, and shall not be rounded unseen
            values = self.parsed(lines, np.float64)
            self.integers &= values is None
        numbers: Sequence[int] = range(self.line, self.line + len(lines))
        if values is None or not np.isfinite(values).all():
            return None
        if len(values) < len(lines):
            numbers = [n for n, line in zip(numbers, lines, strict=True) if line.strip(b"\r\n")]
        if values.shape != (len(numbers), self.width):
            return None
        self.line += len(lines)
        return Rows(values, numbers)

    def numbers_of(self, block: Block) -> NDArray[Any]:
        if block.values.dtype.kind == "f":
            self.integers = False
            return block.values
        return block.values.astype(np.int64 if self.integers else np.float64)

    def parsed(self, lines: list[bytes], dtype: type) -> NDArray[Any] | None:
        try:
            with warnings.catch_warnings():
                # Before 2.3 NumPy warns, and takes 1.5 for the integer 1.
                warnings.simplefilter("error", DeprecationWarning)
                return np.loadtxt(
                    lines, dtype, None, delimiter=self.delimiter, ndmin=2, encoding="ascii"
                )
        except (ValueError, DeprecationWarning):
            return None

    def parse_exactly(self, text: str) -> Rows | None:
        """The rows cell by cell; what is wrong with them becomes problems."""
        found: list[list[int | float]] = []
        lines: list[int] = []
        integers = True
        for line, row in enumerate(text.removesuffix("\n").split("\n"), start=self.line):
            self.line = line + 1
            if not self.is_data_line(row):
                continue
            cells = self.cells(row, line)
            if len(cells) != self.width:
                self.problems.add(
                    f"{self.name}: row {line}, column {min(len(cells), self.width) + 1}: expected "
                    f"{count_of(self.width, 'cell')} as in the first row, found {len(cells)}",
                    (line,),
                    len(cells),
                )
            integers = integers and all(INTEGER.fullmatch(cell) for cell in cells)
            numbered = enumerate(cells[: self.width], start=1)
            found.append([self.number(cell, line, i) for i, cell in numbered])
            lines.append(line)
        if self.problems.total or not found:
            return None
        if not integers:
            return Rows(np.array(found, np.float64), lines)
        try:
            return Rows(np.array(found, np.int64), lines)
        except OverflowError:
            return Rows(np.array(found, object), lines)

    def number(self, cell: str, line: int, column: int) -> int | float:
        if self.allow_nan and NOT_FINITE.fullmatch(cell):
            return float(cell)
        try:
            number = to_number(cell)
        except ValueError as error:
            place = f"{self.name}: row {line}, column {column}"
            cause = (column, why_no_number(cell), self.hint(cell))
            self.problems.add(f"{place}: {error}{self.hint(cell)}", (line, column), cause)
            self.problems.stop_if_enough()
            return 0
        return int(cell) if INTEGER.fullmatch(cell) else number

    def hint(self, cell: str) -> str:
        """For a cell that would be several with another delimiter."""
        parts = re.split(r"[;\s]+", cell)
        if len(parts) < 2 or not all(map(is_number, parts)):
            return ""
        return f"; cells are separated by {BETWEEN[self.kind]} here"

    def is_data_line(self, line: str) -> bool:
        """Not so in blank lines and in comments, such as np.savetxt writes them."""
        line = line.strip(None if self.delimiter is None else " ")
        return bool(line) and not line.startswith("#")

    def cells(self, line: str, number: int) -> list[str]:
        if self.delimiter is None:
            return line.split()
        if '"' not in line:
            return self.named(stripped(line.split(self.delimiter)))
        reader = csv.reader([line], delimiter=self.delimiter, skipinitialspace=True, strict=True)
        try:
            return self.named(stripped(next(reader)))
        except csv.Error as error:
            why = csv_mistake(line, 1, 1, self.delimiter)
            raise DataError(f"{self.name}: row {number}: {why}") from error

    def named(self, cells: list[str]) -> list[str]:
        """The cells but for those that are left out, empty as they are."""
        left_out = min(self.nameless, empty_at_end(cells)) if self.nameless else 0
        return cells[: len(cells) - left_out]


class Counted(io.RawIOBase):
    """A stream from `start` on, each piece of which is told to `count` before it is used.

    count: called with how many bytes came so far, and how many since the last line's end.
    """

    closed = False  # asked for at each line, and slow to be found out

    def __init__(self, start: bytes, rest: IO[bytes], count: Callable[[int, int], None]) -> None:
        self.start = start
        self.rest = rest
        self.count = count
        self.length = 0
        self.unended = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.start:
            read = len(self.start)
            buffer[:read] = self.start
            self.start = b""
        else:
            read = cast(io.BufferedReader, self.rest).readinto(buffer)
        self.length += read
        piece = bytes(buffer[:read])
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        self.unended = read - end + (0 if end else self.unended)
        self.count(self.length, self.unended)
        return read


def with_newlines(block: bytes) -> bytes:
    """A carriage return alone ended lines once, and still does for the csv module."""
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block


def whole_lines(lines: list[bytes]) -> bytes:
    """Lines as `numbers.parse` takes them."""
    return with_newlines(b"".join(lines)).removesuffix(b"\n") + b"\n"


def kind_of_text(line: str) -> str:
    """By the first row: commas are never within numbers, tabs may just align them."""
    if "," in line:
        return "csv"
    cells = line.strip(" \r").split("\t")
    return "tsv" if len(cells) > 1 and not any(" " in cell.strip() for cell in cells) else "text"


def exact(rows: Sequence[Rows], name: str, buffer: RowBuffer | None = None) -> NDArray[Any]:
    """All rows as one array: int64 where all are integers, or float64 where none is rounded.

    Beside a number that is no integer, integers are rounded as any other numbers are.
    buffer: where they have been put, if they have.
    """
    kinds = {part.values.dtype.kind for part in rows}
    if "f" not in kinds and "O" in kinds:
        refuse_rounding(rows, name)
    dtype = np.int64 if kinds == {"i"} else np.float64
    if buffer is not None and (buffer.used, buffer.array.dtype) == (sum(map(len, rows)), dtype):
        return buffer.array[: buffer.used]
    return np.concatenate([part.values.astype(dtype, copy=False) for part in rows])


def refuse_rounding(rows: Sequence[Rows], name: str) -> None:
    problems = Problems(name)
    for part in rows:
        for line, values in zip(part.lines, part.values.tolist(), strict=True):
            for column, value in enumerate(values, start=1):
                if int(float(value)) != value:
                    problems.add(
                        f"{name}: row {line}, column {column}: {brief_integer(value)} would be "
                        f"rounded to {brief_integer(int(float(value)))}, for not all integers here "
                        "fit int64; write it with .0 where that will do",
                        (line, column),
                    )
    problems.raise_any()


def brief_integer(value: int) -> str:
    text = str(value)
    return text if len(text) <= 25 else f"{text[:20]}... ({len(text.lstrip('-'))} digits)"


# Writing


def as_text(rows: NDArray[Any], separator: str) -> bytes:
    """Each number as the shortest digits that read back equal, which are those of `repr`."""
    return "".join([separator.join(map(repr, row)) + "\n" for row in rows.tolist()]).encode()
