"""Conditions on the steps of a training: what they come to, and why one failed.

A condition is a tree of `nncli.core.expressions`. It is evaluated on a `Reading`, the quantities of
one step or of many at once, and gives a truth value a step.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, reduce
from typing import Any, Literal, NamedTuple

import numpy as np

from nncli.core.expressions import (
    Arithmetic,
    Call,
    Comparison,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    names,
)
from nncli.core.text import count_of, join_words
from nncli.nn.arrays import Array
from nncli.nn.quantities import BY_KEY, FUNCTIONS, LAYER_ARRAYS, norm_ratios, norms
from nncli.nn.trace import Trace

ArrayKey = tuple[str | None, str]  # of a layer by name, or of the network; and which array
NETWORK_NORMS = {"gradient_norm": "gradient", "update_norm": "update"}
MOST_UNITS = 3  # that are named

_BY_SAMPLE = {row.key: row.by_sample for row in LAYER_ARRAYS}
_SIGNS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


class Condition(NamedTuple):
    """What is to hold (`expect`), or what the training stops at (`break`); when it is looked at.

    Attributes:
        that: its text; tree: the same with bound names.
        after: steps (or epochs) in which it is not looked at.
        in_a_row: how many times in a row it has to fail (or, a break, to hold) to count.
        every: it is looked at every so many steps, or epochs.
        at: when: at each step, at each epoch's end, or at the training's.
        actions: what is done, the first time: warn, stop, trace, page.
    """

    key: Literal["expect", "break"]
    that: str
    tree: Node
    after: int = 0
    in_a_row: int = 1
    every: int = 1
    at: Literal["step", "epoch", "end"] = "step"
    actions: tuple[str, ...] = ("warn",)

    @property
    def identity(self) -> tuple[Any, ...]:
        """By what it is known again when a run is resumed."""
        return (self.key, self.that, self.after, self.in_a_row, self.every, self.at)

    @property
    def stops(self) -> bool:
        return self.key == "break" or ("stop" in self.actions and self.at != "end")


class Reading:
    """The quantities of some steps, read from their arrays.

    Attributes:
        numbers: of the training, by key: one for each step, or one for all.
        arrays: steps x the array, by layer and key.
        norms_taken: norms that were taken while the array was there.
        chunk: how many steps at most an array is read of at once, so that the cache holds it.
    """

    def __init__(
        self,
        count: int,
        numbers: Mapping[str, Array | float],
        arrays: Mapping[ArrayKey, Array],
        norms_taken: Mapping[ArrayKey, Array],
        chunk: int = 1,
    ) -> None:
        self.count, self.chunk = count, chunk
        self.numbers, self.arrays, self.norms_taken = numbers, arrays, norms_taken
        self._known: dict[tuple[str | None, str], Array | float] = {}

    def part(self, start: int, stop: int) -> "Reading":
        """Some of the steps."""
        some, numbers = slice(start, stop), self.numbers.items()
        return Reading(
            stop - start,
            {key: x[some] if isinstance(x, np.ndarray) else x for key, x in numbers},
            {key: array[some] for key, array in self.arrays.items()},
            {key: array[some] for key, array in self.norms_taken.items()},
            stop - start,
        )

    @cached_property
    def parts(self) -> list["Reading"]:
        """The same in parts of `chunk` steps."""
        if self.count <= self.chunk:
            return [self]
        starts = range(0, self.count, self.chunk)
        return [self.part(k, min(k + self.chunk, self.count)) for k in starts]

    def by_parts(self, measure: Callable[["Reading"], Array]) -> Array:
        """A number a step, taken of each part by itself."""
        return np.concatenate([measure(part) for part in self.parts])

    def value(self, name: Name) -> Array | float:
        key = (name.layer, name.quantity)
        if key not in self._known:
            self._known[key] = self._value(name.layer, name.quantity)
        return self._known[key]

    def _value(self, layer: str | None, quantity: str) -> Array | float:
        if layer is None:
            vector = NETWORK_NORMS.get(quantity)
            return self.numbers[quantity] if vector is None else self._norms((None, vector))
        row = BY_KEY.get(quantity)
        if row is None:
            return self.arrays[layer, quantity]
        sizes = [(layer, key) for key in row.arrays]
        if row.measure is norms:
            return self._norms(sizes[0])
        if row.measure is norm_ratios:
            part, whole = map(self._norms, sizes)
            ratios: Array = part / np.where(whole == 0, np.nan, whole)
            return ratios
        return self.by_parts(lambda part: row.measure(*(part.arrays[key] for key in sizes)))

    def _norms(self, key: ArrayKey) -> Array:
        taken = self.norms_taken.get(key)
        return self.by_parts(lambda part: norms(part.arrays[key])) if taken is None else taken


class Needs(NamedTuple):
    """What conditions are read from: arrays, and arrays of which the norm is enough."""

    arrays: frozenset[ArrayKey]
    norms: frozenset[ArrayKey]

    @classmethod
    def of(cls, trees: Iterator[Node]) -> "Needs":
        arrays, sizes = set[ArrayKey](), set[ArrayKey]()
        for name in (name for tree in trees for name in names(tree)):
            if name.layer is None:
                if name.quantity in NETWORK_NORMS:
                    sizes.add((None, NETWORK_NORMS[name.quantity]))
                continue
            row = BY_KEY.get(name.quantity)
            keys = {(name.layer, key) for key in (row.arrays if row else (name.quantity,))}
            (sizes if row and row.measure in (norms, norm_ratios) else arrays).update(keys)
        return cls(frozenset(arrays), frozenset(sizes - arrays))


def evaluate(tree: Node, reading: Reading) -> Array:
    """Whether a condition holds, for each step of a reading."""
    held: Array = np.asarray(_evaluate(tree, reading))
    return held if held.ndim else np.broadcast_to(held, (reading.count,))


def _evaluate(node: Node, reading: Reading) -> Any:
    """A number or truth value a step, or an array with the steps as its first axis."""
    match node:
        case Number():
            return np.float64(node.value)
        case Name():
            return reading.value(node)
        case Negative():
            return -_evaluate(node.operand, reading)
        case Arithmetic():
            return _combined(node, reading)
        case Call():
            return _called(node, reading)
        case Comparison():
            values = [_evaluate(operand, reading) for operand in node.operands]
            pairs = zip(node.signs, values, values[1:], strict=False)
            first, *rest = (_SIGNS[sign](left, right) for sign, left, right in pairs)
            return reduce(np.logical_and, rest, first)
        case Logic():
            join = np.logical_and if node.word == "and" else np.logical_or
            return join.reduce(np.broadcast_arrays(*(_evaluate(p, reading) for p in node.parts)))
        case Not():
            return np.logical_not(_evaluate(node.condition, reading))
    raise AssertionError(node)


def _combined(node: Arithmetic, reading: Reading) -> Any:
    left, right = (np.asarray(_evaluate(part, reading)) for part in node.parts)
    for one, other in ((left, right), (right, left)):
        if one.ndim > 1 and other.ndim == 1:  # a number a step with all entries of its array
            by_step = other.reshape(-1, *(1 for _ in one.shape[1:]))
            left, right = (by_step if side is other else side for side in (left, right))
            break
    return _SIGNS[node.sign](left, right)


def _called(call: Call, reading: Reading) -> Any:
    function, argument = FUNCTIONS[call.function], call.arguments[0]
    measure = function.measure
    if measure is None:
        return np.abs(_evaluate(argument, reading))
    if len(call.arguments) == 1:
        return reading.by_parts(lambda part: measure(_evaluate(argument, part)))
    several = np.broadcast_arrays(*(_evaluate(argument, reading) for argument in call.arguments))
    return np.max(several, axis=0) if function.picks > 0 else np.min(several, axis=0)


# Why one failed


@dataclass(frozen=True)
class Term:
    """A number in a condition, at the step at which it failed.

    Attributes:
        text: as the condition has it, with its layer's name.
        layer, quantity: None where it is of the training, or of several layers.
        value: None where it is not finite.
        units: which units are counted, those with most first; units_more: how many besides them.
        unit, sample: of its largest entry (or the smallest, for min); None where it has none.
    """

    text: str
    layer: str | None
    quantity: str | None
    value: float | None
    units: tuple[int, ...] = ()
    units_more: int = 0
    unit: int | None = None
    sample: int | None = None

    def says(self) -> str:
        value = "no finite number" if self.value is None else f"{self.value:.4g}"
        where = [f"unit {self.unit}"] if self.unit is not None else []
        where += [f"sample {self.sample}"] if self.sample is not None else []
        if where and not self.text.startswith(("max", "min")):
            where[0] = f"its largest entry: {where[0]}"
        if self.units:
            named = [f"{unit}" for unit in self.units]
            if self.units_more:
                named.append(count_of(self.units_more, "other"))
            where = [f"{'unit' if len(named) == 1 else 'units'} {join_words(named, 'and')}"]
        place = f" ({', '.join(where)})" if where else ""
        return f"{self.text} is {value}{place}"


@dataclass(frozen=True)
class Failure:
    """A condition that failed, or at which the training is to stop: where, and what it was then.

    `trace` is the record of the step, where the condition asks for it.
    """

    key: Literal["expect", "break"]
    that: str
    step: int
    epoch: int
    terms: tuple[Term, ...]
    at: str = "step"
    in_a_row: int = 1
    actions: tuple[str, ...] = ()
    stops: bool = False
    trace: Trace | None = field(default=None, compare=False, repr=False)

    @property
    def wants_trace(self) -> bool:
        return "trace" in self.actions or "page" in self.actions

    def says(self) -> str:
        """In a sentence."""
        what = "break" if self.key == "break" else "expectation failed"
        return f"{what} at {self.where()}: {self.that}: {self.found()}"

    def where(self) -> str:
        place = f"step {self.step:,} (epoch {self.epoch:,})"
        if self.at != "step":
            place = f"the end of epoch {self.epoch:,}"
        return f"{place}, {self.in_a_row:,} times in a row" if self.in_a_row > 1 else place

    def found(self) -> str:
        """What its quantities were."""
        return "; ".join(term.says() for term in self.terms)

    def as_plain(self) -> dict[str, Any]:
        """As plain data, without its trace."""
        terms = [asdict(term) for term in self.terms]
        return {
            "step": self.step,
            "epoch": self.epoch,
            "at": self.at,
            "terms": [{**term, "units": list(term["units"])} for term in terms],
        }


class Cause(NamedTuple):
    """A term, and the place in the mini-batch of the sample that it is the number of."""

    term: Term
    place: int | None


def causes(tree: Node, reading: Reading) -> list[Cause]:
    """The numbers that made a condition what it is, at the one step of a reading."""
    held = bool(evaluate(tree, reading)[0])
    found: dict[str, Cause] = {}
    for comparison in _deciding(tree, reading, held):
        for node in _terms(comparison):
            if str(node) not in found:
                found[str(node)] = _cause(node, reading)
    return list(found.values())


def _deciding(node: Node, reading: Reading, held: bool) -> Iterator[Comparison]:
    """The comparisons that decided, where a condition `held` or did not."""
    match node:
        case Comparison():
            yield node
        case Not():
            yield from _deciding(node.condition, reading, not held)
        case Logic():
            one_decides = held == (node.word == "or")
            for part in node.conditions:
                if bool(evaluate(part, reading)[0]) == held:
                    yield from _deciding(part, reading, held)
                    if one_decides:
                        return


def _terms(node: Node) -> Iterator[Node]:
    """Its quantities that are numbers, or what was made of arrays."""
    is_of_array = isinstance(node, Call) and any(
        name.layer is not None and name.quantity not in BY_KEY for name in names(node)
    )
    if isinstance(node, Name) or (is_of_array and FUNCTIONS[node.function].measure is not None):  # type: ignore[attr-defined]
        yield node
        return
    for part in node.parts:
        yield from _terms(part)


def _cause(node: Node, reading: Reading) -> Cause:
    value = float(np.ravel(_evaluate(node, reading))[0])
    inside = names(node)
    layers = {name.layer for name in inside}
    layer = inside[0].layer if len(layers) == 1 else None
    quantity = inside[0].quantity if len(inside) == 1 else None
    term = Term(str(node), layer, quantity, value if math.isfinite(value) else None)
    if layer is None:
        return Cause(term, None)
    if isinstance(node, Name):
        return _of_number(term, node, reading)
    assert isinstance(node, Call)
    picks = FUNCTIONS[node.function].picks
    if not picks and node.function != "norm":
        return Cause(term, None)
    array = np.asarray(_evaluate(node.arguments[0], reading))[0]
    by_sample = all(_BY_SAMPLE.get(name.quantity, True) for name in inside)
    return _at_entry(term, array if picks else np.abs(array), picks or 1, by_sample)


def _of_number(term: Term, name: Name, reading: Reading) -> Cause:
    row = BY_KEY[name.quantity]
    array = reading.arrays.get((str(name.layer), row.arrays[0]))
    if array is None:
        return Cause(term, None)
    if row.units is not None:
        share = row.units(array[0])
        counted = [int(k) for k in np.argsort(-share, kind="stable") if share[k] > 0]
        shown, more = tuple(counted[:MOST_UNITS]), max(0, len(counted) - MOST_UNITS)
        return Cause(Term(**{**vars(term), "units": shown, "units_more": more}), None)
    if row.measure is norms:
        return _at_entry(term, np.abs(array[0]), 1, _BY_SAMPLE[row.arrays[0]])
    return Cause(term, None)


def _at_entry(term: Term, array: Array, picks: int, by_sample: bool) -> Cause:
    """The largest entry, or the smallest; the axes are units first, samples last."""
    if array.size == 0 or array.ndim == 0:
        return Cause(term, None)
    flat = int((array if picks > 0 else -array).argmax())
    index = [int(k) for k in np.unravel_index(flat, array.shape)]
    # Weights are inputs x units, filters x channels x rows x columns.
    unit = index[-1] if not by_sample and len(index) == 2 else index[0]
    return Cause(Term(**{**vars(term), "unit": unit}), index[-1] if by_sample else None)
