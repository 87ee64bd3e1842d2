"""What a step tells most: where its error signal was lost, and its most telling facts, ranked.

A fact is a kind, a layer and the numbers that it follows from; `FACTS` has one row a kind. Its
weight, 0 to 1, says how much a reader should care; words are made of it elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, log10
from typing import Any, NamedTuple

import numpy as np

from nncli.inspection.findings import (
    Attenuation,
    attenuation,
    cost_change,
    relative_updates,
    saturation,
    unchanged,
)
from nncli.nn.activations import SATURATED
from nncli.nn.arrays import Array
from nncli.nn.measures import norm
from nncli.nn.trace import LayerTrace, Trace

LONG = 0.1  # an update, as a share of the weights: it changes what a network is
LITTLE = 0.15  # the weight of what is only worth a look


class Largest(NamedTuple):
    """The entry of an array of the largest absolute value."""

    at: tuple[int, ...]
    value: float


def largest(array: Array) -> Largest:
    """Raises ValueError for an array of none."""
    with np.errstate(all="ignore"):
        at = np.unravel_index(int(np.abs(array).argmax()), array.shape)
    place = tuple(int(index) for index in at)
    return Largest(place, float(array[place]))


class SignalAt(NamedTuple):
    """What has become of the error signal at a layer that has a δ, from the output on.

    Attributes:
        on_the_way: the factor by which all since the layer above with a δ (weights, pooling, ...)
            has changed its norm; None at the output.
        by: what did so, in words.
        sigma_prime: the factor of σ′(z); None where it has cancelled, or the signal was 0.
        delta_norm: ‖δ‖.
        share: of ‖δ‖ of the output.
    """

    layer: str
    on_the_way: float | None
    by: str
    sigma_prime: float | None
    delta_norm: float
    share: float | None

    @property
    def taken_by(self) -> str:
        """What has taken most of what arrived, where that is half of it or more."""
        factors = [(self.on_the_way, self.by), (self.sigma_prime, "σ′")]
        least, by = min(((f, name) for f, name in factors if f is not None), default=(1.0, ""))
        return by if least <= 0.5 else ""


def signals(trace: Trace) -> list[SignalAt]:
    """From the output to the first layer that learns."""
    last = trace.layers[-1]
    if last.delta is None:
        return []
    first = norm(last.delta)
    prime = None
    if not trace.cost.error_is_delta and last.sigma_prime is not None:
        prime = _ratio(first, norm(last.upstream))
    found = [SignalAt(last.name, None, "", prime, first, 1.0 if first else None)]
    before: list[Attenuation] = []
    for row in attenuation(trace):
        if row.cause != "σ′":
            before.append(row)
            continue
        on_the_way = by = None
        if before:
            on_the_way = _ratio(before[-1].norm_after, before[0].norm_before)
            by = _strongest(before)
        share = _ratio(row.norm_after, first)
        found.append(SignalAt(row.layer, on_the_way, by or "", row.factor, row.norm_after, share))
        before = []
    return found


def _strongest(rows: list[Attenuation]) -> str:
    """The cause among those on the way that has taken most."""
    return min(rows, key=lambda row: 1.0 if row.factor is None else row.factor).cause


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole and isfinite(whole) else None


# Facts


@dataclass(frozen=True)
class Fact:
    """Something a reader can act on, with its numbers by name."""

    kind: str
    weight: float
    layer: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)


def telling(trace: Trace, most: int = 3) -> list[Fact]:
    """The facts of a step, the most telling first; of each kind the one that weighs most."""
    best = [max(made, key=lambda fact: fact.weight) for made in _by_kind(trace) if made]
    return sorted(best, key=lambda fact: -fact.weight)[:most]


def _by_kind(trace: Trace) -> Iterator[list[Fact]]:
    for kind, rule in FACTS.items():
        yield [Fact(kind, *rest) for rest in rule(trace)]


Found = tuple[float, str, Mapping[str, Any]]  # a weight, a layer or "", numbers


def the_change(trace: Trace) -> Iterator[Found]:
    """How the cost changed, beside what the gradient promised."""
    change = cost_change(trace)
    weights = {"overshot": 0.95, "uphill": 0.8, "none": 0.9, "rounded": 0.7, "linear": LITTLE}
    weight = weights.get(change.verdict, 0.4)
    if change.verdict == "none" and trace.cost_before == 0:
        weight = LITTLE
    if change.ratio is not None and change.verdict == "curved":
        weight = min(0.6, 0.3 + 0.3 * abs(1 - change.ratio))
    yield weight, "", {"change": change}


def the_signal(trace: Trace) -> Iterator[Found]:
    """How much of the output's error signal the first layers get, and what took most of it."""
    found = signals(trace)
    reached = [signal for signal in found[1:] if signal.share]
    if not reached:
        return
    end = min(reached, key=lambda signal: signal.share or 0.0)
    strongest = max(reached, key=lambda signal: signal.share or 0.0)
    if (strongest.share or 0.0) > 100:
        end = strongest
    share = end.share or 0.0
    decades = abs(log10(share)) if isfinite(share) else 9.0
    weight = min(0.92, 0.3 + 0.2 * (decades - 1)) if decades > 1 else LITTLE + 0.1 * decades
    rows = [row for row in attenuation(trace) if row.factor is not None]
    is_lost = share < 1
    worst = (min if is_lost else max)(rows, key=lambda row: row.factor or 0.0)
    yield weight, end.layer, {"share": share, "worst": worst}


def unmoved(trace: Trace) -> Iterator[Found]:
    """A layer of which no weight changes."""
    for found in unchanged(trace):
        yield (0.9 if found.cause == "no error" else 0.7), found.layer, {"unchanged": found}


def symmetric(trace: Trace) -> Iterator[Found]:
    """A layer whose units are all alike, and stay so."""
    for layer in trace.layers:
        weight = layer.weight
        if weight is None or weight.ndim < 2 or layer.delta is None:
            continue
        by_unit = weight.T if weight.ndim == 2 else weight
        is_alike = len(by_unit) > 1 and bool((by_unit == by_unit[:1]).all())
        if is_alike and (layer is not trace.layers[-1] or not weight.any()):
            yield 0.88, layer.name, {"units": len(by_unit), "value": float(weight.flat[0])}


def wrong_and_saturated(trace: Trace) -> Iterator[Found]:
    """Outputs that are far off, and whose σ′ lets nothing of the error pass."""
    last = trace.layers[-1]
    if last.sigma_prime is None or trace.cost.error_is_delta:
        return
    error = np.abs(last.upstream)
    starved = (np.abs(last.sigma_prime) < SATURATED) & (error > 0.5)
    if not starved.any():
        return
    at = largest(np.where(starved, error, 0)).at
    wrong = int(np.count_nonzero(error > 0.5))
    lost = int(np.count_nonzero(starved))
    numbers = {
        "starved": lost,
        "wrong": wrong,
        "sample": trace.samples[at[0]],
        "unit": at[1:],
        "a": float(last.a[at]),
        "y": float(trace.targets[at]),
        "sigma_prime": float(last.sigma_prime[at]),
    }
    yield 0.6 + 0.33 * lost / wrong, last.name, numbers


def off_units(trace: Trace) -> Iterator[Found]:
    """Hidden units that no sample, or not this one, gets an error through."""
    n = len(trace.samples)
    for layer in trace.layers[:-1]:
        found = saturation(layer)
        if found is None or not found.always:
            continue
        share = len(found.always) / found.units
        # Half of relu's units are off at any one sample, and no harm is done.
        usual = 0.75 if not found.words.starves else 0.2
        if share > usual:
            weight = 0.4 + 0.5 * (share - usual) / (1 - usual) - (0.1 if n == 1 else 0.0)
            yield weight, layer.name, {"saturation": found, "samples": n}


def moved(trace: Trace) -> Iterator[Found]:
    """The layer whose weights change most for their size."""
    if cost_change(trace).verdict == "overshot":
        return  # which names that layer
    for update in relative_updates(trace):
        if update.ratio is None or not isfinite(update.ratio):
            continue
        size = update.ratio
        beyond = log10(size / LONG) if size > LONG else 0.0
        weight = LITTLE * min(1.0, size / LONG) + 0.45 * min(1.0, beyond)
        yield weight, update.layer, {"update": update}


def input_size(trace: Trace) -> Iterator[Found]:
    """Inputs so large that they saturate units, or so many of 0 that weights stay as they are."""
    inputs = trace.inputs.reshape(len(trace.inputs), -1)
    size = float(np.abs(inputs).max(initial=0))
    zero = int(np.count_nonzero(~inputs.any(axis=0)))
    if size > 20:
        weight = min(0.8, 0.4 + 0.2 * log10(size / 20))
        yield weight, "", {"largest": size, "zero": zero, "inputs": inputs.shape[1]}
    elif zero > 0.3 * inputs.shape[1]:
        yield 0.12, "", {"largest": size, "zero": zero, "inputs": inputs.shape[1]}


def output(trace: Trace) -> Iterator[Found]:
    """The output that is furthest off."""
    last = trace.layers[-1]
    worst = largest(last.a - trace.targets)
    sample, unit = worst.at[0], worst.at[1:]
    numbers = {
        "sample": trace.samples[sample],
        "unit": unit,
        "a": float(last.a[worst.at]),
        "y": float(trace.targets[worst.at]),
    }
    yield 0.1, last.name, numbers


Rule = Callable[[Trace], Iterator[Found]]

FACTS: dict[str, Rule] = {
    "change": the_change,
    "signal": the_signal,
    "unmoved": unmoved,
    "symmetric": symmetric,
    "wrong_and_saturated": wrong_and_saturated,
    "off_units": off_units,
    "moved": moved,
    "input_size": input_size,
    "output": output,
}


def gradient_factors(layer: LayerTrace) -> tuple[Largest, float, float] | None:
    """Of a dense layer and a single sample: the largest of ∂C/∂W, and the a and δ it is made of."""
    if layer.weight_gradient is None or layer.weight_gradient.ndim != 2 or len(layer.input) != 1:
        return None
    assert layer.delta is not None
    found = largest(layer.weight_gradient)
    return found, float(layer.input[0, found.at[0]]), float(layer.delta[0, found.at[1]])
