"""Every initialiser: the spread that its source asks for, and the same numbers from one seed."""

import math
from typing import Any

import numpy as np
import pytest

from nncli.nn.initialisers import INITIALISERS, default_initialiser, initial_weights

DEVIATIONS = {  # from fan-in and fan-out
    "xavier_normal": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "xavier_uniform": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "kaiming_normal": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "kaiming_uniform": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "lecun_normal": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "normal": lambda fan_in, fan_out: 1.0,
    "zeros": lambda fan_in, fan_out: 0.0,
}
# A filter looks at 50 x 3 x 5 numbers; each number of its input is looked at by 200 x 3 x 5.
SHAPES = [((400, 300), 400, 300), ((200, 50, 3, 5), 750, 3000)]


def draw(name: Any, shape: Any, dtype: Any = np.float64) -> Any:
    return initial_weights(name, np.random.default_rng(1), shape, np.dtype(dtype))


@pytest.mark.parametrize("name", INITIALISERS)
@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), SHAPES, ids=["dense", "conv"])
def test_spread(name: Any, shape: Any, fan_in: Any, fan_out: Any) -> None:
    weights = draw(name, shape)
    deviation = DEVIATIONS[name](fan_in, fan_out)
    assert weights.shape == shape
    assert weights.std() == pytest.approx(deviation, rel=0.01)
    assert abs(weights.mean()) <= 4 * deviation / math.sqrt(weights.size)
    if name.endswith("uniform"):
        assert np.abs(weights).max() <= math.sqrt(3) * deviation
    elif deviation:
        assert np.abs(weights).max() > 3 * deviation


@pytest.mark.parametrize("name", INITIALISERS)
def test_both_dtypes_start_from_the_same_numbers(name: Any) -> None:
    single, double = (draw(name, (5, 4), dtype) for dtype in (np.float32, np.float64))
    assert single.dtype == np.float32
    assert np.array_equal(single, double.astype(np.float32))
    assert np.array_equal(double, draw(name, (5, 4)))


def test_default() -> None:
    assert default_initialiser("relu") == "kaiming_normal"
    assert default_initialiser("sigmoid") == default_initialiser("tanh") == "xavier_normal"
