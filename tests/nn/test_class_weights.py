"""Weights of classes: against steps on each sample alone, PyTorch's record, and derivatives."""

from typing import Any

import numpy as np
import pytest

from nncli.inspection.check import check
from nncli.nn.layers import Dense
from nncli.nn.network import Network, build_network
from nncli.nn.optimizers import sgd
from nncli.nn.parallel.worker_pool import WorkerPool, buffers_for
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace
from nncli.nn.weighting import SampleWeights
from tests.nn.cases import ENDINGS
from tests.reference.torch_weights import CASES, ETA, RECORD, draw

SAMPLES = 9
ONE_OUTPUT = [("quadratic", "tanh"), ("cross_entropy", "sigmoid")]


def network_of(cost: str, activation: str, outputs: int, threads: int = 1) -> Network:
    layers = [Dense(units=6, activation="tanh"), Dense(units=outputs, activation=activation)]
    rng = np.random.default_rng(3)
    return build_network(layers, (4,), cost, np.float64, rng, buffers_for(threads))


def fill(step: Step, rows: Any = slice(None)) -> Any:
    """Gives a step some of the samples; the weight of the class of each of these."""
    rng = np.random.default_rng(4)
    x, classes = rng.standard_normal((SAMPLES, 4)), np.arange(SAMPLES) % 3
    outputs = step.targets.shape[1]
    classes = classes if outputs > 1 else classes % 2
    step.inputs[...] = x[rows]
    step.targets[...] = (np.eye(3)[classes] if outputs > 1 else classes[:, None])[rows]
    return np.array([0.3, 2.0, 1.7])[classes[rows]]


@pytest.mark.parametrize(
    ("cost", "activation", "outputs"),
    [*((*ending, 3) for ending in ENDINGS), *((*ending, 1) for ending in ONE_OUTPUT)],
)
def test_a_step_is_the_weighted_sum_of_steps_on_single_samples(
    cost: str, activation: str, outputs: int
) -> None:
    network = network_of(cost, activation, outputs)
    network.class_weights = np.array([0.3, 2.0, 1.7][: max(2, outputs)])
    step = Step(network, None, SAMPLES, differentiable=True)
    weights = fill(step)
    found = step.differentiate(full=True)
    assert step.gradient is not None
    assert step.sample_weights is not None
    np.testing.assert_allclose(step.sample_weights, weights, rtol=0)
    plain = network_of(cost, activation, outputs)
    total, gradient = 0.0, np.zeros_like(step.gradient)
    for k, weight in enumerate(weights):
        single = Step(plain, None, 1, differentiable=True)
        fill(single, [k])
        total += weight * single.differentiate(full=True) / SAMPLES
        assert single.gradient is not None
        gradient += weight * single.gradient / SAMPLES
        for own, alone in zip(step.layers, single.layers, strict=True):
            assert own.delta is not None
            assert alone.delta is not None
            np.testing.assert_allclose(
                own.delta[:, k], weight * alone.delta[:, 0], rtol=1e-12, atol=1e-14
            )
            np.testing.assert_allclose(
                own.upstream[:, k], weight * alone.upstream[:, 0], rtol=1e-12, atol=1e-14
            )
    assert found == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(step.gradient, gradient, rtol=1e-12, atol=1e-15)


def test_evaluation_is_not_weighted() -> None:
    network = network_of("cross_entropy", "softmax", 3)
    costs = []
    for weights in (None, np.array([0.3, 2.0, 1.7])):
        network.class_weights = weights
        step = Step(network, None, SAMPLES, is_training=False)
        fill(step)
        costs.append(step.forward())
        assert step.sample_weights is None
    assert costs[0] == costs[1]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", CASES)
def test_a_step_against_torch(name: str, reduction: str) -> None:
    """As its weighted sum over n; its weighted mean has Σ w_x in the place of n."""
    drawn, (activation, weights) = draw(name), CASES[name]
    outputs = drawn["weight2"].shape[1]
    layers = [
        Dense(units=4, activation="tanh", weights=drawn["weight1"], biases=drawn["bias1"]),
        Dense(
            units=outputs, activation=activation, weights=drawn["weight2"], biases=drawn["bias2"]
        ),
    ]
    rng = np.random.default_rng(0)
    network = build_network(layers, (3,), "cross_entropy", np.float64, rng)
    network.class_weights = np.array(weights)
    step = Step(network, sgd(network), len(drawn["x"]))
    classes = drawn["classes"]
    step.inputs[...] = drawn["x"]
    step.targets[...] = np.eye(outputs)[classes] if outputs > 1 else classes[:, None]
    factor = 1.0
    if reduction == "mean":
        factor = len(classes) / np.array(weights)[classes].sum()
    cost = step.run(ETA * factor)
    with np.load(RECORD) as record:
        torch = {key: record[f"{name}.{reduction}.{key}"] for key in KEYS}
    assert cost * factor == pytest.approx(float(torch["cost"]), rel=1e-13)
    for k, layer in enumerate(step.layers, start=1):
        assert layer.delta is not None
        np.testing.assert_allclose(layer.delta.T * factor, torch[f"delta{k}"], rtol=1e-11)
        for key in ("weight", "bias"):
            gradient = layer.gradients[key] * factor
            np.testing.assert_allclose(gradient, torch[f"{key}{k}_gradient"], rtol=1e-11)
            np.testing.assert_allclose(layer.parameters[key], torch[f"{key}{k}_new"], rtol=1e-12)


KEYS = [
    "cost",
    *("delta1", "delta2"),
    *(f"{key}{k}_{of}" for key in ("weight", "bias") for k in (1, 2) for of in ("gradient", "new")),
]


@pytest.mark.parametrize("outputs", [3, 1])
@pytest.mark.parametrize("processes", [True, False])
def test_workers_share_a_weighted_step(outputs: int, processes: bool) -> None:
    costs, parameters = [], []
    for threads in (1, 2):
        network = network_of("cross_entropy", "sigmoid", outputs, threads)
        network.class_weights = np.array([0.3, 2.0, 1.7][: max(2, outputs)])
        with WorkerPool(threads, processes=processes) as workers:
            step = Step(network, sgd(network), SAMPLES, workers)
            weights = fill(step)
            costs.append([step.run(0.5) for _ in range(3)])
            parameters.append(network.parameters.copy())
            assert step.sample_weights is not None
            np.testing.assert_array_equal(step.sample_weights, weights)
    assert costs[0] == pytest.approx(costs[1], rel=1e-13)
    np.testing.assert_allclose(parameters[0], parameters[1], rtol=1e-12)


def trace_of(cost: str, activation: str, outputs: int, dtype: Any = np.float64) -> Trace:
    network = network_of(cost, activation, outputs).astype(dtype)
    network.class_weights = np.array([0.3, 2.0, 1.7][: max(2, outputs)])
    step = Step(network, sgd(network), SAMPLES)
    fill(step)
    start = Start.of(network, step.optimizer)  # type: ignore[arg-type]
    run = step.run(0.5, full=True)
    return record_trace(step, eta=0.5, cost=run, start=start, samples=range(SAMPLES))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("cost", "activation", "outputs"),
    [("quadratic", "sigmoid", 3), ("cross_entropy", "softmax", 3), ("cross_entropy", "sigmoid", 1)],
)
def test_a_weighted_step_is_proven(cost: str, activation: str, outputs: int, dtype: Any) -> None:
    found = check(trace_of(cost, activation, outputs, dtype))
    assert found.verdict == "passed"


@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
def test_a_weight_that_is_forgotten_on_the_way_back_is_found(
    monkeypatch: pytest.MonkeyPatch, cost: str
) -> None:
    monkeypatch.setattr(
        SampleWeights,
        "weighing",
        lambda self, difference, error: lambda: np.copyto(error, difference),
    )
    assert check(trace_of(cost, "sigmoid", 3)).verdict == "failed"
