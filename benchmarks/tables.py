"""Times reading tables, as whole processes side by side with pandas and polars.

    python benchmarks/tables.py [--rounds N]

`inspect-grad --check off` of a spec with the table as its training data ends with the first step;
evaluate and predict read it for a trained network; `conv` and numpy.loadtxt read it as a matrix.
The others are `read_csv(...).to_numpy()`. All sides take turns; memory is the most resident.
"""

import argparse
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen
from time import perf_counter
from typing import Any

import numpy as np
import results
from workloads import REPO

NNCLI = [sys.executable, "-m", "nncli"]
SPEC = """\
data: {{train: {table}, target: -1, validation: 0.1{scale}}}
network: [{{type: dense, units: 10{last}}}]
train: {{eta: 0.01, epochs: 1, batch_size: 100}}
"""


def images(path: Path) -> str:
    """40,000 rows of 784 pixels, four fifths of them 0, and a label."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (10_000, 784)) * (rng.random((10_000, 784)) < 0.2)
    table = np.concatenate([pixels, rng.integers(0, 10, (10_000, 1))], axis=1)
    rows = "".join(",".join(map(str, row)) + "\n" for row in table.tolist())
    header = ",".join([*(f"pixel{k}" for k in range(784)), "label"])
    path.write_text(f"{header}\n{rows * 4}")
    return SPEC.format(table=path, scale=", scale: 255", last="")


def decimals(path: Path, columns: int) -> str:
    """500,000 rows of numbers with six decimals."""
    rows = np.random.default_rng(0).normal(size=(500_000, columns))
    np.savetxt(path, rows, "%.6f", ",", header=",".join("abcdefghi"[:columns]), comments="")
    last = ", activation: identity"
    return SPEC.format(table=path, scale="", last=last).replace("units: 10", "units: 1")


def run(command: list[str]) -> tuple[float, float]:
    """Seconds, and MiB."""
    start = perf_counter()
    process = Popen(command, cwd=REPO, stdout=DEVNULL, stderr=DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, command
    return perf_counter() - start, used.ru_maxrss / 1024


def others(table: Path) -> dict[str, list[str]]:
    read = f"({str(table)!r}).to_numpy()"
    loadtxt = f"import numpy; numpy.loadtxt({str(table)!r}, delimiter=',', skiprows=1)"
    return {
        "pandas": [sys.executable, "-c", f"import pandas; pandas.read_csv{read}"],
        "polars": [sys.executable, "-c", f"import polars; polars.read_csv{read}"],
        "loadtxt": [sys.executable, "-c", loadtxt],
    }


def measured(name: str, table: Path, spec: str, rounds: int, folder: Path) -> dict[str, Any]:
    config, trained = folder / f"{name}.yaml", folder / f"{name}-run"
    config.write_text(spec)
    run([*NNCLI, "train", str(config), "--out", str(trained)])
    to = ["-o", str(folder / "out.csv"), "--overwrite"]
    commands = {
        "first step": [*NNCLI, "inspect-grad", str(config), "--check", "off", "--format", "npz"],
        "evaluate": [*NNCLI, "evaluate", str(trained), "--data", str(table)],
        "predict": [*NNCLI, "predict", str(trained), str(table), *to],
        "conv": [*NNCLI, "conv", str(table), "1", "--output", str(folder / "out.npy"), to[-1]],
        **others(table),
    }
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in commands}
    for _ in range(rounds):
        for side, command in commands.items():
            times[side].append(run(command))
    found = {}
    print(f"{name}: {table.stat().st_size / 1e6:.0f} MB")
    for side, own in times.items():
        took, memory = median(t for t, _ in own), median(m for _, m in own)
        ratio = median(t / p for (t, _), (p, _) in zip(own, times["pandas"], strict=True))
        print(f"  {side:12}{took:6.2f} s{ratio:6.2f} times pandas{memory:8.0f} MiB")
        found[side] = {"seconds": took, "over_pandas": ratio, "MiB": memory}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for name, make in (
            ("images", images),
            ("9-columns", partial(decimals, columns=9)),
            ("4-columns", partial(decimals, columns=4)),
        ):
            table = folder / f"{name}.csv"
            # In another process: what this one needs at most, those that it starts begin with.
            with ProcessPoolExecutor(1) as pool:
                spec = pool.submit(make, table).result()
            found[name] = measured(name, table, spec, rounds, folder)
    results.keep("tables", found)


if __name__ == "__main__":
    main()
