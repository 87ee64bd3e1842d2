"""A network applied to samples a block at a time: their outputs, their cost and accuracy.

`Evaluator` gives those two figures; `assess` says in detail where the network is right, and where
it fails.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.network import Network, step_bytes
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.training.steps import Rows, SampleSet

BLOCK = 128  # samples at a time: enough for BLAS, little enough for the caches
MOST_BYTES = 1 << 28  # that they may take on their way


class Evaluation(NamedTuple):
    """C over all samples, and where they have classes the share that is right.

    Right is a sample whose largest output is the one where its target is 1.
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
        classes: bool,
        workers: WorkerPool | None = None,
    ) -> None:
        self.samples = samples
        self.classes = classes
        count, self.block = len(samples.index), block_for(network)
        sizes = {min(count, self.block), count % self.block} - {0}
        self.steps = {n: Step(network, None, n, workers, samples, is_training=False) for n in sizes}

    def __call__(self) -> Evaluation:
        count = len(self.samples.index)
        cost, right = 0.0, 0
        for _, step, mean in self.blocks():
            cost += mean * step.n
            if self.classes:
                hits = step.outputs.argmax(axis=1) == step.targets.argmax(axis=1)
                right += int(np.count_nonzero(hits))
        return Evaluation(cost / count, right / count if self.classes else None)

    def blocks(self) -> Iterator[tuple[Rows, Step, float]]:
        """The samples a block at a time: which they are, their forward pass, and its C."""
        index = self.samples.index
        for start in range(0, len(index), self.block):
            rows = index[start : start + self.block]
            step = self.steps[len(rows)]
            step.load(rows)
            yield rows, step, step.forward()


def block_for(network: Network) -> int:
    """How many samples go through a network at a time: fewer where each takes much memory."""
    each = step_bytes(network.layers, 1, network.dtype.itemsize)
    return max(1, min(BLOCK, MOST_BYTES // each))


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


MOST_CONFUSED = 1000  # with more classes, a number for each two of them is too much to read


class ClassCounts(NamedTuple):
    """Counts for each class, in the order of the outputs.

    Attributes:
        samples: how many there are of it.
        predicted: how many samples were classified as it.
        right: how many of its own samples were.
        confusion: classes x classes: row i, column j counts the samples of class i that were
            classified as class j. None with more than MOST_CONFUSED classes.
    """

    samples: Array
    predicted: Array
    right: Array
    confusion: Array | None

    @property
    def accuracy(self) -> float:
        """The share of samples that are classified rightly."""
        return float(self.right.sum() / self.samples.sum())

    @property
    def precision(self) -> list[float | None]:
        """Of what was classified as a class, the share that is of it; None where nothing was."""
        return ratios(self.right, self.predicted)

    @property
    def recall(self) -> list[float | None]:
        """Of the samples of a class, the share classified as it; None where there are none."""
        return ratios(self.right, self.samples)


class Fit(NamedTuple):
    """How near outputs come to plain numbers, each in one number an output.

    Attributes:
        mse: the mean of (a − y)².
        r2: 1 − Σ (a − y)² / Σ (y − mean y)², the means being those of these samples; None where
            all y are equal.
    """

    mse: list[float]
    r2: list[float | None]


class Outcome(NamedTuple):
    """The outputs of the network for the sample at `row`, with its inputs and targets."""

    row: int
    cost: float
    inputs: Array
    targets: Array
    outputs: Array


class Assessment(NamedTuple):
    """The cost C over all samples; `counts` where they have classes, else `fit`.

    `worst` are the samples of the largest C_x, the largest first.
    """

    samples: int
    cost: float
    counts: ClassCounts | None
    fit: Fit | None
    worst: tuple[Outcome, ...]


def assess(
    network: Network,
    samples: SampleSet,
    *,
    classes: bool,
    worst: int = 0,
    workers: WorkerPool | None = None,
) -> Assessment:
    """Takes all samples through the network, a block at a time.

    Args:
        classes: whether targets are one-hot. A sample's class is that of its largest output.
        worst: how many of the samples to keep.
        workers: threads to share the work among.
    """
    (outputs,) = network.output_shape
    tally = ClassTally(outputs) if classes else FitTally(outputs)
    ranking = Ranking(worst)
    cost, count = 0.0, len(samples.index)
    evaluator = Evaluator(network, samples, classes=classes, workers=workers)
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
    )


class ClassTally:
    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.samples, self.predicted, self.right = np.zeros((3, classes), np.int64)
        confused = classes <= MOST_CONFUSED
        self.confusion = np.zeros((classes, classes), np.int64) if confused else None

    def add(self, step: Step) -> None:
        true, predicted = step.targets.argmax(axis=1), step.outputs.argmax(axis=1)
        self.samples += np.bincount(true, minlength=self.classes)
        self.predicted += np.bincount(predicted, minlength=self.classes)
        self.right += np.bincount(true[true == predicted], minlength=self.classes)
        if self.confusion is not None:
            np.add.at(self.confusion, (true, predicted), 1)

    def counts(self) -> ClassCounts:
        return ClassCounts(self.samples, self.predicted, self.right, self.confusion)


class FitTally:
    """Means and squared deviations of blocks are combined as the scaling of data does it."""

    def __init__(self, outputs: int) -> None:
        self.count = 0
        self.errors, self.mean, self.squares = np.zeros((3, outputs))
        self.least, self.most = np.full(outputs, np.inf), np.full(outputs, -np.inf)

    def add(self, step: Step) -> None:
        y = step.targets.astype(np.float64)
        self.errors += np.square(step.outputs - y).sum(axis=0)
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
        return Fit((self.errors / self.count).tolist(), r2)


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


def ratios(parts: Array, wholes: Array) -> list[float | None]:
    return [
        part / whole if whole else None
        for part, whole in zip(parts.tolist(), wholes.tolist(), strict=True)
    ]
