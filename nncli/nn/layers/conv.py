"""The conv layer: matrix products over its windows, block by block.

The windows are copied into patches (im2col) once more in the backward pass: cheaper than keeping
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape, Zeros, bind
from nncli.nn.layers.base import Placed, Workspace, windows_on
from nncli.nn.layers.weighted import OuterFactors, WeightedLayer, WeightedStep
from nncli.nn.windows import (
    PATCH_NUMBERS,
    Padding,
    Pair,
    Windows,
    blocks,
    chunks,
    correlation,
    patch_numbers,
    product_width,
    single_column_as_row,
)

# Numbers in the gradients of several output rows, a product each, before they are added up.
PARTIAL = 1 << 17
# Windows of a product for the gradient, at least: what it gives is added to what others gave.
LONG_SUM = 256


@dataclass(frozen=True)
class Conv(WeightedLayer):
    """Cross-correlation: the filter's Hadamard product with each window, summed, plus the bias.

    Weights are filters x channels x rows x columns.
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

    def windows(self, input_shape: Shape) -> Windows:
        how = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return windows_on(self.type, input_shape, self.kernel, "kernel", **how)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (self.filters, *self.windows(input_shape).output_shape)

    def weight_shape(self, input_shape: Shape) -> Shape:
        return (self.filters, input_shape[0], *self.kernel)

    def padded(self, input: Array) -> Array:
        """Images with their padding, samples first."""
        windows = self.windows(input.shape[1:])
        padded = np.zeros((*input.shape[:2], *windows.padded_shape), input.dtype)
        padded[:, :, windows.rows.interior, windows.columns.interior] = input
        return padded

    def patches(self, input: Array) -> Array:
        """The windows on images, samples first, as the columns of a matrix.

        (channels · rows · columns of the filter) x windows. Windows run over the samples, then the
        output's rows, then its columns.
        """
        windows = self.windows(input.shape[1:])
        channels = np.moveaxis(self.padded(input), 0, 1)
        rows = [
            image[:, windows.rows.tap(i), windows.columns.tap(j)].ravel()
            for image in channels
            for i, j in np.ndindex(self.kernel)
        ]
        return np.array(rows)

    def outer_factors(self, input: Array, delta: Array) -> OuterFactors:
        deltas = np.moveaxis(delta, 1, 0).reshape(self.filters, -1).T
        return OuterFactors(deltas, self.patches(input).T, deltas)

    def multiply_adds(self, input_shape: Shape) -> int:
        outputs = prod(self.windows(input_shape).output_shape)
        return prod(self.weight_shape(input_shape)) * outputs

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        windows, channels = self.windows(input_shape), input_shape[0]
        padded = channels * prod(windows.padded_shape) * n
        weights = prod(self.weight_shape(input_shape))
        taps = weights // self.filters
        outputs = prod(windows.output_shape) * n
        numbers = 4 * self.filters * outputs + padded * windows.is_padded
        for width in (product_width(weights), gradient_width(taps)):
            numbers += patch_numbers(windows, channels, n, width)
        numbers += (gradient_rows(windows, weights) + 3) * weights
        if gathers(windows, channels, self.filters):
            flipped = windows.transposed()
            numbers += (prod(input_shape) + self.filters * prod(flipped.padded_shape)) * n
            numbers += patch_numbers(flipped, self.filters, n, product_width(weights)) + weights
        else:
            numbers += padded + taps * outputs
        return numbers

    def settings(self) -> Mapping[str, object]:
        keys = ("kernel", "stride", "padding", "dilation")
        return {**{key: getattr(self, key) for key in keys}, **super().settings()}

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "ConvStep":
        return ConvStep(placed, input, workspace)


def gathers(windows: Windows, channels: int, filters: int) -> bool:
    """Whether `GatherInputGradient` is the likely faster of the two ways to ∂C_x/∂input.

    It lays out filters x image numbers; `ScatterInputGradient` adds up channels x outputs, at about
    three times the cost of each.
    """
    rows, columns = windows.rows, windows.columns
    if not (rows.is_transposable and columns.is_transposable):
        return False
    return filters * rows.size * columns.size < 3 * channels * rows.outputs * columns.outputs


def gradient_width(taps: int) -> int:
    """How many windows a product for the gradient takes."""
    # Half the patches of a block, copied one by one: a block has twice the lines of a window.
    return max(LONG_SUM, PATCH_NUMBERS // taps // 2)


def gradient_rows(windows: Windows, weights: int) -> int:
    """Of how many output rows there are gradients at a time."""
    return min(single_column_as_row(windows).rows.outputs, max(1, PARTIAL // weights))


def channels_last(weight: Array) -> Array:
    """Filters (filters x channels x rows x columns) in the order of patches, a view."""
    return weight.transpose(0, 2, 3, 1)


class ScatterInputGradient:
    """∂C_x/∂input as a scatter-add: each window adds δ times the filter to its own cells."""

    def __init__(
        self, windows: Windows, weight: Array, delta: Array, padded: Array, zeros: Zeros
    ) -> None:
        dtype = delta.dtype
        self.delta_matrix = delta.reshape(len(delta), -1)
        self.weight_matrix = weight.reshape(len(weight), -1)
        products = zeros((*weight.shape[1:], *delta.shape[1:]), dtype)
        self.product_matrix = products.reshape(self.weight_matrix.shape[1], -1)
        self.padded = zeros(padded.shape, dtype)
        self.downstream = windows.interior(self.padded)
        self.taps = [(cells, products[:, i, j]) for i, j, cells in windows.taps(self.padded)]

    def rule(self) -> Operations:
        yield bind(np.matmul, self.weight_matrix.T, self.delta_matrix, self.product_matrix)
        yield bind(self.padded.fill, 0)
        for cells, product in self.taps:
            yield bind(np.add, cells, product, cells)


class GatherInputGradient:
    """∂C_x/∂input as a transposed convolution: δ correlated with the filters turned by 180°."""

    def __init__(
        self, windows: Windows, weight: Array, delta: Array, padded: Array, zeros: Zeros
    ) -> None:
        dtype, transposed = delta.dtype, windows.transposed()
        filters, channels = weight.shape[:2]
        self.delta = delta
        self.padded = zeros((filters, *transposed.padded_shape, delta.shape[-1]), dtype)
        self.interior = transposed.interior(self.padded)
        self.turned_weight = channels_last(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
        self.weight = zeros(self.turned_weight.shape, dtype)
        self.weight_matrix = self.weight.reshape(channels, -1)
        buffer = partial(zeros, dtype=dtype)
        self.blocks = blocks(transposed, self.padded, product_width(weight.size), buffer=buffer)
        self.downstream = zeros((channels, *transposed.output_shape, delta.shape[-1]), dtype)

    def rule(self) -> Operations:
        yield bind(np.copyto, self.weight, self.turned_weight)
        yield bind(np.copyto, self.interior, self.delta)
        yield from correlation(self.weight_matrix, self.blocks, self.downstream)


class ConvStep(WeightedStep):
    """z = W ⋆ input + b, as products with the filters as rows.

    ∂C_x/∂input is gathered or scattered, see `gathers`.
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input, workspace)
        assert isinstance(placed.layer, Conv)
        dtype, filters = self.z.dtype, len(self.weight)
        samples = self.input.shape[-1]
        self.windows = placed.layer.windows(placed.input_shape)
        padded_shape = (len(self.input), *self.windows.padded_shape, samples)
        self.padded = self.zeros(padded_shape, dtype) if self.windows.is_padded else self.input
        self.interior = self.windows.interior(self.padded)
        self.weight_channels_last = self.zeros(channels_last(self.weight).shape, dtype)
        self.weight_matrix = self.weight_channels_last.reshape(filters, -1)
        buffer = partial(self.zeros, dtype=dtype)
        width = product_width(self.weight.size)
        self.blocks = blocks(self.windows, self.padded, width, buffer=buffer)
        taps = self.weight[0].size
        width = gradient_width(taps)
        self.gradient_blocks = blocks(self.windows, self.padded, width, buffer=buffer)
        rows = gradient_rows(self.windows, self.weight.size)
        self.row_gradients = self.zeros((rows, taps, filters), dtype)
        self.part, self.total = (self.zeros((taps, filters), dtype) for _ in range(2))
        self.delta_matrix = self.delta.reshape(filters, -1)
        is_gathered = gathers(self.windows, len(self.input), filters)
        kind = GatherInputGradient if is_gathered else ScatterInputGradient
        self.input_gradient = kind(self.windows, self.weight, self.delta, self.padded, self.zeros)
        self.downstream = self.input_gradient.downstream

    def forward(self) -> Operations:
        if self.padded is not self.input:
            yield bind(np.copyto, self.interior, self.input)
        yield bind(np.copyto, self.weight_channels_last, channels_last(self.weight))
        yield from correlation(self.weight_matrix, self.blocks, self.z)
        if self.bias is not None:
            yield bind(np.add, self.z, self.bias[:, None, None, None], self.z)
        yield from self.activate()

    def backward(self) -> Operations:
        # The windows as rows and δ as columns: OpenBLAS takes up to twice as long the other way
        # about, with few filters on the left of a long sum.
        total, part = self.total, self.part
        yield bind(total.fill, 0)
        for block in self.gradient_blocks:
            yield bind(np.copyto, block.patches, block.cells)
            delta = block.matrices(self.delta).swapaxes(1, 2)
            for rows in chunks(len(delta), len(self.row_gradients)):
                each = self.row_gradients[: len(delta[rows])]
                yield bind(np.matmul, block.windows[rows], delta[rows], each)
                yield bind(np.add.reduce, each, axis=0, out=part)
                yield bind(np.add, total, part, total)
        gradient = channels_last(self.gradients["weight"])
        yield bind(np.multiply, total.T.reshape(gradient.shape), self.one_over_n, gradient)
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
        return self.input_gradient.rule()
