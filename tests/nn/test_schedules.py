"""Schedules against PyTorch's own rates, as recorded, and against its loops, written out here."""

import json
import math
from typing import Any

import numpy as np
import pytest

from nncli.nn.schedules import SCHEDULES, Linear, OneCycle, Plateau
from nncli.spec.schedules import SCHEDULES as SPECS
from tests.reference.make_schedules import CASES, EPOCHS, ETA, PATH, metrics


@pytest.mark.parametrize("name", CASES)
def test_the_rates_are_those_of_pytorch(name: str) -> None:
    *_, kind, keys = CASES[name]
    settings = SPECS[kind](type=kind, **keys).settings(EPOCHS)
    schedule: Any = SCHEDULES[kind](**settings)
    made = []
    for epoch, metric in enumerate(metrics(), 1):
        made.append(schedule.eta(ETA, epoch))
        if isinstance(schedule, Plateau):
            schedule.see(metric)
    expected = json.loads(PATH.read_text(encoding="utf-8"))["rates"][name]
    assert made == pytest.approx(expected, rel=1e-12, abs=0)
    assert len(set(made)) > 2


@pytest.mark.parametrize(
    ("start", "end", "total"), [(1 / 3, 1.0, 5), (0.01, 0.5, 1), (1.0, 0.0, 4)]
)
def test_linear(start: float, end: float, total: int) -> None:
    """LinearLR.get_lr: each η from the one before."""
    eta, expected = 0.5 * start, []
    for epoch in range(10):
        if 0 < epoch <= total:
            eta *= 1 + (end - start) / (total * start + (epoch - 1) * (end - start))
        expected.append(eta)
    made = [Linear(start, end, total).eta(0.5, epoch) for epoch in range(1, 11)]
    assert made == pytest.approx(expected, rel=1e-12, abs=1e-15)


def one_cycle(top: float, total: int, pct: float, div: float, final_div: float) -> list[float]:
    """OneCycleLR.get_lr, with anneal_strategy="cos" and two phases."""
    initial = top / div
    phases = [
        (float(pct * total) - 1, initial, top),
        (total - 1, top, initial / final_div),
    ]
    found = []
    for step in range(total):
        begin = 0.0
        for i, (end, low, high) in enumerate(phases):
            if step <= end or i == len(phases) - 1:
                done = (step - begin) / (end - begin)
                found.append(high + (low - high) / 2.0 * (1 + math.cos(math.pi * done)))
                break
            begin = end
    return found


@pytest.mark.parametrize("total", [4, 10, 33])
@pytest.mark.parametrize(("pct", "div", "final_div"), [(0.3, 25.0, 1e4), (0.5, 2.0, 10.0)])
def test_one_cycle(total: int, pct: float, div: float, final_div: float) -> None:
    schedule = OneCycle(total, pct, div, final_div)
    made = [schedule.eta(0.5, epoch) for epoch in range(1, total + 1)]
    assert made == pytest.approx(one_cycle(0.5, total, pct, div, final_div), rel=1e-12)
    assert schedule.eta(0.5, total + 7) == made[-1]


@pytest.mark.parametrize(("total", "pct"), [(1, 0.3), (2, 0.3), (3, 1 / 3), (5, 0.0), (5, 1.0)])
def test_a_cycle_without_one_of_its_halves(total: int, pct: float) -> None:
    """PyTorch divides by 0 there: it begins at the top, or ends there."""
    made = [OneCycle(total, pct).eta(1.0, epoch) for epoch in range(1, total + 1)]
    assert all(0 < eta <= 1 for eta in made)
    if pct == 1.0:
        assert made == sorted(made)
    else:
        assert made == sorted(made, reverse=True)
        assert made[0] == 1.0 or total == 1


class ReduceLROnPlateau:
    """PyTorch's, of one parameter group, with threshold_mode="rel"."""

    def __init__(self, lr: float, mode: str, **settings: Any) -> None:
        self.lr, self.mode = lr, mode
        self.s = {"factor": 0.1, "patience": 10, "threshold": 1e-4, "cooldown": 0, "min_lr": 0.0}
        self.s |= settings
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = self.cooldown_counter = 0

    def step(self, value: float) -> None:
        if self.mode == "min":
            is_better = value < self.best * (1.0 - self.s["threshold"])
        else:
            is_better = value > self.best * (self.s["threshold"] + 1.0)
        if is_better:
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.bad = 0
        if self.bad > self.s["patience"]:
            new = max(self.lr * self.s["factor"], self.s["min_lr"])
            if self.lr - new > 1e-8:
                self.lr = new
            self.cooldown_counter, self.bad = int(self.s["cooldown"]), 0


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "min_lr": 0.02},
        {"patience": 1, "cooldown": 3, "threshold": 0.2},
    ],
)
def test_plateau(mode: str, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    values = (1 + rng.random(60) / np.arange(1, 61)).tolist()
    theirs = ReduceLROnPlateau(0.5, mode, **settings)
    ours = {("eta_min" if key == "min_lr" else key): value for key, value in settings.items()}
    schedule = Plateau("validation_cost", mode == "max", **ours)
    expected, made = [0.5], [schedule.eta(0.5, 1)]
    for epoch, value in enumerate(values, start=2):
        theirs.step(value)
        schedule.see(value)
        expected.append(theirs.lr)
        made.append(schedule.eta(0.5, epoch))
    assert made == pytest.approx(expected, rel=1e-12)
    assert len(set(made)) > 2
    # η of an epoch that was long ago, and of one that is still to come.
    assert [schedule.eta(0.5, k) for k in range(1, 62)] == made
    assert schedule.eta(0.5, 99) == made[-1]
    assert schedule.fresh().eta(0.5, 99) == 0.5
