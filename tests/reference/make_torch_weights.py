"""Records PyTorch's steps with class weights, by the losses that have a `weight`.

To be run by hand, from the root of the repository, in an environment of its own:

    pip install torch==2.13.0 numpy
    python -m tests.reference.make_torch_weights
"""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from tests.reference.torch_weights import CASES, ETA, RECORD, SAMPLES, draw


def loss_of(activation: str, weights: Any, z: Any, classes: Any, reduction: str) -> Any:
    by_class = torch.tensor(weights, dtype=torch.float64)
    if activation == "softmax":
        return F.cross_entropy(z, classes, weight=by_class, reduction=reduction)
    y = classes.to(torch.float64)[:, None]
    # BCE's weight is one a sample, and its mean divides by their number.
    return F.binary_cross_entropy_with_logits(
        z, y, weight=by_class[classes][:, None], reduction="sum"
    ) / (by_class[classes].sum() if reduction == "mean" else 1)


def main() -> None:
    record = {}
    for name, (activation, weights) in CASES.items():
        drawn = {key: torch.tensor(value) for key, value in draw(name).items()}
        keys = ("weight1", "bias1", "weight2", "bias2")
        for reduction in ("sum", "mean"):
            p = {key: drawn[key].clone().requires_grad_() for key in keys}
            z1 = drawn["x"] @ p["weight1"] + p["bias1"]
            z2 = torch.tanh(z1) @ p["weight2"] + p["bias2"]
            z1.retain_grad(), z2.retain_grad()
            cost = loss_of(activation, weights, z2, drawn["classes"], reduction)
            (cost / SAMPLES if reduction == "sum" else cost).backward()
            stem = f"{name}.{reduction}"
            record[f"{stem}.cost"] = (cost / (SAMPLES if reduction == "sum" else 1)).detach()
            record |= {f"{stem}.{key}_gradient": p[key].grad for key in keys}
            record |= {f"{stem}.{key}_new": (p[key] - ETA * p[key].grad).detach() for key in keys}
            record |= {f"{stem}.delta1": z1.grad * SAMPLES, f"{stem}.delta2": z2.grad * SAMPLES}
    arrays: dict[str, Any] = {key: np.asarray(value) for key, value in record.items()}
    np.savez_compressed(RECORD, **arrays)


if __name__ == "__main__":
    main()
