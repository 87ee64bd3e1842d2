"""The plan of a training: its samples, and at which η and in which mini-batches they are taken."""

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nncli.core.seeds import Stream, seed_of
from nncli.nn.parallel.partition import Source
from nncli.nn.schedules import Schedule

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


class Samples(Source, Protocol):
    """Some rows of a table of inputs and targets."""

    @property
    def index(self) -> Rows:
        """The rows that belong to it."""

    @property
    def targets(self) -> Array:
        """The targets of the whole table, rows x outputs."""


class Plan(NamedTuple):
    """How to train: η and its schedule, how long, on what mini-batches.

    `seed` orders the samples of every epoch, and what layers draw follows from it. `classes`:
    whether targets are one-hot, so that there is an accuracy to measure.
    """

    eta: float
    schedule: Schedule
    epochs: int
    batch_size: int
    shuffle: bool
    seed: int
    classes: bool

    def eta_in(self, epoch: int) -> float:
        """η in an epoch, the first being 1."""
        return self.schedule.eta(self.eta, epoch)

    def order(self, index: Rows, epoch: int) -> Rows:
        """The samples of `index` in the order in which an epoch takes them."""
        if not self.shuffle:
            return index
        seed = seed_of(self.seed, Stream.SHUFFLE, epoch - 1)
        return np.random.default_rng(seed).permutation(index)

    def draws_of(self, step: int) -> np.random.SeedSequence:
        """The seed of what layers draw in a step, the first of the training being 1."""
        return seed_of(self.seed, Stream.DRAWS, step)

    def batches(self, index: Rows, epoch: int, start: int = 0) -> Iterator[Rows]:
        """The mini-batches of an epoch, from the one that begins at sample `start` of it."""
        order = self.order(index, epoch)
        for at in range(start, len(order), self.batch_size):
            yield order[at : at + self.batch_size]

    def steps(self, index: Rows, epoch: int = 1, start: int = 0) -> Iterator[tuple[float, Rows]]:
        """η and mini-batch of every step from there on, without end."""
        for later in count(epoch):
            for rows in self.batches(index, later, start if later == epoch else 0):
                yield self.eta_in(later), rows
