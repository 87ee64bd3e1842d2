"""Threads that share the work of a step.

NumPy lets go of Python's lock in its products and in its loops over long arrays, so threads that
each do a share of the samples run side by side. The threads that BLAS has of its own would fight
with them for the same cores, so they are set as well: one or the other kind of parallel work.
"""

from collections.abc import Callable, Sequence
from threading import Lock, Thread

import numpy as np

from nncli.nn.blas import blas_threads, set_blas_threads

Job = Callable[[], object]


class Crew:
    """`threads` threads, the caller's among them. Close it after use, or use it as a context.

    Args:
        shares: whether mini-batches are shared out among the threads. Where they are too small
            for that, BLAS gets the threads instead.
    """

    def __init__(self, threads: int, *, shares: bool = True) -> None:
        self.threads = threads
        self._before = blas_threads()
        set_blas_threads(1 if shares else threads)
        self._helpers = [Helper() for _ in range(threads - 1)] if shares else []

    @property
    def size(self) -> int:
        """How many jobs it does at once."""
        return 1 + len(self._helpers)

    def run(self, jobs: Sequence[Job]) -> None:
        """Does all jobs, at most `size`, at the same time, the first in the caller's thread.

        Raises:
            BaseException: what a job raised, once all have ended.
        """
        helpers = self._helpers[: len(jobs) - 1]
        for helper, job in zip(helpers, jobs[1:], strict=True):
            helper.begin(job)
        try:
            jobs[0]()
        finally:
            for helper in helpers:
                helper.finish()
        for helper in helpers:
            helper.raise_error()

    def close(self) -> None:
        """Ends the threads, and gives BLAS back those that it had."""
        for helper in self._helpers:
            helper.end()
        self._helpers = []
        if self._before is not None:
            set_blas_threads(self._before)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Helper:
    """One more thread, which sleeps between its jobs."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._error: BaseException | None = None
        self._busy = False  # from the beginning of a job until the helper itself says it is done
        self._begun, self._done = Lock(), Lock()
        self._begun.acquire()
        self._done.acquire()
        # A daemon: a training that was broken off must not keep the process from ending.
        self._thread = Thread(target=self._work, name="nncli", daemon=True)
        self._thread.start()

    def begin(self, job: Job) -> None:
        self.finish()
        self._job, self._busy = job, True
        self._begun.release()

    def finish(self) -> None:
        """Waits for the end of the job, if one is under way."""
        # Ctrl-C may come when the lock has just been taken, so having it says nothing by itself.
        while self._busy:
            self._done.acquire()

    def raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def end(self) -> None:
        self.finish()
        self._job = None
        self._begun.release()
        self._thread.join()

    def _work(self) -> None:
        with np.errstate(all="ignore"):  # as the caller has it, see `Step`
            while True:
                self._begun.acquire()
                if self._job is None:
                    return
                try:
                    self._job()
                except BaseException as error:
                    self._error = error
                self._busy = False
                if self._done.locked():  # or nobody waited for the job before
                    self._done.release()
