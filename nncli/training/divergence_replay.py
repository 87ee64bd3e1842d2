"""The last steps before a training diverged, taken once more for a record of them.

Nothing is recorded while a training goes well. The order of its samples follows from the seed and
the epoch, and each step from the one before, so from an earlier state the same steps lead to the
same numbers, to the bit.
"""

from collections import deque
from itertools import count, islice
from math import ceil
from typing import NamedTuple

import numpy as np

from nncli.nn.measures import LayerMeasures, measure, norm
from nncli.nn.step import Step
from nncli.nn.trace import Start
from nncli.training.checkpoint import State
from nncli.training.divergence import Fault, first_fault, forward_fault
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, DivergenceStep
from nncli.training.plan import Plan, Rows, Samples
from nncli.training.steps import StepRunner

REPLAYED_STEPS = 5  # in a record, at most


class StepStart(NamedTuple):
    """A step's number, η and samples, and what it starts from."""

    number: int
    eta: float
    rows: Rows
    start: Start


class LocatedFault(NamedTuple):
    """The first fault, and the rows of the mini-batch or block that it was found in."""

    fault: Fault
    rows: Rows
    samples: Samples


class Replay(NamedTuple):
    """What is needed to take a training's steps again.

    Attributes:
        runner: of the training; its network and optimizer are changed by a replay.
        evaluator: of the samples that are evaluated after an epoch.
        cost_limit: a mini-batch whose C is as large, or NaN, is a divergence.
        untrained: C of a network that has learnt nothing.
    """

    runner: StepRunner
    plan: Plan
    evaluator: Evaluator
    cost_limit: float
    untrained: float

    def divergence(self, start: State, until: int, cost: float) -> Divergence:
        """The first fault, and the steps that led to it.

        Args:
            start: a sound state, some steps before.
            until: the step after which the divergence was noticed.
            cost: the cost at which it was.
        """
        train = self.runner.train
        steps: list[DivergenceStep] = []
        found: tuple[int, LocatedFault] | None = None
        for number, eta, rows, step_start in self._last_steps(start, until):
            self.runner.restore(step_start)
            step, c = self.runner.run(rows, eta, number, full=True)
            steps.append(DivergenceStep(number, eta, c, _measures(step, c)))
            fault = first_fault(step, c, self.cost_limit)
            if fault is not None and found is None:
                found = number, LocatedFault(fault, rows, train)
        if found is None:  # the last update did it, as other samples have shown
            found = number, self._fault_after(step, rows)
        elif not c < self.cost_limit:
            cost = c
        number, (fault, rows, samples) = found
        return Divergence(
            epoch=(number - 1) // ceil(len(train.index) / self.plan.batch_size) + 1,
            step=number,
            cost=cost,
            untrained=self.untrained,
            layer=fault.layer,
            quantity=fault.quantity,
            unit=fault.unit,
            part="train" if samples is train else "validation",
            sample=int(np.searchsorted(samples.index, rows[fault.place])),
            largest=fault.largest,
            last_steps=tuple(steps),
        )

    def _fault_after(self, step: Step, rows: Rows) -> LocatedFault:
        """The fault after the last update: for the same samples, or for those then evaluated."""
        fault = first_fault(step, step.forward(), self.cost_limit)
        if fault is not None:
            return LocatedFault(fault, rows, self.runner.train)
        worst = np.argmax([cost for _, _, cost in self.evaluator.blocks()])  # NaN is the largest
        rows, step, _ = next(islice(self.evaluator.blocks(), int(worst), None))
        return LocatedFault(forward_fault(step), rows, self.evaluator.samples)

    def _last_steps(self, start: State, until: int) -> deque[StepStart]:
        """The last steps up to the first after which the network or its cost is unsound."""
        runner = self.runner
        network, index = runner.network, runner.train.index
        starts: deque[StepStart] = deque(maxlen=REPLAYED_STEPS)
        runner.restore(start.start)
        steps = self.plan.steps(index, start.epoch + 1, start.samples)
        for number, (eta, rows) in zip(count(start.steps_taken + 1), steps, strict=False):
            starts.append(StepStart(number, eta, rows, runner.start()))
            _, cost = runner.run(rows, eta, number, full=False)
            is_unsound = not cost < self.cost_limit or not network.is_finite()
            if is_unsound or number == until:
                return starts
        raise AssertionError("a plan's steps have no end")


def _measures(step: Step, cost: float) -> tuple[LayerMeasures, ...]:
    if np.isfinite(cost):
        return measure(step)
    # The step ended with its forward pass: gradients and updates are those of an earlier one.
    with np.errstate(over="ignore"):
        norms = [norm(x.parameters["weight"]) if x.parameters else None for x in step.layers]
    return tuple(
        LayerMeasures(layer.name, layer.placed.activation, weight_norm=size)
        for layer, size in zip(step.layers, norms, strict=True)
    )
