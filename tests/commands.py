"""Runs nncli commands: within the tests' own process, which is quick, or in one of their own.

Both give the exit status and the very bytes that came out of standard output and standard error;
`tests/cli/test_runners.py` compares them.
"""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

import numpy as np
import typer.main

import nncli.cli
from nncli.cli import app as command_line

MAIN = Path(nncli.cli.__file__).parents[1] / "__main__.py"
LIMIT = 300  # seconds; nothing takes as long, however busy the machine is
# What the interpreter or a library reads when it starts is for processes alone.
READ_BY_COMMANDS = {
    *("COLUMNS", "_NNCLI_COMPLETE", "COMP_WORDS", "COMP_CWORD"),
    *("_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION"),
}
AS_IN_A_NEW_PROCESS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGPIPE: signal.SIG_IGN,
}


@dataclass(frozen=True)
class Outcome:
    """What came of a command; what it printed also as text."""

    status: int
    stdout: bytes
    stderr: bytes
    encoding: str = "utf-8"

    @property
    def out(self) -> str:
        return self.stdout.decode(self.encoding)

    @property
    def err(self) -> str:
        return self.stderr.decode(self.encoding)


def in_a_process(
    *arguments: str | Path, folder: Path, stdin: bytes = b"", **environment: str
) -> Outcome:
    """Runs nncli as a shell would."""
    done = subprocess.run(
        [sys.executable, "-m", "nncli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", **environment},
        input=stdin,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    return Outcome(done.returncode, done.stdout, done.stderr, encoding)


def in_this_process(
    *arguments: str | Path,
    folder: Path,
    stdin: bytes = b"",
    program: Path = MAIN,
    **environment: str,
) -> Outcome:
    """Runs nncli's `main` here, between pipes, and leaves everything as it was.

    It is called as `python -m nncli`, or by the name of a `program`. An exception that leaves
    `main` leaves this too, and a warning is an error.
    """
    assert set(environment) <= READ_BY_COMMANDS, "use nncli_process"
    with _state_kept(), _pipes(stdin) as printed:
        os.chdir(folder)
        os.environ.update({"COLUMNS": "80", **environment})
        sys.argv = [str(program), *map(str, arguments)]
        if program is MAIN:
            sys.modules["__main__"].__package__ = "nncli"  # which usage messages name
        status = _status_of_main()
    return Outcome(status, bytes(printed[0]), bytes(printed[1]))


# To make a command of a function, and validators of its options, takes Typer several milliseconds.
_app_for = cache(command_line.app_for)
_get_command = cache(typer.main.get_command)


class _Exit(BaseException):
    """Stands for `os._exit`."""


def _status_of_main() -> int:
    def leave(status: int) -> NoReturn:
        raise _Exit(status)

    def give_up(number: int, frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"nncli took more than {LIMIT} seconds")

    vars(nncli.cli)["os"] = SimpleNamespace(_exit=leave, environ=os.environ)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT)
    try:
        nncli.cli.main()
    except _Exit as exit:
        return int(exit.args[0])
    finally:
        signal.alarm(0)
        vars(nncli.cli)["os"] = os
    raise AssertionError("main came back")


@contextlib.contextmanager
def _state_kept() -> Iterator[None]:
    """Whatever a command may change of its process is afterwards as it was before."""
    argv, folder, environment = sys.argv, os.getcwd(), dict(os.environ)
    collects, threads, errors = gc.isenabled(), set(threading.enumerate()), np.geterr()
    handlers = {
        number: signal.getsignal(number) for number in (*AS_IN_A_NEW_PROCESS, signal.SIGALRM)
    }
    main, freeze = sys.modules["__main__"], gc.freeze
    gc.freeze = lambda: None  # to undo it would thaw what pytest has collected, too
    sys.modules["__main__"] = ModuleType("__main__")
    for number, action in AS_IN_A_NEW_PROCESS.items():
        signal.signal(number, action)
    try:
        with (
            warnings.catch_warnings(),
            patch.object(command_line, "app_for", lambda names: _app_for(tuple(names))),
            patch.object(typer.main, "get_command", _get_command),
        ):
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.modules["__main__"] = main
        gc.freeze = freeze
        if collects:
            gc.enable()
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = argv
    assert np.geterr() == errors, "NumPy's treatment of errors has changed"
    left = set(threading.enumerate()) - threads
    assert not left, f"threads go on: {left}"


@contextlib.contextmanager
def _pipes(stdin: bytes) -> Iterator[tuple[bytearray, bytearray]]:
    """Standard streams as a process has them whose ends are pipes; what comes out of both."""
    streams, printed = (sys.stdin, sys.stdout, sys.stderr), (bytearray(), bytearray())
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in range(3)]
    readers, writer = [], _feed(stdin)
    for number, content in zip((1, 2), printed, strict=True):
        source, sink = os.pipe()
        os.dup2(sink, number)
        os.close(sink)
        readers.append(threading.Thread(target=_drain, args=(source, content), daemon=True))
        readers[-1].start()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    own = (sys.stdin, sys.stdout, sys.stderr)
    try:
        yield printed
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, handle in enumerate(kept):  # what is still buffered comes out nowhere
            os.dup2(handle, number)
            os.close(handle)
        for thread in (*readers, writer):
            thread.join(LIMIT)
            assert not thread.is_alive(), "somebody still holds the command's streams"
        for stream in own:
            with contextlib.suppress(OSError):
                stream.detach()


def _feed(content: bytes) -> threading.Thread:
    """Standard input from a pipe that holds `content`."""
    source, sink = os.pipe()
    os.dup2(source, 0)
    os.close(source)

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), open(sink, "wb") as stream:
            stream.write(content)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    return thread


def _drain(source: int, content: bytearray) -> None:
    with open(source, "rb", buffering=0) as stream:
        while block := stream.read(1 << 16):
            content += block
