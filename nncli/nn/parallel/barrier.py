"""Where the workers of a pool wait for each other within a task."""

import mmap
import os
import time
from threading import Barrier, BrokenBarrierError

from nncli.nn.arrays import Operation
from nncli.nn.parallel.process_worker import PITCH, watch

NAP = 2e-4  # seconds between two looks, after many in a row


class BarrierBroken(Exception):
    """Somebody will not come."""


class WorkerBarrier:
    """What both kinds have in common."""

    def reset(self) -> None:
        """Before a task, when nobody is at one."""
        raise NotImplementedError

    def meet(self, k: int) -> None:
        """Returns when all have called it as often as member `k`.

        Raises:
            BarrierBroken: one has failed and will not come.
        """
        raise NotImplementedError

    def break_up(self) -> None:
        """Lets nobody wait any more."""
        raise NotImplementedError

    def attend(self, job: Operation) -> None:
        """Does a job that meets others."""
        try:
            job()
        except BarrierBroken:  # whoever failed says why; of who has died, the workers does
            pass
        except BaseException:
            self.break_up()
            raise


class ThreadBarrier(WorkerBarrier):
    def __init__(self, size: int) -> None:
        self._barrier = Barrier(size)

    def reset(self) -> None:
        if self._barrier.broken:
            self._barrier.reset()

    def meet(self, k: int) -> None:
        try:
            self._barrier.wait()
        except BrokenBarrierError:
            raise BarrierBroken from None

    def break_up(self) -> None:
        self._barrier.abort()


class ProcessBarrier(WorkerBarrier):
    """Each counts its own arrivals where all can see them, see `forked.can_fork`.

    Attributes:
        helpers: the processes besides the caller's, who may die.
    """

    def __init__(self, size: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, mmap.PAGESIZE * size)).cast("q")
        self._places = [PITCH * k for k in range(1, size + 1)]  # 0: whether it is broken up
        self._caller = os.getpid()
        self.helpers: list[int] = []

    def reset(self) -> None:
        for place in (0, *self._places):
            self._counts[place] = 0

    def meet(self, k: int) -> None:
        counts, own = self._counts, self._places[k]
        arrivals = counts[own] + 1
        counts[own] = arrivals
        for place in self._places:
            if counts[place] < arrivals:
                self._wait(place, arrivals)

    def break_up(self) -> None:
        self._counts[0] = 1

    def _wait(self, place: int, arrivals: int) -> None:
        counts = self._counts
        watch(counts, place, arrivals)
        while counts[place] < arrivals:
            if self._is_bereft():
                self.break_up()
            if counts[0]:
                raise BarrierBroken
            time.sleep(NAP)

    def _is_bereft(self) -> bool:
        if os.getpid() != self._caller:
            return os.getppid() != self._caller
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return any(os.waitid(os.P_PID, helper, ended) for helper in self.helpers)
        except ChildProcessError:  # somebody else has waited for it
            return True
