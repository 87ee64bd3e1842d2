"""How the work of a step is partitioned: not at all, by samples, or by units."""

from collections.abc import Callable, Sequence
from functools import partial
from math import fsum, isfinite
from typing import Protocol

from nncli.nn.arrays import Array, Operation, execute
from nncli.nn.network import Network, splits_samples
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.tensor_parallel import TensorParallel, even_slices, splits_units
from nncli.nn.parallel.worker_pool import SMALLEST_SHARE, WorkerPool
from nncli.nn.passes import Pass


class Partition(Protocol):
    """The work of a step, as `Step` calls it; each call returns C, the mean of C_x.

    Attributes:
        passes: over the whole mini-batch, or over some samples each.
    """

    @property
    def passes(self) -> Sequence[Pass]: ...
    def forward(self) -> float: ...
    def differentiate(self, full: bool) -> float: ...
    def run(self, eta: float, full: bool) -> float: ...


def partition(
    network: Network,
    inputs: Array,
    targets: Array,
    gradient: Array | None,
    optimizer: Optimizer | None,
    workers: WorkerPool | None,
    *,
    is_training: bool,
) -> Partition:
    """Partitions the work of a step among workers.

    Args:
        inputs, targets: of the whole mini-batch, as `Step` has them.
        gradient: the flat ∂C/∂W to be written; None for a step that only goes forward.
        workers: None: the caller does all of it.
    """
    n = len(inputs)
    update = None if optimizer is None else optimizer.update

    def make_pass(samples: slice, gradient: Array | None) -> Pass:
        own = inputs[samples], targets[samples]
        return Pass(network, *own, n, gradient, update, is_training=is_training)

    def another_gradient() -> Array | None:
        return None if gradient is None else network.buffers.zeros(gradient.size, gradient.dtype)

    if workers is None or workers.size == 1 or not splits_samples(network.layers):
        return Serial(make_pass(slice(None), gradient), optimizer)
    # Not workers.processes: threads are slower at it, but give the same bits as processes.
    if can_fork() and splits_units(network.layers):
        return TensorParallel(make_pass(slice(None), gradient), optimizer, workers)
    shares = even_slices(n, max(1, min(workers.size, n // SMALLEST_SHARE)))
    gradients = [gradient, *(another_gradient() for _ in shares[1:])]
    return DataParallel([*map(make_pass, shares, gradients)], optimizer, workers)


class Serial:
    """All of it in the caller's thread."""

    def __init__(self, whole: Pass, optimizer: Optimizer | None) -> None:
        self.passes = (whole,)
        self.whole = whole
        self._n, self._total_cost = whole.n, whole.total_cost
        self._forward = whole.forward_operations
        if optimizer is not None:
            self._begin = optimizer.begin
            update = [*whole.state_operations, *optimizer.operations()]
            self._back = [*whole.backward_operations, *update]
            self._full = [*whole.backward_operations, whole.complete, *update]

    def forward(self) -> float:
        return self.whole.forward() / self.whole.n

    def differentiate(self, full: bool) -> float:
        return self.whole.forward_and_back(full) / self.whole.n

    def run(self, eta: float, full: bool) -> float:
        # Written out, without a call for each part: that is a tenth of a small network's step.
        for operation in self._forward:
            operation()
        cost = self._total_cost().real
        if isfinite(cost):
            self._begin(eta)
            for operation in self._full if full else self._back:
                operation()
        return cost / self._n


class DataParallel:
    """A pass for each share of the samples, each by a worker; the caller makes the update.

    Sums are computed in the order of the shares, whichever ends first, so that the same number of
    workers gives the same bits.
    """

    def __init__(
        self, passes: Sequence[Pass], optimizer: Optimizer | None, workers: WorkerPool
    ) -> None:
        self.passes, self.optimizer = passes, optimizer
        self._n = passes[0].n
        self._costs = passes[0].network.buffers.zeros(len(passes))
        self._forward = workers.task(self._jobs(Pass.forward))
        if optimizer is not None:
            self._back = workers.task(self._jobs(Pass.forward_and_back))
            self._full = workers.task(self._jobs(partial(Pass.forward_and_back, full=True)))
            others = [own.gradient for own in passes[1:] if own.gradient is not None]
            self._update = optimizer.operations(others=others)

    def _jobs(self, cost_of: Callable[[Pass], float]) -> list[Operation]:
        def job(k: int) -> None:
            self._costs[k] = cost_of(self.passes[k])

        return [partial(job, k) for k in range(len(self.passes))]

    def forward(self) -> float:
        self._forward()
        return fsum(self._costs.tolist()) / self._n

    def differentiate(self, full: bool) -> float:
        raise NotImplementedError("a step without an update is done in the caller's thread")

    def run(self, eta: float, full: bool) -> float:
        assert self.optimizer is not None
        (self._full if full else self._back)()
        cost = fsum(self._costs.tolist())
        if isfinite(cost):
            self.optimizer.begin(eta)
            execute(self._update)
        return cost / self._n
