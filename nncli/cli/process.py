"""What the process does with its streams, its signals and the keys that are pressed.

Next to nothing is imported: every command needs this.
"""

import codecs
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from nncli.core.text import in_ascii


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return in_ascii(error.object[error.start : error.end]), error.end


class Lenient(io.FileIO):
    """A file whose writing never fails: what it cannot take is lost."""

    def write(self, content: Any, /) -> int:
        with suppress(OSError):
            return super().write(content) or len(memoryview(content))
        return len(memoryview(content))


def prepare_streams() -> None:
    """Lets both streams take any text, whatever their encoding, even where they are closed.

    What is said on standard error goes beside the results: no result is lost for it.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # or the next file that is opened would take its number
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
    codecs.register_error("nncli.ascii", _spelled_out)
    with suppress(OSError):  # it has no number where a program has put its own there
        raw = io.BufferedWriter(Lenient(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nncli.ascii")


WIDTHS = {"COLUMNS": (20, 10_000), "LINES": (1, 10_000), "TERMINAL_WIDTH": (20, 10_000)}


def forget_odd_widths() -> None:
    """Takes sizes of the terminal that none has out of the environment, where libraries find them.

    A line of as many blanks as COLUMNS claims might not fit in memory.
    """
    for name, (least, most) in WIDTHS.items():
        text = os.environ.get(name)
        is_size = text is not None and re.fullmatch("[0-9]{1,9}", text) is not None
        if text is not None and not (is_size and least <= int(text) <= most):
            del os.environ[name]


others: list[Callable[[int], None]] = []  # how further processes are ended, by the exit status


def end_others(status: int) -> bool:
    """Ends what this process is a part of, once all is said; whether that is anything."""
    for end in others:
        end(status)
    return bool(others)


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Whether a signal has asked to stop."""

    requested = False


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Within it, a first Ctrl-C, SIGTERM or SIGHUP is a request, each further one an interruption.

    The interruption is a KeyboardInterrupt wherever the program happens to be.
    """
    stop = StopRequest()
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence(terminals)
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = {number: signal.getsignal(number) for number in STOPPING}
    # Under nohup, SIGHUP is to be ignored.
    caught = [n for n in STOPPING if n != signal.SIGHUP or before[n] != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        # The stop is under way: a further signal must not cut off the last messages.
        for number in caught:
            signal.signal(number, signal.SIG_IGN if stop.requested else before[number])


def _silence(terminals: list[int]) -> None:
    """Lets what is still said to a terminal that has gone away go nowhere, rather than fail."""
    for stream in terminals:
        if not os.isatty(stream):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


REST_OF_KEY = 0.1  # seconds that the rest of an arrow may take to come, over a slow line
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
# Also the end of the input: Ctrl-D, which the terminal keeps as NUL where it came before the keys.
ENDS = ("\x1b", "\x04", "\x00")
ONE_KEY = re.compile("\x1b[\\[O]([A-D])|\x1b\\[[0-9;]*[ -/]*[@-~]|(.)", re.DOTALL)


@contextmanager
def keyboard() -> Iterator[Callable[[float | None], str] | None]:
    """Within it the terminal gives each key at once: `read(seconds)` waits for one, "" for none.

    Arrows are named; the end of the input, Ctrl-D and a lone Escape are "escape". None where
    standard input is no terminal. Ctrl-C ends what is within, and is no error.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        with suppress(KeyboardInterrupt):
            yield None
        return
    import select
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    pressed: list[str] = []

    def read(seconds: float | None) -> str:
        if not pressed:
            if not select.select([number], [], [], seconds)[0]:
                return ""
            text = os.read(number, 1024).decode("utf-8", "ignore")
            if text == "\x1b" and select.select([number], [], [], REST_OF_KEY)[0]:
                text += os.read(number, 1024).decode("utf-8", "ignore")
            pressed.extend(_keys(text) or ["escape"])
        return pressed.pop(0)

    try:
        tty.setcbreak(number, termios.TCSADRAIN)  # an end of the input that came before stays
        with suppress(KeyboardInterrupt):
            yield read
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _keys(text: str) -> list[str]:
    """The keys that a terminal wrote; sequences that no command uses are "unknown"."""
    found = []
    for match in ONE_KEY.finditer(text):
        arrow, character = match.groups()
        found.append(
            ARROWS.get(arrow) or ("escape" if character in ENDS else character or "unknown")
        )
    return found
