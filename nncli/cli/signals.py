"""Signals as requests to stop."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Whether somebody has asked to stop."""

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
        # Whoever has asked to stop is being obeyed: pressing on must not cut the last words short.
        for number in caught:
            signal.signal(number, signal.SIG_IGN if stop.requested else before[number])


def _silence(terminals: list[int]) -> None:
    """Lets what is still said to a terminal that has gone away go nowhere, rather than fail."""
    for stream in terminals:
        if not os.isatty(stream):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
