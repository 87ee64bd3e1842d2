"""Every quantity of a step against the same step in plain loops."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.nn.layers import LAYERS, AvgPool, Conv, Dense, Layer, MaxPool
from nncli.nn.step import Step
from tests.conftest import mostly_slow, present

from .cases import (
    ALL_CASES,
    ELEMENTWISE,
    ENDINGS,
    LAYER_CASES,
    LENET,
    SOME_CASES,
    Case,
    relative_error,
    settle,
)

TOLERANCE = 1e-12
# What kinds record that has no samples.
BY_UNIT = {q.key for kind in LAYERS.values() for q in kind.quantities if not q.by_sample}


def quantity(step: Step, field: str) -> NDArray[Any] | None:
    """The engine's array for "conv1.delta" or "conv1.weight_gradient", samples first."""
    name, _, quantity = field.partition(".")
    layer = next(layer for layer in step.layers if layer.name == name)
    key, _, part = quantity.partition("_")
    if key not in ("weight", "bias"):
        array = layer.recorded.get(quantity, getattr(layer, quantity, None))
        if quantity in BY_UNIT:
            return array
        return None if array is None else np.moveaxis(array, -1, 0)
    if part == "velocity":
        return step.network.views(present(step.optimizer).state["velocity"])[name][key]
    arrays = {"gradient": layer.gradients, "update": layer.updates, "new": layer.parameters}
    return arrays[part][key]


def first_difference(
    step: Step, cost: float, reference: dict[str, Any], tolerance: float
) -> str | None:
    """The first quantity, in the order of computing, that is not as the reference has it."""
    for field, expected in reference.items():
        actual = cost if field == "cost" else quantity(step, field)
        if expected is None or actual is None:
            if actual is not expected:
                return f"{field}: one of the two lacks it"
            continue
        if np.shape(actual) != np.shape(expected):
            return f"{field} is of shape {np.shape(actual)}, should be {np.shape(expected)}"
        error = relative_error(actual, expected)
        if not error < tolerance:
            return f"{field} is off by {error:.1e} of its largest entry"
    return None


def all_subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*map(all_subclasses, cls.__subclasses__()))


def test_every_layer_class_has_cases() -> None:
    own = {cls for cls in all_subclasses(Layer) if cls.__module__.startswith("nncli.")}
    assert {cls for cls in own if "type" in vars(cls)} == set(LAYER_CASES)


def activation_of(layer: Layer) -> str:
    return str(getattr(layer, "activation", None))


@pytest.mark.parametrize("kind", [Dense, Conv])
def test_every_activation_has_cases(kind: Any) -> None:
    """Each is hidden under each cost, and last over another where a cost takes it there."""
    found = [
        (activation_of(case.layers[0]), case.cost, activation_of(case.layers[-1]))
        for case in ALL_CASES
        if len(case.layers) == 2 and isinstance(case.layers[0], kind)
    ]
    assert {(hidden, cost) for hidden, cost, _ in found} >= set(
        product(ELEMENTWISE, {cost for cost, _ in ENDINGS})
    )
    for ending in ENDINGS:
        assert len({hidden for hidden, *last in found if tuple(last) == ending}) > 1
    some = {activation_of(case.layers[0]) for case in SOME_CASES if len(case.layers) == 2}
    assert some >= set(ELEMENTWISE)


@pytest.mark.parametrize("case", mostly_slow(ALL_CASES, 2), ids=str)
def test_every_quantity(case: Any) -> None:
    setting = settle(case)
    step = setting.step()
    reference = setting.reference(step.network)
    assert len(step.layers) == len([field for field in reference if field.endswith(".input")])
    cost = step.run(0.5, full=True)
    assert first_difference(step, cost, reference, TOLERANCE) is None


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("case", mostly_slow(SOME_CASES, 2), ids=str)
def test_every_quantity_over_three_steps(case: Any, momentum: float, weight_decay: float) -> None:
    setting = settle(case)
    step = setting.step(momentum=momentum, weight_decay=weight_decay)
    how = {"momentum": momentum, "weight_decay": weight_decay}
    velocities = None
    for eta in (0.5, 0.25, 0.125):
        reference = setting.reference(step.network, eta, velocities=velocities, **how)
        cost = step.run(eta, full=True)
        assert first_difference(step, cost, reference, TOLERANCE) is None
        velocities = reference


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("stride", [None, (1, 1), (2, 1)], ids=str)
@pytest.mark.parametrize("values", [(0, 1), (-2, -1), (0,)], ids=str)
def test_the_first_of_equal_maxima_counts(
    size: tuple[int, int], stride: Any, values: tuple[int, ...]
) -> None:
    case = Case("ties", (MaxPool(size=size, stride=stride), Dense(units=2)), (2, 5, 6), n=3)
    ties = np.random.default_rng(0).choice(values, (case.n, *case.input_shape)).astype(float)
    smooth = replace(case, layers=(AvgPool(size=size, stride=stride), Dense(units=2)))
    setting = replace(settle(smooth), case=case, inputs=ties)
    step = setting.step()
    reference = setting.reference(step.network)
    cost = step.run(0.5, full=True)
    assert first_difference(step, cost, reference, TOLERANCE) is None


@pytest.mark.parametrize(
    "field",
    [
        "conv1.input",
        "dense1.z",
        "conv1.sigma_prime",
        "maxpool1.downstream",
        "conv1.delta",
        "conv2.bias_gradient",
        "dense2.weight_update",
        "dense1.bias_new",
    ],
)
def test_the_comparison_names_what_differs_first(field: str) -> None:
    setting = settle(LENET)
    step = setting.step()
    reference = setting.reference(step.network)
    cost = step.run(0.5, full=True)
    present(quantity(step, field))[...] += 1e-9
    step.layers[-1].parameters["bias"][...] += 1  # is computed last
    assert present(first_difference(step, cost, reference, TOLERANCE)).startswith(field)
