"""The conditions of a training, looked at while it goes on.

A `Watch` is given every step, keeps what it needs of it (`step_recorder`) and looks at a block of
steps at once. So it notices some steps late; where a condition needs the step itself, the trainer
takes it once more.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from time import perf_counter
from typing import Any

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.network import first_with_parameters
from nncli.nn.step import Step
from nncli.training.conditions import (
    Cause,
    Condition,
    Failure,
    Needs,
    Reading,
    Term,
    causes,
    evaluate,
)
from nncli.training.history import Epoch
from nncli.training.step_recorder import Keep, StepRecorder, reading_of
from nncli.training.steps import Plan, SampleSet
from nncli.training.tallies import Outcome, Tally, TallyState

LOOK_INTERVAL = 0.5  # seconds from one look to the next, unless there is no room for more steps


class Cadence:
    """The conditions that are looked at every so many steps, and what is kept for them."""

    def __init__(self, every: int, tallies: list[Tally]) -> None:
        self.every, self.tallies = every, tallies
        self.needs = Needs.of(tally.condition.tree for tally in tallies)
        self.recorders: dict[int, StepRecorder] = {}
        self.recorder: StepRecorder | None = None

    def open(self, step: Step) -> Keep:
        """What keeps steps of a workspace."""
        if step.n not in self.recorders:
            self.recorders[step.n] = StepRecorder(step, self.needs)
        self.recorder = self.recorders[step.n]
        return self.recorder.keep


class Watch:
    """Conditions, and what has become of each.

    Attributes:
        tallies: one a condition, in their order.
        needs_full: whether a condition is read from what an update does not need (`Step.run`).
        stride: steps from one that something is kept of to the next; 0: there is nothing to keep.
        noticed: failures that nothing has been done about yet, in the order of their steps.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        plan: Plan,
        train: SampleSet,
        untrained: float,
        step: Step,
    ) -> None:
        """
        Args:
            step: a workspace of the training.
        """
        self.plan, self.train, self.untrained = plan, train, untrained
        self.tallies = [Tally(condition) for condition in conditions]
        self.noticed: list[Failure] = []
        self._looked = perf_counter()
        self._size = 0  # samples in a mini-batch of the workspace that steps are kept of
        of_steps = [t for t in self.tallies if t.condition.at == "step"]
        of_steps.sort(key=lambda tally: tally.condition.every)
        self.cadences = [
            Cadence(every, list(group))
            for every, group in groupby(of_steps, key=lambda tally: tally.condition.every)
        ]
        self.stride = math.gcd(*(cadence.every for cadence in self.cadences))
        self._of_epochs = [t for t in self.tallies if t.condition.at != "step"]
        self._epoch_needs = Needs.of(tally.condition.tree for tally in self._of_epochs)
        self.needs_full = any(_needs_full(cadence.needs, step) for cadence in self.cadences)

    # Steps

    def open(self, step: Step, number: int) -> Keep:
        """What keeps steps of a workspace, of which `number` have been taken.

        It is to be called at each multiple of `stride`, and says whether it is time to `look`.
        """
        if step.n != self._size:  # what was kept of others is looked at before
            self.look(number)
            self._size = step.n
        keeps = [(cadence.every, cadence.open(step)) for cadence in self.cadences]
        if len(keeps) == 1:
            return keeps[0][1]

        def keep(number: int, cost: float) -> bool:
            is_full = False
            for every, keep_step in keeps:
                if number % every == 0 and keep_step(number, cost):
                    is_full = True
            return is_full

        return keep

    def is_late(self) -> bool:
        """Whether the last look was some time ago.

        A look takes long for what it does, since all that it runs has left the processor's cache.
        """
        return perf_counter() - self._looked > LOOK_INTERVAL

    def look(self, number: int) -> bool:
        """Looks at what was kept of the steps up to `number`; whether anything was noticed.

        To be called within an `np.errstate` that ignores all.
        """
        self._looked = perf_counter()
        for cadence in self.cadences:
            recorder = cadence.recorder
            if recorder is None or not recorder.costs:
                continue
            count = len(recorder.costs)
            last = number - number % cadence.every
            numbers = last - cadence.every * np.arange(count - 1, -1, -1)
            epoch = self.plan.epoch_of(int(numbers[-1]), len(self.train.index))
            known: dict[str, Array | float] = {
                "step": numbers.astype(np.float64),
                "epoch": float(epoch),
                "eta": self.plan.eta_in(epoch),
                "untrained_cost": self.untrained,
            }
            reading = recorder.reading(known)
            for tally in cadence.tallies:
                self._look_at(tally, reading, numbers)
            recorder.forget()
        self.noticed.sort(key=lambda failure: failure.step)
        return bool(self.noticed)

    def _look_at(self, tally: Tally, reading: Reading, numbers: Array) -> None:
        condition = tally.condition
        held = evaluate(condition.tree, reading)
        begun = 0
        if numbers[0] <= condition.after:
            begun = int(np.searchsorted(numbers, condition.after, side="right"))
        for k in tally.count(held[begun:]):
            one = reading.part(begun + k, begun + k + 1)
            self._notice(tally, one, int(numbers[begun + k]))

    # Epochs

    def complete(self, epoch: Epoch, step: Step, number: int, cost: float, *, is_end: bool) -> None:
        """Looks at the end of an epoch, whose last step `number` is in the workspace `step`.

        Args:
            is_end: whether the training ends with it.
        """
        due = [tally for tally in self._of_epochs if _is_due(tally.condition, epoch.epoch, is_end)]
        if not due:
            return
        numbers: dict[str, Any] = {
            key: value for key, value in vars(epoch).items() if isinstance(value, float)
        }
        numbers |= {
            "step": float(number),
            "epoch": float(epoch.epoch),
            "eta": epoch.eta,
            "cost": cost,
            "untrained_cost": self.untrained,
        }
        reading = reading_of(step, self._epoch_needs, numbers)
        with np.errstate(all="ignore"):
            for tally in due:
                if tally.condition.at == "end":  # of a training that may have been lengthened
                    tally.restore(None)
                for _ in tally.count(evaluate(tally.condition.tree, reading)):
                    self._notice(tally, reading, number)

    # What is noticed

    def _notice(self, tally: Tally, reading: Reading, number: int) -> None:
        condition = tally.condition
        failure = Failure(
            key=condition.key,
            that=condition.that,
            step=number,
            epoch=self.plan.epoch_of(number, len(self.train.index)),
            terms=tuple(self._term(cause, number) for cause in causes(condition.tree, reading)),
            at=condition.at,
            in_a_row=condition.in_a_row,
            actions=condition.actions,
            stops=condition.stops,
        )
        tally.first = tally.first or failure
        self.noticed.append(failure)

    def _term(self, cause: Cause, number: int) -> Term:
        term, place = cause
        if place is None:
            return term
        rows = self.plan.rows_of(number, self.train.index)
        sample = int(np.searchsorted(self.train.index, rows[place]))
        return Term(**{**vars(term), "sample": sample})

    def take(self) -> list[Failure]:
        """The failures that were noticed, up to one that stops the training; each once."""
        taken, self.noticed = self.noticed, []
        stop = next((k for k, failure in enumerate(taken) if failure.stops), len(taken))
        return taken[: stop + 1]

    # Over interruptions

    def state(self) -> tuple[TallyState, ...]:
        """What has become of all conditions, as plain data. There is nothing kept by now."""
        return tuple(tally.state() for tally in self.tallies)

    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(tally.outcome() for tally in self.tallies)

    def restore(self, states: Sequence[TallyState]) -> None:
        """Goes on from `state`; a condition that is not in it begins anew."""
        known = {tuple(state["condition"]): state for state in states}
        for tally in self.tallies:
            tally.restore(known.get(tally.condition.identity))
        for cadence in self.cadences:
            for recorder in cadence.recorders.values():
                recorder.forget()
        self.noticed = []


def _is_due(condition: Condition, epoch: int, is_end: bool) -> bool:
    if condition.at == "end":
        return is_end
    return epoch > condition.after and epoch % condition.every == 0


def _needs_full(needs: Needs, step: Step) -> bool:
    """Whether some of it is filled in by `Step.run(full=True)` alone."""
    layers = step.network.layers
    first = first_with_parameters(layers)
    for layer, key in (*needs.arrays, *needs.norms):
        if layer is None:
            continue
        k = next(k for k, placed in enumerate(layers) if placed.name == layer)
        own = {quantity.key for quantity in layers[k].layer.quantities}
        if key == "upstream" and k < first:
            return True
        if (key == "downstream" or key in own) and k <= first:
            return True
    return False
