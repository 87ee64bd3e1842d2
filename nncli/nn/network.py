"""A network: layers that fit each other, and their parameters in one flat vector."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from nncli.core.errors import LayerError
from nncli.core.text import join_words
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import AlignedBuffers, Array, Shape, all_finite
from nncli.nn.costs import COSTS, Cost
from nncli.nn.layers import Flatten, Layer, Placed, ShapeMismatch


class Network:
    """Layers with their parameters.

    All weights and biases are in one vector, `parameters`; a layer's are views of it. So an update,
    a checkpoint or a derivative by one parameter needs no walk over the layers.

    Attributes:
        layers: the layers in forward order, each with its name (dense1, conv1, ...) and shapes.
        cost: the cost row, which knows how it goes together with the last layer's activation.
        dtype: float32 or float64 (complex128 inside a complex-step derivative).
        parameters: every weight and bias, in the layers' order, weight before bias.
        buffers: makes the arrays of its steps, in the kind of memory that `parameters` are in.
        state: what layers keep from step to step and is no parameter, by name
            (`batchnorm1.running_mean`): only steps of a training change it.
        class_weights: what C_x of a sample of each class is multiplied by in training; None: 1.
    """

    def __init__(
        self,
        layers: tuple[Placed, ...],
        cost: Cost,
        parameters: Array,
        buffers: AlignedBuffers | None = None,
        state: Mapping[str, Array] | None = None,
        class_weights: Array | None = None,
    ) -> None:
        """state: None: as a training starts from it."""
        self.layers = layers
        self.cost = cost
        self.parameters = parameters
        self.class_weights = class_weights
        self.buffers = buffers or AlignedBuffers()
        self.state = self._initial_state() if state is None else state

    def _initial_state(self) -> dict[str, Array]:
        return {
            f"{placed.name}.{key}": array
            for placed in self.layers
            for key, array in placed.layer.initial_state(placed.input_shape, self.dtype).items()
        }

    def state_of(self, layer: str) -> dict[str, Array]:
        """The part of `state` that is a layer's, by key."""
        prefix = f"{layer}."
        return {
            name.removeprefix(prefix): array
            for name, array in self.state.items()
            if name.startswith(prefix)
        }

    def is_finite(self) -> bool:
        """Whether all parameters and all that layers keep are."""
        return all_finite((self.parameters, *self.state.values()))

    def copy_state(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self.state.items()}

    def restore_state(self, state: Mapping[str, Array]) -> None:
        """Writes what `copy_state` gave into the arrays that are there."""
        for name, array in self.state.items():
            np.copyto(array, state[name])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parameters.dtype

    @property
    def input_shape(self) -> Shape:
        return self.layers[0].input_shape

    @property
    def output_shape(self) -> Shape:
        return self.layers[-1].output_shape

    def views(self, flat: Array) -> dict[str, dict[str, Array]]:
        """`flat`, as long as `parameters`, cut up: {"dense1": {"weight": view, ...}, ...}."""
        slices = self.slices()
        return {placed.name: placed.views(flat[slices[placed.name]]) for placed in self.layers}

    def slices(self) -> dict[str, slice]:
        """Where in `parameters` each layer's are."""
        ends = [0, *accumulate(placed.parameters for placed in self.layers)]
        return {
            placed.name: slice(*pair)
            for placed, pair in zip(self.layers, pairwise(ends), strict=True)
        }

    def named(self, flat: Array) -> dict[str, Array]:
        """`flat` cut up under plain names: {"dense1.weight": view, ...}."""
        return {
            f"{layer}.{key}": view
            for layer, views in self.views(flat).items()
            for key, view in views.items()
        }

    def arrays(self) -> dict[str, Array]:
        """All that a trained network is: parameters and what layers keep, under plain names."""
        return {**self.named(self.parameters), **self.state}

    def astype(self, dtype: Any) -> "Network":
        """The same network with copies of its parameters and state in `dtype`."""
        state = {
            name: array.copy() if array.dtype.kind == "i" else array.astype(dtype)
            for name, array in self.state.items()
        }
        parameters, weights = self.parameters.astype(dtype), self.class_weights
        return Network(self.layers, self.cost, parameters, state=state, class_weights=weights)


def build_network(
    layers: Sequence[Layer],
    input_shape: Shape,
    cost: str,
    dtype: Any,
    rng: np.random.Generator,
    buffers: AlignedBuffers | None = None,
) -> Network:
    """A network whose weights are those its layers give, or drawn from `rng`; drawn biases are 0.

    Args:
        layers: in forward order; a flatten layer is put where a dense layer follows an image.
        input_shape: of one sample: (features,) or (channels, rows, columns).
        cost: quadratic or cross_entropy.
        buffers: a shared one for steps that processes share.

    Raises:
        LayerError: a layer does not fit its input, or given weights do not fit their layer.
    """
    return fill_layers(place_layers(layers, input_shape), cost, dtype, rng, buffers)


def fill_layers(
    placed: tuple[Placed, ...],
    cost: str,
    dtype: Any,
    rng: np.random.Generator,
    buffers: AlignedBuffers | None = None,
) -> Network:
    """The second half of `build_network`: the network of layers that have their shapes."""
    for p in placed[:-1]:
        if p.activation is not None and not ACTIVATIONS[p.activation].elementwise:
            message = f"{p.activation} mixes its units, so it stands only in the last layer"
            raise LayerError(p.index, message, "activation")
    row = cost_row(cost, placed[-1])
    network = zero_network(placed, row, dtype, buffers)
    views = network.views(network.parameters)
    for p in placed:
        try:
            p.layer.initialise(p.name, views[p.name], rng)
        except ShapeMismatch as error:
            raise LayerError(p.index, str(error), error.key) from error
    return network


def zero_network(
    layers: tuple[Placed, ...], cost: Cost, dtype: Any, buffers: AlignedBuffers | None = None
) -> Network:
    """A network whose parameters are all 0, to be filled."""
    size = sum(placed.parameters for placed in layers)
    buffers = buffers or AlignedBuffers()
    return Network(layers, cost, buffers.zeros(size, dtype), buffers)


def place_layers(layers: Sequence[Layer], input_shape: Shape) -> tuple[Placed, ...]:
    """Each layer with its name and its shapes, as they follow from the shape of the input.

    Raises:
        LayerError: a layer does not fit its input; the message names both shapes.
    """
    placed: list[Placed] = []
    counts: Counter[str] = Counter()

    def place(index: int, layer: Layer, shape: Shape) -> Shape:
        try:
            output_shape = layer.output_shape(shape)
        except ShapeMismatch as error:
            raise LayerError(index, str(error), error.key) from error
        counts[layer.type] += 1
        name = f"{layer.type}{counts[layer.type]}"
        placed.append(Placed(name, index, layer, shape, output_shape, ones and layer.has_bias_row))
        return output_shape

    shape, ones = input_shape, False
    for index, layer in enumerate(layers):
        if layer.takes_vectors and len(shape) > 1:
            shape = place(index, Flatten(), shape)
        shape = place(index, layer, shape)
        ones = ones if layer.has_ones_row is None else layer.has_ones_row
    return tuple(placed)


def cost_row(cost: str, last: Placed) -> Cost:
    """The row of COSTS for `cost` behind the activation of the last layer.

    Raises:
        LayerError: the two do not go together.
    """
    if not last.layer.is_output:
        raise LayerError(last.index, f"a network ends in a dense layer, not in {last.name}", "type")
    activation = last.activation
    assert activation is not None
    for row in COSTS:
        fits = row.activation == activation or (
            row.activation is None and ACTIVATIONS[activation].elementwise
        )
        if row.name == cost and fits:
            return row
    allowed = [row.activation for row in COSTS if row.name == cost and row.activation]
    wanted = join_words(map(str, allowed)) if allowed else "an elementwise activation"
    raise LayerError(
        last.index,
        f"the {cost} cost needs {wanted} in the last layer, not {activation}",
        "activation",
    )


def has_windows(layers: Sequence[Placed]) -> bool:
    """Whether the network's inputs are met by windows."""
    return any(placed.layer.has_windows for placed in layers)


def splits_samples(layers: Sequence[Placed]) -> bool:
    """Whether several passes may take some samples of a mini-batch each.

    What a layer keeps from step to step comes from the whole mini-batch.
    """
    return all(placed.layer.splits_samples and not placed.state_shapes for placed in layers)


def first_with_parameters(layers: Sequence[Placed]) -> int:
    """The index of the layer below which no gradient needs ∂C_x/∂a."""
    return next(k for k, placed in enumerate(layers) if placed.parameters)


def backward_multiply_adds(layers: Sequence[Placed]) -> list[int]:
    """Of each layer, those of a step's backward pass of one sample: for ∂C/∂W and ∂C_x/∂input."""
    first = first_with_parameters(layers)
    return [placed.multiply_adds * ((k >= first) + (k > first)) for k, placed in enumerate(layers)]


def smallest_batch(layers: Sequence[Placed]) -> int:
    """The fewest samples that a step in training mode needs."""
    return max(placed.layer.smallest_batch(placed.input_shape) for placed in layers)


def check_batch(layers: Sequence[Placed], n: int) -> None:
    """Whether a step in training mode can be taken on a mini-batch of `n` samples.

    Raises:
        LayerError: a layer needs more.
    """
    for placed in layers:
        if n < placed.layer.smallest_batch(placed.input_shape):
            raise LayerError(
                placed.index,
                f"{placed.name} normalises each unit by its variance over the mini-batch, and one "
                f"of {n} sample has none; it takes at least 2",
            )


def step_bytes(layers: Sequence[Placed], n: int, itemsize: int) -> int:
    """About how many bytes a step on `n` samples takes, known before any of it is asked for."""
    first = layers[0].input_shape
    # The mini-batch as it was gathered and, where there are windows, with the samples last.
    copies = 2 if has_windows(layers) else 1
    inputs = copies * prod(first) * n
    return itemsize * (inputs + sum(placed.workspace_size(n) for placed in layers))
