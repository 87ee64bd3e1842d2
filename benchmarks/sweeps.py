"""Times sweeps of short trainings: what a trial costs beyond its steps, and what more jobs earn.

    python benchmarks/sweeps.py [--trials N] [--rounds N] [--dask]

- Trials a second with 1 and with 2 jobs, in turns, start-up taken off; and of 2 jobs as a share of
  twice what 1 does.
- Milliseconds of the processor that a trial takes in all, and how many of them its steps take
  (`train_seconds` of its epochs). Most of the rest is the run folder, and measuring each epoch.
- Seconds from the command to the end of its first trial, and to list a plan of 10,000.

With `--dask`, where Dask is installed, in place of these:

- Trials of digits-mlp a second by 1, 2 and 4 workers of a scheduler on loopback, in turns, start-up
  taken off, the shortest of all rounds; as shares of what so many times one job here would do, or
  where there are fewer cores than workers, as many times as there are cores. All of the cluster
  runs on this machine, so its scheduler and the sweep itself use the same cores. And seconds of the
  processor that a trial takes, the scheduler's and the sweep's with it.

A run folder is files, so the disk counts; two jobs want both cores at rest.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import results
from whole import steps_of
from workloads import REPO

SWEEP = [sys.executable, "-m", "nncli", "sweep", "configs/xor.yaml", "--set", "train.epochs=20"]
JOBS = (1, 2)
LONGER = [sys.executable, "-m", "nncli", "sweep", "configs/digits-mlp.yaml"]
LONGER += ["--set", "train.epochs=20", "--vary", "train.eta=3"]
WORKERS = (1, 2, 4)


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


@contextmanager
def cluster(workers: int, folder: str) -> Iterator[str]:
    """The address of a scheduler with so many workers."""
    from distributed import Client

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{found.getsockname()[1]}"
    port = address.rpartition(":")[2]
    started = [start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")]
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder)
    started += [start("worker", address, *options) for _ in range(workers)]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


def start(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )


def taken_by(folder: str, trials: int, workers: int) -> Taken:
    """A sweep of so many trials: by one job here, or by so many workers, which end with it."""
    name = f"{workers}-{trials}"
    command = [*LONGER, "--seeds", str(trials), "--out", str(Path(folder, name))]
    before = of_children()
    with cluster(workers, folder) if workers else nullcontext() as address:
        where = ["--jobs", "1"] if address is None else ["--on", address]
        begun = perf_counter()
        subprocess.run([*command, *where], cwd=REPO, check=True, capture_output=True)
        clock = perf_counter() - begun
    return Taken(clock, of_children() - before)


def on_dask(trials: int, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    shortest: dict[tuple[int, int], Taken] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for key in product((0, *WORKERS), (1, trials)):
                taken = taken_by(folder, key[1], key[0])
                shortest[key] = Taken(*map(min, taken, shortest.get(key, taken)))

    def each(workers: int) -> Taken:
        """Of a trial."""
        ends = zip(shortest[workers, trials], shortest[workers, 1], strict=True)
        return Taken(*((all_of_them - one) / (trials - 1) for all_of_them, one in ends))

    here = each(0)
    there = {n: each(n) for n in WORKERS}
    found = {
        "trials": trials,
        "cores": cores,
        "trials_a_second": {
            "one job here": 1 / here.clock,
            **{str(n): 1 / taken.clock for n, taken in there.items()},
        },
        "of_the_ideal": {
            str(n): here.clock / (min(n, cores) * taken.clock) for n, taken in there.items()
        },
        "processor_seconds_a_trial": {
            "one job here": here.processor,
            **{str(n): taken.processor for n, taken in there.items()},
        },
    }
    results.keep("sweeps on dask", found)
    for name, value in found.items():
        print(f"{name}: {results.rounded(value)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dask", action="store_true")
    options = parser.parse_args()
    if options.dask:
        on_dask(min(options.trials, 40), options.rounds)
        return
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
