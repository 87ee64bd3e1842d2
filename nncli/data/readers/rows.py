"""A table read in blocks of whole rows: of any length, and from a pipe as its rows come."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from nncli.core.errors import DataError
from nncli.core.text import count_of
from nncli.data.readers.files import decoded
from nncli.data.readers.tables import (
    Table,
    csv_mistake,
    filled,
    read_cells,
    read_numbers,
    records,
    stripped,
)

BLOCK = 1 << 20  # bytes
LONGEST_ROW = 1 << 26  # bytes; a quote that is never closed makes one row of all that follows


class RowReader:
    """The rows of a table, in blocks. The first row, a header or not, is left to the caller.

    Raises, from its methods, DataError for text that is no table.
    """

    def __init__(self, stream: IO[bytes], name: str, delimiter: str = ",") -> None:
        self.name = name
        self.delimiter = delimiter
        self.header: tuple[str, ...] | None = None
        self._pieces = whole_rows(stream, name)
        self._text, self._line = "", 1  # what was read ahead, and the line where it begins
        self.first, self._first_ends = self._first_row()

    @property
    def width(self) -> int:
        return len(self.first)

    def read_header_row(self) -> None:
        """Says that the first row is a header: it is no row of the tables."""
        self.header = tuple(self.first)
        lines = self._text.split("\n")
        self._text = "\n".join(lines[self._first_ends - self._line + 1 :])
        self._line = self._first_ends + 1

    def tables(self) -> Iterator[Table]:
        """The rows, some at a time, as they come."""
        some = False
        for line, text in self._all_pieces():
            table = self._table(text, line)
            if table is not None:
                some = True
                yield table
        if not some:
            raise DataError(f"{self.name}: has a header but no rows below it")

    def _all_pieces(self) -> Iterator[tuple[int, str]]:
        yield self._line, self._text
        self._text = ""
        yield from self._pieces

    def _first_row(self) -> tuple[list[str], int]:
        """The first row that is not blank, and the line where it ends."""
        for piece in self._pieces:
            line, text = self._line, self._text = without_blank_lines(*piece)
            reader = records(io.StringIO(text, newline=""), self.delimiter)
            start = line
            try:
                for cells in reader:
                    if filled(cells):
                        return stripped(cells), line + reader.line_num - 1
                    start = line + reader.line_num
            except csv.Error as error:
                raise DataError(f"{self.name}: row {start}: {csv_mistake(str(error))}") from error
        raise DataError(f"{self.name}: is empty; a table with a row for each sample is needed")

    def _table(self, text: str, line: int) -> Table | None:
        table = read_numbers(self.name, text, self.delimiter, False, ())
        if table is not None and table.width == self.width:
            return replace(table, header=self.header, lines=table.lines + (line - 1))
        # What NumPy refuses, or what has rows of another width, is looked at cell by cell.
        table = read_cells(
            self.name, text, self.delimiter, False, None, (), first=line, width=self.width
        )
        return None if table is None else replace(table, header=self.header)


def without_blank_lines(line: int, text: str) -> tuple[int, str]:
    """What follows the blank lines that a text begins with, and its line: of millions, at once."""
    blank = text[: len(text) - len(text.lstrip(" \n"))]
    end = blank.rfind("\n") + 1
    return line + text.count("\n", 0, end), text[end:]


def whole_rows(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """The text in pieces of whole rows, each with the line of the file where it begins."""
    rest, line = b"", 1
    for chunk in chunks(stream):
        rest += chunk
        end = end_of_rows(rest)
        if end:
            yield line, decoded(name, rest[:end], line)
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        elif len(rest) > LONGEST_ROW:
            raise DataError(
                f"{name}: row {line}: {count_of(len(rest), 'byte')} and no end; "
                "is a quote left open?"
            )
    if rest:
        yield line, decoded(name, rest, line)


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes as they come, every line ended by a line feed alone."""
    # A pipe gives what it has at once, where `read` would wait for a whole block.
    read = getattr(stream, "read1", stream.read)
    held = b""
    while chunk := read(BLOCK):
        if held or b"\r" in chunk:
            chunk = held + chunk
            held = b"\r" if chunk.endswith(b"\r") else b""
            chunk = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield chunk
    if held:
        yield b"\n"


def end_of_rows(text: bytes) -> int:
    """Where the last whole row ends: behind a line feed that stands outside of quotes."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        before = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= text.count(b'"', before, end)
        end = before
    return end
