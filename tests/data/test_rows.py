"""Tables read in blocks: the same rows as when read whole, wherever the blocks end."""

import io
import itertools
from typing import IO, Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncli.data import read_table
from nncli.data.readers import rows
from nncli.data.readers.rows import RowReader
from tests.data.conftest import problems, write


class Pipe:
    """Gives a few bytes at a time, as a slow program would."""

    def __init__(self, content: bytes, size: int) -> None:
        self.stream = io.BytesIO(content)
        self.size = size

    def read1(self, _: int) -> bytes:
        return self.stream.read(self.size)

    read = read1


def read(content: Any, size: int = 10**9, header: bool = False, delimiter: str = ",") -> Any:
    raw = content.encode() if isinstance(content, str) else content
    reader = RowReader(cast(IO[bytes], Pipe(raw, size)), "t.csv", delimiter)
    if header:
        reader.read_header_row()
    return reader, list(reader.tables())


def cells(tables: Any) -> Any:
    return [[float(cell) for cell in row] for table in tables for row in table.cells]


def lines(tables: Any) -> Any:
    return [line for table in tables for line in table.lines.tolist()]


TABLE = '\na,"b\nc"\n1,2\n\n3,"4"\n5,\t6\n'


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_rows_and_their_lines_wherever_blocks_end(size: int, end: str) -> None:
    text = TABLE.replace("\n", end).replace("\t", "")
    reader, tables = read(text, size, header=True)
    assert (reader.header, reader.width) == (("a", "b\nc"), 2)
    assert cells(tables) == [[1, 2], [3, 4], [5, 6]]
    assert lines(tables) == [4, 6, 7]
    assert {table.header for table in tables} == {("a", "b\nc")}


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=9),
    st.integers(1, 40),
    st.booleans(),
)
def test_blocks_give_what_the_whole_gives(numbers: Any, size: Any, quoted: Any) -> None:
    mark = '"' if quoted else ""
    text = "".join(",".join(f"{mark}{x!r}{mark}" for x in row) + "\n" for row in numbers)
    _, tables = read(text, size)
    assert cells(tables) == numbers


def test_a_block_is_no_longer_than_a_chunk_and_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK", 100)
    text = "".join(f"{i},{i * i}\n" for i in range(500))
    reader = RowReader(io.BytesIO(text.encode()), "t.csv")
    sizes = [len(table) for table in reader.tables()]
    assert sum(sizes) == 500
    assert max(sizes) < 30


def test_a_pipe_gives_its_rows_before_it_ends() -> None:
    chunks = iter([b"1,2\n", b"3,4\n"])

    class Open:
        def read1(self, _: Any) -> Any:
            return next(chunks)

        read = read1

    tables = RowReader(cast(IO[bytes], Open()), "standard input").tables()
    assert cells(itertools.islice(tables, 2)) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_blank_lines_above_the_first_row_are_counted(size: int) -> None:
    _, tables = read("\n  \n\r\n 1,2\n\n3,4\n", size)
    assert (cells(tables), lines(tables)) == ([[1, 2], [3, 4]], [4, 6])
    reader, tables = read("\n\t\n1\t2\n", size, delimiter="\t", header=True)
    assert (reader.header, lines(tables)) == (("", ""), [3])


def test_a_bom_is_dropped() -> None:
    assert read(b"\xef\xbb\xbfa,b\n1,2\n", header=True)[0].header == ("a", "b")


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "t.csv: is empty; a table with a row for each sample is needed"),
        (b"\n\n", "t.csv: is empty; a table with a row for each sample is needed"),
        (b"1,2\n3,4\n5\n", "t.csv: row 3, column 2: expected 2 cells as in the first row, found 1"),
        (
            b"1,2\n3,4,5\n6,7\n",
            "t.csv: row 2, column 3: expected 2 cells as in the first row, found 3",
        ),
        (b"1,2\n\n3,\xff\n", "t.csv: row 3: byte 0xff is not UTF-8; save the table as UTF-8"
            ", or name its encoding, as in encoding: latin-1 (under data)"),
        (
            b"\x93NUMPY\1\0v\0{}\n",
            "t.csv: is a NumPy array; a table is needed",
        ),
        (b"1,2\n3,\0\n", "t.csv: row 2: holds a NUL byte; is it a text file?"),
        (b"\n\"1,2\n3,4\n", "t.csv: row 2: a quote is opened that is never closed"),
        (b"1,2\n3,\"4\n", "t.csv: row 2: a quote is opened that is never closed"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told_with_its_row(content: bytes, told: str, size: int) -> None:
    assert problems(read, content, size) == [told]


def test_a_header_alone() -> None:
    assert problems(read, "a,b\n", header=True) == ["t.csv: has a header but no rows below it"]


def test_a_quote_left_open_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LONGEST_ROW", 50)
    (told,) = problems(read, '1,"2\n' + "3,4\n" * 100, 10)
    assert "row 1: 60 bytes and no end; is a quote left open?" in told


class Endless:
    """A pipe from a program that never ends."""

    def __init__(self, start: bytes, then: bytes) -> None:
        self.next = itertools.chain([start], itertools.repeat(then))
        self.given = 0

    def read1(self, _: int) -> bytes:
        content = next(self.next)
        self.given += len(content)
        return content

    read = read1


def test_a_quoted_cell_without_end_is_refused_as_soon_as_it_is_too_long() -> None:
    pipe = Endless(b'1,2\n3,"', b"\n" * 1024)
    reader = RowReader(cast(IO[bytes], pipe), "t.csv")
    (told,) = problems(lambda: list(reader.tables()))
    assert told == "t.csv: row 2: a cell is longer than 131,072 characters; is a quote left open?"
    assert pipe.given < 600_000


def test_looking_for_the_end_of_a_row_reads_each_byte_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not once for each piece that follows: 50 MB of lines in quotes took minutes."""
    looked_at: list[int] = []

    def end_of_rows(text: bytes, is_open: bool = False) -> int:
        looked_at.append(len(text))
        return own(text, is_open)

    own = rows.end_of_rows
    monkeypatch.setattr(rows, "end_of_rows", end_of_rows)
    text = b'1,"' + b'\n","' * 10_000 + b'"\n'
    read(text, 100)
    assert sum(looked_at) == len(text)


@given(st.text('a",\n', max_size=60), st.integers(1, 9))
def test_pieces_are_whole_rows_of_all_the_text(text: str, size: int) -> None:
    pieces = list(rows.whole_rows(cast(IO[bytes], Pipe(text.encode(), size)), "t.csv"))
    assert "".join(piece for _, piece in pieces) == text
    for k, (line, piece) in enumerate(pieces):
        assert line == 1 + "".join(before for _, before in pieces[:k]).count("\n")
        if k < len(pieces) - 1:
            assert piece.endswith("\n")
            assert piece.count('"') % 2 == 0


def test_text_is_read_as_the_table_reader_reads_it() -> None:
    text = "x, y\n 1,left\n2, right\n"
    _, tables = read(text, 4, header=True)
    whole = read_table(write("t.csv", text), header=True)
    assert [row for table in tables for row in table.cells] == list(whole.cells)
    np.testing.assert_array_equal(lines(tables), whole.lines)
