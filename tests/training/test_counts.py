"""Two classes with one output, and labels: against loops over pairs, and published figures."""

from typing import Any

import numpy as np
import pytest

from nncli.training import counts as module
from nncli.training.counts import roc_area
from nncli.training.evaluate import Evaluator, assess
from tests.training.test_evaluator import echo, samples

RANDOM = np.random.default_rng(18)


def test_the_roc_area_that_scikit_learn_publishes() -> None:
    # https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html and
    # .../auc.html: the same four samples.
    scores, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert roc_area(scores, positive) == 0.75


@pytest.mark.parametrize("different", [3, 10_000], ids=["tied", "apart"])
def test_the_roc_area_over_all_pairs(different: int) -> None:
    scores, positive = RANDOM.integers(0, different, 60) / 7, RANDOM.random(60) < 0.3
    pairs = [(p > n) + (p == n) / 2 for p in scores[positive] for n in scores[~positive]]
    assert roc_area(scores, positive) == pytest.approx(sum(pairs) / len(pairs), abs=1e-14)


def test_without_pairs_there_is_no_roc_area() -> None:
    assert roc_area(np.ones(3), np.ones(3, bool)) is None
    assert roc_area(np.ones(3), np.zeros(3, bool)) is None
    assert roc_area(np.array([1, np.nan]), np.array([True, False])) is None


def test_one_output_for_two_classes_is_read_at_a_half() -> None:
    outputs, targets = [[0.5], [0.51], [0.9], [0.2], [0.7]], [[1], [1], [0], [0], [1]]
    part = samples(outputs, targets)
    made = assess(echo(1), part, reading="classes", worst=1)
    assert made.counts is not None
    assert made.counts.confusion is not None
    assert made.counts.confusion.tolist() == [[1, 1], [1, 2]]  # a half itself is no
    assert (made.counts.samples.tolist(), made.counts.predicted.tolist()) == ([2, 3], [2, 3])
    assert made.accuracy == Evaluator(echo(1), part, reading="classes")().accuracy == 3 / 5
    # Of the pairs of .5, .51, .7 with .9 and .2 half are in order.
    assert made.counts.roc_area == 0.5
    assert made.worst[0].row == 2


def f1(true: Any, given: Any) -> float:
    both = sum(t and g for t, g in zip(true, given, strict=True))
    precision, recall = both / sum(given), both / sum(true)
    return float(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("most", [1 << 25, 60], ids=["ranked", "too many to rank"])
def test_labels_against_loops(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "MOST_RANKED", most)
    targets = (RANDOM.random((300, 3)) < [0.5, 0.2, 0.9]).astype(float)
    outputs = np.clip(targets * 0.3 + RANDOM.random((300, 3)), 0, 1)
    part = samples(outputs, targets)
    made = assess(echo(3), part, reading="labels")
    labels = made.labels
    assert labels is not None
    rows = list(zip(targets.tolist(), outputs.tolist(), strict=True))
    exact = sum([a > 0.5 for a in a_row] == [y == 1 for y in y_row] for y_row, a_row in rows)
    assert (labels.total, labels.exact) == (300, exact)
    assert made.accuracy == Evaluator(echo(3), part, reading="labels")().accuracy == exact / 300
    for k in range(3):
        true, given = [y[k] == 1 for y, _ in rows], [a[k] > 0.5 for _, a in rows]
        assert labels.accuracy[k] == pytest.approx(np.mean(np.equal(true, given)))
        assert labels.f1[k] == pytest.approx(f1(true, given))
        area = roc_area(outputs[:, k], targets[:, k] == 1)
        assert labels.roc_area[k] == (area if most > 60 else None)
    assert (made.counts, made.fit) == (None, None)


def test_a_label_that_nothing_has_has_no_shares() -> None:
    labels = assess(echo(2), samples([[1, 0]] * 3, [[1, 0]] * 3), reading="labels").labels
    assert labels is not None
    assert labels.accuracy == [1, 1]
    assert (labels.precision, labels.recall, labels.f1) == ([1, None],) * 3
    assert (labels.exact_match, labels.roc_area) == (1, [None, None])
