"""What every test may use."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def nncli(tmp_path: Path) -> Run:
    """Runs nncli as a shell would, in a folder of its own; a traceback fails the test."""

    def run(*arguments: str | Path, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "nncli", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "80", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding=environment.get("PYTHONIOENCODING", "utf-8"),
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
