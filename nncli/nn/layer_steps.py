"""What one kind of layer does in a step: its arrays, and the rules that fill them."""

from typing import Any

import numpy as np

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, constant
from nncli.nn.layers import Learner, Pool
from nncli.nn.network import Placed


class LayerStep:
    """One layer's part of a step: its arrays, and the rules that fill them.

    `input` is the array the layer below calls `a`, and `upstream` the one the layer above calls
    `downstream`: neighbours share them. A quantity that the layer does not have is None.

    Attributes:
        input, z, a: forward; `a` is the output of a pool or flatten layer too.
        upstream: ∂C_x/∂a.  sigma_prime: σ'(z).  delta: ∂C_x/∂z.  downstream: ∂C_x/∂input.
        parameters, gradients, updates: by key (`weight`, `bias`), views of the flat vectors.
    """

    z: Array | None = None
    sigma_prime: Array | None = None
    delta: Array | None = None
    upstream: Array
    a: Array
    downstream: Array

    def __init__(self, placed: Placed, input: Array) -> None:
        self.placed = placed
        self.name = placed.name
        self.input = input
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.updates: dict[str, Array] = {}

    def forward(self) -> None:
        """Fills z and a from input."""
        raise NotImplementedError

    def bind_upstream(self, upstream: Array) -> None:
        """Says where ∂C_x/∂a will be written; done once, from the last layer to the first."""
        self.upstream = upstream

    def send_down(self) -> None:
        """Fills downstream."""
        raise NotImplementedError


class LearnerStep(LayerStep):
    """A layer with weights, ΔW and an activation.

    `n` is what gradients are divided by: the samples of the whole mini-batch, of which `input` may
    hold a share.
    """

    z: Array
    delta: Array

    def __init__(
        self,
        placed: Placed,
        input: Array,
        dtype: np.dtype[Any],
        n: int,
        views: list[dict[str, Array]],
    ) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Learner)
        self.activation = ACTIVATIONS[placed.layer.activation]
        self.parameters, self.gradients, self.updates = views
        self.n = n
        self.one = constant(1, dtype)
        shape = (*placed.output_shape, input.shape[-1])
        self.z, self.a, self.prime, self.delta = (np.zeros(shape, dtype) for _ in range(4))
        if self.activation.elementwise:
            self.sigma_prime = self.prime
        self.weight = self.parameters["weight"]
        self.bias = self.parameters.get("bias")

    def activate(self) -> None:
        self.activation.rule(self.z, self.a, self.prime, self.one)

    def multiply_hadamard(self) -> None:
        """Fills delta = upstream ⊙ σ'(z)."""
        np.multiply(self.upstream, self.prime, self.delta)

    def backward(self) -> None:
        """Fills the gradients from delta and input."""
        raise NotImplementedError


class DenseStep(LearnerStep):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        dtype = self.z.dtype
        self.downstream = np.zeros(self.input.shape, dtype)
        self.delta_over_n = np.zeros_like(self.delta)
        self.one_over_n = constant(1 / self.n, dtype)
        self.ones = np.ones(self.input.shape[-1], dtype)
        self.delta_over_n_t = self.delta_over_n.T
        self.bias_column = None if self.bias is None else self.bias[:, None]
        self.weight_gradient = self.gradients["weight"]
        self.bias_gradient = self.gradients.get("bias")
        # An array's own `dot` is the shortest way to BLAS: 0.4 µs less a product than np.matmul,
        # where the product itself may take 0.7.
        self.weight_t_dot, self.weight_dot = self.weight.T.dot, self.weight.dot
        self.input_dot, self.delta_over_n_dot = self.input.dot, self.delta_over_n.dot

    def forward(self) -> None:
        self.weight_t_dot(self.input, self.z)
        if self.bias_column is not None:
            np.add(self.z, self.bias_column, self.z)
        self.activate()

    def backward(self) -> None:
        np.multiply(self.delta, self.one_over_n, self.delta_over_n)
        self.input_dot(self.delta_over_n_t, self.weight_gradient)
        if self.bias_gradient is not None:
            self.delta_over_n_dot(self.ones, self.bias_gradient)

    def send_down(self) -> None:
        self.weight_dot(self.delta, self.downstream)


class PoolStep(LayerStep):
    def __init__(self, placed: Placed, input: Array, dtype: np.dtype[Any]) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Pool)
        windows = placed.layer.windows(placed.input_shape)
        self.a = np.zeros((*placed.output_shape, input.shape[-1]), dtype)
        self.share = np.zeros_like(self.a)
        self.downstream = np.zeros(input.shape, dtype)
        self.cells = [cells for _, _, cells in windows.taps(input)]
        self.cells_downstream = [cells for _, _, cells in windows.taps(self.downstream)]


class AvgPoolStep(PoolStep):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.one_over_size = constant(1 / len(self.cells), self.a.dtype)

    def forward(self) -> None:
        np.copyto(self.a, self.cells[0])
        for cells in self.cells[1:]:
            np.add(self.a, cells, self.a)
        np.multiply(self.a, self.one_over_size, self.a)

    def send_down(self) -> None:
        self.downstream.fill(0)
        np.multiply(self.upstream, self.one_over_size, self.share)
        for cells in self.cells_downstream:
            np.add(cells, self.share, cells)


class MaxPoolStep(PoolStep):
    """The first maximum of each window, in reading order, is the one that counts."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_greater = np.zeros(self.a.shape, bool)
        self.first = np.zeros(self.a.shape, np.int32)  # which tap of its window the maximum is

    def forward(self) -> None:
        np.copyto(self.a, self.cells[0])
        self.first.fill(0)
        for k, cells in enumerate(self.cells[1:], 1):
            np.greater(cells, self.a, self.is_greater)
            np.copyto(self.first, k, where=self.is_greater)
            np.maximum(self.a, cells, out=self.a)

    def send_down(self) -> None:
        self.downstream.fill(0)
        for k, cells in enumerate(self.cells_downstream):
            np.equal(self.first, k, self.is_greater)
            np.multiply(self.upstream, self.is_greater, self.share)
            np.add(cells, self.share, cells)


class FlattenStep(LayerStep):
    """Nothing moves: with the samples last, a flattened image is the same memory."""

    def __init__(self, placed: Placed, input: Array) -> None:
        super().__init__(placed, input)
        if input.flags.c_contiguous:
            self.a = input.reshape(*placed.output_shape, -1)
        else:  # the network's input, where a sample is in one piece
            self.a = np.moveaxis(input, -1, 0).reshape(-1, *placed.output_shape).T

    def bind_upstream(self, upstream: Array) -> None:
        super().bind_upstream(upstream)
        self.downstream = upstream.reshape(self.input.shape)

    def forward(self) -> None:
        """`a` is `input` under another shape."""

    def send_down(self) -> None:
        """`downstream` is `upstream` under another shape."""
