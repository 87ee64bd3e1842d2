"""Stochastic gradient descent: how far to go, from a gradient."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from nncli.nn.arrays import Array, constant
from nncli.nn.network import Network


class Schedule(Protocol):
    """η as it changes over the epochs, the first being 1."""

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


class Sgd:
    """SGD with momentum and weight decay, with the meaning that PyTorch gives them.

    g = ∂C/∂W + weight_decay · W;  v = momentum · v + g, at first v = g;  ΔW = −η v;  W = W + ΔW.
    Every vector here is as long as `network.parameters` and in the same order.

    Attributes:
        gradient: ∂C/∂W of the last step.
        velocity: v after the last step; None without momentum.
        update: ΔW of the last step.
        minus_eta: −η, an array without axes, which `Descent`s read.
    """

    def __init__(self, network: Network, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.network = network
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.gradient = np.zeros_like(network.parameters)
        self.update = np.zeros_like(network.parameters)
        self.velocity: Array | None = np.zeros_like(network.parameters) if momentum else None
        self.minus_eta = constant(0.0, network.dtype)
        self._descent = Descent(self, slice(None))

    def descend(self, eta: float) -> None:
        """Moves the parameters one step down `gradient`."""
        self.minus_eta[()] = -eta
        self._descent()


class Descent:
    """The step of a stretch of the parameters, with the η that `sgd.minus_eta` holds.

    `others`: gradients to be added to that of `sgd` first, those of the other shares of a
    mini-batch.
    """

    def __init__(self, sgd: Sgd, stretch: slice, others: Sequence[Array] = ()) -> None:
        self.minus_eta = sgd.minus_eta
        self.momentum = constant(sgd.momentum, sgd.network.dtype)
        self.weight_decay = constant(sgd.weight_decay, sgd.network.dtype)
        self.decays = sgd.weight_decay != 0
        self.parameters = sgd.network.parameters[stretch]
        self.gradient, self.update = sgd.gradient[stretch], sgd.update[stretch]
        self.velocity = None if sgd.velocity is None else sgd.velocity[stretch]
        self.others = [other[stretch] for other in others]

    def __call__(self) -> None:
        for other in self.others:
            np.add(self.gradient, other, self.gradient)
        direction = self.gradient
        if self.decays:
            np.multiply(self.parameters, self.weight_decay, self.update)
            direction = np.add(direction, self.update, self.update)
        if self.velocity is not None:
            np.multiply(self.velocity, self.momentum, self.velocity)
            direction = np.add(self.velocity, direction, self.velocity)
        np.multiply(direction, self.minus_eta, self.update)
        np.add(self.parameters, self.update, self.parameters)
