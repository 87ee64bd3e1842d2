"""The models of a spec's `train`: the optimizer, the schedule of η, and all else."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from nncli.core.text import join_words
from nncli.nn.costs import COSTS, activations_of
from nncli.spec import inline, values
from nncli.spec.values import Model, union_by_type, unknown_word, word, wrong

_COSTS = tuple(dict.fromkeys(row.name for row in COSTS))
Cost = Annotated[str, values.among(_COSTS), values.enum(_COSTS)]
Layout = Literal["nncli", "pytorch"]


class ConstantSchedule(Model):
    """η stays as it is."""

    type: Literal["constant"] = Field(description="η stays as it is.")


class StepSchedule(Model):
    """η is multiplied by gamma every `step_size` epochs."""

    type: Literal["step"] = Field(description="η times gamma every step_size epochs.")
    step_size: values.Count = Field(description="Epochs from one step to the next.", examples=[10])
    gamma: values.Decay = Field(0.1, description="The factor.")


class ExponentialSchedule(Model):
    """η is multiplied by gamma every epoch."""

    type: Literal["exponential"] = Field(description="η times gamma every epoch.")
    gamma: values.Decay = Field(description="The factor.", examples=[0.95])


class CosineSchedule(Model):
    """η falls to `eta_min` along half a cosine."""

    type: Literal["cosine"] = Field(description="η falls to eta_min along half a cosine.")
    eta_min: values.NotNegative = Field(0.0, description="Where η ends.")
    t_max: values.Count | None = Field(
        None, description="Epochs until η has come to eta_min. By default all of them."
    )


SCHEDULES: dict[str, type[Model]] = {
    "constant": ConstantSchedule,
    "step": StepSchedule,
    "exponential": ExponentialSchedule,
    "cosine": CosineSchedule,
}
Schedule = ConstantSchedule | StepSchedule | ExponentialSchedule | CosineSchedule


def _constant_by_word(value: Any) -> Any:
    if value == "constant":
        return {"type": "constant"}
    if isinstance(value, str) and value in SCHEDULES:
        raise wrong(f"expected a mapping such as {{type: {value}, ...}}, got the word '{value}'")
    if isinstance(value, str):
        raise unknown_word(value, tuple(SCHEDULES))
    return value


if TYPE_CHECKING:
    _Schedule = Schedule
else:
    _Schedule = Annotated[
        union_by_type(SCHEDULES, "{type: step, step_size: 10}"), BeforeValidator(_constant_by_word)
    ]


_COST = (
    "What is made small: quadratic, ½‖a − y‖², for any outputs; or cross_entropy, for "
    f"{join_words(activations_of('cross_entropy'))} outputs."
)


SGD_KEYS = ("momentum", "nesterov")  # of the training, with no meaning for other optimizers


class SgdSpec(Model):
    """Stochastic gradient descent."""

    type: Literal["sgd"] = Field(description="Stochastic gradient descent.")


class AdamSpec(Model):
    """Adam, with the meaning that PyTorch gives it."""

    type: Literal["adam"] = Field(description="Adam: each weight has a pace of its own.")
    beta1: values.Momentum = Field(0.9, description="How much of the mean of gradients stays.")
    beta2: values.Momentum = Field(0.999, description="How much of the mean of squares stays.")
    epsilon: values.Positive = Field(1e-8, description="Keeps the division from 0.")


OPTIMIZERS: dict[str, type[Model]] = {"sgd": SgdSpec, "adam": AdamSpec}
OptimizerSpec = SgdSpec | AdamSpec


def _type_by_word(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


if TYPE_CHECKING:
    _Optimizer = OptimizerSpec
else:
    _Optimizer = Annotated[
        union_by_type(OPTIMIZERS, "{type: adam, beta1: 0.9}"), BeforeValidator(_type_by_word)
    ]


class TrainSpec(Model):
    """How the network is trained."""

    eta: values.Positive = Field(
        description="The learning rate η; the key may also be written η.", examples=[0.5]
    )
    epochs: values.Count = Field(30, description="How often the training data is gone through.")
    batch_size: values.Count = Field(10, description="Samples in a mini-batch.")
    cost: Cost = Field("quadratic", description=_COST)
    optimizer: _Optimizer = Field(
        SgdSpec(type="sgd"), description="What makes a step of a gradient. By default sgd."
    )
    momentum: values.Momentum = Field(0.0, description="Momentum, as in PyTorch's SGD.")
    nesterov: values.Flag = Field(
        False, description="Whether momentum looks ahead, as in PyTorch's SGD."
    )
    weight_decay: values.NotNegative = Field(
        0.0, description="Weight decay, added to the gradient as in PyTorch."
    )
    decoupled_weight_decay: values.NotNegative = Field(
        0.0, description="Weight decay behind momentum, not through it, as in PyTorch's AdamW."
    )
    shuffle: values.Flag = Field(True, description="Whether each epoch has an order of its own.")
    threads: values.Threads = Field(
        "auto", description="How many threads share the work. By default as many as are worth it."
    )
    schedule: _Schedule = Field(
        ConstantSchedule(type="constant"), description="How η changes from epoch to epoch."
    )
    init_from: inline.PathOrNone = Field(
        None,
        description="An .npz or .safetensors file, or a run folder: what all layers start from.",
    )
    weights_layout: Annotated[Layout, word(Layout)] = Field(
        "nncli",
        description="How dense weights lie in files: nncli's inputs x units, or pytorch's "
        "outputs x inputs.",
    )

    @model_serializer(mode="wrap")
    def _without_keys_of_other_optimizers(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        foreign = () if self.optimizer.type == "sgd" else SGD_KEYS
        return {key: value for key, value in dump.items() if key not in foreign}
