"""Times what `train --trace every=100` costs a training: with and without, in turns.

    python benchmarks/traces.py [--rounds N] [--only WORD] [--every N]

On random samples, in one thread: a step takes as long whatever they are. One training takes its
epochs with traces and without, in turns. Printed are the training's time, the processor's time of
the training's own process, which on a busy machine is what it takes on an idle one, and that of
both processes: medians over the rounds of the ratios of a round, with quartiles, and the ratio of
the least times, which is what it costs where nothing else is going on.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gc
import json
from typing import Any

import numpy as np
import results

from nncli.app.kept_traces import TraceKeeper
from nncli.app.pipeline import prepare, start_workers
from nncli.app.train import make_trainer
from nncli.spec import load_spec
from nncli.training.trace_times import TraceTimes
from nncli.training.trainer import Trainer

LENET: list[dict[str, Any]] = [
    {"type": "conv", "filters": 6, "kernel": 5, "padding": "same", "activation": "tanh"},
    {"type": "avgpool", "size": 2},
    {"type": "conv", "filters": 16, "kernel": 5, "activation": "tanh"},
    {"type": "avgpool", "size": 2},
    {"type": "dense", "units": 120, "activation": "tanh"},
    {"type": "dense", "units": 84, "activation": "tanh"},
    {"type": "dense", "units": 10, "activation": "softmax"},
]
DENSE: list[dict[str, Any]] = [
    {"type": "flatten"},
    {"type": "dense", "units": 30, "activation": "sigmoid"},
    {"type": "dense", "units": 10, "activation": "sigmoid"},
]
# Layers, samples of a mini-batch and of an epoch, and what else there is of the training.
CASES: dict[str, tuple[list[dict[str, Any]], int, int, dict[str, Any]]] = {
    "[784, 30, 10], batches of 10": (DENSE, 10, 4_000, {}),
    "the same with adam": (DENSE, 10, 4_000, {"optimizer": "adam"}),
    "LeNet, batches of 32, momentum": (
        LENET,
        32,
        3_200,
        {"momentum": 0.9, "cost": "cross_entropy"},
    ),
}


def trainer_of(folder: Path, name: str) -> tuple[Trainer, TraceKeeper]:
    layers, batch, samples, more = CASES[name]
    rng = np.random.default_rng(0)
    x, y = rng.random((samples, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, samples)
    np.savez(folder / "x.npz", x=x, y=y)
    train = {"eta": 0.01, "epochs": 10**6, "batch_size": batch, "threads": 1, **more}
    spec = {"name": "traced", "data": {"train": "x.npz"}, "network": layers, "train": train}
    (folder / "spec.yaml").write_text(json.dumps(spec))
    prepared = prepare(load_spec(folder / "spec.yaml"))
    trainer = make_trainer(prepared, start_workers(prepared))
    return trainer, TraceKeeper(prepared, 1, folder, print)


KINDS = ("time", "own", "both")


def epoch(trainer: Trainer, keeper: TraceKeeper) -> tuple[float, float, float]:
    """Seconds of an epoch's steps: by the clock, of the processor here, and in both processes."""
    batches: Iterator[Any] = trainer.plan.batches(trainer.train.index, 1)
    trainer.samples, trainer.steps_taken = 0, 0
    worked = processor_time(keeper)
    began, own = time.perf_counter(), time.thread_time()
    while trainer.samples < len(trainer.train.index):
        step, cost, rows = trainer._run_steps(batches, 0.01)
        if trainer.steps_taken == trainer._next_traced:
            keeper.keep(trainer._traced(step, 0.01, cost, rows))
    took, own = time.perf_counter() - began, time.thread_time() - own
    keeper.flush()
    worked = processor_time(keeper) - worked
    for path in keeper.folder.glob("*"):
        path.unlink()
    return took, own, worked


def processor_time(keeper: TraceKeeper) -> float:
    """Seconds of this process and of those that write."""
    others = (time.clock_gettime((~pid << 3) | 2) for pid in keeper.pids)
    return time.process_time() + sum(others)


def measure(trainer: Trainer, keeper: TraceKeeper, rounds: int, every: int) -> dict[str, Any]:
    gc.collect()
    gc.freeze()  # as nncli does
    ratios: dict[str, list[float]] = {kind: [] for kind in KINDS}
    plain, least = [], {True: [1e9] * 3, False: [1e9] * 3}
    for k in range(rounds + 1):
        times = {}
        for is_traced in (k % 2 == 0, k % 2 == 1):
            trainer.trace_times = TraceTimes(every) if is_traced else TraceTimes()
            times[is_traced] = epoch(trainer, keeper)
            least[is_traced] = [*map(min, least[is_traced], times[is_traced])]
        if k:
            for kind, with_traces, without in zip(ratios, times[True], times[False], strict=True):
                ratios[kind].append(with_traces / without)
            plain.append(times[False][0])
    steps = trainer.steps_taken
    found: dict[str, Any] = {"step_us": 1e6 * median(plain) / steps}
    for k, (kind, of) in enumerate(ratios.items()):
        low, _, high = quantiles(of, n=4)
        found[kind] = {
            "ratio": median(of),
            "quartiles": [low, high],
            "of_least": least[True][k] / least[False][k],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    found = {}
    for name in CASES:
        if chosen.only not in name:
            continue
        with TemporaryDirectory() as folder:
            trainer, keeper = trainer_of(Path(folder), name)
            with keeper:
                found[name] = row = measure(trainer, keeper, chosen.rounds, chosen.every)
        for kind in KINDS:
            low, high = row[kind]["quartiles"]
            cost = f"{row[kind]['ratio'] - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
            cost += f", of the least {row[kind]['of_least'] - 1:+.1%}"
            print(f"{kind:5} {cost} of {row['step_us']:.1f} µs a step  {name}", flush=True)
    if not chosen.only:
        results.keep("traces", found)


if __name__ == "__main__":
    main()
