"""Steps of small networks whose classes have weights, and what PyTorch made of them.

`make_torch_weights.py` writes the record, the test that reads it draws the same numbers from here.
PyTorch is asked twice: by a weighted loss of reduction="sum", divided by the number of samples as
nncli has it, and by reduction="mean", which it divides by the sum of the samples' weights.
"""

from pathlib import Path
from typing import Any

import numpy as np

RECORD = Path(__file__).parent / "torch" / "weights.npz"
ETA, SAMPLES, FEATURES, HIDDEN = 0.25, 7, 3, 4
# The last activation, and the weights of the classes.
CASES = {
    "softmax": ("softmax", (0.5, 3.0, 1.25)),
    "one sigmoid": ("sigmoid", (0.4, 2.5)),
}


def draw(name: str) -> dict[str, Any]:
    """Inputs, the class of each sample, and parameters, inputs x units."""
    rng = np.random.default_rng(sorted(CASES).index(name))
    activation, weights = CASES[name]
    outputs = len(weights) if activation == "softmax" else 1
    return {
        "x": rng.standard_normal((SAMPLES, FEATURES)),
        "classes": rng.permutation(np.arange(SAMPLES) % len(weights)),
        "weight1": rng.standard_normal((FEATURES, HIDDEN)),
        "bias1": rng.standard_normal(HIDDEN),
        "weight2": rng.standard_normal((HIDDEN, outputs)),
        "bias2": rng.standard_normal(outputs),
    }
