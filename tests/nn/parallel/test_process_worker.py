"""Workers that are processes: how they start, wait and end."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nncli.core.errors import NncliError
from nncli.nn.parallel import process_worker
from nncli.nn.parallel.process_worker import ProcessWorker, can_fork
from nncli.nn.parallel.worker_pool import WorkerPool
from tests.commands import LIMIT

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(not can_fork(), reason="no processes are forked here"),
]


def never() -> None:
    raise AssertionError("a job of the caller's")


def add(counts: Any, place: int = 0) -> None:
    counts[place] += 1


def ended(pid: int) -> bool:
    """Whether the process has ended, waited for or not."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_each_job_is_done_once(counts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_worker, "SPIN_COUNT", 3)  # so that both sides sleep too
    worker = ProcessWorker([[never, partial(add, counts)], [never, partial(add, counts, 1)]], 1)
    for k in range(500):
        worker.start(k % 2)
        if k % 7 == 0:
            worker.wait()
            worker.wait()
    worker.wait()
    worker.stop()
    assert counts[:2].tolist() == [250, 250]
    assert ended(worker.pid)


def test_a_job_under_way_is_ended_first(counts: Any) -> None:
    def slowly() -> None:
        time.sleep(0.2)
        counts[0] += 1

    worker = ProcessWorker([[never, slowly]], 1)
    worker.start(0)
    worker.stop()
    assert counts[0] == 1


@pytest.mark.parametrize("at", ["before the wake-up", "after the answer"])
def test_ctrl_c_between_two_lines_keeps_no_one_waiting(
    counts: Any, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """As a KeyboardInterrupt leaves them: a wake-up that was not sent, an answer not noted."""
    worker = ProcessWorker([[never, partial(add, counts)]], 1)
    if at == "before the wake-up":
        with monkeypatch.context() as patch:
            patch.setattr(ProcessWorker, "_wake", lambda self: None)
            worker.start(0)
    else:
        worker.start(0)
        worker.wait()
        worker._is_busy = True
    worker.wait()
    assert counts[0] == 1
    worker.start(0)
    worker.wait()
    assert counts[0] == 2
    worker.stop()


def test_it_holds_no_file_of_its_parent(counts: Any, tmp_path: Path) -> None:
    def look() -> None:
        counts[0] = len(os.listdir("/proc/self/fd"))

    with open(tmp_path / "file", "w") as file, WorkerPool(3, processes=True) as workers:
        assert file.fileno() > 2
        workers.task([add.__repr__, look, look])()
    assert counts[0] == 3, "calls, answers, and the folder that is listed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_meant_for_the_parent_leaves_it_alone(counts: Any, number: Any) -> None:
    worker = ProcessWorker([[never, partial(add, counts)]], 1)
    os.kill(worker.pid, number)
    worker.start(0)
    worker.wait()
    worker.stop()
    assert counts[0] == 1


def test_a_killed_worker_is_reported_in_words(counts: Any) -> None:
    with WorkerPool(2, processes=True) as workers:
        task = workers.task([add.__repr__, partial(add, counts)])
        task()
        (worker,) = workers._workers
        assert isinstance(worker, ProcessWorker)
        os.kill(worker.pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(NncliError, match=r"ended from outside.*--threads 1"):
                task()


@pytest.mark.parametrize(
    "job", ["os.getpid", "partial(workers.barrier.wait, 1)", "partial(sleep, 1)"]
)
def test_it_ends_with_its_parent(job: str) -> None:
    program = f"""
import os, signal
from functools import partial
from time import sleep
from nncli.nn.parallel.worker_pool import WorkerPool
workers = WorkerPool(2, processes=True)
def end():
    print(workers._workers[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
workers.task([end, {job}])()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL
    assert ended(int(run.stdout))


def test_an_answer_that_comes_late_is_waited_for(
    counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def late(file: Any, content: Any) -> Any:
        if content.startswith(b"!"):
            time.sleep(3 * process_worker.WAKE_INTERVAL)
        return write(file, content)

    def fail() -> None:
        raise KeyError("late")

    monkeypatch.setattr("os.write", late)
    worker = ProcessWorker([[never, fail]], 1)
    worker.start(0)
    worker.wait()
    with pytest.raises(KeyError, match="late"):
        worker.raise_error()
    worker.stop()


class NotPicklable(Exception):
    def __init__(self, one: Any, two: Any) -> None:
        super().__init__("cannot be made of what it says")


@pytest.mark.parametrize(
    "error", [ValueError("long " * 100_000), NotPicklable(1, 2), ValueError("a file", lambda: None)]
)
def test_what_an_error_says_comes_through_whatever_it_is(error: Any) -> None:
    def fail() -> None:
        raise error

    worker = ProcessWorker([[never, fail]], 1)
    worker.start(0)
    worker.wait()
    with pytest.raises(NncliError, match=f"{type(error).__name__}: .*(long|cannot|file)"):
        worker.raise_error()
    worker.stop()


def test_no_process_for_a_later_task_is_an_error_each_time(
    counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> None:
        raise BlockingIOError(11, "no more processes")

    with WorkerPool(2, processes=True) as workers:
        task = workers.task([partial(add, counts, 0), partial(add, counts, 1)])
        with monkeypatch.context() as patch:
            patch.setattr("os.fork", fork)
            for _ in range(2):
                with pytest.raises(NncliError, match=r"no more processes.*--threads 1"):
                    task()
        task()
    assert counts[:2].tolist() == [1, 1]


def test_children_that_the_system_waits_for(counts: Any) -> None:
    """As a program is started whose parent ignores the end of its children."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with WorkerPool(2, processes=True) as workers:
            workers.task([partial(add, counts, 0), partial(add, counts, 1)])()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert counts[:2].tolist() == [1, 1]
