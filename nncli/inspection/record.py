"""The inspection of one step: the record that all formats are made from."""

from typing import NamedTuple

from nncli.core.errors import NncliError
from nncli.inspection.check import Check, check
from nncli.inspection.findings import Overflow, overflow
from nncli.inspection.views import VIEWS, Agreement, agreement
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
