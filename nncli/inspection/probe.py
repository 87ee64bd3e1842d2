"""Derivatives without backpropagation: one number is changed, and the cost computed again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nncli.nn.activations import COMPLEX_STEP
from nncli.nn.arrays import Array, Operation, Operations, bind, execute
from nncli.nn.network import Network
from nncli.nn.passes import Pass
from nncli.nn.step import Step
from nncli.nn.trace import Trace

Index = tuple[int, ...]

NEAR = float(np.cbrt(np.finfo(np.float64).eps))  # what a central difference would step


class Derivatives(NamedTuple):
    """Derivatives of Σ_x C_x at some entries.

    They are derivatives of the smooth piece that the trace's network is on: each unit with a kink
    stays on its side, each maximum at its place, which makes the cost an analytic function of every
    number in the network. `kinks`: the entries that a kink is near, within a step of NEAR.
    """

    values: npt.NDArray[np.float64]
    kinks: npt.NDArray[np.bool_]


class Probe:
    """The network of a trace, forward only, in which any number can be perturbed.

    A variable is named as in the trace: (layer, key) with key `weight`, `bias`, `z`, `a`
    or `input`; entries are indexed as in the trace, samples first.

    Args:
        dtype: complex128 for `derivatives`, float64 for `central`.
    """

    def __init__(self, trace: Trace, dtype: npt.DTypeLike = np.complex128) -> None:
        self.network = trace.network().astype(dtype)
        step = Step(self.network, None, len(trace.samples))
        step.replay_random(trace.recorded_by_sample())
        self.step: Pass = step.passes[0]
        self.step.inputs[...], self.step.targets[...] = trace.inputs, trace.targets
        self.positions = {layer.name: k for k, layer in enumerate(self.step.layers)}
        # Layers from this one on may still hold the effects of the last perturbation.
        self.perturbed = (0, "")
        self.pieces = pieces_of(trace)
        self.kinked = [layer for layer in self.step.layers if layer.placed.layer.has_kinks]
        self.operations: dict[tuple[int, str], list[Operation]] = {}
        with np.errstate(all="ignore"):
            self.cost = float(self._total(0).real)
        # By the z in float64, which may be an ulp from the trace's and across a kink from it.
        self.sides = self._sides()

    def derivatives(self, layer: str, key: str, entries: Sequence[Index]) -> Derivatives:
        """∂ΣC_x/∂entry for each of `entries`, by a complex step."""
        with np.errstate(all="ignore"):
            return self._derivatives(layer, key, entries)

    def _derivatives(self, layer: str, key: str, entries: Sequence[Index]) -> Derivatives:
        if key == "a" and layer == self.step.last.name and self.network.cost.error_is_delta:
            return Derivatives(self._by_definition(entries), np.zeros(len(entries), bool))
        near = NEAR
        if key == "weight":  # its effect on z is multiplied by the inputs, which may be large
            near /= max(1.0, float(np.abs(self.step.layers[self.positions[layer]].input).max()))
        found = [self._complex(layer, key, entry, near) for entry in entries]
        values = np.array([derivative for derivative, _ in found])
        return Derivatives(values, np.array([is_kink for _, is_kink in found], bool))

    def _complex(self, layer: str, key: str, entry: Index, near: float) -> tuple[float, bool]:
        """Im C(w + ih)/h on the trace's smooth piece; whether a kink is within w ± `near`."""
        array, place, start = self._at(layer, key, entry)
        old = array[place]
        array[place] = old + 1j * COMPLEX_STEP
        derivative = self._total(start, key).imag / COMPLEX_STEP
        ends = (self._sides(sign * near / COMPLEX_STEP) for sign in (1, -1))
        is_kink = any(not all(map(np.array_equal, end, self.sides)) for end in ends)
        array[place] = old
        return derivative, is_kink

    def central(self, layer: str, key: str, entry: Index, step: float) -> tuple[float, bool]:
        """(C(w + h) − C(w − h)) / 2h on the trace's smooth piece; whether it spans a kink."""
        array, place, start = self._at(layer, key, entry)
        old = array[place]
        costs, crosses = [], False
        for sign in (1, -1):
            array[place] = old + sign * step
            costs.append(self._total(start, key).real)
            crosses |= not all(map(np.array_equal, self._sides(), self.sides))
        array[place] = old
        return (costs[0] - costs[1]) / (2 * step), crosses

    def _by_definition(self, entries: Sequence[Index]) -> npt.NDArray[np.float64]:
        """∂C_x/∂a of the outputs by the definition of the cost, one complex step for each entry.

        Infinite or NaN where an output or its complement is 0 in float64.
        """
        if self.perturbed != (0, ""):
            self._total(self.perturbed[0])
        self.perturbed = 0, ""
        values = []
        with np.errstate(all="ignore"):
            z = self.step.last.z.real
            outputs, complements = self.step.last.a.real, 1 / (1 + np.exp(z))
            for sample, unit in entries:
                a, rest, y = (q[unit, sample] for q in (outputs, complements, self.step.targets_t))
                h = COMPLEX_STEP * min(a, rest)
                cost = textbook_cost(self.network, a + 1j * h, y.real, rest - 1j * h)
                values.append(weight_of(self.step, sample) * cost.imag / h)
        return np.array(values)

    def _at(self, layer: str, key: str, entry: Index) -> tuple[Array, Any, int]:
        """The workspace's array, the entry's place in it, and the first layer it acts on."""
        k = self.positions[layer]
        part = self.step.layers[k]
        last, last_key = self.perturbed
        if k > last or (k == last and key != last_key):
            self._total(last)  # the number has been set back, its effects have not
        self.perturbed = k, key
        if key in ("weight", "bias"):
            return part.parameters[key], entry, k
        sample, rest = entry[0], entry[1:]
        if key == "input" and k == 0:
            return self.step.inputs, entry, k
        return getattr(part, key), (*rest, sample), k

    def _total(self, start: int, key: str = "weight") -> complex:
        """Σ_x C_x, recomputed from layer `start` on: after its z or a where that was perturbed."""
        which = start, key if key in ("z", "a") else ""
        if which not in self.operations:  # recorded once, as in training
            self.operations[which] = [*self._record(*which)]
        execute(self.operations[which])
        return self.step.total_cost()

    def _record(self, start: int, key: str) -> Operations:
        step = self.step
        if start == 0 and step.first_input is not step.inputs_t:
            yield bind(np.copyto, step.first_input, step.inputs_t)
        for k, layer in enumerate(step.layers[start:]):
            if k > 0 or not key:
                yield from layer.forward()
            elif key == "z":
                yield from layer.activate()
            piece = self.pieces[start + k]
            if piece is not None and (k > 0 or key != "a"):
                yield from layer.evaluate_pieces(piece)
        yield from step.compare()

    def _sides(self, steps: float = 0.0) -> list[Array]:
        """The side of every kink that the network is on, see `LayerStep.piece`."""
        sides = (layer.piece(steps) for layer in self.kinked)
        return [side for side in sides if side is not None]


def weight_of(step: Pass, sample: int) -> float:
    """w_x of a sample; 1 where classes have no weights."""
    weights = step.sample_weights
    return 1.0 if weights is None else float(weights.values[sample].real)


def pieces_of(trace: Trace) -> list[Array | None]:
    """The smooth piece that each layer is on in the trace, see `LayerStep.piece`."""
    step = Step(trace.network(), None, len(trace.samples))
    found = []
    for layer, recorded in zip(step.layers, trace.layers, strict=True):
        layer.input[...] = np.moveaxis(recorded.input, 0, -1)
        if layer.z is not None:
            assert recorded.z is not None
            layer.z[...] = np.moveaxis(recorded.z, 0, -1)
        found.append(layer.piece())
    return found


def textbook_cost(network: Network, a: Array, y: Array, rest: Array | None = None) -> complex:
    """Σ_x C_x by the definition of the cost, from the outputs alone.

    A step computes cross-entropy from z, which is stable but no function of a.

    Args:
        rest: 1 − a, where it is known to more digits than a has.
    """
    return complex(network.cost.definition(a, y, 1 - a if rest is None else rest).sum())
