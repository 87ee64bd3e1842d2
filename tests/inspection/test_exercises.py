"""Every kind of exercise: its numbers suit, its key is proven, its solution adds up."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from nncli.app.exercise import exercise
from nncli.inspection.exercises.draws import POINTS
from nncli.inspection.exercises.kinds import KINDS, LEVELS, TOPICS, Kind, kind_of
from nncli.inspection.exercises.sheet import Sheet
from nncli.inspection.exercises.working import Working
from nncli.render.pages.exercise import line_of
from tests.conftest import mostly_slow

FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "": sum,
    "max": max,
    "√": lambda terms: math.sqrt(sum(terms)),
    "sigmoid": lambda terms: 1 / (1 + math.exp(-sum(terms))),
    "relu": lambda terms: max(0.0, sum(terms)),
    "relu′": lambda terms: float(sum(terms) > 0),
    "identity": sum,
}


def value_of(working: Working) -> float:
    products = [math.prod(term) for term in working.terms]
    return FUNCTIONS[working.function](products) / working.divisor


def check_sheet(sheet: Sheet) -> None:
    check = sheet.inspection.check
    assert check is not None
    assert check.passed
    assert all(tensor.checked == tensor.size for tensor in check.tensors)
    assert [blank.number for blank in sheet.blanks] == list(range(1, len(sheet.blanks) + 1))
    assert len({blank.name for blank in sheet.blanks}) == len(sheet.blanks)
    for blank in sheet.blanks:
        # Adam's ε is left out of what a solution writes.
        assert value_of(sheet.working(blank)) == pytest.approx(blank.value, rel=1e-7, abs=1e-9)


def test_every_topic_has_every_level() -> None:
    assert [kind.name for kind in KINDS] == [f"{t}-{k}" for t in TOPICS for k in LEVELS]


@pytest.mark.parametrize("kind", mostly_slow(KINDS, 8), ids=lambda kind: kind.name)
def test_a_key_is_proven_and_its_solution_adds_up(kind: Kind) -> None:
    check_sheet(exercise(kind.topic, kind.level, 7))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_many_keys_are_proven(kind: Kind) -> None:
    sheets = [exercise(kind.topic, kind.level, seed) for seed in range(4)]
    for sheet in sheets:
        check_sheet(sheet)
    assert len({str(sheet.spec["network"]) for sheet in sheets}) == len(sheets)


@pytest.mark.parametrize("kind", KINDS[::5], ids=lambda kind: kind.name)
def test_numbers_are_round_and_z_is_on_the_table(kind: Kind) -> None:
    sheet = exercise(kind.topic, kind.level, 3)
    for given in sheet.given:
        if given.name.endswith((".weight", "inputs", "targets")) and kind.step == 1:
            assert np.array_equal(2 * given.array, np.rint(2 * given.array))
            assert np.abs(given.array).max() <= 100
    for layer in sheet.trace.layers:
        if layer.activation in ("sigmoid", "softmax"):
            assert layer.z is not None
            assert np.isin(layer.z.round(4), POINTS).all()
            assert sheet.table is not None
            assert np.isin(np.abs(layer.z.round(4)), sheet.table.z).all()


def test_a_seed_gives_the_same_sheet_again_and_another_one_another() -> None:
    first, again, other = (exercise("dense", 3, seed) for seed in (5, 5, 6))
    assert first.spec == again.spec
    assert [b.value for b in first.blanks] == [b.value for b in again.blanks]
    assert first.spec["network"] != other.spec["network"]


def test_the_table_is_that_of_the_function() -> None:
    sigmoid, powers = exercise("dense", 1, 0).table, exercise("softmax", 1, 0).table
    assert sigmoid is not None
    assert powers is not None
    for k, z in enumerate(sigmoid.z):
        a = 1 / (1 + math.exp(-z))
        assert [row[1][k] for row in sigmoid.rows] == pytest.approx([a, a * (1 - a)], rel=1e-15)
    assert powers.rows[0][1] == pytest.approx([math.exp(z) for z in powers.z], rel=1e-15)


def test_a_tolerance_covers_rounding_on_the_way_and_no_more() -> None:
    """A whole solution in which every number is rounded before it is used."""
    for kind in (kind_of("dense", 5), kind_of("softmax", 4), kind_of("update", 5)):
        sheet = exercise(kind.topic, kind.level, 1)
        for blank in sheet.blanks:
            working = sheet.working(blank)
            terms = tuple(tuple(round(f, 4) for f in term) for term in working.terms)
            divisor = round(working.divisor, 4)
            by_hand = round(value_of(Working(terms, working.function, divisor)), 4)
            assert abs(by_hand - blank.value) <= blank.tolerance
            assert blank.tolerance < 0.01


def lines_of(topic: str, level: int) -> dict[str, str]:
    sheet = exercise(topic, level, 0)
    return {asked.name: line_of(sheet, asked) for asked in sheet.asked}


def test_a_line_of_one_sample_a_batch_and_a_filter() -> None:
    one, batch, conv = lines_of("dense", 3), lines_of("kronecker", 5), lines_of("conv", 3)
    assert one["dense1.bias_gradient"] == "∂C/∂b = δ"
    assert batch["dense1.bias_gradient"] == "∂C/∂b = δ, mean over the samples"
    assert conv["conv1.bias_gradient"] == "∂C/∂b = Σ δ"
    assert one["dense2.downstream"] == "∂C/∂input = δ Wᵀ, which is the ∂C/∂a of dense1"
    assert conv["dense1.downstream"] == "∂C/∂input = δ Wᵀ, which is the ∂C/∂a of conv1"


def test_the_first_layer_has_none_below() -> None:
    assert lines_of("conv", 5)["conv1.downstream"] == "∂C/∂input = Σ δ ⊙ filter"
