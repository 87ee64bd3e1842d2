"""Times what conditions cost a training, step by step: with and without, in turns.

    python benchmarks/conditions.py [--rounds N] [--only WORD] [--clock wall]

The network is [784, 30, 10] with mini-batches of 10, in one thread, on random samples: a step of it
takes as long whatever they are. One training takes its epochs with its conditions and without, in
turns: another one would have its arrays elsewhere in memory, which alone makes up to 3 %. The cost
is the median over the rounds of the time with conditions to that without in the same round.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gc
import json
from typing import Any

import numpy as np
import results

from nncli.app.pipeline import prepare, start_workers
from nncli.app.train import make_trainer
from nncli.spec import load_spec
from nncli.training.trainer import Trainer

SAMPLES = 20_000
CASES: dict[str, list[object]] = {  # what is looked at at every step, where nothing else is said
    "nothing: eta > 0": ["eta > 0"],
    "one norm: dense1.delta_norm > 1e-9": ["dense1.delta_norm > 1e-9"],
    "norms of all layers: all.delta_norm > 1e-9": ["all.delta_norm > 1e-9"],
    "counts of all layers: all.saturated <= 1, all.dead <= 1": [
        "all.saturated <= 1",
        "all.dead <= 1",
    ],
    "norms and counts: all of these": [
        "all.delta_norm > 1e-9",
        "all.saturated <= 1",
        "all.dead <= 1",
    ],
    "the cost: cost < 1e9": ["cost < 1e9"],
    "healthy": ["healthy"],
    "a norm of 23,520 weights: dense1.weight_gradient_norm < 1e9": [
        "dense1.weight_gradient_norm < 1e9"
    ],
    "that norm, every: 10": [{"that": "dense1.weight_gradient_norm < 1e9", "every": 10}],
    "norms and counts, every: 10": [
        {"that": that, "every": 10}
        for that in ("all.delta_norm > 1e-9", "all.saturated <= 1", "all.dead <= 1")
    ],
}


def spec_text(activation: str) -> str:
    spec = {
        "data": {"train": "x.npz"},
        "network": [
            {"type": "dense", "units": 30, "activation": activation},
            {"type": "dense", "units": 10, "activation": activation},
        ],
        "train": {"eta": 0.01, "epochs": 10**6, "batch_size": 10, "threads": 1},
    }
    return json.dumps(spec)


def trainer_of(path: Path, conditions: list[object]) -> Trainer:
    prepared = prepare(load_spec(path, [f"expect={json.dumps(conditions)}"]))
    return make_trainer(prepared, start_workers(prepared))


def epoch(trainer: Trainer, clock: str) -> float:
    """Seconds of an epoch's steps."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    batches = trainer.plan.batches(trainer.train.index, 1)
    trainer.samples = 0
    began = now()
    while trainer.samples < SAMPLES:
        trainer._run_steps(batches, 0.01)
    return now() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    found = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        rng = np.random.default_rng(0)
        x, y = rng.random((SAMPLES, 784)).astype(np.float32), rng.integers(0, 10, SAMPLES)
        np.savez(Path(folder) / "x.npz", x=x, y=y)
        path.write_text(spec_text("sigmoid"))
        for name, conditions in CASES.items():
            if chosen.only in name:
                found[name] = row = measure(trainer_of(path, conditions), chosen)
                low, high = row["quartiles"]
                cost = f"{row['ratio'] - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
                print(f"{cost:26} of {row['step_us']:.1f} µs  {name}", flush=True)
    if not chosen.only:
        results.keep("conditions", found)


def measure(trainer: Trainer, chosen: argparse.Namespace) -> dict[str, Any]:
    watch = trainer.watch
    gc.collect()
    gc.freeze()  # as nncli does
    ratios, plain = [], []
    for k in range(chosen.rounds + 1):
        times = {}
        for is_watched in (k % 2 == 0, k % 2 == 1):
            trainer.watch = watch if is_watched else None
            times[is_watched] = epoch(trainer, chosen.clock)
        if k:
            ratios.append(times[True] / times[False])
            plain.append(times[False])
    low, _, high = quantiles(ratios, n=4)
    step = 1e6 * median(plain) * 10 / SAMPLES
    return {"ratio": median(ratios), "quartiles": [low, high], "step_us": step}


if __name__ == "__main__":
    main()
