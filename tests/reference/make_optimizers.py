"""Records what torch.optim makes of 200 gradients: python -m tests.reference.make_optimizers.

Needs PyTorch, in an environment of its own; the record is committed, and read without it.
"""

from pathlib import Path
from typing import Any

import numpy as np

PATH = Path(__file__).parent / "torch" / "optimizers.npz"
STEPS, SIZE, ETA = 200, 12, 0.05
# By name: PyTorch's class and settings, and nncli's kind of optimizer with the same meaning.
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "sgd": ("SGD", {}, "sgd", {}),
    "momentum": ("SGD", {"momentum": 0.9}, "sgd", {"momentum": 0.9}),
    "nesterov": (
        "SGD",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        "sgd",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": ("Adam", {}, "adam", {}),
    "adam-settings": (
        "Adam",
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
        "adam",
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "weight_decay": 0.1},
    ),
    "adamw": ("AdamW", {"weight_decay": 0.1}, "adam", {"decoupled_weight_decay": 0.1}),
    # Clipped first, by clip_grad_norm_ of two tensors, or by clip_grad_value_: two of five
    # gradients are beyond the norm, and a third of the numbers beyond the value.
    "clip_norm": (
        "SGD",
        {"clip": {"norm": 100.0}, "momentum": 0.9, "weight_decay": 0.1},
        "sgd",
        {"clip": {"norm": 100.0}, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "clip_value": ("Adam", {"clip": {"value": 0.5}}, "adam", {"clip": {"value": 0.5}}),
}


def gradients() -> np.ndarray[Any, np.dtype[np.float64]]:
    """STEPS x SIZE, of sizes from 1e-4 to 1e2, with a drift so that means do not vanish."""
    rng = np.random.default_rng(0)
    sizes = 10.0 ** np.linspace(-4, 2, SIZE)
    return (rng.standard_normal((STEPS, SIZE)) + 0.3) * sizes


def main() -> None:
    import torch

    start = np.random.default_rng(1).standard_normal(SIZE)
    arrays = {"start": start, "gradients": gradients()}
    for name, (kind, given, _, _) in CASES.items():
        settings = dict(given)
        clip = settings.pop("clip", {})
        pieces = np.split(start, [5] if clip else [])
        weights = [torch.tensor(piece, requires_grad=True) for piece in pieces]
        optimizer = getattr(torch.optim, kind)(weights, lr=ETA, **settings)
        path = []
        for gradient in arrays["gradients"]:
            for weight, piece in zip(weights, np.split(gradient, [5] if clip else []), strict=True):
                weight.grad = torch.tensor(piece)
            if "norm" in clip:
                torch.nn.utils.clip_grad_norm_(weights, clip["norm"])
            if "value" in clip:
                torch.nn.utils.clip_grad_value_(weights, clip["value"])
            optimizer.step()
            path.append(np.concatenate([weight.detach().numpy() for weight in weights]))
        arrays[name] = np.array(path)
    np.savez_compressed(PATH, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
