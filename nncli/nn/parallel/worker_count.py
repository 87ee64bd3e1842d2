"""How many threads a network is worth, and a pool of them."""

from collections.abc import Sequence

from nncli.nn.aligned_buffers import AlignedBuffers
from nncli.nn.layers import Placed
from nncli.nn.network import Network, splits_samples
from nncli.nn.parallel.blas import cores, threads_there
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import SMALLEST_SHARE

# Multiply-adds of a step that make a further thread worth while. Two on two cores come out even at
# 2 to 3 million: [784, 30, 10] in mini-batches of 32 has 2.3 and takes as long either way,
# [784, 100, 10] in mini-batches of 16 has 3.8 and takes two thirds of the time; LeNet in
# mini-batches of 10 has 12 and takes three quarters.
WORTH_A_THREAD = 1_800_000
# They wait for each other several times in a step: more bring less and less.
MOST_THREADS = 8


def start_workers(network: Network, n: int, threads: int | str) -> WorkerPool:
    """A pool for steps of `n` samples: of `threads`, or with "auto" of as many as are worth it.

    It is of one where a network cannot be shared out, see `partition`.
    """
    there = threads_there()
    count = threads if isinstance(threads, int) else best_threads(network.layers, n, there)
    if not splits_samples(network.layers):
        count = 1
    # Processes wait awake for each other: they need a core each.
    forks = network.buffers.shared and count <= cores()
    return WorkerPool(count, shares=n >= SMALLEST_SHARE * count, forks=forks)


def buffers_for(threads: int | str) -> AlignedBuffers:
    """That of a network which `start_workers` may find worth `threads`."""
    several = threads_there() > 1 if isinstance(threads, str) else threads > 1
    return AlignedBuffers(shared=several and can_fork())


def best_threads(layers: Sequence[Placed], n: int, there: int) -> int:
    """The number of threads, at most `there`, that steps of `n` samples are likely fastest with."""
    worth = step_multiply_adds(layers, n) // WORTH_A_THREAD
    return max(1, min(there, worth, MOST_THREADS))


def step_multiply_adds(layers: Sequence[Placed], n: int) -> int:
    """Multiply-adds of forward and backward: each weight's product is taken three times."""
    return 3 * n * sum(placed.multiply_adds for placed in layers)
