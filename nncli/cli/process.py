"""What the process does with its streams, its signals and the keys that are pressed.

Nothing but the standard library: every command needs this.
"""

import codecs
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from types import FrameType

# For a terminal or a pipe that cannot take the symbols: one ASCII character for each, so that
# columns stay aligned, and never a crash.
ASCII = str.maketrans(
    "δΔησβγελμ∂Σ√′‖⊙⊗⊘·×→–−—…≤≥½┤│─ᵀᵗµ₁₂²\u0302", "dDnsbgelmdSr'|*x/.x>---.<>%||-Ttu122^"
)


def _nearest_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ASCII)
    return "".join(c if c.isascii() else "?" for c in text), error.end


def prepare_streams() -> None:
    """Lets both streams take any text, whatever their encoding, even where they are closed."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # or the next file that is opened would take its number
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
    codecs.register_error("nncli.ascii", _nearest_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nncli.ascii")


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


def until_key(frames: Generator[None, None, None]) -> None:
    """Goes through `frames` until a key is pressed, or Ctrl-C; then closes them."""
    with closing(frames):
        _until_key(frames)


def _until_key(frames: Generator[None, None, None]) -> None:
    try:
        if not sys.stdin.isatty():
            for _ in frames:
                pass
            return
        import select
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
        try:
            tty.setcbreak(sys.stdin)
            for _ in frames:
                if select.select([sys.stdin], [], [], 0)[0]:
                    sys.stdin.read(1)
                    return
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    except KeyboardInterrupt:
        return
