"""How many threads a network is worth, and a crew of them."""

from collections.abc import Sequence
from math import prod

import numpy as np

from nncli.nn.arrays import Zeros
from nncli.nn.blas import threads_there
from nncli.nn.crew import Crew
from nncli.nn.forked import can_fork
from nncli.nn.network import Network, Placed
from nncli.nn.shared import SharedMemory
from nncli.nn.step import SMALLEST_SHARE

# Multiply-adds of a step that make a further thread worth while. Two threads on two cores come out
# even at about 12 million: [784, 100, 10] in mini-batches of 32 has 8 and loses by them, LeNet in
# mini-batches of 10 has 12.
WORTH_A_THREAD = 6_000_000
# They share Python's lock between their calls of NumPy, so more of them bring less and less.
MOST_THREADS = 8


def hire(network: Network, n: int, threads: int | str) -> Crew:
    """A crew for steps of `n` samples: of `threads`, or with "auto" of as many as are worth it."""
    there = threads_there()
    count = threads if isinstance(threads, int) else best_threads(network.layers, n, there)
    forks = network.zeros is not np.zeros
    return Crew(count, shares=n >= SMALLEST_SHARE * count, forks=forks)


def zeros_for(threads: int | str) -> Zeros:
    """What makes the arrays of a network that `hire` may find worth `threads`."""
    several = threads_there() > 1 if isinstance(threads, str) else threads > 1
    return SharedMemory().zeros if several and can_fork() else np.zeros


def best_threads(layers: Sequence[Placed], n: int, there: int) -> int:
    """The number of threads, at most `there`, that steps of `n` samples are likely fastest with."""
    worth = step_multiply_adds(layers, n) // WORTH_A_THREAD
    return max(1, min(there, worth, MOST_THREADS))


def step_multiply_adds(layers: Sequence[Placed], n: int) -> int:
    """Multiply-adds of forward and backward: each weight's product is taken three times."""
    return 3 * n * sum(map(multiply_adds, layers))


def multiply_adds(placed: Placed) -> int:
    """Of one sample's way forward through a layer with weights; 0 for one without."""
    shapes = placed.parameter_shapes
    return prod(shapes["weight"]) * prod(placed.output_shape[1:]) if shapes else 0
