"""Text for streams of any encoding. Nothing but the standard library: every command needs this."""

import codecs
import os
import sys

# For a terminal or a pipe that cannot take the symbols: one ASCII character for each, so that
# columns stay in line, and never a crash.
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
