"""The table of what conditions may name, against the arrays of steps and slow loops."""

import math
from typing import Any

import numpy as np
import pytest

from nncli.nn.activations import SATURATED
from nncli.nn.layers import WeightedLayer
from nncli.nn.measures import measure
from nncli.nn.network import Network
from nncli.nn.optimizers import Optimizer, chain_of
from nncli.nn.quantities import (
    FUNCTIONS,
    LAYER_ARRAYS,
    LAYER_NUMBERS,
    LayerFacts,
    array_of,
    layer_row,
    norms,
)
from nncli.nn.step import Step
from tests.nn.cases import ALL_CASES, Case, build_case, draw_targets

CASES = ALL_CASES[::3]


def facts(network: Network) -> list[LayerFacts]:
    """What is known of the layers, from the network."""
    last = network.layers[-1]
    return [
        LayerFacts(
            placed.name,
            type(placed.layer),
            placed.activation,
            placed.layer.bias if isinstance(placed.layer, WeightedLayer) else True,
            placed is last,
            placed is last and network.cost.error_is_delta,
        )
        for placed in network.layers
    ]


def taken(case: Case) -> Step:
    """A step that was taken in full."""
    network = build_case(case)
    settings: dict[str, Any] = {"momentum": 0.0, "nesterov": False}
    decays: dict[str, Any] = {"weight_decay": 0.0, "decoupled_weight_decay": 0.0}
    step = Step(network, Optimizer(network, tuple(chain_of("sgd", **settings, **decays))), 4)
    rng = np.random.default_rng(1)
    step.inputs[...] = rng.normal(size=step.inputs.shape)
    step.targets[...] = np.resize(draw_targets(case, rng), step.targets.shape)
    if step.is_random:
        step.randomise(np.random.SeedSequence(1))
    step.run(0.1, full=True)
    return step


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layer_has_what_its_row_says(case: Case) -> None:
    step = taken(case)
    for layer, known in zip(step.layers, facts(step.network), strict=True):
        for row in LAYER_ARRAYS:
            has = row.having.rule(known) and layer_row(row.key, known) is row
            if row.key == "upstream" and known.is_fused:
                continue  # it is filled in for a record alone
            if has:
                array = array_of(layer, row.key)
                assert array is not None, (layer.name, row.key)
                assert row.by_sample == (array.shape[-1] == 4 and row.by_sample)
            elif layer_row(row.key, known) is None:
                assert array_of(layer, row.key) is None, (layer.name, row.key)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_numbers_are_those_of_the_metrics(case: Case) -> None:
    step = taken(case)
    for layer, known, kept in zip(step.layers, facts(step.network), measure(step), strict=True):
        for row in LAYER_NUMBERS:
            if not hasattr(kept, row.key):
                continue
            expected = getattr(kept, row.key)
            if not row.having.rule(known):
                assert expected is None, (layer.name, row.key)
                continue
            arrays: list[Any] = [array_of(layer, key) for key in row.arrays]
            (found,) = row.measure(*(array[None] for array in arrays))
            if expected is None:  # a ratio to nothing
                assert math.isnan(found)
            else:
                assert found == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_many_steps_give_the_numbers_of_each() -> None:
    """To the bit, and as slow loops have them."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(40, 7, 5)).astype(np.float32)
    steps[rng.random((40, 7)) < 0.3] = 0
    steps[3] = 0
    steps[::5] *= 1e-3
    measures = {row.measure for row in LAYER_NUMBERS if len(row.arrays) == 1}
    measures |= {function.measure for function in FUNCTIONS.values() if function.measure}
    wide = np.zeros((40, 64), np.float32)  # as they lie among other bytes
    wide[:, :35] = steps.reshape(40, 35)
    view = np.lib.stride_tricks.as_strided(wide, steps.shape, (256, 20, 4))
    for rule in measures:
        found = rule(view)
        assert found.dtype == np.float64
        assert [float(rule(one[None])[0]) for one in steps] == found.tolist()
    for k, one in enumerate(steps.astype(np.float64)):
        flat = one.ravel().tolist()
        dead = sum(all(x == 0 for x in unit) for unit in one.tolist()) / 7
        low = sum(abs(x) < SATURATED for x in flat) / 35
        by_key = {row.key: row.measure for row in LAYER_NUMBERS}
        assert by_key["dead"](view)[k] == pytest.approx(dead)
        assert by_key["saturated"](view)[k] == pytest.approx(low)
        assert norms(view)[k] == pytest.approx(math.sqrt(math.fsum(x * x for x in flat)), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e-10, 1.0, 1e10, 1e25, 1e37])
def test_norms_of_tiny_and_of_huge_numbers(dtype: Any, size: float) -> None:
    array = (np.arange(1, 7, dtype=np.float64) * size / 6).astype(dtype)
    expected = size / 6 * math.sqrt(91)
    with np.errstate(over="ignore"):
        found = norms(np.array([array, array]))
    assert found[1] == pytest.approx(expected, rel=1e-6)


def test_norms_beyond_float64_squares_and_of_what_is_not_finite() -> None:
    with np.errstate(over="ignore"):
        assert norms(np.full((1, 4), 1e200)) == pytest.approx([2e200])
    assert norms(np.array([[1.0, np.inf], [3.0, 4.0]])).tolist() == [math.inf, 5.0]
    assert math.isnan(norms(np.array([[1.0, np.nan]], np.float32))[0])
    assert norms(np.zeros((2, 3), np.float32)).tolist() == [0.0, 0.0]
