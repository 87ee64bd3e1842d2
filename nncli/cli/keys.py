"""A key as a wish to end."""

import select
import sys
from collections.abc import Generator
from contextlib import closing


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
