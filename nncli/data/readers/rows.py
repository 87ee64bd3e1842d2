"""Tables as text, comma- or tab-separated, with or without a header: read whole, or in blocks.

A text of numbers alone is read by NumPy. One that NumPy refuses, for its text labels or for a
mistake, is read again by the csv module, which also tells where the mistake is.
"""

import csv
import io
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, printable
from nncli.data.messages import Problems
from nncli.data.readers.cells import (
    LINE,
    LONGEST_LINE,
    TOO_LONG,
    csv_mistake,
    filled,
    lines_of,
    records,
    stripped,
)
from nncli.data.readers.files import decoded, read_text, rewritten
from nncli.data.readers.headers import (
    Header,
    columns_words,
    empty_at_end,
    first_row,
    header_of,
    left_out_words,
    looks_like_header,
    pieces_without_comments,
    without_comments,
)
from nncli.data.readers.helper import Begun, helper_for, one_ahead
from nncli.data.readers.number_tables import begin_rows, read_number_rows, read_number_table
from nncli.data.readers.separators import Form, found_in
from nncli.data.readers.tables import Cells, Table, is_number
from nncli.data.targets import EXACT

LARGE_INTEGER = re.compile(r"(?<![\d.])\d{16,}(?![\d.eE])", re.ASCII)

LONG_QUOTE = re.compile(f'"[^"]{{{csv.field_size_limit() + 1}}}')
BLOCK = 1 << 20  # bytes
LONGEST_ROW = 1 << 26  # bytes; a quote that is never closed makes one row of all that follows
LONGEST_CHARACTER = 4  # bytes, in UTF-8


def read_table(
    path: Path,
    *,
    header: bool | None = None,
    rows: int | None = None,
    names: Sequence[str] = (),
    needed: str = "a table with a row for each sample",
    form: Form | None = None,
) -> Table:
    """The table at `path` (.csv or .tsv, each also gzip). Blank lines and comments are skipped.

    header: whether there is one; None looks for it: a first row without any number, before other
    rows, or of the numbers of the columns (see `Header`). Where they are all text too, as in a
    file of labels, only `rows`, the number of samples to expect, can tell it from a label. A
    comment of as many cells as the row below it is a header too.
    names: columns to be found in a header; any first row is one then, but for a row of numbers
    alone that lacks them.
    needed: what is missing where the file is empty.
    form: how the table is written, where that is known.
    Raises DataError for a file that cannot be read, rows of different lengths and a table without
    rows.
    """
    delimiter = delimiter_of(path)
    is_plain = form is None or not (form.is_rewritten or form.thousands)
    if is_plain and (form is None or form.separator in (None, delimiter)):
        quick = read_number_table(path, delimiter, header, names)
        if quick is not None:
            return quick
    name, text = printable(path), read_text(path, form)
    check_quotes(name, text, delimiter)
    check_lines(name, text)
    written = found_in(name, text, delimiter, form)
    text, delimiter = written.canonical(text), written.delimiter
    plain = without_comments(name, text, delimiter, header, names)
    table = read_numbers(name, plain.text, delimiter, header, names)
    if table is None:
        table = read_cells(name, plain.text, delimiter, header, rows, names)
    if table is None:
        what = "holds only comments (lines that begin with #)" if text.strip() else "is empty"
        raise DataError(f"{name}: {what}; {needed} is needed")
    return replace(table, notes=(*written.notes, *plain.notes, *table.notes))


def delimiter_of(path: Path) -> str:
    return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","


def read_numbers(
    name: str, text: str, delimiter: str, header: bool | None, names: Sequence[str]
) -> Table | None:
    """The table by NumPy's reader; None where that cannot read it, or not as finite numbers."""
    try:
        first = first_row(name, text, delimiter, header, names)
        if first is None:
            return None
        has_header = first.header.is_there
        lines = filled_lines(text)
        if has_header:
            lines = lines[lines > first.end]
        # loadtxt warns where it finds nothing.
        if len(lines) == 0:
            return None
        rest = islice(lines_of(text), first.end if has_header else 0, None)
        cells = np.loadtxt(rest, delimiter=delimiter, quotechar='"', comments=None, ndmin=2)
    except (ValueError, csv.Error):
        return None
    if len(cells) != len(lines) or not np.isfinite(cells).all():
        return None
    if max(cells.max(), -cells.min()) >= EXACT and LARGE_INTEGER.search(text):
        return None  # it may be a label, which stays as it is
    if has_header and len(first.cells) != cells.shape[1]:
        return None
    written = Cells(text, delimiter, 1 if has_header else 0, len(cells), cells.shape[1])
    heading = tuple(first.cells) if has_header else None
    return Table(name, heading, cells, lines, first.header.notes, written)


def filled_lines(text: str) -> NDArray[np.int64]:
    """The numbers of the lines that are not blank, the first line being 1."""
    lines = enumerate(lines_of(text), start=1)
    return np.fromiter((number for number, line in lines if line.strip()), dtype=np.int64)


def check_quotes(name: str, text: str, delimiter: str) -> None:
    """Raises DataError for a cell in quotes that is too long: found at once, however many lines.

    A quote that is left open makes a cell of all that follows, which NumPy would read to its end.
    """
    quotes = end = 0
    for match in LONG_QUOTE.finditer(text):
        quotes += text.count('"', end, match.start())
        end = match.start()
        if quotes % 2:  # it closes a cell
            continue
        reader, start = records(lines_of(text), delimiter), 1
        try:
            for _ in reader:
                start = reader.line_num + 1
        except csv.Error as error:
            why = csv_mistake(text, start, reader.line_num, delimiter)
            raise DataError(f"{name}: row {start}: {why}") from error
        return


def check_lines(name: str, text: str) -> None:
    """Raises DataError for a line that would take a multiple of its length, cell by cell."""
    for number, match in enumerate(LINE.finditer(text), start=1):
        if match.end() - match.start() > LONGEST_LINE:
            raise DataError(
                f"{name}: row {number} is longer than {LONGEST_LINE >> 20} MiB; "
                "save the samples as .npy"
            )


def read_cells(
    name: str,
    text: str,
    delimiter: str,
    header: bool | None,
    expected: int | None,
    names: Sequence[str],
    *,
    first: int = 1,
    width: int | None = None,
    nameless: int | None = None,
) -> Table | None:
    """The table by the csv module, as text; None where there is nothing.

    Last columns that are empty throughout, and have no names, are left out.
    first: the line of the file where the text begins. width: how many cells the first row of the
    file has, and nameless: how many of the last of them are empty, where that is not the first row
    here.
    """
    heading: list[str] = []
    empty = 0  # columns at the end, in every row so far
    lines = array("q")
    problems = Problems(name)
    reader = records(lines_of(text), delimiter)
    start = first
    try:
        for cells in reader:
            if filled(cells):
                if not heading:
                    heading = stripped(cells)
                    empty = empty_at_end(heading) if nameless is None else nameless
                if empty:
                    empty = min(empty, empty_at_end(cells))
                lines.append(start)
                check_width(problems, width or len(heading), cells, start)
            start = reader.line_num + first
    except csv.Error as error:
        why = csv_mistake(text, start - first + 1, reader.line_num, delimiter)
        raise DataError(f"{name}: row {start}: {why}") from error
    problems.raise_any()
    if not lines:
        return None
    if nameless is not None and empty < nameless:
        raise DataError(
            f"{name}: row {lines[0]} or below: something stands in "
            f"{columns_words(len(heading) - nameless, len(heading))}, empty in the first row"
        )
    kept = len(heading) - empty
    left_out = left_out_words(name, kept, len(heading))
    rows, heading = Cells(text, delimiter, 0, len(lines), kept), heading[:kept]
    found = Header(header is True)
    if header is None:
        found = looks_like_header(name, rows, heading, expected, names)
    has_header = found.is_there
    if has_header and len(lines) == 1:
        key = "header" if header else None
        raise DataError(f"{name}: has a header but no rows below it", key=key)
    below = 1 if has_header else 0
    return Table(
        name,
        tuple(heading) if has_header else None,
        Cells(text, delimiter, below, len(lines) - below, kept),
        np.array(lines[below:], dtype=np.int64),
        (*((left_out,) if empty else ()), *found.notes),
    )


def check_width(problems: Problems, width: int, cells: list[str], line: int) -> None:
    if len(cells) != width:
        column = min(len(cells), width) + 1  # the first that is missing, or too many
        problems.add(
            f"{problems.name}: row {line}, column {column}: expected "
            f"{count_of(width, 'cell')} as in the first row, found {len(cells)}",
            (line,),
            len(cells),
        )
        problems.stop_if_enough()


# In blocks of whole rows: of any length, and from a pipe as its rows come


class RowReader:
    """The rows of a table, in blocks. The first row, a header or not, is left to the caller.

    Raises, from its methods, DataError for text that is no table.
    """

    def __init__(
        self, stream: IO[bytes], name: str, delimiter: str = ",", form: Form | None = None
    ) -> None:
        self.name = name
        self.form = form
        self.delimiter = delimiter
        self.header: tuple[str, ...] | None = None
        if form is not None and form.is_rewritten:
            stream = rewritten(stream, name, form)
        self._pieces = pieces_without_comments(whole_rows(stream, name), name, delimiter)
        self._text, self._line = "", 1  # what was read ahead, and the line where it begins
        self.first, self._first_ends = self._first_row()
        self.nameless = self._nameless()
        self.first = self.first[: len(self.first) - self.nameless]

    @property
    def width(self) -> int:
        """Columns, but for empty ones without a name."""
        return len(self.first)

    def counts_columns(self) -> bool:
        """Whether the first row is 0, 1, ... as pandas writes columns without names."""
        is_counting = all(map(is_number, self.first))
        return is_counting and header_of("", self.first, self._rows(), ()).is_there

    def _rows(self) -> Iterator[list[str]]:
        """Those that were read ahead, up to a mistake: it is told where they become a table."""
        with suppress(csv.Error):
            yield from filter(filled, records(io.StringIO(self._text, newline=""), self.delimiter))

    def read_header_row(self) -> None:
        """Says that the first row is a header: it is no row of the tables."""
        self.header = tuple(self.first)
        lines = self._text.split("\n")
        self._text = "\n".join(lines[self._first_ends - self._line + 1 :])
        self._line = self._first_ends + 1

    def tables(self, size: int = 0) -> Iterator[Table]:
        """The rows, some at a time, as they come.

        size: of a file in bytes: of a large one the next rows are read ahead.
        """
        some = False
        with helper_for(size, self.delimiter, self.width) as helper:
            pieces = (
                (line, text, begin_rows(text, self.delimiter, self.width, helper))
                for line, text in self._all_pieces()
            )
            for line, text, begun in pieces if helper is None else one_ahead(pieces):
                table = self._table(text, line, begun)
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
            written = found_in(self.name, text, self.delimiter, self.form)
            if written.delimiter != self.delimiter or not written.is_canonical:
                self.delimiter, pieces = written.delimiter, self._pieces
                self._pieces = ((at, written.canonical(piece)) for at, piece in pieces)
                text = self._text = written.canonical(text)
            reader = records(io.StringIO(text, newline=""), self.delimiter)
            start = line
            try:
                for cells in reader:
                    if filled(cells):
                        return stripped(cells), line + reader.line_num - 1
                    start = line + reader.line_num
            except csv.Error as error:
                why = csv_mistake(text, start - line + 1, reader.line_num, self.delimiter)
                raise DataError(f"{self.name}: row {start}: {why}") from error
        raise DataError(f"{self.name}: is empty; a table with a row for each sample is needed")

    def _nameless(self) -> int:
        """How many of the last columns are empty, and without a name where there is a header."""
        if not empty_at_end(self.first):
            return 0
        while len(list(islice(self._rows(), 2))) < 2 and (piece := next(self._pieces, None)):
            self._text += piece[1]
        return min(map(empty_at_end, islice(self._rows(), 2)))

    def _table(self, text: str, line: int, begun: Begun) -> Table | None:
        table = read_number_rows(self.name, text, self.delimiter, self.width, begun)
        if table is None:
            table = read_numbers(self.name, text, self.delimiter, False, ())
        if table is not None and table.width == self.width and not self.nameless:
            return replace(table, header=self.header, lines=table.lines + (line - 1))
        # What NumPy refuses, or what has rows of another width, is looked at cell by cell.
        width, nameless = self.width + self.nameless, self.nameless
        table = read_cells(
            *(self.name, text, self.delimiter, False, None, ()),
            first=line,
            width=width,
            nameless=nameless,
        )
        return None if table is None else replace(table, header=self.header)


def without_blank_lines(line: int, text: str) -> tuple[int, str]:
    """What follows the blank lines that a text begins with, and its line: of millions, at once."""
    blank = text[: len(text) - len(text.lstrip(" \n"))]
    end = blank.rfind("\n") + 1
    return line + text.count("\n", 0, end), text[end:]


def whole_rows(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """The text in pieces of whole rows, each with the line of the file where it begins."""
    held: list[bytes] = []  # of a row that has not ended
    line, length, is_open = 1, 0, False
    since = 0  # bytes, of a quote that is open
    for chunk in chunks(stream):
        end = end_of_rows(chunk, is_open)
        if end:
            text = b"".join([*held, chunk[:end]])
            yield line, decoded(name, text, line)
            line += text.count(b"\n")
            held, length = [], 0
        held.append(chunk[end:])
        length += len(chunk) - end
        is_open ^= chunk.count(b'"') % 2 == 1
        last = chunk.rfind(b'"')
        since = since + len(chunk) if last < 0 else len(chunk) - last
        if is_open and since > LONGEST_CHARACTER * csv.field_size_limit():
            raise DataError(f"{name}: row {line}: {TOO_LONG.format(csv.field_size_limit())}")
        if length > LONGEST_ROW:
            raise DataError(
                f"{name}: row {line}: {count_of(length, 'byte')} and no end; is a quote left open?"
            )
    if length:
        yield line, decoded(name, b"".join(held), line)


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


def end_of_rows(text: bytes, is_open: bool = False) -> int:
    """Where the last whole row ends: after a line feed that is outside of quotes.

    is_open: whether the text begins within quotes.
    """
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end) + is_open
    while end and quotes % 2:
        quote = text.rfind(b'"', 0, end)  # lines without one may be millions
        before = text.rfind(b"\n", 0, quote) + 1 if quote >= 0 else 0
        quotes -= text.count(b'"', before, end)
        end = before
    return end
