"""The one implementation of forward, backward and update, and the workspace that it writes.

A `Step` is bound to a network and a mini-batch size. It owns an array for every quantity of a step
and fills them in the order in which backpropagation is written down. Training overwrites them at
each step; looking at a step means reading them. The sample axis is last here (units x samples,
channels x rows x columns x samples): that makes flattening free and every inner loop long.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, constant
from nncli.nn.layers import AvgPool, Conv, Dense, Flatten, Learner, MaxPool, Pool
from nncli.nn.network import Network, Placed
from nncli.nn.sgd import Sgd


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

    def multiply_hadamard(self) -> None:
        """Fills delta = upstream ⊙ σ'(z), where the layer has an activation."""

    def backward(self) -> None:
        """Fills the gradients from delta and input."""

    def send_down(self) -> None:
        """Fills downstream."""
        raise NotImplementedError


class LearnerStep(LayerStep):
    """A layer with weights, ΔW and an activation."""

    z: Array
    delta: Array

    def __init__(
        self, placed: Placed, input: Array, dtype: np.dtype[Any], views: list[dict[str, Array]]
    ) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, Learner)
        self.activation = ACTIVATIONS[placed.layer.activation]
        self.parameters, self.gradients, self.updates = views
        self.n = input.shape[-1]
        self.one = constant(1, dtype)
        shape = (*placed.output_shape, self.n)
        self.z, self.a, self.prime, self.delta = (np.zeros(shape, dtype) for _ in range(4))
        if self.activation.elementwise:
            self.sigma_prime = self.prime
        self.weight = self.parameters["weight"]
        self.bias = self.parameters.get("bias")

    def activate(self) -> None:
        self.activation.rule(self.z, self.a, self.prime, self.one)

    def multiply_hadamard(self) -> None:
        np.multiply(self.upstream, self.prime, self.delta)


class DenseStep(LearnerStep):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        dtype = self.z.dtype
        self.downstream = np.zeros(self.input.shape, dtype)
        self.delta_over_n = np.zeros_like(self.delta)
        self.one_over_n = constant(1 / self.n, dtype)
        self.ones = np.ones(self.n, dtype)
        self.weight_t, self.delta_over_n_t = self.weight.T, self.delta_over_n.T
        self.bias_column = None if self.bias is None else self.bias[:, None]

    def forward(self) -> None:
        np.matmul(self.weight_t, self.input, self.z)
        if self.bias_column is not None:
            np.add(self.z, self.bias_column, self.z)
        self.activate()

    def backward(self) -> None:
        np.multiply(self.delta, self.one_over_n, self.delta_over_n)
        np.matmul(self.input, self.delta_over_n_t, self.gradients["weight"])
        if self.bias is not None:
            np.matmul(self.delta_over_n, self.ones, self.gradients["bias"])

    def send_down(self) -> None:
        np.matmul(self.weight, self.delta, self.downstream)


class ConvStep(LearnerStep):
    """A conv layer as matrix products: each column of `patches` is one window laid out."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self.placed.layer, Conv)
        dtype, n = self.z.dtype, self.n
        channels = self.input.shape[0]
        filters = len(self.weight)
        self.windows = self.placed.layer.windows(self.placed.input_shape)
        padded_shape = (channels, *self.windows.padded_shape, n)
        self.padded = np.zeros(padded_shape, dtype) if self.windows.is_padded else self.input
        self.interior = self.windows.interior(self.padded)
        self.patches = np.zeros((*self.weight.shape[1:], *self.windows.output_shape, n), dtype)
        self.patch_matrix = self.patches.reshape(self.weight[0].size, -1)
        self.gather = [
            (self.patches[:, i, j], cells) for i, j, cells in self.windows.taps(self.padded)
        ]
        self.padded_downstream = np.zeros(padded_shape, dtype)
        self.downstream = self.windows.interior(self.padded_downstream)
        self.scatter = [
            (cells, self.patches[:, i, j])
            for i, j, cells in self.windows.taps(self.padded_downstream)
        ]
        self.weight_matrix = self.weight.reshape(filters, -1)
        self.z_matrix, self.delta_matrix = (q.reshape(filters, -1) for q in (self.z, self.delta))
        self.bias_grid = None if self.bias is None else self.bias[:, None, None, None]
        self.one_over_n = constant(1 / n, dtype)

    def forward(self) -> None:
        if self.padded is not self.input:
            np.copyto(self.interior, self.input)
        for patch, cells in self.gather:
            np.copyto(patch, cells)
        np.matmul(self.weight_matrix, self.patch_matrix, self.z_matrix)
        if self.bias_grid is not None:
            np.add(self.z, self.bias_grid, self.z)
        self.activate()

    def backward(self) -> None:
        gradient = self.gradients["weight"]
        np.matmul(
            self.delta_matrix, self.patch_matrix.T, gradient.reshape(self.weight_matrix.shape)
        )
        np.multiply(gradient, self.one_over_n, gradient)
        if self.bias is not None:
            gradient = self.gradients["bias"]
            np.add.reduce(self.delta_matrix, axis=1, out=gradient)
            np.multiply(gradient, self.one_over_n, gradient)

    def send_down(self) -> None:
        # The windows have served by now, so their array takes what flows back to them.
        np.matmul(self.weight_matrix.T, self.delta_matrix, self.patch_matrix)
        self.padded_downstream.fill(0)
        for cells, patch in self.scatter:
            np.add(cells, patch, cells)


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


def layer_step(
    placed: Placed, input: Array, dtype: np.dtype[Any], views: list[dict[str, Array]]
) -> LayerStep:
    """The part of a step that `placed` needs. `views`: its parameters, gradients and updates."""
    match placed.layer:
        case Dense():
            return DenseStep(placed, input, dtype, views)
        case Conv():
            return ConvStep(placed, input, dtype, views)
        case AvgPool():
            return AvgPoolStep(placed, input, dtype)
        case MaxPool():
            return MaxPoolStep(placed, input, dtype)
        case Flatten():
            return FlattenStep(placed, input)
    raise TypeError(f"no step for a layer of type {placed.layer.type}")


class Step:
    """One SGD step on mini-batches of `n` samples, and every quantity of it.

    Write a mini-batch into `inputs` and `targets`, call `run` (or `forward` alone, to evaluate),
    and read the layers. Steps of several sizes may share one `sgd`.

    Attributes:
        inputs: samples x features or samples x channels x rows x columns; to be written.
        targets: samples x outputs; to be written.
        layers: the layers' parts in forward order.
        outputs: a of the last layer, samples x outputs (a view).
        error: a − y of the last layer, outputs x samples.
    """

    def __init__(self, network: Network, sgd: Sgd, n: int) -> None:
        self.network = network
        self.sgd = sgd
        self.n = n
        self.inputs = np.zeros((n, *network.input_shape), network.dtype)
        self.targets = np.zeros((n, *network.output_shape), network.dtype)
        # A dense layer reads the mini-batch as it lies; windows want the samples side by side.
        self.inputs_t, self.targets_t = np.moveaxis(self.inputs, 0, -1), self.targets.T
        windows = isinstance(network.layers[0].layer, Conv | Pool)
        self.first_input = np.zeros_like(self.inputs_t, order="C") if windows else self.inputs_t
        self.layers = self._layer_steps()
        last = self.layers[-1]
        assert isinstance(last, LearnerStep)
        self.last = last
        self.outputs = last.a.T
        self._bind_upstreams()
        self._order_calls()

    def _layer_steps(self) -> list[LayerStep]:
        """The layers' parts, each reading what the one below writes."""
        network, dtype = self.network, self.network.dtype
        flats = (network.parameters, self.sgd.gradient, self.sgd.update)
        views = [network.views(flat) for flat in flats]
        layers: list[LayerStep] = []
        input = self.first_input
        for placed in network.layers:
            layers.append(layer_step(placed, input, dtype, [v[placed.name] for v in views]))
            input = layers[-1].a
        return layers

    def _bind_upstreams(self) -> None:
        if self.network.cost.error_is_delta:
            self.error = self.last.delta
            self.last.bind_upstream(np.zeros_like(self.error))
        else:
            self.error = np.zeros_like(self.last.a)
            self.last.bind_upstream(self.error)
        for below, above in reversed(list(pairwise(self.layers))):
            below.bind_upstream(above.downstream)

    def _order_calls(self) -> None:
        # The order of a step never changes, so it is laid down once as lists of bound methods.
        self._forward_calls = [layer.forward for layer in self.layers]
        self._backward_calls: list[Callable[[], None]] = []
        for layer in reversed(self.layers):
            if not (layer is self.last and self.network.cost.error_is_delta):
                self._backward_calls.append(layer.multiply_hadamard)
            self._backward_calls.append(layer.backward)
            if layer is not self.layers[0]:
                self._backward_calls.append(layer.send_down)

    def forward(self) -> float:
        """From `inputs` to the outputs and the error; returns C, the mean of C_x."""
        with np.errstate(all="ignore"):
            return self._forward()

    def run(self, eta: float, *, full: bool = False) -> float:
        """Forward, backward and update with the learning rate `eta`; returns C before the update.

        Where C is not finite there is no gradient to follow: the step ends after the forward pass.

        Args:
            full: also fill what no update needs: downstream of the first layer, and ∂C_x/∂a of an
                output layer whose cross-entropy gives δ directly.
        """
        with np.errstate(all="ignore"):
            cost = self._forward()
            if math.isfinite(cost):
                for call in self._backward_calls:
                    call()
                if full:
                    self._complete()
                self.sgd.descend(eta)
            return cost

    def total_cost(self) -> complex:
        """Σ_x C_x from the last forward pass; complex where the network is."""
        return self.network.cost.total(self.last.z, self.targets_t, self.error)

    def _forward(self) -> float:
        if self.first_input is not self.inputs_t:
            np.copyto(self.first_input, self.inputs_t)
        for call in self._forward_calls:
            call()
        np.subtract(self.last.a, self.targets_t, self.error)
        return self.total_cost().real / self.n

    def _complete(self) -> None:
        self.layers[0].send_down()
        if self.network.cost.error_is_delta:
            self.last.upstream[...] = self.network.cost.upstream(
                self.last.z, self.targets_t, self.error
            )
