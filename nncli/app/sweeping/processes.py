"""A runner of processes of our own, each of which trains one trial after another and may die."""

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from time import monotonic
from typing import Any

from nncli.app.sweeping.trial import Outcome, Task
from nncli.app.sweeping.worker import STOP
from nncli.core.errors import RunError
from nncli.core.files import reason

SHORT = 0.1  # seconds: of trials as short as this, a process has the next one at hand
PATIENCE = 20.0  # seconds for trials that are to stop to save their states


class _Process:
    """A worker, and the tasks that it was sent."""

    def __init__(self) -> None:
        """Raises OSError: the system does not allow one more."""
        ours, theirs = socket.socketpair()
        package = str(Path(__file__).parents[3])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with ours, theirs:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "nncli.app.sweeping.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **one, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # a Ctrl-C is for the sweep, which passes it on
            )
            self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.tasks: deque[Task] = deque()
        self.has_spec = False

    def send(self, task: Task) -> None:
        """Does nothing where the process is dead; that shows when it is listened to."""
        self.tasks.append(task)
        with suppress(OSError):
            bare: Any = task._replace(spec=None)  # type: ignore[arg-type]
            self.connection.send((None if self.has_spec else task.spec, bare))
        self.has_spec = True

    def stop(self) -> None:
        with suppress(OSError):
            self.connection.send(STOP)

    def end(self) -> str:
        """Ends it if it is not dead; how it ended, in words."""
        self.connection.close()
        try:
            status = self.popen.wait(0.5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            status = self.popen.wait()
        if status >= 0:
            return f"the process that trained it ended with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        memory = ", as is done where memory is short" if status == -signal.SIGKILL else ""
        return f"the process that trained it was killed ({name}{memory})"


class Processes:
    """A runner of `jobs` processes. One that dies costs the trial it was at, and is replaced."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._workers: list[_Process] = []
        self._waiting = deque[Task]()
        self._seconds = SHORT  # of the last trial

    def wanted(self) -> int:
        taken = len(self._waiting) + sum(len(worker.tasks) for worker in self._workers)
        return self._jobs * self._at_hand - taken

    @property
    def _at_hand(self) -> int:
        return 2 if self._seconds < SHORT else 1

    def submit(self, task: Task) -> None:
        self._waiting.append(task)
        self._hand_out()

    def _hand_out(self) -> None:
        """Gives each process what it is to have, those without any first."""
        for count in range(self._at_hand):
            for worker in self._workers:
                if self._waiting and len(worker.tasks) <= count:
                    worker.send(self._waiting.popleft())
            while self._waiting and len(self._workers) < self._jobs:
                try:
                    self._workers.append(_Process())
                except OSError as error:  # the system allows no more processes, or open files
                    if not self._workers:
                        message = f"no process to train in can be started: {reason(error)}"
                        raise RunError(message) from error
                    self._jobs = len(self._workers)
                    return
                self._workers[-1].send(self._waiting.popleft())

    def ended(self, seconds: float) -> list[Outcome]:
        ready = wait_for([worker.connection for worker in self._workers], seconds)
        outcomes = []
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            try:
                outcome = worker.connection.recv()
            except (EOFError, OSError):
                self._workers.remove(worker)
                how = worker.end()
                if not worker.tasks:  # it was idle
                    continue
                outcome = Outcome(worker.tasks.popleft().id, "failed", None, how, "killed")
                self._waiting.extendleft(reversed(worker.tasks))  # that were not begun
            else:
                worker.tasks.popleft()
                self._seconds = outcome.seconds or 0.0
            outcomes.append(outcome)
        self._hand_out()
        return outcomes

    def stop(self) -> list[Outcome]:
        outcomes = []
        for worker in self._workers:
            worker.stop()
        until = monotonic() + PATIENCE
        for worker in self._workers:
            if worker.tasks and worker.connection.poll(max(0.0, until - monotonic())):
                with suppress(EOFError, OSError):
                    outcomes.append(worker.connection.recv())
        return outcomes

    def close(self) -> None:
        for worker in self._workers:
            worker.popen.kill()
            worker.end()
        self._workers.clear()
