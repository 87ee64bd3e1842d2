"""The links of an optimizer in a trace, each held to its formula."""

import numpy as np

from nncli.inspection.rounding import ulps
from nncli.nn.arrays import Array
from nncli.nn.optimizers import GRADIENT, PARAMETERS, UPDATE
from nncli.nn.trace import LayerTrace, Trace


def values_of(trace: Trace, layer: LayerTrace, key: str) -> dict[str, Array]:
    """All that the links of a step read and wrote for a layer's `weight` or `bias`, by name."""
    return {
        PARAMETERS: getattr(layer, key),
        GRADIENT: getattr(layer, f"{key}_gradient"),
        UPDATE: getattr(layer, f"{key}_update"),
        **layer.optimizer[key],
        **trace.scalars,
    }


def link_ulps(trace: Trace, values: dict[str, Array]) -> list[tuple[str, float]]:
    """For each link by name, how far what it wrote is from its formula: the largest, in ulps."""
    incoming, found = GRADIENT, []
    for link in trace.links:
        with np.errstate(all="ignore"):  # as in the step
            expected = link.formula(values[incoming], values)
        found.append((link.name, max(ulps(expected[name], values[name]) for name in expected)))
        incoming = link.outgoing
    return found
