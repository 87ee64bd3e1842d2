"""What usually helps."""

import math

from nncli.spec import Spec
from nncli.training.history import Divergence


def divergence_message(event: Divergence, spec: Spec) -> str:
    """That a training diverged, where that began, and what to try."""
    held_back = event.part == "validation"
    cost = f"the cost{' of the validation data' if held_back else ''}"
    if math.isfinite(event.cost):
        cost += f" has grown to {event.cost:.3g}, untrained it was {event.untrained:.3g}"
    else:
        cost += f" is {event.cost}"
    return (
        f"the training diverged in epoch {event.epoch}, at step {event.step}: {cost}\n"
        f"it began in {_beginning(event)}\n"
        f"to try: {', '.join(_to_try(event, spec))}"
    )


def _beginning(event: Divergence) -> str:
    unit, sample = f"of unit {event.unit}", _sample(event)
    if event.quantity == "target":
        return f"the data: the target {unit} is {event.largest:.3g} for {sample}"
    if event.quantity == "cost":
        return f"{event.layer}: z {unit} has grown to {event.largest:.3g} for {sample}"
    shares = event.quantity.startswith(("weight", "bias"))  # each sample has one in these
    sample += " has the largest share" if shares else ""
    finite = "" if event.largest is None else f"; its largest finite entry is {event.largest:.3g}"
    return f"{event.layer}: {event.quantity} {unit} is no longer finite ({sample}){finite}"


def _sample(event: Divergence) -> str:
    of = " of the validation data" if event.part == "validation" else ""
    return f"sample {event.sample}{of}"


def _to_try(event: Divergence, spec: Spec) -> list[str]:
    if event.quantity == "target":
        return ["a look at that target", "targets of about 1 (scale them in the data)"]
    settings = spec.train
    eta = min(settings.eta / 10, 0.1)
    advice = [f"a smaller train.eta than {settings.eta:g} (--set train.eta={eta:g})"]
    if spec.data.scale not in ("standard", "minmax"):
        advice.append("inputs of about 1 (data.scale: standard)")
    advice.append("smaller initial weights (init)")
    if settings.momentum > 0.9:
        advice.append(f"less momentum than {settings.momentum:g}")
    if settings.weight_decay * settings.eta > 1:
        advice.insert(0, "train.weight_decay times eta below 1")
    if event.part == "validation":
        advice.insert(0, f"a look at {_sample(event)}")
    return advice
