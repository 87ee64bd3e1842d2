"""By how much rounding alone changes the gradients of a step."""

from typing import Any

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.layers import MaxPoolStep, WeightedStep
from nncli.nn.step import Step
from nncli.nn.trace import LayerTrace, Trace

SEED = 0
DRAWS = 3  # the median is taken: in one draw a unit may cross a kink
MARGIN = 32  # a step rounds in many more places than are perturbed here

Place = tuple[str, str]  # layer, quantity


def rounding(trace: Trace) -> dict[Place, float]:
    """The error that rounding in the trace's dtype can cause in an entry of each gradient.

    Measured: the step is repeated in float64 with its parameters and targets changed by up to an
    ulp of that dtype. Where a gradient is a small difference of large terms, as in a network that
    is nearly right, it changes by far more than an ulp of its own. Terms that cancel within the
    step, as in a batchnorm, show where the step is repeated in the trace's dtype.
    """
    rng = np.random.default_rng(SEED)
    ulp = float(np.finfo(trace.inputs.dtype).eps)
    step = _repeated(trace, 0.0, rng)
    exact = _gradients(step)
    draws = [_gradients(_repeated(trace, ulp, rng)) for _ in range(DRAWS)]
    errors = {
        place: MARGIN * sorted(_largest_change(d[place], exact[place]) for d in draws)[DRAWS // 2]
        for place in exact
    }
    own = _repeated(trace, 0.0, rng, trace.inputs.dtype)
    if _on_same_pieces(own, step):
        for place, gradient in _gradients(own).items():
            errors[place] = max(errors[place], 2 * _largest_change(gradient, exact[place]))
    return errors


def _largest_change(moved: Array, exact: Array) -> float:
    finite = np.isfinite(moved) & np.isfinite(exact)
    return float(np.abs(moved[finite] - exact[finite]).max(initial=0))


def _repeated(trace: Trace, off: float, rng: np.random.Generator, dtype: Any = np.float64) -> Step:
    """The step once more, its parameters and targets changed by up to `off` times each."""
    network = trace.network().astype(dtype)
    step = Step(network, None, len(trace.samples), differentiable=True)
    step.inputs[...], step.targets[...] = trace.inputs, trace.targets
    step.repeat_draw(trace.draws())
    if off:
        for array in (network.parameters, step.targets):
            array *= 1 + off * rng.uniform(-1, 1, array.shape)
    step.differentiate(full=True)
    return step


def _gradients(step: Step) -> dict[Place, Array]:
    found: dict[Place, Array] = {}
    for layer in step.layers:
        found[layer.name, "upstream"] = layer.upstream
        if layer.delta is not None:
            found[layer.name, "delta"] = layer.delta
        for key, gradient in layer.gradients.items():
            found[layer.name, f"{key}_gradient"] = gradient
    found[step.layers[0].name, "downstream"] = step.layers[0].downstream
    return found


def _on_same_pieces(one: Step, other: Step) -> bool:
    """Whether both are on one side of every kink; else more than rounding is between them."""
    for a, b in zip(one.layers, other.layers, strict=True):
        if isinstance(a, MaxPoolStep) and isinstance(b, MaxPoolStep):
            if not np.array_equal(a.first, b.first):
                return False
        elif isinstance(a, WeightedStep) and isinstance(b, WeightedStep):
            sigma = a.activation
            if sigma.kinks and not np.array_equal(sigma.piece_at(a.z), sigma.piece_at(b.z)):
                return False
    return True


def terms_of(trace: Trace, layer: LayerTrace, quantity: str) -> Array | None:
    """Σ of the sizes of the terms that an entry of a gradient is the sum of; None: not known.

    Where terms cancel altogether, as those of a bias before a batchnorm, rounding of this size is
    all that is left.
    """
    n = len(trace.samples)
    error = layer.upstream if layer.delta is None else layer.delta
    if quantity == "bias_gradient":
        others = tuple(axis for axis in range(error.ndim) if axis != 1)
        bias: Array = np.abs(error).sum(axis=others) / n
        return bias
    if quantity == "weight_gradient" and layer.delta is not None and layer.delta.ndim == 2:
        weight: Array = np.abs(layer.input).T @ np.abs(layer.delta) / n
        return weight
    return None


def ulps(reference: Array, value: Array) -> float:
    """The largest |reference − value| in units in the last place of `value`."""
    smallest = np.finfo(value.dtype).tiny
    off = np.abs(reference - value) / np.spacing(np.maximum(np.abs(value), smallest))
    return float(off.max(initial=0))
