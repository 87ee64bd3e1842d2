"""Trainings of very many epochs, with their memory watched."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import CONFIGS
from tests.soak.report import Report

EARLY, LATE = 20, 2000
ALLOWED = 1.05
CONFIG_NAMES = ("xor", "digits-mlp", "digits-conv")

# Watched from within: at an epoch's end nothing is under way that will be gone a moment later.
WATCHED = """
import json, sys
import nncli

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

pages = {}

def watch(event, trainer):
    if isinstance(event, nncli.Epoch) and event.epoch in WATCHED_EPOCHS:
        pages[event.epoch] = resident()

config, out, *epochs = sys.argv[1:]
WATCHED_EPOCHS = set(map(int, epochs))
spec = nncli.load_spec(config, [f"train.epochs={max(WATCHED_EPOCHS)}"])
nncli.train(spec, out=out, on_event=watch)
print(json.dumps(pages))
"""


def run(
    folder: Path, *, names: tuple[str, ...] = CONFIG_NAMES, late: int = LATE, most: int = LATE
) -> Report:
    """Compares a training's memory after EARLY epochs with that after `late`, and shows `most`."""
    lost, tried = [], []
    for name in names:
        mebibytes = watched(name, folder / name, {EARLY, late, most})
        tried.append(f"{name} {', '.join(f'{mebibytes[k]:.1f} after {k:,}' for k in mebibytes)}")
        grown = mebibytes[late] / mebibytes[EARLY]
        if grown > ALLOWED:
            lost.append(f"{name}: its memory has grown by {grown - 1:.1%} in {late:,} epochs")
    return Report(f"MiB resident, by epochs: {'; '.join(tried)}", lost)


def watched(name: str, folder: Path, epochs: set[int]) -> dict[int, float]:
    """MiB resident after each of some epochs of a training."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, CONFIGS / f"{name}.yaml", folder, *map(str, epochs)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    return {int(k): page * pages for k, pages in json.loads(done.stdout).items()}
