"""Single bits flipped in the steps of a saved training: `nncli diff` names each exactly."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import nncli
from nncli.app.trace_files import diff
from nncli.core import safetensors_format
from nncli.training.trace_file import checksum, read_stored
from tests.conftest import CONFIGS
from tests.soak.report import Report


def flip(path: Path, random: Random) -> tuple[str, tuple[int, ...]]:
    """Flips one bit of one number of a trace, in place: of which quantity, and where."""
    stored, (_, metadata) = read_stored(path), safetensors_format.read(path)
    # Those that are kept as one are kept apart: a bit is flipped in one of them.
    arrays = {name: array.copy() for name, array in stored.arrays.items()}
    name = random.choice([n for n in sorted(arrays) if "scalars" not in n and "optimi" not in n])
    array = arrays[name]
    index = tuple(random.randrange(size) for size in array.shape)
    bits: Any = array.reshape(-1).view(f"u{array.itemsize}")
    bits[np.ravel_multi_index(index, array.shape)] ^= 1 << random.randrange(8 * array.itemsize)
    metadata |= {"same": "{}", "checksum": checksum(arrays)}
    path.write_bytes(safetensors_format.pack(arrays, metadata))
    return name, index


def run(count: int, folder: Path, seed: int = 0) -> Report:
    """Flips one bit after the other, each in a copy of the traces of one training."""
    random, lost = Random(seed), list[str]()
    spec = nncli.load_spec(CONFIGS / "iris.yaml", ["train.epochs=2", "train.momentum=0.9"])
    nncli.train(spec, out=folder / "a", traces=["every=1"])
    shutil.copytree(folder / "a", folder / "b")
    kept = sorted((folder / "b/traces").iterdir())
    for k in range(count):
        file = random.choice(kept)
        whole = file.read_bytes()
        name, index = flip(file, random)
        found = diff(folder / "a", folder / "b")
        different = [(one.name, one.at) for one in found.all if not one.equal]
        step = int(file.stem.removeprefix("step-"))
        if (found.step, different) != (step, [(name, index)]):
            lost.append(f"flip {k}: {name}{index} of step {step}: {found.step}, {different}")
        file.write_bytes(whole)
    return Report(f"{count} single bits in {len(kept)} steps", lost)
