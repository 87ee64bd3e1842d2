"""What a step takes, counted beforehand: arithmetic against loops, memory against what is taken."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import AvgPool, Conv, Dense, Flatten, MaxPool
from nncli.nn.network import build_network, place_layers, step_bytes
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step

CONV = Conv(filters=3, kernel=(2, 3), stride=(2, 1), padding="same")
LAYERS = [CONV, MaxPool(size=(2, 2)), AvgPool(size=(1, 2)), Flatten(), Dense(units=5)]


def products(placed: Any) -> Any:
    """Counts them one by one: of each output, and each number that a weight of it meets."""
    count = 0
    for output in np.ndindex(placed.output_shape):
        weights = placed.parameter_shapes.get("weight", ())
        match placed.layer:
            case Conv():
                count += sum(1 for _ in np.ndindex(weights[1:]))
            case Dense():
                count += sum(1 for _ in range(weights[0]))
        assert len(output) == len(placed.output_shape)
    return count


def test_multiply_adds_against_loops() -> None:
    placed = place_layers(LAYERS, (2, 9, 8))
    assert [p.multiply_adds for p in placed] == [products(p) for p in placed]
    assert sum(p.multiply_adds for p in placed) > 0


@pytest.mark.parametrize(
    ("layers", "shape", "n"),
    [
        ([Dense(units=300), Dense(units=100)], (400,), 50),
        ([Conv(filters=8, kernel=(5, 5)), AvgPool(size=(2, 2)), Dense(units=50)], (3, 30, 30), 20),
        ([Conv(filters=8, kernel=(3, 3), padding="same"), MaxPool(size=(2, 2)), Dense(units=9)],
         (1, 40, 40), 30),
        ([Conv(filters=32, kernel=(3, 3), padding="same"), Dense(units=9)], (32, 16, 16), 32),
        ([Conv(filters=8, kernel=(8, 8), stride=(8, 8)), Dense(units=9)], (3, 96, 96), 30),
    ],
)  # fmt: skip
def test_memory_against_what_is_taken(layers: Any, shape: tuple[int, ...], n: int) -> None:
    tracemalloc.start()
    network = build_network(layers, shape, "quadratic", np.float32, np.random.default_rng(0))
    step = Step(network, sgd(network), n)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert step.n == n
    assert step_bytes(network.layers, n, 4) == pytest.approx(taken, rel=0.1)
