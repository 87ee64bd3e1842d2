"""Tables lose whole columns where the width does not suffice, and never a part of a cell."""

import pytest
from rich.cells import cell_len

from nncli.render.widgets.tables import Column, Columns
from tests.render.reading import shown

COLUMNS = [
    Column("layer", words=True),
    Column("first", rank=1),
    Column("third", rank=3),
    Column("kept"),
    Column("second", rank=2),
]
ROWS = [
    ["dense1", "0.111111", "0.333333", "0.444444", "0.222222"],
    ["avgpool1", "1.5", "–", "", "2"],
]


def kept(width: int) -> list[str]:
    return [COLUMNS[k].heading for k in Columns(COLUMNS, ROWS).fitting(width)]


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (48, ["layer", "first", "third", "kept", "second"]),
        (47, ["layer", "first", "kept", "second"]),
        (38, ["layer", "first", "kept", "second"]),
        (37, ["layer", "first", "kept"]),
        (28, ["layer", "first", "kept"]),
        (27, ["layer", "kept"]),
        (18, ["layer", "kept"]),
        (1, ["layer", "kept"]),
    ],
)
def test_columns_go_by_rank_and_stay_in_order(width: int, headings: list[str]) -> None:
    assert kept(width) == headings


@pytest.mark.parametrize("width", range(18, 60))
def test_no_cell_is_cut(width: int) -> None:
    text = shown(Columns(COLUMNS, ROWS), width)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    for k in Columns(COLUMNS, ROWS).fitting(width):
        for row in ROWS:
            assert row[k] in text


def test_a_total_counts_in_the_width() -> None:
    total = ["total", "", "", "1,234,567,890,123", ""]
    table = Columns(COLUMNS, ROWS, total)
    assert table.fitting(57) == [0, 1, 2, 3, 4]
    assert table.fitting(56) == [0, 1, 3, 4]
    assert table.fitting(46) == [0, 1, 3]
    assert "1,234,567,890,123" in shown(table, 46)


def test_names_are_only_text() -> None:
    text = shown(Columns([Column("x", words=True)], [["[red]a[/red] :smile: \x1b[31m"]]))
    assert "[red]a[/red] :smile: \\x1b[31m" in text


def test_words_to_the_left_and_numbers_to_the_right() -> None:
    lines = shown(Columns(COLUMNS[:2], [row[:2] for row in ROWS])).splitlines()
    assert lines[0].rstrip() == "layer        first"
    assert lines[2].rstrip() == "dense1    0.111111"
    assert lines[3].rstrip() == "avgpool1       1.5"


def test_columns_that_were_left_out_are_named_with_the_width_that_takes_all() -> None:
    text = " ".join(shown(Columns(COLUMNS, ROWS), 37).split())
    assert text.endswith("Too narrow for third, second: COLUMNS=48 would show all.")
    assert "Too narrow" not in shown(Columns(COLUMNS, ROWS), 48)


WORDY = Columns(
    [Column("layer", words=True), Column("line", words=True), Column("n")],
    [["batchnorm1", "∂C/∂input = (∂C/∂x̂ − mean(∂C/∂x̂)) / √(s² + ε)", "40"], ["a", "b", "1"]],
)


@pytest.mark.parametrize("width", [30, 36, 50, 80])
def test_words_go_on_below_where_there_is_no_room(width: int) -> None:
    lines = shown(WORDY, width).splitlines()
    assert max(map(cell_len, lines)) <= width
    first, *more = lines[2:-1]
    assert first.endswith("40")
    words = "".join("".join([first[:-2], *more]).split())
    for part in ("input", "=", "(∂C/∂x̂", "−", "/", "√(s²", "+", "ε)"):
        assert part in words
    assert len("".join(words)) == len("batchnorm1∂C/∂input=(∂C/∂x̂−mean(∂C/∂x̂))/√(s²+ε)")
    assert lines[-1].split() == ["a", "b", "1"]


def test_words_are_not_broken_where_there_is_room() -> None:
    assert len(shown(WORDY, 80).splitlines()) == 4
