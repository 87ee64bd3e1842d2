"""Trains on a .npy file of 1.5 GiB and watches how much of it is in memory.

    python benchmarks/beyond_memory.py [--samples N] [--folder DIR]

Makes 2,000,000 x 784 random bytes in a temporary folder, trains [784, 30, 10] on them for two
epochs through `nncli.train` in a process of its own, and removes them. Reported: when the first
step begins, counted from the start of the process; the most memory that was resident, mapped pages
included; and that each epoch took every sample exactly once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import time
from typing import Any

import numpy as np
import results

MOST_MIB, MOST_SECONDS = 350, 2.0
BLOCK = 20_000
SPEC = """\
data:
  train: {inputs: x.npy, targets: y.npy}
  validation: {inputs: few_x.npy, targets: few_y.npy}
  scale: 255
network:
  - {type: dense, units: 30}
  - {type: dense, units: 10}
train: {eta: 0.5, epochs: 2, batch_size: 100}
"""
CHILD = """\
import json, resource, sys
from time import time
import numpy as np
import nncli
from nncli.data.dataset import Dataset

gather, seen, first = Dataset.gather, [], []

def peak():
    try:
        status = open("/proc/self/status").read()  # ru_maxrss has what the parent had, too
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def watched(part, rows, inputs, targets):
    if not first:
        first.append(time())
    if len(part) == SAMPLES:
        seen.append(np.array(rows, np.uint32))
    gather(part, rows, inputs, targets)

whole = []

def on_event(event, trainer):
    if isinstance(event, nncli.Epoch):
        times_seen = np.bincount(np.concatenate(seen), minlength=SAMPLES)
        whole.append(bool((times_seen == 1).all()))
        seen.clear()

def once(part, rows, inputs, targets):
    first.append(time())
    Dataset.gather = gather
    gather(part, rows, inputs, targets)

def begin():  # not before the first step: to know what a cost is like, a trainer looks at samples
    Dataset.gather = watched if counts else once

# Counting rows takes memory of its own, so it is done where the most memory is not asked for.
SAMPLES, counts = int(sys.argv[1]), sys.argv[2] == "count"
done = nncli.train("s.yaml", on_start=begin, on_event=on_event if counts else None)
print(json.dumps({
    "first_step": first[0],
    "peak_mib": peak(),
    "each_sample_once": whole,
    "epoch_seconds": [epoch.train_seconds for epoch in done.history],
}))
"""


def make(folder: Path, samples: int) -> None:
    rng = np.random.default_rng(0)
    shape = (samples, 784)
    inputs = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, shape)
    for start in range(0, samples, BLOCK):
        block = inputs[start : start + BLOCK]
        block[...] = rng.integers(0, 256, block.shape, np.uint8)
    inputs.flush()
    np.save(folder / "y.npy", rng.integers(0, 10, samples).astype(np.uint8))
    np.save(folder / "few_x.npy", inputs[:1000])
    np.save(folder / "few_y.npy", np.arange(1000, dtype=np.uint8) % 10)
    (folder / "s.yaml").write_text(SPEC)


def run(folder: Path, samples: int, mode: str) -> dict[str, Any]:
    start = time()
    command = [sys.executable, "-c", CHILD, str(samples), mode]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return dict(found) | {"first_step": found["first_step"] - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2_000_000)
    parser.add_argument("--folder", help="where there is room for the file")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        make(Path(name), chosen.samples)
        size = (Path(name) / "x.npy").stat().st_size / 2**20
        found = run(Path(name), chosen.samples, "measure")
        counted = run(Path(name), chosen.samples, "count")
    found["each_sample_once"] = counted["each_sample_once"]
    peak, first = found["peak_mib"], found["first_step"]
    print(f"a file of {size:,.0f} MiB, {chosen.samples:,} samples of 784 bytes")
    print(f"  resident at most  {peak:6.0f} MiB  (at most {MOST_MIB})")
    print(f"  first step after  {first:6.2f} s    (at most {MOST_SECONDS:g})")
    print(f"  an epoch takes    {found['epoch_seconds'][-1]:6.2f} s")
    print(f"  each sample once in each epoch: {found['each_sample_once']}")
    met = peak <= MOST_MIB and first <= MOST_SECONDS and all(found["each_sample_once"])
    print("  met" if met else "  NOT MET")
    results.keep("beyond_memory", found | {"file_mib": size, "samples": chosen.samples})


if __name__ == "__main__":
    main()
