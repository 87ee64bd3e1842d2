"""How long each layer of a step takes, measured."""

from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import NamedTuple

import numpy as np

from nncli.nn.network import Network
from nncli.nn.sgd import Sgd
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
    with np.errstate(all="ignore"):
        passes = repeat(lambda: time_layers(step), MEASURED)
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


def time_layers(step: Step) -> tuple[list[float], list[float]]:
    """Seconds of each layer, forward and backward, in one pass through the step."""
    forward, backward = [], []
    for layer in step.layers:
        start = perf_counter()
        layer.forward()
        forward.append(perf_counter() - start)
    np.subtract(step.last.a, step.targets_t, step.error)
    for layer in reversed(step.layers):
        start = perf_counter()
        if not (layer is step.last and step.network.cost.error_is_delta):
            layer.multiply_hadamard()
        layer.backward()
        if layer is not step.layers[0]:
            layer.send_down()
        backward.append(perf_counter() - start)
    return forward, backward[::-1]
