"""Threads that play the part of ranks, in the place of an MPI job's processes."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from threading import Barrier, Thread
from typing import Any

import numpy as np


class Threads:
    """What ranks that are threads share."""

    def __init__(self, size: int) -> None:
        self.barrier = Barrier(size, timeout=10)
        self.given: list[Any] = [None] * size
        self.calls = 0

    def run(self, job: Callable[["ThreadRank"], Any]) -> list[Any]:
        """What the job of each rank returns."""
        found: list[Any] = [None] * len(self.given)

        def work(rank: int) -> None:
            try:
                found[rank] = job(ThreadRank(self, rank))
            except BaseException as error:
                found[rank] = error
                self.barrier.abort()

        threads = [Thread(target=work, args=(rank,)) for rank in range(len(found))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in found:
            if isinstance(result, BaseException):
                raise result
        return found


class ThreadRank:
    def __init__(self, threads: Threads, rank: int) -> None:
        self.threads, self.rank, self.size = threads, rank, len(threads.given)

    def _swap(self, given: Any) -> list[Any]:
        threads = self.threads
        threads.given[self.rank] = given
        threads.barrier.wait()
        taken = list(threads.given)
        threads.barrier.wait()
        threads.calls += self.rank == 0
        return taken

    def all_gather(self, array: Any, counts: Sequence[int]) -> None:
        ends = list(pairwise([0, *accumulate(counts)]))
        assert ends[-1][1] == len(array)
        assert array.flags.c_contiguous
        for (start, end), theirs in zip(ends, self._swap(array.copy()), strict=True):
            array[start:end] = theirs[start:end]

    def all_to_all(
        self, sent: Any, sent_counts: Sequence[int], taken: Any, taken_counts: Sequence[int]
    ) -> None:
        ends = list(pairwise([0, *accumulate(sent_counts)]))
        assert ends[-1][1] == len(sent)
        stretches = [given[self.rank] for given in self._swap([sent[s:e].copy() for s, e in ends])]
        assert [len(stretch) for stretch in stretches] == list(taken_counts)
        taken[...] = np.concatenate(stretches)
