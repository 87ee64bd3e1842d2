"""Inputs of which nothing can be learnt are told before a training."""

from typing import Any

import pytest

from tests.data.conftest import load, write

ROWS = 40


def told(**columns: Any) -> list[str]:
    table = {**columns, "y": [k % 2 for k in range(ROWS)]}
    rows = ("".join(f"{cells[k]}," for cells in table.values())[:-1] for k in range(ROWS))
    text = "\n".join([",".join(table), *rows, ""])
    return list(load(write("t.csv", text)).found)


MEASURE = [(k * 7 % 11) / 4 for k in range(ROWS)]


@pytest.mark.parametrize("is_ruled", [False, True], ids=["numbers", "with words"])
@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([5] * ROWS, "a is 5 in every row; ignore: [a] leaves it out"),
        (list(range(3, 3 + ROWS)), "a only counts the rows; ignore: [a] leaves it out"),
        (
            [k * 17 % 1009 for k in range(ROWS)],
            "a is another whole number in every row; where it only names the rows, ignore: [a] "
            "leaves it out",
        ),
    ],
)
def test_a_useless_column_is_told(cells: list[int], why: str, is_ruled: bool) -> None:
    words = {"word": ["uv"[k % 3 > 0] for k in range(ROWS)]} if is_ruled else {}
    found = told(a=cells, b=MEASURE, **words)
    assert [note for note in found if "t.csv: a" in note] == [f"t.csv: {why}"]
    assert not any("t.csv: b" in note for note in found)


def test_an_identifier_by_its_name() -> None:
    (note,) = told(user_id=[k * 17 % 1009 for k in range(ROWS)], b=MEASURE)
    assert "user_id is another number in every row: it names the rows; ignore: [user_id]" in note


@pytest.mark.parametrize("mark", [-9999, 1e20, -999])
def test_a_number_that_stands_for_gaps(mark: float) -> None:
    """Nothing of it is so far off that a network would not train, and all of it is scaled by it."""
    ages = [20 + k * 7 % 61 for k in range(ROWS)]
    (note,) = told(age=[*ages[:-3], *[mark] * 3], b=MEASURE)
    assert f"age is {mark:g} in 3 of 40 rows and from 20 to 80 in the others; where it" in note
    assert "columns: {age: {missing: median}} fills them" in note


@pytest.mark.parametrize(
    "cells",
    [
        [20, *range(20, 18 + ROWS), 9999],  # once
        [*range(20, 18 + ROWS), 190, 190],  # not that far
        [0] * (ROWS - 3) + [900] * 3,  # of few values, as counts are
        [(k % 7) ** 6 for k in range(ROWS)],
    ],
)
def test_what_is_far_off_and_no_mark(cells: list[float]) -> None:
    assert told(a=cells, b=MEASURE) == []


def test_measures_are_not_told() -> None:
    assert told(a=MEASURE, b=[k * k / 8 + 0.1 for k in range(ROWS)]) == []
    assert told(a=[k % 30 for k in range(ROWS)]) == []


def test_columns_of_one_name() -> None:
    rows = "".join(f"{k % 7},{k % 5},{k % 2}\n" for k in range(ROWS))
    (note,) = load(write("t.csv", "a,a,y\n" + rows)).found
    assert "t.csv: more than one column is called a; later data are taken in the order" in note


def test_of_many_columns_none_is_told() -> None:
    many = {f"p{k}": [0] * ROWS for k in range(60)}
    assert told(**many) == []
