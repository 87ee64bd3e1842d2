"""Specs whose trainings are exported, and the files that they name."""

from pathlib import Path

import numpy as np
import pytest

TABLE = "data: {train: t.csv, classes: none, target_scale: standard}\n"
PARTS = "data: {train: {inputs: x-*.npy, targets: y-*.npy}, validation: 0.25, scale: standard}\n"
INLINE = "data: {train: {inputs: [[0, 1], [1, 0]], targets: [a, b]}}\n"
WORDS = "data: {train: w.csv, validation: w.csv}\n"
NETWORK = "network: [{type: dense, units: 3, freeze: [bias]}, {type: dense, units: %d}]\n"
ADAM = "train: {eta: 0.1, epochs: 2, batch_size: 4, optimizer: adam, schedule: {type: cosine}}\n"
SGD = (
    "train: {eta: 0.1, epochs: 30, batch_size: 4, momentum: 0.9, nesterov: true, l1: 0.001, "
    "weight_decay: 0.01, decoupled_weight_decay: 0.1, decay_biases: false, clip: {norm: 0.1}}\n"
)
SPECS = {
    "table": TABLE + NETWORK % 1 + SGD.replace("batch_size", "shuffle: false, batch_size"),
    "parts": PARTS + NETWORK % 3 + ADAM,
    "inline": INLINE + NETWORK % 2 + SGD,
    "words": WORDS + NETWORK % 2 + ADAM.replace("30", "2"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of specs and what they need, which is the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = "".join(f"{a},{b},{a - b}\n" for a, b in rng.standard_normal((21, 2)).tolist())
    Path("t.csv").write_text(f"a,b,c\n{rows}")
    Path("w.csv").write_text("a,b\n" + "red,x\nblue,y\nred,x\n" * 4)
    for i in range(3):
        np.save(f"x-{i}.npy", rng.integers(0, 9, (5 + i, 2)))
        np.save(f"y-{i}.npy", np.arange(5 + i) % 3)
    for name, text in SPECS.items():
        Path(f"{name}.yaml").write_text(text)
    return tmp_path
