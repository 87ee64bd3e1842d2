"""The two-two-two network that is worked through by hand in many a course.

Source: M. Mazur, "A Step by Step Backpropagation Example" (2015); here its biases move as well.
"""

from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step

HIDDEN = Dense(
    units=2, weights=np.array([[0.15, 0.25], [0.20, 0.30]]), biases=np.array([0.35, 0.35])
)
OUTPUT = Dense(
    units=2, weights=np.array([[0.40, 0.50], [0.45, 0.55]]), biases=np.array([0.60, 0.60])
)


@pytest.fixture
def step() -> Any:
    layers = [HIDDEN, OUTPUT]
    network = build_network(layers, (2,), "quadratic", np.float64, np.random.default_rng(0))
    step = Step(network, sgd(network), 1)
    step.inputs[...] = [0.05, 0.10]
    step.targets[...] = [0.01, 0.99]
    return step


def to_ten_places(values: Any) -> Any:
    return pytest.approx(np.array(values), rel=0, abs=5.1e-11)


def test_cost_before_and_after(step: Any) -> None:
    assert step.run(0.5, full=True) == to_ten_places(0.2983711088)
    assert step.forward() == to_ten_places(0.2804714468)


def test_quantities(step: Any) -> None:
    step.run(0.5, full=True)
    hidden, output = step.layers
    assert hidden.a[:, 0] == to_ten_places([0.5932699921, 0.5968843783])
    assert output.a[:, 0] == to_ten_places([0.7513650696, 0.7729284653])
    assert output.delta[:, 0] == to_ten_places([0.1384985616, -0.0380982365])
    assert hidden.delta[:, 0] == to_ten_places([0.0087713547, 0.0099542547])
    assert output.gradients["weight"] == to_ten_places(
        [[0.0821670406, -0.0226025405], [0.0826676278, -0.0227402422]]
    )
    assert output.parameters["weight"] == to_ten_places(
        [[0.3589164797, 0.5113012702], [0.4086661861, 0.5613701211]]
    )
    assert hidden.parameters["weight"] == to_ten_places(
        [[0.1497807161, 0.2497511436], [0.1995614323, 0.2995022873]]
    )
