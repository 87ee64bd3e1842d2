"""The models of a spec's `train.schedule`: how η changes from epoch to epoch."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nncli.core.text import count_of
from nncli.spec import values
from nncli.spec.train import Metric
from nncli.spec.values import Model, union_by_type, unknown_word, word, wrong


class ScheduleSpec(Model):
    """How η changes from epoch to epoch; one model for each of `nncli.nn.optimizers.SCHEDULES`."""

    type: str

    def settings(self, epochs: int) -> dict[str, Any]:
        """Those of the engine's schedule, in a training of so many epochs."""
        return self.model_dump(exclude={"type"})

    def note(self, epochs: int) -> tuple[str, str] | None:
        """A key, and what there is to say of it in a training of so many epochs."""
        return None


class ConstantSchedule(ScheduleSpec):
    """η stays as it is."""

    type: Literal["constant"] = Field(description="η stays as it is.")


class StepSchedule(ScheduleSpec):
    """η is multiplied by gamma every `step_size` epochs."""

    type: Literal["step"] = Field(description="η times gamma every step_size epochs.")
    step_size: values.Count = Field(description="Epochs from one step to the next.", examples=[10])
    gamma: values.Decay = Field(0.1, description="The factor.")


class ExponentialSchedule(ScheduleSpec):
    """η is multiplied by gamma every epoch."""

    type: Literal["exponential"] = Field(description="η times gamma every epoch.")
    gamma: values.Decay = Field(description="The factor.", examples=[0.95])


class CosineSchedule(ScheduleSpec):
    """η falls to `eta_min` along half a cosine."""

    type: Literal["cosine"] = Field(description="η falls to eta_min along half a cosine.")
    eta_min: values.NotNegative = Field(0.0, description="Where η ends.")
    t_max: values.Count | None = Field(
        None, description="Epochs until η has come to eta_min. By default all of them."
    )

    def settings(self, epochs: int) -> dict[str, Any]:
        return super().settings(epochs) | {"t_max": self.t_max or epochs}

    def note(self, epochs: int) -> tuple[str, str] | None:
        if self.t_max is None or self.t_max >= epochs - 1:
            return None
        return (
            "t_max",
            f"after {count_of(self.t_max, 'epoch')} η has come to {self.eta_min:g}, and then it "
            f"rises again; the training has {epochs:,}",
        )


class LinearSchedule(ScheduleSpec):
    """η goes from one share of it to another, then stays: a warm-up."""

    type: Literal["linear"] = Field(
        description="η from start_factor to end_factor of it, evenly: a warm-up."
    )
    start_factor: values.Decay = Field(1 / 3, description="The share of η in the first epoch.")
    end_factor: values.Share = Field(1.0, description="The share of η after total_iters epochs.")
    total_iters: values.Count = Field(5, description="Epochs until end_factor is reached.")


class OneCycleSchedule(ScheduleSpec):
    """η rises to its value, then falls to next to nothing."""

    type: Literal["one_cycle"] = Field(description="Up to η and down again, along half cosines.")
    pct_start: values.Share = Field(0.3, description="The share of the epochs in which η rises.")
    div_factor: values.Positive = Field(25.0, description="It begins with η divided by this.")
    final_div_factor: values.Positive = Field(
        1e4, description="It ends with the first value divided by this."
    )
    total_steps: values.Count | None = Field(
        None, description="Epochs that the cycle takes. By default all of them."
    )

    def settings(self, epochs: int) -> dict[str, Any]:
        return super().settings(epochs) | {"total_steps": self.total_steps or epochs}


class PlateauSchedule(ScheduleSpec):
    """η falls when a metric gets no better."""

    type: Literal["plateau"] = Field(description="η times factor when a metric gets no better.")
    metric: Annotated[Metric, word(Metric)] = Field(
        "validation_cost", description="What is to get better."
    )
    factor: values.Rate = Field(0.1, description="The factor.")
    patience: values.CountOrZero = Field(
        10, description="How many epochs in a row may be no better than the best."
    )
    threshold: values.NotNegative = Field(
        1e-4, description="Better is by more than this share of the best."
    )
    cooldown: values.CountOrZero = Field(0, description="Epochs after it that do not count.")
    eta_min: values.NotNegative = Field(0.0, description="η does not fall below this.")

    def settings(self, epochs: int) -> dict[str, Any]:
        larger = self.metric == "validation_accuracy"
        return super().settings(epochs) | {"larger_is_better": larger}


SCHEDULES: dict[str, type[ScheduleSpec]] = {
    "constant": ConstantSchedule,
    "step": StepSchedule,
    "exponential": ExponentialSchedule,
    "cosine": CosineSchedule,
    "linear": LinearSchedule,
    "one_cycle": OneCycleSchedule,
    "plateau": PlateauSchedule,
}


def _constant_by_word(value: Any) -> Any:
    if value == "constant":
        return {"type": "constant"}
    if isinstance(value, str) and value in SCHEDULES:
        raise wrong(f"expected a mapping such as {{type: {value}, ...}}, got the word '{value}'")
    if isinstance(value, str):
        raise unknown_word(value, tuple(SCHEDULES))
    return value


if TYPE_CHECKING:
    Schedule = ScheduleSpec
else:
    Schedule = Annotated[
        union_by_type(SCHEDULES, "{type: step, step_size: 10}"), BeforeValidator(_constant_by_word)
    ]
