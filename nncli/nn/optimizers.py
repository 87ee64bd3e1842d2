"""Stochastic gradient descent: how far to go, from a gradient."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from nncli.nn.arrays import Array, Operations, bind, constant
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
        size, dtype = network.parameters.shape, network.dtype
        zeros = network.buffers.zeros
        self.gradient, self.update = zeros(size, dtype), zeros(size, dtype)
        self.velocity: Array | None = zeros(size, dtype) if momentum else None
        self.minus_eta = zeros((), dtype)
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
        self.calls = [*self._rule(sgd, stretch, [other[stretch] for other in others])]

    def __call__(self) -> None:
        for one in self.calls:
            one()

    @staticmethod
    def _rule(sgd: Sgd, stretch: slice, others: Sequence[Array]) -> Operations:
        parameters, update = sgd.network.parameters[stretch], sgd.update[stretch]
        gradient = direction = sgd.gradient[stretch]
        for other in others:
            yield bind(np.add, gradient, other, gradient)
        if sgd.weight_decay:
            yield bind(np.multiply, parameters, constant(sgd.weight_decay, update.dtype), update)
            yield bind(np.add, direction, update, update)
            direction = update
        if sgd.velocity is not None:
            velocity = sgd.velocity[stretch]
            yield bind(np.multiply, velocity, constant(sgd.momentum, update.dtype), velocity)
            yield bind(np.add, velocity, direction, velocity)
            direction = velocity
        yield bind(np.multiply, direction, sgd.minus_eta, update)
        yield bind(np.add, parameters, update, parameters)
