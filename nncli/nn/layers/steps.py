"""What each kind of layer does in a step: its arrays, and the rules that fill them.

A rule is a method that yields NumPy calls, see `arrays.Operation`.
"""

from typing import Any

import numpy as np

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Operations, Zeros, bind, constant
from nncli.nn.layers.base import Learner, Pool
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

    def bind_upstream(self, upstream: Array) -> None:
        """Says where ∂C_x/∂a will be written; done once, from the last layer to the first."""
        self.upstream = upstream

    def forward(self) -> Operations:
        """Fills z and a from input."""
        raise NotImplementedError

    def multiply_hadamard(self) -> Operations:
        """Fills delta = upstream ⊙ σ'(z), where the layer has an activation."""
        return ()

    def backward(self) -> Operations:
        """Fills the gradients from delta and input."""
        return ()

    def send_down(self) -> Operations:
        """Fills downstream."""
        raise NotImplementedError


class LearnerStep(LayerStep):
    """A layer with weights, ΔW and an activation.

    `n` is what gradients are divided by: the samples of the whole mini-batch, of which `input` may
    hold a share. `zeros` makes its arrays.
    """

    z: Array
    delta: Array

    def __init__(
        self,
        placed: Placed,
        input: Array,
        zeros: Zeros,
        n: int,
        views: list[dict[str, Array]],
    ) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Learner)
        self.activation = ACTIVATIONS[placed.layer.activation]
        self.parameters, self.gradients, self.updates = views
        self.n, self.zeros, dtype = n, zeros, input.dtype
        self.one, self.one_over_n = constant(1, dtype), constant(1 / n, dtype)
        shape = (*placed.output_shape, input.shape[-1])
        self.z, self.a, self.prime, self.delta = (zeros(shape, dtype) for _ in range(4))
        if self.activation.elementwise:
            self.sigma_prime = self.prime
        self.weight = self.parameters["weight"]
        self.bias = self.parameters.get("bias")

    def activate(self) -> Operations:
        return self.activation.rule(self.z, self.a, self.prime, self.one)

    def multiply_hadamard(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.prime, self.delta)


class DenseStep(LearnerStep):
    """Its products are taken by the arrays' own `dot`, the shortest way to BLAS: 0.4 µs less than

    by np.matmul, where the product itself may take 0.7.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.downstream = self.zeros(self.input.shape, self.z.dtype)
        self.delta_over_n = self.zeros(self.delta.shape, self.delta.dtype)

    def forward(self) -> Operations:
        yield bind(self.weight.T.dot, self.input, self.z)
        if self.bias is not None:
            yield bind(np.add, self.z, self.bias[:, None], self.z)
        yield from self.activate()

    def backward(self) -> Operations:
        yield bind(np.multiply, self.delta, self.one_over_n, self.delta_over_n)
        yield bind(self.delta_over_n.dot, self.input.T, self.gradients["weight"].T)
        if self.bias is not None:
            ones = np.ones(self.input.shape[-1], self.z.dtype)
            yield bind(self.delta_over_n.dot, ones, self.gradients["bias"])

    def send_down(self) -> Operations:
        yield bind(self.weight.dot, self.delta, self.downstream)


class PoolStep(LayerStep):
    """`downstream` is 0 where there is no window. Where windows lie side by side, as they do but

    for a stride of one's own, each cell is written by one of them: that takes a third of the time.
    """

    def __init__(self, placed: Placed, input: Array, zeros: Zeros) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Pool)
        windows = placed.layer.windows(placed.input_shape)
        self.overlap, self.zeros = windows.overlap, zeros
        self.a = zeros((*placed.output_shape, input.shape[-1]), input.dtype)
        self.share = zeros(self.a.shape, input.dtype)
        self.downstream = zeros(input.shape, input.dtype)
        self.cells = [cells for _, _, cells in windows.taps(input)]
        self.cells_downstream = [cells for _, _, cells in windows.taps(self.downstream)]


class AvgPoolStep(PoolStep):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.one_over_size = constant(1 / len(self.cells), self.a.dtype)

    def forward(self) -> Operations:
        yield bind(np.copyto, self.a, self.cells[0])
        for cells in self.cells[1:]:
            yield bind(np.add, self.a, cells, self.a)
        yield bind(np.multiply, self.a, self.one_over_size, self.a)

    def send_down(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.one_over_size, self.share)
        if self.overlap:
            yield bind(self.downstream.fill, 0)
        for cells in self.cells_downstream:
            if self.overlap:
                yield bind(np.add, cells, self.share, cells)
            else:
                yield bind(np.copyto, cells, self.share)


class MaxPoolStep(PoolStep):
    """The first maximum of each window, in reading order, is the one that counts."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_greater = self.zeros(self.a.shape, bool)
        # Which tap of its window the maximum is.
        self.first: Array = self.zeros(self.a.shape, np.int32)

    def forward(self) -> Operations:
        yield bind(np.copyto, self.a, self.cells[0])
        yield bind(self.first.fill, 0)
        for k, cells in enumerate(self.cells[1:], 1):
            yield bind(np.greater, cells, self.a, self.is_greater)
            yield bind(np.copyto, self.first, k, where=self.is_greater)
            yield bind(np.maximum, self.a, cells, out=self.a)

    def send_down(self) -> Operations:
        if self.overlap:
            yield bind(self.downstream.fill, 0)
        for k, cells in enumerate(self.cells_downstream):
            yield bind(np.equal, self.first, k, self.is_greater)
            yield bind(np.multiply, self.upstream, self.is_greater, self.share)
            if self.overlap:
                yield bind(np.add, cells, self.share, cells)
            else:
                yield bind(np.copyto, cells, self.share)


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

    def forward(self) -> Operations:
        return ()

    def send_down(self) -> Operations:
        return ()
