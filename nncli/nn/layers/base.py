"""What a layer is: its hyperparameters, and the shapes that follow from them."""

from dataclasses import dataclass, field
from typing import ClassVar

from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import Padding, Pair, Windows, place_windows


class ShapeMismatch(Exception):
    """An input that does not fit a layer; `key` is the hyperparameter to blame."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def by(shape: Shape) -> str:
    """A shape as it is read aloud: 3 x 4."""
    return " x ".join(map(str, shape))


class Layer:
    """A layer by its hyperparameters. Shapes are those of one sample, without the batch axis."""

    type: ClassVar[str]

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of one output.

        Raises:
            ShapeMismatch: an input of `input_shape` does not fit.
        """
        raise NotImplementedError

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """The shapes of `weight` and `bias`, in this order; empty where a layer learns nothing."""
        return {}


@dataclass(frozen=True)
class Learner(Layer):
    """A layer with weights: z from its input, then a = σ(z).

    `weights` and `biases` are initial values given rather than drawn; `init` names how to draw.
    """

    activation: str = "sigmoid"
    bias: bool = True
    init: str | None = None
    weights: Array | None = field(default=None, compare=False)
    biases: Array | None = field(default=None, compare=False)

    def weight_shape(self, input_shape: Shape) -> Shape:
        raise NotImplementedError

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        weight = self.weight_shape(input_shape)
        units = self.output_shape(input_shape)[0]
        return {"weight": weight, "bias": (units,)} if self.bias else {"weight": weight}


@dataclass(frozen=True)
class Dense(Learner):
    """z_j = Σ_i a_i w_ij + b_j, with weights inputs x units."""

    type: ClassVar[str] = "dense"
    units: int = field(kw_only=True)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ShapeMismatch(
                f"a dense layer takes a vector, not {by(input_shape)}; put flatten before it"
            )
        return (self.units,)

    def weight_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.units)


def windows_on(
    layer: "Conv | Pool", input_shape: Shape, kernel: Pair, key: str, **how: Padding | Pair
) -> Windows:
    """The windows of `layer` on an image of `input_shape`, or what does not fit."""
    if len(input_shape) != 3:
        raise ShapeMismatch(
            f"a {layer.type} layer takes an image of channels x rows x columns, "
            f"its input is a vector of {by(input_shape)}; say the image's shape in data.shape"
        )
    windows = place_windows(input_shape[1:], kernel, **how)  # type: ignore[arg-type]
    if min(windows.output_shape) < 1:
        reach = (windows.rows.reach, windows.columns.reach)
        dilated = f" (reaching over {by(reach)})" if reach != kernel else ""
        padded = " with its padding" if windows.is_padded else ""
        raise ShapeMismatch(
            f"a window of {by(kernel)}{dilated} is larger than its input of "
            f"{by(windows.padded_shape)}{padded}",
            key,
        )
    return windows


@dataclass(frozen=True)
class Conv(Learner):
    """Cross-correlation: the filter's Hadamard product with each window, summed, plus the bias.

    Weights are filters x channels x rows x columns.
    """

    type: ClassVar[str] = "conv"
    filters: int = field(kw_only=True)
    kernel: Pair = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: Padding = "valid"
    dilation: Pair = (1, 1)

    def windows(self, input_shape: Shape) -> Windows:
        return windows_on(
            self,
            input_shape,
            self.kernel,
            "kernel",
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def output_shape(self, input_shape: Shape) -> Shape:
        return (self.filters, *self.windows(input_shape).output_shape)

    def weight_shape(self, input_shape: Shape) -> Shape:
        return (self.filters, input_shape[0], *self.kernel)


@dataclass(frozen=True)
class Pool(Layer):
    """One number for each window of each channel. `stride` None means: windows side by side."""

    size: Pair
    stride: Pair | None = None

    def windows(self, input_shape: Shape) -> Windows:
        return windows_on(self, input_shape, self.size, "size", stride=self.stride or self.size)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:1], *self.windows(input_shape).output_shape)


class MaxPool(Pool):
    """The maximum of each window."""

    type: ClassVar[str] = "maxpool"


class AvgPool(Pool):
    """The mean of each window."""

    type: ClassVar[str] = "avgpool"


@dataclass(frozen=True)
class Flatten(Layer):
    """An image as a vector, channels outermost."""

    type: ClassVar[str] = "flatten"

    def output_shape(self, input_shape: Shape) -> Shape:
        size = 1
        for axis in input_shape:
            size *= axis
        return (size,)
