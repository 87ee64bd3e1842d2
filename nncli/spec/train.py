"""What is within a spec's `train`: the models of its mappings, and `shuffle`."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from nncli.spec import values
from nncli.spec.values import Model, unexpected, unknown_word, word, wrong


def _shuffle(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    if value == "blocks":
        return "blocks"
    if isinstance(value, str):
        raise unknown_word(value, ("true", "false", "blocks"))
    raise unexpected("true, false or blocks", value)


Shuffle = Annotated[
    bool | Literal["blocks"],
    PlainValidator(_shuffle),
    values.any_of({"type": "boolean"}, {"const": "blocks"}),
]
Metric = Literal["validation_cost", "validation_accuracy", "train_cost"]


class EarlyStopSpec(Model):
    """When a training ends before its last epoch."""

    patience: values.Count = Field(
        10, description="How many epochs in a row may bring no improvement."
    )
    metric: Annotated[Metric, word(Metric)] = Field(
        "validation_cost", description="What is to improve; the best weights are kept by it too."
    )
    min_delta: values.NotNegative = Field(
        0.0, description="An improvement is one by more than this."
    )


class ClipSpec(Model):
    """What gradients are clipped to: the norm of all of them together, or each entry."""

    norm: values.Positive | None = Field(
        None, description="The largest norm of the gradient of all parameters, as in PyTorch."
    )
    value: values.Positive | None = Field(
        None, description="The largest |∂C/∂w| of each parameter, as in PyTorch."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ClipSpec":
        if (self.norm is None) == (self.value is None):
            came = "neither" if self.norm is None else "both"
            raise wrong(f"expected one of norm and value, such as {{norm: 1.0}}, got {came}")
        return self

    @model_serializer(mode="wrap")
    def _the_one(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}
