"""Sweeps of which any process is killed at random moments, and gone on with until they end.

Whichever was killed, what comes out must be that of a sweep in one process that was left alone: the
same table, and each trial's run to the bit.
"""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from os import kill
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import CONFIGS
from tests.soak.kills import ending
from tests.soak.report import Report

ORPHANED = 10.0  # seconds that a process may outlive its sweep
OF_A_TRIAL = ("id", "set", "seed", "state", "metric", "metrics")


class Case(NamedTuple):
    """A sweep, by its arguments."""

    name: str
    arguments: tuple[str, ...]


def case(name: str, config: str, epochs: int, *arguments: str) -> Case:
    return Case(
        name,
        (str(CONFIGS / f"{config}.yaml"), "--set", f"train.epochs={epochs}", *arguments),
    )


ETAS = "train.eta=0.03,0.1,0.2,0.3,0.5,1,2,3,5"
CASES = (
    case("short", "xor", 30, "--vary", ETAS, "--vary", "network[0].units=2,3,4", "--seeds", "3"),
    case("long", "digits-mlp", 20, "--vary", "train.eta=0.1,0.3,1", "--seeds", "2"),
    case("shared", "mnist-mlp", 2, "--vary", "train.eta=1,3,5", "--seeds", "2"),
    case("halving", "xor", 900, "--vary", ETAS, "--seeds", "2", "--halving", "3"),
)


def run(kills: int, folder: Path, *, seed: int = 0, cases: tuple[Case, ...] = CASES) -> Report:
    """Kills processes of sweeps, one case after the other, until that was done `kills` times."""
    rng = random.Random(seed)
    alone: dict[str, tuple[dict[str, Any], float]] = {}
    lost: list[str] = []
    killed = {"sweep": 0, "worker": 0}
    sweeps = 0
    while sum(killed.values()) < kills:
        chosen = cases[sweeps % len(cases)]
        sweeps += 1
        if chosen.name not in alone:
            alone[chosen.name] = undisturbed(chosen, folder / f"{chosen.name}-undisturbed")
        end, seconds = alone[chosen.name]
        victim = folder / f"{chosen.name}-{sweeps}"
        printed = None
        while printed is None or not is_complete(printed):
            printed = attempt(chosen, victim, rng, seconds, killed, lost)
        lost += differences(victim, end, outcome(printed, victim))
    tried = (
        f"{killed['sweep']} kills of a sweep and {killed['worker']} of its workers, in {sweeps} "
        "sweeps, each gone on with until its end"
    )
    return Report(tried, lost)


def undisturbed(chosen: Case, folder: Path) -> tuple[dict[str, Any], float]:
    """What a sweep comes to in one process that is left alone, and how many seconds that takes."""
    began = time.monotonic()
    process = start(chosen, folder, jobs=1)
    printed = process.communicate()[0]
    assert process.returncode == 0
    return outcome(json.loads(printed), folder), time.monotonic() - began


def attempt(
    chosen: Case,
    folder: Path,
    rng: random.Random,
    seconds: float,
    killed: dict[str, int],
    lost: list[str],
) -> dict[str, Any] | None:
    """Starts a sweep, or goes on with it, and kills processes of it; what it printed at its end."""
    process = start(chosen, folder, jobs=2)
    while True:
        try:
            printed = process.communicate(timeout=rng.uniform(0, seconds))[0]
        except subprocess.TimeoutExpired:
            workers = children(process.pid)
            if workers and rng.random() < 0.5:
                with suppress(ProcessLookupError):
                    kill(rng.choice(workers), signal.SIGKILL)
                    killed["worker"] += 1
                continue
            process.kill()
            process.communicate()
            killed["sweep"] += 1
            lost += [f"{folder.name}: process {pid} outlived its sweep" for pid in left(workers)]
            return None
        if process.returncode not in (0, 1):
            lost.append(f"{folder.name}: it ended with status {process.returncode}")
        return dict(json.loads(printed))


def start(chosen: Case, folder: Path, *, jobs: int) -> "subprocess.Popen[bytes]":
    more = ["--out", folder, "--jobs", jobs, "--format", "json"]
    return subprocess.Popen(
        [sys.executable, "-m", "nncli", "sweep", *chosen.arguments, *map(str, more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def children(process: int) -> list[int]:
    with suppress(OSError):
        found = Path(f"/proc/{process}/task/{process}/children").read_text()
        return [int(child) for child in found.split()]
    return []


def left(workers: list[int]) -> list[int]:
    """Those that are still there after a while."""
    until = time.monotonic() + ORPHANED
    while workers and time.monotonic() < until:
        time.sleep(0.05)
        workers = [pid for pid in workers if is_alive(pid)]
    return workers


def is_alive(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def is_complete(printed: dict[str, Any]) -> bool:
    """Whether no trial is missing; those that were killed twice in one sweep are."""
    return all(trial["cause"] != "killed" for trial in printed["trials"])


def outcome(printed: dict[str, Any], folder: Path) -> dict[str, Any]:
    """All that a sweep has come to, but for times and paths."""
    trials = {trial["id"]: trial for trial in printed["trials"]}
    return {
        "trials": [[trial[key] for key in OF_A_TRIAL] for trial in trials.values()],
        "best": printed["best"],
        "ranking": printed["ranking"],
        "effects": printed["effects"],
        **{f"run {name}": run_of(trial, folder) for name, trial in trials.items()},
    }


def run_of(trial: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a trial's run has come to.

    Where a trial that died twice was missing from a round of halving, another was trained further
    in its place than it counts: of those that it stopped the epochs count.
    """
    end = ending(folder / "trials" / trial["id"])
    if trial["state"] == "done":
        return end
    epochs = range(1, trial["metrics"]["epochs"] + 1)
    return {key: end[key] for epoch in epochs if (key := f"epoch {epoch} in the metrics")}


def differences(folder: Path, one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [f"{folder.name}: another {key}" for key in one if one[key] != other.get(key)]
