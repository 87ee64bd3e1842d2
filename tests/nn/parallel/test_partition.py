"""Steps whose mini-batch is shared out, against the same steps in one piece."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import DataError
from nncli.inspection.check import check
from nncli.nn.arrays import AlignedBuffers
from nncli.nn.layers import BatchNorm, Dense, DenseStep
from nncli.nn.network import Network, build_network, splits_samples, zero_network
from nncli.nn.optimizers import Optimizer, chain_of, sgd
from nncli.nn.parallel import partition as partition_module
from nncli.nn.parallel.partition import DenseShard, even_slices, splits_units
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.recorder import record_trace
from nncli.nn.step import QUANTITIES, Step
from nncli.nn.trace import Start
from tests.conftest import mostly_slow, present
from tests.nn.cases import DRAWS, LENET, SOME_CASES, Setting, relative_error, settle

N = 13  # samples: shares of 6 and 7, or of 4, 4 and 5


def many_samples(case: Any) -> Setting:
    return settle(replace(case, n=N))


@pytest.fixture(params=[2, pytest.param(3, marks=pytest.mark.slow)])
def count(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["threads", "threads by samples", "processes", "processes by samples"])
def workers(
    request: pytest.FixtureRequest, count: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Of each kind, as they share out dense networks here and elsewhere."""
    processes = "processes" in request.param
    if processes and not can_fork():
        pytest.skip("no processes are forked here")
    monkeypatch.setattr(
        "nncli.nn.parallel.partition.can_fork", lambda: "by samples" not in request.param
    )
    with WorkerPool(count, processes=processes) as workers:
        yield workers


def in_shared_memory(network: Network, workers: WorkerPool | None) -> Network:
    """The same network where the workers of a pool see it."""
    processes = workers is not None and workers.processes
    own = zero_network(
        network.layers, network.cost, network.dtype, AlignedBuffers(shared=processes)
    )
    own.parameters[...] = network.parameters
    return own


def shared_step(setting: Setting, workers: WorkerPool, **options: Any) -> Step:
    network = in_shared_memory(setting.network(), workers)
    step = Step(network, sgd(network, **options), setting.case.n, workers)
    step.inputs[...], step.targets[...] = setting.inputs, setting.targets
    step.randomise(DRAWS)
    by_units = vars(partition_module)["can_fork"]() and splits_units(network.layers)
    is_whole = by_units or not splits_samples(network.layers)
    assert len(step.passes) == (1 if is_whole else workers.size)
    return step


@pytest.mark.parametrize("case", mostly_slow(SOME_CASES, 3), ids=str)
def test_a_shared_step_is_the_whole_step(case: Any, workers: Any) -> None:
    setting = many_samples(case)
    how = {"momentum": 0.9, "weight_decay": 0.01}
    whole, shared = setting.step(**how), shared_step(setting, workers, **how)
    for _ in range(2):  # the second time with what the first has left in the workspace
        costs = [step.run(0.3, full=True) for step in (whole, shared)]
        assert costs[1] == pytest.approx(costs[0], rel=1e-13)
    assert relative_error(shared.network.parameters, whole.network.parameters) < 1e-12
    found, wanted = (present(step.optimizer).state["velocity"] for step in (shared, whole))
    assert relative_error(found, wanted) < 1e-12
    for ours, theirs in zip(shared.layers, whole.layers, strict=True):
        for quantity in QUANTITIES:
            array, expected = getattr(ours, quantity), getattr(theirs, quantity)
            assert (array is None) == (expected is None)
            if array is not None:
                assert relative_error(array, expected) < 1e-12
        for key, gradient in theirs.gradients.items():
            assert relative_error(ours.gradients[key], gradient) < 1e-12


def test_the_same_number_of_threads_gives_the_same_bits(workers: Any) -> None:
    setting = many_samples(LENET)

    def bits() -> bytes:
        step = shared_step(setting, workers)
        costs = [step.run(0.5) for _ in range(20)]
        return np.array([*costs, *step.network.parameters]).tobytes()

    assert len({bits() for _ in range(5)}) == 1


@pytest.mark.skipif(not can_fork(), reason="no processes are forked here")
@pytest.mark.parametrize("case", mostly_slow(SOME_CASES, 3), ids=str)
def test_threads_and_processes_give_the_same_bits(case: Any, count: Any) -> None:
    found = []
    for processes in (False, True):
        with WorkerPool(count, processes=processes) as workers:
            step = shared_step(many_samples(case), workers, momentum=0.9)
            costs = [step.run(0.5) for _ in range(5)]
            found.append(np.array([*costs, *step.network.parameters]).tobytes())
    assert found[0] == found[1]


def test_a_shared_step_passes_the_check_of_its_gradients(workers: Any) -> None:
    step = shared_step(many_samples(LENET), workers)
    assert step.optimizer is not None
    start = Start.of(step.network, step.optimizer)
    cost = step.run(0.5, full=True)
    trace = record_trace(step, eta=0.5, cost=cost, start=start, samples=range(N))
    assert check(trace).passed


class Table:
    """Samples, and what comes of asking for one that is not there."""

    def __init__(self, setting: Setting) -> None:
        self.inputs, self.targets = setting.inputs, setting.targets

    def gather(self, rows: Any, inputs: Any, targets: Any) -> None:
        if rows.max() >= len(self.inputs):
            raise DataError("line 7: is missing", key="train")
        inputs[...], targets[...] = self.inputs[rows], self.targets[rows]


def test_a_step_loads_its_samples_itself(workers: Any) -> None:
    setting = many_samples(LENET)
    network = in_shared_memory(setting.network(), workers)
    step = Step(network, sgd(network), 9, workers, Table(setting))
    twin = in_shared_memory(setting.network(), workers)
    by_hand = Step(twin, sgd(twin), 9, workers)
    for rows in ([1, 0, 2, 12, 11, 10, 3, 4, 5], [7] * 9):
        step.load(np.array(rows))
        by_hand.inputs[...], by_hand.targets[...] = setting.inputs[rows], setting.targets[rows]
        assert step.forward() == by_hand.forward()
        step.load(np.array(rows))
        assert step.run(0.1) == by_hand.run(0.1)
        assert np.array_equal(step.inputs, by_hand.inputs)
        assert np.array_equal(step.targets, by_hand.targets)
    step.inputs[...] = 0  # is not overwritten by what was loaded before
    step.run(0.1)
    assert not step.inputs.any()


def test_what_a_share_cannot_load_is_raised_as_it_is(workers: Any) -> None:
    setting = many_samples(LENET)
    network = in_shared_memory(setting.network(), workers)
    step = Step(network, sgd(network), 9, workers, Table(setting))

    def take() -> None:
        step.load(np.array([0] * 8 + [13]))
        step.run(0.1)

    with pytest.raises(DataError, match="line 7: is missing") as raised:
        take()
    assert raised.value.key == "train"
    assert raised.value.problems == ("line 7: is missing",)


def test_the_update_of_all_workers_is_that_of_one(workers: Any) -> None:
    units = 1000
    rng = np.random.default_rng(0)
    layers = [Dense(units=units), Dense(units=1)]
    network = build_network(layers, (100,), "quadratic", np.float64, rng)
    inputs, targets = rng.normal(0, 1, (8, 100)), rng.normal(0, 1, (8, 1))
    found = []
    for threads in (None, workers):
        own = in_shared_memory(network, threads)
        step = Step(own, sgd(own, momentum=0.5), 8, threads)
        step.inputs[...], step.targets[...] = inputs, targets
        step.run(0.1)
        step.run(0.1)
        found.append(own.parameters)
    assert relative_error(found[1], found[0]) < 1e-12


def test_a_cost_that_is_not_finite_in_one_share_leaves_the_parameters(workers: Any) -> None:
    step = shared_step(many_samples(LENET), workers)
    step.run(0.5)
    step.inputs[-1] = np.nan
    before = step.network.parameters.copy()
    assert not np.isfinite(step.run(0.5, full=True))
    assert np.array_equal(step.network.parameters, before)


def test_a_step_that_is_not_taken_is_not_counted(workers: Any) -> None:
    rng = np.random.default_rng(0)
    network = build_network([Dense(units=5), Dense(units=2)], (3,), "quadratic", np.float64, rng)
    for own in (None, workers):
        shared = in_shared_memory(network, workers)
        step = Step(shared, Optimizer(shared, chain_of("adam")), 8, own)
        step.inputs[...] = 1
        step.run(0.1)
        step.inputs[...] = np.nan
        assert not np.isfinite(step.run(0.1))
        assert present(step.optimizer).state["adam_steps"] == 1


def test_what_a_layer_keeps_comes_from_the_whole_mini_batch(
    workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchNorm, "splits_samples", True)
    rng = np.random.default_rng(0)
    layers = [Dense(units=5), BatchNorm(), Dense(units=2)]
    network = build_network(layers, (3,), "quadratic", np.float64, rng)
    step = Step(network, sgd(network), 8, workers)
    step.inputs[...] = rng.normal(size=step.inputs.shape)
    step.run(0.1)
    assert network.state["batchnorm1.batches"] == 1


def test_mini_batches_too_small_to_share_are_taken_whole(workers: Any) -> None:
    network = settle(LENET).network()
    assert len(Step(network, sgd(network), 3, workers).passes) == 1


@pytest.mark.parametrize("k", [0, 1])
def test_a_shard_is_made_of_views_of_its_layer(k: int) -> None:
    """An array that a shard had for itself would be filled, and seen by no other worker."""
    network = build_network(
        [Dense(units=5), Dense(units=4)], (6,), "quadratic", np.float64, np.random.default_rng(0)
    )
    whole = Step(network, sgd(network), 3).passes[0].layers[1]
    assert isinstance(whole, DenseStep)
    inputs, units = even_slices(5, 2)[k], even_slices(4, 2)[k]
    shard = DenseShard(whole, inputs, units)
    own = {name: array for name, array in vars(shard).items() if isinstance(array, np.ndarray)}
    for name in own.keys() - {"one", "one_over_n"}:
        assert np.shares_memory(own[name], getattr(whole, name)), name
    assert {"z", "a", "prime", "delta", "delta_over_n", "upstream", "weight", "bias"} < own.keys()
    for ours, theirs in zip(shard.arrays[:5], whole.arrays[:5], strict=True):
        assert ours.shape == (2, 3)
        assert np.shares_memory(ours, theirs[units])
    assert np.shares_memory(shard.downstream, whole.downstream[inputs])
    for key, array in whole.parameters.items():
        assert np.shares_memory(shard.parameters[key], array[..., units])
        assert shard.gradients[key].shape == array[..., units].shape
