"""How many threads a network is worth, and a crew of them."""

from collections.abc import Sequence
from math import prod

from nncli.nn.blas import threads_there
from nncli.nn.crew import Crew
from nncli.nn.network import Placed
from nncli.nn.step import SMALLEST_SHARE

# Multiply-adds of a step that make a further thread worth while. Two threads on two cores come out
# even at about 12 million: [784, 100, 10] in mini-batches of 32 has 8 and loses by them, LeNet in
# mini-batches of 10 has 12.
WORTH_A_THREAD = 6_000_000
# They share Python's lock between their calls of NumPy, so more of them bring less and less.
MOST_THREADS = 8


def hire(layers: Sequence[Placed], n: int, threads: int | str) -> Crew:
    """A crew for steps of `n` samples: of `threads`, or with "auto" of as many as are worth it."""
    count = threads if isinstance(threads, int) else best_threads(layers, n, threads_there())
    return Crew(count, shares=n >= SMALLEST_SHARE * count)


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
