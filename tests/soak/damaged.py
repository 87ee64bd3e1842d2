"""`python -m tests.soak.damaged`: damaged inputs by the thousand, and what came of them.

Every case follows from the seed and its number alone: `--seed S --only N` runs one again, and
leaves its folder to look at.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.soak import whole
from tests.soak.cases import GIVEN, WORK, Case, make_case
from tests.soak.judge import Seen, acting, complaints, size_of, tree
from tests.soak.worker import Result, Worker


class Outcome(NamedTuple):
    case: Case
    result: Result
    complaints: list[str]


class Trial:
    """Runs cases in a folder of its own, each of them in a new one within."""

    def __init__(self, folder: Path, worker: Worker) -> None:
        self.folder = folder
        self.worker = worker
        self.run = folder / "whole" / "run"
        self.run.parent.mkdir()
        self._train()

    def _train(self) -> None:
        """The whole run folder that cases damage copies of; it also warms the worker up."""
        random = Random(0)
        values = whole.spec(random, {"inputs": whole.inputs().tolist(), "targets": "y.npy"})
        values["train"] |= {"momentum": 0.5, "epochs": 2}
        (self.run.parent / "y.npy").write_bytes(whole.npy(whole.labels()))
        (self.run.parent / "net.yaml").write_text(whole.spec_text(random, values))
        for argv in (
            ["train", str(self.run.parent / "net.yaml"), "--out", str(self.run)],
            ["inspect-grad", str(self.run)],
            ["conv", str(self.run.parent / "y.npy"), "box"],
        ):
            self.worker.run(argv, folder=self.folder, printed=self.folder)
        assert self.run.is_dir()

    def __call__(self, random: Random, *, keep: bool = False) -> Outcome:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            case = make_case(folder, random, self.run)
            before, given = tree(folder), size_of(folder)
            result = self.worker.run(
                case.argv, folder=folder / WORK, printed=self.folder, stdin=case.stdin
            )
            seen = Seen(before, tree(folder), given, acting(folder))
            return Outcome(case, result, complaints(case, result, seen))
        finally:
            if not keep:
                shutil.rmtree(folder)


def told(number: int, outcome: Outcome) -> str:
    case = outcome.case
    words = " ".join(word if len(word) < 200 else f"{word[:200]}..." for word in case.argv)
    lines = [f"case {number}: {case.kind}, {case.damage}: nncli {words!r}"]
    return "\n".join([*lines, *(f"    {complaint}" for complaint in outcome.complaints)])


def soak(seed: int, numbers: range, folder: Path, *, keep: bool) -> int:
    """Runs the cases of these numbers and prints what came of them; how many failed."""
    tried: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    failed, largest, slowest, began = 0, 0, 0.0, time.monotonic()
    with Worker() as worker:
        trial = Trial(folder, worker)
        for number in numbers:
            outcome = trial(Random(f"{seed}:{number}"), keep=keep)
            tried[outcome.case.kind.partition(" ")[0]] += 1
            ends["lost" if outcome.complaints else str(outcome.result.status)] += 1
            largest = max(largest, outcome.result.memory)
            slowest = max(slowest, outcome.result.seconds)
            if outcome.complaints:
                failed += 1
                print(told(number, outcome), flush=True)
            if keep:
                print(told(number, outcome), outcome.result.err, sep="\n")
            if number % 1000 == 999:
                print(f"  {number + 1:,} tried, {failed} failed", file=sys.stderr, flush=True)
    print(f"damaged inputs: {len(numbers):,} tried with --seed {seed}, {failed} failed")
    print(f"  of which {', '.join(f'{n:,} {kind}' for kind, n in tried.most_common())}")
    print(f"  exit status {', '.join(f'{end}: {n:,}' for end, n in sorted(ends.items()))}")
    print(
        f"  at most {largest >> 20} MiB and {slowest:.1f} s for one, "
        f"{time.monotonic() - began:.0f} s for all"
    )
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only", type=int, default=None, help="this case alone; keeps its folder")
    given = parser.parse_args()
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    only = given.only is not None
    numbers = range(given.only, given.only + 1) if only else range(given.count)
    folder = Path(tempfile.mkdtemp(prefix="nncli-damaged-"))
    try:
        failed = soak(seed, numbers, folder, keep=only)
    finally:
        if only:
            print(f"the files: {folder / '*' / GIVEN}")
        else:
            shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
