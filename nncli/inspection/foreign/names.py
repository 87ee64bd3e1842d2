"""Finds out which array is what: by its name, its shape and its values, in this order.

Names say a quantity and mostly a number, which people count from 0, from 1, or with the inputs as
layer 1; the counting is taken under which most shapes fit. Where that leaves several quantities,
the values decide, if they are near those of one only; else both are named, and nothing is guessed.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import count_of, join_words, nearest, printable, quote, sizes
from nncli.inspection.foreign.checking import Named
from nncli.inspection.foreign.readings import (
    NEAR,
    SAME,
    Target,
    agrees,
    class_numbers,
    distance,
    not_summed,
    was_multiplied,
)
from nncli.inspection.foreign.turns import mixed_layouts, turns
from nncli.inspection.foreign.words import KEYS, Meaning, meaning_of
from nncli.inspection.mistakes.rules import record_of
from nncli.nn.arrays import Array, Shape
from nncli.nn.trace import LayerTrace, Trace

LEFT_OUT = "-"  # as the name of what is not to be compared
UPDATED = 0.5  # weights that differ by less than this are those of the start, updated
WHOLE_STEP = ("inputs", "targets", "cost")
LEARNED = tuple(KEYS.values())


class Naming(NamedTuple):
    """Which array is what.

    Attributes:
        named: quantities of the step.
        start: weights and biases that the step is to start from.
        inputs, targets: of the samples, where they were given.
        notes: what was inferred that its user should know.
        doubtful: whether a square matrix may have to be transposed: nothing tells.
        unsure: names of what was taken for ∂C/∂a, and may be δ: nothing tells.
    """

    named: tuple[Named, ...]
    start: tuple[Named, ...]
    inputs: Named | None
    targets: Named | None
    notes: tuple[str, ...]
    doubtful: tuple[str, ...]
    unsure: tuple[str, ...] = ()


@np.errstate(all="ignore")  # what was given may be of any size
def name_arrays(trace: Trace, arrays: Mapping[str, Array], settled: Mapping[str, str]) -> Naming:
    """Names all arrays.

    Args:
        settled: names of the trace, by the arrays' own.

    Raises:
        NncliError: of an array the shape fits nothing, or several quantities; all such arrays.
    """
    return _Namer(trace, arrays, settled).naming()


def targets_of(trace: Trace) -> dict[str, Target]:
    """All that an array may be, by name."""
    found = {
        "inputs": Target("inputs", trace.inputs, True),
        "targets": Target("targets", trace.targets, True),
    }
    for name, value in record_of(trace).items():
        by_sample = name != "cost" and not name.split(".")[1].startswith(LEARNED)
        found[name] = Target(name, np.asarray(value), by_sample)
    for layer in trace.layers:
        for key in layer.optimizer:
            name = f"{layer.name}.{key}"
            found[name] = Target(name, getattr(layer, key), False)
    return found


class _Namer:
    def __init__(
        self, trace: Trace, arrays: Mapping[str, Array], settled: Mapping[str, str]
    ) -> None:
        self.trace, self.arrays, self.settled = trace, arrays, settled
        self.targets = targets_of(trace)
        self.quantities = frozenset(name.split(".")[-1] for name in self.targets)
        self.layers = tuple(layer.name for layer in trace.layers)
        self.problems, self.notes, self.nameless = list[str](), list[str](), list[str]()
        self.doubtful, self.unsure = list[str](), list[str]()

    def naming(self) -> Naming:
        self._check_settled()
        meanings = {
            name: meaning_of(name, self.layers, self.quantities)
            for name in self.arrays
            if name not in self.settled
        }
        counting = self._counting(meanings)
        found: dict[str, Named] = {}
        # What says what it is goes first: what does not takes nothing from it.
        for name in sorted(self.arrays, key=lambda n: n in meanings and not meanings[n].quantities):
            array, is_said = self.arrays[name], True
            if name in self.settled:
                targets = [self.targets[self.settled[name]]]
            else:
                targets = list(self._candidates(meanings[name], counting))
                is_said = bool(meanings[name].quantities)
            one = self._choose(name, array, targets, is_said=is_said)
            if one is None:
                continue
            if (other := next((f for f in found.values() if f.name == one.name), None)) is not None:
                if not is_said:
                    self.nameless.append(name)
                    continue
                self.problems.append(
                    f"{quote(name)} and {quote(other.mine)} both seem to be {one.name}: say what "
                    f"they are, as --name {printable(name)}={one.name}"
                )
            found[name] = one
        if self.problems:
            raise NncliError("\n".join(self.problems))
        if not found:
            raise NncliError(
                "nothing was given that is a quantity of a step; names as dense1.weight_gradient, "
                "dW1 or fc1.weight.grad are understood, and --name settles others"
            )
        found = {name: found[name] for name in self.arrays if name in found}
        if self.nameless:
            mine = ", ".join(map(quote, self.nameless))
            self.notes.append(f"left out, for the name says nothing: {mine}")
        return self._sorted(list(found.values()))

    def _error_of(self, one: Named, found: list[Named]) -> Named:
        """δ, where what was named as ∂C/∂a was multiplied by σ′(z) in its place."""
        layer, _, quantity = one.name.rpartition(".")
        delta = f"{layer}.delta"
        is_settled = one.mine in self.settled or "upstream" in one.mine.lower()
        has_delta = delta in self.targets and all(o.name != delta for o in found)
        if quantity != "upstream" or is_settled or not has_delta:
            return one
        is_delta = was_multiplied(self.trace, layer, one.array)
        if is_delta is None:
            self.unsure.append(one.mine)
        return one._replace(name=delta) if is_delta else one

    def _check_settled(self) -> None:
        for mine, name in self.settled.items():
            if mine not in self.arrays:
                known = nearest(mine, self.arrays)
                self.problems.append(f"--name: there is no array {quote(mine)}{known}")
            if name not in self.targets:
                known = nearest(name, self.targets)
                self.problems.append(f"--name: the step has no {quote(name)}{known}")
        if self.problems:
            raise NncliError("\n".join(self.problems))

    # Which layer a number means

    def _domain(self, meaning: Meaning) -> list[LayerTrace]:
        """The layers that numbers count: those of the type that is said, or all that learn."""
        if meaning.kind in self.quantities or meaning.kind is None:
            return [x for x in self.trace.layers if x.optimizer and x.type != "batchnorm"]
        return [layer for layer in self.trace.layers if layer.type == meaning.kind]

    def _counting(self, meanings: Mapping[str, Meaning]) -> dict[str | None, dict[int, int]]:
        """For each type of layer that is said, which place each number means."""
        by_kind: dict[str | None, dict[str, Meaning]] = {}
        for name, meaning in meanings.items():
            if meaning.number is not None and meaning.layer is None:
                by_kind.setdefault(meaning.kind, {})[name] = meaning
        return {kind: self._count(some) for kind, some in by_kind.items()}

    def _count(self, meanings: Mapping[str, Meaning]) -> dict[int, int]:
        domain = self._domain(next(iter(meanings.values())))
        learned = {
            m.number
            for m in meanings.values()
            if m.quantities and m.quantities[0].startswith(LEARNED) and m.number is not None
        }
        every = sorted({m.number for m in meanings.values() if m.number is not None})
        positive = sorted(n for n in learned or every if n >= 0)
        ways = [{n: n - first for n in every if n >= 0} for first in (1, 0, 2)]
        if 0 in positive:
            ways = [ways[1], ways[0], ways[2]]
        if len(positive) == len(domain):
            ways.append({n: k for k, n in enumerate(positive)})  # places among other modules
        for way in ways:
            way |= {n: len(domain) + n for n in every if n < 0}
        scores = [self._score(way, meanings) for way in ways]
        return ways[max(range(len(ways)), key=lambda k: (scores[k], -k))]

    def _score(self, way: Mapping[int, int], meanings: Mapping[str, Meaning]) -> tuple[int, int]:
        """How many arrays have a shape that fits under this counting, and how many the values."""
        fitting = near = 0
        for name, meaning in meanings.items():
            distances = [
                d
                for target in self._of_number(meaning, way)
                for d in self._distances(self.arrays[name], target)
            ]
            fitting += bool(distances)
            near += bool(distances) and min(distances) < NEAR
        return fitting, near

    def _of_number(self, meaning: Meaning, way: Mapping[int, int]) -> Iterator[Target]:
        domain = self._domain(meaning)
        place = way.get(meaning.number) if meaning.number is not None else None
        if place == -1 and "a" in meaning.quantities:  # a0
            yield self.targets["inputs"]
        if place is not None and 0 <= place < len(domain):
            for quantity in meaning.quantities:
                if (name := f"{domain[place].name}.{quantity}") in self.targets:
                    yield self.targets[name]

    # What an array may be

    def _candidates(
        self, meaning: Meaning, counting: Mapping[str | None, Mapping[int, int]]
    ) -> Iterator[Target]:
        if meaning.layer is not None:
            yield from (self.targets[f"{meaning.layer}.{q}"] for q in meaning.quantities)
            return
        whole = [q for q in meaning.quantities if q in WHOLE_STEP]
        if whole and (meaning.number is None or whole == ["cost"]):
            yield from (self.targets[q] for q in whole)
            return
        if meaning.number is not None and meaning.quantities:
            yield from self._of_number(meaning, counting.get(meaning.kind, {}))
            return
        for target in self.targets.values():
            layer, _, quantity = target.name.rpartition(".")
            of_kind = meaning.kind is None or layer.startswith(meaning.kind)
            if of_kind and (not meaning.quantities or quantity in meaning.quantities):
                yield target

    def _distances(self, array: Array, target: Target) -> Iterator[float]:
        """For each way to turn it, how far it is from what is there, relative to the largest."""
        for _, turned in turns(array, target.value.shape, by_sample=target.by_sample):
            yield distance(turned, target.value)

    def _choose(
        self, name: str, array: Array, targets: list[Target], *, is_said: bool
    ) -> Named | None:
        """The one of the targets that an array is; None: it is none of the step's quantities."""
        fitting = [t for t in targets if any(True for _ in self._distances(array, t))]
        if not fitting:
            one = not_summed(self.trace, name, array, targets)
            if (one := one or class_numbers(self.trace, name, array, targets)) is not None:
                return one
        if not fitting:
            self._refuse(name, array, targets, is_said=is_said)
            return None
        if len(fitting) > 1 or not is_said:
            fitting = self._nearest(array, fitting, is_said=is_said)
        if len(fitting) != 1:
            if is_said:
                words = join_words([t.name for t in fitting[:6]])
                self.problems.append(
                    f"{quote(name)} may be {words}: say which, as "
                    f"--name {printable(name)}={fitting[0].name}"
                )
            else:
                self.nameless.append(name)
            return None
        return self._turned(name, array, fitting[0])

    def _nearest(self, array: Array, fitting: list[Target], *, is_said: bool) -> list[Target]:
        """Those whose values decide."""
        if not is_said and not array.any():
            return []  # zeros are like any other zeros
        near = sorted((min(self._distances(array, t)), k) for k, t in enumerate(fitting))
        quantities = [t.name.rpartition(".")[2] for t in fitting]
        (first, k), (second, _) = (*near, (np.inf, 0))[:2]
        if first < SAME and second > 5 * first + SAME:
            return [fitting[k]]
        if not is_said:
            return []
        if len(fitting) == 2 and quantities[0] in LEARNED and quantities[1].endswith("_new"):
            # W of the start, W after the step with a mistake, or a start of the user's own.
            for target in fitting:
                if any(
                    agrees(turned, target.value)
                    for _, turned in turns(array, target.value.shape, by_sample=False)
                ):
                    return [target]
            return [fitting[1 if first < UPDATED else 0]]
        if first < NEAR < second:
            return [fitting[k]]
        return fitting

    def _refuse(self, name: str, array: Array, targets: list[Target], *, is_said: bool) -> None:
        if targets and is_said:
            words = join_words([f"{t.name} is {_shape(t.value.shape)}" for t in targets[:3]], "and")
            hint = ""
            samples = {t.value.shape[0] for t in targets if t.by_sample}
            if samples and array.ndim and array.shape[0] not in samples and array.ndim > 1:
                hint = (
                    f"; this step is on {count_of(len(self.trace.inputs), 'sample')}: --samples "
                    "and --batch choose others"
                )
            if ".bias_" in targets[0].name and array.size == len(self.trace.inputs):
                hint = "; it has a number for each sample: was δ summed over the units?"
            self.problems.append(f"{quote(name)} is {_shape(array.shape)}, but {words}{hint}")
            return
        fits = [
            t.name for t in self.targets.values() if any(True for _ in self._distances(array, t))
        ]
        why = f"; of its shape are {join_words(fits[:4])}" if fits and is_said else ""
        if is_said and array.size > 1:
            self.problems.append(
                f"{quote(name)}: the network has no such layer{why}; --name {printable(name)}=... "
                "says what it is"
            )
        else:
            self.notes.append(f"{quote(name)} is left out: it is no quantity of a step")

    def _turned(self, name: str, array: Array, target: Target) -> Named:
        ways = list(turns(array, target.value.shape, by_sample=target.by_sample))
        if len(ways) > 1:
            near = sorted((distance(turned, target.value), k) for k, (_, turned) in enumerate(ways))
            if near[0][0] < NEAR and near[1][0] > 2 * near[0][0]:
                ways = [ways[near[0][1]]]
            elif target.value.ndim == 2 and not np.array_equal(ways[0][1], ways[1][1]):
                self.doubtful.append(name)
        how, turned = ways[0]
        return Named(name, target.name, turned, how)

    # All of them together

    def _sorted(self, found: list[Named]) -> Naming:
        found = self._in_one_layout(self._as_their_kin(found))
        self.notes += mixed_layouts(found)
        found = [self._error_of(one, found) for one in found]
        by_name = {one.name: one for one in found}
        parameters = {name for name in by_name if name.split(".")[-1] in LEARNED}
        start = tuple(by_name[name] for name in sorted(parameters))
        quantities = tuple(
            one for one in found if one.name not in parameters and one.name not in WHOLE_STEP[:2]
        )
        return Naming(
            quantities,
            start,
            by_name.get("inputs"),
            by_name.get("targets"),
            tuple(self.notes),
            tuple(self.doubtful),
            tuple(self.unsure),
        )

    def _as_their_kin(self, found: list[Named]) -> list[Named]:
        """Square matrices of which nothing tells, turned as those of their kind that tell."""

        def is_learned(one: Named) -> bool:
            return one.name.split(".")[-1].startswith(LEARNED)

        made = []
        for one in found:
            kin = [
                other.how
                for other in found
                if is_learned(other) == is_learned(one)
                and other.mine not in self.doubtful
                and other.how in ("", "transposed")
                and other.array.ndim == 2
                and other.array.ndim == one.array.ndim
            ]
            if one.mine in self.doubtful and kin and len(set(kin)) == 1:
                self.doubtful.remove(one.mine)
                if kin[0] == "transposed":
                    one = one._replace(how="transposed", array=self.arrays[one.mine].T)
            made.append(one)
        return made

    def _in_one_layout(self, found: list[Named]) -> list[Named]:
        """Square matrices that agree only turned otherwise than their kind, not turned so.

        One file writes all gradients the same way. Of those that are not square the shape tells
        which; where all are square, one that agrees as it is.
        """

        def ways(quantity: str, *, square: bool) -> set[str]:
            return {
                one.how
                for one in found
                if one.name.endswith(f".{quantity}")
                and one.array.ndim == 2
                and one.mine not in self.doubtful
                and (one.array.shape[0] == one.array.shape[1]) is square
                and (not square or self._tells(one))
            }

        made = []
        for one in found:
            quantity = one.name.rpartition(".")[2]
            if quantity.startswith("weight_") and self._tells(one):
                others = ways(quantity, square=False)
                if not others and "" in ways(quantity, square=True):
                    others = {""}
                if others in ({""}, {"transposed"}) and {one.how} != others:
                    (how,) = others
                    beside = "not transposed, beside others of its kind that are"
                    if not how:
                        beside = "transposed, beside others of its kind that are not"
                    self.notes.append(f"the numbers of {one.mine} are right, but it is {beside}")
                    one = one._replace(how=how, array=np.asarray(one.array.T, order="C"))
            made.append(one)
        return made

    def _tells(self, one: Named) -> bool:
        """Whether a square matrix is that of the record as it was turned, and not otherwise."""
        value = self.targets[one.name].value
        return (
            one.how in ("", "transposed")
            and one.array.ndim == 2
            and one.array.shape[0] == one.array.shape[1]
            and distance(one.array, value) < SAME < distance(one.array.T, value)
        )


def transposed(naming: Naming, arrays: Mapping[str, Array]) -> tuple[Named, ...]:
    """The quantities with those of which nothing tells transposed."""
    return tuple(
        one._replace(how="transposed", array=arrays[one.mine].T)
        if one.mine in naming.doubtful
        else one
        for one in naming.named
    )


def multiplied(naming: Naming) -> tuple[Named, ...]:
    """The quantities with δ for those of which nothing tells whether they are δ or ∂C/∂a."""
    return tuple(
        one._replace(name=f"{one.name.rpartition('.')[0]}.delta")
        if one.mine in naming.unsure
        else one
        for one in naming.named
    )


def _shape(shape: Shape) -> str:
    return sizes(shape) or "one number"
