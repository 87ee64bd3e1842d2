"""Compares somebody else's quantities of a step with its record, and names what was done wrong.

A quantity is right if it is that of the record. It follows, if it is what the step's rule makes of
the quantities that were given with it. The first that does neither is where a mistake was made.
Then the step is taken again under every known mistake, from its start and from what was given, and
those are told that explain all that was given.

How far off a number may be follows from the digits that were given, and from what rounding to as
many digits on the way does to it: that is tried, by blurring all that a step computes. A number of
all digits has only the rounding in it of what was given before it and was rounded.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from nncli.core.text import first_of
from nncli.inspection.foreign.digits import DOUBLE, SINGLE, Digits, Told, digits_of, together
from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.rules import record_of
from nncli.inspection.mistakes.scene import Change, Mistake, Scene, everywhere
from nncli.inspection.mistakes.table import MISTAKES
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace

BLURS = 6  # steps that are blurred
SIGMAS = 5  # how far beyond the deviation that a blur makes a number may be
OPERATIONS = 8  # roundings of a number in between, in units of the type
STRICT = 1.05  # half units that an exact explanation misses at most
MOST_WORK = 1e9  # numbers computed in looking for two mistakes at once
MOST_SAMPLES = 8  # that are listed

Arrays = Mapping[str, Array]


class Explanation(NamedTuple):
    """Changes that explain all that was given, and by how many half units they miss at most."""

    changes: tuple[tuple[Mistake, Change], ...]
    missed: float


class Comparison(NamedTuple):
    """How far an array is from another, element by element.

    Attributes:
        off: in tolerances, the largest; 1 and less is right.
        strict: in half units of the digits given.
    """

    off: float
    strict: float

    @property
    def fits(self) -> bool:
        return self.off <= 1


FAR = Comparison(np.inf, np.inf)


class Judge:
    """Somebody else's quantities, and the step that they are compared with.

    Attributes:
        mine: what was given, by the names of rules, in order of computation.
        digits: of each of them; `shared` of all.
        pure: the step from its start, with nothing given; `own` with all that was given.
    """

    def __init__(
        self,
        scene: Scene,
        mine: Arrays,
        *,
        factors: Mapping[str, float] = MappingProxyType({}),
        single: bool = False,
        digits: Digits | None = None,
        half_units: Arrays = MappingProxyType({}),
    ) -> None:
        """
        Args:
            factors: what some of them were multiplied by since they were given.
            single: whether what lies between was computed in float32 at best.
            digits: to which all was computed; None: as the numbers tell.
            half_units: by how much the entries of some may be off for the digits that they were
                written with, where that is more.
        """
        self.scene = scene
        self.mine = {name: mine[name].astype(np.float64) for name in scene.rules if name in mine}
        self.factors = factors
        given = {name: mine[name] for name in self.mine}
        given |= {name: mine[name] / c for name, c in factors.items() if c != 1}
        self.half_units = half_units
        is_single = single or scene.trace.inputs.dtype.itemsize < 8
        self.least = OPERATIONS * (SINGLE if is_single else DOUBLE)
        self.pure, self.own = scene.right, Values(scene.rules, scene.start, self.mine)
        self.own.make_all()
        self.last = max((k for k, name in enumerate(scene.rules) if name in self.mine), default=-1)
        if digits is None:
            told, exact = self._told(given)
        else:
            told = Told(dict.fromkeys(self.mine, digits), digits, frozenset(self.mine))
            exact = set[str]()
        self.digits, self.shared = told.own, told.shared
        self._spread = self._spreads(told, exact)
        self._half = {name: self._half_units(name) for name in self.mine}
        self._right = {name: self._compare(name, scene.record[name], 0) for name in self.mine}
        self._follows = {name: self._compare(name, self.own.made(name), 1) for name in self.mine}

    # How far off a number may be

    def _half_units(self, name: str) -> Array:
        factor = self.factors.get(name, 1.0)
        half: Array = self.digits[name].half_units(self.mine[name] / factor) * factor
        return np.maximum(half, self.half_units[name]) if name in self.half_units else half

    def _told(self, given: Arrays) -> tuple[Told, set[str]]:
        """The digits that were given, and what has the record's own numbers, which tell none."""
        told = digits_of(given)
        if not told.rounded:
            return told, set()
        of_type = Digits(None, None, max(digits.relative for digits in told.own.values()))
        exact = set[str]()
        for name, (spread, _) in self._deviations(self.mine, of_type).items():
            mine, value = self.mine[name], self.scene.record[name]
            if mine.shape == value.shape:
                tolerance = self._floor(value, told.own[name]) + SIGMAS * spread
                exact |= {name} if (np.abs(mine - value) <= tolerance).all() else set[str]()
        return digits_of(given, exact), exact

    def _floor(self, value: Array, digits: Digits) -> Array:
        """What rounding in the type alone may do to a value."""
        scale = float(np.abs(value).max(initial=0))
        floor: Array = scale * self.least + np.abs(value) * digits.relative * OPERATIONS
        return floor

    def _spreads(self, told: Told, exact: Collection[str]) -> dict[str, tuple[Array, Array]]:
        """What rounding on the way does to each quantity given.

        On the way to numbers of all digits nobody rounded but where they follow from what was.
        """
        after = set(told.rounded)
        for name in self.mine:
            after |= {name} if name not in exact and self.own.sources(name) & after else set[str]()
        of_type = {name: digits for name, digits in told.own.items() if not digits.is_coarse}
        before = of_type.keys() - after
        way = together([of_type[name] for name in before])
        return {
            **self._deviations(before, way),
            **self._deviations(self.mine.keys() - before, told.shared, of_type),
        }

    def _deviations(
        self, names: Collection[str], way: Digits, own: Mapping[str, Digits] = MappingProxyType({})
    ) -> dict[str, tuple[Array, Array]]:
        """What blurring does to quantities given: of the step from its start, of its own.

        Args:
            way: to how many digits all is computed, but what has digits of its `own`.
        """
        found: dict[str, list[list[Array]]] = {name: [[], []] for name in names}
        last = max((k for k, name in enumerate(self.scene.rules) if name in found), default=-1)
        for seed in range(BLURS):
            rng = np.random.default_rng(seed)

            def blur(name: str, array: Array, rng: np.random.Generator = rng) -> Array:
                digits = own.get(name, way)
                half = digits.half_units(array)
                half = np.maximum(
                    half, np.abs(array) * max(self.least, OPERATIONS * digits.relative)
                )
                # What is exactly 0, as behind relu, stays on its side of the kink.
                return np.asarray(
                    array + half * rng.choice((-1.0, 1.0), array.shape) * (array != 0)
                )

            for k, base in enumerate((self.pure, self.own)):
                values = Values(base.rules, base.start, base.given, blur=blur)
                with np.errstate(all="ignore"):
                    for name in list(base.rules)[: last + 1]:
                        made = values.made(name)
                        if name in found:
                            found[name][k].append((made - base.made(name)) ** 2)
        return {
            name: (_deviation(squares[0]), _deviation(squares[1]))
            for name, squares in found.items()
        }

    def _compare(self, name: str, value: Array, which: int, grown: float = 1.0) -> Comparison:
        """`which`: 0 for a value from the step's start, 1 from what was given."""
        mine = self.mine[name]
        if mine.shape != value.shape or not np.isfinite(value).all():
            return FAR
        floor = self._floor(value, self.digits[name])
        difference, half = np.abs(mine - value), self._half[name] + floor + 1e-300
        tolerance = half + SIGMAS * grown * self._spread[name][which]
        strict = half if self.digits[name].is_coarse else tolerance
        return Comparison(
            float((difference / tolerance).max(initial=0)),
            float((difference / strict).max(initial=0)),
        )

    # What is right, what follows, and what does neither

    def is_right(self, name: str) -> bool:
        """Whether it is that of the record, or follows from what is, but for rounding."""
        if self._right[name].fits:
            return True
        wrong = [source for source in self.own.sources(name) if not self.is_right(source)]
        return self._follows[name].fits and not wrong

    def is_made_here(self, name: str) -> bool:
        """Whether it is neither right nor follows from what was given."""
        return not self._right[name].fits and not self._follows[name].fits

    def wrong_here(self) -> list[str]:
        return [name for name in self.mine if self.is_made_here(name)]

    def tolerance(self, name: str, which: int = 0) -> Array:
        """By how much each entry may be off: 0 that of the record, 1 what was given makes of it."""
        floor = np.abs(self.scene.record[name]).max(initial=0) * self.least
        tolerance: Array = self._half[name] + floor + SIGMAS * self._spread[name][which]
        return tolerance

    def wrong_entries(self, name: str) -> Array:
        """Which entries are not those of the record."""
        right = np.asarray(self.scene.record[name], np.float64)
        wrong: Array = np.abs(self.mine[name] - right) > self.tolerance(name)
        return wrong

    def root(self, name: str) -> str | None:
        """Where what made a wrong quantity wrong was done; None: in itself."""
        if self.is_made_here(name):
            return None
        sources = self.own.sources(name)
        for source in self.mine:
            if source in sources and not self.is_right(source):
                return self.root(source) or source
        return None

    # Explanations

    def misses(self, rules: Mapping[str, Rule]) -> Comparison:
        """How far what was given is from the step under these changes, at the most."""
        worst, worst_strict = 0.0, 0.0
        for _, found in self._each(rules):
            if not found.fits:
                return FAR
            worst, worst_strict = max(worst, found.off), max(worst_strict, found.strict)
        return Comparison(worst, worst_strict)

    def _each(self, rules: Mapping[str, Rule]) -> Iterator[tuple[str, Comparison]]:
        """Each quantity given, compared with the step under some changes."""
        pure, own = self.pure.changed(rules), self.own.changed(rules)
        stale = [self.pure.following(rules), self.own.following(rules)]
        for name in list(self.scene.rules)[: self.last + 1]:
            if name not in self.mine:
                continue
            found = []
            for k, values in enumerate((pure, own)):
                if name not in stale[k]:
                    found.append((self._right, self._follows)[k][name])
                    continue
                with np.errstate(all="ignore"):
                    value = values.made(name)
                base = (self.pure, self.own)[k].made(name)
                found.append(self._compare(name, value, k, _growth(value, base)))
            yield name, Comparison(min(f.off for f in found), min(f.strict for f in found))

    def explanations(self, others: Callable[[], Iterable[Trace]] = tuple) -> list[Explanation]:
        """What explains all that was given: the simplest kind of explanation that there is.

        One known mistake; other samples; rounding; a constant factor; two known mistakes.

        Args:
            others: the same step on other samples.
        """
        first = self.wrong_here()[0]
        every = self._every()
        found = self._singles(every)
        found = found or self._other_samples(others()) or self._rounding()
        found = found or self._singles(self._factors(first)) or self._pairs(first, every)
        return _best(found)

    def hints(self) -> list[Explanation]:
        """What explains the first wrong quantity and those before it, whatever comes after."""
        first = self.wrong_here()[0]
        found = []
        for mistake, change in self._every():
            if self._fits_until(first, change.rules):
                found.append(Explanation(((mistake, change),), 0))
        return found

    def _every(self) -> list[tuple[Mistake, Change]]:
        """Every way to make every mistake in this step; in the cost only where it was given."""
        return [
            (mistake, change)
            for mistake in MISTAKES.values()
            for change in everywhere(mistake.changes(self.scene))
            if "cost" in self.mine or "cost" not in change.rules
        ]

    def _singles(self, every: Iterable[tuple[Mistake, Change]]) -> list[Explanation]:
        found = []
        for mistake, change in every:
            missed = self.misses(change.rules)
            if missed.fits:
                found.append(Explanation(((mistake, change),), missed.strict))
        return found

    def _other_samples(self, others: Iterable[Trace]) -> list[Explanation]:
        for trace in others:
            record = record_of(trace)
            compared = [self._compare(name, record[name], 0) for name in self.mine]
            if all(found.fits for found in compared):
                noun = "sample" if len(trace.samples) == 1 else "the mini-batch of samples"
                way = f"they are those of {noun} {first_of(trace.samples, MOST_SAMPLES)}"
                change = Change(way, "", {})
                return [Explanation(((MISTAKES["wrong_batch"], change),), 0)]
        return []

    def _rounding(self) -> list[Explanation]:
        if self.shared.is_coarse or self.least >= OPERATIONS * SINGLE:
            return []
        if Judge(self.scene, self.mine, factors=self.factors, single=True).wrong_here():
            return []
        return [Explanation(((MISTAKES["rounding"], Change("", "", {})),), 0)]

    def ratio(self, name: str) -> float | None:
        """The constant factor between what was given and what should be there, if there is one.

        A single number has a ratio to any other, which tells nothing.
        """
        if self.mine[name].size < 2:
            return None
        for value in (self.own.made(name), self.pure.made(name)):
            if value.shape != self.mine[name].shape:
                continue
            square = float((value * value).sum())
            factor = float((self.mine[name] * value).sum()) / square if square else 0.0
            if factor and self._compare(name, factor * value, 0, abs(factor)).fits:
                return factor
        return None

    def _factors(self, first: str) -> Iterator[tuple[Mistake, Change]]:
        """The ratio of the first quantity that is wrong, wherever it may have come from."""
        factor = self.ratio(first)
        if factor is None:
            return
        s, layer = self.scene, first.split(".")[0]
        kinds = (("weight", "bias"), ("weight",), ("bias",))
        parameters = [made(*keys) for made in (s.gradients, s.updates) for keys in kinds]
        for places in ((first,), (s.error,), (f"{layer}.delta",), *map(tuple, parameters)):
            way = f"it is {factor:.6g} times what it should be"
            yield MISTAKES["factor"], Change(way, layer, s.times(factor, *places), factor)

    def _pairs(self, first: str, every: Sequence[tuple[Mistake, Change]]) -> list[Explanation]:
        """Two mistakes together: one that mends the first quantity, and one that mends the rest."""
        mending = [one for one in every if self._fits_until(first, one[1].rules)]
        found = self._combined(((a, b) for a in mending for b in every), len(mending) * len(every))
        if not found and not mending:
            wide = [one for one in every if not one[1].place]
            found = self._combined(combinations(wide, 2), len(wide) ** 2 // 2)
        return found

    def _combined(
        self, pairs: Iterable[tuple[tuple[Mistake, Change], tuple[Mistake, Change]]], count: int
    ) -> list[Explanation]:
        numbers = sum(array.size for array in self.scene.record.values())
        if numbers * count > MOST_WORK:
            return []
        found = []
        for a, b in pairs:
            if a[1].rules.keys() & b[1].rules.keys():
                continue
            missed = self.misses({**a[1].rules, **b[1].rules})
            if missed.fits:
                found.append(Explanation((a, b), missed.strict))
        return found

    def _fits_until(self, first: str, rules: Mapping[str, Rule]) -> bool:
        for name, found in self._each(rules):
            if not found.fits:
                return False
            if name == first:
                return True
        return False


def _growth(value: Array, base: Array) -> float:
    """How many times larger a quantity has become under a change."""
    size, now = float(np.abs(base).max(initial=0)), float(np.abs(value).max(initial=0))
    return max(1.0, now / size) if size and np.isfinite(now) else 1.0


def _deviation(squares: list[Array]) -> Array:
    """By entry, and at least that of all entries together."""
    mean = np.mean(squares, axis=0)
    return np.asarray(np.sqrt(np.maximum(mean, mean.mean() if mean.size else 0)))


def _best(found: list[Explanation]) -> list[Explanation]:
    """Those that no other explains much better."""
    if not found:
        return []
    least = min(one.missed for one in found)
    return [one for one in found if one.missed <= max(STRICT, 3 * least)]
