"""Where text goes: standard output for results, standard error for all the rest.

There is a bar for what takes longer than a second, too. What needs a screen loads rich for it; what
is written as it is does not.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from shutil import copyfileobj
from tempfile import TemporaryFile
from time import monotonic
from types import TracebackType
from typing import IO, TYPE_CHECKING

from nncli.core.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


LEAST_WIDTH = 20  # a terminal that claims less (COLUMNS=0 comes from some) is not believed


def results(*, quiet: bool = False) -> "Console":
    """Standard output, as wide as the terminal (or COLUMNS; 80 in a pipe)."""
    from nncli.render.screen import Screen

    screen = Screen(highlight=False, markup=False, emoji=False, quiet=quiet)
    if screen.width < LEAST_WIDTH:
        screen.width = 80
    return screen


def write_text(text: str) -> None:
    """Writes a line to standard output, unchanged; does nothing where its reader has left."""
    write_bytes(f"{text}\n".encode())


def write_bytes(content: bytes) -> None:
    """Writes to standard output, unchanged; does nothing where its reader has left."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def standard_output(*, seekable: bool = False) -> Iterator[IO[bytes]]:
    """Standard output for bytes; a `seekable` one is a file until all is written.

    Raises BrokenPipeError where its reader has left, so that a long writing stops.
    """
    sys.stdout.flush()
    if not seekable:
        yield sys.stdout.buffer
        return
    with TemporaryFile() as file:
        yield file
        file.seek(0)
        copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def messages() -> "Console":
    """Standard error."""
    from nncli.render.screen import Screen

    return Screen(stderr=True, highlight=False, markup=False, emoji=False)


def say(message: str) -> None:
    """Writes one line of what is said besides the results, to standard error."""
    print(f"nncli: {printable(message)}", file=sys.stderr)


PATIENCE = 1.0  # seconds without a bar


class DelayedProgressBar:
    """A bar for what takes longer than a second, and nothing for what does not.

    To be called with (done, total); silent where the console that `make` gives is no terminal.
    """

    def __init__(self, make: "Callable[[], Console]" = messages) -> None:
        self.make = make
        self.began = monotonic()
        self.bar: Progress | None = None

    def __enter__(self) -> "DelayedProgressBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        if self.bar is None:
            if monotonic() - self.began < PATIENCE:
                return
            self.began = inf  # a console is made once
            console = self.make()
            if not console.is_terminal:
                return
            from rich.progress import Progress

            self.bar = Progress(console=console, transient=True)
            self.bar.start()
            self.task = self.bar.add_task("")
        self.bar.update(self.task, completed=done, total=total)
