"""Mini-batches gathered from the samples, by the caller or by each worker for itself."""

from typing import Protocol

import numpy as np

from nncli.nn.arrays import Array, Operation
from nncli.nn.network import Network
from nncli.nn.parallel.worker_pool import WorkerPool


class Source(Protocol):
    """Where samples come from."""

    @property
    def in_memory(self) -> bool:
        """Whether a process forked from this one can gather too: it has none of its open files."""

    def gather(self, rows: Array, inputs: Array, targets: Array) -> None:
        """Writes the samples at `rows` into two arrays, one row a sample."""


class BatchLoader:
    """Gathers mini-batches; with processes, each gathers some of the samples.

    What one core has written another has to fetch, which would be a third of the time of
    [784, 100, 10] in mini-batches of 32. Threads would have to share what a source needs for it, so
    with threads the caller gathers all.

    Attributes:
        is_distributed: whether each worker gathers some samples.
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
        self.is_distributed = workers.processes and source is not None and source.in_memory
        zeros = network.buffers.zeros
        self._rows, self._is_pending = zeros(len(inputs), np.int64), zeros((), bool)

    def load(self, rows: Array) -> None:
        """Gathers the samples at `rows`, or has each worker do so in the next task."""
        if self.is_distributed:
            self._rows[...] = rows
            self._is_pending[()] = True
        else:
            assert self.source is not None
            self.source.gather(rows, self.inputs, self.targets)

    def gather(self, samples: slice) -> None:
        """By a worker, at the start of its job: those of its samples that are still to be gathered.

        `samples` are places in the mini-batch.
        """
        if self._is_pending:
            assert self.source is not None
            self.source.gather(self._rows[samples], self.inputs[samples], self.targets[samples])

    def run(self, task: Operation) -> None:
        """Runs a task whose jobs begin with `gather`."""
        try:
            task()
        finally:
            self._is_pending[()] = False
