"""What tests of commands share: runs that they look at and do not change, and a terminal."""

import codecs
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nncli
from nncli.app.opening import open_spec_or_run
from nncli.app.trace_files import save_trace
from nncli.spec import load_spec
from tests.commands import LIMIT
from tests.conftest import CONFIGS


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: iris, digits (images), plane (numbers as targets); and a step's trace."""
    folder = tmp_path_factory.mktemp("runs")
    nncli.train(CONFIGS / "iris.yaml", out=folder / "iris")
    nncli.train(load_spec(CONFIGS / "digits-conv.yaml", ["train.epochs=3"]), out=folder / "digits")
    table = "".join(f"{x},{y},{x + y},{x - y}\n" for x in range(10) for y in range(10))
    (folder / "plane.csv").write_text("x,y,sum,difference\n" + table)
    (folder / "plane.yaml").write_text(
        "data: {train: plane.csv, target: [sum, difference], scale: standard}\n"
        "network: [{type: dense, units: 2, activation: identity}]\n"
        "train: {eta: 0.1, epochs: 20}\n"
    )
    nncli.train(folder / "plane.yaml", out=folder / "plane")
    opened = open_spec_or_run(folder / "iris")
    save_trace(nncli.trace_step(opened), opened, folder / "iris.trace")
    return folder


class Terminal:
    """nncli in a pseudo-terminal."""

    def __init__(self, *arguments: Any, **environment: Any) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()  # reads may split a character
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nncli", *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
            start_new_session=True,
            preexec_fn=self.take_control,
        )

    def take_control(self) -> None:
        import fcntl

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # Where the tests run in the background of a shell, Ctrl-C is ignored, and would be here.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def read_until(self, words: Any, seconds: Any = LIMIT, after: int = 0) -> None:
        end = time.monotonic() + seconds
        while words not in self.text[after:]:
            assert time.monotonic() < end, self.text
            self.read(0.1)

    def read(self, seconds: Any) -> None:
        while select.select([self.master], [], [], seconds)[0]:
            self.text += self.decoder.decode(os.read(self.master, 65536))
            seconds = 0

    def type(self, keys: Any) -> None:
        os.write(self.master, keys)

    def end(self) -> Any:
        """The status; the terminal is as it was, and shows its cursor."""
        end = time.monotonic() + LIMIT
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.read(0.05)
        assert termios.tcgetattr(self.slave) == self.before
        assert "Traceback" not in self.text
        assert self.text.count("\x1b[?25l") == self.text.count("\x1b[?25h") or (
            self.text.rindex("\x1b[?25h") > self.text.rindex("\x1b[?25l")
        )
        return self.process.poll()

    def close(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def open_terminal() -> Iterator[Any]:
    """Starts a command of nncli in a terminal: `open_terminal("conv", ..., COLUMNS="80")`."""
    opened = []

    def start(*arguments: Any, **environment: Any) -> Any:
        opened.append(Terminal(*arguments, **environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
