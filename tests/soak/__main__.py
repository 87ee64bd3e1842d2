"""`make soak`: every part in full. `python -m tests.soak kills` runs one alone.

A part is a function of an empty folder that gives a Report; PARTS is the list of them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.soak import exercises, flips, kills, memory, mistakes, sweeps, wrong_gradients
from tests.soak.report import Report


def kill_points(folder: Path) -> Report:
    """Kills at every single call that changes a run folder."""
    command = [sys.executable, "-m", "tests.training.kill_points", "1"]
    done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return Report(f"{done['tried']} kills, each at another call that writes", done["lost"])


PARTS: dict[str, Callable[[Path], Report]] = {
    "kills": lambda folder: kills.run(100, folder),
    "sweeps": lambda folder: sweeps.run(100, folder),
    "kill points": kill_points,
    "wrong gradients": lambda folder: wrong_gradients.report(),
    "flips": lambda folder: flips.run(200, folder),
    "mistakes": lambda folder: mistakes.report(),
    "exercises": lambda folder: exercises.report(),
    "memory": lambda folder: memory.run(folder, most=20_000),
}


def main(names: list[str]) -> int:
    """Runs some parts, or all; 1 where something was lost."""
    lost = 0
    for name in names or PARTS:
        began = time.monotonic()
        with TemporaryDirectory(prefix="nncli-soak-") as folder:
            report = PARTS[name](Path(folder))
        lost += len(report.lost)
        print(f"{name}: {report.tried}", flush=True)
        print(f"  lost: {len(report.lost) or 'nothing'} ({time.monotonic() - began:.0f} s)")
        for loss in report.lost:
            print(f"  {loss}")
    return min(lost, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
