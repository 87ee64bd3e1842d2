"""Times whole commands, and steps against the size of what they are given.

    python benchmarks/whole.py [--rounds N]

- What `nncli train` costs beyond its steps: the whole process against the sum of its epochs'
  `train_seconds`, on 30 epochs of configs/mnist-mlp.yaml; and how much of that is start-up, which
  does not grow with the training.
- What a run folder costs (checkpoints, metrics, spec): the same training by `nncli.train` with one
  and without, in turns.
- Start-up: `nncli --help` against a Typer program that does nothing, `nncli train` of xor against
  `python -c "import numpy, rich"`. Both sides take turns.
- Steps against samples, width, depth and mini-batch, and what they allocate (tracemalloc).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import results
from workloads import REPO, dense

import nncli
from nncli.data.dataset import Dataset
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.schedules import Constant
from nncli.nn.step import Step
from nncli.training.steps import Plan
from nncli.training.trainer import Trainer

NNCLI = [sys.executable, "-m", "nncli"]
NOTHING = "import typer\napp = typer.Typer()\n@app.command()\ndef main(): pass\napp()"
SHORT = "train.epochs=1"


def seconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, cwd=REPO, check=True, capture_output=True)
    return perf_counter() - start


def in_turns(rounds: int, *commands: list[str]) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for own, command in zip(times, commands, strict=True):
            own.append(seconds(command))
    return times


def steps_of(folder: Path) -> float:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return float(sum(json.loads(line)["train_seconds"] for line in lines))


def train(config: str, folder: Path, *more: str) -> list[str]:
    return [*NNCLI, "train", f"configs/{config}.yaml", "--out", str(folder), "--overwrite", *more]


def beyond_steps(rounds: int, folder: Path) -> dict[str, Any]:
    """A training of 30 epochs, against its steps; and one of a single epoch, for its start-up."""
    whole, once, shares = [], [], []
    for _ in range(rounds):
        whole.append(seconds(train("mnist-mlp", folder)))
        steps = steps_of(folder)
        shares.append(whole[-1] / steps - 1)
        once.append(seconds(train("mnist-mlp", folder, "--set", SHORT)) - steps_of(folder))
    start_up, share = median(once), median(shares)
    steps = median(w / (1 + s) for w, s in zip(whole, shares, strict=True))
    later = (median(whole) - start_up) / steps - 1
    print(f"nncli train, 30 epochs of mnist-mlp: {median(whole):.2f} s, steps {steps:.2f} s")
    print(
        f"  {share:.0%} over its steps; {start_up:.2f} s of that is start-up, {later:.0%} the rest"
    )
    return {
        "whole_seconds": median(whole),
        "step_seconds": steps,
        "start_up_seconds": start_up,
        "over": share,
        "over_without_start_up": later,
    }


def saving(rounds: int, folder: Path) -> dict[str, Any]:
    """The same training with a run folder and without, in one process."""

    def took(out: Path | None) -> float:
        start = perf_counter()
        nncli.train(REPO / "configs" / "mnist-mlp.yaml", out=out, overwrite=True)
        return perf_counter() - start

    took(folder)
    pairs = [(took(folder), took(None)) for _ in range(rounds)]
    share = median(a / b for a, b in pairs) - 1
    saved, plain = (median(times) for times in zip(*pairs, strict=True))
    print(f"the same from Python: {saved:.3f} s with a run folder, {plain:.3f} s without one")
    least, least_plain = (min(times) for times in zip(*pairs, strict=True))
    print(f"  {share:.1%} for saving; by the least of each {least / least_plain - 1:.1%}")
    return {"saving": share, "saving_by_the_least": least / least_plain - 1}


def start_up(rounds: int, folder: Path) -> dict[str, Any]:
    help_, nothing, xor, imports = in_turns(
        rounds,
        [*NNCLI, "--help"],
        [sys.executable, "-c", NOTHING],
        train("xor", folder),
        [sys.executable, "-c", "import numpy, rich"],
    )
    steps = steps_of(folder)
    helps = median(a / b for a, b in zip(help_, nothing, strict=True))
    trains = median((a - steps) / b for a, b in zip(xor, imports, strict=True))
    print(f"nncli --help: {median(help_):.3f} s, {helps:.2f} times a Typer program of nothing")
    print(f"nncli train of xor: {median(xor):.3f} s, without its steps {trains:.2f} times the")
    print(f"  {median(imports):.3f} s of importing numpy and rich")
    return {"help_over_typer": helps, "xor_over_imports": trains}


def epoch_time(samples: int, units: tuple[int, ...], batch_size: int) -> tuple[float, int, int]:
    """Microseconds of a step, those of an epoch, and the most bytes a step allocates."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.random((samples, units[0]), np.float32), np.zeros((samples, units[-1]))
    part = Dataset(inputs, targets.astype("f"), np.arange(samples))
    net = build_network(dense(*units[1:]), (units[0],), "quadratic", np.float32, rng)
    plan = Plan(0.1, Constant(), 4, batch_size, True, 0, "numbers")
    few = Dataset(part.inputs, part.targets, part.index[:1])
    times = [
        event.train_seconds
        for event in Trainer(net, sgd(net), plan, part, few).events()
        if hasattr(event, "train_seconds")
    ]
    step = Step(net, sgd(net), batch_size)
    step.run(0.1)
    tracemalloc.start()
    step.run(0.1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    steps = samples // batch_size
    return 1e6 * min(times) / steps, round(1e6 * min(times)), peak


SIZES: dict[str, Any] = {
    "samples": [(n, (64, 30, 10), 16) for n in (1600, 6400, 25600, 102400)],
    "width": [(3200, (64, units, 10), 32) for units in (32, 128, 512, 2048)],
    "depth": [(3200, (64, *[64] * depth, 10), 32) for depth in (1, 2, 4, 8, 16)],
    "mini-batch": [(6400, (64, 128, 10), n) for n in (1, 4, 16, 64, 256)],
}


def sizes() -> dict[str, Any]:
    print("cost against size; one thread as it comes; each row to be read against the first")
    print(
        f"{'':12}{'samples':>9} {'network':28}{'batch':>6}{'step µs':>10}{'epoch ms':>10}", end=""
    )
    print(f"{'allocates':>11}")
    found: dict[str, list[Any]] = {}
    for name, settings in SIZES.items():
        found[name] = []
        for samples, units, batch in settings:
            step, epoch, peak = epoch_time(samples, units, batch)
            layers = f"[{units[0]}, {units[1]} x {len(units) - 2}, {units[-1]}]"
            print(f"{name:12}{samples:9,} {layers:28}{batch:6}", end="")
            print(f"{step:10.1f}{epoch / 1e3:10.2f}{peak:11,}")
            found[name].append([samples, list(units), batch, step, epoch, peak])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        found = beyond_steps(rounds, Path(folder) / "a") | start_up(rounds, Path(folder) / "b")
        found |= saving(5 * rounds, Path(folder) / "c")
    results.keep("whole", found | {"sizes": sizes()})


if __name__ == "__main__":
    main()
