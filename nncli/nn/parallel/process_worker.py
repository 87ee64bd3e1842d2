"""A helper that is a process, forked from this one, for what lies in shared memory.

Two threads take turns at Python's lock, and one that finds it taken falls asleep; a step is some
forty short calls of NumPy, so that costs them a tenth of a large step and half of a small one.
Processes have a lock each.
"""

import contextlib
import mmap
import os
import pickle
import select
import signal
import sys
import warnings
from collections.abc import Sequence

import numpy as np

from nncli.core.errors import NncliError
from nncli.nn.arrays import Operation

LOOKS = 1000  # at the other side's count, of half a microsecond each, before falling asleep
PATIENCE = 0.1  # seconds after which a wake-up call is repeated
ENOUGH = 1 << 16  # bytes: all that a pipe holds
END = -1  # in place of a task
# Places in the memory that both sides see, each in a cache line of its own.
PITCH = 8
TASK, WANTED, ENDED, ANSWERED = 0, PITCH, 2 * PITCH, 3 * PITCH


def can_fork() -> bool:
    """Whether processes stand in for threads here.

    macOS's BLAS does not go on in a forked process. And what one process writes has to be seen by
    another in the order in which it was written, without a lock: x86 promises that.
    """
    return sys.platform == "linux" and os.uname().machine == "x86_64"


class ProcessWorker:
    """One more process, which sleeps between its jobs. It knows the tasks that there are now.

    Both sides count the jobs, in memory that they share, and wake each other through a pipe. They
    watch the count for a moment before they sleep, which is quicker than to be woken.

    Args:
        tasks, k: it does the job `k` of each task.

    Raises:
        OSError: the system does not allow one more process.
    """

    def __init__(self, tasks: Sequence[Sequence[Operation]], k: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._is_busy = False
        self._answer = b""
        calls, self._operations = os.pipe()
        self._answers, answers = os.pipe()
        # Whoever ends the parent ends the child; what Ctrl-C means is the parent's business.
        stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
        try:
            self.pid = fork()
            if self.pid == 0:
                self._serve(tasks, k, calls, answers)
        except OSError:
            self._close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(calls)
            os.close(answers)

    def begin(self, task: int) -> None:
        self.finish()
        self._answer = b""
        self._is_busy = True
        self._counts[TASK] = task
        self._counts[WANTED] += 1
        self._call()

    def finish(self) -> None:
        """Waits for the end of the job, if one is under way.

        Raises:
            NncliError: the process has been ended from outside.
        """
        # Ctrl-C may come between any two lines, here or in `begin`: then a call was not made, or an
        # answer is read but not noted. So what counts are the counts, and calls are repeated.
        while self._is_busy:
            watch(self._counts, ENDED, self._counts[WANTED])
            if select.select([self._answers], [], [], PATIENCE)[0]:
                answer = os.read(self._answers, ENOUGH)
                if not answer:
                    raise self._died()
                self._answer += answer
                self._is_busy = self._counts[ENDED] != self._counts[WANTED]
            elif self._counts[ENDED] != self._counts[WANTED]:
                self._call()
            else:
                self._is_busy = self._counts[ANSWERED] != self._counts[WANTED]

    def raise_error(self) -> None:
        _, failed, error = self._answer.partition(b"!")
        self._answer = b""
        if failed:
            raise pickle.loads(error)

    def end(self) -> None:
        with contextlib.suppress(NncliError):  # it has ended already
            self.finish()
            self._counts[TASK] = END
            self._counts[WANTED] += 1
            self._call()
        self._close()
        with contextlib.suppress(ChildProcessError):  # somebody else has waited for it
            os.waitpid(self.pid, 0)

    def _call(self) -> None:
        try:
            os.write(self._operations, b".")
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> NncliError:
        return NncliError(
            "a process that shared the work has been ended from outside, as the system does when "
            "it runs out of memory; --threads 1 does without it"
        )

    def _close(self) -> None:
        os.close(self._operations)
        os.close(self._answers)

    def _serve(
        self, tasks: Sequence[Sequence[Operation]], k: int, calls: int, answers: int
    ) -> None:
        """The life of the process. It ends when it is told to, or its parent has gone."""
        try:
            # A lock on a run folder, or a pipe that somebody reads, must not outlive the parent.
            close_all_but(calls, answers)
            with np.errstate(all="ignore"):  # as the caller has it, see `Step`
                self._work(tasks, k, calls, answers)
        finally:
            os._exit(0)

    def _work(self, tasks: Sequence[Sequence[Operation]], k: int, calls: int, answers: int) -> None:
        counts = self._counts
        while True:
            watch(counts, WANTED, counts[ENDED] + 1)
            if not os.read(calls, 1) or counts[TASK] == END:
                return
            if counts[WANTED] == counts[ENDED]:  # the call was repeated
                continue
            answer = b"."
            try:
                tasks[counts[TASK]][k]()
            except BaseException as error:
                answer = b"!" + packed(error)
            counts[ENDED] = counts[WANTED]
            os.write(answers, answer)
            counts[ANSWERED] = counts[WANTED]


def packed(error: BaseException) -> bytes:
    """An exception that goes through a pipe in one piece; at worst, what it says."""
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
        if len(content) < select.PIPE_BUF:
            return content
    except Exception:  # whatever its own way of being packed raises
        pass
    return pickle.dumps(NncliError(f"{type(error).__name__}: {str(error)[:500]}"))


def fork() -> int:
    """As os.fork.

    Python 3.12 warns where there are threads, whose locks could stay taken in the child for ever;
    this one takes no lock but NumPy's own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def watch(counts: memoryview, place: int, value: int) -> None:
    """Looks for a moment whether a count is there. Whoever else wants the processor gets it."""
    for _ in range(LOOKS):
        if counts[place] >= value:
            return
        os.sched_yield()


def close_all_but(*kept: int) -> None:
    """Closes every open file of the process but these."""
    start = 0
    for file in sorted(kept):
        os.closerange(start, file)
        start = file + 1
    os.closerange(start, max(start, os.sysconf("SC_OPEN_MAX")))
