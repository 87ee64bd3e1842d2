"""Times sweeps of short trainings: what a trial costs beyond its steps, and what more jobs earn.

    python benchmarks/sweeps.py [--trials N] [--rounds N] [--dask]

- Trials a second with 1 and with 2 jobs, in turns, start-up taken off; and of 2 jobs as a share of
  twice what 1 does.
- Milliseconds of the processor that a trial takes in all, and how many of them its steps take
  (`train_seconds` of its epochs). Most of the rest is the run folder, and measuring each epoch.
- Seconds from the command to the end of its first trial, and to list a plan of 10,000.

With `--dask`, where Dask is installed, in place of these:

- Trials of digits-mlp a second by 1, 2 and 4 workers of a scheduler on loopback, in turns, the
  shortest of all rounds; as shares of what so many times one job here would do, or where there are
  fewer cores than workers, as many times as there are cores. All of the cluster runs on this
  machine, so its scheduler and the sweep itself use the same cores. What a sweep takes beyond its
  trials is that of one trial on the same cluster, whose workers have trained before: their start
  takes as long as many a trial, and not the same each time.
- Seconds of the processor that a trial takes: in the processes that train, the scheduler and the
  sweep.

A run folder is files, so the disk counts; two jobs want both cores at rest.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
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


class Cluster(NamedTuple):
    """A scheduler with its workers: its address, and the ids of all their processes."""

    address: str
    scheduler: int
    workers: tuple[int, ...]


@contextmanager
def cluster(workers: int, folder: str) -> Iterator[Cluster]:
    """A scheduler with so many workers."""
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
        scheduler, *trainers = (process.pid for process in started)
        yield Cluster(address, scheduler, tuple(trainers))
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


class Spent(NamedTuple):
    """Seconds by the clock, and of the processor: who trains, the scheduler, the sweep itself."""

    clock: float
    trains: float
    scheduler: float
    sweep: float


def of_processes(processes: Iterable[int]) -> float:
    """Seconds of the processor that some processes have used so far."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def spent_on(folder: Path, trials: int, there: Cluster | None) -> Spent:
    """What a sweep of so many trials takes: by one job here, or by the workers there."""
    command = [*LONGER, "--seeds", str(trials), "--out", str(folder)]
    command += ["--jobs", "1"] if there is None else ["--on", there.address]

    def used() -> tuple[float, float, float]:
        if there is None:  # a job here is a child of the sweep
            return of_children(), 0.0, 0.0
        return of_processes(there.workers), of_processes([there.scheduler]), of_children()

    before, begun = used(), perf_counter()
    subprocess.run(command, cwd=REPO, check=True, capture_output=True)
    clock = perf_counter() - begun
    return Spent(clock, *(now - then for now, then in zip(used(), before, strict=True)))


def on_dask(trials: int, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    least: dict[tuple[int, int], Spent] = {}
    for _ in range(rounds):
        for workers in (0, *WORKERS):
            with (
                tempfile.TemporaryDirectory() as folder,
                cluster(workers, folder) if workers else nullcontext() as running,
            ):
                spent_on(Path(folder, "first"), 4 * max(1, workers), running)
                for count in (1, trials):
                    spent = spent_on(Path(folder, str(count)), count, running)
                    key = workers, count
                    least[key] = Spent(*map(min, spent, least.get(key, spent)))

    def each(workers: int) -> Spent:
        """Of a trial."""
        ends = zip(least[workers, trials], least[workers, 1], strict=True)
        return Spent(*((all_of_them - one) / (trials - 1) for all_of_them, one in ends))

    here = each(0)
    there = {n: each(n) for n in WORKERS}
    found = {
        "trials": trials,
        "cores": cores,
        "trials_a_second": {
            "one job here": 1 / here.clock,
            **{str(n): 1 / spent.clock for n, spent in there.items()},
        },
        "of_the_ideal": {
            str(n): here.clock / (min(n, cores) * spent.clock) for n, spent in there.items()
        },
        "processor_seconds_a_trial": {
            "one job here": here.trains,
            **{
                f"{n}, {who}": getattr(spent, who)
                for n, spent in there.items()
                for who in ("trains", "scheduler", "sweep")
            },
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
        on_dask(min(options.trials, 100), options.rounds)
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
