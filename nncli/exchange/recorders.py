"""Files to paste beside a network of one's own: they save the numbers that `nncli check` reads.

They are text, not modules: each is run where its framework is, by its user.
"""

from pathlib import Path

RECORDERS = ("numpy", "pytorch", "keras")
FOLDER = Path(__file__).parent / "recorder_files"


def recorder(framework: str) -> str:
    """The file for a framework, one of RECORDERS."""
    return (FOLDER / f"{framework}.py.txt").read_text(encoding="utf-8")
