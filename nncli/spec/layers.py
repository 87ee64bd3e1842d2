"""The layers of a spec: a model a kind, in one list.

`LAYERS` holds them all: the union, its tags, the checks and the messages follow from it. Their keys
and defaults are those of the kinds in `nncli.nn.layers`, which a test compares.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
)

from nncli.core.text import count_of, join_words
from nncli.nn.activations import ACTIVATIONS, DEFAULT, ELEMENTWISE, MIXING, PARAMETERS, Parameter
from nncli.nn.initialisers import INITIALISERS, default_words
from nncli.nn.layers import PADDING_MODES
from nncli.spec import inline, values
from nncli.spec.values import Model, union_by_type, wrong

# The words of the engine's tables.
_ACTIVATIONS, _INITIALISERS = tuple(ACTIVATIONS), tuple(INITIALISERS)
Activation = Annotated[str, values.among(_ACTIVATIONS), values.enum(_ACTIVATIONS)]
ConvActivation = Annotated[str, values.among(_ACTIVATIONS), values.enum(ELEMENTWISE)]
Init = Annotated[str, values.among(_INITIALISERS), values.enum(_INITIALISERS)]


PaddingMode = Annotated[str, values.among(PADDING_MODES), values.enum(PADDING_MODES)]

PARTS = ("weight", "bias")


def _freeze(value: Any) -> Literal[False] | tuple[str, ...]:
    if value is True or value is False:
        return PARTS if value else False
    if isinstance(value, str):
        value = (value,)
    items = values.listed(value)
    if items is None:
        raise values.unexpected("true, false, or [bias] or [weight]", value)
    for i, item in enumerate(items):
        if item not in PARTS:
            raise values.unknown_word(item, PARTS, (i,))
    parts = tuple(part for part in PARTS if part in items)
    return parts if parts else False


Freeze = Annotated[
    Literal[False] | tuple[str, ...],
    PlainValidator(_freeze),
    values.any_of(
        {"type": "boolean"}, {"type": "array", "items": {"enum": [*PARTS]}, "uniqueItems": True}
    ),
    Field(description="What is not trained: true, [bias] or [weight]. By default all is trained."),
]


class LayerSpec(Model):
    """What every kind of layer has."""

    type: str  # first among the keys; each kind has its own word

    def frozen_parts(self) -> tuple[str, ...]:
        """Which of `weight` and `bias` is not trained, of those that it has."""
        frozen: Any = getattr(self, "freeze", False) or ()
        has_bias = getattr(self, "bias", True) is not False
        return tuple(part for part in frozen if part == "weight" or has_bias)


class WeightedLayerSpec(LayerSpec):
    """A layer with weights and an activation.

    `_with_activation_keys` gives it a key for each parameter that an activation has; it is None
    where the layer's own activation does not have it.
    """

    if TYPE_CHECKING:
        activation: str
        bias: Any
        weights: Any
        init: str | None

    @property
    def activation_parameters(self) -> tuple[float, ...]:
        """Of its activation, in the order of its row."""
        keys = (p.key for p in ACTIVATIONS[self.activation].parameters)
        return tuple(getattr(self, key) for key in keys)

    @model_serializer(mode="wrap")
    def _without_keys_of_others(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        return {k: v for k, v in dump.items() if k not in PARAMETERS or v is not None}


class DenseSpec(WeightedLayerSpec):
    """A fully connected layer: z = a W + b."""

    type: Literal["dense"] = Field(description="A fully connected layer.")
    units: values.Count = Field(description="How many units.", examples=[10])
    activation: Activation = Field(
        DEFAULT,
        description=f"σ, what a = σ(z) is made by. {join_words(MIXING)} only in the last layer, "
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
    init: Init | None = Field(
        None, description=f"How weights are drawn. By default {default_words()}."
    )
    freeze: Freeze = False

    @field_validator("bias")
    @classmethod
    def _bias_for_each_unit(cls, bias: Any, info: ValidationInfo) -> Any:
        return _one_bias_each(bias, info.data.get("units"), "unit")

    @field_validator("weights")
    @classmethod
    def _column_for_each_unit(cls, weights: Any, info: ValidationInfo) -> Any:
        units = info.data.get("units")
        if isinstance(weights, tuple) and units is not None and len(weights[0]) != units:
            message = f"expected {count_of(units, 'column')}, one for each unit"
            raise wrong(f"{message}, got {len(weights[0])}")
        return weights


class ConvSpec(WeightedLayerSpec):
    """A convolutional layer: cross-correlation with each filter, plus its bias."""

    type: Literal["conv"] = Field(description="A convolutional layer.")
    filters: values.Count = Field(description="How many filters.", examples=[8])
    kernel: values.Size = Field(
        description="A filter's size: an integer or [rows, columns].", examples=[3]
    )
    stride: values.Size = Field((1, 1), description="Steps between windows.")
    padding: values.Padding = Field(
        "valid",
        description="Zeros around the image: valid (none), same, or how many: all around, [rows, "
        "columns], or [[above, below], [left, right]]. At strides above 1 same pads as PyTorch "
        "does; same_upper pads as TensorFlow does.",
    )
    dilation: values.Size = Field((1, 1), description="Steps between the entries of a window.")
    groups: values.Count = Field(
        1,
        description="Into how many groups channels and filters are parted; the filters of a group "
        "see its channels only. As many as channels: a depthwise convolution.",
    )
    activation: ConvActivation = Field(
        DEFAULT,
        description="σ, what a = σ(z) is made by. "
        f"{join_words(MIXING)} has no place in a conv layer.",
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
    init: Init | None = Field(
        None, description=f"How weights are drawn. By default {default_words()}."
    )
    freeze: Freeze = False

    padding_mode: PaddingMode = Field(
        "zeros",
        description="What padding holds: zeros, or cells of the image that it repeats, as PyTorch "
        "has it.",
    )

    @field_validator("groups")
    @classmethod
    def _filters_for_each_group(cls, groups: int, info: ValidationInfo) -> int:
        filters = info.data.get("filters")
        if filters is not None and filters % groups:
            message = f"{count_of(filters, 'filter')} cannot be parted into {groups} equal groups"
            raise wrong(f"{message}; expected a divisor of {filters}")
        return groups

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
    return f"{count_of(shape[0], 'filter')} of {shape[1]} x {shape[2]}"


def _one_bias_each(bias: Any, wanted: int | None, noun: str) -> Any:
    if isinstance(bias, tuple) and wanted is not None and len(bias) != wanted:
        numbers = count_of(wanted, "number")
        raise wrong(f"expected {numbers}, one for each {noun}, got {len(bias)}")
    return bias


class _PoolSpec(LayerSpec):
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

    padding: values.Padding = Field(
        "valid",
        description="Padding around the image, as a conv layer has it: that of a maxpool is never "
        "the largest, that of an avgpool is zeros.",
    )
    ceil_mode: values.Flag = Field(
        False,
        description="Whether what the stride leaves over has a window too, which reaches beyond "
        "the image and its padding; as PyTorch does.",
    )


class MaxPoolSpec(_PoolSpec):
    """The largest value of each window."""

    type: Literal["maxpool"] = Field(description="The largest value of each window.")
    dilation: values.Size = Field((1, 1), description="Steps between the cells of a window.")


class AvgPoolSpec(_PoolSpec):
    """The mean of each window."""

    type: Literal["avgpool"] = Field(description="The mean of each window.")
    count_include_pad: values.Flag = Field(
        True,
        description="Whether zeros of the padding count in the mean; else it is that of the cells "
        "of the image.",
    )


class GlobalAvgPoolSpec(LayerSpec):
    """The mean of each channel, whatever the size of the image."""

    type: Literal["global_avgpool"] = Field(description="The mean of each channel.")


class FlattenSpec(LayerSpec):
    """An image becomes a vector. Implied where a dense layer follows an image."""

    type: Literal["flatten"] = Field(description="An image becomes a vector.")


class DropoutSpec(LayerSpec):
    """In training each unit is left out with some probability."""

    type: Literal["dropout"] = Field(
        description="In training each unit is 0 with a probability, else divided by the rest of 1."
    )
    rate: values.Rate = Field(0.5, description="How likely a unit is left out.")


def _with_activation_keys(model: type[Any]) -> type[Any]:
    """`model` and, behind its own fields, one for each parameter that an activation has."""
    fields: dict[str, Any] = {
        p.key: (
            Annotated[
                float | None,
                values.number_or_none(p.least, p.most),
                values.range_schema(p.least, p.most),
            ],
            Field(None, validate_default=True, description=_of_activation(p)),
        )
        for p in PARAMETERS.values()
    }
    if not fields:
        return model

    def fill(cls: Any, value: float | None, info: ValidationInfo) -> float | None:
        """The parameter's default, where the layer's activation has the parameter."""
        row = ACTIVATIONS.get(info.data.get("activation", ""))
        of_row = {p.key: p.default for p in row.parameters} if row is not None else {}
        return of_row.get(str(info.field_name)) if value is None else value

    validator: Any = field_validator(*fields)(classmethod(fill))
    return create_model(
        model.__name__,
        __base__=model,
        __doc__=model.__doc__,
        __module__=model.__module__,
        __validators__={"fill": validator},
        **fields,
    )


def _of_activation(parameter: Parameter) -> str:
    owners = [row.name for row in ACTIVATIONS.values() if parameter in row.parameters]
    return f"Of {join_words(owners)}: {parameter.description} By default {parameter.default:g}."


if not TYPE_CHECKING:
    DenseSpec, ConvSpec = map(_with_activation_keys, (DenseSpec, ConvSpec))


class BatchNormSpec(LayerSpec):
    """Each unit, or channel of an image, normalised over the mini-batch, then scaled."""

    type: Literal["batchnorm"] = Field(
        description="Each unit, or channel of an image, normalised over the mini-batch, then "
        "scaled: γ x̂ + β."
    )
    epsilon: values.Positive = Field(
        1e-5, description="Added to the variance, so that none is divided by 0."
    )
    momentum: values.Share = Field(
        0.1,
        description="The share of a mini-batch's mean and variance in the running ones, by which "
        "a trained network normalises.",
    )
    freeze: Freeze = False


LAYERS: dict[str, type[LayerSpec]] = {
    "dense": DenseSpec,
    "conv": ConvSpec,
    "maxpool": MaxPoolSpec,
    "avgpool": AvgPoolSpec,
    "global_avgpool": GlobalAvgPoolSpec,
    "flatten": FlattenSpec,
    "dropout": DropoutSpec,
    "batchnorm": BatchNormSpec,
}

if TYPE_CHECKING:
    AnyLayer = LayerSpec
else:
    AnyLayer = union_by_type(LAYERS, "{type: dense, units: 10}")
