"""`explain --ask`: answers come line by line, from a terminal or a pipe."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

ReadLine = Callable[[], str | None]
Interview = Callable[[Callable[[Any], None], ReadLine, Callable[[], bool]], None]


def hold(interview: Interview) -> None:
    """Holds an interview; Ctrl-C ends it, and is no error.

    Args:
        interview: is given what shows a page, what reads a line (None: there are no more), and
            what waits behind a page and says whether to go on.
    """
    from nncli.render.streams import results
    from nncli.render.terminal import TerminalPage

    screen = results()
    is_person = sys.stdin is not None and sys.stdin.isatty()

    def show(page: Any) -> None:
        screen.print(TerminalPage(page), crop=False)
        screen.print()

    def read_line() -> str | None:
        if sys.stdin is None:
            return None
        sys.stdout.flush()
        line = sys.stdin.buffer.readline()
        return line.decode("utf-8", "replace") if line else None

    def wait() -> bool:
        if not is_person:
            return True
        screen.print("Enter: on, q: end ", end="")
        line = read_line()
        return line is not None and line.strip().lower() != "q"

    with suppress(KeyboardInterrupt):
        interview(show, read_line, wait)
