"""A step partitioned by samples: each worker has a pass of its own over some of them."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import fsum, isfinite

from nncli.nn.arrays import Operation, execute
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.batch_loader import BatchLoader
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.passes import Pass

# Parameters; an update of fewer takes the caller less time than to wake a worker.
SHORTEST_SHARED_UPDATE = 100_000


class DataParallel:
    """A pass for each share of the samples; then the update, each worker a range of parameters.

    Sums are computed in the order of the shares, whichever ends first, so that the same number of
    workers gives the same bits.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        optimizer: Optimizer | None,
        workers: WorkerPool,
        loader: BatchLoader,
        shares: list[slice],
    ) -> None:
        """
        Args:
            shares: the samples of each pass, as places in the mini-batch.
        """
        self.passes, self.optimizer, self.loader, self.shares = passes, optimizer, loader, shares
        self.load = loader.load
        self._costs = passes[0].network.buffers.zeros(len(passes))
        self._forward = workers.task(self._jobs(Pass.forward))
        if optimizer is not None:
            self._back = workers.task(self._jobs(Pass.forward_and_back))
            self._full = workers.task(self._jobs(partial(Pass.forward_and_back, full=True)))
            self._update = workers.task(self._update_jobs(optimizer))

    def _update_jobs(self, optimizer: Optimizer) -> list[Operation]:
        size = len(optimizer.gradient)
        count = len(self.passes) if size > SHORTEST_SHARED_UPDATE else 1
        # Ranges begin with a cache line: one that begins within a line takes a fifth longer.
        ends = [*(k * size // count // 64 * 64 for k in range(count)), size]
        others = [own.gradient for own in self.passes[1:] if own.gradient is not None]
        return [
            partial(execute, optimizer.operations(slice(*pair), others)) for pair in pairwise(ends)
        ]

    def _jobs(self, cost_of: Callable[[Pass], float]) -> list[Operation]:
        def job(k: int) -> None:
            self.loader.gather(self.shares[k])
            self._costs[k] = cost_of(self.passes[k])

        return [partial(job, k) for k in range(len(self.passes))]

    def forward(self) -> float:
        self.loader.run(self._forward)
        return fsum(self._costs.tolist()) / self.passes[0].n

    def differentiate(self, full: bool) -> float:
        raise NotImplementedError("a step without an update is done in the caller's thread")

    def run(self, eta: float, full: bool) -> float:
        assert self.optimizer is not None
        self.loader.run(self._full if full else self._back)
        cost = fsum(self._costs.tolist())
        if isfinite(cost):
            self.optimizer.begin(eta)
            self._update()
        return cost / self.passes[0].n
