"""Measured times of a step and of its layers."""

from collections.abc import Callable, Sequence
from itertools import count
from time import perf_counter
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Operation, execute
from nncli.nn.network import Network
from nncli.nn.optimizers import sgd
from nncli.nn.passes import LayerOperations
from nncli.nn.step import Step

WARM_UP, MEASURED = 0.1, 0.5  # seconds
MIN_PASSES, MAX_PASSES = 5, 2000


class LayerTime(NamedTuple):
    """Seconds that a layer takes for one mini-batch: medians of many passes."""

    forward: float
    backward: float


class StepTime(NamedTuple):
    """The layers in forward order, and a whole step with its update, measured by itself."""

    layers: tuple[LayerTime, ...]
    step: float
    passes: int


def time_step(network: Network, n: int) -> StepTime:
    """Measures steps on mini-batches of `n` random samples, with η = 0, after a warm-up."""
    step = Step(network, sgd(network), n)
    rng = np.random.default_rng(0)
    step.inputs[...] = rng.standard_normal(step.inputs.shape)
    step.targets[:, 0] = 1
    repeat(lambda: step.run(0.0), WARM_UP)
    whole = repeat(lambda: step.run(0.0), MEASURED)
    (whole_pass,) = step.passes
    operations = whole_pass.layer_operations
    with np.errstate(all="ignore"):
        passes = repeat(lambda: time_layers(operations), MEASURED)
    forward, backward = np.median([times for times, _ in passes], axis=0).tolist()
    layers = tuple(LayerTime(*times) for times in zip(forward, backward, strict=True))
    seconds = float(np.median([seconds for _, seconds in whole]))
    return StepTime(layers, seconds, len(passes))


def repeat(call: Callable[[], object], seconds: float) -> list[tuple[object, float]]:
    """Calls again for about `seconds`: each result, and how long it took."""
    results: list[tuple[object, float]] = []
    began = perf_counter()
    for k in count(1):
        start = perf_counter()
        result = call()
        end = perf_counter()
        results.append((result, end - start))
        if k >= MAX_PASSES or (k >= MIN_PASSES and end - began > seconds):
            break
    return results


def time_layers(operations: Sequence[LayerOperations]) -> tuple[list[float], list[float]]:
    """Seconds of each layer, forward and backward, in one pass through the step."""
    forward = [seconds_of(layer.forward) for layer in operations]
    backward = [seconds_of(layer.backward) for layer in reversed(operations)]
    return forward, backward[::-1]


def seconds_of(operations: list[Operation]) -> float:
    start = perf_counter()
    execute(operations)
    return perf_counter() - start
