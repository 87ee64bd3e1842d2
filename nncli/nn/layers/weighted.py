"""Layers with weights, biases and an activation: what dense and conv layers have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nncli.core.text import sizes
from nncli.nn.activations import ACTIVATIONS, DEFAULT
from nncli.nn.arrays import Array, Operations, Shape, after_complex_step, bind, constant
from nncli.nn.initialisers import default_initialiser, initial_weights
from nncli.nn.layers.base import Layer, LayerStep, Placed, ShapeMismatch, Workspace

_GIVEN_BY = {"weight": "weights", "bias": "bias"}  # the hyperparameter that gives a parameter


class OuterFactors(NamedTuple):
    """Rows of two matrices whose outer products sum to n ∂C/∂W, but for its axes.

    Attributes:
        left, right: Σ left rightᵀ over the rows has the entries of W in their order.
        delta: the one of them that is δ; its rows sum to n ∂C/∂b.
    """

    left: Array
    right: Array
    delta: Array


@dataclass(frozen=True)
class WeightedLayer(Layer):
    """A layer with weights: z from its input, then a = σ(z).

    Attributes:
        init: names how weights are drawn; None: as suits the activation.
        weights, biases: initial values given rather than drawn.
        activation_parameters: of σ, in the order of its row; empty: its defaults.
    """

    activation: str = DEFAULT
    bias: bool = True
    init: str | None = None
    weights: Array | None = field(default=None, compare=False)
    biases: Array | None = field(default=None, compare=False)
    activation_parameters: tuple[float, ...] = ()

    attenuates = "weights"

    @property
    def activation_name(self) -> str:
        return self.activation

    @property
    def has_kinks(self) -> bool:
        return bool(ACTIVATIONS[self.activation].kinks)

    @property
    def activation_values(self) -> tuple[float, ...]:
        """σ's parameters, in the order of its row."""
        return self.activation_parameters or ACTIVATIONS[self.activation].defaults

    def settings(self) -> Mapping[str, object]:
        return ACTIVATIONS[self.activation].named(self.activation_values)

    def weight_shape(self, input_shape: Shape) -> Shape:
        raise NotImplementedError

    def outer_factors(self, input: Array, delta: Array) -> list[OuterFactors]:
        """Whose outer products ∂C/∂W is made of, from a step's arrays, samples first.

        For each group of units that sees inputs of its own; W is that of the groups in order.
        """
        raise NotImplementedError

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        weight = self.weight_shape(input_shape)
        units = self.output_shape(input_shape)[0]
        return {"weight": weight, "bias": (units,)} if self.bias else {"weight": weight}

    def initialise(self, name: str, parameters: dict[str, Array], rng: np.random.Generator) -> None:
        for key, array in parameters.items():
            given = self.weights if key == "weight" else self.biases
            if given is not None:
                _fill(name, _GIVEN_BY[key], array, given)
            elif key == "weight":
                initialiser = self.init or default_initialiser(self.activation)
                array[...] = initial_weights(initialiser, rng, array.shape, array.dtype)
        if self.biases is not None and "bias" not in parameters:
            raise ShapeMismatch(f"{name} has no bias to be given", "bias")


def _fill(name: str, key: str, array: Array, given: Array) -> None:
    """Writes given values into a parameter's array."""
    if given.shape != array.shape:
        raise ShapeMismatch(
            f"{key} of {sizes(given.shape)} were given, {name} takes {sizes(array.shape)}", key
        )
    with np.errstate(over="ignore"):
        array[...] = given
    if not np.isfinite(array).all():
        raise ShapeMismatch(f"a number among them is too large for {array.dtype}", key)


class WeightedStep(LayerStep):
    """A step of a layer with weights: `activate` takes z to a and σ'."""

    z: Array
    delta: Array

    def __init__(
        self,
        placed: Placed,
        input: Array,
        workspace: Workspace,
        arrays: tuple[Array, Array, Array, Array] | None = None,
    ) -> None:
        """
        Args:
            arrays: z, a, σ' and δ, to be written; None: of its own, from the workspace.
        """
        super().__init__(placed, input)
        assert isinstance(placed.layer, WeightedLayer)
        self.activation = ACTIVATIONS[placed.layer.activation]
        self.zeros, self.n, dtype = workspace.zeros, workspace.n, input.dtype
        self.parameters, self.gradients = workspace.parameters, workspace.gradients
        self.updates = workspace.updates
        self.one, self.one_over_n = constant(1, dtype), constant(1 / workspace.n, dtype)
        values = placed.layer.activation_values
        self.activation_parameters = [constant(value, dtype) for value in values]
        if arrays is None:
            shape = (*placed.output_shape, input.shape[-1])
            z, a, prime, delta = (self.zeros(shape, dtype) for _ in range(4))
            arrays = z, a, prime, delta
        self.z, self.a, self.prime, self.delta = arrays
        if self.activation.elementwise:
            self.sigma_prime = self.prime
        self.weight = self.parameters["weight"]
        self.bias = self.parameters.get("bias")

    def activate(self) -> Operations:
        parameters = self.activation_parameters
        return self.activation.rule(self.z, self.a, self.prime, self.one, *parameters)

    def piece(self, steps: float = 0.0) -> Array | None:
        sigma = self.activation
        return sigma.piece_at(after_complex_step(self.z, steps)) if sigma.kinks else None

    def evaluate_pieces(self, piece: Array) -> Operations:
        sigma, parameters = self.activation, self.activation_parameters
        yield from sigma.evaluate_pieces(self.z, self.a, piece, parameters)
        if self.gradients:
            yield from sigma.differentiate_pieces(self.z, self.prime, piece, parameters)

    def multiply_hadamard(self) -> Operations:
        yield bind(np.multiply, self.upstream, self.prime, self.delta)
