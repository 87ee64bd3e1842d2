"""How often classes and labels are right: counts, the shares that follow, and areas under ROC."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.reading import HALF, class_indices
from nncli.nn.step import Step

MOST_CONFUSED = 1000  # with more classes, a number for each two of them is too much to read
MOST_RANKED = 1 << 25  # outputs: with more, there is no room for ranking them


class ClassCounts(NamedTuple):
    """Counts for each class.

    Attributes:
        samples: how many there are of it.
        predicted: how many samples were classified as it.
        right: how many of its own samples were.
        confusion: classes x classes: row i, column j counts the samples of class i that were
            classified as class j. None with more than MOST_CONFUSED classes.
        roc_area: of one output for two classes, see `roc_area`.
    """

    samples: Array
    predicted: Array
    right: Array
    confusion: Array | None
    roc_area: float | None = None

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


class LabelCounts(NamedTuple):
    """Counts for each label, in the order of the outputs.

    Attributes:
        total: of the samples.
        exact: how many of them have all labels right.
        samples: how many have the label.
        predicted: how many were given it.
        right: how many of those that have it were.
        roc_area: see `roc_area`.
    """

    total: int
    exact: int
    samples: Array
    predicted: Array
    right: Array
    roc_area: list[float | None]

    @property
    def exact_match(self) -> float:
        """The share of samples that have all labels right."""
        return self.exact / self.total

    @property
    def accuracy(self) -> list[float]:
        """Of each label, the share of all samples for which it is right, given or not."""
        wrong = self.samples + self.predicted - 2 * self.right
        return [1 - n / self.total for n in wrong.tolist()]

    @property
    def precision(self) -> list[float | None]:
        """Of the samples that were given a label, the share that have it."""
        return ratios(self.right, self.predicted)

    @property
    def recall(self) -> list[float | None]:
        """Of the samples that have a label, the share that were given it."""
        return ratios(self.right, self.samples)

    @property
    def f1(self) -> list[float | None]:
        """The harmonic mean of precision and recall; None where nothing has the label, nor gets."""
        return ratios(2 * self.right, self.samples + self.predicted)

    def each(self) -> Iterator[tuple[tuple[int, ...], tuple[float | None, ...], float | None]]:
        """Of each label: samples, predicted, right; its four shares; and its ROC area."""
        columns = (self.samples, self.predicted, self.right)
        numbers = zip(*(column.tolist() for column in columns), strict=True)
        shares = zip(self.accuracy, self.precision, self.recall, self.f1, strict=True)
        return zip(numbers, shares, self.roc_area, strict=True)


class ClassTally:
    def __init__(self, outputs: int) -> None:
        self.classes = classes = max(outputs, 2)
        self.samples, self.predicted, self.right = np.zeros((3, classes), np.int64)
        confused = classes <= MOST_CONFUSED
        self.confusion = np.zeros((classes, classes), np.int64) if confused else None
        self.scores = Scores() if outputs == 1 else None

    def add(self, step: Step) -> None:
        true, predicted = class_indices(step.targets), class_indices(step.outputs)
        self.samples += np.bincount(true, minlength=self.classes)
        self.predicted += np.bincount(predicted, minlength=self.classes)
        self.right += np.bincount(true[true == predicted], minlength=self.classes)
        if self.confusion is not None:
            np.add.at(self.confusion, (true, predicted), 1)
        if self.scores is not None:
            self.scores.add(step)

    def counts(self) -> ClassCounts:
        area = None if self.scores is None else self.scores.areas()[0]
        return ClassCounts(self.samples, self.predicted, self.right, self.confusion, area)


class LabelTally:
    def __init__(self, labels: int) -> None:
        self.total, self.exact = 0, 0
        self.samples, self.predicted, self.right = np.zeros((3, labels), np.int64)
        self.scores = Scores()

    def add(self, step: Step) -> None:
        true, given = step.targets > HALF, step.outputs > HALF
        self.total += step.n
        self.exact += int((true == given).all(axis=1).sum())
        self.samples += true.sum(axis=0)
        self.predicted += given.sum(axis=0)
        self.right += (true & given).sum(axis=0)
        self.scores.add(step)

    def counts(self) -> LabelCounts:
        areas = self.scores.areas()
        counts = (self.samples, self.predicted, self.right)
        return LabelCounts(self.total, self.exact, *counts, areas)


class Scores:
    """The outputs of all samples beside what they should be, to be ranked."""

    def __init__(self) -> None:
        self.outputs: list[Array] = []
        self.true: list[Array] = []
        self.size, self.labels = 0, 0

    def add(self, step: Step) -> None:
        self.size += step.outputs.size
        self.labels = step.outputs.shape[1]
        if self.size > MOST_RANKED:
            self.outputs, self.true = [], []
            return
        self.outputs.append(step.outputs.copy())
        self.true.append(step.targets > HALF)

    def areas(self) -> list[float | None]:
        """The ROC area of each output; None where there are too many to rank."""
        if not self.outputs:
            return [None] * self.labels
        outputs, true = np.concatenate(self.outputs), np.concatenate(self.true)
        return [roc_area(outputs[:, k], true[:, k]) for k in range(self.labels)]


def roc_area(scores: Array, positive: Array) -> float | None:
    """The area under the ROC curve of N scores, `positive` being N bools.

    That is the share of pairs of a positive and a negative sample in which the positive one has
    the larger score, ties being half (Hanley and McNeil, 1982). None where there are no such pairs,
    or scores that are no numbers.
    """
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if not positives or not negatives or np.isnan(scores).any():
        return None
    _, which, times = np.unique(scores, return_inverse=True, return_counts=True)
    # Twice the mean rank of a score, from 1: a whole number where scores are tied too.
    ranks = 2 * np.cumsum(times) - times + 1
    above = int(ranks[which.reshape(-1)][positive].sum()) - positives * (positives + 1)
    return above / (2 * positives * negatives)


def ratios(parts: Array, wholes: Array) -> list[float | None]:
    return [
        part / whole if whole else None
        for part, whole in zip(parts.tolist(), wholes.tolist(), strict=True)
    ]
