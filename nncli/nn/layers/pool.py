"""Pool layers: one number for each window of each channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape, after_complex_step, bind, constant
from nncli.nn.layers.base import Layer, LayerStep, Placed, Workspace, windows_on
from nncli.nn.windows import Pair, Windows


@dataclass(frozen=True)
class Pool(Layer):
    """One number for each window of each channel. `stride` None means: windows side by side."""

    size: Pair
    stride: Pair | None = None

    distinctive = ("size",)
    takes_images = True
    has_windows = True
    attenuates = "pooling"

    def windows(self, input_shape: Shape) -> Windows:
        stride = self.stride or self.size
        return windows_on(self.type, input_shape, self.size, "size", stride=stride)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:1], *self.windows(input_shape).output_shape)

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        return (3 * prod(self.output_shape(input_shape)) + prod(input_shape)) * n

    def settings(self) -> Mapping[str, object]:
        return {"size": self.size, "stride": self.stride or self.size}


class MaxPool(Pool):
    """The maximum of each window."""

    type: ClassVar[str] = "maxpool"
    has_kinks = True

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "MaxPoolStep":
        return MaxPoolStep(placed, input, workspace)


class AvgPool(Pool):
    """The mean of each window."""

    type: ClassVar[str] = "avgpool"

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "AvgPoolStep":
        return AvgPoolStep(placed, input, workspace)


class PoolStep(LayerStep):
    """`downstream` is 0 where there is no window.

    Where windows do not overlap, which is the default, each cell is written by one of them: that
    takes a third of the time.
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Pool)
        windows = placed.layer.windows(placed.input_shape)
        self.overlap, self.zeros = windows.overlap, workspace.zeros
        self.a = self.zeros((*placed.output_shape, input.shape[-1]), input.dtype)
        self.share = self.zeros(self.a.shape, input.dtype)
        self.downstream = self.zeros(input.shape, input.dtype)
        self.cells = [cells for _, _, cells in windows.taps(input)]
        self.cells_downstream = [cells for _, _, cells in windows.taps(self.downstream)]


class AvgPoolStep(PoolStep):
    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input, workspace)
        self.one_over_size = constant(1 / len(self.cells), self.a.dtype)

    def forward(self) -> Operations:
        yield bind(np.copyto, self.a, self.cells[0])
        for cells in self.cells[1:]:
            yield bind(np.add, self.a, cells, self.a)
        yield bind(np.multiply, self.a, self.one_over_size, self.a)

    def backward_input(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.one_over_size, self.share)
        if self.overlap:
            yield bind(self.downstream.fill, 0)
        for cells in self.cells_downstream:
            if self.overlap:
                yield bind(np.add, cells, self.share, cells)
            else:
                yield bind(np.copyto, cells, self.share)


class MaxPoolStep(PoolStep):
    """The first maximum of each window, in reading order, is the one that counts.

    Attributes:
        first: which tap of its window each maximum is.
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input, workspace)
        self.is_greater = self.zeros(self.a.shape, bool)
        self.first: Array = self.zeros(self.a.shape, np.int32)

    def forward(self) -> Operations:
        yield bind(np.copyto, self.a, self.cells[0])
        yield bind(self.first.fill, 0)
        for k, cells in enumerate(self.cells[1:], 1):
            yield bind(np.greater, cells, self.a, self.is_greater)
            yield bind(np.copyto, self.first, k, where=self.is_greater)
            yield bind(np.maximum, self.a, cells, out=self.a)

    def piece(self, steps: float = 0.0) -> Array:
        first: Array = np.argmax([after_complex_step(cells, steps) for cells in self.cells], axis=0)
        return first

    def evaluate_pieces(self, piece: Array) -> Operations:
        yield bind(np.copyto, self.first, piece)
        for k, cells in enumerate(self.cells):
            yield bind(np.copyto, self.a, cells, where=piece == k)

    def backward_input(self) -> Operations:
        if self.overlap:
            yield bind(self.downstream.fill, 0)
        for k, cells in enumerate(self.cells_downstream):
            yield bind(np.equal, self.first, k, self.is_greater)
            yield bind(np.multiply, self.upstream, self.is_greater, self.share)
            if self.overlap:
                yield bind(np.add, cells, self.share, cells)
            else:
                yield bind(np.copyto, cells, self.share)
