"""Tables whose cells are separated by something else than their names say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import DataError
from nncli.data import ColumnKeys, preprocessing_from, read_inputs, read_source
from nncli.data.readers.separators import Form
from tests.data.conftest import FLOAT64, gathered, load, write

ROWS = [("a", "b", "y"), ("1.5", "-2", "0"), ("2.25", "3e2", "1"), ("3.5", "7", "1")]
NUMBERS = [[1.5, -2], [2.25, 300], [3.5, 7]]


def text_of(separator: str, decimal: str = ".", header: bool = True) -> str:
    rows = ROWS if header else ROWS[1:]
    return "".join(separator.join(row).replace(".", decimal) + "\n" for row in rows)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("separator", "decimal", "told"),
    [
        (";", ".", "';'"),
        ("|", ".", "'|'"),
        ("\t", ".", "tabs"),
        (" ", ".", "blanks"),
        ("  ", ".", "blanks"),
        (";", ",", "';', its decimals marked by commas"),
    ],
)
def test_separators_are_recognised(separator: str, decimal: str, told: str, header: bool) -> None:
    if decimal == "," and not header:  # the first row has commas too
        keys = ColumnKeys(form=Form(";"))
        samples = read_source(write("t.csv", text_of(separator, decimal, header)), keys=keys)
        np.testing.assert_array_equal(samples.inputs, NUMBERS)
        return
    samples = read_source(write("t.csv", text_of(separator, decimal, header)))
    np.testing.assert_array_equal(samples.inputs, NUMBERS)
    assert samples.targets is not None
    assert samples.targets.tolist() == [0, 1, 1]
    assert samples.notes == (f"t.csv: its cells are separated by {told}",)


@pytest.mark.parametrize("separator", [";", "|", "\t", " "])
def test_later_data_are_recognised_too(separator: str) -> None:
    data = load(write("t.csv", text_of(",")), classes="none")
    found = read_inputs(data.preprocessing, write("l.csv", text_of(separator)), FLOAT64)
    np.testing.assert_array_equal(
        np.concatenate([gathered(part)[0] for part in found.parts]), NUMBERS
    )


def test_what_the_spec_says_is_kept_for_later_data() -> None:
    keys = ColumnKeys(form=Form(";", ","))
    text = "a;y\n1,250;0\n2,500;1\n3,750;1\n"
    data = load(write("t.csv", text), keys=keys)
    assert data.train.inputs.ravel().tolist() == [1.25, 2.5, 3.75]
    known = preprocessing_from(data.preprocessing.as_plain())
    assert known.form == Form(";", ",")
    found = read_inputs(known, Path("t.csv"), FLOAT64)
    assert [gathered(part)[0].ravel().tolist() for part in found.parts] == [[1.25, 2.5, 3.75]]


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        ("a;y\n1,250;0\n2,500;1\n", "decimal", "the comma of 1,250 may mark decimals or group"),
        ("1,5;2,5\n3,5;4,5\n", "separator", "may be separated by ';' or commas"),
        ("a;b|c\n1;2|3\n", "separator", "may be separated by ';' or '|'"),
    ],
)
def test_two_readings_are_not_guessed_between(text: str, key: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        load(write("t.csv", text))
    assert caught.value.key == key
    assert told in caught.value.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "name,y\na; b,0\nc; d,1\n",
        "name,y\nJo Lee,0\nMe Too,1\n",
        'n,y\n"a;b",0\n"c;d",1\n',
    ],
)
def test_other_marks_within_words_separate_nothing(text: str) -> None:
    samples: Any = read_source(write("t.csv", text))
    assert samples.targets.tolist() == [0, 1]
    assert not any("separated" in note for note in samples.notes)
