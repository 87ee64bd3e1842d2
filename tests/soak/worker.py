"""Runs command lines one after another in a process of its own, and says what each of them cost.

`python -m tests.soak.worker MODULE:FUNCTION` reads a JSON object a line: the folder to stand in,
the arguments, the file for standard input, and the folder for what is printed. It answers each with
an object a line. Whatever ends the process (a crash, a hang, a signal) ends it for one case alone:
`Worker` starts another.
"""

import contextlib
import faulthandler
import gc
import importlib
import io
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import IO, Any, NamedTuple

NNCLI = "nncli.cli.app:run"
SECONDS = 10.0  # of computing, that a command may take over one case
STARTING = 30  # seconds more by the clock, for the start of the process and for its end
PATIENCE = 4  # times as long by the clock, on a machine that has other things to do
SPARE = 3 << 30  # bytes of address space above what the process has already: to save the machine
LARGEST_FILE = 256 << 20


class Result(NamedTuple):
    """What came of a command.

    Attributes:
        status: the exit status; None where the process ended instead.
        out, err: what was printed.
        crash: the traceback, or how the process ended; empty where it did not.
        memory: bytes that it took beyond what the process held before.
        seconds: of computing.
    """

    status: int | None
    out: str
    err: str
    crash: str
    memory: int
    seconds: float


class Worker:
    """A process that runs command lines, started anew whenever one of them has ended it."""

    def __init__(self, runner: str = NNCLI, seconds: float = SECONDS) -> None:
        self.runner = runner
        self.seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
        self._end()

    def run(
        self, argv: list[str], *, folder: Path, printed: Path, stdin: Path | None = None
    ) -> Result:
        """Runs `argv` in `folder`; `printed` is a folder for what it prints."""
        process = self._process or self._start()
        request = {
            "folder": str(folder),
            "argv": argv,
            "stdin": os.devnull if stdin is None else str(stdin),
            "printed": str(printed),
        }
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        ready, _, _ = select([process.stdout], [], [], self.seconds * PATIENCE + STARTING)
        answer = process.stdout.readline() if ready else ""
        status, crash, memory, seconds = None, "", 0, 0.0
        if answer:
            status, crash, memory, seconds = json.loads(answer)
        else:
            crash = self._end()
            seconds = self.seconds * PATIENCE + STARTING if not ready else 0.0
        out, err = (_text(printed / name) for name in ("out", "err"))
        if crash and status is None and not answer:  # faulthandler says there where it was
            crash += f"\n{err}"
        return Result(status, out, err, crash, memory, seconds)

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.worker", self.runner, str(self.seconds)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "COLUMNS": "80", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self._process

    def _end(self) -> str:
        """Ends the process; says how it ended where it had done so by itself."""
        process, self._process = self._process, None
        if process is None:
            return ""
        try:
            status = process.wait(1)
            told = f"the process ended with status {status}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            told = "it hung"
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        return told


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "backslashreplace") if path.exists() else ""


# In the process itself


def serve(runner: Callable[[], int], requests: IO[str], answers: IO[str], seconds: float) -> None:
    os.fsync = lambda fd: None  # nothing written here need outlast the machine
    for number, line in enumerate(requests):
        request = json.loads(line)
        with _standing(request):
            # Says where it hung, and ends the process.
            faulthandler.dump_traceback_later(seconds * PATIENCE, exit=True)
            before, began = _forget_peak(), time.process_time()
            status, crash = _run(runner, request["argv"])
            taken = time.process_time() - began
            memory = _memory("VmHWM") - before
            faulthandler.cancel_dump_traceback_later()
        if number % 50 == 0:  # train freezes all there is each time; to look through it takes long
            gc.unfreeze()
        gc.collect()
        answers.write(json.dumps([status, crash, memory, taken]) + "\n")
        answers.flush()


def _run(runner: Callable[[], int], argv: list[str]) -> tuple[int | None, str]:
    sys.argv = ["nncli", *argv]
    try:
        status = runner()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        return None, traceback.format_exc()
    return status, ""


@contextlib.contextmanager
def _standing(request: dict[str, Any]) -> Any:
    """Stands in the request's folder, with its files for the three streams."""
    printed = Path(request["printed"])
    os.chdir(request["folder"])
    names = (request["stdin"], printed / "out", printed / "err")
    flags = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_TRUNC] * 2)
    for number, (name, flag) in enumerate(zip(names, flags, strict=True)):
        handle = os.open(name, flag, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), "utf-8")  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", 0, closefd=False), "utf-8", write_through=True)  # noqa: SIM115
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os.chdir("/")


def _memory(key: str) -> int:
    """Bytes of memory of this process, by a name that Linux has for them; 0 elsewhere."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) << 10


def _forget_peak() -> int:
    """Lets VmHWM, the most memory there was, begin anew; the memory there is now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _limit() -> None:
    """What a case that goes wrong may take of the machine."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    if size := _memory("VmSize"):
        resource.setrlimit(resource.RLIMIT_AS, (size + SPARE, size + SPARE))


def main() -> None:
    module, _, function = sys.argv[1].partition(":")
    runner = getattr(importlib.import_module(module), function)
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    _limit()
    serve(runner, requests, answers, float(sys.argv[2]))


if __name__ == "__main__":
    main()
