"""Threads that share the work of a step, or processes that stand in for them.

NumPy lets go of Python's lock in its products and in its loops over long arrays, so threads that
each do a share of the samples run side by side, if not without waiting for each other: see
`forked`. The threads that BLAS has of its own would fight with them for the same cores, so they are
set as well: one or the other kind of parallel work.
"""

from collections.abc import Sequence
from functools import partial
from threading import Lock, Thread
from typing import Protocol

import numpy as np

from nncli.core.errors import NncliError
from nncli.nn.arrays import Operation
from nncli.nn.parallel.barrier import ProcessBarrier, ThreadBarrier
from nncli.nn.parallel.blas import blas_threads, cores, set_blas_threads
from nncli.nn.parallel.process_worker import PATIENCE, ProcessWorker


class Helper(Protocol):
    """Does its job of each task while the caller does the first."""

    def begin(self, task: int) -> None: ...
    def finish(self) -> None: ...
    def raise_error(self) -> None: ...
    def end(self) -> None: ...


class WorkerPool:
    """`threads` threads, the caller's among them. Close it after use, or use it as a context.

    It keeps the tasks that it was given, and what they hold, until then.

    Args:
        shares: whether steps are shared out among the threads. Where mini-batches are too small
            for that, BLAS gets the threads instead.
        forks: whether its helpers are processes, which are faster. They know what lies in shared
            memory, see `AlignedBuffers`, and nothing else that changes.

    Attributes:
        size: how many jobs it does at once.
        forks: whether its helpers are processes after all.
        barrier: where the jobs of a task may wait for each other.
    """

    def __init__(self, threads: int, *, shares: bool = True, forks: bool = False) -> None:
        self.threads = threads
        self.size = threads if shares else 1
        self.forks = forks
        self._before = blas_threads()
        # More of them than cores wait awake for each other: 32 on two took 300 times as long.
        set_blas_threads(1 if shares else min(threads, cores()))
        self._tasks: list[Sequence[Operation]] = []
        self._helpers: list[Helper] = []
        self._known = 0  # tasks that the helpers know
        if forks:
            try:
                self._fork()  # to see whether it can be done; they know no task yet
            except OSError:  # the system allows no more processes
                self.forks = False
        self.barrier = (ProcessBarrier if self.forks else ThreadBarrier)(self.size)

    def task(self, jobs: Sequence[Operation]) -> Operation:
        """Settles jobs, at most `size`, that will be done again and again.

        Returns:
            does all of them at the same time, the first in the caller's thread, and raises what one
            of them raised, once all have ended.
        """
        self._tasks.append(jobs)
        return partial(self._run, len(self._tasks) - 1)

    def _run(self, task: int) -> None:
        jobs = self._tasks[task]
        if task >= self._known:
            self._tell()
        helpers = self._helpers[: len(jobs) - 1]
        self.barrier.reset()
        try:
            for helper in helpers:
                helper.begin(task)
            jobs[0]()
        except BaseException:  # Ctrl-C too, anywhere in here: nobody may wait for this thread
            self.barrier.break_up()
            raise
        finally:
            self._finish(helpers)
        for helper in helpers:
            helper.raise_error()

    def _finish(self, helpers: Sequence[Helper]) -> None:
        dead: list[NncliError] = []
        for helper in helpers:
            try:
                helper.finish()
            except NncliError as error:
                self.barrier.break_up()
                dead.append(error)
        if dead:
            raise dead[0]

    def _tell(self) -> None:
        """Makes all tasks known to the helpers: a process knows those from before its birth."""
        count = len(self._tasks)
        if not self.forks:
            if not self._helpers:
                self._helpers += [ThreadWorker(self._tasks, k) for k in range(1, self.size)]
            self._known = count
            return
        self._end()
        try:
            pids = self._fork()
        except OSError as error:
            raise NncliError(
                f"no process could be started to share the work ({error.strerror}); --threads 1 "
                "does without"
            ) from error
        assert isinstance(self.barrier, ProcessBarrier)
        self.barrier.helpers = pids
        self._known = count

    def _fork(self) -> list[int]:
        """Forks the helpers; their numbers.

        Raises:
            OSError: the system does not allow as many processes; there are none then.
        """
        forks: list[ProcessWorker] = []
        try:
            for k in range(1, self.size):
                forks.append(ProcessWorker(self._tasks, k))
        except OSError:
            for fork in forks:
                fork.end()
            raise
        self._helpers += forks
        return [fork.pid for fork in forks]

    def _end(self) -> None:
        while self._helpers:
            self._helpers.pop().end()

    def close(self) -> None:
        """Ends the helpers, and gives BLAS back the threads that it had."""
        self._end()
        self._tasks.clear()
        if self._before is not None:
            set_blas_threads(self._before)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ThreadWorker:
    """One more thread, which sleeps between its jobs."""

    def __init__(self, tasks: Sequence[Sequence[Operation]], k: int) -> None:
        """It does the job `k` of each task."""
        self._tasks, self._k = tasks, k
        self._job: Operation | None = None
        self._error: BaseException | None = None
        self._busy = False  # from the beginning of a job until the helper itself says it is done
        self._begun, self._done = Lock(), Lock()
        self._begun.acquire()
        self._done.acquire()
        # A daemon: a training that was broken off must not keep the process from ending.
        self._thread = Thread(target=self._work, name="nncli", daemon=True)
        self._thread.start()

    def begin(self, task: int) -> None:
        self.finish()
        self._job, self._busy = self._tasks[task][self._k], True
        self._call()

    def _call(self) -> None:
        if self._begun.locked():
            self._begun.release()

    def finish(self) -> None:
        """Waits for the end of the job, if one is under way."""
        # Ctrl-C may come when the lock has just been taken, so having it says nothing by itself; or
        # before the helper was called, so the call is repeated.
        while self._busy:
            if not self._done.acquire(timeout=PATIENCE):
                self._call()

    def raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def end(self) -> None:
        self.finish()
        self._job, self._busy = None, True
        self._call()
        self._thread.join()

    def _work(self) -> None:
        with np.errstate(all="ignore"):  # as the caller has it, see `Step`
            while True:
                self._begun.acquire()
                if not self._busy:  # the call was repeated
                    continue
                if self._job is None:
                    return
                try:
                    self._job()
                except BaseException as error:
                    self._error = error
                self._busy = False
                if self._done.locked():  # or nobody waited for the job before
                    self._done.release()
