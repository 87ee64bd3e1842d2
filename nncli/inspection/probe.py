"""Derivatives that know nothing of backpropagation: nudge a number, look at the cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array
from nncli.nn.network import Network
from nncli.nn.sgd import Sgd
from nncli.nn.step import LearnerStep, MaxPoolStep, Step
from nncli.nn.trace import Trace

Index = tuple[int, ...]

COMPLEX_STEP = 1e-30  # no difference is taken, so nothing cancels however small it is
CENTRAL_STEP = float(np.cbrt(np.finfo(np.float64).eps))  # balances truncation against rounding


def is_analytic(network: Network) -> bool:
    """Whether the cost is an analytic function of every number in the network."""
    return all(
        placed.layer.type != "maxpool"
        and (placed.activation is None or ACTIVATIONS[placed.activation].analytic)
        for placed in network.layers
    )


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of Σ_x C_x at some entries; NaN where a kink lay within the step."""

    values: npt.NDArray[np.float64]
    noise: float  # what rounding alone can make of a derivative that is 0


class Probe:
    """The network of a trace, forward only, where any number can be nudged.

    What can be nudged is named as in the trace: (layer, key) with key `weight`, `bias`, `z`, `a`
    or `input`; entries are indexed as in the trace, samples first. `analytic=False` takes central
    differences even where a complex step could be taken.
    """

    def __init__(self, trace: Trace, *, analytic: bool = True) -> None:
        network = trace.network()
        self.analytic = analytic and is_analytic(network)
        self.network = network.astype(np.complex128 if self.analytic else np.float64)
        self.step = Step(self.network, Sgd(self.network), len(trace.samples))
        self.step.inputs[...], self.step.targets[...] = trace.inputs, trace.targets
        self.positions = {layer.name: k for k, layer in enumerate(self.step.layers)}
        self.stale = 0  # layers from here on may hold the effects of the last nudge
        self.cost = float(self._total(0).real)

    @property
    def method(self) -> str:
        return "complex step" if self.analytic else "central differences"

    def derivatives(self, layer: str, key: str, entries: Sequence[Index]) -> Derivatives:
        """∂ΣC_x/∂entry for each of `entries`."""
        if self.analytic:
            values = np.array([self._complex(layer, key, entry) for entry in entries])
            return Derivatives(values, 0.0)
        step = CENTRAL_STEP
        values = np.array([self.central(layer, key, entry, step) for entry in entries])
        return Derivatives(values, rounding_noise(self.cost, step))

    def central(self, layer: str, key: str, entry: Index, step: float) -> float:
        """(C(w + h) − C(w − h)) / 2h; NaN where the two sides of it are on two sides of a kink."""
        array, place, start = self._at(layer, key, entry)
        old = array[place]
        costs, sides = [], []
        for sign in (1, -1):
            array[place] = old + sign * step
            costs.append(self._total(start, key).real)
            sides.append(self._side_of_kinks())
        array[place] = old
        same = all(np.array_equal(a, b) for a, b in zip(*sides, strict=True))
        return (costs[0] - costs[1]) / (2 * step) if same else float("nan")

    def _complex(self, layer: str, key: str, entry: Index) -> float:
        array, place, start = self._at(layer, key, entry)
        old = array[place]
        array[place] = old + 1j * COMPLEX_STEP
        derivative = self._total(start, key).imag / COMPLEX_STEP
        array[place] = old
        return derivative

    def _at(self, layer: str, key: str, entry: Index) -> tuple[Array, Any, int]:
        """The workspace's array, the entry's place in it, and the first layer it acts on."""
        k = self.positions[layer]
        part = self.step.layers[k]
        if k > self.stale:  # an earlier nudge lower down has been undone, its effects have not
            self._total(self.stale)
        self.stale = k
        if key in ("weight", "bias"):
            return part.parameters[key], entry, k
        sample, rest = entry[0], entry[1:]
        if key == "input" and k == 0:
            return self.step.inputs, entry, k
        return getattr(part, key), (*rest, sample), k

    def _total(self, start: int, key: str = "weight") -> complex:
        """Σ_x C_x, recomputed from layer `start` on: after its z or a where that was nudged."""
        step = self.step
        with np.errstate(all="ignore"):
            if start == 0 and step.first_input is not step.inputs_t:
                np.copyto(step.first_input, step.inputs_t)
            for k, layer in enumerate(step.layers[start:]):
                if k > 0 or key not in ("z", "a"):
                    layer.forward()
                elif key == "z":
                    assert isinstance(layer, LearnerStep)
                    layer.activate()
            if key == "a" and step.layers[start] is step.last:
                return textbook_cost(self.network, step.last.a, step.targets_t)
            np.subtract(step.last.a, step.targets_t, step.error)
            return step.total_cost()

    def _side_of_kinks(self) -> list[Array]:
        """On which side of every kink the network stands."""
        return list(self._kinks())

    def _kinks(self) -> Iterator[Array]:
        for layer in self.step.layers:
            if isinstance(layer, MaxPoolStep):
                yield layer.first.copy()
            elif isinstance(layer, LearnerStep) and not layer.activation.analytic:
                yield layer.z > 0


def rounding_noise(cost: float, step: float) -> float:
    """The rounding error of a central difference: a few ulps of the cost over the step."""
    return 4 * float(np.finfo(np.float64).eps) * max(abs(cost), 1e-3) / step


def textbook_cost(network: Network, a: Array, y: Array) -> complex:
    """Σ_x C_x as the definition has it, from the outputs alone.

    The engine takes cross-entropy from z, which is stable but no function of a.
    """
    if network.cost.name == "quadratic":
        return complex((0.5 * (a - y) ** 2).sum())
    terms = np.where(y != 0, -y * np.log(np.where(y != 0, a, 1)), 0)
    if network.cost.activation == "sigmoid":
        terms = terms - np.where(y != 1, (1 - y) * np.log(np.where(y != 1, 1 - a, 1)), 0)
    return complex(terms.sum())
