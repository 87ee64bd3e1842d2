"""The batchnorm layer: what it keeps, evaluation by what it has kept, and what it refuses.

Its arithmetic in training is tested with that of all kinds, and its state against PyTorch's.
"""

from typing import Any

import numpy as np
import pytest

from nncli.core.errors import LayerError
from nncli.nn.layers import BatchNorm, Conv, Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step

HEAD = Dense(units=2)
VECTORS = [BatchNorm(epsilon=0.01, momentum=0.2), HEAD], (4,)
IMAGES = [BatchNorm(epsilon=0.01, momentum=0.2), Conv(filters=2, kernel=(2, 2)), HEAD], (3, 4, 5)


@pytest.fixture(params=[VECTORS, IMAGES], ids=["vectors", "images"])
def made(request: pytest.FixtureRequest) -> Any:
    layers, shape = request.param
    return build_network(layers, shape, "quadratic", np.float64, np.random.default_rng(0))


def step_of(network: Any, n: int = 6, **how: Any) -> Step:
    step = Step(network, sgd(network), n, **how)
    step.inputs[...] = np.random.default_rng(n).normal(2, 3, step.inputs.shape)
    return step


def statistics(inputs: Any) -> Any:
    """Mean, biased and unbiased variance of each unit or channel, by NumPy's own functions."""
    axes = (0, *range(2, inputs.ndim))
    return inputs.mean(axis=axes), inputs.var(axis=axes), inputs.var(axis=axes, ddof=1)


def test_it_begins_with_mean_0_and_variance_1(made: Any) -> None:
    state = made.state_of("batchnorm1")
    units = made.input_shape[0]
    assert state["running_mean"].tolist() == [0] * units
    assert state["running_variance"].tolist() == [1] * units
    assert state["batches"] == 0
    assert made.views(made.parameters)["batchnorm1"]["weight"].tolist() == [1] * units


def test_running_statistics_move_by_momentum(made: Any) -> None:
    step = step_of(made)
    mean, variance = np.zeros(made.input_shape[0]), np.ones(made.input_shape[0])
    for seed in range(4):
        step.inputs[...] = np.random.default_rng(seed).normal(seed, 2, step.inputs.shape)
        of_batch, _, unbiased = statistics(step.inputs)
        mean, variance = 0.8 * mean + 0.2 * of_batch, 0.8 * variance + 0.2 * unbiased
        step.run(0.1)
    state = made.state_of("batchnorm1")
    np.testing.assert_allclose(state["running_mean"], mean, rtol=1e-13)
    np.testing.assert_allclose(state["running_variance"], variance, rtol=1e-13)
    assert state["batches"] == 4


def test_nothing_but_a_step_of_a_training_moves_them(made: Any) -> None:
    before = made.copy_state()
    step_of(made).forward()
    step_of(made, is_training=False).run(0.0)
    Step(made, None, 6, differentiable=True).differentiate(full=True)
    assert all(np.array_equal(before[key], made.state[key]) for key in before)


def test_a_cost_that_is_not_finite_leaves_them(made: Any) -> None:
    step = step_of(made)
    step.run(0.1)
    before = made.copy_state()
    step.inputs[0] = np.nan
    assert not np.isfinite(step.run(0.1))
    assert all(np.array_equal(before[key], made.state[key]) for key in before)


@pytest.mark.parametrize("n", [1, 6])
def test_evaluation_takes_the_running_statistics(made: Any, n: int) -> None:
    step_of(made).run(0.1)
    step = step_of(made, n, is_training=False)
    step.run(0.0, full=True)
    norm, state = step.layers[0], made.state_of("batchnorm1")
    units = (-1, *(1 for _ in made.input_shape))

    def by_unit(array: Any) -> Any:
        return array.reshape(units)

    x = np.moveaxis(step.inputs, 0, -1)
    deviation = by_unit(np.sqrt(state["running_variance"] + 0.01))
    normalised = (x - by_unit(state["running_mean"])) / deviation
    weight, bias = (by_unit(norm.parameters[key]) for key in ("weight", "bias"))
    np.testing.assert_allclose(norm.a, weight * normalised + bias, rtol=1e-12, atol=1e-13)
    # In the backward pass they are constants.
    np.testing.assert_allclose(norm.downstream, norm.upstream * weight / deviation, rtol=1e-12)
    axes = tuple(range(1, x.ndim))
    sums = (norm.upstream * normalised).sum(axis=axes), norm.upstream.sum(axis=axes)
    for key, expected in zip(("weight", "bias"), sums, strict=True):
        np.testing.assert_allclose(norm.gradients[key], expected / n, rtol=1e-11, atol=1e-14)


def test_in_evaluation_a_sample_depends_on_no_other(made: Any) -> None:
    step_of(made).run(0.1)
    many = step_of(made, 6, is_training=False)
    many.forward()
    one = step_of(made, 1, is_training=False)
    one.inputs[...] = many.inputs[2:3]
    one.forward()
    np.testing.assert_allclose(one.outputs[0], many.outputs[2], rtol=1e-14)


def test_copies_in_another_dtype_take_the_state_along(made: Any) -> None:
    step_of(made).run(0.1)
    copy = made.astype(np.float32)
    assert copy.state["batchnorm1.running_mean"].dtype == np.float32
    assert copy.state["batchnorm1.batches"] == 1
    np.testing.assert_allclose(
        copy.state["batchnorm1.running_variance"],
        made.state["batchnorm1.running_variance"],
        rtol=1e-6,
    )
    assert not np.shares_memory(copy.state["batchnorm1.batches"], made.state["batchnorm1.batches"])


def test_one_value_a_unit_is_refused() -> None:
    layers, shape = VECTORS
    network = build_network(layers, shape, "quadratic", np.float64, np.random.default_rng(0))
    with pytest.raises(LayerError, match="batchnorm1 normalises each unit") as caught:
        step_of(network, 1)
    assert caught.value.index == 0
    step_of(network, 1, is_training=False).forward()


def test_one_image_has_a_variance() -> None:
    layers, shape = IMAGES
    network = build_network(layers, shape, "quadratic", np.float64, np.random.default_rng(0))
    assert np.isfinite(step_of(network, 1).run(0.1))


def test_constant_inputs_divide_by_epsilon_alone(made: Any) -> None:
    step = step_of(made)
    step.inputs[...] = 7
    assert np.isfinite(step.run(0.1, full=True))
    assert np.abs(step.layers[0].recorded["normalised"]).max() < 1e-12
    np.testing.assert_allclose(step.layers[0].recorded["variance"], 0, atol=1e-24)


@pytest.mark.parametrize("processes", [False, True])
def test_it_is_not_shared_out(made: Any, processes: bool) -> None:
    alone = step_of(made, 8)
    with WorkerPool(2, processes=processes) as workers:
        shared = Step(twin := made.astype(np.float64), sgd(twin), 8, workers)
        assert len(shared.passes) == 1
        shared.inputs[...], shared.targets[...] = alone.inputs, alone.targets
        assert [shared.run(0.1) for _ in range(3)] == [alone.run(0.1) for _ in range(3)]
    assert np.array_equal(twin.parameters, made.parameters)
    assert all(np.array_equal(twin.state[key], made.state[key]) for key in twin.state)
