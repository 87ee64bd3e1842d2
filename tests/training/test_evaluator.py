"""Counts, fits and the worst samples, against plain loops and published figures."""

import math
from typing import Any

import numpy as np
import pytest

from nncli.data import Dataset
from nncli.nn.layers import Dense
from nncli.nn.network import Network, build_network
from nncli.training import counts as training_counts
from nncli.training import evaluate
from nncli.training.evaluate import Evaluator, Forward, assess, block_for

RANDOM = np.random.default_rng(5)


def echo(
    width: int, activation: str = "identity", cost: str = "quadratic", dtype: Any = np.float64
) -> Network:
    """A network whose outputs are its inputs, but for the activation."""
    layer = Dense(units=width, activation=activation, bias=False, weights=np.eye(width))
    return build_network([layer], (width,), cost, dtype, RANDOM)


def samples(inputs: Any, targets: Any) -> Dataset:
    inputs, targets = np.asarray(inputs, float), np.asarray(targets, float)
    return Dataset(inputs, targets, np.arange(len(inputs)))


def counted(true: Any, predicted: Any, classes: int) -> Any:
    outputs, targets = np.eye(classes)[predicted], np.eye(classes)[true]
    return assess(echo(classes), samples(outputs, targets), reading="classes")


@pytest.fixture(params=[1, 3, 1000], ids=lambda size: f"blocks of {size}")
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "BLOCK", request.param)
    monkeypatch.setattr(evaluate, "NARROW_BLOCK", request.param)


def test_precision_and_recall_as_scikit_learn_publishes_them() -> None:
    # https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_score.html and
    # recall_score.html: the first example of each.
    counts = counted([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], 3).counts
    assert counts.precision == [pytest.approx(2 / 3), 0, 0]
    assert counts.recall == [1, 0, 0]


def test_what_has_no_samples_has_no_share() -> None:
    counts = counted([0, 0, 1], [0, 0, 0], 3).counts
    assert counts.precision == [pytest.approx(2 / 3), None, None]
    assert counts.recall == [1, 0, None]


def test_counts_against_loops(small_blocks: None) -> None:
    true, predicted = RANDOM.integers(0, 4, (2, 50))
    counts = counted(true, predicted, 4).counts
    for i in range(4):
        for j in range(4):
            pairs = [1 for t, p in zip(true, predicted, strict=True) if (t, p) == (i, j)]
            assert counts.confusion[i, j] == len(pairs)
        assert counts.samples[i] == list(true).count(i)
        assert counts.predicted[i] == list(predicted).count(i)
    assert counts.accuracy == sum(true == predicted) / 50
    assert counts.right.tolist() == np.diag(counts.confusion).tolist()


def test_very_many_classes_have_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_counts, "MOST_CONFUSED", 3)
    counts = counted([0, 3], [0, 1], 4).counts
    assert counts.confusion is None
    assert (counts.accuracy, counts.recall) == (0.5, [1, None, None, 0])


def test_r2_and_mse_as_scikit_learn_publishes_them() -> None:
    # https://scikit-learn.org/stable/modules/generated/sklearn.metrics.r2_score.html and
    # mean_squared_error.html: y = 3, -0.5, 2, 7 and a = 2.5, 0, 2, 8.
    four = samples([[2.5], [0], [2], [8]], [[3], [-0.5], [2], [7]])
    fit = assess(echo(1), four, reading="numbers")
    assert fit.fit is not None
    assert fit.fit.mse == [0.375]
    assert fit.fit.mae == [0.5]  # .../sklearn.metrics.mean_absolute_error.html
    assert fit.fit.r2 == [pytest.approx(0.9486081370449679, rel=1e-15)]
    assert fit.cost == 0.375 / 2
    assert fit.counts is None


def test_r2_against_loops_and_far_from_zero(small_blocks: None) -> None:
    y = RANDOM.normal(1e6, [1, 2, 3], (40, 3))
    a = y + RANDOM.normal(0, 0.5, y.shape)
    fit = assess(echo(3), samples(a, y), reading="numbers").fit
    assert fit is not None
    for j in range(3):
        mean = math.fsum(y[:, j]) / 40
        residual = math.fsum((a[i, j] - y[i, j]) ** 2 for i in range(40))
        total = math.fsum((y[i, j] - mean) ** 2 for i in range(40))
        assert fit.mse[j] == pytest.approx(residual / 40, rel=1e-9)
        assert fit.r2[j] == pytest.approx(1 - residual / total, rel=1e-9)


def test_r2_of_equal_targets_does_not_exist(small_blocks: None) -> None:
    # The mean of seven times 0.1 is off by a rounding.
    fit = assess(echo(2), samples([[1, 2]] * 7, [[0.1, 0.1]] * 7), reading="numbers").fit
    assert fit is not None
    assert fit.r2 == [None, None]


@pytest.mark.parametrize(
    ("activation", "cost"),
    [("identity", "quadratic"), ("sigmoid", "cross_entropy"), ("softmax", "cross_entropy")],
)
def test_the_worst_by_cost(activation: str, cost: str, small_blocks: None) -> None:
    inputs = RANDOM.normal(0, 2, (30, 3))
    targets = np.eye(3)[RANDOM.integers(0, 3, 30)]
    network = echo(3, activation, cost)
    made = assess(network, samples(inputs, targets), reading="classes", worst=4)
    costs = []
    for x, y in zip(inputs, targets, strict=True):
        alone = samples([x], [y])
        costs.append(Evaluator(network, alone, reading="classes")().cost)
    order = sorted(range(30), key=lambda i: -costs[i])[:4]
    assert [outcome.row for outcome in made.worst] == order
    assert [o.cost for o in made.worst] == pytest.approx([costs[i] for i in order], rel=1e-12)
    for outcome in made.worst:
        assert (outcome.inputs == inputs[outcome.row]).all()
        assert (outcome.targets == targets[outcome.row]).all()
    assert made.cost == pytest.approx(sum(costs) / 30, rel=1e-12)


def test_of_equals_the_first_is_the_worst(small_blocks: None) -> None:
    made = assess(echo(1), samples([[1]] * 9, [[0]] * 9), reading="numbers", worst=3)
    assert [outcome.row for outcome in made.worst] == [0, 1, 2]


def test_what_is_no_number_is_the_worst_of_all() -> None:
    made = assess(echo(1), samples([[1], [np.nan], [9]], [[0]] * 3), reading="numbers", worst=2)
    assert [outcome.row for outcome in made.worst] == [1, 2]


def test_it_agrees_with_the_trainers_evaluation(small_blocks: None) -> None:
    inputs, targets = RANDOM.normal(0, 1, (30, 3)), np.eye(3)[RANDOM.integers(0, 3, 30)]
    network, part = echo(3, "sigmoid"), samples(inputs, targets)
    short = Evaluator(network, part, reading="classes")()
    made = assess(network, part, reading="classes")
    assert made.counts is not None
    assert (made.cost, made.counts.accuracy) == short


def test_large_networks_get_few_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluate.BLOCK < block_for(echo(3)) <= evaluate.NARROW_BLOCK
    assert block_for(echo(100)) == evaluate.BLOCK
    monkeypatch.setattr(evaluate, "MOST_BYTES", 10)
    assert block_for(echo(3)) == 1


@pytest.mark.parametrize("count", [1, 127, 128, 129, 300])
def test_any_number_of_samples_goes_through(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "NARROW_BLOCK", evaluate.BLOCK)
    inputs = RANDOM.normal(0, 1, (count, 3))
    part = Dataset(inputs, np.empty((count, 0)), np.arange(count))
    outputs = list(Forward(echo(3, "sigmoid"))(part))
    assert [len(block) for block in outputs] == [128] * (count // 128) + [count % 128][
        : count % 128
    ]
    np.testing.assert_allclose(np.concatenate(outputs), 1 / (1 + np.exp(-inputs)), rtol=1e-12)


@pytest.mark.parametrize(("count", "times"), [(5, 1), (12, 9)])
def test_samples_of_one_block_are_gathered_once(
    count: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "block_for", lambda network: 5)
    gathered: list[int] = []
    gather = Dataset.gather

    def counted(*arguments: Any) -> None:
        gathered.append(1)
        gather(*arguments)

    monkeypatch.setattr(Dataset, "gather", counted)
    numbers = RANDOM.normal(size=(count, 3))
    network = echo(3)
    evaluator = Evaluator(network, samples(numbers, numbers + 1), reading="numbers")
    assert [evaluator().cost for _ in range(2)] == [pytest.approx(1.5)] * 2
    network.parameters[...] = 0
    evaluator()
    assert len(gathered) == times
