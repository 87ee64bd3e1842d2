"""The models of mappings within a spec's `train`."""

from typing import Annotated, Literal

from pydantic import Field

from nncli.spec import values
from nncli.spec.values import Model, word

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
