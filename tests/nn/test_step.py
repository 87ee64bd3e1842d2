"""What a step promises beyond its numbers: precision, repeatability, memory, safe failure."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import Dense
from nncli.nn.network import build_network, splits_samples
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from tests.conftest import present

from .cases import DRAWS, LENET, SOME_CASES, build_case, relative_error, settle
from .test_against_reference import TOLERANCE, first_difference

some_cases = pytest.mark.parametrize("case", SOME_CASES, ids=str)


def after(
    step: Step, etas: tuple[float, float, float] = (0.5, 0.5, 0.5), full: bool = True
) -> bytes:
    """Every bit that some steps leave behind."""
    costs = [step.run(eta, full=full) for eta in etas]
    optimizer = step.optimizer
    return np.array(costs).tobytes() + b"".join(
        array.tobytes()
        for array in (
            step.network.parameters,
            present(optimizer).gradient,
            present(optimizer).update,
        )
    )


@some_cases
def test_float32_agrees_with_float64(case: Any) -> None:
    setting = settle(case)
    single, double = setting.step(np.float32), setting.step(np.float64)
    reference = setting.reference(double.network)
    cost = single.run(0.5, full=True)
    assert first_difference(single, cost, reference, 1e-5) is None
    assert single.optimizer is not None
    written: list[Any] = [single.optimizer.update]
    for layer in single.layers:
        written += [layer.a, layer.upstream, layer.downstream]
    assert {array.dtype for array in written} == {np.dtype(np.float32)}


@some_cases
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_start_gives_the_same_bits(case: Any, dtype: Any) -> None:
    how = {"momentum": 0.9, "weight_decay": 0.01}
    assert after(settle(case).step(dtype, **how)) == after(settle(case).step(dtype, **how))


@some_cases
def test_a_full_step_trains_as_a_lean_one_does(case: Any) -> None:
    setting = settle(case)
    assert after(setting.step(), full=True) == after(setting.step(), full=False)


@some_cases
def test_forward_alone_changes_nothing_and_gives_the_cost_of_run(case: Any) -> None:
    step = settle(case).step()
    before = step.network.parameters.copy()
    cost = step.forward()
    assert np.array_equal(step.network.parameters, before)
    assert not present(step.optimizer).gradient.any()
    assert step.run(0.5) == cost


@some_cases
def test_a_step_leaves_nothing_behind_for_the_next(case: Any) -> None:
    setting = settle(case)
    used = setting.step()
    used.inputs[...] = 3
    used.run(0.5, full=True)
    used.network.parameters[...] = setting.network().parameters
    used.inputs[...] = setting.inputs
    assert after(used) == after(setting.step())


@some_cases
def test_steps_of_several_sizes_share_one_optimizer(case: Any) -> None:
    setting = settle(case)
    step = setting.step(momentum=0.9)
    step.run(0.5)
    network, optimizer = step.network, step.optimizer
    n = max(1, *(p.layer.smallest_batch(p.input_shape) for p in network.layers))
    smaller = Step(network, optimizer, n)
    smaller.inputs[...] = setting.inputs[:n]
    smaller.targets[...] = setting.targets[:n]
    smaller.randomise(DRAWS)
    velocities = {
        f"{name}.{key}_velocity": v.tolist()
        for name, keys in network.views(present(optimizer).state["velocity"]).items()
        for key, v in keys.items()
    }
    one = replace(
        setting,
        case=replace(case, n=n),
        inputs=setting.inputs[:n],
        targets=setting.targets[:n],
    )
    reference = one.reference(network, 0.5, momentum=0.9, velocities=velocities)
    cost = smaller.run(0.5, full=True)
    assert first_difference(smaller, cost, reference, TOLERANCE) is None
    smaller_update = present(optimizer).update.copy()
    step.run(0.5)
    assert not np.array_equal(present(optimizer).update, smaller_update)


@pytest.mark.parametrize(
    "case", [c for c in SOME_CASES if splits_samples(build_case(c).layers)], ids=str
)
def test_the_gradient_of_a_batch_is_the_mean_over_its_samples(case: Any) -> None:
    setting = settle(case)
    whole = setting.step()
    whole.run(0.0)
    network = setting.network()
    step = Step(network, sgd(network), 1)
    gradients = []
    for k, (x, y) in enumerate(zip(setting.inputs, setting.targets, strict=True)):
        step.inputs[0], step.targets[0] = x, y
        drawn = ({q: a[..., k : k + 1] for q, a in x.recorded.items()} for x in whole.layers)
        step.replay_random([*drawn])
        step.run(0.0)
        gradients.append(present(step.optimizer).gradient.copy())
    assert relative_error(present(whole.optimizer).gradient, np.mean(gradients, axis=0)) < TOLERANCE


@pytest.mark.parametrize("poisoned", ["inputs", "targets", "parameters"])
def test_a_cost_that_is_not_finite_leaves_the_parameters(poisoned: str) -> None:
    step = settle(LENET).step(momentum=0.9, weight_decay=0.01)
    step.run(0.5)
    holder = step.network if poisoned == "parameters" else step
    getattr(holder, poisoned).flat[0] = np.nan
    state = (
        step.network.parameters,
        present(step.optimizer).state["velocity"],
        present(step.optimizer).update,
    )
    before = [array.copy() for array in state]
    assert not np.isfinite(step.run(0.5, full=True))
    assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(before, state, strict=True))


def test_a_cost_that_overflows_leaves_the_parameters() -> None:
    layer = Dense(units=1, activation="identity", weights=np.array([[1e30]]))
    network = build_network([layer], (1,), "quadratic", np.float32, np.random.default_rng(0))
    step = Step(network, sgd(network), 1)
    step.inputs[...] = 1
    assert step.run(0.5) == np.inf
    assert network.parameters.tolist() == [np.float32(1e30), 0]


def test_parameters_gradients_and_updates_are_views() -> None:
    step = settle(LENET).step()
    for layer in step.layers:
        for arrays, flat in (
            (layer.parameters, step.network.parameters),
            (layer.gradients, present(step.optimizer).gradient),
            (layer.updates, present(step.optimizer).update),
        ):
            assert set(arrays) == set(layer.placed.parameter_shapes)
            assert all(np.shares_memory(array, flat) for array in arrays.values())


@some_cases
def test_neighbours_share_their_arrays(case: Any) -> None:
    step = settle(case).step()
    assert np.shares_memory(step.outputs, step.layers[-1].a)
    assert step.outputs.shape == step.targets.shape
    for below, above in zip(step.layers, step.layers[1:], strict=False):
        assert above.input is below.a
        assert below.upstream is above.downstream


@some_cases
def test_a_step_allocates_no_new_workspace(case: Any) -> None:
    step = settle(case).step()
    quantities = ("input", "z", "a", "upstream", "sigma_prime", "delta", "downstream")
    before = [getattr(layer, q) for layer in step.layers for q in quantities]
    step.run(0.5, full=True)
    now = [getattr(layer, q) for layer in step.layers for q in quantities]
    assert all(x is y for x, y in zip(before, now, strict=True))


def test_training_learns_xor() -> None:
    layers = [Dense(units=4, activation="tanh"), Dense(units=1)]
    rng = np.random.default_rng(0)
    network = build_network(layers, (2,), "cross_entropy", np.float32, rng)
    step = Step(network, sgd(network, momentum=0.9), 4)
    step.inputs[...] = [[0, 0], [0, 1], [1, 0], [1, 1]]
    step.targets[...] = [[0], [1], [1], [0]]
    costs = [step.run(0.5) for _ in range(300)]
    assert costs[-1] < 0.01 < costs[0]
    assert np.array_equal(step.outputs > 0.5, step.targets > 0.5)
