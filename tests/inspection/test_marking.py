"""Answers marked: what counts, what does not, and which mistake is named."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from nncli.app.exercise import exercise
from nncli.inspection.exercises.kinds import KINDS, Kind
from nncli.inspection.exercises.marking import (
    EMPTY,
    FEW,
    FOLLOWS,
    RIGHT,
    UNREAD,
    WRONG,
    Marked,
    assign,
    mark,
    read_answer,
    share_right,
)
from nncli.inspection.exercises.sheet import Sheet
from nncli.inspection.mistakes.graph import Values
from nncli.inspection.mistakes.scene import Scene
from nncli.inspection.mistakes.table import MISTAKES
from tests.conftest import mostly_slow


def right(sheet: Sheet, digits: int = 4) -> dict[int, str]:
    return {blank.number: f"{blank.value:.{digits}f}" for blank in sheet.blanks}


def mistaken(sheet: Sheet, word: str) -> list[dict[int, str]]:
    """The answers of who makes a mistake of the table, and goes on rightly; each way to make it."""
    scene, found = Scene(sheet.trace), []
    for change in MISTAKES[word].changes(scene):
        values = Values({**scene.rules, **change.rules}, scene.start)
        if any(np.shape(values.made(a.name)) != a.array.shape for a in sheet.asked):
            continue  # biases that were not summed: such a row does not fit the sheet
        made = {b.number: float(np.asarray(values.made(b.asked.name))[b.at]) for b in sheet.blanks}
        off = (abs(made[b.number] - b.value) > 3 * b.tolerance for b in sheet.blanks)
        if any(off) and all(map(math.isfinite, made.values())):
            found.append({number: f"{value:.4f}" for number, value in made.items()})
    return found


def verdicts(marked: Marked) -> set[str]:
    return {made.verdict for made in marked.marks}


@pytest.mark.parametrize("kind", mostly_slow(KINDS, 13), ids=lambda kind: kind.name)
def test_right_answers_are_right(kind: Kind) -> None:
    sheet = exercise(kind.topic, kind.level, 3)
    marked = mark(sheet, "Ada", right(sheet))
    assert (verdicts(marked), marked.points) == ({RIGHT}, len(sheet.blanks))
    assert marked.checked is None
    # As a file of numbers has them, without zeros at the end.
    shorter = {number: f"{float(text):g}" for number, text in right(sheet).items()}
    assert mark(sheet, "Ada", shorter).points == len(sheet.blanks)


@pytest.mark.parametrize(
    "case",
    mostly_slow(
        [
            ("dense", 3, "missing_sigma_prime_hidden", "dense1.delta"),
            ("dense", 4, "updated_weights", "dense2.downstream"),
            ("softmax", 5, "sum_for_mean", "dense2.weight_gradient"),
            ("update", 3, "momentum", "dense1.weight_velocity"),
            ("conv", 5, "filter_turned", "conv1.downstream"),
        ],
        3,
    ),
)
def test_a_mistake_costs_once_and_is_named(case: tuple[str, int, str, str]) -> None:
    topic, level, word, first = case
    sheet = exercise(topic, level, 1)
    answers = mistaken(sheet, word)[0]
    marked = mark(sheet, "Ben", answers)
    assert word in marked.mistakes
    assert marked.checked is not None
    assert marked.checked.first_wrong == first
    costs = {made.blank.asked.name for made in marked.marks if made.verdict == WRONG}
    by_key = [b for b in sheet.blanks if abs(float(answers[b.number]) - b.value) > b.tolerance]
    assert marked.count(WRONG) + marked.count(FOLLOWS) == len(by_key)
    assert first in costs
    assert all(name.endswith(first.partition("_")[2]) for name in costs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[2::5], ids=lambda kind: kind.name)
def test_planted_mistakes_are_named(kind: Kind) -> None:
    sheet = exercise(kind.topic, kind.level, 1)
    for word in MISTAKES:
        if word == "missing_half":
            continue  # without the cost it gives the numbers of a factor of 2
        for answers in mistaken(sheet, word)[:1]:
            assert word in mark(sheet, "Ben", answers).mistakes


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    return exercise("dense", 4, 9)


def test_gaps_are_no_mistakes(sheet: Sheet) -> None:
    texts = {k: text for k, text in right(sheet).items() if k % 4}
    marked = mark(sheet, "Cleo", texts)
    assert marked.count(EMPTY) == len(sheet.blanks) // 4
    assert marked.points == len(texts)
    assert marked.checked is None
    nothing = mark(sheet, "Cleo", {})
    assert (verdicts(nothing), nothing.points) == ({EMPTY}, 0)


def test_a_mistake_is_found_over_a_gap() -> None:
    sheet = exercise("dense", 3, 1)
    answers = mistaken(sheet, "missing_sigma_prime_hidden")[0]
    kept = {n: t for n, t in answers.items() if not sheet.blanks[n - 1].name.startswith("dense2.a")}
    marked = mark(sheet, "Ben", kept)
    assert marked.mistakes == ("missing_sigma_prime_hidden",)


def test_too_few_digits_are_no_mistake_and_no_point(sheet: Sheet) -> None:
    marked = mark(sheet, "Emil", right(sheet, digits=2))
    assert WRONG not in verdicts(marked)
    assert marked.checked is None
    assert marked.count(FEW) > 10


@pytest.mark.parametrize(
    ("write", "note"),
    [
        (lambda text: text.replace(".", ","), "decimal commas are read as points"),
        (lambda text: f"{text} V", "units are left out: 'V'"),
        (lambda text: f"= {text}", None),
        (lambda text: text.replace("-", "−"), None),
    ],
)
def test_how_numbers_are_written(
    sheet: Sheet, write: Callable[[str], str], note: str | None
) -> None:
    marked = mark(sheet, "Dora", {k: write(text) for k, text in right(sheet).items()})
    assert marked.points == len(sheet.blanks)
    assert marked.notes == (() if note is None else (note,))


def test_what_is_no_number_is_said(sheet: Sheet) -> None:
    marked = mark(sheet, "Ina", {**right(sheet), 3: "about half", 4: "1.234,5"})
    assert marked.count(UNREAD) == 2
    assert marked.points == len(sheet.blanks) - 2
    (note,) = marked.notes
    assert note.startswith("no number: 'about half' in blank 3, '1.234,5' in blank 4; 0.25, 2.5e-1")


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("0.5", 0.5, 1),
        ("-,25", -0.25, 2),
        ("3", 3, 0),
        ("1/4", 0.25, math.inf),
        ("1e-3", 0.001, 3),
        ("1.5e2", 150, -1),
        ("≈ 0.1234", 0.1234, 4),
    ],
)
def test_numbers(text: str, value: float, decimals: float) -> None:
    answer = read_answer(text)
    assert answer is not None
    assert answer.value == pytest.approx(value, rel=1e-15)
    assert answer.decimals == decimals


@pytest.mark.parametrize("text", ["", "x", "50 %", "1/0", "1 2", "0.5.1", "nan", "1e999", "--1"])
def test_no_numbers(text: str) -> None:
    assert read_answer(text) is None


def test_answers_find_their_blanks(sheet: Sheet) -> None:
    texts, said = assign(
        sheet,
        [("(2)", "0.2"), ("dense1.z[0]", "0.1"), ("99", "1"), ("3", "0.3"), ("3", "0.4")],
        [("dense2.z", ["1", "2"]), ("dense2.a", ["1", "2", "3"]), ("delta7", ["1"])],
    )
    z = next(blank.number for blank in sheet.blanks if blank.name == "dense2.z[0]")
    assert texts == {1: "0.1", 2: "0.2", 3: "0.3 and 0.4", z: "1", z + 1: "2"}
    assert said == [
        "there is a list of 3 to dense2.a, where the sheet asks for 2",
        "the sheet has no blank '99' and 'delta7'",
    ]


def test_another_seeds_sheet_is_recognised(sheet: Sheet) -> None:
    other = exercise("dense", 4, 10)
    assert share_right(sheet, right(sheet)) == 1
    assert share_right(sheet, right(other)) < 0.5
