import builtins
import gzip
import io
import os
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from nncli.core.errors import DataError, RunError
from nncli.data.readers import files, images, matrices
from nncli.data.readers.filters import FILTERS, read_filter
from nncli.data.readers.matrices import open_npy_for_writing, read_matrix, write_matrix
from nncli.data.readers.text import TextReader
from tests.conftest import present
from tests.data.conftest import problems, told_if_any, write

HERE_IS_SAFE = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIDES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
KNOWN = ".csv, .tsv, .txt, .npy, .png, .jpg, .jpeg, .pgm, .ppm, .bmp, .tif, .tiff, .webp"
TO_DO = "for not all integers here fit int64; write it with .0 where that will do"
MUST_BE = "must be rows x columns or channels x rows x columns, not"
PIECES = ["1", "-2", "+3.5", "1e2", "-", "5", "nan", " ", ",", ",,", ";", "\t", "#", '"']
PIECES += ["\n", "\r\n", "\r", "\n\n"]
ROWS = "rows such as '1 0 1; 0 1 0; 1 0 1'"


def read(name: Any, content: Any, **options: Any) -> Any:
    return read_matrix(write(name, content), **options)


def piped(content: Any, **options: Any) -> Any:
    raw = content.encode() if isinstance(content, str) else content
    return read_matrix("-", stream=io.BytesIO(raw), **options)


def npy(array: Any) -> Any:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def encoded(image: Any, format: Any, **options: Any) -> Any:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: Any, height: Any, depth: Any, colour: Any, rows: Any) -> Any:
    """A PNG by hand, for what Pillow does not write."""

    def chunk(kind: Any, data: Any) -> Any:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# Text


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


# Round trips


@HERE_IS_SAFE
@given(
    hnp.arrays(np.float64, SIDES, elements=FLOATS)
    | hnp.arrays(np.int64, SIDES, elements=INTEGERS)
    | hnp.arrays(
        np.float32, SIDES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
    | hnp.arrays(np.uint8, SIDES),
    st.sampled_from(["m.csv", "m.tsv", "m.txt", "m.npy"]),
)
def test_what_was_written_comes_back_equal(array: Any, name: Any) -> None:
    assert write_matrix(name, array) == ()
    back = read_matrix(name).array
    assert np.array_equal(back, array)
    kept = array.dtype if name == "m.npy" else np.float64 if array.dtype.kind == "f" else np.int64
    assert back.dtype == kept


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.csv", "0.1,-2.0\n1e-05,3e+22\n"), ("m.tsv", "0.1\t-2.0\n1e-05\t3e+22\n"),
     ("m.txt", "0.1 -2.0\n1e-05 3e+22\n")],
)  # fmt: skip
def test_numbers_are_written_as_short_as_they_can_be(name: str, text: str) -> None:
    write_matrix(name, np.array([[0.1, -2], [1e-5, 3e22]]))
    assert Path(name).read_text() == text


def test_nan_and_bool_are_written() -> None:
    write_matrix("m.csv", np.array([[np.nan, np.inf, -np.inf]]))
    assert Path("m.csv").read_text() == "nan,inf,-inf\n"
    write_matrix("m.csv", np.array([[True, False]]))
    assert Path("m.csv").read_text() == "1,0\n"


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "f2", ">f8", "?"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_and_keeps_its_type(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
    np.save("m.npy", array)
    matrix = read_matrix("m.npy")
    assert isinstance(matrix.array, np.memmap)
    assert matrix.array.dtype == (np.uint8 if dtype == "?" else dtype)
    assert np.array_equal(matrix.array, array)
    for other in (piped(npy(array)), read("m.npy.gz", npy(array)), read("m.unknown", npy(array))):
        assert other.kind == "npy"
        assert np.array_equal(other.array, array)
    write_matrix("m.npy", array)
    assert np.array_equal(np.load("m.npy"), array)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(npy(np.arange(5)), f"{MUST_BE} 1 dimension (5)", id="1-D"),
        pytest.param(
            npy(np.zeros((1, 2, 3, 4))), f"{MUST_BE} 4 dimensions (1 x 2 x 3 x 4)", id="4-D"
        ),
        pytest.param(
            npy(np.float64(5)), "is a single number; a matrix has rows and columns", id="0-D"
        ),
        pytest.param(npy(np.zeros((0, 3))), "holds no numbers (its shape is 0 x 3)", id="no rows"),
        pytest.param(
            npy(np.zeros((2, 2), complex)),
            "holds '<c16'; it must be plain numbers or text",
            id="complex",
        ),
        pytest.param(npy(np.array([["a"]])), "must hold numbers, not text", id="text"),
        pytest.param(
            npy(np.array([[None]])),
            "holds pickled Python objects, which are never read",
            id="objects",
        ),
        pytest.param(
            npy(np.zeros((2, 2)))[:-1],
            "its header promises 32 bytes of data (2 x 2, float64), but it holds 31",
            id="cut short",
        ),
        pytest.param(
            b"\x93NUMPY\x01\x00\x10\x00{broken}........",
            "is damaged: its header cannot be read",
            id="header",
        ),
    ],
)
def test_mistakes_in_npy(content: Any, told: str) -> None:
    assert problems(read, "m.npy", content) == [f"m.npy: {told}"]
    assert problems(piped, content) == [f"standard input: {told}"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_nan_in_npy_has_its_place(order: Any) -> None:
    array = np.zeros((2, 3, 40_000), order=order)
    array[1, 2, 30_000] = np.nan
    array[0, 1, 5] = np.inf
    told = [
        "m.npy: channel 1, row 2, column 6 (element [0, 1, 5]): inf is not a finite number",
        "m.npy: channel 2, row 3, column 30001 (element [1, 2, 30000]): nan is not a finite number",
    ]
    assert sorted(problems(read, "m.npy", npy(array))) == told
    assert np.array_equal(read_matrix("m.npy", allow_nan=True).array, array, equal_nan=True)


# Images

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2])
GREY_IMAGE = Image.fromarray(GREY)
COLOUR_IMAGE = Image.fromarray(np.moveaxis(COLOUR, 0, 2).copy())
ALPHA = "its alpha channel was dropped"
SIXTEEN = np.arange(0, 60_000, 2500, dtype=np.uint16).reshape(4, 6)
REDUCED = "its 16 bits a channel were reduced to 8; only grey ones are kept"


def with_alpha(image: Any) -> Any:
    image = image.copy()
    image.putalpha(128)
    return image


def grey_palette() -> Any:
    image = GREY_IMAGE.copy().convert("P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image


@pytest.mark.parametrize(
    ("image", "format", "array", "notes"),
    [
        pytest.param(
            GREY_IMAGE.point(lambda v: 255 * (v > 99), "1"), "PNG", 255 * (GREY > 99), [], id="1"
        ),
        pytest.param(GREY_IMAGE, "PNG", GREY, [], id="L"),
        pytest.param(with_alpha(GREY_IMAGE), "PNG", GREY, [ALPHA], id="LA"),
        pytest.param(COLOUR_IMAGE.quantize(256), "PNG", COLOUR, [], id="P"),
        pytest.param(grey_palette(), "PNG", GREY, [], id="P, all grey"),
        pytest.param(COLOUR_IMAGE, "PNG", COLOUR, [], id="RGB"),
        pytest.param(with_alpha(COLOUR_IMAGE), "PNG", COLOUR, [ALPHA], id="RGBA"),
        pytest.param(Image.fromarray(SIXTEEN), "PNG", SIXTEEN, [], id="I;16"),
        pytest.param(Image.fromarray(SIXTEEN), "TIFF", SIXTEEN, [], id="I;16 tiff"),
        pytest.param(Image.fromarray(SIXTEEN.astype(">u2")), "TIFF", SIXTEEN, [], id="I;16B"),
        pytest.param(Image.fromarray(SIXTEEN.astype(np.int32)), "PPM", SIXTEEN, [], id="I, pgm"),
        pytest.param(
            Image.fromarray(GREY.astype(np.float32) / 7),
            "TIFF",
            GREY.astype(np.float32) / 7,
            [],
            id="F",
        ),
        pytest.param(
            COLOUR_IMAGE.convert("CMYK"),
            "TIFF",
            COLOUR,
            ["its CMYK colours were converted to RGB"],
            id="CMYK",
        ),
        pytest.param(COLOUR_IMAGE, "BMP", COLOUR, [], id="bmp"),
        pytest.param(COLOUR_IMAGE, "PPM", COLOUR, [], id="ppm"),
        pytest.param(GREY_IMAGE, "PPM", GREY, [], id="pgm"),
    ],
)
def test_images_of_all_modes(image: Any, format: str, array: Any, notes: Any) -> None:
    content = encoded(image, format)
    suffix = next(s for s, name in images.PILLOW_FORMATS.items() if name == format)
    for matrix in (read(f"m{suffix}", content), piped(content), read("m.unknown", content)):
        assert matrix.kind == "image"
        assert matrix.array.dtype == (np.uint8 if array.dtype == int else array.dtype)
        assert np.array_equal(matrix.array, array)
        assert matrix.notes == tuple(f"{matrix.name}: {note}" for note in notes)


@pytest.mark.parametrize(("colour", "channels", "notes"), [
    (0, 1, []), (2, 3, [REDUCED]), (4, 2, [ALPHA, REDUCED]), (6, 4, [ALPHA, REDUCED]),
])  # fmt: skip
def test_16_bits_are_kept_or_noted(colour: int, channels: int, notes: Any) -> None:
    matrix = piped(png(2, 1, 16, colour, b"\0" + bytes(range(4 * channels))))
    assert matrix.notes == tuple(f"standard input: {note}" for note in notes)
    assert matrix.array.shape == ((1, 2) if colour in (0, 4) else (3, 1, 2))
    if colour == 0:
        assert matrix.array.tolist() == [[0x0001, 0x0203]]


def test_scaled_values_and_further_images_are_noted() -> None:
    matrix = read("m.pgm", "P2\n# one row\n3 1\n15\n0 1 15\n")
    assert matrix.array.tolist() == [[0, 17, 255]]
    assert matrix.notes == ("m.pgm: its values 0 to 15 were scaled to 0 to 255",)
    two = encoded(GREY_IMAGE, "TIFF", save_all=True, append_images=[GREY_IMAGE])
    assert read("m.tif", two).notes == ("m.tif: holds 2 images; the first was read",)


def test_words_that_begin_like_an_image_are_text() -> None:
    assert piped("P1 P2\n1 2\n").array.tolist() == [[1, 2]]


def test_mistakes_in_images() -> None:
    whole = encoded(COLOUR_IMAGE, "PNG")
    assert problems(read, "m.png", whole[:50]) == [
        "m.png: is damaged, or no PNG that can be read: image file is truncated"
    ]
    assert problems(read, "m.png", "hello") == [
        "m.png: is no image, or of a format other than PNG, JPEG, PPM, BMP, TIFF, WEBP, GIF"
    ]
    assert problems(read, "m.png", whole[:12]) == [
        "m.png: is damaged, or no PNG that can be read: its data make no sense"
    ]
    nan = Image.fromarray(np.array([[1, np.nan]], np.float32))
    assert problems(read, "m.tif", encoded(nan, "TIFF")) == [
        "m.tif: row 1, column 2 (element [0, 1]): nan is not a finite number"
    ]


@pytest.mark.parametrize(("mode", "side"), [("L", 1000), ("RGB", 550), ("I;16", 700)])
def test_an_image_that_expands_too_far_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, mode: str, side: int
) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 20)
    content = encoded(Image.new(mode, (side, side)), "PNG")
    assert read("m.png", content).array.shape[-1] == side  # 1 MB at most
    content = encoded(Image.new(mode, (2 * side, 2 * side)), "PNG")
    assert problems(read, "m.png", content) == [
        "m.png: expands to more than 200 times its size; refused as a decompression bomb"
    ]


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_an_image_bomb_is_refused(side: int) -> None:
    assert problems(read, "m.png", png(side, side, 8, 0, b"\0")) == [
        "m.png: has more than 89,478,485 pixels; refused as a decompression bomb"
    ]


@HERE_IS_SAFE
@given(st.data())
def test_no_damaged_image_ends_in_another_error(data: Any) -> None:
    format = data.draw(st.sampled_from(["PNG", "JPEG", "PPM", "BMP", "WEBP"]))
    content = bytearray(encoded(COLOUR_IMAGE, format))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    told_if_any(piped, bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_without_pillow_images_name_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(GREY_IMAGE, "PNG")
    real = builtins.__import__

    def refuse(name: Any, *rest: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert problems(read, "cat.png", content) == [
        "cat.png: reading PNG needs Pillow: pip install 'nncli[images]'"
    ]
    assert problems(write_matrix, "new.jpg", GREY) == [
        "new.jpg: writing JPEG needs Pillow: pip install 'nncli[images]'"
    ]


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".bmp", ".tif", ".webp"])
def test_grey_images_round_trip(suffix: str) -> None:
    assert write_matrix(f"m{suffix}", GREY) == ()
    back = read_matrix(f"m{suffix}").array
    assert np.array_equal(back, np.stack([GREY] * 3) if suffix == ".webp" else GREY)


@pytest.mark.parametrize("suffix", [".png", ".ppm", ".bmp", ".tiff", ".webp"])
def test_colour_images_round_trip(suffix: str) -> None:
    assert write_matrix(f"m{suffix}", COLOUR) == ()
    assert np.array_equal(read_matrix(f"m{suffix}").array, COLOUR)


def test_images_round_and_clip() -> None:
    notes = write_matrix("m.png", np.array([[[-0.4, 0.6, 254.6], [-3, 256, np.inf]]]))
    assert read_matrix("m.png").array.tolist() == [[0, 1, 255], [0, 255, 255]]
    assert notes == ("m.png: 3 of 6 values lay outside 0 to 255 and became 0 or 255",)
    assert write_matrix("m.jpg", GREY) == ("m.jpg: JPEG does not keep values exactly; PNG does",)


# Writing


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        pytest.param(
            "m.cvs",
            GREY,
            f"'.cvs' is not a known format; did you mean '.csv'? Known are {KNOWN}",
            id="near",
        ),
        pytest.param(
            "m.xlsx1", GREY, f"'.xlsx1' is not a known format; known are {KNOWN}", id="unknown"
        ),
        pytest.param("m", GREY, f"no suffix tells its format; known are {KNOWN}", id="no suffix"),
        pytest.param(
            "m.csv",
            COLOUR,
            "text holds rows x columns, not 3 x 4 x 6; write .npy instead",
            id="3-D text",
        ),
        pytest.param("m.csv", GREY[0], f"{MUST_BE} 1 dimension (6)", id="1-D"),
        pytest.param("m.csv", GREY[:0], "holds no numbers (its shape is 0 x 6)", id="empty"),
        pytest.param(
            "m.npy",
            GREY * 1j,
            "cannot hold complex128; a matrix is written as plain numbers",
            id="complex",
        ),
        pytest.param(
            "m.png",
            COLOUR[:2],
            "an image has 1 channel or 3, not 2 (2 x 4 x 6); write .npy instead",
            id="2 channels",
        ),
        pytest.param(
            "m.pgm",
            COLOUR,
            "an image has 1 channel, not 3 (3 x 4 x 6); write .ppm or .npy instead",
            id="colour as pgm",
        ),
        pytest.param(
            "m.png",
            np.array([[1, np.nan]]),
            "row 1, column 2 (element [0, 1]): nan cannot be a pixel",
            id="nan",
        ),
    ],
)
def test_what_cannot_be_written(name: str, array: Any, told: str) -> None:
    assert problems(write_matrix, name, array) == [f"{name}: {told}"]
    assert os.listdir() == []


def test_an_image_too_long_for_its_format() -> None:
    told = problems(write_matrix, "m.jpg", np.zeros((1, 70_000), np.uint8))
    assert len(told) == 1
    assert told[0].startswith("m.jpg: cannot be written as JPEG: ")


@pytest.mark.parametrize("name", ["none/m.csv", "none/m.npy", "none/m.png"])
def test_where_nothing_can_be_written(name: str) -> None:
    with pytest.raises(RunError, match=rf"^{name}: cannot be written: no such file or directory$"):
        write_matrix(name, GREY)


def test_a_file_is_replaced_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.csv").write_text("old")
    calls = []

    def full(*_: Any) -> bytes:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return b"1\n"

    monkeypatch.setattr(matrices, "as_text", full)
    with pytest.raises(RunError, match=r"^m\.csv: cannot be written: no space left on device$"):
        write_matrix("m.csv", np.zeros((10_000, 10)))
    assert Path("m.csv").read_text() == "old"
    assert os.listdir() == ["m.csv"]


def test_npy_filled_through_a_mapping() -> None:
    with open_npy_for_writing("m.npy", (3, 4), np.float32) as out:
        assert not Path("m.npy").exists()
        out[:] = np.arange(12).reshape(3, 4)
    assert np.load("m.npy").tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert np.load("m.npy").dtype == np.float32
    with pytest.raises(ZeroDivisionError), open_npy_for_writing("m.npy", (1, 1), np.int64) as out:
        raise ZeroDivisionError
    assert np.load("m.npy").shape == (3, 4)
    assert os.listdir() == ["m.npy"]


def test_a_disk_too_small_is_told_before_the_mapping_is_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    told = r"^m\.npy: cannot be written: no space left on device$"
    with pytest.raises(RunError, match=told), open_npy_for_writing("m.npy", (9, 9), np.int8):
        pytest.fail("there was no room")
    assert os.listdir() == []


def test_a_file_system_that_cannot_take_room_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with open_npy_for_writing("m.npy", (2, 2), np.int8) as out:
        out[:] = 7
    assert np.load("m.npy").tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.npy"])
def test_progress_rises_to_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "SECONDS_BETWEEN", 0)
    write_matrix("m.csv", np.random.default_rng(0).random((300, 300)))
    if name == "m.npy":
        write_matrix(name, np.ones((3000, 300)))
    elif name == "m.csv.gz":
        write(name, Path("m.csv").read_bytes())
    seen = []
    read_matrix(name, progress=lambda done, total: seen.append((done, total)))
    size = Path(name).stat().st_size
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    assert {total for _, total in seen} == {size}


def test_progress_of_writing_and_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "SECONDS_BETWEEN", 0)
    seen = []
    write_matrix("m.csv", np.ones((9000, 3)), progress=lambda *done: seen.append(done))
    assert len(seen) > 2
    assert seen[-1] == (9000, 9000)
    assert seen == sorted(seen)
    seen = []
    piped("1 2\n" * 100_000, progress=lambda *done: seen.append(done))
    assert seen[-1] == (400_000, None)


def test_progress_is_told_a_few_times_a_second_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = [], 5.0
    monkeypatch.setattr(matrices, "time", SimpleNamespace(monotonic=lambda: now))
    tick = matrices.Ticker(lambda *done: seen.append(done), 10)
    for _ in range(60):
        now += 0.01
        tick(1)
    assert len(seen) == 2


# Filters


def test_known_filters() -> None:
    assert list(FILTERS) == ["identity", "box", "gaussian", "sharpen", "laplacian", "emboss",
                             "sobel-x", "sobel-y", "prewitt-x", "prewitt-y"]  # fmt: skip
    sums = {"identity": 1, "box": 1, "gaussian": 1, "sharpen": 1, "emboss": 1}
    for name in FILTERS:
        matrix = read_filter(name)
        assert (matrix.name, matrix.kind, matrix.array.shape) == (name, "name", (3, 3))
        assert matrix.array.sum() == pytest.approx(sums.get(name, 0), abs=1e-15)
        assert matrix.array.dtype == (np.float64 if name in ("box", "gaussian") else np.int64)
    assert (read_filter("box").array == 1 / 9).all()
    assert read_filter("gaussian").array.tolist()[1] == [2 / 16, 4 / 16, 2 / 16]
    for one in ("sobel", "prewitt"):
        assert np.array_equal(FILTERS[f"{one}-x"], FILTERS[f"{one}-y"].T)


def test_the_docstring_shows_the_filters_as_they_are() -> None:
    lines = present(read_filter.__doc__).split("\n\n")
    shown = {}
    for table in lines[2:4]:
        title, *rows = table.splitlines()
        columns = [title.index(name) for name in title.split() if name in FILTERS]
        names = [name for name in title.split() if name in FILTERS]
        for name, start, end in zip(names, columns, [*columns[1:], None], strict=True):
            shown[name] = [[int(cell) for cell in row[start:end].split()] for row in rows]
    scale = {"box": 9, "gaussian": 16}
    assert shown == {n: (f * scale.get(n, 1)).tolist() for n, f in FILTERS.items()}


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("1 0 1; 0 1 0; 1 0 1", [[1, 0, 1], [0, 1, 0], [1, 0, 1]]),
        ("1,0,1;0,1,0", [[1, 0, 1], [0, 1, 0]]),
        (" 1, 2 ; 3 ,4 ;", [[1, 2], [3, 4]]),
        ("1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("1/9 -1/4", [[1 / 9, -0.25]]),
        ("0.5", [[0.5]]),
        ("-3", [[-3]]),
        (str(2**64), [[2.0**64]]),
    ],
)
def test_literal_filters(text: Any, array: Any) -> None:
    matrix = read_filter(text)
    assert (matrix.name, matrix.kind) == ("filter", "literal")
    assert matrix.array.tolist() == array
    whole = not set("./") & set(text) and text != str(2**64)
    assert matrix.array.dtype == (np.int64 if whole else np.float64)


def test_filters_from_files() -> None:
    write("k.csv", "1,2\n3,4\n")
    write("box", "1 1\n1 1\n")
    write("3", "7 7\n")
    assert read_filter("k.csv").array.tolist() == [[1, 2], [3, 4]]
    assert read_filter("./box").array.tolist() == [[1, 1], [1, 1]]
    assert read_filter("box").array.shape == (3, 3)
    assert read_filter("3").array.tolist() == [[7, 7]]
    assert read_filter("-", stream=io.BytesIO(b"1 2")).array.tolist() == [[1, 2]]


NAMES = ("identity, box, gaussian, sharpen, laplacian, emboss, "
         "sobel-x, sobel-y, prewitt-x, prewitt-y")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "gausian",
            [
                f"filter: 'gausian' is not known; did you mean 'gaussian'? Known are {NAMES}; "
                f"a file or {ROWS} can be given too"
            ],
        ),
        (
            "what",
            [f"filter: 'what' is not known; known are {NAMES}; a file or {ROWS} can be given too"],
        ),
        (" ", [f"filter: is empty; give one of {NAMES}, a file, or {ROWS}"]),
        ("none.csv", ["none.csv: no such file"]),
        ("3x3.csv", ["3x3.csv: no such file"]),
        ("none/box", ["none/box: no such file"]),
        ("1 0 1; 0 1", ["filter: row 2, column 3: expected 3 cells as in the first row, found 2"]),
        ("1 x; 0 1", ["filter: row 1, column 2: 'x' is not a number"]),
        ("1 2;;3 4", ["filter: row 2, column 1: the cell is empty; it needs a number"]),
        ("1,,2", ["filter: row 1, column 2: the cell is empty; it needs a number"]),
        ("1/0 1", ["filter: row 1, column 1: '1/0' divides by zero"]),
        ("1e300/1e-300", ["filter: row 1, column 1: '1e300/1e-300' is too large for a number"]),
        ("nan 1", ["filter: row 1, column 1: 'nan' is not a finite number"]),
        ("1 1/2/3", ["filter: row 1, column 2: '1/2/3' is not a number"]),
        ("1_0;", ["filter: row 1, column 1: '1_0' is not a number"]),
        (
            f"{2**63 + 1}",
            [
                "filter: row 1, column 1: 9223372036854775809 would be "
                f"rounded to 9223372036854775808, {TO_DO}"
            ],
        ),
        (";", ["filter: row 1, column 1: the cell is empty; it needs a number"]),
    ],
)
def test_mistakes_in_filters(text: str, told: list[str]) -> None:
    assert problems(read_filter, text) == told


@HERE_IS_SAFE
@given(st.text("0123456789.,-+ \n;/einfax", max_size=30))
def test_no_filter_ends_in_another_error(text: Any) -> None:
    assert all(line.isprintable() for line in told_if_any(read_filter, text))
