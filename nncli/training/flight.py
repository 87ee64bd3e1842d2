"""The last steps before a training diverged, taken once more to be looked at.

Nothing is recorded while a training goes well. The order of its samples follows from the seed and
the epoch, and each step from the one before, so from a state that was kept the same steps lead to
the same place, to the bit.
"""

from collections import deque
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.measures import LayerMeasures, measure, norm
from nncli.nn.step import Step
from nncli.training.divergence import Wrong, first_wrong, largest_z
from nncli.training.history import Divergence, FlightStep
from nncli.training.samples import Rows
from nncli.training.state import State

if TYPE_CHECKING:
    from nncli.training.trainer import Trainer

FLIGHT = 5  # steps in a record


class Taken(NamedTuple):
    """A step, and how things stood before it."""

    number: int
    eta: float
    rows: Rows
    parameters: Array
    velocity: Array | None


def flight_record(trainer: "Trainer", start: State, until: int, cost: float) -> Divergence:
    """What went wrong first, and the steps that led there.

    Args:
        start: a state that was sound, some steps before.
        until: the step at whose end the trouble was noticed.
        cost: what was noticed then.
    """
    flight: list[FlightStep] = []
    found: tuple[int, Wrong, Rows] | None = None
    for number, eta, rows, parameters, velocity in _last_steps(trainer, start, until):
        trainer.rewind(parameters, velocity)
        step, c = trainer.take(rows, eta, full=True)
        flight.append(FlightStep(number, eta, c, _measures(step, c)))
        wrong = first_wrong(step, c, trainer.cost_limit)
        if wrong is not None and found is None:
            found = number, wrong, rows
    if found is None:  # the last update did it, as other samples have shown
        wrong = first_wrong(step, step.forward(), trainer.cost_limit)
        found = number, wrong or Wrong(step.last.name, "cost", largest=largest_z(step)), rows
    elif not c < trainer.cost_limit:
        cost = c
    number, wrong, rows = found
    index = trainer.train.index
    return Divergence(
        epoch=(number - 1) // ceil(len(index) / trainer.plan.batch_size) + 1,
        step=number,
        cost=cost,
        untrained=trainer.untrained,
        layer=wrong.layer,
        quantity=wrong.quantity,
        unit=wrong.unit,
        sample=None if wrong.place is None else int(np.searchsorted(index, rows[wrong.place])),
        largest=wrong.largest,
        flight=tuple(flight),
    )


def _last_steps(trainer: "Trainer", start: State, until: int) -> deque[Taken]:
    """The last steps up to the first that left the network or its cost unsound."""
    network, sgd, index = trainer.network, trainer.sgd, trainer.train.index
    taken: deque[Taken] = deque(maxlen=FLIGHT)
    trainer.rewind(start.parameters, start.velocity)
    steps = trainer.plan.steps(index, start.epoch + 1, start.samples)
    for number, (eta, rows) in zip(count(start.steps_taken + 1), steps, strict=False):
        velocity = None if sgd.velocity is None else sgd.velocity.copy()
        taken.append(Taken(number, eta, rows, network.parameters.copy(), velocity))
        _, cost = trainer.take(rows, eta, full=False)
        unsound = not cost < trainer.cost_limit or not np.isfinite(network.parameters).all()
        if unsound or number == until:
            return taken
    raise AssertionError("a plan's steps have no end")


def _measures(step: Step, cost: float) -> tuple[LayerMeasures, ...]:
    if np.isfinite(cost):
        return measure(step)
    # The step ended with its forward pass; what lies behind is of an earlier one.
    with np.errstate(over="ignore"):
        norms = [norm(x.parameters["weight"]) if x.parameters else None for x in step.layers]
    return tuple(
        LayerMeasures(layer.name, layer.placed.activation, weight_norm=size)
        for layer, size in zip(step.layers, norms, strict=True)
    )
