"""Numbers at a readable length, names that cannot act as markup."""

import pytest

from nncli.core.text import count_of, printable
from nncli.render.text import duration, number, percent, plain, shape


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "–"),
        (0, 3, "0"),
        (0.0, 10, "0"),
        (-0.0, 3, "0"),
        (1, 3, "1.00"),
        (-1.005, 2, "-1.0"),
        (0.30, 3, "0.300"),
        (123.4, 3, "123"),
        (123.4, 4, "123.4"),
        (999.6, 3, "1.00e3"),
        (1234.5, 3, "1.23e3"),
        (0.00012345, 3, "0.000123"),
        (0.000012345, 3, "1.23e-5"),
        (1e-300, 1, "1e-300"),
        (-2.5e17, 2, "-2.5e17"),
        (0.2983711087600027, 10, "0.2983711088"),
        (float("inf"), 3, "inf"),
        (float("-inf"), 3, "-inf"),
        (float("nan"), 3, "nan"),
    ],
)
def test_number(value: float | None, digits: int, text: str) -> None:
    assert number(value, digits) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0, "0.0%"),
        (1e-9, "<0.1%"),
        (0.00099, "<0.1%"),
        (0.001, "0.1%"),
        (0.5, "50.0%"),
        (0.9989, "99.9%"),
        (0.99901, ">99.9%"),
        (1 - 1e-12, ">99.9%"),
        (1, "100.0%"),
        (1.25, "125.0%"),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_percent_of_other_places() -> None:
    assert percent(0.123456, 3) == "12.346%"
    assert percent(1e-9, 0) == "<1%"


def test_names_are_only_text() -> None:
    assert printable("a\tb\x1b[31m\u202e") == "a\\tb\\x1b[31m\\u202e"
    assert plain("[red]x[/red] :smile:").plain == "[red]x[/red] :smile:"


def test_small_words() -> None:
    assert count_of(1, "entry", "entries") == "1 entry"
    assert count_of(1200, "entry", "entries") == "1,200 entries"
    assert shape((3, 4)) == "3×4"
    assert duration(0.012) == "12.0 ms"
    assert duration(3) == "3.00 s"
    assert duration(61) == "1 min 1 s"
