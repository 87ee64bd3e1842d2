"""Trainings that are killed at random moments, and gone on with until they end.

Whatever the moment, the end must be that of a training that was left alone, to the bit.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from nncli.core import safetensors_format
from tests.conftest import CONFIGS
from tests.soak.report import Report

METRICS, CHECKPOINT = "metrics.jsonl", "checkpoint.safetensors"


class Case(NamedTuple):
    """A training, by its arguments."""

    name: str
    arguments: tuple[str, ...]


def case(config: str, epochs: int, *sets: str) -> Case:
    arguments = [str(CONFIGS / f"{config}.yaml"), "--epochs", str(epochs)]
    for value in sets:
        arguments += ["--set", value]
    return Case(config, tuple(arguments))


CASES = (
    case("mnist-mlp", 120, "train.momentum=0.5", "train.schedule={type: cosine}"),
    case("mnist-lenet", 8, "train.momentum=0.9", "train.eta=0.05", "train.threads=2"),  # long ones
    case("digits-mlp", 400, "train.batch_size=64", "train.threads=2"),
    case("xor", 10_000),  # short ones
    case("digits-conv", 150, "dtype=float64", "train.weight_decay=0.0001"),
)


class Undisturbed(NamedTuple):
    """What a training comes to that is left alone, and the seconds from its start to its end."""

    end: dict[str, Any]
    seconds: float


def run(kills: int, folder: Path, *, seed: int = 0, cases: tuple[Case, ...] = CASES) -> Report:
    """Kills trainings, one case after the other, until that was done `kills` times."""
    rng = random.Random(seed)
    lost: list[str] = []
    moments: list[float] = []
    alone: dict[str, Undisturbed] = {}
    trainings = 0
    while len(moments) < kills:
        chosen = cases[trainings % len(cases)]
        trainings += 1
        if chosen.name not in alone:
            alone[chosen.name] = undisturbed(chosen, folder / f"{chosen.name}-undisturbed")
        end, seconds = alone[chosen.name]
        victim = folder / f"{chosen.name}-{trainings}"
        place = (0, 0)
        while (status := killed_after(moment := rng.uniform(0, seconds), chosen, victim)) < 0:
            moments.append(moment)
            before, place = place, standing(victim)
            if place < before:
                lost.append(f"{victim.name}: a kill took it back from {before} to {place}")
        if status:
            lost.append(f"{victim.name}: it ended with status {status}")
        lost += differences(victim.name, end, ending(victim))
    tried = (
        f"{len(moments)} kills of {trainings} trainings, each gone on with until its end; "
        f"{min(moments):.2f} to {max(moments):.2f} s after they were started"
    )
    return Report(tried, lost)


def undisturbed(chosen: Case, folder: Path) -> Undisturbed:
    began = time.monotonic()
    status = start(chosen, folder).wait()
    assert status == 0, f"{chosen.name} ends with status {status} by itself"
    return Undisturbed(ending(folder), time.monotonic() - began)


def killed_after(seconds: float, chosen: Case, folder: Path) -> int:
    """Starts a training and kills it unless it ends in time; its exit status, below 0 if killed."""
    process = start(chosen, folder)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def start(chosen: Case, folder: Path) -> "subprocess.Popen[bytes]":
    """Starts the training, or goes on with it where there is a run already."""
    run = ["--resume", folder] if (folder / "spec.yaml").exists() else ["--out", folder]
    command = [*chosen.arguments, *run, "--tables", "none", "--checkpoint-every", 0.2]
    return subprocess.Popen(
        [sys.executable, "-m", "nncli", "train", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def standing(folder: Path) -> tuple[int, int]:
    """The epoch and the sample in it that a killed run would go on from."""
    if (folder / "spec.yaml").exists():
        place = json.loads(safetensors_format.read(folder / CHECKPOINT)[1]["place"])
        return place["epoch"], place["samples"]
    return 0, 0


def ending(folder: Path) -> dict[str, Any]:
    """All that a run has come to, but for the time it took."""
    lines = (folder / METRICS).read_text().splitlines()
    records = [{**json.loads(line), "train_seconds": None} for line in lines]
    arrays, metadata = safetensors_format.read(folder / CHECKPOINT)
    end = {f"epoch {k} in the metrics": record for k, record in enumerate(records, 1)}
    numbers = {name: array.tobytes() for name, array in arrays.items()}
    return {**end, **numbers, "place": metadata["place"], "epochs": len(records)}


def differences(name: str, wanted: dict[str, Any], got: dict[str, Any]) -> list[str]:
    keys = [key for key in wanted.keys() | got.keys() if wanted.get(key) != got.get(key)]
    return [f"{name}: another end than undisturbed: {key}" for key in sorted(keys)]
