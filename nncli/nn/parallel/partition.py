"""How the work of a step is partitioned: not at all, by samples, or by units."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import fsum, isfinite, prod
from typing import Protocol

import numpy as np

from nncli.nn.arrays import Array, Operation, Operations, bind, execute
from nncli.nn.layers import DenseStep, Placed, Workspace
from nncli.nn.network import Network, splits_samples
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.worker_pool import WorkerBarrier, WorkerPool, most_shares
from nncli.nn.passes import Pass
from nncli.nn.weighting import SampleWeights


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

    if workers is None or max(workers.size, workers.micro_batches) == 1:
        return Serial(make_pass(slice(None), gradient), optimizer)
    if not splits_samples(network.layers):
        return Serial(make_pass(slice(None), gradient), optimizer)
    # Not workers.processes: threads are slower at it, but give the same bits as processes.
    if workers.micro_batches == 1 and can_fork() and splits_units(network.layers):
        return TensorParallel(make_pass(slice(None), gradient), optimizer, workers)
    shares = workers.size if workers.micro_batches == 1 else workers.micro_batches
    sample_slices = even_slices(n, most_shares(n, shares))
    gradients = [gradient, *(another_gradient() for _ in sample_slices[1:])]
    passes = [*map(make_pass, sample_slices, gradients)]
    if workers.ranks is not None and optimizer is not None:
        from nncli.nn.parallel.ranks import Distributed

        return Distributed(passes, optimizer, workers)
    return DataParallel(passes, optimizer, workers)


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
            self._full = [*whole.backward_operations, whole.fill_unused, *update]

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
    """A pass for each share of the samples, by the workers; the caller makes the update.

    Sums are computed in the order of the shares, whichever ends first, so that the same number of
    shares gives the same bits. Where there are more of them than workers, each has several.
    """

    def __init__(
        self, passes: Sequence[Pass], optimizer: Optimizer | None, workers: WorkerPool
    ) -> None:
        self.passes, self.optimizer = passes, optimizer
        self._n, self._workers = passes[0].n, workers.size
        self._costs = passes[0].network.buffers.zeros(len(passes))
        self._forward = workers.task(self._jobs(Pass.forward))
        if optimizer is not None:
            self._back = workers.task(self._jobs(Pass.forward_and_back))
            self._full = workers.task(self._jobs(partial(Pass.forward_and_back, full=True)))
            others = [own.gradient for own in passes[1:] if own.gradient is not None]
            self._update = optimizer.operations(others=others)

    def _jobs(self, cost_of: Callable[[Pass], float]) -> list[Operation]:
        def job(own: slice) -> None:
            for k in range(own.start, own.stop):
                self._costs[k] = cost_of(self.passes[k])

        count = len(self.passes)
        return [partial(job, own) for own in even_slices(count, min(count, self._workers))]

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


def splits_units(layers: Sequence[Placed]) -> bool:
    """Whether workers may have some units of every layer each: whether all layers are dense."""
    return all(placed.layer.splits_units for placed in layers)


def even_slices(size: int, count: int) -> list[slice]:
    """0 to `size` in `count` slices of about the same length."""
    return [slice(k * size // count, (k + 1) * size // count) for k in range(count)]


class TensorParallel:
    """One pass over all samples, whose arrays the workers fill together, some rows each."""

    def __init__(self, whole: Pass, optimizer: Optimizer | None, workers: WorkerPool) -> None:
        self.passes = (whole,)
        self.whole, self.optimizer = whole, optimizer
        self.barrier = workers.barrier
        self._cost = whole.network.buffers.zeros(())
        self.parts = [
            WorkerPart(whole, optimizer, workers.barrier, k, workers.size)
            for k in range(workers.size)
        ]
        self._forward = workers.task(self._jobs(back=False, full=False))
        if optimizer is not None:
            self._back = workers.task(self._jobs(back=True, full=False))
            self._full = workers.task(self._jobs(back=True, full=True))

    def _jobs(self, *, back: bool, full: bool) -> list[Operation]:
        def job(k: int) -> None:
            part = self.parts[k]
            execute(part.forward_operations)
            cost = part.total_cost().real  # by each, so that all know whether to go on
            if k == 0:
                self._cost[()] = cost
            if back and isfinite(cost):
                execute(part.backward_operations)
                if full:
                    self.barrier.wait(k)
                    if k == 0:
                        self.whole.fill_unused()
                execute(part.update_operations)

        return [partial(self.barrier.run, partial(job, k)) for k in range(len(self.parts))]

    def forward(self) -> float:
        self._forward()
        return float(self._cost) / self.whole.n

    def differentiate(self, full: bool) -> float:
        raise NotImplementedError("a step without an update is done in the caller's thread")

    def run(self, eta: float, full: bool) -> float:
        assert self.optimizer is not None
        # Before the step: workers go on to the update by themselves, if the cost is finite.
        counters = self.optimizer.counters()
        self.optimizer.begin(eta)
        (self._full if full else self._back)()
        cost = float(self._cost)
        if not isfinite(cost):
            self.optimizer.restore_counters(counters)
        return cost / self.whole.n


class WorkerPart:
    """One worker's part of a step partitioned by units.

    Attributes:
        shards: its units of each layer.
        forward_operations, backward_operations, update_operations: what it runs, in order; among
            them the waits at the barrier.
        total_cost: as that of `Pass`, with work arrays of its own.
    """

    def __init__(
        self, whole: Pass, optimizer: Optimizer | None, barrier: WorkerBarrier, k: int, count: int
    ) -> None:
        self.whole, self.k, self.count = whole, k, count
        self.wait = bind(barrier.wait, k)
        self.weights = self._weights()
        self.total_cost = whole.cost_of(self.weights)
        layers = [layer for layer in whole.layers if isinstance(layer, DenseStep)]
        # A flatten layer is a view; of any other kind there would be work left undone.
        assert all(
            isinstance(layer, DenseStep) or not (own.forward or own.backward)
            for layer, own in zip(whole.layers, whole.layer_operations, strict=True)
        )
        self.shards = [
            DenseShard(layer, self._inputs(layer), self._units(layer)) for layer in layers
        ]
        self.forward_operations = [*self._forward()]
        if optimizer is not None:
            self.backward_operations = [*self._backward()]
            # No worker may change weights that another still reads.
            self.update_operations: list[Operation] = []
            for stage in optimizer.stages([*self._entries()], k, count):
                self.update_operations += [self.wait, *stage]

    def _weights(self) -> SampleWeights | None:
        """The first worker fills those that the step shows, the others some of their own."""
        weights = self.whole.sample_weights
        if weights is None or self.k == 0:
            return weights
        values = np.zeros_like(weights.values)
        return SampleWeights(weights.by_class, weights.targets_t, values)

    def _inputs(self, layer: DenseStep) -> slice:
        return even_slices(len(layer.input), self.count)[self.k]

    def _units(self, layer: DenseStep) -> slice:
        if layer.activation.elementwise:
            return even_slices(len(layer.z), self.count)[self.k]
        return slice(0, 0 if self.k else len(layer.z))  # softmax needs all units in one worker

    def _forward(self) -> Operations:
        last = self.shards[-1]
        for shard in self.shards:
            yield self.wait
            if len(shard.z):
                yield from shard.forward()
        yield from self.whole.compare(last.units, self.weights)
        yield self.wait

    def _backward(self) -> Operations:
        for shard in reversed(self.shards):
            if len(shard.z):
                if not (shard is self.shards[-1] and self.whole.network.cost.error_is_delta):
                    yield from shard.multiply_hadamard()
                yield from shard.backward()
            if shard is not self.shards[0]:
                yield self.wait
                yield from shard.backward_input()

    def _entries(self) -> Iterator[slice]:
        """Where in `network.parameters` those of its units are."""
        slices = self.whole.network.slices()
        for shard in self.shards:
            placed, start = shard.placed, slices[shard.name].start
            # Weights and biases that are joint are stored unit by unit, others one after the other.
            joint = [placed.parameters]
            apart = [prod(shape) for shape in placed.parameter_shapes.values()]
            for size in joint if placed.has_joint_weights else apart:
                per_unit = size // len(shard.whole.z)
                first, last = (
                    start + per_unit * unit for unit in (shard.units.start, shard.units.stop)
                )
                yield slice(first, last)
                start += size


class DenseShard(DenseStep):
    """Some units of a dense layer, and the ∂C_x/∂input of some of its inputs.

    Its arrays are views of those of the whole layer. ∂C_x/∂input takes the δ of all units, and all
    weights of these inputs.

    Attributes:
        whole: the layer.
        inputs, units: which of its rows this shard fills.
    """

    def __init__(self, whole: DenseStep, inputs: slice, units: slice) -> None:
        def shard(arrays: Mapping[str, Array]) -> dict[str, Array]:
            return {key: array[..., units] for key, array in arrays.items()}

        parameters, gradients, updates = map(
            shard, (whole.parameters, whole.gradients, whole.updates)
        )
        workspace = Workspace(whole.zeros, whole.n, parameters, gradients, updates)
        arrays = whole.arrays.shard(units, inputs)
        super().__init__(whole.placed, whole.input, workspace, arrays)
        self.whole, self.inputs, self.units = whole, inputs, units
        self.bind_upstream(whole.upstream[units])

    def backward_input(self) -> Operations:
        # np.matmul takes a product with rows of a matrix as a view, `dot` copies them.
        yield bind(np.matmul, self.whole.weight[self.inputs], self.whole.delta, self.downstream)
