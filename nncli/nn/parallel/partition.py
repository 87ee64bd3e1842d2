"""Who does what of a step: the caller alone, or the workers of a pool side by side.

Where processes stand in for threads, a dense network is shared out by units: each has some units of
every layer, for all samples, and meets the others wherever it needs what they have written. So a
weight stays with one core, and between cores go only the activations and deltas of a mini-batch,
few beside the weights. Networks with windows, and all where there are but threads, are shared out
by samples: each takes a pass of its own over some of them, and the gradients are added up before
the update. A network with batchnorm layers is not shared out: their statistics need the whole
mini-batch in every layer, so the caller takes all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import fsum, isfinite
from typing import Protocol

import numpy as np

from nncli.nn.arrays import Array, Operation, Operations, bind, execute
from nncli.nn.layers import DenseStep
from nncli.nn.network import Network
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.barrier import WorkerBarrier
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.passes import Pass

LONG_UPDATE = 100_000  # parameters; fewer are updated sooner than a thread wakes up


class Source(Protocol):
    """Where samples come from."""

    @property
    def in_memory(self) -> bool:
        """Whether a process forked from this one can gather too: it has none of its open files."""

    def gather(self, rows: Array, inputs: Array, targets: Array) -> None:
        """Writes the samples at `rows` into two arrays, one row a sample."""


class Work(Protocol):
    """What `Step` does, by its passes. A cost is Σ_x C_x."""

    @property
    def passes(self) -> Sequence[Pass]: ...
    def load(self, rows: Array) -> None: ...
    def forward(self) -> float: ...
    def differentiate(self, full: bool) -> float: ...
    def run(self, eta: float, full: bool) -> float: ...


class Serial:
    """All of it in the caller's thread."""

    def __init__(self, whole: Pass, optimizer: Optimizer | None, source: Source | None) -> None:
        self.passes = (whole,)
        self.whole, self.optimizer, self.source = whole, optimizer, source
        if optimizer is not None:
            self._update = [*whole.state_operations, *optimizer.operations()]

    def load(self, rows: Array) -> None:
        assert self.source is not None
        self.source.gather(rows, self.whole.inputs, self.whole.targets)

    def forward(self) -> float:
        return self.whole.forward()

    def differentiate(self, full: bool) -> float:
        return self.whole.forward_and_back(full)

    def run(self, eta: float, full: bool) -> float:
        # Written out, without a call for each part: that is a tenth of a small network's step.
        whole, optimizer = self.whole, self.optimizer
        assert optimizer is not None
        for operation in whole.forward_operations:
            operation()
        cost = whole.total_cost().real
        if isfinite(cost):
            for operation in whole.backward_operations:
                operation()
            if full:
                whole.complete()
            optimizer.begin(eta)
            for operation in self._update:
                operation()
        return cost


class Loader:
    """Gathers mini-batches; by processes, each some of the samples.

    What one core has written another has to fetch, which would be a third of the time of
    [784, 100, 10] in mini-batches of 32. Threads would have to share what a source needs for it.
    """

    def __init__(
        self,
        source: Source | None,
        workers: WorkerPool,
        network: Network,
        inputs: Array,
        targets: Array,
    ) -> None:
        self.source = source
        self.inputs, self.targets = inputs, targets
        self.shares = workers.forks and source is not None and source.in_memory
        zeros = network.buffers.zeros
        self._rows, self._is_loaded = zeros(len(inputs), np.int64), zeros((), bool)

    def load(self, rows: Array) -> None:
        if self.shares:
            self._rows[...] = rows
            self._is_loaded[()] = True
        else:
            assert self.source is not None
            self.source.gather(rows, self.inputs, self.targets)

    def gather(self, share: slice) -> None:
        """What has been loaded of some samples, in the thread that they belong to."""
        if self._is_loaded:
            assert self.source is not None
            self.source.gather(self._rows[share], self.inputs[share], self.targets[share])

    def run(self, task: Operation) -> None:
        """Does what begins with a `gather` of each share."""
        try:
            task()
        finally:
            self._is_loaded[()] = False


class DataParallel:
    """A pass for each share of the samples, and a stretch of the update.

    Sums are taken in the order of the shares, whichever ends first, so that the same number of
    threads gives the same bits.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        optimizer: Optimizer | None,
        workers: WorkerPool,
        loader: Loader,
        shares: list[slice],
    ) -> None:
        self.passes, self.optimizer, self.loader, self.shares = passes, optimizer, loader, shares
        self.load = loader.load
        self._costs = passes[0].network.buffers.zeros(len(passes))
        self._forward = workers.task(self._jobs(Pass.forward))
        if optimizer is not None:
            self._back = workers.task(self._jobs(Pass.forward_and_back))
            self._full = workers.task(self._jobs(partial(Pass.forward_and_back, full=True)))
            self._update = workers.task(self._updates(optimizer))

    def _updates(self, optimizer: Optimizer) -> list[Operation]:
        size = len(optimizer.gradient)
        count = len(self.passes) if size > LONG_UPDATE else 1
        # From line to line of the cache: a stretch that begins within one takes a fifth more.
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
        return fsum(self._costs.tolist())

    def differentiate(self, full: bool) -> float:
        raise NotImplementedError("a step without an update is done in the caller's thread")

    def run(self, eta: float, full: bool) -> float:
        assert self.optimizer is not None
        self.loader.run(self._full if full else self._back)
        cost = fsum(self._costs.tolist())
        if isfinite(cost):
            self.optimizer.begin(eta)
            self._update()
        return cost


class TensorParallel:
    """The one pass over all samples, each thread filling some rows of its arrays."""

    def __init__(
        self,
        whole: Pass,
        optimizer: Optimizer | None,
        workers: WorkerPool,
        loader: Loader,
        shares: list[slice],
    ) -> None:
        self.passes = (whole,)
        self.whole, self.optimizer, self.loader = whole, optimizer, loader
        self.load = loader.load
        self.barrier = workers.barrier
        self._cost = whole.network.buffers.zeros(())
        self.members = [
            Member(whole, optimizer, workers.barrier, k, workers.size) for k in range(len(shares))
        ]
        self.shares = shares
        self._forward = workers.task(self._jobs(back=False, full=False))
        if optimizer is not None:
            self._back = workers.task(self._jobs(back=True, full=False))
            self._full = workers.task(self._jobs(back=True, full=True))

    def _jobs(self, *, back: bool, full: bool) -> list[Operation]:
        def job(k: int) -> None:
            self.loader.gather(self.shares[k])
            member = self.members[k]
            execute(member.forward_operations)
            cost = member.total_cost().real  # by each, so that all know whether to go on
            if k == 0:
                self._cost[()] = cost
            if back and isfinite(cost):
                execute(member.backward_operations)
                if full:
                    self.barrier.meet(k)
                    if k == 0:
                        self.whole.complete()
                execute(member.update_operations)

        return [partial(self.barrier.attend, partial(job, k)) for k in range(len(self.members))]

    def forward(self) -> float:
        self.loader.run(self._forward)
        return float(self._cost)

    def differentiate(self, full: bool) -> float:
        raise NotImplementedError("a step without an update is done in the caller's thread")

    def run(self, eta: float, full: bool) -> float:
        assert self.optimizer is not None
        self.optimizer.begin(eta)  # before the step: the workers go on to the update by themselves
        self.loader.run(self._full if full else self._back)
        return float(self._cost)


class Member:
    """One thread's part of a step shared out by units: its calls, and where it meets the others."""

    def __init__(
        self, whole: Pass, optimizer: Optimizer | None, barrier: WorkerBarrier, k: int, count: int
    ) -> None:
        self.whole, self.k, self.count = whole, k, count
        self.meet = bind(barrier.meet, k)
        # With arrays of its own to work in, other than the pass's.
        self.total_cost = whole.network.cost.total(whole.last.z, whole.targets_t, whole.error)
        dense = [layer for layer in whole.layers if isinstance(layer, DenseStep)]
        self.shares = [UnitShare(layer, self.inputs(layer), self.units(layer)) for layer in dense]
        self.forward_operations = [*self._forward()]
        if optimizer is not None:
            self.backward_operations = [*self._backward()]
            # Nobody may change weights that another still reads.
            self.update_operations: list[Operation] = [self.meet, *self._update(optimizer)]

    def inputs(self, layer: DenseStep) -> slice:
        return parts(len(layer.input), self.count)[self.k]

    def units(self, layer: DenseStep) -> slice:
        if layer.activation.elementwise:
            return parts(len(layer.z), self.count)[self.k]
        return slice(0, 0 if self.k else len(layer.z))  # units that are mixed stay together

    def _forward(self) -> Operations:
        last = self.shares[-1]
        for share in self.shares:
            yield self.meet
            if len(share.z):
                yield from share.forward()
        whole = self.whole
        yield bind(np.subtract, last.a, whole.targets_t[last.units], whole.error[last.units])
        yield self.meet

    def _backward(self) -> Operations:
        for share in reversed(self.shares):
            if len(share.z):
                if not (share is self.shares[-1] and self.whole.network.cost.error_is_delta):
                    yield from share.multiply_hadamard()
                yield from share.backward()
            if share is not self.shares[0]:
                yield self.meet
                yield from share.send_down()

    def _update(self, optimizer: Optimizer) -> Iterator[Operation]:
        slices = self.whole.network.slices()
        for share in self.shares:
            for stretch in slices[share.name].values():
                each = (stretch.stop - stretch.start) // len(share.whole.z)  # of a unit
                first, last = (
                    stretch.start + each * k for k in (share.units.start, share.units.stop)
                )
                yield from optimizer.operations(slice(first, last))


class UnitShare(DenseStep):
    """Some units of a dense layer, in rows of its arrays, and some rows of its downstream."""

    def __init__(self, whole: DenseStep, inputs: slice, units: slice) -> None:
        vars(self).update(vars(whole))  # rather than arrays of its own
        self.whole, self.inputs, self.units = whole, inputs, units
        for name in ("z", "a", "prime", "delta", "delta_over_n", "upstream"):
            setattr(self, name, getattr(whole, name)[units])
        self.weight = whole.weight[:, units]
        self.bias = None if whole.bias is None else whole.bias[units]
        self.sigma_prime = None if whole.sigma_prime is None else self.prime
        self.parameters, self.gradients, self.updates = (
            {key: array[..., units] for key, array in arrays.items()}
            for arrays in (whole.parameters, whole.gradients, whole.updates)
        )
        self.downstream = whole.downstream[inputs]

    def send_down(self) -> Operations:
        # np.matmul takes a product with rows of a matrix as it lies, `dot` copies them.
        yield bind(np.matmul, self.whole.weight[self.inputs], self.whole.delta, self.downstream)


def parts(size: int, count: int) -> list[slice]:
    """0 to `size` in `count` parts, about equal."""
    return [slice(k * size // count, (k + 1) * size // count) for k in range(count)]


def dense(network: Network) -> bool:
    """Whether it can be shared out by units."""
    return all(placed.layer.splits_units for placed in network.layers)
