"""How many threads a network's steps are worth."""

from collections.abc import Sequence

from nncli.nn.layers import Placed

# Multiply-adds of a step that make a further thread worth while. Two on two cores come out even at
# 2 to 3 million: [784, 30, 10] in mini-batches of 32 has 2.3 and takes as long either way,
# [784, 100, 10] in mini-batches of 16 has 3.8 and takes two thirds of the time; LeNet in
# mini-batches of 10 has 12 and takes three quarters.
WORTH_A_THREAD = 1_800_000
# Threads wait for each other several times in a step: more of them gain less and less.
MOST_THREADS = 8
SMALLEST_SHARE = 4  # samples of a mini-batch; fewer are not worth a thread


def best_threads(layers: Sequence[Placed], n: int, available: int) -> int:
    """How many threads, at most `available`, steps of `n` samples are likely fastest with."""
    worth = step_multiply_adds(layers, n) // WORTH_A_THREAD
    return max(1, min(available, worth, MOST_THREADS))


def step_multiply_adds(layers: Sequence[Placed], n: int) -> int:
    """Multiply-adds of forward and backward: each weight's product is computed three times."""
    return 3 * n * sum(placed.multiply_adds for placed in layers)
