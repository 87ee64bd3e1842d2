"""How long each layer of a step takes, measured."""

from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Operation, execute
from nncli.nn.network import Network
from nncli.nn.optimizers import Sgd
from nncli.nn.step import Step

WARM_UP, MEASURED = 0.1, 0.5  # seconds
LEAST, MOST = 5, 2000  # passes


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
    """Measures steps on mini-batches of `n` random samples, after a warm-up. Nothing is learnt."""
    step = Step(network, Sgd(network), n)
    rng = np.random.default_rng(0)
    step.inputs[...] = rng.standard_normal(step.inputs.shape)
    step.targets[:, 0] = 1
    repeat(lambda: step.run(0.0), WARM_UP)
    whole = repeat(lambda: step.run(0.0), MEASURED)
    calls = layer_operations(step)
    with np.errstate(all="ignore"):
        passes = repeat(lambda: time_layers(calls), MEASURED)
    forward, backward = np.median([made for made, _ in passes], axis=0).tolist()
    layers = tuple(LayerTime(*times) for times in zip(forward, backward, strict=True))
    seconds = float(np.median([seconds for _, seconds in whole]))
    return StepTime(layers, seconds, len(passes))


def repeat(call: Callable[[], object], seconds: float) -> list[tuple[object, float]]:
    """What each call gave and how long it took, for about so long in all."""
    made: list[tuple[object, float]] = []
    began = perf_counter()
    for k in count(1):
        start = perf_counter()
        result = call()
        end = perf_counter()
        made.append((result, end - start))
        if k >= MOST or (k >= LEAST and end - began > seconds):
            break
    return made


def layer_operations(step: Step) -> tuple[list[list[Operation]], list[list[Operation]]]:
    """What each layer does, forward and backward, as the step has laid it down."""
    forward = [list(layer.forward()) for layer in step.layers]
    backward = []
    for k, layer in enumerate(step.layers):
        fused = layer is step.layers[-1] and step.network.cost.error_is_delta
        calls = [] if fused else list(layer.multiply_hadamard())
        calls += layer.backward()
        if k:
            calls += layer.send_down()
        backward.append(calls)
    return forward, backward


def time_layers(
    calls: tuple[list[list[Operation]], list[list[Operation]]],
) -> tuple[list[float], list[float]]:
    """Seconds of each layer, forward and backward, in one pass through the step."""
    forward, backward = calls
    there = [seconds_of(layer) for layer in forward]
    back = [seconds_of(layer) for layer in reversed(backward)]
    return there, back[::-1]


def seconds_of(calls: list[Operation]) -> float:
    start = perf_counter()
    execute(calls)
    return perf_counter() - start
