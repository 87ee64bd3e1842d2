"""Where a training began to leave the numbers."""

from collections.abc import Iterator

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.step import Step
from nncli.training.history import Divergence


def diagnose(step: Step, epoch: int, number: int, cost: float, *, updated: bool) -> Divergence:
    """The first quantity that was not finite.

    Args:
        step: as it stood when the trouble was noticed, at step `number` of the training.
        updated: whether that step went on to its update. Where it ended after its forward pass,
            the gradients and updates in the workspace are those of the step before.
    """
    found = _first_not_finite(_backward_order(step))
    if found:
        return Divergence(epoch, number if updated else number - 1, cost, *found)
    # Where every output is finite, their squares were not: the largest of them tells.
    found = _first_not_finite(_forward_order(step)) or (
        step.last.name,
        "cost",
        largest(step.last.a),
    )
    return Divergence(epoch, number, cost, *found)


def _first_not_finite(
    quantities: Iterator[tuple[str, str, Array]],
) -> tuple[str, str, float | None] | None:
    for layer, quantity, array in quantities:
        if not np.isfinite(array).all():
            return layer, quantity, largest(array)
    return None


def largest(array: Array) -> float | None:
    """The largest finite |entry|."""
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max()) if finite.size else None


def _backward_order(step: Step) -> Iterator[tuple[str, str, Array]]:
    for layer in reversed(step.layers):
        for key, gradient in layer.gradients.items():
            yield layer.name, f"{key}_gradient", gradient
    for layer in reversed(step.layers):
        for key in layer.parameters:
            yield layer.name, f"{key}_update", layer.updates[key]
            yield layer.name, key, layer.parameters[key]


def _forward_order(step: Step) -> Iterator[tuple[str, str, Array]]:
    for layer in step.layers:
        if layer.z is not None:
            yield layer.name, "z", layer.z
        yield layer.name, "a", layer.a
