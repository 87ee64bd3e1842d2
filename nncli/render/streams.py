"""Where text goes: standard output for results, standard error for all the rest."""

import codecs
import os
import sys

from rich.console import Console

from nncli.files import shown

# For a terminal or a pipe that cannot take the symbols: one ASCII character for each, so that
# columns stay in line, and never a crash.
ASCII = str.maketrans("δΔησ∂Σ′‖⊙⊗·×→–−—…≤≥½┤│─ᵀ", "dDnsdS'|*x.x>---.<>%||-T")


def _nearest_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ASCII)
    return "".join(c if c.isascii() else "?" for c in text), error.end


def prepare_streams() -> None:
    """Lets both streams take any text, whatever their encoding."""
    codecs.register_error("nncli.ascii", _nearest_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nncli.ascii")


class Screen(Console):
    """A console that goes silent, rather than ends the program, when its reader has left."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


LEAST_WIDTH = 20  # a terminal that claims less (COLUMNS=0 comes from some) is not believed


def results(*, quiet: bool = False) -> Console:
    """Standard output, as wide as the terminal (or COLUMNS; 80 in a pipe)."""
    screen = Screen(highlight=False, markup=False, emoji=False, quiet=quiet)
    if screen.width < LEAST_WIDTH:
        screen.width = 80
    return screen


def write_text(text: str) -> None:
    """Writes a line to standard output as it is; in silence where nobody reads it."""
    write_bytes(f"{text}\n".encode())


def write_bytes(content: bytes) -> None:
    """Writes to standard output as it is; in silence where nobody reads it."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def messages() -> Console:
    """Standard error."""
    return Screen(stderr=True, highlight=False, markup=False, emoji=False)


def say(console: Console, message: str) -> None:
    """Says what the program has to tell besides its results, in one line."""
    console.print(f"nncli: {shown(message)}", soft_wrap=True)
