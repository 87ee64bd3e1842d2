"""The dropout layer: what it draws, and that evaluation leaves its input alone.

Its arithmetic is tested with that of all kinds, in test_against_reference and test_against_torch.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.core.seeds import Stream, seed_of
from nncli.nn.layers import Conv, Dense, Dropout
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step

HEAD = Dense(units=2)
LAYERS = {
    "dense": ([Dense(units=50, activation="tanh"), Dropout(rate=0.3), HEAD], (4,)),
    "image": ([Dropout(rate=0.3), Conv(filters=2, kernel=(2, 2)), HEAD], (3, 5, 6)),
}


def step_of(layers: Any, shape: Any, n: int = 8, workers: Any = None, **how: Any) -> Step:
    network = build_network(layers, shape, "quadratic", np.float64, np.random.default_rng(0))
    step = Step(network, sgd(network), n, workers, **how)
    step.inputs[...] = np.random.default_rng(1).normal(size=step.inputs.shape)
    return step


def masks(step: Step) -> list[NDArray[Any]]:
    return [x.recorded["mask"].copy() for x in step.layers if x.placed.layer.type == "dropout"]


@pytest.fixture(params=LAYERS)
def network(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return LAYERS[request.param]


def test_a_mask_holds_zeros_and_what_keeps_the_mean(network: tuple[Any, Any]) -> None:
    step = step_of(*network, n=400)
    step.randomise(seed_of(0, Stream.DRAWS, 1))
    (mask,) = masks(step)
    assert np.unique(mask).tolist() == [0, 1 / 0.7]
    # The share of zeros, and that of each unit: within five deviations of a binomial share.
    for share, count in ((np.mean(mask == 0), mask.size), (np.mean(mask == 0, axis=-1), 400)):
        assert np.abs(share - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / count)
    assert step.layers[0].placed.layer.type in ("dense", "dropout")


def test_units_and_samples_are_left_out_one_by_one(network: tuple[Any, Any]) -> None:
    step = step_of(*network, n=300)
    step.randomise(seed_of(0, Stream.DRAWS, 1))
    (mask,) = masks(step)
    rows = (mask == 0).reshape(-1, 300)[:40].astype(float)
    between_units = np.corrcoef(rows)[~np.eye(len(rows), dtype=bool)]
    assert np.abs(between_units).max() < 5 / np.sqrt(300)


def test_each_step_seed_and_layer_has_a_mask_of_its_own() -> None:
    step = step_of([Dropout(), Dropout(), HEAD], (30,))
    drawn = []
    for seed, number in ((0, 1), (0, 2), (1, 1)):
        step.randomise(seed_of(seed, Stream.DRAWS, number))
        drawn += masks(step)
    distinct = {mask.tobytes() for mask in drawn}
    assert len(distinct) == len(drawn) == 6
    step.randomise(seed_of(0, Stream.DRAWS, 2))
    assert np.array_equal(masks(step), drawn[2:4])


def test_float32_and_float64_leave_out_the_same_units(network: tuple[Any, Any]) -> None:
    layers, shape = network
    double = step_of(layers, shape)
    single = Step(own := double.network.astype(np.float32), sgd(own), 8)
    for step in (double, single):
        step.randomise(seed_of(0, Stream.DRAWS, 1))
    assert np.array_equal(masks(double)[0] == 0, masks(single)[0] == 0)
    assert masks(single)[0].max() == np.float32(1 / 0.7)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_any_number_of_threads_draws_the_same(
    network: tuple[Any, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = step_of(*network, n=17)
    with WorkerPool(count, processes=False) as workers:
        shared = step_of(*network, n=17, workers=workers)
        assert len(shared.passes) == count
        for step in (alone, shared):
            step.randomise(seed_of(0, Stream.DRAWS, 3))
        assert np.array_equal(masks(alone), masks(shared))


def test_evaluation_is_the_network_without_dropout(network: tuple[Any, Any]) -> None:
    layers, shape = network
    without = [layer for layer in layers if not isinstance(layer, Dropout)]
    steps = step_of(layers, shape, is_training=False), step_of(without, shape)
    costs = [step.run(0.5, full=True) for step in steps]
    assert costs[0] == costs[1]
    assert np.array_equal(steps[0].outputs, steps[1].outputs)
    assert np.array_equal(steps[0].network.parameters, steps[1].network.parameters)
    found: list[Any] = [step.layers[0].downstream for step in steps]
    assert np.array_equal(*found)
    assert not steps[0].is_random


def test_a_step_in_evaluation_draws_nothing(network: tuple[Any, Any]) -> None:
    step = step_of(*network, is_training=False)
    before = step.forward()
    step.randomise(seed_of(0, Stream.DRAWS, 1))
    assert step.forward() == before


def test_a_network_without_dropout_draws_nothing() -> None:
    assert not step_of([HEAD], (3,)).is_random


def test_rate_0_leaves_nothing_out() -> None:
    step = step_of([Dropout(rate=0.0), HEAD], (30,))
    step.randomise(seed_of(0, Stream.DRAWS, 1))
    assert np.array_equal(masks(step)[0], np.ones((30, 8)))


def test_a_layer_is_told_by_its_rate() -> None:
    assert replace(Dropout(), rate=0.1) != Dropout()
    assert Dropout(rate=0.1).settings() == {"rate": 0.1}
