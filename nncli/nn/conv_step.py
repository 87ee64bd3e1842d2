"""What a conv layer does in a step: matrix products over its windows, block by block.

Gathering the windows again on the way back is cheaper than keeping them.
"""

from math import prod
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Calls, Shape, call
from nncli.nn.layer_steps import LearnerStep
from nncli.nn.layers import Conv
from nncli.nn.patches import BLOCK, blocks, products
from nncli.nn.windows import Windows

# Windows of a block, at least, for the gradient: each block's product is added to those before.
LONG_SUM = 1024


def collects(windows: Windows, channels: int, filters: int) -> bool:
    """Whether to collect moves fewer numbers than to spread, which reads two to write one."""
    rows, columns = windows.rows, windows.columns
    if not (rows.turns and columns.turns):
        return False
    return filters * rows.size * columns.size < 2 * channels * rows.outputs * columns.outputs


def gradient_room(weight: Shape, windows: int) -> int:
    """How many numbers the windows of a block take when the gradient is computed.

    weight: filters x channels x rows x columns. windows: of all samples.
    """
    filters, taps = weight[0], prod(weight[1:])
    return min(windows * taps, max(BLOCK // filters, LONG_SUM * taps))


class Spread:
    """∂C_x/∂input, each window adding its share to its cells."""

    def __init__(self, windows: Windows, weight: Array, delta: Array, padded: Array) -> None:
        dtype = delta.dtype
        self.delta_matrix = delta.reshape(len(delta), -1)
        self.weight_matrix = weight.reshape(len(weight), -1)
        shares = np.zeros((*weight.shape[1:], *delta.shape[1:]), dtype)
        self.share_matrix = shares.reshape(self.weight_matrix.shape[1], -1)
        self.padded = np.zeros(padded.shape, dtype)
        self.downstream = windows.interior(self.padded)
        self.taps = [(cells, shares[:, i, j]) for i, j, cells in windows.taps(self.padded)]

    def send(self) -> Calls:
        yield call(np.matmul, self.weight_matrix.T, self.delta_matrix, self.share_matrix)
        yield call(self.padded.fill, 0)
        for cells, share in self.taps:
            yield call(np.add, cells, share, cells)


class Collect:
    """∂C_x/∂input, each cell gathering from the windows over it: δ ⋆ the filters turned round."""

    def __init__(self, windows: Windows, weight: Array, delta: Array, padded: Array) -> None:
        dtype, back = delta.dtype, windows.turned()
        filters, channels = weight.shape[:2]
        self.delta = delta
        self.padded = np.zeros((filters, *back.padded_shape, delta.shape[-1]), dtype)
        self.interior = back.interior(self.padded)
        self.turned_weight = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
        self.weight = np.zeros(self.turned_weight.shape, dtype)
        self.weight_matrix = self.weight.reshape(channels, -1)
        self.blocks = blocks(back, self.padded, channels)
        self.downstream = np.zeros((channels, *back.output_shape, delta.shape[-1]), dtype)
        self.downstream_matrix = self.downstream.reshape(channels, -1)

    def send(self) -> Calls:
        yield call(np.copyto, self.weight, self.turned_weight)
        yield call(np.copyto, self.interior, self.delta)
        yield from products(self.weight_matrix, self.blocks, self.downstream_matrix)


class ConvStep(LearnerStep):
    """z = W ⋆ input + b, as products with the filters as rows.

    δ flows back in one of two ways, whichever moves fewer numbers: spread, where each window takes
    its share and adds it to the cells it came from; or collected, where each cell gathers what the
    windows over it send, a correlation with the filters turned round.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self.placed.layer, Conv)
        dtype, filters = self.z.dtype, len(self.weight)
        samples = self.input.shape[-1]
        self.windows = self.placed.layer.windows(self.placed.input_shape)
        padded_shape = (len(self.input), *self.windows.padded_shape, samples)
        self.padded = np.zeros(padded_shape, dtype) if self.windows.is_padded else self.input
        self.interior = self.windows.interior(self.padded)
        self.weight_matrix = self.weight.reshape(filters, -1)
        self.blocks = blocks(self.windows, self.padded, filters)
        room = np.zeros(gradient_room(self.weight.shape, self.z[0].size), dtype)
        self.gradient_blocks = blocks(self.windows, self.padded, filters, room=room)
        self.z_matrix, self.delta_matrix = (q.reshape(filters, -1) for q in (self.z, self.delta))
        self.weight_gradient_t = np.zeros(self.weight_matrix.T.shape, dtype)
        self.block_gradient_t = np.zeros_like(self.weight_gradient_t)
        way_down = Collect if collects(self.windows, len(self.input), filters) else Spread
        self.way_down = way_down(self.windows, self.weight, self.delta, self.padded)
        self.downstream = self.way_down.downstream

    def forward(self) -> Calls:
        if self.padded is not self.input:
            yield call(np.copyto, self.interior, self.input)
        yield from products(self.weight_matrix, self.blocks, self.z_matrix)
        if self.bias is not None:
            yield call(np.add, self.z, self.bias[:, None, None, None], self.z)
        yield from self.activate()

    def backward(self) -> Calls:
        # The windows as rows and δ as columns: OpenBLAS takes up to half as long again the other
        # way about, with few filters on the left of a long sum.
        total, part = self.weight_gradient_t, self.block_gradient_t
        yield call(total.fill, 0)
        for patches, cells, matrix, outputs in self.gradient_blocks:
            yield call(np.copyto, patches, cells)
            yield call(np.matmul, matrix, self.delta_matrix[:, outputs].T, part)
            yield call(np.add, total, part, total)
        gradient = self.gradients["weight"].reshape(self.weight_matrix.shape)
        yield call(np.multiply, total.T, self.one_over_n, gradient)
        if self.bias is not None:
            gradient = self.gradients["bias"]
            yield call(np.add.reduce, self.delta_matrix, axis=1, out=gradient)
            yield call(np.multiply, gradient, self.one_over_n, gradient)

    def send_down(self) -> Calls:
        return self.way_down.send()
