"""Costs where units are saturated; elsewhere they are held against plain loops and differences."""

import math
from typing import Any

import numpy as np
import pytest

from nncli.nn.costs import COSTS
from nncli.spec.words import suggestion
from tests.conftest import present

from .test_activations import units_at

DTYPES = [np.float32, np.float64]


def one_unit(z: Any, y: Any, dtype: Any) -> Any:
    step = units_at("sigmoid", [z], dtype, "cross_entropy")
    step.targets[...] = y
    cost = step.run(0.5, full=True)
    return cost, step.layers[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("z", "y", "cost", "delta", "upstream"),
    [
        (1e4, 1, 0, 0, -1),
        (1e4, 0, 1e4, 1, math.inf),
        (1e4, 0.25, 7500, 0.75, math.inf),
        (-1e4, 1, 1e4, -1, -math.inf),
        (-1e4, 0, 0, 0, 1),
        (-1e4, 0.25, 2500, -0.25, -math.inf),
        (0, 0.5, math.log(2), 0, 0),
    ],
)
def test_cross_entropy_far_out(
    z: float, y: float, cost: Any, delta: float, upstream: Any, dtype: Any
) -> None:
    actual, layer = one_unit(z, y, dtype)
    assert actual == pytest.approx(cost, rel=float(np.finfo(dtype).eps), abs=0)
    assert layer.delta.item() == delta
    assert layer.upstream.item() == upstream
    assert np.isfinite(layer.parameters["weight"]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("z", [1, 5, 10, 20, 40])
@pytest.mark.parametrize("sign", [-1, 1])
def test_cross_entropy_of_a_unit_that_is_right_keeps_its_digits(
    z: int, sign: int, dtype: Any
) -> None:
    # −ln σ(z) = ln(1 + e^−z) is small, and no larger number may be taken from another to find it.
    cost, _ = one_unit(sign * z, 1 if sign > 0 else 0, dtype)
    assert cost == pytest.approx(
        math.log1p(math.exp(-z)), rel=4 * float(np.finfo(dtype).eps), abs=0
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_cross_entropy_of_a_certain_unit(dtype: Any) -> None:
    step = units_at("softmax", [1e4, -1e4, 0], dtype, "cross_entropy")
    step.targets[...] = [[1, 0, 0]]
    assert step.run(0.5, full=True) == 0
    assert present(step.layers[0].delta).tolist() == [[0], [0], [0]]
    assert step.layers[0].upstream.tolist() == [[-1], [0], [0]]


def test_cost_is_the_mean_over_samples() -> None:
    step = units_at("identity", [3.0, 5.0], np.float64)
    step.targets[...] = [[1, 1]]
    assert step.forward() == (2**2 + 4**2) / 2


@pytest.mark.parametrize("row", COSTS, ids=lambda row: f"{row.name}-{row.activation}")
def test_each_sample_has_its_part_of_the_total(row: Any) -> None:
    rng = np.random.default_rng(1)
    z, y = rng.normal(0, 3, (4, 6)), np.eye(4)[rng.integers(0, 4, 6)].T
    error = np.exp(z) / (1 + np.exp(z)) - y
    each = row.each(z, y, error)
    alone = [row.total(z[:, [i]], y[:, [i]], error[:, [i]])() for i in range(6)]
    np.testing.assert_allclose(each, alone, rtol=1e-13)


@pytest.mark.parametrize("row", COSTS, ids=lambda row: f"{row.name}-{row.activation}")
def test_the_definition_by_outputs_is_the_cost_by_z(row: Any) -> None:
    rng = np.random.default_rng(1)
    z, y = rng.normal(0, 2, (4, 6)), np.eye(4)[rng.integers(0, 4, 6)].T
    a = np.exp(z) / (1 + np.exp(z) if row.activation != "softmax" else np.exp(z).sum(axis=0))
    by_outputs = row.definition(a, y, 1 - a).sum(axis=0)
    np.testing.assert_allclose(by_outputs, row.each(z, y, a - y), rtol=1e-12)


@pytest.mark.parametrize("row", COSTS, ids=lambda row: f"{row.name}-{row.activation}")
def test_a_row_is_all_that_a_cost_needs(row: Any) -> None:
    assert row.meaning
    assert row.pytorch[-1].startswith("return ")
    assert ("model.logits(x)" in "".join(row.pytorch)) == (row.activation is not None)
    for synonym in row.synonyms:
        assert suggestion(synonym, [r.name for r in COSTS]) == f"did you mean '{row.name}'?"
