"""Times whole training steps: nncli's, PyTorch's, JAX's, scikit-learn's, and the bare products.

    python benchmarks/steps.py [--threads 1,2] [--rounds N] [--only WORD] [--mnist DIR] ...

A step gathers its mini-batch from the shuffled set and goes forward, backward and through the
update. Every side runs in a process of its own, for each network a new one, on the same data,
mini-batches, first weights, dtype (float32) and number of threads, warmed up by an epoch; then they
take turns, round after round, so that whatever else the machine does hits each of them. A ratio is
the median over the rounds of the peer's time to nncli's in the same round. A peer that is not
installed is left out, and said so.

Variables that choose a library's kernels (OPENBLAS_CORETYPE and the like) are taken out of the
environment, so that each library uses what it finds best; --keep-environment leaves them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import results
import workloads
from sides import SIDES
from workloads import WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
KERNELS = ("OPENBLAS_", "MKL_", "ONEDNN_", "DNNL_", "ATEN_", "NPY_", "NVPL_", "OMP_", "GOMP_")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PAUSE = 0.2  # seconds between two turns: threads of OpenBLAS and PyTorch spin on after their work


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="2,1")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.15, help="about how long a turn takes")
    parser.add_argument("--only", default="", help="a word in the names of the workloads")
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--mnist", type=Path, default=workloads.REPO / "data" / "mnist")
    parser.add_argument("--keep-environment", action="store_true")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: time on the processor, which compares one thread even on a busy machine",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=0,
        help="seconds to wait in each round for a quiet machine",
    )
    return parser.parse_args()


def environment(threads: int, keep: bool) -> dict[str, str]:
    dropped = () if keep else KERNELS
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped or "\0")}
    return kept | dict.fromkeys(THREADS, str(threads))


class Peer:
    """A side at work in a process of its own."""

    def __init__(self, name: str, threads: int, chosen: argparse.Namespace) -> None:
        self.name = name
        command = [sys.executable, str(HERE / "sides.py"), name, str(threads)]
        command += [str(chosen.mnist), chosen.clock]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads, chosen.keep_environment),
        )
        said = self.read()
        self.version = said.get("version")

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline() or '{"missing": true}'))

    def ask(self, workload: Workload, seconds: float) -> dict[str, Any]:
        print(
            json.dumps({"workload": workload.name, "seconds": seconds}),
            file=self.process.stdin,
            flush=True,
        )
        return self.read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def cpu_times() -> tuple[int, int]:
    """Idle and all ticks of the machine so far."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    ticks = list(map(int, first.split()[1:]))
    return ticks[3] + ticks[4], sum(ticks)


def wait_for_quiet(patience: float) -> None:
    """Returns as soon as nothing else has run for a moment, or when patience is at its end."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        before = cpu_times()
        time.sleep(0.2)
        idle, all_ = (b - a for a, b in zip(before, cpu_times(), strict=True))
        if idle > 0.95 * all_:
            return


def measure(
    workload: Workload, peers: list[Peer], rounds: int, seconds: float, patience: float
) -> dict[str, Any]:
    """Seconds of a step of every side in every round, and what else there is to say of it."""
    said = {peer.name: peer.ask(workload, seconds) for peer in peers}
    failed = {name: answer["failed"] for name, answer in said.items() if "failed" in answer}
    ready = [peer for peer in peers if said[peer.name].get("after_an_epoch") is not None]
    times: dict[str, list[float]] = {peer.name: [] for peer in ready}
    for _ in range(rounds):
        wait_for_quiet(patience)
        for peer in ready:
            time.sleep(PAUSE)
            times[peer.name].append(peer.ask(workload, seconds)["seconds"])
    return {"times": times, "failed": failed, "differs": difference(said)}


def difference(said: dict[str, Any]) -> dict[str, float]:
    """How far the parameters of PyTorch and JAX are from nncli's after the same epoch."""
    ours = said.get("nncli", {}).get("after_an_epoch")
    return {
        name: max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / max(map(abs, ours))
        for name in ("PyTorch", "JAX")
        if ours and (theirs := said.get(name, {}).get("after_an_epoch"))
    }


def summary(workload: Workload, measured: dict[str, Any]) -> dict[str, Any]:
    times = measured["times"]
    ours = times["nncli"]

    def ratio(name: str) -> float | None:
        if name not in times:
            return None
        return float(median(b / a for a, b in zip(ours, times[name], strict=True)))

    over_floor, over_bound = ratio("floor"), ratio("bound")
    return {
        "workload": workload.name,
        "median_us": {name: 1e6 * median(t) for name, t in times.items()},
        "minimum_us": {name: 1e6 * min(t) for name, t in times.items()},
        "times_as_fast_as": {name: ratio(name) for name in times if name not in NO_PEERS},
        "times_the_floor": None if over_floor is None else 1 / over_floor,
        "times_the_bound": None if over_bound is None else 1 / over_bound,
        "must": workload.must,
        "goal": workload.goal,
        "floor_must_and_goal": workload.floor,
        "differs_after_an_epoch": measured["differs"],
        "failed": measured["failed"],
    }


def verdict(row: dict[str, Any]) -> str:
    faster, over = row["times_as_fast_as"].get("PyTorch"), row["times_the_floor"]
    if faster is None:
        return ""

    def reaches(least: float, most: float | None) -> bool:
        return faster >= least and (most is None or over is None or over <= most)

    must, goal = row["floor_must_and_goal"]
    if reaches(row["goal"], goal):
        return "goal"
    return "met" if reaches(row["must"], must) else "NOT MET"


NO_PEERS = ("nncli", "floor", "bound")
COLUMNS = ("nncli", "PyTorch", "floor")


def line(row: dict[str, Any]) -> str:
    cells = [f"{row['workload']:32}"]
    for name in COLUMNS:
        us, least = row["median_us"].get(name), row["minimum_us"].get(name)
        cells.append("-".rjust(17) if us is None else f"{us:8.1f} ({least:6.1f})".rjust(17))
    for name in ("PyTorch", "torch.compile", "JAX", "scikit-learn"):
        ratio = row["times_as_fast_as"].get(name)
        absent = "failed" if name in row["failed"] else "-"
        cells.append((absent if ratio is None else f"{ratio:.2f}x").rjust(8))
    for name in ("times_the_floor", "times_the_bound"):
        cells.append(("-" if row[name] is None else f"{row[name]:.2f}").rjust(6))
    cells.append(f"{row['must']:g}x / {row['goal']:g}x".rjust(12))
    return "  ".join([*cells, verdict(row)])


HEADING = "  ".join(
    [
        f"{'whole step':32}",
        *(f"{name + ' µs (least)':>17}" for name in COLUMNS),
        *(f"{name:>8}" for name in ("PyTorch", "compile", "JAX", "sklearn")),
        f"{'/floor':>6}",
        f"{'/bound':>6}",
        f"{'must / goal':>12}",
    ]
)


def run(threads: int, chosen: argparse.Namespace) -> dict[str, Any]:
    print(f"\n{threads} thread(s)\n{HEADING}")
    rows: list[Any] = []
    versions: dict[str, Any] = {}
    for workload in WORKLOADS.values():
        if chosen.only not in workload.name:
            continue
        peers = [Peer(name, threads, chosen) for name in chosen.sides.split(",")]
        versions |= {peer.name: peer.version for peer in peers}
        there = [peer for peer in peers if peer.version is not None]
        measured = measure(workload, there, chosen.rounds, chosen.seconds, chosen.patience)
        for peer in peers:
            peer.close()
        rows.append(summary(workload, measured))
        print(line(rows[-1]), flush=True)
        for name, why in measured["failed"].items():
            print(f"    {name}: {why}")
    print(
        ", ".join(f"{name} {version or 'is not installed'}" for name, version in versions.items())
    )
    return {"versions": versions, "rows": rows}


def main() -> None:
    chosen = options()
    found = {
        f"{threads} threads": run(threads, chosen)
        for threads in map(int, chosen.threads.split(","))
    }
    if not chosen.only and chosen.sides == ",".join(SIDES):
        kept = {"rounds": chosen.rounds, "clock": chosen.clock}
        results.keep("steps" if chosen.clock == "wall" else "steps by cpu time", found | kept)


if __name__ == "__main__":
    main()
