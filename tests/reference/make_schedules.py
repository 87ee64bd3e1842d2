"""Records the learning rates of torch.optim.lr_scheduler: python -m tests.reference.make_schedules.

Needs PyTorch, in an environment of its own; the record is committed, and read without it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

PATH = Path(__file__).parent / "torch" / "schedules.json"
ETA, EPOCHS = 0.5, 40
# By name: PyTorch's class and its settings; nncli's type of schedule and its own for the same.
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "step": ("StepLR", {"step_size": 7, "gamma": 0.3}, "step", {"step_size": 7, "gamma": 0.3}),
    "exponential": ("ExponentialLR", {"gamma": 0.9}, "exponential", {"gamma": 0.9}),
    "cosine": (
        "CosineAnnealingLR",
        {"T_max": 39, "eta_min": 0.01},
        "cosine",
        {"t_max": 39, "eta_min": 0.01},
    ),
    "linear": ("LinearLR", {}, "linear", {}),
    "linear-down": (
        "LinearLR",
        {"start_factor": 0.9, "end_factor": 0.2, "total_iters": 13},
        "linear",
        {"start_factor": 0.9, "end_factor": 0.2, "total_iters": 13},
    ),
    "one_cycle": ("OneCycleLR", {"max_lr": ETA, "total_steps": EPOCHS}, "one_cycle", {}),
    "one_cycle-settings": (
        "OneCycleLR",
        {"max_lr": ETA, "total_steps": EPOCHS, "pct_start": 0.45, "div_factor": 4.0,
         "final_div_factor": 50.0},
        "one_cycle",
        {"pct_start": 0.45, "div_factor": 4.0, "final_div_factor": 50.0},
    ),
    "plateau": ("ReduceLROnPlateau", {"patience": 3}, "plateau", {"patience": 3}),
    "plateau-of_accuracy": (
        "ReduceLROnPlateau",
        {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.05, "cooldown": 2,
         "min_lr": 0.05},
        "plateau",
        {"metric": "validation_accuracy", "factor": 0.5, "patience": 1, "threshold": 0.05,
         "cooldown": 2, "eta_min": 0.05},
    ),
}  # fmt: skip


def metrics() -> list[float]:
    """What a plateau is seen by, an epoch each: noise on a fall, or with its sign on a rise."""
    rng = np.random.default_rng(0)
    return [float(x) for x in 0.5 + rng.random(EPOCHS) / np.arange(1, EPOCHS + 1)]


def main() -> None:
    import torch
    from torch.optim import lr_scheduler

    rates: dict[str, list[float]] = {}
    for name, (kind, settings, _, _) in CASES.items():
        weight = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=ETA)
        schedule = getattr(lr_scheduler, kind)(optimizer, **settings)
        rates[name] = []
        for metric in metrics():
            rates[name].append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            if kind == "ReduceLROnPlateau":
                schedule.step(metric)
            elif len(rates[name]) < EPOCHS:
                schedule.step()
    record = {"version": torch.__version__, "rates": rates}
    PATH.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
