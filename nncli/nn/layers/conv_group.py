"""The products of a group of filters with the channels that they see: a layer's part, or all of it.

The windows are copied into patches (im2col) once more in the backward pass: cheaper than keeping
them.
"""

from functools import partial
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape, Zeros, bind
from nncli.nn.windows import (
    PATCH_NUMBERS,
    Windows,
    blocks,
    chunks,
    correlation,
    product_width,
    single_column_as_row,
)

# Numbers in the gradients of several output rows, a product each, before they are added up.
PARTIAL = 1 << 17
# Windows of a product for the gradient, at least: what it gives is added to what others gave.
LONG_SUM = 256


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


class ReusedBuffers:
    """Makes arrays for the first group; the next ones, which are as large, are given the same."""

    def __init__(self, zeros: Zeros) -> None:
        self._make = zeros
        self._made: list[Array] = []
        self._given = 0

    def restart(self) -> None:
        """The next array is the first again."""
        self._given = 0

    def zeros(self, shape: Shape | int, dtype: Any = float) -> Array:
        if self._given == len(self._made):
            self._made.append(self._make(shape, dtype))
        self._given += 1
        return self._made[self._given - 1]


class ScatterInputGradient:
    """∂C_x/∂input as a scatter-add: each window adds δ times the filter to its own cells.

    Args:
        downstream: ∂C_x/∂(padded image), written.
    """

    def __init__(
        self, windows: Windows, weight: Array, delta: Array, downstream: Array, zeros: Zeros
    ) -> None:
        self.delta_matrix = delta.reshape(len(delta), -1)
        self.weight_matrix = weight.reshape(len(weight), -1)
        products = zeros((*weight.shape[1:], *delta.shape[1:]), delta.dtype)
        self.product_matrix = products.reshape(self.weight_matrix.shape[1], -1)
        self.downstream = downstream
        self.taps = [(cells, products[:, i, j]) for i, j, cells in windows.taps(downstream)]

    def rule(self) -> Operations:
        yield bind(np.matmul, self.weight_matrix.T, self.delta_matrix, self.product_matrix)
        yield bind(self.downstream.fill, 0)
        for cells, product in self.taps:
            yield bind(np.add, cells, product, cells)


class GatherInputGradient:
    """∂C_x/∂input as a transposed convolution: δ correlated with the filters turned by 180°.

    Args:
        downstream: ∂C_x/∂input, written.
    """

    def __init__(
        self, windows: Windows, weight: Array, delta: Array, downstream: Array, zeros: Zeros
    ) -> None:
        dtype, transposed = delta.dtype, windows.transposed()
        filters, channels = weight.shape[:2]
        self.delta, self.downstream = delta, downstream
        padded = zeros((filters, *transposed.padded_shape, delta.shape[-1]), dtype)
        self.interior = transposed.interior(padded)
        self.turned_weight = channels_last(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
        self.weight = zeros(self.turned_weight.shape, dtype)
        self.weight_matrix = self.weight.reshape(channels, -1)
        buffer = partial(zeros, dtype=dtype)
        self.blocks = blocks(transposed, padded, product_width(weight.size), buffer=buffer)

    def rule(self) -> Operations:
        yield bind(np.copyto, self.weight, self.turned_weight)
        yield bind(np.copyto, self.interior, self.delta)
        yield from correlation(self.weight_matrix, self.blocks, self.downstream)


class FilterGroup:
    """z = W ⋆ input as products with the filters as rows, and ∂C/∂W and ∂C_x/∂input of them.

    Args:
        padded: the channels that the filters see, with their padding.
        weight, z, delta: the filters' own.
        downstream: of these channels, written by `backward_input`: ∂C_x/∂input where it is
            gathered, else ∂C_x/∂(padded image).
    """

    def __init__(
        self,
        windows: Windows,
        padded: Array,
        weight: Array,
        z: Array,
        delta: Array,
        downstream: Array,
        zeros: Zeros,
    ) -> None:
        dtype, filters = z.dtype, len(weight)
        self.weight, self.z, self.delta = weight, z, delta
        self.weight_channels_last = zeros(channels_last(weight).shape, dtype)
        self.weight_matrix = self.weight_channels_last.reshape(filters, -1)
        buffer = partial(zeros, dtype=dtype)
        self.blocks = blocks(windows, padded, product_width(weight.size), buffer=buffer)
        taps = weight[0].size
        width = gradient_width(taps)
        self.gradient_blocks = blocks(windows, padded, width, buffer=buffer)
        rows = gradient_rows(windows, weight.size)
        self.row_gradients = zeros((rows, taps, filters), dtype)
        self.part, self.total = (zeros((taps, filters), dtype) for _ in range(2))
        is_gathered = gathers(windows, len(padded), filters)
        kind = GatherInputGradient if is_gathered else ScatterInputGradient
        self.input_gradient = kind(windows, weight, delta, downstream, zeros)

    def forward(self) -> Operations:
        yield bind(np.copyto, self.weight_channels_last, channels_last(self.weight))
        yield from correlation(self.weight_matrix, self.blocks, self.z)

    def backward(self, gradient: Array, one_over_n: Array) -> Operations:
        """Fills `gradient`, ∂C/∂W of these filters."""
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
        last = channels_last(gradient)
        yield bind(np.multiply, total.T.reshape(last.shape), one_over_n, last)

    def backward_input(self) -> Operations:
        return self.input_gradient.rule()
