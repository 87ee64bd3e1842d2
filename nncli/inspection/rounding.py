"""By how much rounding alone changes the gradients of a step."""

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.step import Step
from nncli.nn.trace import Trace

SEED = 0
DRAWS = 3  # the median is taken: in one draw a unit may cross a kink
MARGIN = 32  # a step rounds in many more places than are perturbed here

Place = tuple[str, str]  # layer, quantity


def rounding(trace: Trace) -> dict[Place, float]:
    """The error that rounding in the trace's dtype can cause in an entry of each gradient.

    Measured: the step is repeated in float64 with its parameters and targets changed by up to an
    ulp of that dtype. Where a gradient is a small difference of large terms, as in a network that
    is nearly right, it changes by far more than an ulp of its own.
    """
    rng = np.random.default_rng(SEED)
    ulp = float(np.finfo(trace.inputs.dtype).eps)
    exact = _gradients(trace, 0.0, rng)
    draws = [_gradients(trace, ulp, rng) for _ in range(DRAWS)]
    return {
        place: MARGIN * sorted(_largest_change(d[place], exact[place]) for d in draws)[DRAWS // 2]
        for place in exact
    }


def _largest_change(moved: Array, exact: Array) -> float:
    finite = np.isfinite(moved) & np.isfinite(exact)
    return float(np.abs(moved[finite] - exact[finite]).max(initial=0))


def _gradients(trace: Trace, off: float, rng: np.random.Generator) -> dict[Place, Array]:
    """Every gradient of the step, its parameters and targets changed by up to `off` times each."""
    network = trace.network().astype(np.float64)
    step = Step(network, None, len(trace.samples), differentiable=True)
    step.inputs[...], step.targets[...] = trace.inputs, trace.targets
    step.repeat_draw(trace.draws())
    for array in (network.parameters, step.targets):
        array *= 1 + off * rng.uniform(-1, 1, array.shape)
    step.differentiate(full=True)
    found: dict[Place, Array] = {}
    for layer in step.layers:
        found[layer.name, "upstream"] = layer.upstream
        if layer.delta is not None:
            found[layer.name, "delta"] = layer.delta
        for key, gradient in layer.gradients.items():
            found[layer.name, f"{key}_gradient"] = gradient
    found[step.layers[0].name, "downstream"] = step.layers[0].downstream
    return found


def ulps(reference: Array, value: Array) -> float:
    """The largest |reference − value| in units in the last place of `value`."""
    smallest = np.finfo(value.dtype).tiny
    off = np.abs(reference - value) / np.spacing(np.maximum(np.abs(value), smallest))
    return float(off.max(initial=0))
