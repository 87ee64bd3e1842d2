"""What one step did to each layer, in one number a quantity."""

from dataclasses import dataclass

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.step import LayerStep, Step

SATURATED = 0.01  # a unit whose σ' is below this passes on less than a hundredth of its error


@dataclass(frozen=True)
class LayerMeasures:
    """Norms are Frobenius norms over the whole mini-batch; None where a layer has no such quantity.

    Attributes:
        upstream_norm: ‖∂C_x/∂a‖, the error signal that arrives.
        delta_norm: ‖δ‖ = ‖upstream ⊙ σ'(z)‖, what the Hadamard product leaves of it.
        sigma_prime_mean: the mean of σ'(z) over units and samples.
        saturated: the share of them below SATURATED.
        weight_gradient_norm: ‖∂C/∂W‖.
        weight_update_norm: ‖ΔW‖, the step really taken.
        weight_norm: ‖W‖ after the step.
    """

    name: str
    upstream_norm: float
    delta_norm: float | None = None
    sigma_prime_mean: float | None = None
    saturated: float | None = None
    weight_gradient_norm: float | None = None
    weight_update_norm: float | None = None
    weight_norm: float | None = None


def measure(step: Step) -> tuple[LayerMeasures, ...]:
    """The measures of every layer of a step that `Step.run(eta, full=True)` has just filled."""
    with np.errstate(all="ignore"):
        return tuple(_measure_layer(layer) for layer in step.layers)


def norm(array: Array) -> float:
    """The Frobenius norm, summed in float64 whatever the array's dtype."""
    return float(np.linalg.norm(array.astype(np.float64)))


def _measure_layer(layer: LayerStep) -> LayerMeasures:
    if layer.delta is None:
        return LayerMeasures(layer.name, norm(layer.upstream))
    mean = saturated = None
    if layer.sigma_prime is not None:
        mean = float(layer.sigma_prime.mean(dtype=np.float64))
        saturated = np.count_nonzero(layer.sigma_prime < SATURATED) / layer.sigma_prime.size
    return LayerMeasures(
        layer.name,
        norm(layer.upstream),
        norm(layer.delta),
        mean,
        saturated,
        norm(layer.gradients["weight"]),
        norm(layer.updates["weight"]),
        norm(layer.parameters["weight"]),
    )
