"""A worker that is a process, forked from this one; it sees what is in shared memory.

Two threads take turns at Python's lock, and one that finds it taken falls asleep; a step is some
forty short calls of NumPy, so that costs them a tenth of a large step and half of a small one.
Processes have a lock each.
"""

import contextlib
import mmap
import os
import pickle
import select
import sys
from collections.abc import Sequence
from functools import partial

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.processes import start_process
from nncli.nn.arrays import Operation

SPIN_COUNT = 1000  # looks at the other side's counter, of half a microsecond each, before sleeping
WAKE_INTERVAL = 0.1  # seconds after which a wake-up is repeated
PIPE_CAPACITY = 1 << 16  # bytes
STOP = -1  # in place of a task
# The counters that both sides see, each in a cache line of its own; and the number of the task.
CACHE_LINE = 8  # counters, of 8 bytes
TASK, REQUESTED, FINISHED, ANSWERED = 0, CACHE_LINE, 2 * CACHE_LINE, 3 * CACHE_LINE


def can_fork() -> bool:
    """Whether workers can be processes here.

    macOS's BLAS does not work in a forked process. And what one process writes has to be seen by
    another in the order in which it was written, without a lock: x86 guarantees that.
    """
    return sys.platform == "linux" and os.uname().machine == "x86_64"


class ProcessWorker:
    """One more process, which sleeps between its jobs. It knows the tasks that there are now.

    Both sides count the jobs, in memory that they share, and wake each other through a pipe. They
    spin on the counter before they sleep, which is quicker than to be woken.

    Args:
        tasks, k: it runs the job `k` of each task.
        spins: how often it looks for the next job before it sleeps.

    Raises:
        OSError: the system does not allow one more process.
    """

    def __init__(
        self, tasks: Sequence[Sequence[Operation]], k: int, *, spins: int = SPIN_COUNT
    ) -> None:
        self._spins = spins
        self._counters = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._is_busy = False
        self._answer = b""
        self.pid, self._requests, self._answers = start_process(partial(self._serve, tasks, k))

    def start(self, task: int) -> None:
        """Has it run its job of a task, once a job under way has ended."""
        self.wait()
        self._answer = b""
        self._is_busy = True
        self._counters[TASK] = task
        self._counters[REQUESTED] += 1
        self._wake()

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way."""
        return self._is_busy and self._counters[FINISHED] != self._counters[REQUESTED]

    def wait(self) -> None:
        """Waits for the end of the job, if one is under way.

        Raises:
            NncliError: the process has been ended from outside.
        """
        # Ctrl-C may come between any two lines, here or in `start`: then a wake-up was not sent, or
        # an answer was read but not noted. So the counters decide, and wake-ups are repeated.
        counters = self._counters
        while self._is_busy:
            spin_until(counters, FINISHED, counters[REQUESTED])
            if select.select([self._answers], [], [], WAKE_INTERVAL)[0]:
                answer = os.read(self._answers, PIPE_CAPACITY)
                if not answer:
                    raise self._died()
                self._answer += answer
                self._is_busy = counters[FINISHED] != counters[REQUESTED]
            elif counters[FINISHED] != counters[REQUESTED]:
                self._wake()
            else:
                self._is_busy = counters[ANSWERED] != counters[REQUESTED]

    def raise_error(self) -> None:
        """Raises what the last job raised, if it did."""
        _, failed, error = self._answer.partition(b"!")
        self._answer = b""
        if failed:
            raise pickle.loads(error)

    def stop(self) -> None:
        """Ends the process, once a job under way has ended."""
        with contextlib.suppress(NncliError):  # it has ended already
            self.wait()
            self._counters[TASK] = STOP
            self._counters[REQUESTED] += 1
            self._wake()
        os.close(self._requests)
        os.close(self._answers)
        with contextlib.suppress(ChildProcessError):  # something else has waited for it
            os.waitpid(self.pid, 0)

    def _wake(self) -> None:
        try:
            os.write(self._requests, b".")
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> NncliError:
        return NncliError(
            "a process that shared the work has been ended from outside, as the system does when "
            "it runs out of memory; --threads 1 does without it"
        )

    def _serve(
        self, tasks: Sequence[Sequence[Operation]], k: int, requests: int, answers: int
    ) -> None:
        """The life of the process, until it is stopped or its parent has ended."""
        with np.errstate(all="ignore"):  # as in the caller, see `Step`
            self._run_jobs(tasks, k, requests, answers)

    def _run_jobs(
        self, tasks: Sequence[Sequence[Operation]], k: int, requests: int, answers: int
    ) -> None:
        counters = self._counters
        while True:
            spin_until(counters, REQUESTED, counters[FINISHED] + 1, self._spins)
            if not os.read(requests, 1) or counters[TASK] == STOP:
                return
            if counters[REQUESTED] == counters[FINISHED]:  # the wake-up was repeated
                continue
            answer = b"."
            try:
                tasks[counters[TASK]][k]()
            except BaseException as error:
                answer = b"!" + pickled(error)
            counters[FINISHED] = counters[REQUESTED]
            os.write(answers, answer)
            counters[ANSWERED] = counters[REQUESTED]


def pickled(error: BaseException) -> bytes:
    """An exception as bytes that a pipe takes in one write; at worst, its message alone."""
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
        if len(content) < select.PIPE_BUF:
            return content
    except Exception:  # whatever its own pickling raises
        pass
    return pickle.dumps(NncliError(f"{type(error).__name__}: {str(error)[:500]}"))


def spin_until(counters: memoryview, index: int, value: int, times: int = SPIN_COUNT) -> None:
    """Looks so many times whether a counter has reached `value`.

    Between two looks, other processes that are ready get the core.
    """
    for _ in range(times):
        if counters[index] >= value:
            return
        os.sched_yield()
