"""Writes the golden files anew: python -m tests.render.regenerate, from the project's root.

Read the difference before you keep it: these pages are what a reader compares with pencil and
paper.
"""

from pathlib import Path

from tests.commands import in_this_process
from tests.conftest import CONFIGS

GOLDEN = Path(__file__).parent / "golden"
SPECS = ("two-two-two", "seed-3-4-2")
SUFFIXES = {"table": "txt", "markdown": "md", "latex": "tex"}
NAMES = [
    *((spec, format) for spec in SPECS for format in SUFFIXES),
    ("two-two-two", "json"),
]


def golden(spec: str, format: str) -> Path:
    return GOLDEN / f"{spec}.{SUFFIXES.get(format, format)}"


def page(spec: str, format: str) -> str:
    """What the command prints, 80 characters wide."""
    command = ("inspect-grad", CONFIGS / f"{spec}.yaml", "--format", format)
    done = in_this_process(*command, folder=GOLDEN)
    assert (done.status, done.err) == (0, "")
    return done.out


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in NAMES:
        golden(*name).write_text(page(*name), encoding="utf-8", newline="\n")
