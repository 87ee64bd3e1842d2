"""The cost along the direction of a step: C at W + t ΔW, where 0 is the start and 1 the landing."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nncli.nn.step import Step
from nncli.nn.trace import Trace

REACH = (-0.5, 2.0)  # in steps: a little of where the step came from, and as far again as it went
POINTS = 26


class CostAlong(NamedTuple):
    """C of the step's own samples at parameters + t (the step's update).

    Attributes:
        t: from REACH[0] to REACH[1]; 0 and 1 are among them.
        cost: one for each t; not finite where the network overflows.
    """

    t: tuple[float, ...]
    cost: tuple[float, ...]


def cost_along(trace: Trace, at: Iterable[float] | None = None) -> CostAlong:
    """The cost on the samples of a trace at places along its update.

    Random numbers of the step (a dropout mask) stay as they were. C(0) and C(1) are the trace's
    `cost_before` and `cost_after`.

    Args:
        at: the places; None: POINTS of them over REACH.
    """
    places = tuple(np.linspace(*REACH, POINTS).tolist() if at is None else at)
    network = trace.network()
    step = Step(network, None, len(trace.samples))
    step.inputs[...], step.targets[...] = trace.inputs, trace.targets
    step.replay_random(trace.recorded_by_sample())
    start, update = network.parameters.copy(), np.zeros_like(network.parameters)
    views = network.views(update)
    for layer in trace.layers:
        for key, view in views[layer.name].items():
            view[...] = getattr(layer, f"{key}_update")
    costs = []
    with np.errstate(all="ignore"):  # far along a step the network may overflow
        for t in places:
            network.parameters[...] = start + start.dtype.type(t) * update
            costs.append(step.forward())
    return CostAlong(places, tuple(costs))
