"""Text for streams of any encoding. Nothing but the standard library: every command needs this."""

import codecs
import sys

# For a terminal or a pipe that cannot take the symbols: one ASCII character for each, so that
# columns stay in line, and never a crash.
ASCII = str.maketrans("δΔησ∂Σ′‖⊙⊗·×→–−—…≤≥½┤│─ᵀµ²", "dDnsdS'|*x.x>---.<>%||-Tu2")


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
