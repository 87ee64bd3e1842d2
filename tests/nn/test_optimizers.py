"""Momentum, weight decay and schedules, by hand.

The hand computations follow torch.optim.SGD: the decay is added to the gradient before momentum,
the first velocity is the gradient itself, and η multiplies the velocity when it is used.
"""

import math

import numpy as np
import pytest

from nncli.nn.layers import Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.schedules import Constant, Cosine, Exponential, StepDecay
from nncli.nn.step import Step


def one_weight(w, b=None, **how) -> Step:
    """a = w x + b with x = 1 and y = 0, so that ∂C/∂w = ∂C/∂b = a."""
    layer = Dense(
        units=1,
        activation="identity",
        bias=b is not None,
        weights=np.array([[w]]),
        biases=None if b is None else np.array([b]),
    )
    network = build_network([layer], (1,), "quadratic", np.float64, np.random.default_rng(0))
    step = Step(network, sgd(network, **how), 1)
    step.inputs[...] = 1
    return step


def run(step: Step, etas) -> list:
    path = []
    for eta in etas:
        step.run(eta)
        path.append(step.network.parameters.tolist())
    return path


def near(path):
    return pytest.approx(np.array(path), rel=1e-14)


def test_plain():
    assert np.array(run(one_weight(1.0), [0.1, 0.1, 0.1])) == near([[0.9], [0.81], [0.729]])


def test_momentum():
    # v = 1, 0.9 + 0.9 = 1.8, 1.62 + 0.72 = 2.34
    path = run(one_weight(1.0, momentum=0.9), [0.1, 0.1, 0.1])
    assert np.array(path) == near([[0.9], [0.72], [0.486]])


def test_weight_decay():
    # g = w + 0.5 w, so w shrinks by 1 − 0.1 · 1.5
    path = run(one_weight(1.0, weight_decay=0.5), [0.1, 0.1, 0.1])
    assert np.array(path) == near([[0.85], [0.85**2], [0.85**3]])


def test_momentum_and_weight_decay():
    # g = 1.5 w.  v = 1.5;  1.35 + 1.275 = 2.625;  2.3625 + 0.88125 = 3.24375
    path = run(one_weight(1.0, momentum=0.9, weight_decay=0.5), [0.1, 0.1, 0.1])
    assert np.array(path) == near([[0.85], [0.5875], [0.263125]])


def test_eta_multiplies_the_velocity_when_it_is_used():
    # v = 1, so w = 0.9;  v = 0.9 + 0.9 = 1.8, so w = 0.9 − 0.01 · 1.8
    path = run(one_weight(1.0, momentum=0.9), [0.1, 0.01])
    assert np.array(path) == near([[0.9], [0.882]])


def test_biases_decay_as_weights_do():
    # a = 1 + 2 = 3; w: 3 + 0.5, b: 3 + 1
    path = run(one_weight(1.0, 2.0, weight_decay=0.5), [0.1])
    assert np.array(path) == near([[0.65, 1.6]])


def test_gradient_is_that_of_the_cost_alone():
    step = one_weight(1.0, momentum=0.9, weight_decay=0.5)
    run(step, [0.1, 0.1])
    assert step.optimizer.gradient.tolist() == [0.85]
    assert step.optimizer.state["velocity"].tolist() == [2.625]
    assert step.optimizer.update == pytest.approx(-0.2625)


def test_without_momentum_there_is_no_velocity():
    assert one_weight(1.0).optimizer.state == {}


EPOCHS = range(1, 13)


@pytest.mark.parametrize(
    ("schedule", "closed_form"),
    [
        (Constant(), lambda epoch: 3.0),
        (StepDecay(step_size=4, gamma=0.5), lambda epoch: [3, 1.5, 0.75][(epoch - 1) // 4]),
        (Exponential(gamma=0.9), lambda epoch: 3 * 0.9 ** (epoch - 1)),
        (Cosine(t_max=10), lambda epoch: 3 * math.cos(math.pi * (epoch - 1) / 20) ** 2),
        (
            Cosine(t_max=10, eta_min=0.5),
            lambda epoch: 3 - 2.5 * math.sin(math.pi * (epoch - 1) / 20) ** 2,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_schedules(schedule, closed_form):
    assert schedule.eta(3.0, 1) == 3.0
    for epoch in EPOCHS:
        assert schedule.eta(3.0, epoch) == pytest.approx(closed_form(epoch), rel=1e-14, abs=1e-15)


def test_step_decay_changes_after_step_size_epochs():
    etas = [StepDecay(step_size=3, gamma=0.1).eta(1.0, epoch) for epoch in range(1, 8)]
    assert etas == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_cosine_ends_at_eta_min_after_t_max_epochs():
    assert Cosine(t_max=10, eta_min=0.5).eta(3.0, 11) == pytest.approx(0.5)
    assert Cosine(t_max=10, eta_min=0.5).eta(3.0, 6) == pytest.approx(1.75)
