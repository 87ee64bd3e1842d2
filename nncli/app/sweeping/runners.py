"""Where trials are trained: a runner takes tasks and tells how each ended.

`Runner` is all that a sweep knows of it. `Processes` (in `processes`) is one, `Futures` another:
it stands for any executor of `concurrent.futures`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from time import monotonic, sleep
from typing import Any, Protocol

from nncli.app.sweeping.trial import PASSING, Outcome, Task, anywhere, run_trial

ATTEMPTS = 2
POLL = 0.1  # seconds between two looks at whether to stop
LOOK = 0.02  # seconds between two looks at jobs that cannot be waited for
AHEAD = 4  # tasks that an executor is given beyond what it runs at once


class Runner(Protocol):
    """Trains trials, each by `run_trial`, somewhere."""

    def wanted(self) -> int:
        """How many tasks it takes now."""

    def submit(self, task: Task) -> None:
        """Takes a task; it is begun as soon as there is room."""

    def ended(self, seconds: float) -> list[Outcome]:
        """What ended since the last call; waits for the first of them, at most so long.

        A task whose process died is one that failed, of the cause "killed".
        """

    def stop(self) -> list[Outcome]:
        """Has the trials that are under way save their states, and begins no more; what ended."""

    def close(self) -> None:
        """Ends what it started, without waiting for a trial."""


def run_tasks(
    runner: Runner, tasks: Iterable[Task], should_stop: Callable[[], bool]
) -> Iterator[Task | Outcome]:
    """Has tasks done: yields each when a runner has taken it, and its outcome when it is known.

    One whose cause of failure may pass is given a second time. Where it is to stop, tasks that were
    not begun have the outcome "waiting".
    """
    source, again = iter(tasks), list[Task]()
    under_way: dict[str, Task] = {}
    failures: dict[str, int] = {}
    while not should_stop():
        for _ in range(runner.wanted()):
            task = again.pop() if again else next(source, None)
            if task is None:
                break
            runner.submit(task)
            under_way[task.id] = task
            yield task
        if not under_way:
            return
        for outcome in runner.ended(POLL):
            task = under_way.pop(outcome.id)
            if outcome.cause in PASSING:
                failures[task.id] = failures.get(task.id, 0) + 1
                if failures[task.id] < ATTEMPTS:
                    again.append(task)
                    continue
            yield outcome
    for outcome in runner.stop():
        del under_way[outcome.id]
        yield outcome
    for task in (*under_way.values(), *again):
        yield Outcome(task.id, "waiting")


class Submits(Protocol):
    """An executor of `concurrent.futures`, or what has as much of one as submitit's have.

    Those give jobs that are no futures: they have `done`, `exception`, `result` and `cancel`, which
    ends one that runs too, but nobody can wait for several of them.
    """

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Any: ...


class Futures:
    """A runner that gives its tasks to an executor, a few ahead of what that runs at once."""

    def __init__(self, executor: Submits, jobs: int) -> None:
        self._executor, self._most = executor, jobs + AHEAD
        self._under_way: dict[Any, Task] = {}

    def wanted(self) -> int:
        return self._most - len(self._under_way)

    def submit(self, task: Task) -> None:
        self._under_way[self._executor.submit(run_trial, anywhere(task))] = task

    def ended(self, seconds: float | None) -> list[Outcome]:
        done = _first_done(list(self._under_way), seconds)
        return [_outcome_of(future, self._under_way.pop(future)) for future in done]

    def stop(self) -> list[Outcome]:
        """Waits for the trials that run: an executor cannot be told to stop one."""
        for future in list(self._under_way):
            if future.cancel() or not isinstance(future, Future):
                del self._under_way[future]
        outcomes = []
        while self._under_way:
            outcomes += self.ended(None)
        return outcomes

    def close(self) -> None:
        for future in self._under_way:
            future.cancel()


def _first_done(futures: list[Any], seconds: float | None) -> list[Any]:
    """Those that are done; waits for the first of them, at most so long."""
    if all(isinstance(future, Future) for future in futures):
        done, _ = wait(futures, seconds, FIRST_COMPLETED)
        return list(done)
    until = math.inf if seconds is None else monotonic() + seconds
    while not (found := [future for future in futures if future.done()]) and monotonic() < until:
        sleep(LOOK)
    return found


def _outcome_of(future: Any, task: Task) -> Outcome:
    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    return Outcome(task.id, "failed", None, f"{type(error).__name__}: {error}", "killed")
