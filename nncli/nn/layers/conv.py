"""The conv layer: matrix products over its windows, group by group; see `conv_group`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np

from nncli.core.text import count_of, sizes
from nncli.nn.arrays import Array, Operations, Shape, bind
from nncli.nn.layers.base import Placed, ShapeMismatch, Workspace, windows_on
from nncli.nn.layers.conv_group import (
    FilterGroup,
    ReusedBuffers,
    gathers,
    gradient_rows,
    gradient_width,
)
from nncli.nn.layers.weighted import OuterFactors, WeightedLayer, WeightedStep
from nncli.nn.padding import fold, pad, sources, widest
from nncli.nn.windows import Padding, Pair, Windows, patch_numbers, product_width

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True)
class Conv(WeightedLayer):
    """Cross-correlation: the filter's Hadamard product with each window, summed, plus the bias.

    Weights are filters x channels x rows x columns. With `groups`, channels and filters are parted
    into as many groups, in order, and the filters of a group see its channels only: with as many
    groups as channels it is a depthwise convolution. Where `padding_mode` is not zeros, padding
    repeats cells of the image, as PyTorch has it.
    """

    type: ClassVar[str] = "conv"
    distinctive = ("filters", "kernel", "padding", "activation")
    takes_images = True
    has_windows = True
    filters: int = field(kw_only=True)
    kernel: Pair = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: Padding = "valid"
    dilation: Pair = (1, 1)
    groups: int = 1
    padding_mode: str = "zeros"

    def windows(self, input_shape: Shape) -> Windows:
        how = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return windows_on(self.type, input_shape, self.kernel, "kernel", **how)

    def output_shape(self, input_shape: Shape) -> Shape:
        windows = self.windows(input_shape)
        for axis, lines in zip(windows, ("rows", "columns"), strict=True):
            limit, width = widest(self.padding_mode, axis.size), max(axis.before, axis.after)
            if limit is not None and width > limit:
                raise ShapeMismatch(
                    f"padding_mode {self.padding_mode} can pad an image of {sizes(input_shape[1:])}"
                    f" by at most {limit} {lines} on a side, not by {width}",
                    "padding",
                )
        for count, noun, where in (
            (input_shape[0], "channel", " of its input"),
            (self.filters, "filter", ""),
        ):
            if count % self.groups:
                raise ShapeMismatch(
                    f"the {count_of(count, noun)}{where} cannot be parted into {self.groups} equal "
                    "groups",
                    "groups",
                )
        return (self.filters, *windows.output_shape)

    def weight_shape(self, input_shape: Shape) -> Shape:
        return (self.filters, input_shape[0] // self.groups, *self.kernel)

    def parted(self, count: int) -> list[slice]:
        """So many channels, or filters, as a slice for each group."""
        each = count // self.groups
        return [slice(first, first + each) for first in range(0, count, each)]

    def repeats(self, windows: Windows) -> bool:
        """Whether there is padding that repeats cells of the image."""
        return windows.is_padded and self.padding_mode != "zeros"

    def channels_of(self, filter: int, channels: int) -> slice:
        """Which of so many channels a filter sees."""
        return self.parted(channels)[filter * self.groups // self.filters]

    def padded(self, input: Array) -> Array:
        """Images with their padding, samples first."""
        return pad(input, self.windows(input.shape[1:]), self.padding_mode)

    def patches(self, input: Array, group: int = 0) -> Array:
        """The windows on images, samples first, as the columns of a matrix.

        (channels · rows · columns of the filter) x windows, of the channels that a group of filters
        sees. Windows run over the samples, then the output's rows, then its columns.
        """
        windows = self.windows(input.shape[1:])
        channels = np.moveaxis(self.padded(input), 0, 1)[self.parted(input.shape[1])[group]]
        rows = [
            image[:, windows.rows.tap(i), windows.columns.tap(j)].ravel()
            for image in channels
            for i, j in np.ndindex(self.kernel)
        ]
        return np.array(rows)

    def outer_factors(self, input: Array, delta: Array) -> list[OuterFactors]:
        deltas = np.moveaxis(delta, 1, 0).reshape(self.filters, -1)
        of_groups = [deltas[filters].T for filters in self.parted(self.filters)]
        return [
            OuterFactors(of_group, self.patches(input, group).T, of_group)
            for group, of_group in enumerate(of_groups)
        ]

    def multiply_adds(self, input_shape: Shape) -> int:
        outputs = prod(self.windows(input_shape).output_shape)
        return prod(self.weight_shape(input_shape)) * outputs

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        windows = self.windows(input_shape)
        channels, filters = input_shape[0] // self.groups, self.filters // self.groups
        padded = input_shape[0] * prod(windows.padded_shape) * n
        weights = prod(self.weight_shape(input_shape)) // self.groups
        taps = weights // filters
        outputs = prod(windows.output_shape) * n
        numbers = 4 * self.filters * outputs + padded * windows.is_padded
        is_repeated = self.repeats(windows)
        if is_repeated:
            numbers += input_shape[0] * windows.rows.padded * windows.columns.size * n
            windows = windows.on_padded()
        for width in (product_width(weights), gradient_width(taps)):
            numbers += patch_numbers(windows, channels, n, width)
        numbers += (gradient_rows(windows, weights) + 3) * weights
        if gathers(windows, channels, filters):
            flipped = windows.transposed()
            numbers += padded if is_repeated else prod(input_shape) * n
            numbers += filters * prod(flipped.padded_shape) * n
            numbers += patch_numbers(flipped, filters, n, product_width(weights)) + weights
        else:
            numbers += padded + taps * outputs
        return numbers

    def settings(self) -> Mapping[str, object]:
        keys = ("kernel", "stride", "padding", "dilation", "groups", "padding_mode")
        return {**{key: getattr(self, key) for key in keys}, **super().settings()}

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "ConvStep":
        return ConvStep(placed, input, workspace)


class ConvStep(WeightedStep):
    """z = W ⋆ input + b, group by group.

    Attributes:
        groups: of filters; they use the same buffers one after the other.
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input, workspace)
        conv = placed.layer
        assert isinstance(conv, Conv)
        dtype, filters, channels = self.z.dtype, len(self.weight), len(self.input)
        self.windows = conv.windows(placed.input_shape)
        padded_shape = (channels, *self.windows.padded_shape, self.input.shape[-1])
        self.padded = self.zeros(padded_shape, dtype) if self.windows.is_padded else self.input
        self.delta_matrix = self.delta.reshape(filters, -1)
        self.mode = conv.padding_mode if conv.repeats(self.windows) else "zeros"
        windows = self.windows if self.mode == "zeros" else self.windows.on_padded()
        is_gathered = gathers(windows, channels // conv.groups, filters // conv.groups)
        is_cut = is_gathered and self.mode == "zeros"
        downstream = self.zeros(self.input.shape if is_cut else padded_shape, dtype)
        self.downstream = downstream if is_cut else self.windows.interior(downstream)
        self.padded_downstream = downstream
        if self.mode != "zeros":
            size, samples = self.windows.columns.size, self.input.shape[-1]
            self.padded_rows = self.zeros(
                (channels, self.windows.rows.padded, size, samples), dtype
            )
        buffers = ReusedBuffers(self.zeros)
        self.groups = []
        self.filters = conv.parted(filters)
        for seen, own in zip(conv.parted(channels), self.filters, strict=True):
            buffers.restart()
            arrays = (self.padded[seen], self.weight[own], self.z[own], self.delta[own])
            group = FilterGroup(windows, *arrays, downstream[seen], buffers.zeros)
            self.groups.append(group)

    def forward(self) -> Operations:
        yield from self._pad()
        for group in self.groups:
            yield from group.forward()
        if self.bias is not None:
            yield bind(np.add, self.z, self.bias[:, None, None, None], self.z)
        yield from self.activate()

    def _pad(self) -> Operations:
        if self.mode != "zeros":
            rows, columns = (sources(axis, self.mode) for axis in self.windows)
            # Modes other than `raise` spare np.take a copy of what it writes.
            yield bind(np.take, self.input, rows, axis=1, out=self.padded_rows, mode="clip")
            yield bind(np.take, self.padded_rows, columns, axis=2, out=self.padded, mode="clip")
        elif self.padded is not self.input:
            yield bind(np.copyto, self.windows.interior(self.padded), self.input)

    def backward(self) -> Operations:
        for group, own in zip(self.groups, self.filters, strict=True):
            yield from group.backward(self.gradients["weight"][own], self.one_over_n)
        if self.bias is not None:
            gradient = self.gradients["bias"]
            yield bind(np.add.reduce, self.delta_matrix, axis=1, out=gradient)
            yield bind(np.multiply, gradient, self.one_over_n, gradient)

    def contributions(self, key: str, index: tuple[int, ...]) -> Array:
        # A filter's gradient sums over all its windows.
        delta = np.abs(self.delta[index[0]])
        parts: Array = delta.reshape(-1, delta.shape[-1]).max(axis=0)
        return parts

    def backward_input(self) -> Operations:
        for group in self.groups:
            yield from group.backward_input()
        if self.mode != "zeros":
            yield from fold(self.padded_downstream, self.windows, self.mode, 1)
