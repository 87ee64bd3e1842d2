"""Where the workers of a pool wait for each other within a task."""

import mmap
import os
import time
from threading import Barrier, BrokenBarrierError

from nncli.nn.arrays import Operation
from nncli.nn.parallel.process_worker import CACHE_LINE, spin_until

SLEEP = 2e-4  # seconds between two looks at a counter, after spinning


class BarrierAborted(Exception):
    """A worker has failed and will not reach the barrier."""


class WorkerBarrier:
    """A barrier for the caller, worker 0, and the other workers of a pool, threads or processes."""

    def reset(self) -> None:
        """Makes it as new; before a task, when nobody waits."""
        raise NotImplementedError

    def wait(self, k: int) -> None:
        """Returns when all workers have called it as often as worker `k`.

        Raises:
            BarrierAborted: a worker has failed.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Raises BarrierAborted in all that wait, and in all that will until `reset`."""
        raise NotImplementedError

    def run(self, job: Operation) -> None:
        """Runs a job that waits at the barrier; if it raises, the barrier is aborted."""
        try:
            job()
        except BarrierAborted:  # the worker that failed raises its own error
            pass
        except BaseException:
            self.abort()
            raise


class ThreadBarrier(WorkerBarrier):
    def __init__(self, size: int) -> None:
        self._barrier = Barrier(size)

    def reset(self) -> None:
        if self._barrier.broken:
            self._barrier.reset()

    def wait(self, k: int) -> None:
        try:
            self._barrier.wait()
        except BrokenBarrierError:
            raise BarrierAborted from None

    def abort(self) -> None:
        self._barrier.abort()


class ProcessBarrier(WorkerBarrier):
    """Each worker counts its own arrivals in shared memory; for the order of writes see `can_fork`.

    Attributes:
        pids: of the workers besides the caller, which may be killed.
    """

    def __init__(self, size: int) -> None:
        self._counters = memoryview(mmap.mmap(-1, mmap.PAGESIZE * size)).cast("q")
        # Counter 0 says whether the barrier is aborted.
        self._indices = [CACHE_LINE * k for k in range(1, size + 1)]
        self._caller = os.getpid()
        self.pids: list[int] = []

    def reset(self) -> None:
        for index in (0, *self._indices):
            self._counters[index] = 0

    def wait(self, k: int) -> None:
        counters, own = self._counters, self._indices[k]
        arrivals = counters[own] + 1
        counters[own] = arrivals
        for index in self._indices:
            if counters[index] < arrivals:
                self._wait_for(index, arrivals)

    def abort(self) -> None:
        self._counters[0] = 1

    def _wait_for(self, index: int, arrivals: int) -> None:
        counters = self._counters
        spin_until(counters, index, arrivals)
        while counters[index] < arrivals:
            if self._has_lost_a_process():
                self.abort()
            if counters[0]:
                raise BarrierAborted
            time.sleep(SLEEP)

    def _has_lost_a_process(self) -> bool:
        if os.getpid() != self._caller:
            return os.getppid() != self._caller
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return any(os.waitid(os.P_PID, pid, ended) for pid in self.pids)
        except ChildProcessError:  # something else has waited for it
            return True
