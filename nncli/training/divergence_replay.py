"""The last steps before a training diverged, taken once more to be looked at.

Nothing is recorded while a training goes well. The order of its samples follows from the seed and
the epoch, and each step from the one before, so from a state that was kept the same steps lead to
the same place, to the bit.
"""

from collections import deque
from itertools import count, islice
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.measures import LayerMeasures, measure, norm
from nncli.nn.step import Step
from nncli.training.checkpoint import State
from nncli.training.divergence import Wrong, first_wrong, wrong_forward
from nncli.training.history import Divergence, FlightStep
from nncli.training.plan import Rows, Samples

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


class Found(NamedTuple):
    """What went wrong first, and the rows of the samples that it went wrong for."""

    wrong: Wrong
    rows: Rows
    samples: Samples


def flight_record(trainer: "Trainer", start: State, until: int, cost: float) -> Divergence:
    """What went wrong first, and the steps that led there.

    Args:
        start: a state that was sound, some steps before.
        until: the step at whose end the trouble was noticed.
        cost: what was noticed then.
    """
    flight: list[FlightStep] = []
    found: tuple[int, Found] | None = None
    for number, eta, rows, parameters, velocity in _last_steps(trainer, start, until):
        trainer.rewind(parameters, velocity)
        step, c = trainer.take(rows, eta, full=True)
        flight.append(FlightStep(number, eta, c, _measures(step, c)))
        wrong = first_wrong(step, c, trainer.cost_limit)
        if wrong is not None and found is None:
            found = number, Found(wrong, rows, trainer.train)
    if found is None:  # the last update did it, as other samples have shown
        found = number, _found_after(trainer, step, rows)
    elif not c < trainer.cost_limit:
        cost = c
    number, (wrong, rows, samples) = found
    return Divergence(
        epoch=(number - 1) // ceil(len(trainer.train.index) / trainer.plan.batch_size) + 1,
        step=number,
        cost=cost,
        untrained=trainer.untrained,
        layer=wrong.layer,
        quantity=wrong.quantity,
        unit=wrong.unit,
        part="train" if samples is trainer.train else "validation",
        sample=int(np.searchsorted(samples.index, rows[wrong.place])),
        largest=wrong.largest,
        flight=tuple(flight),
    )


def _found_after(trainer: "Trainer", step: Step, rows: Rows) -> Found:
    """What is wrong after the last update: for the same samples, or for those then evaluated."""
    wrong = first_wrong(step, step.forward(), trainer.cost_limit)
    if wrong is not None:
        return Found(wrong, rows, trainer.train)
    evaluator = trainer.evaluator
    worst = np.argmax([cost for _, _, cost in evaluator.passes()])  # NaN is the largest
    rows, step, _ = next(islice(evaluator.passes(), int(worst), None))
    return Found(wrong_forward(step), rows, evaluator.samples)


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
