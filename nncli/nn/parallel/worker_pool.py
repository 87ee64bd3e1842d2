"""The workers that share the work of a step: threads, or processes in their place.

NumPy lets go of Python's lock in its products and in its loops over long arrays, so threads that
each do a share of the work run side by side, though not without waiting for each other: see
`process_worker`. BLAS's own threads would compete with them for the same cores, so their number is
set as well: one or the other kind of parallel work. Within a task workers wait for each other at a
barrier.
"""

import mmap
import os
import time
from collections.abc import Sequence
from functools import partial
from threading import Barrier, BrokenBarrierError, Lock, Thread
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.processes import available_cores, available_threads
from nncli.nn.arrays import AlignedBuffers, Operation
from nncli.nn.layers import Placed
from nncli.nn.network import Network, splits_samples
from nncli.nn.parallel.blas import blas_threads, set_blas_threads
from nncli.nn.parallel.process_worker import (
    CACHE_LINE,
    WAKE_INTERVAL,
    ProcessWorker,
    can_fork,
    spin_until,
)

if TYPE_CHECKING:
    from nncli.nn.parallel.ranks import Ranks

SLEEP = 2e-4  # seconds between two looks at a counter, after spinning


class BarrierAborted(Exception):
    """A worker has failed and will not reach the barrier."""


class WorkerBarrier:
    """A barrier for the caller, worker 0, and the other workers of a pool, threads or processes."""

    def reset(self) -> None:
        """Makes it as new; before a task, when no worker waits."""
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


# Multiply-adds of a step that make a further thread worth while. Two on two cores come out even at
# 2 to 3 million: [784, 30, 10] in mini-batches of 32 has 2.3 and takes as long either way,
# [784, 100, 10] in mini-batches of 16 has 3.8 and takes two thirds of the time; LeNet in
# mini-batches of 10 has 12 and takes three quarters.
WORTH_A_THREAD = 1_800_000
# Threads wait for each other several times in a step: more of them gain less and less.
MOST_THREADS = 8
SMALLEST_SHARE = 4  # samples of a mini-batch; fewer are not worth a thread


def most_shares(n: int, wanted: int) -> int:
    """Into how many shares, at most `wanted`, `n` samples are split."""
    return max(1, min(wanted, n // SMALLEST_SHARE))


def start_workers(
    network: Network,
    n: int,
    threads: int | str,
    micro_batches: int = 1,
    ranks: "Ranks | None" = None,
) -> "WorkerPool":
    """A pool for steps of `n` samples: of `threads`, or with "auto" of as many as are worth it.

    A network that cannot be partitioned gets a pool of one.

    Args:
        micro_batches, ranks: see `WorkerPool`. A process of an MPI job has one thread.
    """
    available = available_threads()
    count = threads if isinstance(threads, int) else best_threads(network.layers, n, available)
    if not splits_samples(network.layers):
        count = 1
    if micro_batches > 1:  # BLAS with several threads would add up in another order
        count = 1 if ranks is not None else min(count, most_shares(n, micro_batches))
    # Processes spin while they wait for each other: they need a core each.
    processes = network.buffers.shared and count <= available_cores()
    pool = WorkerPool(count, partitioned=n >= SMALLEST_SHARE * count, processes=processes)
    pool.micro_batches, pool.ranks = micro_batches, ranks
    return pool


def best_threads(layers: Sequence[Placed], n: int, available: int) -> int:
    """How many threads, at most `available`, steps of `n` samples are likely fastest with."""
    worth = step_multiply_adds(layers, n) // WORTH_A_THREAD
    return max(1, min(available, worth, MOST_THREADS))


def step_multiply_adds(layers: Sequence[Placed], n: int) -> int:
    """Multiply-adds of forward and backward: each weight's product is computed three times."""
    return 3 * n * sum(placed.multiply_adds for placed in layers)


def buffers_for(threads: int | str) -> AlignedBuffers:
    """The buffers of a network for which `start_workers` may start `threads`."""
    several = available_threads() > 1 if isinstance(threads, str) else threads > 1
    return AlignedBuffers(shared=several and can_fork())


class Worker(Protocol):
    """Runs its job of each task while the caller runs the first."""

    def start(self, task: int) -> None: ...
    def wait(self) -> None: ...
    def raise_error(self) -> None: ...
    def stop(self) -> None: ...


class WorkerPool:
    """`threads` workers, the caller's thread among them. Close it, or use it as a context.

    It keeps the tasks that it was given, and what they refer to, until it is closed.

    Args:
        partitioned: whether steps are partitioned among the workers. Where mini-batches are too
            small for that, BLAS gets the threads instead.
        processes: whether the workers besides the caller are processes, which are faster. They see
            changes in shared memory (`AlignedBuffers`) and no others.

    Attributes:
        size: how many jobs it runs at once.
        micro_batches: into how many shares the samples of a mini-batch are split, whatever the
            number of workers; 1: as it suits them.
        ranks: the processes of an MPI job that the shares are computed by; None: it is alone.
        processes: whether its workers are processes after all.
        barrier: where the jobs of a task may wait for each other.
    """

    def __init__(self, threads: int, *, partitioned: bool = True, processes: bool = False) -> None:
        self.threads = threads
        self.size = threads if partitioned else 1
        self.micro_batches = 1
        self.ranks: Ranks | None = None
        self.processes = processes
        self._blas_threads_before = blas_threads()
        # More of them than cores spin while they wait: 32 on two took 300 times as long.
        set_blas_threads(1 if partitioned else min(threads, available_cores()))
        self._tasks: list[Sequence[Operation]] = []
        self._workers: list[Worker] = []
        self._known_tasks = 0  # to the workers
        if processes:
            try:
                self._fork()  # to see whether it is possible; they know no task yet
            except OSError:  # the system allows no more processes
                self.processes = False
        self.barrier = (ProcessBarrier if self.processes else ThreadBarrier)(self.size)

    def task(self, jobs: Sequence[Operation]) -> Operation:
        """Records jobs, at most `size`, that will be run again and again.

        Returns:
            runs all of them at the same time, the first in the caller's thread, and raises what one
            of them raised, once all have ended.
        """
        self._tasks.append(jobs)
        return partial(self._run, len(self._tasks) - 1)

    def _run(self, task: int) -> None:
        jobs = self._tasks[task]
        if task >= self._known_tasks:
            self._renew_workers()
        workers = self._workers[: len(jobs) - 1]
        self.barrier.reset()
        try:
            for worker in workers:
                worker.start(task)
            jobs[0]()
        except BaseException:  # Ctrl-C too, anywhere in here: no worker may wait for this thread
            self.barrier.abort()
            raise
        finally:
            self._wait(workers)
        for worker in workers:
            worker.raise_error()

    def _wait(self, workers: Sequence[Worker]) -> None:
        dead: list[NncliError] = []
        for worker in workers:
            try:
                worker.wait()
            except NncliError as error:
                self.barrier.abort()
                dead.append(error)
        if dead:
            raise dead[0]

    def _renew_workers(self) -> None:
        """Makes all tasks known to the workers: a process knows those from before it was forked."""
        count = len(self._tasks)
        if not self.processes:
            if not self._workers:
                self._workers += [ThreadWorker(self._tasks, k) for k in range(1, self.size)]
            self._known_tasks = count
            return
        self._stop_workers()
        try:
            pids = self._fork()
        except OSError as error:
            raise NncliError(
                f"no process could be started to share the work ({error.strerror}); --threads 1 "
                "does without"
            ) from error
        assert isinstance(self.barrier, ProcessBarrier)
        self.barrier.pids = pids
        self._known_tasks = count

    def _fork(self) -> list[int]:
        """Forks the workers; returns their process numbers.

        Raises:
            OSError: the system does not allow as many processes; there are none then.
        """
        forked: list[ProcessWorker] = []
        try:
            for k in range(1, self.size):
                forked.append(ProcessWorker(self._tasks, k))
        except OSError:
            for worker in forked:
                worker.stop()
            raise
        self._workers += forked
        return [worker.pid for worker in forked]

    def _stop_workers(self) -> None:
        while self._workers:
            self._workers.pop().stop()

    def close(self) -> None:
        """Ends the workers, and gives BLAS back the threads that it had."""
        self._stop_workers()
        self._tasks.clear()
        if self._blas_threads_before is not None:
            set_blas_threads(self._blas_threads_before)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ThreadWorker:
    """One more thread, which sleeps between its jobs."""

    def __init__(self, tasks: Sequence[Sequence[Operation]], k: int) -> None:
        """It runs the job `k` of each task."""
        self._tasks, self._k = tasks, k
        self._job: Operation | None = None
        self._error: BaseException | None = None
        self._is_busy = False  # from the start of a job until the worker itself says it has ended
        self._requested, self._finished = Lock(), Lock()
        self._requested.acquire()
        self._finished.acquire()
        # A daemon: a training that was broken off must not keep the process from ending.
        self._thread = Thread(target=self._run_jobs, name="nncli", daemon=True)
        self._thread.start()

    def start(self, task: int) -> None:
        """Has it run its job of a task, once a job under way has ended."""
        self.wait()
        self._job, self._is_busy = self._tasks[task][self._k], True
        self._wake()

    def _wake(self) -> None:
        if self._requested.locked():
            self._requested.release()

    def wait(self) -> None:
        """Waits for the end of the job, if one is under way."""
        # Ctrl-C may come when the lock has just been taken, so having it says nothing by itself; or
        # before the worker was woken, so the wake-up is repeated.
        while self._is_busy:
            if not self._finished.acquire(timeout=WAKE_INTERVAL):
                self._wake()

    def raise_error(self) -> None:
        """Raises what the last job raised, if it did."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def stop(self) -> None:
        """Ends the thread, once a job under way has ended."""
        self.wait()
        self._job, self._is_busy = None, True
        self._wake()
        self._thread.join()

    def _run_jobs(self) -> None:
        with np.errstate(all="ignore"):  # as in the caller, see `Step`
            while True:
                self._requested.acquire()
                if not self._is_busy:  # the wake-up was repeated
                    continue
                if self._job is None:
                    return
                try:
                    self._job()
                except BaseException as error:
                    self._error = error
                self._is_busy = False
                if self._finished.locked():  # or the job before was not waited for
                    self._finished.release()
