"""What the csv module refuses is explained by the row itself, whatever the module says."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncli.data.readers.cells import csv_mistake, records

OPEN = "a quote is opened that is never closed"
GOES_ON = "a quoted cell goes on after its closing quote; a quote within one is written twice"
LONG = "a cell is longer than 131,072 characters; is a quote left open?"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('1,"2\n', OPEN),
        ('"a""b', OPEN),
        ('1, "2\n3\n', OPEN),
        ('"1"2,3\n', GOES_ON),
        ('1,"a" ,3\n', GOES_ON),
        ('"a""b"c,"d\n', GOES_ON),
        ("1," + "9" * 131_073 + ",3\n", LONG),
        ('1,"' + "9" * 131_073 + '",3\n', LONG),
        ("1, " + "," * 200_000 + '"a"b', GOES_ON),
    ],
    ids=range(9),
)
def test_why(row: str, why: str) -> None:
    reader = records(StringIO(row), ",")
    with pytest.raises(csv.Error):
        list(reader)
    assert csv_mistake(row, 1, reader.line_num, ",") == why


@given(st.text(alphabet='1",; \n', max_size=30))
def test_it_tells_the_mistakes_apart_as_the_module_does(text: str) -> None:
    """The module's own words are looked at here alone."""
    reader, start = records(StringIO(text, newline=""), ","), 1
    try:
        for _ in reader:
            start = reader.line_num + 1
    except csv.Error as error:
        wanted = OPEN if "unexpected end" in str(error) else GOES_ON
        assert csv_mistake(text, start, reader.line_num, ",") == wanted
