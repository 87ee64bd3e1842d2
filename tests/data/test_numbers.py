"""Numbers parsed by operations on arrays, against Python's own reading of each cell."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncli.core.errors import DataError
from nncli.data.readers import number_tables, rows
from nncli.data.readers.number_tables import Rows, read_number_table
from nncli.data.readers.numbers import Block, parse
from nncli.data.readers.tables import NUMBER, PLAIN
from tests.conftest import present


def parsed(text: str, width: int, delimiter: str = ",") -> Block | None:
    return parse(text.encode(), delimiter, width)


def column(cells: list[str]) -> Any:
    """The values of a column of cells."""
    return present(parsed("".join(f"{cell}\n" for cell in cells), 1)).values[:, 0]


def assert_as_float(cells: list[str]) -> None:
    expected = np.array([float(cell) for cell in cells])
    found = column(cells)
    different = [cell for cell, a, b in zip(cells, found, expected, strict=True) if a != b]
    assert different == []
    if found.dtype.kind == "f":
        assert (np.signbit(found) == np.signbit(expected)).all()


TEXTS = st.one_of(
    st.from_regex(r"[+-]?[0-9]{1,15}", fullmatch=True),
    st.from_regex(
        r"[+-]?([0-9]{1,12}\.[0-9]{0,12}|\.[0-9]{1,19})([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e6, 1e6).map("{:.18e}".format),
    st.text('0123456789.+-eE, _x\t"#', max_size=6),
)


@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_what_is_taken_is_what_float_makes_of_it(cells: list[str]) -> None:
    block = parsed("".join(f"{cell}\n" for cell in cells), 1)
    if block is None:
        return
    cells = [cell.removeprefix(" ") for cell in cells]
    assert all(NUMBER.fullmatch(cell) for cell in cells)
    assert block.values[:, 0].tolist() == [float(cell) for cell in cells]
    assert block.plain.tolist() == [all(PLAIN.fullmatch(cell) for cell in cells)]


@pytest.mark.parametrize("digits", [1, 3, 4, 8, 9, 15, 16, 17, 18, 19])
@pytest.mark.parametrize("behind", [0, 1, 2, 8, 9, 15])
def test_any_number_of_digits(digits: int, behind: int) -> None:
    rng = np.random.default_rng(digits)
    whole = ["".join(rng.choice(list("0123456789"), digits)) for _ in range(50)]
    if behind == 0 and digits > 15:
        assert parsed("".join(f"{text}\n" for text in whole), 1) is None  # labels, maybe
        whole = [f"{text}." for text in whole[:5]] + ["1.5"] * 45
    elif behind:
        behind = min(behind, digits)
        whole = [f"{text[: digits - behind]}.{text[digits - behind :]}" for text in whole]
    assert_as_float(whole)


def test_ties_and_their_neighbours() -> None:
    """Numbers half-way between two float64 numbers, or a digit beside that, go to the even one."""
    cells = []
    for exponent in range(-8, 1):
        for mantissa in (2**52, 2**52 + 1, 2**53 - 1, 6004799503160661):
            low = math.ldexp(mantissa, exponent)
            middle = (2 * mantissa + 1) * 10**12 * 2 ** (exponent + 8) // 2**9  # in 10**-12
            if middle * 2**9 != (2 * mantissa + 1) * 10**12 * 2 ** (exponent + 8):
                continue
            text = f"{middle // 10**12}.{middle % 10**12:012}".rstrip("0")
            assert float(text) in (low, math.nextafter(low, math.inf))
            cells += [text, f"{text}1", f"{text[:-1]}4999"]
    assert len(cells) > 90
    few = [cell for cell in cells if len(cell) <= 20]
    assert_as_float([*few, *["0.5"] * 8 * len(few)])
    assert_as_float([*cells, *["0.5"] * 8 * len(cells)])


def test_what_numpy_and_python_write() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=2_000) * 10.0 ** rng.integers(-3, 12, 2_000)
    assert column(list(map(repr, values.tolist()))).tolist() == values.tolist()
    assert_as_float([f"{value:.18e}" for value in rng.uniform(0.01, 1e3, 500)])


@pytest.mark.parametrize(
    ("text", "width"),
    [
        *((cell + "\n", 1) for cell in ("", " ", ".", "-", "+", "e5", ".e5", "1..2", "1.2.3")),
        *((cell + "\n", 1) for cell in ("1e", "1e+", "1e+-5", "1ee5", "1e5.0", "1e5e5", "1e1234")),
        *((cell + "\n", 1) for cell in ("--1", "+-1", "1-2", "-", "1 2", "1_0", "0x10", "inf")),
        *((cell + "\n", 1) for cell in ("nan", "a", '"1"', "#1", "1e400", "1:2", "1/2", "٣")),
        *((text, 2) for text in ("1,\n", ",1\n", "1\n2\n", "1,2,3\n4\n", "1,2\n\n3,4\n", "1;2\n")),
        *(
            (text, 2)
            for text in ("1,2\r3,4\n", "1,2\r\n3,4\n", "1,2\n3,4\r\n", "1\r,2\n", "\n1,2\n")
        ),
        ("1234567890123456\n", 1),  # 16 digits
        ("0.5,1234567890123456\n", 2),
    ],
)
def test_what_is_left_to_the_exact_readers(text: str, width: int) -> None:
    assert parsed(text, width) is None


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "1,2\r\n3,4\r\n", "1, 2\n3, 4\n", " 1,2\n3,+4\n"])
def test_line_ends_and_blanks(text: str) -> None:
    assert present(parsed(text, 2)).values.tolist() == [[1, 2], [3, 4]]


def test_which_columns_are_plain_integers() -> None:
    block = present(parsed("1,01,1,-0,-7,1,0\n2,1,+2,3,8,2.,10\n", 7))
    assert block.plain.tolist() == [True, False, False, False, True, False, True]


# Whole tables

FIRST = "a,b,c\n"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_tables, "BLOCK", 64)


def both(path: Path, **options: Any) -> tuple[Any, Any]:
    """The table by the quick reader, and by the exact one."""
    quick = read_number_table(path, ",", **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "read_number_table", lambda *_: None)
        return quick, rows.read_table(path, **options)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end", "end end end"])
@pytest.mark.parametrize(
    "top", ["", FIRST, f"# {FIRST}", f"\n# title\n\n{FIRST}", f'"x\ny",{FIRST[2:]}']
)
def test_the_quick_reader_reads_what_the_exact_one_reads(
    tmp_path: Path, end: str, last: str, top: str
) -> None:
    rng = np.random.default_rng(1)
    lines = [f"{k},{rng.integers(-500, 500)},{rng.normal():.5f}" for k in range(50)]
    text = top + "\n".join(lines) + last.replace(" ", "").replace("end", "\n")
    path = tmp_path / "t.csv"
    path.write_bytes(("\ufeff" + text).replace("\n", end).encode())
    quick, exact = both(path)
    assert quick is not None
    assert quick.header == exact.header
    assert np.array_equal(quick.cells, exact.cells)
    assert quick.lines.tolist() == exact.lines.tolist()
    assert list(quick.column(1)) == list(exact.column(1)) == [line.split(",")[1] for line in lines]
    assert quick.plain.tolist() == [True, True, False]


@pytest.mark.usefixtures("small_blocks")
def test_a_word_far_below_is_found_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{k},{k}\n" for k in range(200)) + "7,x\n" + "1,2\n" * 9)
    quick, exact = both(path)
    assert quick is None
    assert list(exact.cells)[200] == ["7", "x"]


def test_rows_stay_in_the_smallest_type_that_holds_all() -> None:
    kept = Rows(2)
    for values, dtype in (
        ([[0, 255]], np.uint8),
        ([[-1, 3]], np.int16),
        ([[70_000, 0]], np.int32),
        ([[2**40, 1]], np.int64),
        ([[0.5, 1]], np.float64),
        ([[3, 4]], np.float64),
    ):
        kept.append(Block(np.array(values), np.ones(2, np.bool_)))
        assert kept.array.dtype == dtype
    rows = kept.array[: kept.used].tolist()
    assert rows == [[0, 255], [-1, 3], [70_000, 0], [2**40, 1], [0.5, 1], [3, 4]]


@pytest.mark.parametrize("line", [b"1", b"\r"])
def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"1,2\n" + line * (6 << 20) + b"\n3,4\n")
    stream = io.BytesIO(path.read_bytes())
    *_, (last, total) = number_tables._whole_lines(b"", stream)
    assert last == line * len(last)
    assert total < 5 << 20
    assert read_number_table(path, ",") is None


def test_a_file_that_changes_between_two_readings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,2\n3,4\n")
    table = present(read_number_table(path, ","))
    path.write_text("1,2\n3,4\n5,6\n")
    with pytest.raises(DataError, match="has changed while it was read"):
        list(table.column(0))
