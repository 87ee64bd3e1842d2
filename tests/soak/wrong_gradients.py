"""Planted errors by the thousand: the check passes none of them, and fails no step that is right.

A trial is a random network and a step of it, by its seed: layers of every kind, every activation,
both costs and dtypes, after some training or none. In every other trial units are put on a kink,
within an ulp or so of it, and the windows of a maxpool get ties. Then one gradient of the step's
record is changed.

Not every change is an error. Where two equal entries are swapped, or zeros are scaled, nothing has
changed but what rounding may change as well. A change counts where it moves some entry by more than
SHARE of the gradient's largest, and where that largest entry is not itself what rounding leaves of
a sum that is 0, as the gradient of a bias before a batchnorm is, or that by the a of a unit whose z
is 0 but for rounding.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice, takewhile
from typing import Any, NamedTuple

import numpy as np

from nncli.inspection.check import check
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, execute
from nncli.nn.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    WeightedStep,
)
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import LayerTrace, Start, Trace
from tests.nn.cases import ELEMENTWISE, ENDINGS
from tests.soak.report import Report

TRIALS = 5000
SHARE = {"float32": 5e-3, "float64": 5e-4}  # half of what the smallest planted error changes
KINKED = [row.name for row in ACTIVATIONS.values() if row.kinks]
ALL = 10**6  # entries: every one is checked


class Planted(NamedTuple):
    """A trace with one of its gradients changed."""

    error: str
    layer: LayerTrace
    quantity: str
    trace: Trace


# --- Steps ---------------------------------------------------------------------------------------


def random_layers(rng: np.random.Generator) -> tuple[tuple[Layer, ...], tuple[int, ...], str]:
    """Layers, the shape of a sample, and a cost."""

    def activation() -> str:
        return str(rng.choice(ELEMENTWISE if rng.random() < 0.6 else KINKED))

    cost, last = ENDINGS[rng.integers(len(ENDINGS))]
    layers: list[Layer] = []
    shape: tuple[int, ...] = (int(rng.integers(1, 7)),)
    if rng.random() < 0.5:
        size = int(rng.integers(4, 7))
        shape = (int(rng.integers(1, 3)), size, size)
        for _ in range(rng.integers(1, 3)):
            kind = rng.choice(["conv", "conv", "maxpool", "avgpool", "batchnorm", "dropout"])
            pair = (2, 2) if rng.random() < 0.5 else (2, 1)
            one = (1, 1) if rng.random() < 0.5 else None
            padding: Any = "same" if rng.random() < 0.5 else "valid"
            layers.append(
                {
                    "conv": Conv(
                        filters=int(rng.integers(1, 4)),
                        kernel=pair,
                        padding=padding,
                        activation=activation(),
                        bias=bool(rng.random() < 0.9),
                    ),
                    "maxpool": MaxPool(size=pair, stride=one),
                    "avgpool": AvgPool(size=pair, stride=one),
                    "batchnorm": BatchNorm(),
                    "dropout": Dropout(rate=0.4),
                }[str(kind)]
            )
        ending = rng.random()
        layers += [Flatten()] if ending < 0.3 else [GlobalAvgPool()] if ending > 0.85 else []
    for _ in range(rng.integers(0, 5 if len(shape) == 1 else 3)):
        units = int(rng.integers(1, 8))
        layers.append(Dense(units=units, activation=activation(), bias=bool(rng.random() < 0.9)))
        if rng.random() < 0.2:
            layers.append(BatchNorm() if rng.random() < 0.5 else Dropout(rate=0.3))
    fewest = 1 if ACTIVATIONS[last].elementwise else 2
    layers.append(Dense(units=int(rng.integers(fewest, 5)), activation=last))
    return tuple(layers), shape, cost


def random_step(rng: np.random.Generator, *, on_kinks: bool) -> Step:
    """A step that has its mini-batch and has not run."""
    layers, shape, cost = random_layers(rng)
    dtype = np.float32 if rng.random() < 0.5 else np.float64
    fewest = 2 if any(isinstance(layer, BatchNorm) for layer in layers) else 1
    n = int(rng.integers(fewest, 9 if len(shape) == 1 else 5))
    network = build_network(layers, shape, cost, np.float64, rng).astype(dtype)
    network.parameters += rng.normal(0, 0.1, network.parameters.size).astype(dtype)
    network.parameters *= dtype(np.exp(rng.normal(0, 0.5)))
    step = Step(network, sgd(network), n)
    step.inputs[...] = rng.normal(0, np.exp(rng.normal(0, 1)), step.inputs.shape)
    if cost == "quadratic":
        step.targets[...] = rng.normal(0, 1, step.targets.shape)
    else:
        width = step.targets.shape[1]
        step.targets[...] = (
            np.eye(width)[rng.integers(0, width, n)] if width > 1 else rng.integers(0, 2, (n, 1))
        )
    if step.is_random:
        step.randomise(np.random.SeedSequence(int(rng.integers(1 << 30))))
    for _ in range(int(rng.choice([0, 0, 3, 30]))):
        step.run(0.05)
    if on_kinks:
        put_on_kinks(step, rng)
    return step


def put_on_kinks(step: Step, rng: np.random.Generator) -> None:
    """Moves biases until some z are 0, but for rounding, and makes windows of the input tie."""
    if step.inputs.ndim == 4:
        step.inputs[..., 1] = step.inputs[..., 0]
    (whole,) = step.passes
    if whole.first_input is not whole.inputs_t:
        whole.first_input[...] = whole.inputs_t
    with np.errstate(all="ignore"):
        for layer in whole.layers:
            execute(layer.forward())
            if isinstance(layer, WeightedStep) and layer.activation.kinks:
                bias = layer.parameters.get("bias", np.zeros(0))
                for unit in rng.permutation(len(bias))[: rng.integers(1, 5)]:
                    bias[unit] -= layer.z[unit].flat[rng.integers(layer.z[unit].size)]
                    execute(layer.forward())


def trace_of(step: Step) -> Trace:
    assert step.optimizer is not None
    start = Start.of(step.network, step.optimizer)
    cost = step.run(0.05, full=True)
    return record_trace(step, eta=0.05, cost=cost, start=start, samples=range(step.n))


# --- Errors --------------------------------------------------------------------------------------


def swapped(array: Array, rng: np.random.Generator) -> Array:
    wrong = array.copy()
    if array.size > 1:
        a, b = rng.choice(array.size, 2, replace=False)
        wrong.flat[[a, b]] = array.flat[[b, a]]
    return wrong


def transposed(array: Array) -> Array:
    """The last two axes exchanged, and filled in again in the shape that is expected."""
    if array.ndim < 2:
        return array
    return np.ascontiguousarray(np.swapaxes(array, -1, -2)).reshape(array.shape)


ERRORS: dict[str, Callable[[Trace, LayerTrace, str, Array, np.random.Generator], Array]] = {
    "negated": lambda trace, layer, quantity, array, rng: -array,
    "left out": lambda trace, layer, quantity, array, rng: np.zeros_like(array),
    "scaled": lambda trace, layer, quantity, array, rng: (
        array * array.dtype.type(1.01 if array.dtype == np.float32 else 1.001)
    ),
    "swapped": lambda trace, layer, quantity, array, rng: swapped(array, rng),
    "transposed": lambda trace, layer, quantity, array, rng: transposed(array),
    "delta without σ′": lambda trace, layer, quantity, array, rng: (
        layer.upstream if quantity == "delta" and layer.sigma_prime is not None else array
    ),
    "sum for mean": lambda trace, layer, quantity, array, rng: (
        array * len(trace.samples) if quantity.endswith("gradient") else array
    ),
}


def planted(trace: Trace, rng: np.random.Generator) -> Iterator[Planted]:
    """Traces with an error planted, one of each kind that there is in it, at random places."""
    first = trace.layers[0]
    for error, plant in ERRORS.items():
        places = []
        for layer in trace.layers:
            keys = ("upstream", "delta", "weight_gradient", "bias_gradient")
            for quantity in (*keys, "downstream") if layer is first else keys:
                array = getattr(layer, quantity)
                if array is not None:
                    wrong = plant(trace, layer, quantity, array, rng)
                    if is_error(trace, layer, quantity, array, wrong):
                        places.append((layer, quantity, wrong))
        if places:
            layer, quantity, wrong = places[rng.integers(len(places))]
            change: dict[str, Any] = {quantity: wrong}
            layers = tuple(replace(x, **change) if x is layer else x for x in trace.layers)
            yield Planted(error, layer, quantity, replace(trace, layers=layers))


def is_error(trace: Trace, layer: LayerTrace, quantity: str, array: Array, wrong: Array) -> bool:
    """Whether a change is more than rounding could make of it, see above."""
    if not np.isfinite(array).all():
        return False
    largest = float(np.abs(array).max(initial=0))
    moved = float(np.abs(wrong.astype(np.float64) - array).max(initial=0))
    eps = float(np.finfo(array.dtype).eps)
    if largest <= 100 * eps * largest_terms(trace, layer, quantity):
        return False
    return moved > SHARE[str(array.dtype)] * largest > 0


def largest_terms(trace: Trace, layer: LayerTrace, quantity: str) -> float:
    """What the sizes of an entry's terms add up to, at most; 0 for what is no sum over samples.

    For filters by the largest input.
    """
    error = np.abs(layer.upstream if layer.delta is None else layer.delta)
    if not quantity.endswith("_gradient"):
        return 0.0
    if quantity == "weight_gradient" and layer.type == "dense":
        terms = np.maximum(np.abs(layer.input), rounded_input(trace, layer)).T @ error
    else:
        factor: Any = 1.0
        if quantity == "weight_gradient":
            is_conv = layer.type == "conv"
            factor = np.abs(layer.input).max() if is_conv else np.abs(layer.recorded["normalised"])
        others = tuple(axis for axis in range(error.ndim) if axis != 1)
        terms = (error * factor).sum(axis=others)
    return float(terms.max()) / len(trace.samples)


def rounded_input(trace: Trace, layer: LayerTrace) -> float:
    """What the terms of the z below add up to where units are on kinks, whose a is its rounding."""
    before = takewhile(lambda x: x is not layer, trace.layers)
    weighted = [x for x in before if x.weight is not None and x.z is not None]
    if not weighted or not weighted[-1].placed.layer.has_kinks:
        return 0.0
    below = weighted[-1]
    weights = np.abs(np.asarray(below.weight))
    sizes = weights.sum(axis=0 if below.type == "dense" else (1, 2, 3))
    return float(sizes.max() * np.abs(below.input).max())


# --- The campaign --------------------------------------------------------------------------------


class Counts(NamedTuple):
    """How the checks ended: by verdict, and where a verdict was not the one that is wanted."""

    sound: Counter[str]
    wrong: Counter[str]
    unproven: Counter[str]
    undecided: Counter[str]
    lost: list[str]


def run(trials: int = TRIALS, first: int = 0) -> Counts:
    """Checks so many steps that are right, and as many planted errors."""
    counts = Counts(Counter(), Counter(), Counter(), Counter(), [])
    errors = 0
    for seed in count(first):
        rng = np.random.default_rng(seed)
        trace = trace_of(random_step(rng, on_kinks=seed % 2 == 1))
        if not np.isfinite(trace.cost_before):
            continue
        if counts.sound.total() < trials:
            done = check(trace, ALL)
            counts.sound[done.verdict] += 1
            if done.verdict == "failed":
                counts.lost.append(f"seed {seed}: a right step failed: {done.failure}")
            elif done.unproven is not None:
                where = done.unproven
                kinds = "+".join(sorted({layer.type for layer in trace.layers}))
                counts.unproven[f"{trace.inputs.dtype} {where.quantity} {kinds}"] += 1
        for case in islice(planted(trace, rng), max(0, trials - errors)):
            errors += 1
            done = check(case.trace, ALL)
            counts.wrong[done.verdict] += 1
            what = f"{case.error}, {case.quantity}"
            if done.verdict == "passed":
                counts.lost.append(f"seed {seed}: passed: {what} of {case.layer.name}")
            elif done.verdict == "not_proven":
                counts.undecided[f"{trace.inputs.dtype} {what}"] += 1
        if counts.sound.total() >= trials and errors >= trials:
            return counts
    raise AssertionError


def kinked_step(seed: int, units: int) -> Step:
    """relu 3-4-2 on two samples; so many hidden units within an ulp of their kink."""
    rng = np.random.default_rng(seed)
    layers = (Dense(units=4, activation="relu"), Dense(units=2, activation="identity"))
    network = build_network(layers, (3,), "quadratic", np.float64, rng)
    step = Step(network, sgd(network), 2)
    step.inputs[...] = rng.normal(0, 1, step.inputs.shape)
    step.targets[...] = rng.normal(0, 1, step.targets.shape)
    hidden = step.passes[0].layers[0]
    assert isinstance(hidden, WeightedStep)
    for unit in range(units):
        step.forward()
        hidden.parameters["bias"][unit] -= hidden.z[unit, 0]
    return step


def negated_at_kinks(units: int, seeds: int = 60) -> Counter[str]:
    """The verdicts on ∂C/∂W of dense1 negated."""
    verdicts: Counter[str] = Counter()
    for seed in range(seeds):
        trace = trace_of(kinked_step(seed, units))
        hidden = trace.layers[0]
        gradient: Any = hidden.weight_gradient
        wrong = replace(hidden, weight_gradient=-gradient)
        if np.any(gradient):
            done = check(replace(trace, layers=(wrong, *trace.layers[1:])), ALL)
            verdicts[done.verdict] += 1
    return verdicts


def report() -> Report:
    """For `make soak`."""
    lost = []
    for units in (1, 2, 4):
        verdicts = negated_at_kinks(units)
        print(f"  relu 3-4-2, {units} at the kink, negated: {dict(verdicts)}")
        lost += [f"{units} at the kink: passed"] * verdicts["passed"]
    counts = run()
    for what, of in zip(("right", "wrong"), (counts.sound, counts.wrong), strict=True):
        print(f"  {what}: {dict(of)}")
    for what, kinds in (("right", counts.unproven), ("wrong", counts.undecided)):
        for kind, number in kinds.most_common(20):
            print(f"    {what}, not proven: {number} of {kind}")
    tried = f"{counts.sound.total()} right steps, {counts.wrong.total()} planted errors"
    return Report(tried, lost + counts.lost)
