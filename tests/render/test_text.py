"""Numbers, names and arrays as text: how many digits, and which entries are shown."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from nncli.core.text import count_of, printable
from nncli.nn.arrays import Array
from nncli.render.document import (
    Equation,
    Leading,
    Page,
    Paragraph,
    equations,
    rounding_note,
    statistics,
)
from nncli.render.terminal import TerminalPage
from nncli.render.text import (
    Extent,
    NumberFormat,
    bracketed,
    cells,
    duration,
    number,
    number_formats,
    percent,
    plain,
    shape,
    spelled_out,
    without_folders,
)


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


# --- Arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "value", "text"),
    [
        (NumberFormat(6), 0.5, "0.500000"),
        (NumberFormat(2), -0.001, "0.00"),  # no minus before what reads 0
        (NumberFormat(2), -0.006, "-0.01"),
        (NumberFormat(0), 3.0, "3"),
        (NumberFormat(3, scientific=True), 12345.678, "1.235e4"),
        (NumberFormat(3, scientific=True), -1.5e-9, "-1.500e-9"),
        (NumberFormat(3, scientific=True), 0.0, "0.000e0"),
        (NumberFormat(0), np.int64(2**63 - 1), "9223372036854775807"),
        (NumberFormat(3), float("inf"), "inf"),
        (NumberFormat(3), float("nan"), "nan"),
    ],
)
def test_a_number_in_a_matrix(format: NumberFormat, value: float, text: str) -> None:
    assert format(value) == text


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([[0.5, 0.25]], [NumberFormat(2)]),
        ([[0.0, 3.0]], [NumberFormat(0)]),
        ([[0.1], [1 / 3]], [NumberFormat(1), NumberFormat(6)]),
        ([[1e6 + 0.5]], [NumberFormat(6, True)]),
        ([[1e6]], [NumberFormat(0)]),
        ([[1e12]], [NumberFormat(6, True)]),
        ([[1e6], [0.5]], [NumberFormat(6, True)] * 2),
        ([[2**62], [0.5]], [NumberFormat(0), NumberFormat(1)]),
        ([[2**62], [1e-9]], [NumberFormat(0), NumberFormat(6, True)]),
        ([[999999.0]], [NumberFormat(0)]),
        ([[0.001]], [NumberFormat(3)]),
        ([[0.000999]], [NumberFormat(6, True)]),
        ([[0.0009], [5.0]], [NumberFormat(4), NumberFormat(0)]),  # fixed, for the largest is
        ([[1e-7, 1.0]], [NumberFormat(0)]),  # six decimals would not show it
        ([[0.0, 0.0]], [NumberFormat(0)]),
        ([[np.inf, 2.5]], [NumberFormat(1)]),
        ([[np.nan]], [NumberFormat(0)]),
    ],
)
def test_formats(arrays: list[list[float]], expected: list[NumberFormat]) -> None:
    assert number_formats([np.array(a) for a in arrays]) == expected


def test_as_many_decimals_as_asked_for() -> None:
    assert number_formats([np.array([1 / 3])], 12) == [NumberFormat(12)]
    assert number_formats([np.array([1 / 3])], 1) == [NumberFormat(1)]
    assert number_formats([np.array([0.1], np.float32)], 6) == [NumberFormat(1)]


@pytest.mark.parametrize(
    ("extent", "size", "rows"),
    [
        (Extent(), 12, list(range(12))),
        (Extent(), 13, [0, 1, 2, None, 10, 11, 12]),
        (Extent(full=True), 13, list(range(13))),
        (Extent(rows=range(2, 4)), 13, [2, 3]),
        (Extent(rows=range(11, 40)), 13, [11, 12]),
        (Extent(rows=range(20, 21)), 13, []),
    ],
)
def test_which_rows(extent: Extent, size: int, rows: list[int | None]) -> None:
    assert extent.row_indices(size) == rows


def test_which_columns() -> None:
    assert Extent().column_indices(8) == list(range(8))
    assert Extent().column_indices(9) == [0, 1, 2, None, 6, 7, 8]
    assert Extent(columns=range(1)).column_indices(9) == [0]


def test_columns_are_aligned() -> None:
    array = np.array([[1.0, -20.5], [-300.25, 4.0]])
    text = cells(array, NumberFormat(2), [0, None, 1], [0, 1])
    assert bracketed(text) == ["[   1.00 -20.50]", "[      …      …]", "[-300.25   4.00]"]


def test_rounding_keeps_what_is_read() -> None:
    array = np.array([[1 / 3, -2 / 3]])
    assert np.array_equal(NumberFormat(2).rounded(array), [[0.33, -0.67]])
    assert NumberFormat(2).rounded(array.astype(np.float32)).dtype == np.float64


def blocks(
    terms: list[tuple[str, Array]],
    signs: str,
    extent: Extent | None = None,
    axes: Sequence[Leading] = (),
) -> Page:
    return list(equations(terms, signs, extent or Extent(), axes))


def test_an_equation_of_matrices() -> None:
    a = np.arange(4.0).reshape(2, 2)
    (equation,) = blocks([("a", a), ("b", a), ("c", 2 * a)], "+=")
    assert isinstance(equation, Equation)
    assert [term.symbol for term in equation.terms] == ["a", "b", "c"]
    assert np.array_equal(equation.terms[2].shown_values(), 2 * a)
    assert not equation.terms[0].is_cut


def test_arrays_of_more_axes_come_matrix_by_matrix() -> None:
    few, many = np.ones((2, 2, 3, 3)), np.ones((2, 3, 3, 3))
    labels = [
        block.label
        for block in blocks([("z", few)], "", axes=(("sample", (4, 9)), ("channel", None)))
        if isinstance(block, Equation)
    ]
    assert labels == [f"sample {x}, channel {c}" for x in (4, 9) for c in range(2)]
    shown = blocks([("z", many)], "", axes=(("sample", (4, 9)), ("channel", None)))
    assert [type(block) for block in shown] == [Equation, Equation, Paragraph, Paragraph]
    words = [block.text for block in shown if isinstance(block, Paragraph)]
    assert words[0] == "… and 4 more matrices like these"
    assert words[1].startswith("z: 2×3×3×3, norm 7.348, from 1.000 to 1.000")
    everything = blocks([("z", many)], "", Extent(full=True), (("sample", None), ("channel", None)))
    assert len(everything) == 6


def test_a_shortened_matrix_comes_with_its_statistics() -> None:
    array = np.arange(26.0).reshape(13, 2)
    equation, words = blocks([("W", array)], "")
    assert isinstance(equation, Equation)
    assert equation.terms[0].is_cut
    assert np.array_equal(equation.terms[0].shown_values(), array[[0, 1, 2, 10, 11, 12]])
    assert words == Paragraph(f"W: {statistics(array)}", note=True)
    assert statistics(array) == "13×2, norm 74.33, from 0 to 25.00, mean 12.50"


def test_the_rounding_note_is_true() -> None:
    third = np.array([[1 / 3]])
    exact, off = (np.array([[x]]) for x in (0.25, 1 / 3))
    assert rounding_note(blocks([("a", exact), ("b", exact), ("c", 2 * exact)], "+=")).text == (
        "Numbers are rounded for reading; sums add up."
    )
    page = blocks([("a", off), ("b", third), ("c", off + third)], "+=")
    # 0.333333 + 0.333333 beside 0.666667
    assert rounding_note(page).text.endswith("sums of what is shown are off by at most 1e-06.")


def test_a_shortened_matrix_keeps_its_columns_where_symbols_are_spelled_out() -> None:
    array = np.random.default_rng(0).normal(size=(20, 20))
    terms = [("∂C/∂W", array), ("δ", array), ("z", array)]
    page: Page = list(equations(terms, "⊙=", Extent()))
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding="ascii")
    Console(file=file, width=80).print(TerminalPage(page[:1]))
    file.flush()
    lines = buffer.getvalue().decode().splitlines()
    assert lines[0] == "  dC/dW  20x20"
    assert lines[8] == "    delta  20x20"
    assert lines[9].startswith("(.) [")
    for start in (0, 8, 16):
        assert len({len(line) for line in lines[start + 1 : start + 8]}) == 1
        assert "..." in lines[start + 1]


def test_styles_stay_where_they_were_when_a_text_is_spelled_out() -> None:
    text = Text("η and ").append("δ ⊗ a", "bold").append(" end", "dim")
    made = spelled_out(text)
    assert made.plain == "eta and delta (x) a end"
    parts = {str(s.style): made.plain[s.start : s.end] for s in made.spans}
    assert parts == {"bold": "delta (x) a", "dim": " end"}
    assert spelled_out(Text("a")).plain == "a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("train: /home/me/my nets/iris.csv", "train: iris.csv"),
        ("../../me/x.csv", "x.csv"),
        ("{inputs: /a/b.gz, targets: /a/c.gz}", "{inputs: b.gz, targets: c.gz}"),
        ("'/a/b.npz#x'", "'b.npz#x'"),
        ("data/iris.csv", "data/iris.csv"),
        ("a / b and c/d/e", "a / b and c/d/e"),
    ],
)
def test_folders_of_this_machine_are_left_out(text: str, shown: str) -> None:
    assert without_folders(text) == shown
