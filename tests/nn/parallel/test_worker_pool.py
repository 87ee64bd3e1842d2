"""Pools of workers, their number, and the threads of BLAS beside them."""

import os
from functools import partial
from threading import Lock, Thread, active_count
from typing import Any

import numpy as np
import pytest

from nncli.core.processes import available_cores, available_threads
from nncli.nn.arrays import AlignedBuffers
from nncli.nn.layers import Dense
from nncli.nn.network import build_network, zero_network
from nncli.nn.parallel.blas import blas_threads, set_blas_threads
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.worker_pool import WorkerPool, best_threads, start_workers


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
        done: list[int] = []
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
    assert before is not None
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
        layers, cost, dtype = self.network.layers, self.network.cost, self.network.dtype
        network = zero_network(layers, cost, dtype, AlignedBuffers(shared=can_fork()))
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
    vars(worker)["_finished"] = Taken(vars(worker)["_finished"])
    with pytest.raises(KeyboardInterrupt):
        task()
    closing = Thread(target=workers.close, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
