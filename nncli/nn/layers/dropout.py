"""The dropout layer: in training each unit is left out with some probability."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape, bind, zeros_with_ones_row
from nncli.nn.layers.base import Formula, Layer, LayerStep, Placed, RecordedQuantity, Workspace


@dataclass(frozen=True)
class Dropout(Layer):
    """In training a = input ⊙ mask, in evaluation a = input.

    An entry of the mask is 0 with probability `rate` and 1 / (1 − rate) otherwise, so that the mean
    of a is the input (Srivastava et al., Dropout: a simple way to prevent neural networks from
    overfitting, 2014, section 10; scaled in training as PyTorch does). It is drawn anew for every
    step, for each unit and sample.
    """

    type: ClassVar[str] = "dropout"
    has_modes = True
    is_random = True
    has_ones_row = None
    attenuates = "dropout"
    quantities = (
        RecordedQuantity("mask", "mask", r"\mathrm{mask}", "what input is multiplied by"),
    )
    forward_formulas = (Formula("a = input ⊙ mask", ("input", "mask", "a"), "⊙="),)
    backward_formulas = (
        Formula("∂C/∂input = ∂C/∂a ⊙ mask", ("upstream", "mask", "downstream"), "⊙="),
    )

    rate: float = 0.5

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        return (3 * prod(input_shape) + prod(input_shape[1:])) * n

    def settings(self) -> Mapping[str, object]:
        return {"rate": self.rate}

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> LayerStep:
        kind = DropoutStep if workspace.is_training else IdentityStep
        return kind(placed, input, workspace)


class DropoutStep(LayerStep):
    """In training.

    Attributes:
        mask: of 1 / (1 − rate) and 0; of 1 until it is drawn.
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Dropout)
        self.rate = placed.layer.rate
        zeros = workspace.zeros
        shape, dtype = input.shape, input.dtype
        self.a = zeros_with_ones_row(zeros, shape, dtype)
        self.mask, self.downstream = zeros(shape, dtype), zeros(shape, dtype)
        self.mask.fill(1)
        self.recorded = {"mask": self.mask}

    def randomise(self, uniform: Array) -> None:
        np.multiply(uniform >= self.rate, 1 / (1 - self.rate), out=self.mask, casting="same_kind")

    def replay_random(self, recorded: Mapping[str, Array]) -> None:
        self.mask[...] = recorded["mask"]

    def forward(self) -> Operations:
        yield bind(np.multiply, self.input, self.mask, self.a)

    def backward_input(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.mask, self.downstream)


class IdentityStep(LayerStep):
    """In evaluation: nothing is copied."""

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input)
        self.a = input

    def bind_upstream(self, upstream: Array) -> None:
        super().bind_upstream(upstream)
        self.downstream = upstream

    def forward(self) -> Operations:
        return ()

    def backward_input(self) -> Operations:
        return ()
