"""Times sweeps of short trainings: what a trial costs beyond its steps, and what more jobs earn.

    python benchmarks/sweeps.py [--trials N] [--rounds N]

- Trials a second with 1 and with 2 jobs, in turns, start-up taken off; and of 2 jobs as a share of
  twice what 1 does.
- Milliseconds of the processor that a trial takes in all, and how many of them its steps take
  (`train_seconds` of its epochs). Most of the rest is the run folder, and measuring each epoch.
- Seconds from the command to the end of its first trial, and to list a plan of 10,000.

A run folder is files, so the disk counts; two jobs want both cores at rest.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import results
from whole import steps_of
from workloads import REPO

SWEEP = [sys.executable, "-m", "nncli", "sweep", "configs/xor.yaml", "--set", "train.epochs=20"]
JOBS = (1, 2)


class Taken(NamedTuple):
    """Seconds by the clock, and of the processor."""

    clock: float
    processor: float


def sweep(folder: Path, trials: int, jobs: int) -> Taken:
    draw = f"train.eta={{log_uniform: [0.1, 5], samples: {trials}}}"
    more = ["--vary", draw, "--out", str(folder), "--jobs", str(jobs), "--format", "csv"]
    start, before = perf_counter(), of_children()
    subprocess.run([*SWEEP, *more], cwd=REPO, check=True, capture_output=True)
    return Taken(perf_counter() - start, of_children() - before)


def of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def dry_run() -> float:
    draw = "train.eta={log_uniform: [0.1, 5], samples: 1000}"
    start = perf_counter()
    command = [*SWEEP, "--vary", draw, "--seeds", "10", "--dry-run"]
    subprocess.run(command, cwd=REPO, check=True, capture_output=True)
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    first: list[float] = []
    rates: dict[int, list[float]] = {jobs: [] for jobs in JOBS}
    processor: dict[int, list[float]] = {jobs: [] for jobs in JOBS}
    steps: list[float] = []
    for _ in range(options.rounds):
        for jobs in JOBS:
            with tempfile.TemporaryDirectory() as folder:
                start_up = sweep(Path(folder, "one"), 1, jobs)
                taken = sweep(Path(folder, "all"), options.trials, jobs)
                own = [steps_of(run) for run in Path(folder, "all", "trials").iterdir()]
            first.append(start_up.clock)
            steps.append(1000 * sum(own) / options.trials)
            more = options.trials - 1
            rates[jobs].append(more / (taken.clock - start_up.clock))
            processor[jobs].append(1000 * (taken.processor - start_up.processor) / more)
    one, two = (median(rates[jobs]) for jobs in JOBS)
    found = {
        "trials": options.trials,
        "trials_a_second": {str(jobs): median(rates[jobs]) for jobs in JOBS},
        "of_the_ideal": two / (2 * one),
        "processor_milliseconds_a_trial": {str(jobs): min(processor[jobs]) for jobs in JOBS},
        "of_which_steps": min(steps),
        "first_trial_seconds": min(first),
        "dry_run_of_10000_seconds": min(dry_run() for _ in range(options.rounds)),
    }
    results.keep("sweeps", found)
    for name, value in found.items():
        print(f"{name}: {results.rounded(value)}")


if __name__ == "__main__":
    main()
