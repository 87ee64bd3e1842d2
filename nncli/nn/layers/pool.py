"""Pool layers: one number for each window of each channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, prod
from typing import ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape, after_complex_step, bind, constant, execute
from nncli.nn.layers.base import Layer, LayerStep, Placed, ShapeMismatch, Workspace, windows_on
from nncli.nn.windows import Padding, Pair, Windows


class Pool(Layer):
    """One number for each window of each channel.

    Attributes:
        is_mean: whether it is the mean of its cells, else it is the largest.
        fill: what padding is.
    """

    is_mean: ClassVar[bool]
    fill: ClassVar[float] = 0

    takes_images = True
    has_windows = True
    attenuates = "pooling"

    def windows(self, input_shape: Shape) -> Windows:
        """Its windows; what they reach beyond the image and its padding is padding after it."""
        raise NotImplementedError

    def counts(self, input_shape: Shape) -> tuple[Array, Array]:
        """How many rows of each window count, and how many columns; all of them without padding."""
        rows, columns = self.windows(input_shape)
        return rows.taps_within(rows.interior), columns.taps_within(columns.interior)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:1], *self.windows(input_shape).output_shape)

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        windows, outputs = self.windows(input_shape), prod(self.output_shape(input_shape))
        padded = input_shape[0] * prod(windows.padded_shape)
        return (3 * outputs + padded * (1 + windows.is_padded)) * n


@dataclass(frozen=True)
class SizedPool(Pool):
    """A pool with windows of one size. `stride` None means: windows side by side.

    With `ceil_mode` there is one more window where a part of the image or of the padding before it
    would be left over, which reaches beyond the padding.
    """

    size: Pair
    stride: Pair | None = None
    padding: Padding = "valid"
    ceil_mode: bool = False

    distinctive = ("size",)

    def windows(self, input_shape: Shape) -> Windows:
        windows = self.padded_windows(input_shape, ceil_mode=self.ceil_mode)
        for axis in windows:
            if axis.taps_within(axis.interior).min() < 1:
                raise ShapeMismatch("a window would lie on padding alone", "padding")
        return windows

    def padded_windows(self, input_shape: Shape, *, ceil_mode: bool = False) -> Windows:
        """The windows on the image with its padding alone, or in ceil_mode those beyond it too."""
        how = {"stride": self.stride or self.size, "padding": self.padding, **self._more()}
        return windows_on(self.type, input_shape, self.size, "size", ceil_mode=ceil_mode, **how)

    def _more(self) -> dict[str, Pair]:
        return {}

    def settings(self) -> Mapping[str, object]:
        return {
            "size": self.size,
            "stride": self.stride or self.size,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
        }


@dataclass(frozen=True)
class MaxPool(SizedPool):
    """The maximum of each window; padding is −∞, which is never the largest."""

    type: ClassVar[str] = "maxpool"
    is_mean = False
    fill = -inf
    has_kinks = True
    dilation: Pair = (1, 1)

    def _more(self) -> dict[str, Pair]:
        return {"dilation": self.dilation}

    def settings(self) -> Mapping[str, object]:
        return {**super().settings(), "dilation": self.dilation}

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "MaxPoolStep":
        return MaxPoolStep(placed, input, workspace)


@dataclass(frozen=True)
class AvgPool(SizedPool):
    """The mean of each window; padding is zeros that count, or with `count_include_pad` False not.

    What a window of ceil_mode has beyond the padding never counts.
    """

    type: ClassVar[str] = "avgpool"
    is_mean = True
    count_include_pad: bool = True

    def counts(self, input_shape: Shape) -> tuple[Array, Array]:
        if not self.count_include_pad:
            return super().counts(input_shape)
        rows, columns = (
            axis.taps_within(slice(0, padded.padded))
            for axis, padded in zip(
                self.windows(input_shape), self.padded_windows(input_shape), strict=True
            )
        )
        return rows, columns

    def settings(self) -> Mapping[str, object]:
        return {**super().settings(), "count_include_pad": self.count_include_pad}

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "AvgPoolStep":
        return AvgPoolStep(placed, input, workspace)


class PoolStep(LayerStep):
    """`downstream` is 0 where there is no window.

    Where windows do not overlap, which is the default, each cell is written by one of them: that
    takes a third of the time.
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input)
        pool = placed.layer
        assert isinstance(pool, Pool)
        windows = pool.windows(placed.input_shape)
        self.overlap, self.zeros = windows.overlap, workspace.zeros
        self.a = self.zeros((*placed.output_shape, input.shape[-1]), input.dtype)
        self.share = self.zeros(self.a.shape, input.dtype)
        padded_shape = (len(input), *windows.padded_shape, input.shape[-1])
        self.padded = self.zeros(padded_shape, input.dtype) if windows.is_padded else input
        if windows.is_padded:
            self.padded[...] = pool.fill
        self.interior = windows.interior(self.padded)
        self.padded_downstream = self.zeros(padded_shape, input.dtype)
        self.downstream = windows.interior(self.padded_downstream)
        self.cells = [cells for _, _, cells in windows.taps(self.padded)]
        self.cells_downstream = [cells for _, _, cells in windows.taps(self.padded_downstream)]

    def pad(self) -> Operations:
        """Puts the input into its padding, where there is any."""
        if self.padded is not self.input:
            yield bind(np.copyto, self.interior, self.input)


class AvgPoolStep(PoolStep):
    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input, workspace)
        assert isinstance(placed.layer, Pool)
        rows, columns = placed.layer.counts(placed.input_shape)
        self.one_over_size = constant(1 / len(self.cells), self.a.dtype)
        if self.padded is not input:
            counts = rows[:, None, None] * columns[:, None]
            self.one_over_size = (1 / counts).astype(self.a.dtype)

    def forward(self) -> Operations:
        yield from self.pad()
        yield bind(np.copyto, self.a, self.cells[0])
        for cells in self.cells[1:]:
            yield bind(np.add, self.a, cells, self.a)
        yield bind(np.multiply, self.a, self.one_over_size, self.a)

    def backward_input(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.one_over_size, self.share)
        if self.overlap:
            yield bind(self.padded_downstream.fill, 0)
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
        yield from self.pad()
        yield bind(np.copyto, self.a, self.cells[0])
        yield bind(self.first.fill, 0)
        for k, cells in enumerate(self.cells[1:], 1):
            yield bind(np.greater, cells, self.a, self.is_greater)
            yield bind(np.copyto, self.first, k, where=self.is_greater)
            yield bind(np.maximum, self.a, cells, out=self.a)

    def piece(self, steps: float = 0.0) -> Array:
        execute(self.pad())  # the input may have been set without a step forward
        first: Array = np.argmax([after_complex_step(cells, steps) for cells in self.cells], axis=0)
        return first

    def evaluate_pieces(self, piece: Array) -> Operations:
        yield bind(np.copyto, self.first, piece)
        for k, cells in enumerate(self.cells):
            yield bind(np.copyto, self.a, cells, where=piece == k)

    def backward_input(self) -> Operations:
        if self.overlap:
            yield bind(self.padded_downstream.fill, 0)
        for k, cells in enumerate(self.cells_downstream):
            yield bind(np.equal, self.first, k, self.is_greater)
            yield bind(np.multiply, self.upstream, self.is_greater, self.share)
            if self.overlap:
                yield bind(np.add, cells, self.share, cells)
            else:
                yield bind(np.copyto, cells, self.share)


@dataclass(frozen=True)
class GlobalAvgPool(Pool):
    """The mean of each channel: one window, which is the image."""

    type: ClassVar[str] = "global_avgpool"
    is_mean = True

    def windows(self, input_shape: Shape) -> Windows:
        return windows_on(self.type, input_shape, input_shape[1:], "size")  # type: ignore[arg-type]

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "GlobalAvgPoolStep":
        return GlobalAvgPoolStep(placed, input, workspace)


class GlobalAvgPoolStep(LayerStep):
    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input)
        self.a = workspace.zeros((*placed.output_shape, input.shape[-1]), input.dtype)
        self.share = workspace.zeros(self.a.shape, input.dtype)
        self.downstream = workspace.zeros(input.shape, input.dtype)
        self.one_over_size = constant(1 / prod(placed.input_shape[1:]), input.dtype)

    def forward(self) -> Operations:
        yield bind(np.add.reduce, self.input, axis=(1, 2), keepdims=True, out=self.a)
        yield bind(np.multiply, self.a, self.one_over_size, self.a)

    def backward_input(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.one_over_size, self.share)
        yield bind(np.copyto, self.downstream, self.share)
