"""The models of a spec's `train.schedule`: how η changes from epoch to epoch."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nncli.core.text import count_of
from nncli.spec import values
from nncli.spec.values import Model, union_by_type, unknown_word, wrong


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


SCHEDULES: dict[str, type[ScheduleSpec]] = {
    "constant": ConstantSchedule,
    "step": StepSchedule,
    "exponential": ExponentialSchedule,
    "cosine": CosineSchedule,
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
