"""What a diagnosis measures of samples: inputs that are targets, classes and rows held back."""

from collections.abc import Callable

import numpy as np
import pytest

from nncli.inspection.diagnosis.baselines import agreement
from nncli.inspection.diagnosis.measures import (
    data_facts,
    held_facts,
    seen_share,
    unseen_classes,
)
from nncli.inspection.diagnosis.record import Giveaway
from nncli.nn.arrays import Array

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, 60)
ONE_HOT = np.eye(3)[CLASSES]
X = RNG.normal(size=(60, 4)).astype(np.float32)


def with_column(column: np.ndarray) -> np.ndarray:
    x = X.copy()
    x[:, 2] = column
    return x


@pytest.mark.parametrize(
    ("column", "output"),
    [
        (np.array([7, -1, 3])[CLASSES], None),  # any value a class
        (np.where(CLASSES == 1, 0.25, -3), 1),  # one class alone
        (np.where(CLASSES == 1, 0.25, -3) + 0.3 * (np.arange(60) == 5), ()),  # but for one sample
        (np.array([7, 7, 3])[CLASSES], 2),
        (CLASSES + 10 * (np.arange(60) % 2), ()),  # more values than classes
    ],
)
def test_an_input_that_is_the_class(column: np.ndarray, output: object) -> None:
    found = data_facts(with_column(column), ONE_HOT, classes=True).giveaways
    assert found == (() if output == () else (Giveaway(2, output),))  # type: ignore[arg-type]


def test_of_two_classes_an_input_tells_both() -> None:
    two = np.eye(2)[(CLASSES > 0).astype(int)]
    x = with_column(np.where(CLASSES > 0, -8, 4))
    for targets in (two, two[:, 1:]):
        assert data_facts(x, targets, classes=True).giveaways == (Giveaway(2, None),)


def test_an_input_that_is_the_target_in_other_units() -> None:
    y = np.stack([X[:, 0] + X[:, 1], 1000 - 9 * X[:, 2]], axis=1).astype(np.float64)
    assert data_facts(X, y, classes=False).giveaways == (Giveaway(2, 1),)
    assert data_facts(X[:10], y[:10], classes=False).giveaways == ()  # too few to say
    assert data_facts(X[:, 2:3], y, classes=False).giveaways == ()  # what else is there to learn
    noisy = y + RNG.normal(size=y.shape)
    assert data_facts(X, noisy, classes=False).giveaways == ()


def test_constant_inputs_and_targets_give_nothing_away() -> None:
    facts = data_facts(with_column(np.ones(60)), np.full((60, 1), 3.0), classes=False)
    assert (facts.same_targets, facts.giveaways) == (True, ())
    assert not data_facts(X, ONE_HOT, classes=True).same_targets


def test_classes_of_samples_held_back_alone() -> None:
    train, held = np.eye(4)[[0, 0, 3]], np.eye(4)[[0, 1, 1, 2, 3]]
    assert unseen_classes(train, held) == ((1, 2), 0.6)
    assert unseen_classes(held, train) == ((), 0.0)
    assert unseen_classes(np.array([[0.0]]), np.array([[1.0], [0.0]])) == ((1,), 0.5)


def test_samples_held_back_that_are_trained_on() -> None:
    held = np.concatenate([X[:3], X[:3] + 1])
    targets = np.concatenate([ONE_HOT[:3], ONE_HOT[:3]])
    assert seen_share((X, ONE_HOT), (held, targets)) == 0.5
    others = np.roll(ONE_HOT, 1, axis=1)  # other answers for the same inputs
    assert seen_share((X, others), (held, targets)) == 0
    few = np.round(X[:, :2]) > 0  # four different rows in all: they are bound to repeat
    assert seen_share((few, ONE_HOT), (few, ONE_HOT)) == 0


def test_a_target_beyond_all_others() -> None:
    y = RNG.normal(size=(60, 2))
    assert data_facts(X, y, classes=False).heavy is None
    y[7, 1] = -400.0
    heavy = data_facts(X, y, classes=False).heavy
    assert heavy is not None
    assert (heavy.sample, heavy.value) == (7, -400)
    assert heavy.usual == np.abs(np.delete(y, 7, axis=0)).max()
    assert data_facts(X[:15], y[:15], classes=False).heavy is None  # too few to say
    assert held_facts((X, y), (X, y), classes=False).heavy == heavy


@pytest.mark.parametrize(
    ("change", "shift", "stretch"),
    [(lambda x: x, 0, 1), (lambda x: x + 3 * X.std(axis=0), 3, 1), (lambda x: x / 8, 0, 8)],
)
def test_inputs_from_elsewhere(
    change: Callable[[Array], Array], shift: float, stretch: float
) -> None:
    """An input more that never changes where it was trained on, and one that is rare."""
    flat, rare = np.ones((60, 1)), (np.arange(60) == 59)[:, None]
    x = np.concatenate([X, flat, rare], axis=1)
    u = np.concatenate([change(X), 5 * flat, 0 * flat], axis=1)
    found = held_facts((x, ONE_HOT), (u, ONE_HOT), classes=True)
    assert found.shift == pytest.approx(shift, abs=0.2)
    assert found.stretch == pytest.approx(stretch, rel=1e-5)
    u[3, 1] = 1e15  # one number is no other kind of inputs
    spoilt = held_facts((x, ONE_HOT), (u, ONE_HOT), classes=True)
    assert (spoilt.shift, spoilt.stretch) == (0, 1)


def test_targets_that_are_the_contrary() -> None:
    x = RNG.normal(size=(120, 3))
    y = x @ [[1.0], [2.0], [0.5]]
    noise = RNG.normal(size=(120, 1))
    for targets, least, most in ((y, 7, 8), (-y, -8, -7), (noise, -3, 3)):
        found = agreement((x[60:], y[60:]), (x[:60], targets[:60]))
        assert found is not None
        assert least < found < most
    assert agreement((x[:30], y[:30]), (x[60:], y[60:])) is None
