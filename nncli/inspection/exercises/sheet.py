"""An exercise: a proven step, which of its numbers are printed, and which are left blank."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.inspection.exercises.draws import DECIMALS, POINTS, STEP
from nncli.inspection.exercises.kinds import LEARNED, Kind
from nncli.inspection.exercises.working import Index, Working, working
from nncli.inspection.foreign.digits import DOUBLE, Digits
from nncli.inspection.foreign.judge import Judge
from nncli.inspection.mistakes.formulas import activate
from nncli.inspection.mistakes.rules import record_of, start_of
from nncli.inspection.mistakes.scene import Scene
from nncli.inspection.record import Inspection, link_ulps, values_of
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace

ON_PAPER = Digits(DECIMALS, None, DOUBLE)
LEAST = 20 * 10.0**-DECIMALS  # the largest entry of what is asked for, at least
LINK_ULPS = 4.0  # that an optimizer's numbers may be from their formulas


class Given(NamedTuple):
    """A quantity that is printed; `by_sample`: its first axis is that of the samples."""

    name: str
    array: Array
    by_sample: bool

    @property
    def shown(self) -> Array:
        return _without_only_sample(self.array, self.by_sample)


def _without_only_sample(array: Array, by_sample: bool) -> Array:
    only: Array = array[0] if by_sample and len(array) == 1 else array
    return only


class Asked(NamedTuple):
    """A quantity that is left blank.

    Attributes:
        name: as `dense1.z`.
        array: the right values, samples first where it has them.
        tolerance: by how much an answer may be off, entry by entry: half a unit of the last
            decimal, and what rounding to as many decimals on the way does to it.
        by_sample: whether the first axis is that of the samples.
        first: the number of its first blank.
    """

    name: str
    array: Array
    tolerance: Array
    by_sample: bool
    first: int

    @property
    def shown(self) -> Array:
        """As it is printed: of one sample without the axis of the samples."""
        return _without_only_sample(self.array, self.by_sample)

    @property
    def layer(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def quantity(self) -> str:
        return self.name.rpartition(".")[2]


class Blank(NamedTuple):
    """One number that is left blank: its number on the sheet, and where it is."""

    number: int
    asked: Asked
    at: Index

    @property
    def value(self) -> float:
        return float(self.asked.array[self.at])

    @property
    def tolerance(self) -> float:
        return float(self.asked.tolerance[self.at])

    @property
    def shown_index(self) -> Index:
        """Without the sample where there is one only."""
        is_only = self.asked.by_sample and len(self.asked.array) == 1
        return self.at[1:] if is_only else self.at

    @property
    def name(self) -> str:
        """As `dense1.z[0]`, by which a form has it."""
        return self.asked.name + "".join(f"[{k}]" for k in self.shown_index)


class Table(NamedTuple):
    """Values of a function at round points: `rows` are their symbols and values."""

    z: Array
    rows: tuple[tuple[str, Array], ...]


@dataclass(frozen=True)
class Sheet:
    """An exercise with its key.

    Attributes:
        kind: its row.
        seed: from which its numbers were drawn.
        spec: the network, as plain data of a spec.
        inspection: the step and its proof.
        given, asked: in the order in which they are printed.
        table: of σ, or of the powers of e; None where nothing is to be looked up.
    """

    kind: Kind
    seed: int
    spec: Mapping[str, Any]
    inspection: Inspection
    given: tuple[Given, ...]
    asked: tuple[Asked, ...]
    table: Table | None

    @property
    def name(self) -> str:
        return f"{self.kind.name}-{self.seed}"

    @property
    def trace(self) -> Trace:
        return self.inspection.trace

    @cached_property
    def blanks(self) -> tuple[Blank, ...]:
        return tuple(_blanks(self.asked))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)

    def working(self, blank: Blank) -> Working:
        return working(self.trace, blank.asked.name, blank.at)


def _blanks(asked: tuple[Asked, ...]) -> Iterator[Blank]:
    for one in asked:
        for k, index in enumerate(np.ndindex(one.array.shape)):
            yield Blank(one.first + k, one, index)


def make_sheet(kind: Kind, seed: int, spec: Mapping[str, Any], inspection: Inspection) -> Sheet:
    """The sheet of a step that was taken and proven."""
    trace = inspection.trace
    known = {**start_of(trace), **record_of(trace)}
    shown = {name: known[name] for name in kind.asked}
    judge = Judge(Scene(trace), shown, digits=ON_PAPER)
    asked, first = [], 1
    for name, array in shown.items():
        array = np.asarray(array, np.float64)
        tolerance = np.broadcast_to(judge.tolerance(name), array.shape)
        asked.append(Asked(name, array, tolerance, _by_sample(name), first))
        first += array.size
    given = tuple(Given(name, known[name], _by_sample(name)) for name in kind.given)
    return Sheet(kind, seed, spec, inspection, given, tuple(asked), _table(trace, kind))


def _by_sample(name: str) -> bool:
    quantity = name.rpartition(".")[2]
    return quantity != "cost" and quantity.partition("_")[0] not in LEARNED


def _table(trace: Trace, kind: Kind) -> Table | None:
    looked_up = {name.rpartition(".")[0] for name in kind.asked if name.endswith((".a", "_prime"))}
    used = {layer.activation for layer in trace.layers if layer.name in looked_up}
    if "softmax" in used:
        z = np.array(POINTS)
        return Table(z, (("e^z", np.exp(z)),))
    if "sigmoid" in used:
        z = np.arange(0, 2 * max(POINTS) + STEP, STEP)
        a, prime = activate("sigmoid", z[:, None], ())
        return Table(z, (("σ(z)", a.ravel()), ("σ′(z)", prime.ravel())))
    return None


def suits(kind: Kind, inspection: Inspection) -> bool:
    """Whether a step is proven to the last entry, and makes an exercise.

    No quantity that is asked for may be 0 throughout, as far as is seen, and no entry next to a
    kink: there a small change of the numbers would send the error elsewhere.
    """
    check, trace = inspection.check, inspection.trace
    if check is None or not check.passed or any(tensor.kinks for tensor in check.tensors):
        return False
    record = record_of(trace)
    seen = all(np.abs(record[name]).max() >= LEAST for name in kind.asked)
    return seen and _updates_agree(trace)


def _updates_agree(trace: Trace) -> bool:
    """Whether the optimizer's numbers are those of its formulas."""
    return all(
        off <= LINK_ULPS
        for layer in trace.layers
        for key in layer.optimizer
        for _, off in link_ulps(trace, values_of(trace, layer, key), f"{layer.name}.{key}")
    )
