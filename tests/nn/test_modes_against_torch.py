"""Batchnorm and dropout, in training and in evaluation, against the modules of PyTorch.

The record is made by tests/reference/make_torch_modes.py.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import LAYERS
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from tests.reference.torch_modes import CASES, ETA, STEPS, load

from .cases import relative_error
from .test_against_torch import pairs

NAMES = [case["name"] for case in CASES]
STATE = {
    "running_mean": "running_mean",
    "running_variance": "running_var",
    "batches": "num_batches_tracked",
}


loaded = cache(load)


def recorded(name: Any) -> Any:
    version, fields = loaded()
    prefix = f"{name}/"
    return version, {k.removeprefix(prefix): v for k, v in fields.items() if k.startswith(prefix)}


def as_ours(array: Any) -> Any:
    """PyTorch's linear weights are outputs x inputs."""
    return array.T if array.ndim == 2 else array


def network_of(case: Any, record: Any) -> Any:
    layers = [
        LAYERS[layer["type"]](**{k: pairs(k, v) for k, v in layer.items() if k != "type"})
        for layer in case["network"]
    ]
    rng = np.random.default_rng(0)
    network = build_network(layers, case["shape"], "quadratic", np.float64, rng)
    for k, placed in enumerate(network.layers):
        for key, view in network.views(network.parameters)[placed.name].items():
            view[...] = as_ours(record[f"1/{k}/{key}"])
    return network


def compare(step: Any, cost: Any, record: Any, prefix: Any) -> Any:
    """What differs from PyTorch's, by the record's keys."""
    found = {"cost": np.array(cost)}
    for k, layer in enumerate(step.layers):
        for quantity in ("input", "a", "upstream", "downstream"):
            found[f"{k}/{quantity}"] = np.moveaxis(getattr(layer, quantity), -1, 0)
        for key, gradient in layer.gradients.items():
            found[f"{k}/{key}_gradient"] = gradient
    differences = []
    for key, value in found.items():
        expected = record[f"{prefix}/{key}"]
        expected = as_ours(expected) if "_gradient" in key else expected
        if not relative_error(value, expected) < 1e-12:
            differences.append(f"{prefix}/{key}: {relative_error(value, expected):.1e}")
    return differences


def set_masks(step: Any, record: Any, number: Any) -> None:
    for k, layer in enumerate(step.layers):
        if f"{number}/{k}/mask" in record:
            layer.replay_random({"mask": np.moveaxis(record[f"{number}/{k}/mask"], 0, -1)})


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_three_steps_and_an_evaluation(case: Any) -> None:
    version, record = recorded(case["name"])
    assert version.startswith("2.")
    network = network_of(case, record)
    step = Step(network, sgd(network), case["n"])
    for number in range(1, STEPS + 1):
        step.inputs[...], step.targets[...] = (
            record[f"{number}/{key}"] for key in ("inputs", "targets")
        )
        set_masks(step, record, number)
        cost = step.run(ETA, full=True)
        assert compare(step, cost, record, number) == []
        for k, layer in enumerate(step.layers):
            for key, parameter in layer.parameters.items():
                expected = as_ours(record[f"{number}/{k}/{key}_new"])
                assert relative_error(parameter, expected) < 1e-12, (number, layer.name, key)
            for key, array in network.state_of(layer.name).items():
                expected = record[f"{number}/{k}/{STATE[key]}"]
                assert relative_error(array, expected) < 1e-12, (number, layer.name, key)
    evaluation = Step(network, sgd(network), case["n"], is_training=False)
    evaluation.inputs[...], evaluation.targets[...] = step.inputs, step.targets
    cost = evaluation.run(0.0, full=True)
    assert compare(evaluation, cost, record, "evaluation") == []


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_what_is_recorded_is_not_trivial(case: Any) -> None:
    """The two modes differ, masks leave some out and keep some, and every gradient is something."""
    _, record = recorded(case["name"])
    last = len(case["network"]) - 1
    assert relative_error(record[f"{STEPS}/{last}/a"], record[f"evaluation/{last}/a"]) > 1e-3
    for key, value in record.items():
        if key.endswith("_gradient"):
            assert value.any(), key
        if key.endswith("/mask"):
            rate = case["network"][int(key.split("/")[1])]["rate"]
            assert np.unique(value).tolist() == pytest.approx([0, 1 / (1 - rate)])
