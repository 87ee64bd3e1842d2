"""A step shared out among the processes of an MPI job, the ranks, each with the whole network.

A mini-batch is split into micro-batches, as many as its spec says. Each rank computes the gradients
of some, all exchange them, and each adds them up in the order of the micro-batches and makes the
update: so all have the same weights, which are, to the bit, those of one process that computes all
micro-batches by itself. What says how arrays travel is a `Ranks`; this module knows no MPI.
"""

from collections.abc import Callable, Sequence
from math import fsum, isfinite
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from nncli.nn.arrays import Array, bind, execute
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.partition import even_slices
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.passes import Pass

COST = 64  # bytes in front of a gradient, a cache line; its cost is in the first eight
# From this many bytes on, gradients are added up in pieces: each rank adds up a piece of the vector
# for all. That is two exchanges in place of one, and of far fewer bytes where ranks are many.
IN_PIECES = 1 << 16


class Ranks(Protocol):
    """The processes of an MPI job, counted from 0. All have to make the same calls in one order.

    Attributes:
        rank: which of them this one is.
        size: how many there are.
    """

    rank: int
    size: int

    def all_gather(self, array: Array, counts: Sequence[int]) -> None:
        """Completes an array: each rank has filled its stretch, which all then have.

        Args:
            array: contiguous.
            counts: how long along its first axis the stretch of each rank is, in their order.
        """

    def all_to_all(
        self, sent: Array, sent_counts: Sequence[int], taken: Array, taken_counts: Sequence[int]
    ) -> None:
        """Sends a stretch of a vector to each rank, and takes one from each, in their order.

        Args:
            sent_counts: how many entries of `sent` go to each rank.
            taken_counts: how many entries of `taken` come from each.
        """


def fill_rows(table: Array, rows: Callable[[slice], ArrayLike], ranks: Ranks) -> None:
    """Fills a table on all ranks, each computing some of its `rows`."""
    slices = even_slices(len(table), ranks.size)
    own = slices[ranks.rank]
    if own.stop > own.start:
        table[own] = rows(own)
    ranks.all_gather(table, [each.stop - each.start for each in slices])


class Distributed:
    """A pass for each micro-batch. Each rank computes some and takes the others' gradients.

    A step that is to be looked at (`full`) is computed by each rank as a whole, for a rank sees the
    quantities of its own samples alone; and so is every step once the pool has no ranks any more.
    The bits are the same.
    """

    def __init__(self, passes: Sequence[Pass], optimizer: Optimizer, workers: WorkerPool) -> None:
        self.passes, self.optimizer = passes, optimizer
        self._workers = workers
        self._n = passes[0].n
        gradients = [own.gradient for own in passes if own.gradient is not None]
        self.gradient, *others = gradients
        self._sums = [bind(np.add, self.gradient, other, self.gradient) for other in others]
        self._update = optimizer.operations()
        self._costs = np.zeros(len(passes))
        self._exchange: Exchange | None = None
        if workers.ranks is not None:
            self._exchange = exchange_for(gradients, workers.ranks)
        self._own = self.passes if self._exchange is None else self.passes[self._exchange.own]

    def forward(self) -> float:
        return fsum(own.forward() for own in self.passes) / self._n

    def differentiate(self, full: bool) -> float:
        raise NotImplementedError("a step without an update is done in the caller's thread")

    def run(self, eta: float, full: bool) -> float:
        if full or self._workers.ranks is None:
            cost = self._compute_all(full)
        else:
            cost = self.exchange(self.compute())
        if isfinite(cost):
            self.optimizer.begin(eta)
            execute(self._update)
        return cost / self._n

    def _compute_all(self, full: bool) -> float:
        cost = fsum(own.forward_and_back(full) for own in self.passes)
        if isfinite(cost):
            execute(self._sums)
        return cost

    def compute(self) -> list[float]:
        """This rank's share: the gradients of its micro-batches; returns their costs."""
        return [own.forward_and_back() for own in self._own]

    def exchange(self, costs: Sequence[float]) -> float:
        """Takes this rank's costs and gradients to all; returns the cost of the mini-batch.

        Where that is finite, `gradient` is the sum of all gradients.
        """
        assert self._exchange is not None
        self._costs[self._exchange.own] = costs
        return self._exchange(self._costs)


def exchange_for(gradients: Sequence[Array], ranks: Ranks) -> "Exchange":
    """What takes the gradients of micro-batches to all ranks, by how many bytes they are."""
    in_pieces = gradients[0].nbytes >= IN_PIECES and len(gradients) > 2
    return (InPieces if in_pieces else AtOnce)(gradients, ranks)


class Exchange:
    """Costs and gradients go from each rank to all, and are added up in order, in the first.

    Attributes:
        own: which micro-batches this rank computes.
        counts: how many each rank computes; a short mini-batch may have none for some.
    """

    def __init__(self, gradients: Sequence[Array], ranks: Ranks) -> None:
        slices = even_slices(len(gradients), ranks.size)
        self.gradients, self.ranks = gradients, ranks
        self.own = slices[ranks.rank]
        self.counts = [own.stop - own.start for own in slices]

    def __call__(self, costs: Array) -> float:
        """The sum of all costs; `costs` holds this rank's own in their places."""
        raise NotImplementedError


class AtOnce(Exchange):
    """All gradients go to all ranks, each with its cost, in one exchange."""

    def __init__(self, gradients: Sequence[Array], ranks: Ranks) -> None:
        super().__init__(gradients, ranks)
        first, count = gradients[0], len(gradients)
        padded = -(-first.nbytes // COST) * COST
        self._rows = np.zeros((count, COST + padded), np.uint8)
        self._costs = self._rows[:, :8].view(np.float64)[:, 0]
        end = COST + first.nbytes
        self._received = [row[COST:end].view(first.dtype) for row in self._rows]

    def __call__(self, costs: Array) -> float:
        own = self.own
        self._costs[own] = costs[own]
        for k in range(own.start, own.stop):
            np.copyto(self._received[k], self.gradients[k])
        self.ranks.all_gather(self._rows, self.counts)
        cost = fsum(self._costs.tolist())
        if isfinite(cost):
            total = self.gradients[0]
            np.copyto(total, self._received[0])
            for gradient in self._received[1:]:
                np.add(total, gradient, total)
        return cost


class InPieces(Exchange):
    """Each rank is sent a piece of all gradients, adds that up, and sends the sum to all."""

    def __init__(self, gradients: Sequence[Array], ranks: Ranks) -> None:
        super().__init__(gradients, ranks)
        first, count = gradients[0], len(gradients)
        self._pieces = even_slices(first.size, ranks.size)
        self._lengths = [piece.stop - piece.start for piece in self._pieces]
        self._piece = self._pieces[ranks.rank]
        own, length = self.counts[ranks.rank], self._lengths[ranks.rank]
        self._sent = np.zeros(own * first.size, first.dtype)
        self._taken = np.zeros((count, length), first.dtype)

    def __call__(self, costs: Array) -> float:
        self.ranks.all_gather(costs, self.counts)
        cost = fsum(costs.tolist())
        if isfinite(cost):
            self._add_up()
        return cost

    def _add_up(self) -> None:
        own, start = range(self.own.start, self.own.stop), 0
        for piece, length in zip(self._pieces, self._lengths, strict=True):
            for k in own:
                np.copyto(self._sent[start : start + length], self.gradients[k][piece])
                start += length
        sent = [len(own) * length for length in self._lengths]
        taken = [count * self._taken.shape[1] for count in self.counts]
        self.ranks.all_to_all(self._sent, sent, self._taken.reshape(-1), taken)
        total = self.gradients[0][self._piece]
        np.copyto(total, self._taken[0])
        for gradient in self._taken[1:]:
            np.add(total, gradient, total)
        self.ranks.all_gather(self.gradients[0], self._lengths)
