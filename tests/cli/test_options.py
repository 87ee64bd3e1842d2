"""The small languages of the command line, and what is not in them."""

import re
from typing import Any, get_args

import pytest

from nncli.app.conv import SUMMED
from nncli.cli import export, inspect_grad, options, predict, train
from nncli.core.errors import NncliError
from nncli.core.layouts import Layout
from nncli.exchange.formats import EXPORT_FORMATS
from nncli.filtering.options import PADDING_MODES
from nncli.inspection import views as inspection
from nncli.render import formats as rendered
from nncli.render.pages.kinds import weighted
from nncli.render.pages.predictions import PREDICTION_FORMATS
from tests.conftest import Run

LONG = "9" * 5000  # int() itself refuses so many digits


def test_ranges_pairs_and_widths() -> None:
    assert options.index_range("3:7", "--rows") == range(3, 7)
    assert options.index_range("3", "--rows") == range(3, 4)
    assert options.index_range(":7", "--rows") == range(7)
    assert options.index_pair("2,1", "--stride") == (2, 1)
    assert options.window_padding("12") == 12
    assert options.entries("12") == (True, 12)


@pytest.mark.parametrize(
    "read",
    [
        lambda: options.index_range(LONG, "--rows"),
        lambda: options.index_range(f"0:{LONG}", "--rows"),
        lambda: options.index_pair(LONG, "--stride"),
        lambda: options.index_pair(f"1,{LONG}", "--stride"),
        lambda: options.window_padding(LONG),
        lambda: options.indices(LONG, "--samples"),
        lambda: options.entries(LONG),
        lambda: options.weight_name(f"dense1[{LONG}]"),
    ],
)
def test_a_number_of_thousands_of_digits_is_refused(read: Any) -> None:
    with pytest.raises(NncliError, match=r"expected|too large; numbers of at most 18 digits"):
        read()


@pytest.mark.parametrize(
    "read",
    [
        lambda text: options.index_pair(text, "--stride"),
        lambda text: options.index_range(text, "--rows"),
        lambda text: options.entries(text),
        lambda text: options.window_padding(text),
    ],
    ids=["pair", "range", "entries", "padding"],
)
def test_a_number_that_is_too_large_is_told_the_limit(read: Any) -> None:
    """It is a whole number from 1, so that must not be what is missing."""
    read("9" * 18)
    with pytest.raises(NncliError, match="is too large; numbers of at most 18 digits are taken"):
        read("1" + "0" * 18)


IDS = ["export", "predict", "train", "view", "page"]
WORDS = [
    (export.To, EXPORT_FORMATS),
    (predict.FormatWord, PREDICTION_FORMATS),
    (train.LayoutWord, get_args(Layout)),
    (inspect_grad.View, inspection.VIEWS),
    (inspect_grad.View, weighted.VIEWS),
]


@pytest.mark.parametrize(
    ("option", "table"), WORDS, ids=["export", "predict", "train", "view", "page"]
)
def test_the_words_of_an_option_are_those_of_its_table(option: Any, table: Any) -> None:
    assert [word.value for word in option] == list(table)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("export", EXPORT_FORMATS),
        ("predict", [format.suffixes[0] for format in PREDICTION_FORMATS.values()]),
        ("inspect-grad", [*rendered.FORMATS, *rendered.suffixes()]),
        ("train", get_args(Layout)),
        ("conv", [*PADDING_MODES, *SUMMED, *rendered.FORMATS]),
    ],
)
def test_help_names_every_word_of_a_table(nncli: Run, command: str, named: Any) -> None:
    text = re.sub(r"[\s│]", "", nncli(command, "--help", COLUMNS="100").out)
    assert [word for word in named if word not in text] == []
