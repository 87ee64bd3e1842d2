"""The layers of a spec: a model a kind, in one list.

`LAYERS` holds them all: the union, its tags, the checks and the messages follow from it. Their keys
and defaults are those of the kinds in `nncli.nn.layers`, which a test compares.
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from nncli.spec import inline, values
from nncli.spec.base import Model, union_by_type
from nncli.spec.values import word, wrong
from nncli.spec.words import count

Activation = Literal["sigmoid", "tanh", "relu", "identity", "softmax"]
Init = Literal[
    "xavier_normal",
    "xavier_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "normal",
    "zeros",
]


class LayerSpec(Model):
    """What every kind of layer has.

    Attributes:
        needs_image: whether its input has to be an image, so that it goes before any layer that
            makes a vector.
        makes_vector: whether its output is a vector, whatever came in.
        is_output: whether a network may end in it.
    """

    needs_image: ClassVar[bool] = False
    makes_vector: ClassVar[bool] = False
    is_output: ClassVar[bool] = False

    type: str  # first among the keys; each kind has its own word


class DenseSpec(LayerSpec):
    """A fully connected layer: z = a W + b."""

    makes_vector = True
    is_output = True

    type: Literal["dense"] = Field(description="A fully connected layer.")
    units: values.Count = Field(description="How many neurons.", examples=[10])
    activation: Annotated[Activation, word(Activation)] = Field(
        "sigmoid",
        description="σ, what a = σ(z) is made by. softmax only in the last layer, "
        "with cost cross_entropy.",
    )
    bias: inline.Bias = Field(
        True, description="Whether there are biases; or their start, a number for each unit."
    )
    weights: inline.DenseWeights = Field(
        None,
        description="Weights to start from, inputs x units: a nested list or a path "
        "(w.npz#dense1.weight names an array of a file of several). By default drawn as init says.",
    )
    init: Annotated[Init, word(Init)] | None = Field(
        None,
        description="How weights are drawn. By default kaiming_normal before relu, "
        "else xavier_normal.",
    )

    @field_validator("bias")
    @classmethod
    def _bias_for_each_unit(cls, bias: Any, info: ValidationInfo) -> Any:
        return _one_bias_each(bias, info.data.get("units"), "unit")

    @field_validator("weights")
    @classmethod
    def _column_for_each_unit(cls, weights: Any, info: ValidationInfo) -> Any:
        units = info.data.get("units")
        if isinstance(weights, tuple) and units is not None and len(weights[0]) != units:
            message = f"expected {count(units, 'column')}, one for each unit"
            raise wrong(f"{message}, got {len(weights[0])}")
        return weights


class ConvSpec(LayerSpec):
    """A convolutional layer: cross-correlation with each filter, plus its bias."""

    needs_image = True

    type: Literal["conv"] = Field(description="A convolutional layer.")
    filters: values.Count = Field(description="How many filters.", examples=[8])
    kernel: values.Size = Field(
        description="A filter's size: an integer or [rows, columns].", examples=[3]
    )
    stride: values.Size = Field((1, 1), description="Steps between windows.")
    padding: values.Padding = Field(
        "valid", description="Zeros around the image: valid (none), same, or how many."
    )
    dilation: values.Size = Field((1, 1), description="Steps between the entries of a window.")
    activation: Annotated[Activation, word(Activation)] = Field(
        "sigmoid",
        description="σ, what a = σ(z) is made by. softmax has no place in a conv layer.",
    )
    bias: inline.Bias = Field(
        True, description="Whether there are biases; or their start, a number for each filter."
    )
    weights: inline.ConvWeights = Field(
        None,
        description="Weights to start from, filters x channels x rows x columns: a nested list or "
        "a path (w.npz#conv1.weight names an array of a file of several). By default drawn as init "
        "says.",
    )
    init: Annotated[Init, word(Init)] | None = Field(
        None,
        description="How weights are drawn. By default kaiming_normal before relu, "
        "else xavier_normal.",
    )

    @field_validator("bias")
    @classmethod
    def _bias_for_each_filter(cls, bias: Any, info: ValidationInfo) -> Any:
        return _one_bias_each(bias, info.data.get("filters"), "filter")

    @field_validator("weights")
    @classmethod
    def _as_declared(cls, weights: Any, info: ValidationInfo) -> Any:
        if not isinstance(weights, tuple) or not {"filters", "kernel"} <= info.data.keys():
            return weights
        wanted = (info.data["filters"], *info.data["kernel"])
        came = (len(weights), len(weights[0][0]), len(weights[0][0][0]))
        if came != wanted:
            raise wrong(f"expected {_filters(wanted)}, got {_filters(came)}")
        return weights


def _filters(shape: tuple[int, int, int]) -> str:
    return f"{count(shape[0], 'filter')} of {shape[1]} x {shape[2]}"


def _one_bias_each(bias: Any, wanted: int | None, noun: str) -> Any:
    if isinstance(bias, tuple) and wanted is not None and len(bias) != wanted:
        numbers = count(wanted, "number")
        raise wrong(f"expected {numbers}, one for each {noun}, got {len(bias)}")
    return bias


class _PoolSpec(LayerSpec):
    needs_image = True

    size: values.Size = Field(
        description="The window's size: an integer or [rows, columns].", examples=[2]
    )
    stride: values.SizeOrNone = Field(
        None, validate_default=True, description="Steps between windows. By default the size."
    )

    @field_validator("stride")
    @classmethod
    def _size_by_default(cls, stride: Any, info: ValidationInfo) -> Any:
        return info.data.get("size") if stride is None else stride


class MaxPoolSpec(_PoolSpec):
    """The largest value of each window."""

    type: Literal["maxpool"] = Field(description="The largest value of each window.")


class AvgPoolSpec(_PoolSpec):
    """The mean of each window."""

    type: Literal["avgpool"] = Field(description="The mean of each window.")


class FlattenSpec(LayerSpec):
    """An image becomes a vector. Implied where a dense layer follows an image."""

    needs_image = True
    makes_vector = True

    type: Literal["flatten"] = Field(description="An image becomes a vector.")


LAYERS: dict[str, type[LayerSpec]] = {
    "dense": DenseSpec,
    "conv": ConvSpec,
    "maxpool": MaxPoolSpec,
    "avgpool": AvgPoolSpec,
    "flatten": FlattenSpec,
}
WeightedLayerSpec = DenseSpec | ConvSpec

if TYPE_CHECKING:
    AnyLayer = LayerSpec
else:
    AnyLayer = union_by_type(LAYERS, "{type: dense, units: 10}")
