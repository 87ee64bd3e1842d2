"""Steps whose mini-batch is shared out, against the same steps in one piece."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from threading import Lock, Thread, active_count
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import DataError
from nncli.inspection.check import check
from nncli.nn.aligned_buffers import AlignedBuffers
from nncli.nn.layers import Dense
from nncli.nn.network import Network, build_network, splits_samples, zero_network
from nncli.nn.optimizers import sgd
from nncli.nn.parallel import partition as partition_module
from nncli.nn.parallel.blas import (
    available_cores,
    available_threads,
    blas_threads,
    set_blas_threads,
)
from nncli.nn.parallel.data_parallel import SHORTEST_SHARED_UPDATE
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.tensor_parallel import splits_units
from nncli.nn.parallel.thread_count import best_threads
from nncli.nn.parallel.worker_pool import WorkerPool, start_workers
from nncli.nn.step import QUANTITIES, Step
from nncli.nn.trace import Start, record_trace
from tests.nn.cases import DRAWS, LENET, SOME_CASES, Setting, relative_error, settle

N = 13  # samples: shares of 6 and 7, or of 4, 4 and 5


def many_samples(case: Any) -> Setting:
    return settle(replace(case, n=N))


@pytest.fixture(params=[2, 3])
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
    step.draw(DRAWS)
    by_units = partition_module.can_fork() and splits_units(network.layers)
    is_whole = by_units or not splits_samples(network.layers)
    assert len(step.passes) == (1 if is_whole else workers.size)
    return step


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_a_shared_step_is_the_whole_step(case: Any, workers: Any) -> None:
    setting = many_samples(case)
    how = {"momentum": 0.9, "weight_decay": 0.01}
    whole, shared = setting.step(**how), shared_step(setting, workers, **how)
    for _ in range(2):  # the second time with what the first has left in the workspace
        costs = [step.run(0.3, full=True) for step in (whole, shared)]
        assert costs[1] == pytest.approx(costs[0], rel=1e-13)
    assert relative_error(shared.network.parameters, whole.network.parameters) < 1e-12
    assert (
        relative_error(shared.optimizer.state["velocity"], whole.optimizer.state["velocity"])
        < 1e-12
    )
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
@pytest.mark.parametrize("case", SOME_CASES, ids=str)
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
    start = Start.of(step.network, step.optimizer)
    cost = step.run(0.5, full=True)
    trace = record_trace(step, eta=0.5, cost=cost, start=start, samples=range(N))
    assert check(trace).passed


class Table:
    """Samples, and what comes of asking for one that is not there."""

    in_memory = True

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


def test_a_long_update_is_shared_too(workers: Any) -> None:
    units = SHORTEST_SHARED_UPDATE // 100
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


def test_mini_batches_too_small_to_share_are_taken_whole(workers: Any) -> None:
    network = settle(LENET).network()
    assert len(Step(network, sgd(network), 3, workers).passes) == 1


class TestWorkerPool:
    @pytest.mark.parametrize("processes", [False, True])
    def test_what_a_job_raises_is_raised_once_all_are_done(self, processes: bool) -> None:
        done = AlignedBuffers(shared=True).zeros(5, int)

        def note(k: Any) -> None:
            done[k] = 1

        def fail() -> None:
            raise KeyError("a job")

        with WorkerPool(3, processes=processes) as workers:
            task = workers.task([partial(note, 0), fail, partial(note, 2)])
            for _ in range(2):
                done[...] = 0
                with pytest.raises(KeyError, match="a job"):
                    task()
                assert done.tolist() == [1, 0, 1, 0, 0]
            workers.task(
                [partial(note, 3), partial(note, 4)]
            )()  # settled after the others have run
        assert done.tolist() == [1, 0, 1, 1, 1]

    def test_its_threads_end_with_it(self) -> None:
        before = active_count()
        with WorkerPool(4) as workers:
            workers.task([active_count])()
            assert active_count() == before + 3
        assert active_count() == before

    @pytest.mark.skipif(not can_fork(), reason="no processes are forked here")
    def test_where_no_process_can_be_started_threads_do_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fork() -> None:
            raise BlockingIOError("no more processes")

        monkeypatch.setattr("os.fork", fork)
        files = len(os.listdir("/proc/self/fd"))
        done = []
        with WorkerPool(3, processes=True) as workers:
            workers.task([partial(done.append, k) for k in range(3)])()
        assert sorted(done) == [0, 1, 2]
        assert len(os.listdir("/proc/self/fd")) == files

    @pytest.mark.skipif(blas_threads() is None, reason="this BLAS cannot be asked")
    def test_blas_has_one_thread_where_mini_batches_are_shared_out(self) -> None:
        before = blas_threads()
        for partitioned, threads in ((True, 1), (False, 2)):
            with WorkerPool(2, partitioned=partitioned) as workers:
                assert blas_threads() == threads
                assert workers.size == (2 if partitioned else 1)
            assert blas_threads() == before


@pytest.mark.skipif(blas_threads() is None, reason="this BLAS cannot be set")
def test_blas_gets_a_number_of_threads() -> None:
    before = blas_threads()
    set_blas_threads(2)
    assert blas_threads() == 2
    set_blas_threads(before)
    assert blas_threads() == before


def test_a_blas_without_such_a_function_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncli.nn.parallel.blas._function", lambda name: None)
    assert blas_threads() is None
    with WorkerPool(2) as workers:
        assert workers.size == 2


class TestBest:
    network = build_network(
        [Dense(units=512), Dense(units=10)], (784,), "quadratic", "f", np.random.default_rng(0)
    )
    layers = network.layers

    def test_large_steps_are_worth_threads_and_small_ones_are_not(self) -> None:
        assert best_threads(self.layers, 128, 2) == 2
        assert best_threads(self.layers, 128, 1) == 1
        assert best_threads(self.layers, 1, 2) == 1

    def test_what_was_asked_for_is_what_there_is(self) -> None:
        with start_workers(self.network, 16, 3) as workers:
            assert (workers.threads, workers.size) == (3, 3)
        with start_workers(self.network, 2, 3) as workers:
            assert (workers.threads, workers.size) == (3, 1)

    def test_processes_have_a_core_each(self) -> None:
        network = in_shared_memory(self.network, None)
        network.buffers.shared = can_fork()
        for count, processes in ((available_cores(), can_fork()), (available_cores() + 1, False)):
            with start_workers(network, 512, count) as workers:
                assert (workers.size, workers.processes) == (count, processes)

    @pytest.mark.skipif(blas_threads() is None, reason="this BLAS cannot be asked")
    def test_blas_has_no_more_threads_than_there_are_cores(self) -> None:
        with start_workers(self.network, 4, 200):
            assert blas_threads() == available_cores()

    def test_the_users_limits_hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert available_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "0")
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "many")
        assert available_threads() >= 1


def test_ctrl_c_just_as_a_wait_ends_does_not_block_closing() -> None:
    class Taken:
        """A lock that has been taken when the interruption comes, once."""

        def __init__(self, lock: Any) -> None:
            self.lock, self.is_armed = lock, True
            self.release, self.locked = lock.release, lock.locked

        def acquire(self, timeout: Any) -> Any:
            taken = self.lock.acquire(timeout=timeout)
            if taken and self.is_armed:
                self.is_armed = False
                raise KeyboardInterrupt
            return taken

    workers = WorkerPool(2)
    release = Lock()
    task = workers.task([release.release, release.acquire])
    release.acquire()
    task()
    (worker,) = workers._workers
    worker._finished = Taken(worker._finished)
    with pytest.raises(KeyboardInterrupt):
        task()
    closing = Thread(target=workers.close, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
