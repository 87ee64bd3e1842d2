"""The flatten layer: an image as a vector, channels outermost."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape
from nncli.nn.layers.base import Layer, LayerStep, Placed, Workspace


@dataclass(frozen=True)
class Flatten(Layer):
    """An image as a vector, channels outermost."""

    type: ClassVar[str] = "flatten"
    takes_images = True
    makes_vectors = True
    splits_units = True

    def output_shape(self, input_shape: Shape) -> Shape:
        return (prod(input_shape),)

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        return 0

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "FlattenStep":
        return FlattenStep(placed, input)


class FlattenStep(LayerStep):
    """Nothing is copied: with the samples last, a flattened image is the same memory."""

    def __init__(self, placed: Placed, input: Array) -> None:
        super().__init__(placed, input)
        if input.flags.c_contiguous:
            self.a = input.reshape(*placed.output_shape, -1)
        else:  # the network's input, where a sample is in one piece
            self.a = np.moveaxis(input, -1, 0).reshape(-1, *placed.output_shape).T

    def bind_upstream(self, upstream: Array) -> None:
        super().bind_upstream(upstream)
        self.downstream = upstream.reshape(self.input.shape)

    def forward(self) -> Operations:
        return ()

    def backward_input(self) -> Operations:
        return ()
