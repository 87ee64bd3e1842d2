"""Forward and backward over some samples, each layer's part in its turn."""

import math
from collections.abc import Callable
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array, Operation, Operations, bind, execute
from nncli.nn.layers import LayerStep, WeightedStep, Workspace
from nncli.nn.network import Network, first_with_parameters, has_windows
from nncli.nn.weighting import SampleWeights


class LayerOperations(NamedTuple):
    """What a pass runs of one layer, in order."""

    forward: list[Operation]
    backward: list[Operation]


class Pass:
    """Forward and backward over some samples, and every quantity of them.

    Attributes:
        inputs, targets: of its samples, as `Step` has them.
        layers: the layers' parts in forward order.
        last: the last of them.
        difference: a − y of the last layer, outputs x samples.
        sample_weights: of its samples; None where classes have no weights, or in evaluation.
        error: what goes back: a − y, times the weight of each sample where they have one.
        forward_operations, backward_operations, state_operations: what a step runs, in order.
        layer_operations: of each layer, those among them that are its own.
        total_cost: gives Σ_x C_x from the last forward pass; complex where the network is.
    """

    def __init__(
        self,
        network: Network,
        inputs: Array,
        targets: Array,
        n: int,
        gradient: Array | None,
        update: Array | None = None,
        *,
        is_training: bool = True,
    ) -> None:
        """
        Args:
            n: the samples of the mini-batch, by which gradients are divided.
            gradient: the flat vector to write ∂C/∂W of these samples to; None: forward only.
            update: the flat vector where an optimizer writes ΔW, which the layers show.
            is_training: whether it is a pass in training mode; else in evaluation mode.
        """
        self.network = network
        self.n = n
        self.is_training = is_training
        self.gradient = gradient
        self.inputs, self.targets = inputs, targets
        # A dense layer reads a transposed view; windows need a copy with the samples last.
        self.inputs_t, self.targets_t = np.moveaxis(inputs, 0, -1), targets.T
        windows = has_windows(network.layers)
        self.first_input = self._like(self.inputs_t) if windows else self.inputs_t
        self.layers = self._layer_steps((network.parameters, gradient, update))
        last = self.layers[-1]
        assert isinstance(last, WeightedStep)
        self.last = last
        self._bind_upstreams()
        self.difference, self.sample_weights = self.error, self._sample_weights()
        if self.sample_weights is not None:
            self.difference = self._like(self.error)
        self.total_cost = self.cost_of(self.sample_weights)
        self._order_operations()

    def _sample_weights(self) -> SampleWeights | None:
        network = self.network
        if network.class_weights is None or not self.is_training:
            return None
        values = network.buffers.zeros(self.targets_t.shape[1], network.dtype)
        return SampleWeights(network.class_weights, self.targets_t, values)

    def cost_of(self, weights: SampleWeights | None) -> Callable[[], complex]:
        """Gives Σ_x w_x C_x from the last forward pass; who calls it has it to itself."""
        cost, arrays = self.network.cost, (self.last.z, self.targets_t, self.difference)
        return cost.total(*arrays) if weights is None else weights.total_cost(cost, *arrays)

    def _layer_steps(self, vectors: tuple[Array | None, ...]) -> list[LayerStep]:
        """The layers' parts, each reading what the one below writes."""
        network = self.network
        none: dict[str, dict[str, Array]] = {placed.name: {} for placed in network.layers}
        views = [none if vector is None else network.views(vector) for vector in vectors]
        layers: list[LayerStep] = []
        input = self.first_input
        for placed in network.layers:
            parameters, gradients, updates = (v[placed.name] for v in views)
            zeros, training = network.buffers.zeros, self.is_training
            state = network.state_of(placed.name)
            workspace = Workspace(zeros, self.n, parameters, gradients, updates, training, state)
            layers.append(placed.step(input, workspace))
            input = layers[-1].a
        return layers

    def _bind_upstreams(self) -> None:
        if self.network.cost.error_is_delta:
            self.error = self.last.delta
            self.last.bind_upstream(self._like(self.error))
        else:
            self.error = self._like(self.last.a)
            self.last.bind_upstream(self.error)
        for below, above in reversed(list(pairwise(self.layers))):
            below.bind_upstream(above.downstream)

    def _like(self, array: Array) -> Array:
        return self.network.buffers.zeros(array.shape, array.dtype)

    def _order_operations(self) -> None:
        # The order of a step never changes, so its operations are recorded once.
        first = first_with_parameters(self.network.layers)
        self.layer_operations = [
            LayerOperations(
                [*layer.forward()],
                [] if self.gradient is None else [*self._backward(k, layer, first)],
            )
            for k, layer in enumerate(self.layers)
        ]
        forward, backward = zip(*self.layer_operations, strict=True)
        self.forward_operations = [*chain.from_iterable(forward)]
        if self.first_input is not self.inputs_t:
            self.forward_operations.insert(0, bind(np.copyto, self.first_input, self.inputs_t))
        self.forward_operations += self.compare()
        self.backward_operations = [*chain.from_iterable(reversed(backward))]
        states = (layer.update_state() for layer in self.layers if self.is_training)
        self.state_operations = [*chain.from_iterable(states)]

    def compare(
        self, rows: slice = slice(None), weights: SampleWeights | None = None
    ) -> Operations:
        """What follows the last layer: its a − y and the error, or some rows of them.

        weights: those to use in the place of the pass's own.
        """
        weights = weights or self.sample_weights
        difference = self.difference[rows]
        yield bind(np.subtract, self.last.a[rows], self.targets_t[rows], difference)
        if weights is not None:
            yield weights.fill
            yield weights.weighing(difference, self.error[rows])

    def _backward(self, k: int, layer: LayerStep, first: int) -> Operations:
        if k >= first:
            if not self.is_fused(layer):
                yield from layer.multiply_hadamard()
            yield from layer.backward()
        if k > first:
            yield from layer.backward_input()

    def is_fused(self, layer: LayerStep) -> bool:
        """Whether δ of a layer comes from the cost, without ∂C_x/∂a and σ'."""
        return layer is self.last and self.network.cost.error_is_delta

    def forward(self) -> float:
        """From `inputs` to the outputs and the error; returns Σ_x C_x."""
        for operation in self.forward_operations:
            operation()
        return self.total_cost().real

    def forward_and_back(self, full: bool = False) -> float:
        """Also the gradients, where the cost is finite; `full`: see `Step.run`."""
        cost = self.forward()
        if math.isfinite(cost):
            for operation in self.backward_operations:
                operation()
            if full:
                self.fill_unused()
        return cost

    def fill_unused(self) -> None:
        """Fills what the update does not use, see `Step.run`."""
        first = first_with_parameters(self.network.layers)
        for layer in reversed(self.layers[: first + 1]):
            execute(layer.backward_input())
        self.fill_upstream()

    def fill_upstream(self) -> None:
        """Fills ∂C_x/∂a of outputs whose δ comes from the cost."""
        cost, weights = self.network.cost, self.sample_weights
        if cost.error_is_delta:
            upstream = cost.upstream(self.last.z, self.targets_t, self.difference)
            self.last.upstream[...] = upstream if weights is None else upstream * weights.values
