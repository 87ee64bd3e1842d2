"""What a conv layer does in a step: matrix products over its windows, block by block.

Gathering the windows again on the way back is cheaper than keeping them.
"""

from functools import partial
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Operations, Zeros, bind
from nncli.nn.layers.base import Conv
from nncli.nn.layers.steps import LearnerStep
from nncli.nn.patches import ROOM, blocks, lying, product_width, products, stretches
from nncli.nn.windows import Windows

# Numbers in the gradients of several output rows, a product each, before they are added up.
PARTIAL = 1 << 17
# Windows of a product for the gradient, at least: what it gives is added to what others gave.
LONG_SUM = 256


def collects(windows: Windows, channels: int, filters: int) -> bool:
    """Whether to collect is the likely faster of a conv layer's two ways back.

    Collecting lays out filters x image numbers, spreading adds up channels x outputs, at about
    three times the cost of each.
    """
    rows, columns = windows.rows, windows.columns
    if not (rows.turns and columns.turns):
        return False
    return filters * rows.size * columns.size < 3 * channels * rows.outputs * columns.outputs


def gradient_width(taps: int) -> int:
    """How many windows a product for the gradient takes."""
    # Half a room laid out one by one: then a block has twice the lines that a window covers.
    return max(LONG_SUM, ROOM // taps // 2)


def gradient_rows(windows: Windows, weights: int) -> int:
    """Of how many output rows there are gradients at a time."""
    return min(lying(windows).rows.outputs, max(1, PARTIAL // weights))


def by_rows(weight: Array) -> Array:
    """Filters (filters x channels x rows x columns) as they meet windows: channels last, a view."""
    return weight.transpose(0, 2, 3, 1)


class Spread:
    """∂C_x/∂input, each window adding its share to its cells."""

    def __init__(
        self, windows: Windows, weight: Array, delta: Array, padded: Array, zeros: Zeros
    ) -> None:
        dtype = delta.dtype
        self.delta_matrix = delta.reshape(len(delta), -1)
        self.weight_matrix = weight.reshape(len(weight), -1)
        shares = zeros((*weight.shape[1:], *delta.shape[1:]), dtype)
        self.share_matrix = shares.reshape(self.weight_matrix.shape[1], -1)
        self.padded = zeros(padded.shape, dtype)
        self.downstream = windows.interior(self.padded)
        self.taps = [(cells, shares[:, i, j]) for i, j, cells in windows.taps(self.padded)]

    def send(self) -> Operations:
        yield bind(np.matmul, self.weight_matrix.T, self.delta_matrix, self.share_matrix)
        yield bind(self.padded.fill, 0)
        for cells, share in self.taps:
            yield bind(np.add, cells, share, cells)


class Collect:
    """∂C_x/∂input, each cell gathering from the windows over it: δ ⋆ the filters turned round."""

    def __init__(
        self, windows: Windows, weight: Array, delta: Array, padded: Array, zeros: Zeros
    ) -> None:
        dtype, back = delta.dtype, windows.turned()
        filters, channels = weight.shape[:2]
        self.delta = delta
        self.padded = zeros((filters, *back.padded_shape, delta.shape[-1]), dtype)
        self.interior = back.interior(self.padded)
        self.turned_weight = by_rows(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
        self.weight = zeros(self.turned_weight.shape, dtype)
        self.weight_matrix = self.weight.reshape(channels, -1)
        self.blocks = blocks(
            back, self.padded, product_width(weight.size), room=partial(zeros, dtype=dtype)
        )
        self.downstream = zeros((channels, *back.output_shape, delta.shape[-1]), dtype)

    def send(self) -> Operations:
        yield bind(np.copyto, self.weight, self.turned_weight)
        yield bind(np.copyto, self.interior, self.delta)
        yield from products(self.weight_matrix, self.blocks, self.downstream)


class ConvStep(LearnerStep):
    """z = W ⋆ input + b, as products with the filters as rows.

    δ flows back in one of two ways, see `collects`: spread, where each window takes its share and
    adds it to the cells it came from; or collected, where each cell gathers what the windows over
    it send, a correlation with the filters turned round.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self.placed.layer, Conv)
        dtype, filters = self.z.dtype, len(self.weight)
        samples = self.input.shape[-1]
        self.windows = self.placed.layer.windows(self.placed.input_shape)
        padded_shape = (len(self.input), *self.windows.padded_shape, samples)
        self.padded = self.zeros(padded_shape, dtype) if self.windows.is_padded else self.input
        self.interior = self.windows.interior(self.padded)
        self.weight_by_rows = self.zeros(by_rows(self.weight).shape, dtype)
        self.weight_matrix = self.weight_by_rows.reshape(filters, -1)
        room = partial(self.zeros, dtype=dtype)
        self.blocks = blocks(self.windows, self.padded, product_width(self.weight.size), room=room)
        taps = self.weight[0].size
        self.gradient_blocks = blocks(self.windows, self.padded, gradient_width(taps), room=room)
        rows = gradient_rows(self.windows, self.weight.size)
        self.row_gradients = self.zeros((rows, taps, filters), dtype)
        self.part, self.total = (self.zeros((taps, filters), dtype) for _ in range(2))
        self.delta_matrix = self.delta.reshape(filters, -1)
        way_down = Collect if collects(self.windows, len(self.input), filters) else Spread
        self.way_down = way_down(self.windows, self.weight, self.delta, self.padded, self.zeros)
        self.downstream = self.way_down.downstream

    def forward(self) -> Operations:
        if self.padded is not self.input:
            yield bind(np.copyto, self.interior, self.input)
        yield bind(np.copyto, self.weight_by_rows, by_rows(self.weight))
        yield from products(self.weight_matrix, self.blocks, self.z)
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
            for rows in stretches(len(delta), len(self.row_gradients)):
                each = self.row_gradients[: len(delta[rows])]
                yield bind(np.matmul, block.windows[rows], delta[rows], each)
                yield bind(np.add.reduce, each, axis=0, out=part)
                yield bind(np.add, total, part, total)
        gradient = by_rows(self.gradients["weight"])
        yield bind(np.multiply, total.T.reshape(gradient.shape), self.one_over_n, gradient)
        if self.bias is not None:
            gradient = self.gradients["bias"]
            yield bind(np.add.reduce, self.delta_matrix, axis=1, out=gradient)
            yield bind(np.multiply, gradient, self.one_over_n, gradient)

    def send_down(self) -> Operations:
        return self.way_down.send()
