"""What one step did to each layer, in one number a quantity."""

import math
from dataclasses import dataclass

import numpy as np

from nncli.nn.activations import SATURATED
from nncli.nn.arrays import Array
from nncli.nn.layers import LayerStep
from nncli.nn.step import Step


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


def measure(step: Step) -> tuple[LayerMeasures, ...]:
    """The measures of every layer of a step that `Step.run(eta, full=True)` has just filled."""
    with np.errstate(all="ignore"):
        layers = step.layers
        fused = layers[-1] if step.network.cost.error_is_delta else None
        return tuple(_measure_layer(layer, layer is fused) for layer in layers)


def norm(array: Array) -> float:
    """The Frobenius norm, summed in float64 whatever the array's dtype."""
    flat = array.astype(np.float64).ravel(order="K")
    squares = float(flat.dot(flat))  # np.linalg.norm takes 2 µs more to come to the same
    if math.isinf(squares) and math.isfinite(largest := float(np.abs(flat).max())):
        return largest * norm(flat / largest)
    return math.sqrt(squares)


def ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _measure_layer(layer: LayerStep, fused: bool) -> LayerMeasures:
    activation = layer.placed.activation
    if layer.delta is None:
        return LayerMeasures(layer.name, activation, norm(layer.upstream), **_learned_norms(layer))
    mean = saturated = None
    if layer.sigma_prime is not None:
        mean = float(layer.sigma_prime.mean(dtype=np.float64))
        saturated = np.count_nonzero(np.abs(layer.sigma_prime) < SATURATED) / layer.sigma_prime.size
    return LayerMeasures(
        layer.name,
        activation,
        None if fused else norm(layer.upstream),
        norm(layer.delta),
        mean,
        saturated,
        **_learned_norms(layer),
    )


def _learned_norms(layer: LayerStep) -> dict[str, float]:
    if "weight" not in layer.gradients:
        return {}
    return {
        "weight_gradient_norm": norm(layer.gradients["weight"]),
        "weight_update_norm": norm(layer.updates["weight"]),
        "weight_norm": norm(layer.parameters["weight"]),
    }
