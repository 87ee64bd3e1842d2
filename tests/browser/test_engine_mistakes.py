"""The comparison with nncli finds mistakes, each planted in a copy of the engine's source."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

from nncli.nn.layers import AvgPool, BatchNorm, Conv, Dense, Dropout, Layer, MaxPool
from nncli.render.web.scripts import code, squeezed
from tests.browser.engine import DRAWS, ENGINE, differences, traced
from tests.nn.cases import Case, Setting, settle

FAR = 1e3  # ulps


def small(*layers: Layer, shape: tuple[int, ...] = (3,), cost: str = "quadratic") -> Setting:
    return settle(Case("planted", layers, shape, cost, n=3))


def activated(name: str) -> Setting:
    return small(Dense(units=4, activation=name), HEAD)


HEAD = Dense(units=2, activation="tanh")
IMAGE = (2, 5, 6)
BELOW = Conv(filters=2, kernel=(1, 1), activation="tanh")
DENSE = small(Dense(units=4), Dense(units=2))
CONV = small(
    BELOW,
    Conv(filters=2, kernel=(2, 2), stride=(2, 1), dilation=(1, 2), padding=1, activation="tanh"),
    HEAD,
    shape=IMAGE,
)
REPEATED = small(
    BELOW, Conv(filters=2, kernel=(3, 2), padding=1, padding_mode="reflect"), HEAD, shape=IMAGE
)
GROUPED = small(
    replace(BELOW, filters=4), Conv(filters=6, kernel=(2, 2), groups=2), HEAD, shape=IMAGE
)
TIED = replace(small(BELOW, MaxPool(size=(2, 2)), HEAD, shape=IMAGE), inputs=np.ones((3, *IMAGE)))
AVERAGED = small(BELOW, AvgPool(size=(2, 3), stride=(1, 2)), HEAD, shape=IMAGE)
AT_THE_EDGE = small(
    BELOW, AvgPool((2, 2), padding=1, ceil_mode=True, count_include_pad=False), HEAD, shape=IMAGE
)
NORMALISED = small(Dense(units=3), BatchNorm(epsilon=0.1), Dense(units=2))
OF_CHANNELS = small(BELOW, BatchNorm(), HEAD, shape=IMAGE)
DROPPED = small(Dense(units=8), Dropout(rate=0.5), HEAD)
RELU = activated("relu")
AT_THE_KINK = replace(RELU, parameters=RELU.parameters * (np.arange(26) >= 16))  # z is 0
SIGMOIDS = small(Dense(units=2), cost="cross_entropy")
SOFTMAX = small(Dense(units=3, activation="softmax"), cost="cross_entropy")
MOMENTUM = {"momentum": 0.9, "steps": 2}
ADAM = {"kind": "adam", "steps": 2}


class Mistake(NamedTuple):
    """What stands in the engine, what is written there instead, and a step that shows it."""

    right: str
    wrong: str
    setting: Setting
    how: Mapping[str, Any] = MappingProxyType({})


MISTAKES = {
    "sigmoid": Mistake("1 / exp(z) + 1)", "1 / exp(z) + 1.0000001)", DENSE),
    "tanh": Mistake("1 / exp(z))) ** 2", "1 / exp(z))) ** 1", CONV),
    "relu at its kink": Mistake("z > 0 ? 1 : 0", "z >= 0 ? 1 : 0", AT_THE_KINK),
    "leaky relu": Mistake("[z * negative_slope,", "[z,", activated("leaky_relu")),
    "elu": Mistake("alpha * exp(z)]", "alpha]", activated("elu")),
    "softplus": Mistake("1 / (1 / exp(min(z", "1 / (1 / exp(max(z", activated("softplus")),
    "gelu": Mistake("gaussian * (scaled - t", "gaussian * (scaled + t", activated("gelu")),
    "no σ′": Mistake("upstream[k] * prime[k]", "upstream[k]", DENSE),
    "σ′ behind a fused cost": Mistake(
        'put("delta", shape, error)', 'put("delta", shape, (k) => slopes[k])', SIGMOIDS
    ),
    "the cost of sigmoids": Mistake("-abs(value)", "-value", SIGMOIDS),
    "∂C/∂a of sigmoids": Mistake("y[j] * (1 + exp(-value))", "y[j] * (1 + exp(value))", SIGMOIDS),
    "the cost of a softmax": Mistake("(value - most - log)", "(value - log)", SOFTMAX),
    "∂C/∂a of a softmax": Mistake("-y[j] * (exp(most - value) * sum)", "-y[j] * sum", SOFTMAX),
    "the sum for the mean": Mistake("delta[x * units + j]) / n", "delta[x * units + j])", DENSE),
    "W for Wᵀ": Mistake("w[k % inputs * units + j]", "w[j * inputs % units + k % units]", DENSE),
    "uphill": Mistake("-eta * value", "eta * value", DENSE),
    "the cost before again": Mistake(
        "forward(network, after)", "forward(network, {...given})", DENSE
    ),
    "a filter without its bias": Mistake("(b ? b[at[1]] : 0)", "0", CONV),
    "a stride ignored": Mistake("output * axis.stride", "output", CONV),
    "a dilation ignored": Mistake("tap * axis.dilation - axis.before]", "tap - axis.before]", CONV),
    "padding lost": Mistake("tap * axis.dilation - axis.before]", "tap * axis.dilation]", CONV),
    "a turned filter": Mistake("* high + i) * wide + j)", "* high + 1 - i) * wide + 1 - j)", CONV),
    "padding that repeats": Mistake("axis.sources?.[cell + axis.before] ?? cell", "cell", REPEATED),
    "a group's channels": Mistake("floor(f / each) * seen", "0", GROUPED),
    "a filter's gradient": Mistake(
        "gradient[tap] += a[cell] * value", "gradient[tap] = a[cell] * value", CONV
    ),
    "the last maximum": Mistake("a[cell] > a[best]", "a[cell] >= a[best]", TIED),
    "a mean spread whole": Mistake(
        "downstream[cell] += value / count", "downstream[cell] += value", AVERAGED
    ),
    "a mean at the edge": Mistake("(rows.counts?.[r] ?? rows.kernel)", "rows.kernel", AT_THE_EDGE),
    "windows that overlap": Mistake(
        "downstream[cell] += value / count",
        "downstream[cell] = value / count",
        AVERAGED,
    ),
    "a mask left out": Mistake(
        'get("upstream").data[k] * get("mask").data[k]', 'get("upstream").data[k]', DROPPED
    ),
    "no ε": Mistake("sqrt(value + layer.settings.epsilon)", "sqrt(value)", NORMALISED),
    "not through the mean": Mistake('+ get("through_mean").data[unit(k)] ', "", NORMALISED),
    "not through the variance": Mistake('get("through_variance").data[k]', "0", NORMALISED),
    "γ's gradient": Mistake("weight(f) * count / n", "weight(f)", OF_CHANNELS),
    "no momentum": Mistake("momentum * old[k] + value", "value", DENSE, MOMENTUM),
    "no lookahead": Mistake(
        "value + momentum * velocity[k]", "velocity[k]", DENSE, {**MOMENTUM, "nesterov": True}
    ),
    "no decay": Mistake("value + weight_decay * w[k]", "value", DENSE, {"weight_decay": 0.01}),
    "no correction": Mistake("value / scalars.first_correction", "value", DENSE, ADAM),
    "ε in the root": Mistake(
        "sqrt(value) + epsilon", "sqrt(value + epsilon)", DENSE, {**ADAM, "epsilon": 1e-3}
    ),
    "β for β": Mistake("beta2 * v[k] + (1 - beta2)", "beta1 * v[k] + (1 - beta1)", DENSE, ADAM),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(engine: Callable[..., Any], name: str) -> None:
    right, wrong, setting, how = MISTAKES[name]
    assert squeezed(right) in code(ENGINE)
    draws = 0 if setting is TIED else DRAWS  # which would break the ties
    trace, ulp = traced(setting, draws=draws, **how)
    assert furthest(differences(trace, ulp, engine(trace))) <= FAR / 100
    made = engine(trace, lambda source: source.replace(squeezed(right), squeezed(wrong)))
    assert furthest(differences(trace, ulp, made)) > FAR


def furthest(found: dict[str, float]) -> float:
    return float(np.nan_to_num(list(found.values()), nan=np.inf).max())
