"""Schedules: how η changes from epoch to epoch."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Schedule(Protocol):
    """η in every epoch, the first being 1; `start` is the η that the training was given."""

    def eta(self, start: float, epoch: int) -> float: ...


class Constant:
    """The same η throughout."""

    def eta(self, start: float, epoch: int) -> float:
        return start


class StepDecay(NamedTuple):
    """η times `gamma` after each `step_size` epochs."""

    step_size: int
    gamma: float

    def eta(self, start: float, epoch: int) -> float:
        return start * self.gamma ** ((epoch - 1) // self.step_size)


class Exponential(NamedTuple):
    """η times `gamma` after each epoch."""

    gamma: float

    def eta(self, start: float, epoch: int) -> float:
        return start * self.gamma ** (epoch - 1)


class Cosine(NamedTuple):
    """Half a cosine from η in the first epoch down to `eta_min` after `t_max` epochs.

    Loshchilov and Hutter 2017, eq. 5, without restarts.
    """

    t_max: int
    eta_min: float = 0.0

    def eta(self, start: float, epoch: int) -> float:
        cosine = math.cos(math.pi * (epoch - 1) / self.t_max)
        return self.eta_min + (start - self.eta_min) * (1 + cosine) / 2


class Linear(NamedTuple):
    """η from `start_factor` to `end_factor` of it in `total_iters` epochs: a warm-up."""

    start_factor: float
    end_factor: float
    total_iters: int

    def eta(self, start: float, epoch: int) -> float:
        done = min(epoch - 1, self.total_iters) / self.total_iters
        return start * (self.start_factor + (self.end_factor - self.start_factor) * done)


class OneCycle(NamedTuple):
    """Up from η / `div_factor` to η, then down to a `final_div_factor`-th of the beginning.

    Both ways along half a cosine; the first takes the share `pct_start` of `total_steps` epochs.
    Smith and Topin 2018, without their cycle of the momentum.
    """

    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def eta(self, start: float, epoch: int) -> float:
        first, last = start / self.div_factor, start / self.div_factor / self.final_div_factor
        step, end = min(epoch, self.total_steps) - 1, self.total_steps - 1
        top = min(self.pct_start * self.total_steps - 1, end)
        if top > 0 and step <= top:
            return _annealed(first, start, step / top)
        top = max(top, 0.0)
        return _annealed(start, last, (step - top) / (end - top) if end > top else 1.0)


def _annealed(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


class Plateau:
    """η times `factor` when more than `patience` epochs in a row were no better than the best.

    Better is by more than the share `threshold` of the best. After each time, `cooldown` epochs do
    not count. As PyTorch's ReduceLROnPlateau has it. It has to `see` each epoch; of epochs beyond
    those it has seen, it takes η to stay.
    """

    def __init__(
        self,
        metric: str,
        larger_is_better: bool = False,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        eta_min: float = 0.0,
    ) -> None:
        self.metric, self.larger_is_better = metric, larger_is_better
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.cooldown, self.eta_min = cooldown, eta_min
        self._reductions = [0]  # up to each epoch
        self._best: float | None = None
        self._bad = self._cooling = 0

    def fresh(self) -> "Plateau":
        """One of the same settings that has seen nothing."""
        return Plateau(
            self.metric,
            self.larger_is_better,
            self.factor,
            self.patience,
            self.threshold,
            self.cooldown,
            self.eta_min,
        )

    def see(self, value: float) -> None:
        """Takes the metric of the next epoch."""
        if self._is_better(value):
            self._best, self._bad = value, 0
        else:
            self._bad += 1
        if self._cooling:
            self._cooling, self._bad = self._cooling - 1, 0
        reduces = self._bad > self.patience
        if reduces:
            self._cooling, self._bad = self.cooldown, 0
        self._reductions.append(self._reductions[-1] + reduces)

    def _is_better(self, value: float) -> bool:
        if self._best is None:
            return True
        if self.larger_is_better:
            return value > self._best * (1 + self.threshold)
        return value < self._best * (1 - self.threshold)

    def eta(self, start: float, epoch: int) -> float:
        count = self._reductions[min(epoch, len(self._reductions)) - 1]
        eta = start
        for _ in range(count):
            smaller = max(eta * self.factor, self.eta_min)
            eta = smaller if eta - smaller > SMALLEST_REDUCTION else eta
        return eta


SMALLEST_REDUCTION = 1e-8  # of η, as in PyTorch


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "cosine": Cosine,
    "linear": Linear,
    "one_cycle": OneCycle,
    "plateau": Plateau,
}
