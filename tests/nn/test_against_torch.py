"""Every quantity of two steps against what PyTorch made of them, as recorded by make_torch.py."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.nn.activations import PARAMETERS
from nncli.nn.layers import AvgPool, Conv, Dense, Flatten, GlobalAvgPool, Layer, MaxPool
from nncli.nn.network import build_network, place_layers
from nncli.nn.optimizers import sgd
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace
from tests.reference.torch_cases import CASES, ETAS, NAMES, Draw, load

from .cases import relative_error

TOLERANCE = 1e-12
LAYERS = {cls.type: cls for cls in (Dense, Conv, MaxPool, AvgPool, GlobalAvgPool, Flatten)}
FORWARD_AND_BACKWARD = ["input", "z", "a", "upstream", "sigma_prime", "delta", "downstream"]
LEARNED = ["weight", "weight_gradient", "weight_update", "weight_new"]
LEARNED += [name.replace("weight", "bias") for name in LEARNED]
LENETS = [index for index, name in enumerate(NAMES) if "lenet" in name]

recorded = cache(load)


def pairs(key: str, value: Any) -> Any:
    """A hyperparameter as a Layer takes it: rows and columns apart."""
    if key in ("kernel", "size", "stride", "dilation") and isinstance(value, int):
        return value, value
    return value


def layers_of(case: dict[str, Any], draw: Draw) -> list[Layer]:
    """The layers of `case` with weights and biases drawn for them."""
    layers: list[Any] = []
    for layer in case["network"]:
        how = {key: pairs(key, value) for key, value in layer.items() if key != "type"}
        own = tuple(how.pop(key) for key in PARAMETERS if key in how)
        if own:
            how["activation_parameters"] = own
        layers.append(LAYERS[layer["type"]](**how))
    for placed in place_layers(layers, case["shape"]):
        if shapes := placed.parameter_shapes:
            weights = draw.weight(shapes["weight"], fan_in(shapes["weight"]))
            biases = draw.bias(*shapes["bias"]) if "bias" in shapes else None
            layer = layers[placed.index]
            layers[placed.index] = replace(layer, weights=weights, biases=biases)
    return layers


def fan_in(weight_shape: tuple[int, ...]) -> int:
    """How many inputs one unit or filter has."""
    return weight_shape[0] if len(weight_shape) == 2 else math.prod(weight_shape[1:])


def step_of(case: dict[str, Any], draw: Draw) -> Step:
    layers, rng = layers_of(case, draw), np.random.default_rng(0)
    network = build_network(layers, case["shape"], case["cost"], np.float64, rng)
    return Step(
        network,
        sgd(network, momentum=case["momentum"], weight_decay=case["weight_decay"]),
        case["n"],
    )


def two_steps(index: int) -> dict[str, NDArray[Any]]:
    """What nncli makes of a case, under the keys of the record."""
    case, draw = CASES[index], Draw(index)
    step = step_of(case, draw)
    found: dict[str, Any] = {}
    for number, eta in enumerate(ETAS, 1):
        step.inputs[...], step.targets[...] = draw.batch()
        assert step.optimizer is not None
        start = Start.of(step.network, step.optimizer)
        cost = step.run(eta, full=True)
        trace = record_trace(step, eta=eta, cost=cost, start=start, samples=range(case["n"]))
        found |= {f"{number}/{key}": value for key, value in quantities(trace).items()}
        found[f"{number}/cost_after"] = np.asarray(step.forward())
    return found


def quantities(trace: Trace) -> dict[str, NDArray[Any]]:
    found = {"cost_before": np.asarray(trace.cost_before)}
    for layer in trace.layers:
        values = {name: getattr(layer, name) for name in FORWARD_AND_BACKWARD + LEARNED}
        found |= {f"{layer.name}/{key}": v for key, v in values.items() if v is not None}
    return found


def differences(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> list[str]:
    """The keys that one side lacks, or whose arrays are not the same."""
    return sorted(found.keys() ^ expected.keys()) + [
        key
        for key in found
        if key in expected
        and not (
            found[key].shape == expected[key].shape
            and relative_error(found[key], expected[key]) < TOLERANCE
        )
    ]


def test_the_record_is_of_these_cases() -> None:
    version, cases = recorded()
    assert version.startswith("2.")
    assert list(cases) == NAMES, "cases have changed: run tests/reference/make_torch.py again"
    for name, expected in cases.items():  # nothing is compared with mere zeros, as of dead units
        assert [key for key, value in expected.items() if not value.any()] == [], name


@pytest.mark.parametrize("index", range(len(CASES)), ids=NAMES)
def test_two_steps(index: int) -> None:
    _, cases = recorded()
    assert differences(two_steps(index), cases[NAMES[index]]) == []


@pytest.mark.parametrize("index", LENETS, ids=lambda index: NAMES[index])
def test_an_error_of_1e_11_in_one_entry_is_noticed(index: Any) -> None:
    expected = recorded()[1][NAMES[index]]
    found = two_steps(index)
    rng = np.random.default_rng(index)
    for key, value in found.items():
        planted = value.copy()
        planted.flat[rng.integers(value.size)] += 1e-11 * np.abs(expected[key]).max()
        assert differences({**found, key: planted}, expected) == [key]


def test_what_is_missing_or_misshapen_is_noticed() -> None:
    expected = recorded()[1][NAMES[0]]
    found = two_steps(0)
    turned = {"1/dense1/weight_gradient": found["1/dense1/weight_gradient"].T}
    assert differences(found | turned, expected) == list(turned)
    missing = found.pop("2/dense2/delta")
    assert differences(found, expected) == ["2/dense2/delta"]
    assert differences(found | {"2/dense2/delta": missing * np.nan}, expected) == ["2/dense2/delta"]
