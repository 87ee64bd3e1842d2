"""A network applied to samples a block at a time: their outputs, their cost and accuracy.

`Evaluator` gives those two figures; `assess` says in detail where the network is right, and where
it fails.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nncli.core.reading import Reading
from nncli.nn.arrays import Array
from nncli.nn.network import Network, step_bytes
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.reading import count_right
from nncli.nn.step import Step
from nncli.training.counts import ClassCounts, ClassTally, LabelCounts, LabelTally
from nncli.training.steps import Rows, SampleSet

if TYPE_CHECKING:
    from nncli.nn.parallel.ranks import Ranks

BLOCK = 128  # samples at a time: enough for BLAS, little enough for the caches
NARROW_BLOCK = 8192  # as many of few numbers each, for which NumPy's calls would take longest
NARROW_BYTES = 1 << 20  # that these may take on their way, and that any block may
MOST_BYTES = 1 << 28


class Evaluation(NamedTuple):
    """C over all samples, and where they have classes or labels the share that is right.

    Right is a sample whose outputs say what its targets do, see `nncli.nn.reading`: of labels, all.
    """

    cost: float
    accuracy: float | None


class Evaluator:
    """Evaluates a network on the same samples again and again, in workspaces that it keeps."""

    def __init__(
        self,
        network: Network,
        samples: SampleSet,
        *,
        reading: Reading,
        workers: WorkerPool | None = None,
    ) -> None:
        self.samples = samples
        self.reading = reading
        self._workers = workers
        count, self.block = len(samples.index), block_for(network)
        sizes = {min(count, self.block), count % self.block} - {0}
        self.steps = {n: Step(network, None, n, workers, samples, is_training=False) for n in sizes}
        self._is_loaded = False  # whether the one step has all samples, where they are a block

    def __call__(self) -> Evaluation:
        count = len(self.samples.index)
        ranks = None if self._workers is None else self._workers.ranks
        found = self._found() if ranks is None else self._found_by(ranks)
        cost, right = 0.0, 0.0
        for block_cost, block_right in found:
            cost += block_cost
            right += block_right
        return Evaluation(cost / count, None if self.reading == "numbers" else right / count)

    def _found(self, which: slice = slice(None)) -> list[tuple[float, int]]:
        """Of some blocks, Σ_x C_x and how many samples are right."""
        found = []
        for _, step, mean in self.blocks(which):
            right = 0
            if self.reading != "numbers":
                right = count_right(self.reading, step.outputs, step.targets)
            found.append((mean * step.n, right))
        return found

    def _found_by(self, ranks: "Ranks") -> list[list[float]]:
        """Of all blocks, of which each process computes some."""
        from nncli.nn.parallel.ranks import fill_rows

        found = np.zeros((-(-len(self.samples.index) // self.block), 2))
        fill_rows(found, self._found, ranks)
        figures: list[list[float]] = found.tolist()
        return figures

    def blocks(self, which: slice = slice(None)) -> Iterator[tuple[Rows, Step, float]]:
        """The samples a block at a time: which they are, their forward pass, and its C.

        Args:
            which: of the blocks; all of them.
        """
        index = self.samples.index
        for start in range(0, len(index), self.block)[which]:
            rows = index[start : start + self.block]
            step = self.steps[len(rows)]
            if not self._is_loaded:
                step.load(rows)
                self._is_loaded = len(rows) == len(index)
            yield rows, step, step.forward()


def block_for(network: Network) -> int:
    """How many samples go through a network at a time: fewer where each takes much memory."""
    each = step_bytes(network.layers, 1, network.dtype.itemsize)
    narrow = min(NARROW_BLOCK, NARROW_BYTES // each)
    return max(1, min(max(BLOCK, narrow), MOST_BYTES // each))


class Forward:
    """Applies a network, in one workspace for however many samples come at a time."""

    def __init__(self, network: Network, workers: WorkerPool | None = None) -> None:
        self.step = Step(network, None, block_for(network), workers, is_training=False)

    def __call__(self, samples: SampleSet) -> Iterator[Array]:
        """The outputs of samples without targets, some samples x outputs at a time."""
        step, index = self.step, samples.index
        nothing = np.empty((step.n, 0), step.inputs.dtype)
        for start in range(0, len(index), step.n):
            rows = index[start : start + step.n]
            samples.gather(rows, step.inputs[: len(rows)], nothing[: len(rows)])
            step.inputs[len(rows) :] = 0
            step.forward()
            yield step.outputs[: len(rows)].copy()


# In detail


class Fit(NamedTuple):
    """How near outputs come to plain numbers, each in one number an output.

    Attributes:
        mse: the mean of (a − y)².
        mae: the mean of |a − y|.
        r2: 1 − Σ (a − y)² / Σ (y − mean y)², the means being those of these samples; None where
            all y are equal.
    """

    mse: list[float]
    mae: list[float]
    r2: list[float | None]

    def divided(self, divisor: float | Array) -> "Fit":
        """That of the outputs and targets that were divided by this, an output each or all."""
        by = np.broadcast_to(divisor, len(self.mse)).tolist()
        mse = [error * each**2 for error, each in zip(self.mse, by, strict=True)]
        mae = [error * each for error, each in zip(self.mae, by, strict=True)]
        return Fit(mse, mae, self.r2)


class Outcome(NamedTuple):
    """The outputs of the network for the sample at `row`, with its inputs and targets."""

    row: int
    cost: float
    inputs: Array
    targets: Array
    outputs: Array


class Assessment(NamedTuple):
    """The cost C over all samples; `counts` where they have classes, `labels` or else `fit`.

    `worst` are the samples of the largest C_x, the largest first.
    """

    samples: int
    cost: float
    counts: ClassCounts | None
    fit: Fit | None
    worst: tuple[Outcome, ...]
    labels: LabelCounts | None = None

    @property
    def accuracy(self) -> float | None:
        """The share of samples that are right: their class, or all of their labels."""
        if self.labels is not None:
            return self.labels.exact_match
        return None if self.counts is None else self.counts.accuracy


def assess(
    network: Network,
    samples: SampleSet,
    *,
    reading: Reading,
    worst: int = 0,
    workers: WorkerPool | None = None,
) -> Assessment:
    """Takes all samples through the network, a block at a time.

    Args:
        reading: what outputs and targets say of a sample.
        worst: how many of the samples to keep.
        workers: threads to share the work among.
    """
    (outputs,) = network.output_shape
    tally = TALLIES[reading](outputs)
    ranking = Ranking(worst)
    cost, count = 0.0, len(samples.index)
    evaluator = Evaluator(network, samples, reading=reading, workers=workers)
    for rows, step, mean in evaluator.blocks():
        cost += mean * step.n
        with np.errstate(all="ignore"):
            tally.add(step)
            ranking.add(rows, step)
    return Assessment(
        count,
        cost / count,
        tally.counts() if isinstance(tally, ClassTally) else None,
        tally.fit() if isinstance(tally, FitTally) else None,
        tuple(ranking.outcomes),
        tally.counts() if isinstance(tally, LabelTally) else None,
    )


class FitTally:
    """Means and squared deviations of blocks are combined as the scaling of data does it."""

    def __init__(self, outputs: int) -> None:
        self.count = 0
        self.errors, self.distances, self.mean, self.squares = np.zeros((4, outputs))
        self.least, self.most = np.full(outputs, np.inf), np.full(outputs, -np.inf)

    def add(self, step: Step) -> None:
        y = step.targets.astype(np.float64)
        error = step.outputs - y
        self.distances += np.abs(error).sum(axis=0)
        self.errors += np.square(error).sum(axis=0)
        np.minimum(self.least, y.min(axis=0), out=self.least)
        np.maximum(self.most, y.max(axis=0), out=self.most)
        mean = y.mean(axis=0)
        shift, share = mean - self.mean, step.n / (self.count + step.n)
        self.squares += np.square(y - mean).sum(axis=0) + shift**2 * (self.count * share)
        self.mean += shift * share
        self.count += step.n

    def fit(self) -> Fit:
        # Not by their squares: the mean of equal numbers may be off by a rounding.
        varied = self.least < self.most
        r2 = [
            float(1 - errors / squares) if some else None
            for errors, squares, some in zip(self.errors, self.squares, varied, strict=True)
        ]
        mse, mae = self.errors / self.count, self.distances / self.count
        return Fit(mse.tolist(), mae.tolist(), r2)


TALLIES: dict[Reading, type[ClassTally | LabelTally | FitTally]] = {
    "classes": ClassTally,
    "labels": LabelTally,
    "numbers": FitTally,
}


class Ranking:
    """The samples of the largest C_x so far; among equals the first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.outcomes: list[Outcome] = []

    def add(self, rows: Rows, step: Step) -> None:
        last, targets = step.last, step.targets.T
        assert last.z is not None
        costs = step.network.cost.each(last.z, targets, last.a - targets)
        costs = np.where(np.isnan(costs), np.inf, costs)  # nothing is worse
        largest = np.argsort(-costs, kind="stable")[: self.size]
        full = self.outcomes and len(self.outcomes) == self.size
        least = self.outcomes[-1].cost if full else -np.inf
        for k in largest[costs[largest] > least].tolist():
            arrays = (step.inputs[k].copy(), step.targets[k].copy(), step.outputs[k].copy())
            self.outcomes.append(Outcome(int(rows[k]), float(costs[k]), *arrays))
        self.outcomes = sorted(self.outcomes, key=lambda outcome: -outcome.cost)[: self.size]
