"""How the work of a step is partitioned: not at all, by samples, or by units."""

from collections.abc import Sequence
from math import isfinite
from typing import Protocol

from nncli.nn.arrays import Array
from nncli.nn.network import Network, splits_samples
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.batch_loader import BatchLoader, Source
from nncli.nn.parallel.data_parallel import DataParallel
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.tensor_parallel import TensorParallel, even_slices, splits_units
from nncli.nn.parallel.thread_count import SMALLEST_SHARE
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.passes import Pass

__all__ = ["Partition", "Source", "partition"]


class Partition(Protocol):
    """The work of a step, as `Step` calls it; each call returns C, the mean of C_x.

    Attributes:
        passes: over the whole mini-batch, or over some samples each.
    """

    @property
    def passes(self) -> Sequence[Pass]: ...
    def load(self, rows: Array) -> None: ...
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
    source: Source | None,
    *,
    is_training: bool,
) -> Partition:
    """Partitions the work of a step among workers.

    Args:
        inputs, targets: of the whole mini-batch, as `Step` has them.
        gradient: the flat ∂C/∂W to be written; None for a step that only goes forward.
        workers: None: the caller does all of it.
        source: the samples that mini-batches are loaded from.
    """
    n = len(inputs)
    update = None if optimizer is None else optimizer.update

    def make_pass(samples: slice, gradient: Array | None) -> Pass:
        own = inputs[samples], targets[samples]
        return Pass(network, *own, n, gradient, update, is_training=is_training)

    def another_gradient() -> Array | None:
        return None if gradient is None else network.buffers.zeros(gradient.size, gradient.dtype)

    if workers is None or workers.size == 1 or not splits_samples(network.layers):
        return Serial(make_pass(slice(None), gradient), optimizer, source)
    loader = BatchLoader(source, workers, network, inputs, targets)
    # Not workers.processes: threads are slower at it, but give the same bits as processes.
    if can_fork() and splits_units(network.layers):
        whole = make_pass(slice(None), gradient)
        return TensorParallel(whole, optimizer, workers, loader, even_slices(n, workers.size))
    shares = even_slices(n, max(1, min(workers.size, n // SMALLEST_SHARE)))
    gradients = [gradient, *(another_gradient() for _ in shares[1:])]
    passes = [*map(make_pass, shares, gradients)]
    return DataParallel(passes, optimizer, workers, loader, shares)


class Serial:
    """All of it in the caller's thread."""

    def __init__(self, whole: Pass, optimizer: Optimizer | None, source: Source | None) -> None:
        self.passes = (whole,)
        self.whole, self.optimizer, self.source = whole, optimizer, source
        self._forward, self._total_cost = whole.forward_operations, whole.total_cost
        if optimizer is not None:
            update = [*whole.state_operations, *optimizer.operations()]
            self._back = [*whole.backward_operations, *update]
            self._full = [*whole.backward_operations, whole.complete, *update]

    def load(self, rows: Array) -> None:
        assert self.source is not None
        self.source.gather(rows, self.whole.inputs, self.whole.targets)

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
            assert self.optimizer is not None
            self.optimizer.begin(eta)
            for operation in self._full if full else self._back:
                operation()
        return cost / self.whole.n
