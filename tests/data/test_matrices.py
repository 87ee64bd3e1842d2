"""Matrices for `nncli conv`, read from text and .npy."""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nncli.core.errors import DataError
from nncli.data.readers import files, matrices
from nncli.data.readers.matrices import read_matrix
from nncli.data.readers.text import TextReader
from tests.data.conftest import problems, told_if_any, write
from tests.data.matrices import (
    FLOATS,
    HERE_IS_SAFE,
    INTEGERS,
    PIECES,
    TO_DO,
    piped,
    read,
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("m.csv", "1,2\n3,4\n", id="csv"),
        pytest.param("m.csv", "1,2\n3,4", id="no last line end"),
        pytest.param("m.csv", "1, 2\n 3 ,4\n", id="spaces"),
        pytest.param("m.csv", "\ufeff1,2\r\n3,4\r\n", id="BOM and CRLF"),
        pytest.param("m.csv", "1,2\r3,4\r", id="CR"),
        pytest.param("m.csv", "\n1,2\n\n  \n3,4\n\n\n", id="blank lines"),
        pytest.param("m.csv", '"1","2"\n3,4\n', id="quoted"),
        pytest.param("m.csv", "# by hand\n1,2\n# more\n3,4\n", id="comments"),
        pytest.param("M.CSV.GZ", "1,2\n3,4\n", id="capitals"),
        pytest.param("m.csv.gz", "1,2\n3,4\n", id="csv.gz"),
        pytest.param("m.tsv", "1\t2\n3\t4\n", id="tsv"),
        pytest.param("m.txt", "1 2\n3 4\n", id="txt"),
        pytest.param("m.dat", "  1   2\n 3\t4  \n", id="dat"),
        pytest.param("m.txt.gz", "1 2\n3 4\n", id="txt.gz"),
        pytest.param("m.txt", "1,2\n3,4\n", id="commas in txt"),
        pytest.param("m", "1\t2\n3\t4\n", id="tabs without suffix"),
    ],
)
def test_ways_to_write_one_matrix(name: str, text: str) -> None:
    if name.isupper():
        Path(name).write_bytes(gzip.compress(text.encode()))
        matrix = read_matrix(name)
    else:
        matrix = read(name, text)
    assert matrix.array.tolist() == [[1, 2], [3, 4]]
    assert matrix.array.dtype == np.int64
    assert matrix.notes == ()
    assert not matrix.array.flags.writeable


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1,2\n3,4\n", "csv"),
        ("1\t2\n3\t4\n", "tsv"),
        ("1 2\n3 4\n", "text"),
        ("1\t 2\n3\t 4\n", "tsv"),
        ("1 2\t3 4\n5 6\t7 8\n", "text"),
        ("5\n", "text"),
    ],
)
def test_standard_input_finds_its_separator(text: str, kind: str) -> None:
    matrix = piped(text)
    assert (matrix.name, matrix.kind) == ("standard input", kind)
    assert matrix.array.tolist() == [
        [int(c) for c in row.split()] for row in text.replace(",", " ").splitlines()
    ]


def test_standard_input_is_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1,2\n")))
    assert read_matrix("-").array.tolist() == [[1, 2]]
    monkeypatch.setattr("sys.stdin", None)
    assert problems(read_matrix, "-") == ["standard input: is closed"]


def test_a_header_is_skipped_and_noted() -> None:
    matrix = read("m.csv", "# two columns\nleft,right\n1,2\n")
    assert matrix.array.tolist() == [[1, 2]]
    assert matrix.notes == ("m.csv: row 2 was taken for a header: 'left', 'right'",)


@pytest.mark.parametrize(
    ("text", "dtype", "values"),
    [
        pytest.param("1,-2\n", np.int64, [[1, -2]], id="integers"),
        pytest.param("1,2.0\n", np.float64, [[1, 2]], id="a point"),
        pytest.param("1,2e1\n", np.float64, [[1, 20]], id="an exponent"),
        pytest.param("1\n.5\n", np.float64, [[1], [0.5]], id="a later row"),
        pytest.param(f"{2**63 - 1},{-(2**63)}\n", np.int64, [[2**63 - 1, -(2**63)]], id="int64"),
        pytest.param(f"{2**63},1\n", np.float64, [[2.0**63, 1]], id="too large but exact"),
        pytest.param(f"{10**22}\n1\n", np.float64, [[1e22], [1]], id="10 to the 22"),
        pytest.param(f"{2**53 + 1},0.5\n", np.float64, [[2.0**53, 0.5]], id="beside a fraction"),
        pytest.param(f"{2**64 + 1},0.5\n", np.float64, [[2.0**64, 0.5]], id="large, beside one"),
    ],
)
def test_types(text: str, dtype: Any, values: Any) -> None:
    array = read("m.csv", text).array
    assert array.dtype == dtype
    assert array.tolist() == values


def test_blocks_of_different_types_join() -> None:
    rows = ["1,2"] * 200_000 + ["3,4.5"] + [f"{2**64},1"]
    array = read("m.csv", "\n".join(rows)).array
    assert array.shape == (200_002, 2)
    assert array[-2:].tolist() == [[3, 4.5], [2.0**64, 1]]


def test_rows_shorter_and_longer_than_the_first_ones() -> None:
    """The array is made for as many rows as there would be if all were as long as these."""
    long, short = [f"{n}.{'0' * 30}" for n in range(20_000)], [f"{n}." for n in range(99_999)]
    for rows in (long + short, short + long):
        array = read("m.csv", "\n".join(rows)).array
        assert np.array_equal(array, np.array(rows, float)[:, None])


def test_a_line_longer_than_a_block() -> None:
    row = ",".join(["1.25"] * 200_000)
    assert read("m.csv", f"{row}\n{row}\n").array.shape == (2, 200_000)


@pytest.mark.parametrize("text", ["nan,inf\n-inf,1\n", "NaN,Infinity\n-INF,1\n"])
def test_nan_where_it_is_allowed(text: str) -> None:
    array = read("m.csv", text, allow_nan=True).array
    assert np.array_equal(array, [[np.nan, np.inf], [-np.inf, 1]], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", ["is empty; a matrix is needed"], id="empty"),
        pytest.param("\n \n# only\n", ["is empty; a matrix is needed"], id="nothing but comments"),
        pytest.param("a,b\n", ["has a header but no rows below it"], id="only a header"),
        pytest.param(
            "1,2\n3\n4,5,6\n",
            [
                "row 2, column 2: expected 2 cells as in the first row, found 1",
                "row 3, column 3: expected 2 cells as in the first row, found 3",
            ],
            id="ragged",
        ),
        pytest.param(
            "1,x\n\n,4\n",
            [
                "row 1, column 2: 'x' is not a number",
                "row 3, column 1: the cell is empty; it needs a number",
            ],
            id="cells",
        ),
        pytest.param("1,1+2j\n", ["row 1, column 2: '1+2j' is not a number"], id="complex"),
        pytest.param("1,-\n", ["row 1, column 2: '-' is not a number"], id="a sign alone"),
        pytest.param("1,1_0\n", ["row 1, column 2: '1_0' is not a number"], id="underscore"),
        pytest.param("1,0x1\n", ["row 1, column 2: '0x1' is not a number"], id="hexadecimal"),
        pytest.param("1,٣\n", ["row 1, column 2: '٣' is not a number"], id="other digits"),
        pytest.param("1,nan\n", ["row 1, column 2: 'nan' is not a finite number"], id="nan"),
        pytest.param("-inf,1\n", ["row 1, column 1: '-inf' is not a finite number"], id="inf"),
        pytest.param(
            "1,1e400\n", ["row 1, column 2: '1e400' is too large for a number"], id="1e400"
        ),
        pytest.param(
            f"1,{2**63 + 1}\n",
            [
                "row 1, column 2: 9223372036854775809 would be rounded to 9223372036854775808, "
                + TO_DO,
            ],
            id="too large to be exact",
        ),
        pytest.param(
            f"{2**53 + 1}\n{10**40}\n",
            [
                f"row 1, column 1: 9007199254740993 would be rounded to 9007199254740992, {TO_DO}",
                "row 2, column 1: 10000000000000000000... (41 digits) would be rounded to "
                f"10000000000000000303... (41 digits), {TO_DO}",
            ],
            id="exact only without the other",
        ),
        pytest.param(
            "1;2\n",
            ["row 1, column 1: '1;2' is not a number; cells are separated by commas here"],
            id="semicolons",
        ),
        pytest.param(
            "1,\xff\n".encode("latin-1"),
            ["row 1: byte 0xff is not UTF-8; save the matrix as UTF-8"],
            id="Latin 1",
        ),
        pytest.param(b"1,2\n1,\x00\n", ["row 2: holds a NUL byte; is it a text file?"], id="NUL"),
        pytest.param("1,2\n".encode("utf-16"), ["is UTF-16; save it as UTF-8"], id="UTF-16"),
        pytest.param(
            gzip.compress(gzip.compress(b"1")), ["is gzip; unpack it first"], id="gzip within gzip"
        ),
        pytest.param(b"PK\x03\x04", ["is a zip archive; unpack it first"], id="zip"),
        pytest.param('1,"2\n', ["row 1: a quote is opened that is never closed"], id="open quote"),
    ],
)
def test_mistakes_in_text(text: Any, told: Any) -> None:
    assert problems(read, "m.csv", text) == [f"m.csv: {line}" for line in told]


def test_ten_mistakes_are_told_and_the_rest_counted() -> None:
    told = problems(read, "m.csv", ",".join("1" * 13) + "\n" + ",".join("x" * 13))
    assert told[0] == "m.csv: row 2, column 1: 'x' is not a number"
    assert told[9:] == ["m.csv: row 2, column 10: 'x' is not a number", "m.csv: and 3 more"]
    assert problems(read, "m.csv", "1\n" + "x\n" * 13) == [
        "m.csv: row 2, column 1: 'x' is not a number; the same in rows 3, 4, 5, 6, 7 and 7 more"
    ]


def test_mistakes_behind_the_first_block_have_their_row() -> None:
    text = "# a comment\n" + "1.5,2\n" * 100_000 + "\n3,oops\n" + "1.5,2\n" * 100_000 + "1,nan\n"
    assert problems(read, "m.csv", text) == [
        "m.csv: row 100003, column 2: 'oops' is not a number",
        "m.csv: row 200004, column 2: 'nan' is not a finite number",
    ]


def test_mistakes_of_standard_input() -> None:
    assert problems(piped, "1 2\n3 x\n") == ["standard input: row 2, column 2: 'x' is not a number"]
    assert problems(piped, "") == ["standard input: is empty; a matrix is needed"]
    assert problems(piped, gzip.compress(b"1")) == ["standard input: is gzip; send it unpacked"]

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> None:
            raise OSError(5, "Input/output error")

    assert problems(read_matrix, "-", stream=Broken()) == [
        "standard input: cannot be read: input/output error"
    ]


def test_files_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("folder.csv").mkdir()
    assert problems(read_matrix, "folder.csv") == ["folder.csv: is a folder; a file is needed"]
    assert problems(read_matrix, "none.csv") == ["none.csv: no such file"]
    write("m.csv", "1\n")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert problems(read_matrix, "m.csv") == ["m.csv: cannot be read: permission denied"]


def test_damaged_gzip() -> None:
    whole = gzip.compress(np.random.default_rng(0).bytes(100_000).hex().encode())
    Path("m.csv.gz").write_bytes(whole[:1000])
    assert problems(read_matrix, "m.csv.gz") == ["m.csv.gz: is cut short: the gzip data do not end"]
    Path("m.csv.gz").write_bytes(b"1,2\n")
    assert problems(read_matrix, "m.csv.gz") == [
        "m.csv.gz: is not gzip, though its name ends in .gz"
    ]


def test_a_gzip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 16)
    assert problems(read, "m.csv.gz", "1\n" * 1_000_000) == [
        "m.csv.gz: expands to more than 75 times its size; refused as a decompression bomb"
    ]


def test_a_gzip_bomb_of_one_line_is_refused_while_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 16)
    seen = []

    def check_ratio(*given: Any) -> None:
        seen.append(given[1])
        files.check_ratio(*given)

    monkeypatch.setattr(matrices, "check_ratio", check_ratio)
    assert problems(read, "m.csv.gz", "1," * 4_000_000) == [
        "m.csv.gz: expands to more than 75 times its size; refused as a decompression bomb"
    ]
    assert max(seen) < 8_000_000


@pytest.mark.parametrize("line", [b"1 2 3\n", b"99999999999999999999\n"], ids=["short", "long"])
def test_text_is_bounded_by_what_its_numbers_take(
    monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    """As of `yes 1 2 3`: a few bytes of text become four times as many of numbers."""
    monkeypatch.setattr("nncli.data.readers.text.MOST_BYTES", 1 << 22)

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            count = len(buffer) // len(line)
            buffer[: count * len(line)] = line * count
            self.given += count * len(line)
            return count * len(line)

    stream = Endless()
    told = problems(read_matrix, "-", stream=io.BufferedReader(stream))
    assert told == [
        "standard input: its numbers take more than 4 MiB; save the matrix as .npy, which is not "
        "read whole"
    ]
    assert stream.given < 3 << 20


def test_a_line_that_does_not_end_is_refused_before_all_of_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nncli.data.readers.text.LONGEST_LINE", 1 << 20)

    class Endless:
        given = 0

        def read(self, size: Any) -> Any:
            self.given += size
            return b"1 " * (size // 2)

        def readinto(self, buffer: Any) -> int:
            buffer[:] = self.read(len(buffer))
            return len(buffer)

    stream = Endless()
    told = problems(read_matrix, "-", stream=stream)
    assert told == ["standard input: a row is longer than 1 MiB; save the matrix as .npy"]
    assert stream.given < 2 << 20


@pytest.mark.parametrize("cell", ["1", "x"])
def test_a_row_of_more_cells_than_can_be_looked_at_is_refused(
    monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    monkeypatch.setattr("nncli.data.readers.text.MOST_CELLS", 50)
    assert problems(read, "m.csv", "\n" + ",".join([cell] * 51)) == [
        "m.csv: row 2 has more than 50 cells; save the matrix as .npy"
    ]
    assert read("m.csv", ",".join(["1"] * 50)).array.shape == (1, 50)


def test_nobody_counts_the_mistakes_of_a_file_that_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = []

    def to_number(cell: str) -> float:
        looked.append(cell)
        return float(cell)

    monkeypatch.setattr("nncli.data.readers.text.to_number", to_number)
    told = problems(read, "m.csv", "1,2\n" + "x,y\n" * 100_000)
    assert told[-1] == "m.csv: there may be more; it was read no further"
    assert len(looked) == 1000 + 2


def test_text_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncli.data.readers.text.TEXT_LIMIT", 1 << 16)
    told = problems(read, "m.csv", "1\n" * 100_000)
    assert told == [
        "m.csv: holds more than 0 GiB of text; save the matrix as .npy, which is not read whole"
    ]


class Endless(io.RawIOBase):
    """A stream of ones, and of nothing that would end a line."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b"1" * len(buffer)
        return len(buffer)


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncli.data.readers.text.TEXT_LIMIT", 1 << 20)
    assert problems(read_matrix, "-", stream=Endless()) == [
        "standard input: holds more than 0 GiB of text; save the matrix as .npy, which is not "
        "read whole"
    ]


@HERE_IS_SAFE
@given(st.binary(max_size=80) | st.text('0123456789.,-+ \n\t;#"einfax', max_size=80))
@example("0 ..")  # points behind the first cell, as many as cells
def test_no_text_ends_in_another_error(content: Any) -> None:
    for name in ("m.csv", "m.tsv", "m.txt", "m.npy", "m.png", "m.csv.gz"):
        told_if_any(read, name, content)
    told_if_any(piped, content)


@HERE_IS_SAFE
@given(st.lists(st.lists(FLOATS | INTEGERS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_fast_and_careful_reading_agree(rows: Any) -> None:
    text = "\n".join(",".join(map(repr, row)) for row in rows)
    quoted = "\n".join(",".join(f'"{cell!r}"' for cell in row) for row in rows)
    fast, careful = read("m.csv", text).array, read("m.csv", quoted).array
    assert fast.dtype == careful.dtype
    assert np.array_equal(fast, careful)


@settings(HERE_IS_SAFE, max_examples=300)
@given(
    st.sampled_from(["m.csv", "m.tsv", "m.txt"]),
    st.lists(st.sampled_from(PIECES)),
)
def test_fast_reading_takes_what_careful_reading_takes(name: Any, parts: Any) -> None:
    """With the same mistakes, and every row on the same line."""
    content = "".join(parts)
    fast = read_or_told(name, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextReader, "parse_fast", lambda *_: None)
        assert read_or_told(name, content) == fast


def read_or_told(name: Any, content: Any) -> Any:
    try:
        matrix = read(name, content)
    except DataError as error:
        return error.problems
    return matrix.array.dtype, matrix.array.tolist(), matrix.notes
