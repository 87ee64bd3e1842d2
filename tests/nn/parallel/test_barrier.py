"""Workers waiting for each other: threads and processes."""

import os
import signal
from functools import partial
from typing import Any

import pytest

from nncli.core.errors import NncliError
from nncli.nn.parallel import process_worker
from nncli.nn.parallel.process_worker import can_fork
from nncli.nn.parallel.worker_pool import WorkerPool

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(not can_fork(), reason="no processes are forked here"),
]


def in_turns(workers: Any, trail: Any, turns: Any, k: Any, failing: Any = None) -> None:
    """Each worker writes down its turns, and reads what the others wrote in the last one."""
    for turn in range(turns):
        if failing == (k, turn):
            raise KeyError("at a barrier")
        trail[k] = turn + 1
        workers.barrier.wait(k)
        if (trail[: workers.size] < turn + 1).any():
            raise AssertionError(f"{k} in turn {turn} saw {trail}")
        workers.barrier.wait(k)


@pytest.mark.parametrize("processes", [False, True])
class TestBarrier:
    def task(self, workers: Any, trail: Any, turns: Any, failing: Any = None) -> Any:
        jobs = [partial(in_turns, workers, trail, turns, k, failing) for k in range(workers.size)]
        return workers.task([partial(workers.barrier.run, job) for job in jobs])

    @pytest.mark.parametrize("spins", [0, 1000])
    def test_no_worker_goes_on_before_all_have_arrived(
        self, processes: Any, spins: int, counts: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(process_worker, "SPIN_COUNT", spins)
        with WorkerPool(3, processes=processes) as workers:
            task = self.task(workers, counts, 50)
            for _ in range(3):
                counts[...] = 0
                task()
                assert counts.tolist() == [50, 50, 50, 0, 0, 0, 0, 0]

    @pytest.mark.parametrize("k", [0, 1, 2])
    def test_a_worker_that_fails_keeps_none_waiting(
        self, processes: Any, k: int, counts: Any
    ) -> None:
        with WorkerPool(3, processes=processes) as workers:
            fails, works = self.task(workers, counts, 9, (k, 4)), self.task(workers, counts, 9)
            for _ in range(2):
                counts[...] = 0
                with pytest.raises(KeyError, match="at a barrier"):
                    fails()
                assert counts.max() <= 5
                counts[...] = 0
                works()
                assert counts[:3].tolist() == [9, 9, 9]


@pytest.mark.parametrize("killed", [(1,), (2,), (1, 2)])
def test_a_worker_that_was_killed_keeps_none_waiting(killed: tuple[int, ...]) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with WorkerPool(3, processes=True) as workers:
        jobs = [partial(workers.barrier.run, partial(workers.barrier.wait, k)) for k in range(3)]
        task = workers.task([die if k in killed else job for k, job in enumerate(jobs)])
        for _ in range(2):
            with pytest.raises(NncliError, match="ended from outside"):
                task()


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("where", ["start", "wait"])
def test_an_interruption_keeps_no_worker_waiting(
    processes: bool, where: str, counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the caller, when one worker has started and another has not, say."""
    with WorkerPool(3, processes=processes) as workers:
        jobs = [partial(in_turns, workers, counts, 3, k) for k in range(3)]
        task = workers.task([partial(workers.barrier.run, job) for job in jobs])
        task()
        worker = workers._workers[1]
        act, armed = getattr(worker, where), [True]

        def interrupted(*arguments: Any) -> None:
            if armed:
                armed.clear()
                raise KeyboardInterrupt
            act(*arguments)

        monkeypatch.setattr(worker, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            task()
        counts[...] = 0
        task()
        assert counts[:3].tolist() == [3, 3, 3]
