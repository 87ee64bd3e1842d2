"""Filters of `nncli conv`: by name, written out, from files."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncli.data.readers.filters import FILTERS, read_filter
from tests.conftest import present
from tests.data.conftest import problems, told_if_any, write
from tests.data.matrices import (
    HERE_IS_SAFE,
    ROWS,
    TO_DO,
)


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
        (
            "https://x.org/m.csv",
            [
                "https:/x.org/m.csv: no such file; addresses are not read: download it, and give "
                "the file's path"
            ],
        ),
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
