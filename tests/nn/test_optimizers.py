"""Momentum, weight decay and schedules, by hand.

The hand computations follow torch.optim.SGD: the decay is added to the gradient before momentum,
the first velocity is the gradient itself, and η multiplies the velocity when it is used.
"""

import math
from typing import Any

import numpy as np
import pytest

from nncli.nn.arrays import execute
from nncli.nn.layers import Dense
from nncli.nn.links import GRADIENT, PARAMETERS, before
from nncli.nn.network import build_network
from nncli.nn.optimizers import Optimizer, chain_of, sgd
from nncli.nn.schedules import Constant, Cosine, Exponential, StepDecay
from nncli.nn.step import Step
from nncli.nn.trace import Start
from tests.conftest import present
from tests.reference.make_optimizers import CASES, ETA, PATH, SIZE

from .cases import SOME_CASES, relative_error, settle


def one_weight(w: Any, b: Any = None, **how: Any) -> Step:
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


def run(step: Step, etas: Any) -> list[Any]:
    path = []
    for eta in etas:
        step.run(eta)
        path.append(step.network.parameters.tolist())
    return path


def near(path: Any) -> Any:
    return pytest.approx(np.array(path), rel=1e-14)


def test_plain() -> None:
    assert np.array(run(one_weight(1.0), [0.1, 0.1, 0.1])) == near([[0.9], [0.81], [0.729]])


def test_momentum() -> None:
    # v = 1, 0.9 + 0.9 = 1.8, 1.62 + 0.72 = 2.34
    path = run(one_weight(1.0, momentum=0.9), [0.1, 0.1, 0.1])
    assert np.array(path) == near([[0.9], [0.72], [0.486]])


def test_weight_decay() -> None:
    # g = w + 0.5 w, so w shrinks by 1 − 0.1 · 1.5
    path = run(one_weight(1.0, weight_decay=0.5), [0.1, 0.1, 0.1])
    assert np.array(path) == near([[0.85], [0.85**2], [0.85**3]])


def test_momentum_and_weight_decay() -> None:
    # g = 1.5 w.  v = 1.5;  1.35 + 1.275 = 2.625;  2.3625 + 0.88125 = 3.24375
    path = run(one_weight(1.0, momentum=0.9, weight_decay=0.5), [0.1, 0.1, 0.1])
    assert np.array(path) == near([[0.85], [0.5875], [0.263125]])


def test_eta_multiplies_the_velocity_when_it_is_used() -> None:
    # v = 1, so w = 0.9;  v = 0.9 + 0.9 = 1.8, so w = 0.9 − 0.01 · 1.8
    path = run(one_weight(1.0, momentum=0.9), [0.1, 0.01])
    assert np.array(path) == near([[0.9], [0.882]])


def test_biases_decay_as_weights_do() -> None:
    # a = 1 + 2 = 3; w: 3 + 0.5, b: 3 + 1
    path = run(one_weight(1.0, 2.0, weight_decay=0.5), [0.1])
    assert np.array(path) == near([[0.65, 1.6]])


def test_gradient_is_that_of_the_cost_alone() -> None:
    step = one_weight(1.0, momentum=0.9, weight_decay=0.5)
    run(step, [0.1, 0.1])
    assert present(step.optimizer).gradient.tolist() == [0.85]
    assert present(step.optimizer).state["velocity"].tolist() == [2.625]
    assert present(step.optimizer).update == pytest.approx(-0.2625)


def test_without_momentum_there_is_no_velocity() -> None:
    assert present(one_weight(1.0).optimizer).state == {}


def test_nesterov() -> None:
    # v = 1, so w: −0.1 (1 + 0.9);  g = 0.81: v = 0.9 + 0.81 = 1.71, −0.1 (0.81 + 0.9 · 1.71)
    path = run(one_weight(1.0, momentum=0.9, nesterov=True), [0.1, 0.1])
    assert np.array(path) == near([[0.81], [0.5751]])


def test_decoupled_weight_decay_does_not_pass_through_momentum() -> None:
    # v = 1, so w: −0.1 (1 + 0.5 · 1);  g = 0.85: v = 0.9 + 0.85 = 1.75, −0.1 (1.75 + 0.425)
    path = run(one_weight(1.0, momentum=0.9, decoupled_weight_decay=0.5), [0.1, 0.1])
    assert np.array(path) == near([[0.85], [0.6325]])


def chain_names(**settings: Any) -> list[str]:
    return [link.name for link in sgd(one_weight(1.0).network, **settings).links]


def test_a_chain_has_the_links_that_are_asked_for() -> None:
    assert chain_names() == ["learning rate"]
    settings = {"momentum": 0.9, "weight_decay": 0.1, "decoupled_weight_decay": 0.2}
    assert chain_names(**settings) == ["weight decay", "momentum", "weight decay", "learning rate"]


def test_a_stretch_at_a_time_comes_to_the_same_bits() -> None:
    settings = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}
    whole, parts = one_weight(1.0, 2.0, **settings), one_weight(1.0, 2.0, **settings)
    for _ in range(3):
        whole.run(0.1)
        parts.forward()
        present(parts.optimizer).gradient[...] = present(whole.optimizer).gradient
        present(parts.optimizer).begin(0.1)
        for stretch in (slice(1, 2), slice(0, 1)):
            execute(present(parts.optimizer).operations(stretch))
        assert parts.network.parameters.tobytes() == whole.network.parameters.tobytes()


@pytest.mark.parametrize("name", CASES)
def test_two_hundred_steps_are_those_of_pytorch(name: Any) -> None:
    _, _, kind, settings = CASES[name]
    record = np.load(PATH)
    layer = Dense(units=1, bias=False, weights=record["start"][:, None])
    rng = np.random.default_rng(0)
    network = build_network([layer], (SIZE,), "quadratic", np.float64, rng)
    optimizer = Optimizer(network, chain_of(kind, **settings))
    for gradient, expected in zip(record["gradients"], record[name], strict=True):
        optimizer.gradient[...] = gradient
        optimizer.apply(ETA)
        assert relative_error(network.parameters, expected) < 1e-12


def test_adam_by_hand() -> None:
    # m = 0.1 g, v = 0.001 g²; corrected they are g and g², so the first step is η · sign(g)
    step = one_weight(2.0)
    optimizer = Optimizer(step.network, chain_of("adam", epsilon=1e-12))
    optimizer.gradient[...] = -7
    optimizer.apply(0.1)
    assert step.network.parameters.tolist() == near([2.1])
    # m = 0.09 (−7) + 0.1 · 3, v = 0.999 · 0.001 · 49 + 0.001 · 9
    optimizer.gradient[...] = 3
    optimizer.apply(0.1)
    m, v = (0.09 * -7 + 0.3) / (1 - 0.81), (0.000999 * 49 + 0.009) / (1 - 0.999**2)
    assert step.network.parameters.tolist() == near([2.1 - 0.1 * m / math.sqrt(v)])
    assert optimizer.state["adam_steps"] == 2


CHAINS = {
    "adam": {"kind": "adam", "weight_decay": 0.1},
    "adamw": {"kind": "adam", "beta1": 0.8, "decoupled_weight_decay": 0.1},
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "decoupled": {"momentum": 0.5, "decoupled_weight_decay": 0.1},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", CHAINS.values(), ids=CHAINS)
def test_what_a_link_writes_is_its_formula(settings: Any, dtype: Any) -> None:
    """Operation by operation it is the same rounding, so that not a bit may differ."""
    step = settle(SOME_CASES[0]).step(dtype, **settings)
    for _ in range(3):  # from the second on, there is a state
        assert step.optimizer is not None
        start = Start.of(step.network, step.optimizer)
        step.run(0.1, full=True)
        optimizer = step.optimizer
        values = {**optimizer.vectors, **optimizer.scalars, PARAMETERS: start.parameters}
        values |= {before(name): array for name, array in start.state.items()}
        incoming = GRADIENT
        for link in optimizer.links:
            for name, expected in link.formula(values[incoming], values).items():
                assert np.array_equal(expected, optimizer.vectors[name]), (link.name, name)
            incoming = link.outgoing
        new = start.parameters + optimizer.update
        assert np.array_equal(step.network.parameters, new)


def test_a_plain_step_has_no_more_operations_than_it_needs() -> None:
    """Of [784, 30, 10] with biases, whose time is that of NumPy's calls: see the benchmarks."""
    layers = [Dense(units=30), Dense(units=10)]
    network = build_network(layers, (784,), "quadratic", np.float32, np.random.default_rng(0))
    step = Step(network, sgd(network), 10)
    (whole,) = step.passes
    forward, backward = len(whole.forward_operations), len(whole.backward_operations)
    assert (forward, backward, len(present(step.optimizer).operations())) == (18, 8, 2)


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
def test_schedules(schedule: Any, closed_form: Any) -> None:
    assert schedule.eta(3.0, 1) == 3.0
    for epoch in EPOCHS:
        assert schedule.eta(3.0, epoch) == pytest.approx(closed_form(epoch), rel=1e-14, abs=1e-15)


def test_step_decay_changes_after_step_size_epochs() -> None:
    etas = [StepDecay(step_size=3, gamma=0.1).eta(1.0, epoch) for epoch in range(1, 8)]
    assert etas == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_cosine_ends_at_eta_min_after_t_max_epochs() -> None:
    assert Cosine(t_max=10, eta_min=0.5).eta(3.0, 11) == pytest.approx(0.5)
    assert Cosine(t_max=10, eta_min=0.5).eta(3.0, 6) == pytest.approx(1.75)
