"""One number for each quantity of a step, as a training keeps of its epochs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nncli.nn.activations import SATURATED
from nncli.nn.arrays import Array
from nncli.nn.layers import LayerStep
from nncli.nn.step import Step

SMALL = 1 << 15  # numbers: of arrays up to this size a copy is kept, to measure the next step by


@dataclass(frozen=True)
class LayerMeasures:
    """Norms are Frobenius norms over the whole mini-batch; None where a layer has no such quantity.

    Attributes:
        activation: σ, or None for a layer that has none.
        upstream_norm: ‖∂C_x/∂a‖, the error signal that arrives. None for outputs behind
            cross-entropy, where δ = a − y does not come from it.
        delta_norm: ‖δ‖ = ‖upstream ⊙ σ'(z)‖, what the Hadamard product leaves of it.
        sigma_prime_mean: the mean of σ'(z) over units and samples.
        saturated: the share of them where |σ'| is below SATURATED.
        weight_gradient_norm: ‖∂C/∂W‖.
        weight_update_norm: ‖ΔW‖, the step really taken.
        weight_norm: ‖W‖ after the step.
    """

    name: str
    activation: str | None = None
    upstream_norm: float | None = None
    delta_norm: float | None = None
    sigma_prime_mean: float | None = None
    saturated: float | None = None
    weight_gradient_norm: float | None = None
    weight_update_norm: float | None = None
    weight_norm: float | None = None

    @property
    def passed(self) -> float | None:
        """‖δ‖ / ‖∂C_x/∂a‖: the share of the error signal that the Hadamard product lets pass."""
        return ratio(self.delta_norm, self.upstream_norm)

    @property
    def relative_update(self) -> float | None:
        """‖ΔW‖ / ‖W‖."""
        return ratio(self.weight_update_norm, self.weight_norm)


class Measurer:
    """Measures a step again and again: where all is, is found but once."""

    def __init__(self, step: Step) -> None:
        self.step = step
        layers = step.layers
        fused = layers[-1] if step.network.cost.error_is_delta else None
        self._layers = [_measuring(layer, layer is fused) for layer in layers]

    def takes(self, step: Step) -> bool:
        """Whether it measures this step; joined layers, of several passes, are measured anew."""
        return self.step is step and len(step.passes) == 1

    def __call__(self) -> tuple[LayerMeasures, ...]:
        """The measures of every layer, once `Step.run(eta, full=True)` has filled the step."""
        with np.errstate(all="ignore"):
            return tuple([layer() for layer in self._layers])


def measure(step: Step) -> tuple[LayerMeasures, ...]:
    """The measures of every layer of a step that `Step.run(eta, full=True)` has just filled."""
    return Measurer(step)()


def norm(array: Array) -> float:
    """The Frobenius norm, summed in float64 whatever the array's dtype."""
    flat = array.astype(np.float64).ravel("K")
    squares = float(flat.dot(flat))  # np.linalg.norm takes 2 µs more to come to the same
    if math.isinf(squares) and math.isfinite(largest := float(np.abs(flat).max())):
        return largest * norm(flat / largest)
    return math.sqrt(squares)


def ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def norm_of(array: Array) -> Callable[[], float]:
    """Gives `norm` of what an array holds when it is called."""
    if array.size > SMALL:
        return partial(norm, array)
    copy = np.empty_like(array, np.float64)  # in the order in which the array is in memory
    copyto, flat, sqrt, infinity = np.copyto, copy.ravel("K"), math.sqrt, math.inf
    dot = flat.dot

    def measured() -> float:
        copyto(copy, array)
        squares = dot(flat)
        return sqrt(squares) if squares < infinity else norm(array)

    return measured


def _nothing() -> float | None:
    return None


def _measuring(layer: LayerStep, fused: bool) -> Callable[[], LayerMeasures]:
    """Gives the measures of what a layer holds when it is called."""
    name, activation, delta = layer.name, layer.placed.activation, layer.delta
    upstream = _nothing if fused and delta is not None else norm_of(layer.upstream)
    of_delta = _nothing if delta is None else norm_of(delta)
    gradient, update, weight = (
        norm_of(part["weight"]) if "weight" in layer.gradients else _nothing
        for part in (layer.gradients, layer.updates, layer.parameters)
    )
    prime = None if delta is None else layer.sigma_prime

    def measured() -> LayerMeasures:
        mean = saturated = None
        if prime is not None:  # its mean() comes to the same, 3 µs later
            mean = float(np.add.reduce(prime, axis=None, dtype=np.float64)) / prime.size
            saturated = np.count_nonzero(np.abs(prime) < SATURATED) / prime.size
        return LayerMeasures(
            name,
            activation,
            upstream(),
            of_delta(),
            mean,
            saturated,
            gradient(),
            update(),
            weight(),
        )

    return measured
