"""What usually helps."""

import math

from nncli.spec import TrainSpec
from nncli.training.history import Divergence


def divergence_message(event: Divergence, settings: TrainSpec) -> str:
    """That a training diverged, where that began, and what to try."""
    cost = f"the cost is {event.cost}"
    if math.isfinite(event.cost):
        cost = f"the cost has grown to {event.cost:.3g}, untrained it was {event.untrained:.3g}"
    return (
        f"the training diverged in epoch {event.epoch}, at step {event.step}: {cost}\n"
        f"it began in {event.layer}: {_beginning(event)}\n"
        f"to try: {', '.join(_to_try(settings))}"
    )


def _beginning(event: Divergence) -> str:
    unit = "" if event.unit is None else f" of unit {event.unit}"
    if event.quantity == "cost" and event.largest is not None:
        sample = "" if event.sample is None else f" for sample {event.sample}"
        return f"z{unit} has grown to {event.largest:.3g}{sample}"
    shares = event.quantity.startswith(("weight", "bias"))  # each sample has one in these
    sample = f"sample {event.sample} has the largest share" if shares else f"sample {event.sample}"
    finite = "" if event.largest is None else f"; its largest finite entry is {event.largest:.3g}"
    return f"{event.quantity}{unit} is no longer finite ({sample}){finite}"


def _to_try(settings: TrainSpec) -> list[str]:
    eta = min(settings.eta / 10, 0.1)
    advice = [
        f"a smaller train.eta than {settings.eta:g} (--set train.eta={eta:g})",
        "inputs of about 1 (data.scale: standard)",
        "smaller initial weights (init)",
    ]
    if settings.momentum > 0.9:
        advice.append(f"less momentum than {settings.momentum:g}")
    if settings.weight_decay * settings.eta > 1:
        advice.insert(0, "train.weight_decay times eta below 1")
    return advice
