"""Where text goes: standard output for results, standard error for all the rest."""

import codecs
import sys

from rich.console import Console

# For a terminal or a pipe that cannot take the symbols: the nearest ASCII, never a crash.
ASCII = str.maketrans(
    {
        "δ": "delta", "Δ": "D", "η": "eta", "σ": "sigma", "∂": "d", "Σ": "sum", "′": "'",
        "‖": "|", "⊙": "(.)", "⊗": "(x)", "·": "*", "×": "x", "→": "->", "–": "-", "−": "-",
        "—": "-", "…": "...", "≤": "<=", "≥": ">=", "½": "1/2",
    }
)  # fmt: skip


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


def results() -> Console:
    """Standard output, as wide as the terminal (or COLUMNS; 80 in a pipe)."""
    return Console(highlight=False, markup=False, emoji=False)


def messages() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
