"""The key `sweep`, and the same in a file of its own: which values of which keys are tried.

    vary: {train.eta: [0.1, 1], 'network[0].units': {log_uniform: [8, 256], samples: 5}}
    zip: {train.batch_size: [10, 100], train.momentum: [0, 0.9]}
    seeds: 5

What is written becomes axes: an axis is a list of points, a point some values that are taken
together. The trials of a block are the product of its axes; what the trials of several blocks are
follows in `nncli.spec.trials`.
"""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from nncli.core.seeds import draw_uniform
from nncli.core.text import count_of
from nncli.spec.nodes import Problem
from nncli.spec.values import is_number, listed, wrong
from nncli.spec.words import KeyPath, describe, dotted, look_alikes, parse_path, suggestion

KEYS = ("vary", "zip", "seeds")
DISTRIBUTIONS = ("uniform", "log_uniform")
DRAW_KEYS = (*DISTRIBUTIONS, "samples", "integer")
DIGITS = 6  # of a number that is drawn: more would only be hard to read
MOST_VALUES = 100_000
EXAMPLE = "{train.eta: [0.1, 1]}"
A_DRAW = "{uniform: [0, 0.9], samples: 10} or {log_uniform: [0.001, 1], samples: 10}"


class Entry(NamedTuple):
    """A value in a point, and where in the sweep it is written."""

    key: KeyPath
    value: Any
    written: KeyPath


Point = tuple[Entry, ...]
Axis = tuple[Point, ...]


class Span(NamedTuple):
    """The numbers from `low` to `high` that a key may have.

    Attributes:
        is_log: whether as many are to be drawn from 1 to 10 as from 10 to 100.
        whole: whether they are integers.
    """

    key: KeyPath
    low: float
    high: float
    is_log: bool
    whole: bool

    def at(self, share: float) -> float:
        """The number that has a share of all of them below it."""
        top = self.high + 1 if self.whole else self.high
        if self.is_log:
            value = math.exp(math.log(self.low) + share * (math.log(top) - math.log(self.low)))
        else:
            value = self.low + share * (top - self.low)
        return self.rounded(math.floor(value) if self.whole else value)

    def rounded(self, value: float) -> float:
        if not self.whole:
            value = float(f"{value:.{DIGITS}g}")
        return min(max(value, self.low), self.high)


def blocks_of(
    sweep: Mapping[str, Any], seed: int, *, draws: bool = True
) -> Iterator[tuple[Axis, ...]]:
    """The axes of each block of a sweep in which `problems_in` has found nothing.

    Args:
        seed: what values are drawn from.
        draws: whether any are; else the keys that are to be drawn have no axis.
    """
    shared = [_together(pairs, place) for pairs, place in _mappings(sweep.get("zip"), "zip")]
    seeds = sweep.get("seeds")
    if seeds is not None:
        numbers = range(seeds) if isinstance(seeds, int) else seeds
        shared.append(tuple((Entry(("seed",), number, ("seeds",)),) for number in numbers))
    for axes, place in _mappings(sweep.get("vary") or {}, "vary"):
        own = [
            _axis(key, values, (*place, key), seed)
            for key, values in axes.items()
            if draws or not is_draw(values)
        ]
        yield (*own, *shared)


def spans_of(sweep: Mapping[str, Any]) -> Iterator[tuple[Span, KeyPath]]:
    """The keys that are to be drawn, and where each is written."""
    for axes, place in _mappings(sweep.get("vary") or {}, "vary"):
        for key, values in axes.items():
            if is_draw(values):
                yield span_of(key_path(key), values), (*place, key)


def _axis(key: str, values: Any, place: KeyPath, seed: int) -> Axis:
    path = key_path(key)
    if is_draw(values):
        return tuple((Entry(path, value, place),) for value in drawn(path, values, seed))
    several = listed(values)
    if several is None:
        return ((Entry(path, values, place),),)
    return tuple((Entry(path, value, (*place, i)),) for i, value in enumerate(several))


def _together(pairs: Mapping[str, Any], place: KeyPath) -> Axis:
    count = len(next(iter(pairs.values())))
    return tuple(
        tuple(Entry(key_path(k), values[i], (*place, k, i)) for k, values in pairs.items())
        for i in range(count)
    )


def key_path(key: str) -> KeyPath:
    """A key of the spec by its path; ValueError where it is none. train.η is train.eta."""
    path = parse_path(key.strip())
    return ("train", "eta", *path[2:]) if path[:2] == ("train", "η") else path


def is_draw(values: Any) -> bool:
    """Whether values are to be drawn: a mapping may be one value, too."""
    return isinstance(values, dict) and any(word in values for word in (*DISTRIBUTIONS, "samples"))


def span_of(key: KeyPath, draw: Mapping[str, Any]) -> Span:
    kind = next(word for word in DISTRIBUTIONS if word in draw)
    low, high = draw[kind]
    return Span(key, low, high, kind == "log_uniform", draw.get("integer", False))


def drawn(key: KeyPath, draw: Mapping[str, Any], seed: int) -> list[float]:
    """The values that `{log_uniform: [0.001, 1], samples: 10}` stands for.

    They follow from the seed and the key alone, so that what else is varied does not change them.
    """
    span = span_of(key, draw)
    return [span.at(share) for share in draw_uniform(seed, dotted(key), draw["samples"])]


def _mappings(value: Any, key: str) -> Iterator[tuple[Mapping[str, Any], KeyPath]]:
    """One mapping, or a list of them, each with its place."""
    several = listed(value)
    if several is not None:
        yield from ((one, (key, i)) for i, one in enumerate(several))
    elif value is not None:
        yield value, (key,)


# What is wrong in it


def problems_in(
    sweep: Any, known: tuple[str, ...] = KEYS, *, draws: bool = False
) -> Iterator[Problem]:
    """What is wrong with a sweep by itself; whether the spec takes its values is told later.

    Args:
        draws: whether values are to be drawn from it, so that it says how many.
    """
    if not isinstance(sweep, dict):
        yield Problem((), f"expected a mapping of {', '.join(KEYS)}, got {describe(sweep)}")
        return
    for key in sweep:
        if key not in known:
            message = f"unknown key '{key}'{look_alikes(key)}; {suggestion(key, known)}"
            yield Problem((key,), message, at_key=True)
    keys: dict[KeyPath, KeyPath] = {}  # where each is varied
    vary = partial(_vary_problems, draws=draws)
    for name, check in (("vary", vary), ("zip", _zip_problems)):
        for block, place in _mappings(sweep.get(name), name):
            if not isinstance(block, dict):
                message = f"expected keys with their values, {EXAMPLE}, got {describe(block)}"
                yield Problem(place, message)
                continue
            yield from check(block, place)
            for key in block:
                try:
                    path = key_path(key)
                except ValueError:
                    message = "is no key of a spec, as train.eta and network[0].units are"
                    yield Problem((*place, key), message, at_key=True)
                    continue
                if path[0] == "sweep":
                    yield Problem((*place, key), "a sweep cannot vary itself", at_key=True)
                other = keys.get(path)
                # Blocks of vary are tried one after the other, so that each may have it.
                if other is not None and (other[0] != name or other == place or name == "zip"):
                    message = f"{key} is in {other[0]} too; keep one of them"
                    yield Problem((*place, key), message, at_key=True)
                keys[path] = place
    yield from _seed_problems(sweep.get("seeds"), keys)


def _vary_problems(block: dict[str, Any], place: KeyPath, *, draws: bool) -> Iterator[Problem]:
    for key, values in block.items():
        here = (*place, key)
        if is_draw(values):
            yield from _draw_problems(values, here, draws=draws)
        elif listed(values) is not None and not values:
            yield Problem(here, "names no value; give one or more, as [0.1, 1]")
        elif listed(values) is not None and len(values) > MOST_VALUES:
            yield Problem(here, f"{len(values):,} values are too many; the most is {MOST_VALUES:,}")


def _draw_problems(draw: dict[str, Any], place: KeyPath, *, draws: bool) -> Iterator[Problem]:
    for key in draw:
        if key not in DRAW_KEYS:
            message = f"unknown key '{key}'; {suggestion(key, DRAW_KEYS)}"
            yield Problem((*place, key), message, at_key=True)
    kinds = [word for word in DISTRIBUTIONS if word in draw]
    if len(kinds) != 1:
        yield Problem(place, f"values are drawn by one of {A_DRAW}")
        return
    samples = draw.get("samples")
    is_whole = isinstance(samples, int) and not isinstance(samples, bool)
    if (draws or samples is not None) and not (is_whole and samples in range(1, MOST_VALUES + 1)):
        message = f"expected how many values to draw, 1 to {MOST_VALUES:,}"
        got = "none" if samples is None else describe(samples)
        yield Problem((*place, "samples"), f"{message}, got {got}")
    whole = draw.get("integer", False)
    if not isinstance(whole, bool):
        yield Problem((*place, "integer"), f"expected true or false, got {describe(whole)}")
    span = listed(draw[kinds[0]])
    here = (*place, kinds[0])
    if span is None or len(span) != 2 or not all(map(is_number, span)) or not span[0] < span[1]:
        message = f"expected two numbers, the smaller first, got {describe(draw[kinds[0]])}"
        yield Problem(here, message)
    elif kinds[0] == "log_uniform" and span[0] <= 0:
        yield Problem(here, f"log_uniform needs numbers above 0, got {describe(span[0])}")
    elif whole is True and not all(isinstance(end, int) for end in span):
        yield Problem(here, f"whole numbers lie between whole numbers, got {describe(list(span))}")


def _zip_problems(block: dict[str, Any], place: KeyPath) -> Iterator[Problem]:
    if not block:
        yield Problem(place, f"names no key; give some, as {EXAMPLE}")
    lengths: dict[str, int] = {}
    for key, values in block.items():
        several = listed(values)
        if several is None or not several:
            message = f"expected a list of values, got {describe(values)}"
            yield Problem((*place, key), message)
        else:
            lengths[key] = len(several)
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} has {count}" for key, count in lengths.items())
        message = f"values that go together are as many of each key, and {counts}"
        yield Problem(place, message)


def _seed_problems(seeds: Any, keys: Mapping[KeyPath, KeyPath]) -> Iterator[Problem]:
    if seeds is None:
        return
    if ("seed",) in keys:
        yield Problem(("seeds",), f"seed is in {keys['seed',][0]} too; keep one of them")
    several = listed(seeds)
    numbers = [seeds] if several is None else several
    least = 1 if several is None else 0
    right = all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in numbers)
    if not right or not numbers or (several is None and seeds > MOST_VALUES):
        most = f"1 to {MOST_VALUES:,}"
        message = f"expected how many seeds, {most}, or a list of them, got {describe(seeds)}"
        yield Problem(("seeds",), message)


def checked_sweep(value: Any) -> Any:
    """The value of the key `sweep`; what is wrong with it is raised as of any other key."""
    if value is None:
        return None
    for problem in problems_in(value):
        raise wrong(problem.message, problem.path)
    if not any(value.get(key) for key in KEYS):
        raise wrong(f"names nothing to vary; vary: {EXAMPLE} does, or seeds: 5")
    return value


def too_many(count: int) -> str:
    """Why a plan is refused."""
    return f"the plan has {count_of(count, 'trial')}, and the most is {MOST_VALUES:,}"
