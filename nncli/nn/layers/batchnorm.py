"""The batchnorm layer: each unit or channel normalised over the mini-batch, then scaled."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, Shape, bind, constant
from nncli.nn.layers.base import Formula, Layer, LayerStep, Placed, RecordedQuantity, Workspace

NUMBERS_A_UNIT = 10  # arrays of a number a unit that a step holds


@dataclass(frozen=True)
class BatchNorm(Layer):
    """a = γ x̂ + β with x̂ = (input − μ) / √(s² + ε), γ being `weight` and β `bias`.

    In training μ and s² are the mean and the biased variance of a unit over the samples of the
    mini-batch, or of a channel over samples, rows and columns (Ioffe and Szegedy, Batch
    normalization, 2015, algorithm 1). In evaluation they are the running mean and variance, which
    move by the share `momentum` to those of the mini-batch in every step of a training; the running
    variance takes the unbiased one. All of it has PyTorch's meaning.
    """

    type: ClassVar[str] = "batchnorm"
    has_modes = True
    splits_samples = False
    attenuates = "normalisation"
    symbols: ClassVar[Mapping[str, str]] = {"weight": "γ", "bias": "β"}
    quantities = (
        RecordedQuantity("mean", "μ", r"\mu", "the mean of each unit or channel", by_sample=False),
        RecordedQuantity("variance", "s²", "s^2", "its biased variance", by_sample=False),
        RecordedQuantity("normalised", "x̂", r"\hat{x}", "(input − μ) / √(s² + ε)"),
        RecordedQuantity(
            "normalised_gradient",
            "∂C/∂x̂",
            r"\frac{\partial C}{\partial \hat{x}}",
            "∂C/∂a ⊙ γ",
        ),
        RecordedQuantity(
            "direct",
            "directly",
            r"\text{directly}",
            "∂C/∂x̂ / √(s² + ε), as if μ and s² were constants",
        ),
        RecordedQuantity(
            "through_mean",
            "through μ",
            r"\text{through } \mu",
            "−mean(∂C/∂x̂) / √(s² + ε), the same for all entries of a unit",
            by_sample=False,
        ),
        RecordedQuantity(
            "through_variance",
            "through s²",
            r"\text{through } s^2",
            "−x̂ mean(∂C/∂x̂ ⊙ x̂) / √(s² + ε)",
        ),
    )
    forward_formulas = (
        Formula("μ and s²: mean and variance of input", ("input", "mean", "variance"), "", "none"),
        Formula("x̂ = (input − μ) / √(s² + ε)", ("normalised",), "", "none: a scaling"),
        Formula("a = γ ⊙ x̂ + β", ("weight", "normalised", "bias", "a"), "⊙+="),
    )
    backward_formulas = (
        Formula("∂C/∂γ = 1/n Σ ∂C/∂a ⊙ x̂", ("upstream", "normalised", "weight_gradient"), "⊙→"),
        Formula("∂C/∂β = 1/n Σ ∂C/∂a", ("bias_gradient",), "", "none: a sum"),
        Formula("∂C/∂x̂ = ∂C/∂a ⊙ γ", ("upstream", "weight", "normalised_gradient"), "⊙="),
        Formula(
            "∂C/∂input = (∂C/∂x̂ − mean(∂C/∂x̂) − x̂ mean(∂C/∂x̂ ⊙ x̂)) / √(s² + ε)",
            ("direct", "through_mean", "through_variance", "downstream"),
            "++=",
            "none: a sum of three",
        ),
    )

    epsilon: float = 1e-5
    momentum: float = 0.1

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"weight": input_shape[:1], "bias": input_shape[:1]}

    def initialise(self, name: str, parameters: dict[str, Array], rng: np.random.Generator) -> None:
        parameters["weight"].fill(1)

    def initial_state(self, input_shape: Shape, dtype: np.dtype[Any]) -> dict[str, Array]:
        return {
            "running_mean": np.zeros(input_shape[:1], dtype),
            "running_variance": np.ones(input_shape[:1], dtype),
            "batches": np.zeros((), np.int64),
        }

    def smallest_batch(self, input_shape: Shape) -> int:
        """A single value has no variance."""
        return 2 if prod(input_shape[1:]) == 1 else 1

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        return 7 * prod(input_shape) * n + NUMBERS_A_UNIT * input_shape[0]

    def settings(self) -> Mapping[str, object]:
        return {"epsilon": self.epsilon, "momentum": self.momentum}

    def step(self, placed: Placed, input: Array, workspace: Workspace) -> "BatchNormStep":
        return BatchNormStep(placed, input, workspace)


class BatchNormStep(LayerStep):
    """∂C_x/∂input is the derivative of Σ_x C_x: through μ and s² each sample acts on all costs.

    Attributes:
        axes: of the arrays, samples last, that are normalised over.
        mean, variance: of the mini-batch; in evaluation mode the running ones.
        inverse_deviation: 1 / √(s² + ε).
    """

    def __init__(self, placed: Placed, input: Array, workspace: Workspace) -> None:
        super().__init__(placed, input)
        assert isinstance(placed.layer, BatchNorm)
        self.layer, self.is_training = placed.layer, workspace.is_training
        self.parameters, self.gradients = workspace.parameters, workspace.gradients
        self.updates, self.state = workspace.updates, workspace.state
        zeros, dtype, units = workspace.zeros, input.dtype, len(input)
        self.axes = tuple(range(1, input.ndim))
        self.count = input.size // units
        self.weight, self.bias = (self._by_unit(self.parameters[k]) for k in ("weight", "bias"))
        self.one, self.one_over_n = constant(1, dtype), constant(1 / workspace.n, dtype)
        self.one_over_count = constant(1 / self.count, dtype)
        self.epsilon = constant(self.layer.epsilon, dtype)
        self.a, self.normalised, self.normalised_gradient, self.direct = (
            zeros(input.shape, dtype) for _ in range(4)
        )
        self.through_variance, self.downstream, self.product = (
            zeros(input.shape, dtype) for _ in range(3)
        )
        if self.is_training:
            self.mean, self.variance = (zeros(units, dtype) for _ in range(2))
        else:
            self.mean, self.variance = self.state["running_mean"], self.state["running_variance"]
        self.inverse_deviation, self.mean_product, self.through_mean, self.unit_sum = (
            zeros(units, dtype) for _ in range(4)
        )
        self.recorded = {q.key: getattr(self, q.key) for q in self.layer.quantities}

    def _by_unit(self, array: Array) -> Array:
        """A number a unit, with the axes of the input: a view."""
        return array.reshape(-1, *(1 for _ in self.axes))

    def _mean_over(self, array: Array, mean: Array) -> Operations:
        yield bind(np.add.reduce, array, axis=self.axes, out=mean)
        yield bind(np.multiply, mean, self.one_over_count, mean)

    def forward(self) -> Operations:
        by_unit, centred = self._by_unit, self.normalised
        if self.is_training:
            yield from self._mean_over(self.input, self.mean)
        yield bind(np.subtract, self.input, by_unit(self.mean), centred)
        if self.is_training:
            yield bind(np.multiply, centred, centred, self.product)
            yield from self._mean_over(self.product, self.variance)
        yield bind(np.add, self.variance, self.epsilon, self.inverse_deviation)
        yield bind(np.sqrt, self.inverse_deviation, self.inverse_deviation)
        yield bind(np.divide, self.one, self.inverse_deviation, self.inverse_deviation)
        yield bind(np.multiply, centred, by_unit(self.inverse_deviation), self.normalised)
        yield bind(np.multiply, self.normalised, self.weight, self.a)
        yield bind(np.add, self.a, self.bias, self.a)

    def backward(self) -> Operations:
        if "weight" not in self.gradients:
            return
        weight, bias = self.gradients["weight"], self.gradients["bias"]
        yield bind(np.multiply, self.upstream, self.normalised, self.product)
        yield bind(np.add.reduce, self.product, axis=self.axes, out=weight)
        yield bind(np.multiply, weight, self.one_over_n, weight)
        yield bind(np.add.reduce, self.upstream, axis=self.axes, out=bias)
        yield bind(np.multiply, bias, self.one_over_n, bias)

    def contributions(self, key: str, index: tuple[int, ...]) -> Array:
        parts = np.abs(self.upstream[index[0]])
        if key == "weight":
            parts = parts * np.abs(self.normalised[index[0]])
        largest: Array = parts.reshape(-1, parts.shape[-1]).max(axis=0)
        return largest

    def backward_input(self) -> Operations:
        by_unit, gradient, product = self._by_unit, self.normalised_gradient, self.product
        inverse = by_unit(self.inverse_deviation)
        yield bind(np.multiply, self.upstream, self.weight, gradient)
        yield bind(np.multiply, gradient, inverse, self.direct)
        if not self.is_training:
            yield bind(np.copyto, self.downstream, self.direct)
            return
        # −mean(∂C/∂x̂) / √(s² + ε)
        yield from self._mean_over(gradient, self.through_mean)
        yield bind(np.multiply, self.through_mean, self.inverse_deviation, self.through_mean)
        yield bind(np.negative, self.through_mean, self.through_mean)
        # −x̂ mean(∂C/∂x̂ ⊙ x̂) / √(s² + ε)
        yield bind(np.multiply, gradient, self.normalised, product)
        yield from self._mean_over(product, self.mean_product)
        yield bind(np.multiply, self.mean_product, self.inverse_deviation, self.mean_product)
        yield bind(np.negative, self.mean_product, self.mean_product)
        yield bind(np.multiply, self.normalised, by_unit(self.mean_product), self.through_variance)
        yield bind(np.add, self.direct, by_unit(self.through_mean), self.downstream)
        yield bind(np.add, self.downstream, self.through_variance, self.downstream)

    def update_state(self) -> Operations:
        """running = (1 − momentum) running + momentum · that of the mini-batch."""
        dtype, momentum = self.a.dtype, self.layer.momentum
        rest = constant(1 - momentum, dtype)
        # A variance of one value is 0 / 0; such mini-batches are refused.
        unbiased = momentum * self.count / max(1, self.count - 1)
        for key, array, share in (
            ("running_mean", self.mean, momentum),
            ("running_variance", self.variance, unbiased),
        ):
            running = self.state[key]
            yield bind(np.multiply, running, rest, running)
            yield bind(np.multiply, array, constant(share, dtype), self.unit_sum)
            yield bind(np.add, running, self.unit_sum, running)
        batches = self.state["batches"]
        yield bind(np.add, batches, 1, out=batches)
