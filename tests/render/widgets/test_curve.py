"""A curve over the epochs."""

from collections.abc import Sequence

import pytest

from nncli.core.reading import Reading
from nncli.nn.reading import chance_of
from nncli.render.widgets.curve import HEIGHT, Curves, Series, accuracy_curves, nearest_free
from tests.render.reading import shown


@pytest.mark.parametrize(
    ("row", "taken", "expected"),
    [
        (3, (), 3),
        (3, (3,), 2),
        (3, (2, 3), 4),
        (0, (0,), 1),
        (HEIGHT - 1, (HEIGHT - 1,), HEIGHT - 2),
        (0, (0, 1, 2), 3),
    ],
)
def test_the_nearest_free_row(row: int, taken: tuple[int, ...], expected: int) -> None:
    assert nearest_free(row, taken) == expected


def drawn(*series: Series, width: int = 60, title: str = "cost") -> list[str]:
    epochs = range(1, len(series[0].values) + 1)
    return shown(Curves(title, series, list(epochs)), width).splitlines()


def test_every_series_is_named_at_its_end_with_its_last_value() -> None:
    lines = drawn(Series("train", [5, 4, 3, 2]), Series("validation", [5, 5, 4, 4]))
    assert lines[0].strip() == "cost"
    assert len(lines) == HEIGHT + 2
    assert sum("train 2.000" in line for line in lines) == 1
    assert sum("validation 4.000" in line for line in lines) == 1
    assert lines[1].startswith("5.00 ┤")
    assert lines[HEIGHT].startswith("2.00 ┤")
    assert lines[-1].split() == ["epoch", "1", "4"]


def test_labels_of_series_that_end_together_stand_in_rows_of_their_own() -> None:
    for last in (1, 3, 5):
        lines = drawn(Series("train", [5, 1, last]), Series("validation", [1, 5, last]))
        rows = {name: [name in line for line in lines].index(True) for name in ("train", "valid")}
        assert abs(rows["train"] - rows["valid"]) == 1
        assert all(0 < row <= HEIGHT for row in rows.values())


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [([1.0, 0.05], False), ([1.0, 0.049], True), ([1.0, 0.0], False), ([100.0, -1.0], False)],
)
def test_the_scale_says_what_it_is(values: list[float], logarithmic: bool) -> None:
    lines = drawn(Series("train", values))
    assert lines[0].strip() == ("cost (log scale)" if logarithmic else "cost")


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    lines = drawn(Series("train", [0.123456, 987654, 3]), Series("v", [1, 2, 3]), width=width)
    assert lines
    assert max(map(len, lines)) <= min(width, 100)


def test_nothing_is_drawn_where_there_is_no_room_and_that_is_said() -> None:
    lines = drawn(Series("a long name indeed", [1, 2]), width=30)
    assert lines == ["cost: too narrow for its curve"]


def test_what_is_not_finite_is_not_drawn() -> None:
    lines = drawn(Series("bad", [1, float("nan")]), Series("good", [2, 1]))
    assert not any("bad" in line for line in lines)
    assert any("good 1.000" in line for line in lines)
    assert drawn(Series("bad", [1, float("inf")])) == []


def test_one_epoch_and_a_constant() -> None:
    assert len(drawn(Series("train", [3.0]))) == HEIGHT + 2
    assert len(drawn(Series("train", [3.0, 3.0, 3.0]))) == HEIGHT + 2


def test_a_series_ends_where_its_epochs_do() -> None:
    short, long = Series("s", [4, 3, 2], [1, 2, 3], "S"), Series("l", [4.0] * 9, range(1, 10), "L")
    lines = drawn_over(range(1, 10), short, long)
    axis = lines[1].index("┤") + 1
    across = len(lines[-1].rstrip()) - axis
    ends = max(len(line[axis : axis + across].rstrip()) for line in lines[2 : HEIGHT + 1])
    assert abs(ends - across * 2 / 8) <= 2
    assert any(" s 2.000" in line for line in lines)


def drawn_over(epochs: Sequence[int], *series: Series, width: int = 60) -> list[str]:
    return shown(Curves("cost", series, epochs), width).splitlines()


def test_an_epoch_alone_among_many_is_a_dot() -> None:
    lone, long = Series("lone", [7.0], [5], "X"), Series("long", [1.0] * 90, range(1, 91), "L")
    lines = drawn_over(range(1, 91), lone, long)
    assert lines[1].count("X") == 1


def test_letters_of_curves_that_cross_stand_apart() -> None:
    up, down = Series("u", [1, 2], letter="U"), Series("d", [2, 1], letter="D")
    lines = [line[: line.rfind("  ")] for line in drawn(up, down, width=90)[1 : HEIGHT + 1]]
    heights = {x: [row for row, line in enumerate(lines) if x in line[6:]] for x in "UD"}
    assert len(heights["U"]) >= 3
    assert len(heights["D"]) >= 3


def test_there_is_a_row_for_the_name_of_each() -> None:
    series = [Series(f"run {k}", [1.0, 1.0]) for k in range(HEIGHT + 4)]
    lines = drawn(*series)
    assert all(sum(f"run {k} " in line for line in lines) == 1 for k in range(len(series)))


def ends(values: Sequence[float], chance: float) -> tuple[str, str, list[str]]:
    """The labels of an axis of accuracies, upper and lower, and the rows that the curve is in."""
    series = [Series("v", values)]
    lines = shown(accuracy_curves(series, range(1, len(values) + 1), chance), 60).splitlines()
    assert lines[0].startswith("accuracy (by chance ")
    rows = [line for line in lines[1 : HEIGHT + 1] if any("⠀" < c <= "⣿" for c in line)]
    return lines[1].split(" ┤")[0].strip(), lines[HEIGHT].split(" ┤")[0].strip(), rows


def test_an_accuracy_that_stays_at_chance_is_a_flat_line_at_the_bottom() -> None:
    upper, lower, rows = ends([0.0975, 0.103, 0.0975, 0.101], 0.1)
    assert (upper, lower) == ("0.200", "0.0975")
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("values", "reading", "outputs", "axis"),
    [
        ([0.5, 0.75], "classes", 2, ("1.00", "0.500")),
        ([0.25, 0.3], "classes", 2, ("1.00", "0.250")),
        ([0.9, 0.98], "classes", 10, ("0.980", "0.100")),
        ([0.01, 0.05], "classes", 100, ("0.0500", "0.0100")),
        ([0.6, 0.7], "classes", 1, ("1.00", "0.500")),  # one output is two classes
        ([0.3, 0.9], "labels", 3, ("0.900", "0.125")),  # each as likely as not, all right
    ],
)
def test_the_axis_of_an_accuracy_includes_chance(
    values: list[float], reading: Reading, outputs: int, axis: tuple[str, str]
) -> None:
    chance = chance_of(reading, outputs)
    assert chance is not None
    assert ends(values, chance)[:2] == axis


def test_no_chance_is_named_where_it_cannot_be_told() -> None:
    assert chance_of("numbers", 3) is None
    assert chance_of(None, 3) is None
    text = shown(accuracy_curves([Series("v", [0.4, 0.6])], range(1, 3), None), 60)
    assert text.splitlines()[0].strip() == "accuracy"


def test_an_accuracy_is_never_on_a_logarithmic_scale() -> None:
    curves = accuracy_curves([Series("v", [0.001, 0.9])], range(1, 3), 0.001)
    assert "log" not in shown(curves, 60)
