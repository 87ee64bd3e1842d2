"""The inspection of one step: the record that all formats are made from.

Its update is compared with the formulas of its optimizer.
"""

from typing import NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.inspection.check import Check, check
from nncli.inspection.findings import Overflow, overflow
from nncli.inspection.views import VIEWS, Agreement, agreement
from nncli.nn.arrays import Array
from nncli.nn.links import GRADIENT, PARAMETERS, UPDATE
from nncli.nn.trace import LayerTrace, Trace


class Inspection(NamedTuple):
    """A trace, its proof (None where it was not asked for), and how far the four views agree."""

    trace: Trace
    check: Check | None
    agreements: tuple[Agreement, ...]

    @property
    def overflow(self) -> Overflow | None:
        """Where the step went beyond its type; None where all of it is finite."""
        return overflow(self.trace)

    def layer(self, name: str) -> LayerTrace:
        """The layer of that name.

        Raises:
            NncliError: there is none; the message lists those that there are.
        """
        for layer in self.trace.layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.trace.layers)
        raise NncliError(f"there is no layer {name!r}; the network has {names}")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


def inspect(trace: Trace, *, entries: int | None = None, checked: bool = True) -> Inspection:
    """Proves a trace and compares the views.

    Args:
        entries: at most this many entries of each gradient are checked; None: as many as take
            about a second.
        checked: False leaves the check out.
    """
    learners = [layer for layer in trace.layers if layer.delta is not None]
    return Inspection(
        trace,
        check(trace, entries) if checked else None,
        tuple(agreement(view, layer) for view in VIEWS for layer in learners),
    )


def values_of(trace: Trace, layer: LayerTrace, key: str) -> dict[str, Array]:
    """All that the links of a step read and wrote for a layer's `weight` or `bias`, by name."""
    return {
        PARAMETERS: getattr(layer, key),
        GRADIENT: getattr(layer, f"{key}_gradient"),
        UPDATE: getattr(layer, f"{key}_update"),
        **layer.optimizer[key],
        **trace.scalars,
    }


def link_ulps(trace: Trace, values: dict[str, Array], parameter: str) -> list[tuple[str, float]]:
    """For each link by name, how far what it wrote is from its formula: the largest, in ulps.

    Args:
        values: what `values_of` gives for `parameter`, such as dense1.bias.
    """
    incoming, found = GRADIENT, []
    for link in trace.links:
        with np.errstate(all="ignore"):  # as in the step
            expected = link.on(parameter).formula(values[incoming], values)
        found.append((link.name, max(ulps(expected[name], values[name]) for name in expected)))
        incoming = link.outgoing
    return found


def ulps(reference: Array, value: Array) -> float:
    """The largest |reference − value| in units in the last place of `value`.

    Where neither is finite they agree if they are the same infinity, or both NaN.
    """
    smallest = np.finfo(value.dtype).tiny
    with np.errstate(all="ignore"):
        off = np.abs(reference - value) / np.spacing(np.maximum(np.abs(value), smallest))
        same = (reference == value) | (np.isnan(reference) & np.isnan(value))
    return float(np.where(same, 0, np.where(np.isnan(off), np.inf, off)).max(initial=0))
