"""Schedules: how η changes from epoch to epoch."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Schedule(Protocol):
    """η in every epoch, the first being 1; `start` is η in the first."""

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


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "cosine": Cosine,
}
