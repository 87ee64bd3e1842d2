"""Ctrl-C as a request to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether the user has asked to stop, and whether what there is is being saved."""

    requested = False
    saving = False


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Within it, the first Ctrl-C is a request, the second an interruption.

    Once saving has begun no further one counts: it takes but a moment, and is worth it.
    """
    stop = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested and not stop.saving:
            stop.saving = True
            raise KeyboardInterrupt
        stop.requested = True

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        # Whoever has asked to stop is being obeyed: pressing on must not cut the last words short.
        signal.signal(signal.SIGINT, signal.SIG_IGN if stop.requested else before)
