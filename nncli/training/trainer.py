"""The loop over epochs and mini-batches. It yields what happens and never prints."""

import math
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.crew import Crew
from nncli.nn.measures import measure
from nncli.nn.network import Network
from nncli.nn.sgd import Sgd
from nncli.nn.step import Step
from nncli.nn.trace import Trace, take_trace
from nncli.training.divergence import diagnose, largest
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, Epoch, Event, Progress
from nncli.training.order import Plan
from nncli.training.samples import Rows, Samples

GLANCE = 0.1  # seconds between two events within an epoch


class State(NamedTuple):
    """Where a training stands. The order of samples follows from the seed and the epoch.

    Attributes:
        epoch: how many epochs are complete.
        samples: how many samples of the epoch under way are done.
        cost_sum: the sum of C_x over them.
        steps_taken: over the whole training.
        parameters, velocity: flat, as the network and its Sgd have them.
    """

    epoch: int
    samples: int
    cost_sum: float
    steps_taken: int
    parameters: Array
    velocity: Array | None


class Trainer:
    """A training under way. Iterate over `events()`; between two events everything is at rest.

    `epoch`, `samples`, `cost_sum` and `steps_taken` are those of `State`.
    """

    def __init__(
        self,
        network: Network,
        sgd: Sgd,
        plan: Plan,
        train: Samples,
        validation: Samples | None,
        crew: Crew | None = None,
    ) -> None:
        """crew: threads to share the work among; None: it is all done in the caller's."""
        self.network = network
        self.sgd = sgd
        self.plan = plan
        self.train = train
        self.epoch = 0
        self.samples = 0
        self.cost_sum = 0.0
        self.steps_taken = 0
        evaluated = train if validation is None else validation
        self._crew = crew
        self._evaluator = Evaluator(network, sgd, evaluated, classes=plan.classes, crew=crew)
        self._held_back = validation is not None
        self._steps: dict[int, Step] = {}
        self._before = network.parameters.copy()
        self._velocity = None if sgd.velocity is None else sgd.velocity.copy()
        # Set while an Epoch event is out: the step it ended with.
        # Made now, so that what does not fit in memory is known before anything is written.
        count = len(train.index)
        for n in {min(plan.batch_size, count), count % plan.batch_size} - {0}:
            self._step(n)
        self._last: tuple[Step, float, float, Rows] | None = None

    def events(self) -> Iterator[Event]:
        """Trains to the end, or to a divergence."""
        while self.epoch < self.plan.epochs:
            if not (yield from self._run_epoch()):
                return

    def state(self) -> State:
        """A copy of all that the training needs to go on from here."""
        return State(
            epoch=self.epoch,
            samples=self.samples,
            cost_sum=self.cost_sum,
            steps_taken=self.steps_taken,
            parameters=self.network.parameters.copy(),
            velocity=None if self.sgd.velocity is None else self.sgd.velocity.copy(),
        )

    def trace(self) -> Trace:
        """The record of an epoch's last step.

        Raises:
            RuntimeError: the training is not at an Epoch event: the workspace has moved on.
        """
        if self._last is None:
            raise RuntimeError("a trace is taken at an Epoch event, not before or after it")
        step, eta, cost, rows = self._last
        return take_trace(
            step,
            eta=eta,
            cost=cost,
            before=self._before,
            velocity=self._velocity,
            samples=np.searchsorted(self.train.index, rows).tolist(),
        )

    def _step(self, n: int) -> Step:
        if n not in self._steps:
            self._steps[n] = Step(self.network, self.sgd, n, self._crew)
        return self._steps[n]

    def _run_epoch(self) -> Generator[Event, None, bool]:
        """One epoch, or what is left of it; whether it ended well."""
        eta, count, seconds = self.plan.eta_in(self.epoch + 1), len(self.train.index), 0.0
        batches = self.plan.batches(self.train.index, self.epoch + 1, self.samples)
        while self.samples < count:
            step, cost, rows, spent = self._take_steps(batches, eta)
            seconds += spent
            if not math.isfinite(cost):
                yield diagnose(step, self.epoch + 1, self.steps_taken, cost, updated=False)
                return False
            if self.samples < count:
                yield Progress(self.epoch + 1, self.samples, self.cost_sum / self.samples)
        if not np.isfinite(self.network.parameters).all():
            yield diagnose(step, self.epoch + 1, self.steps_taken, cost, updated=True)
            return False
        self._last = (step, eta, cost, rows)
        epoch = self._complete(eta, seconds, step)
        evaluated = epoch.validation_cost if self._held_back else epoch.train_cost_after
        if evaluated is not None and not math.isfinite(evaluated):
            yield Divergence(
                self.epoch,
                self.steps_taken,
                evaluated,
                step.last.name,
                "cost",
                largest(step.last.a),
            )
            return False
        yield epoch
        self._last = None
        return True

    def _take_steps(self, batches: Iterator[Rows], eta: float) -> tuple[Step, float, Rows, float]:
        """Steps until the epoch or GLANCE ends, or a cost is not finite.

        Returns the last step, its cost, its samples, and the seconds all of them took.
        """
        began, count = perf_counter(), len(self.train.index)
        gather, steps = self.train.gather, self._steps
        with np.errstate(all="ignore"):
            for rows in batches:
                step = steps.get(len(rows)) or self._step(len(rows))
                gather(rows, step.inputs, step.targets)
                is_last = self.samples + step.n == count
                if is_last:
                    self._keep_before()
                cost = step.take(eta, is_last)
                self.steps_taken += 1
                if not math.isfinite(cost):
                    break
                self.cost_sum += cost * step.n
                self.samples += step.n
                if perf_counter() - began > GLANCE:
                    break
        return step, cost, rows, perf_counter() - began

    def _keep_before(self) -> None:
        """Keeps what the step to come will change."""
        np.copyto(self._before, self.network.parameters)
        if self.sgd.velocity is not None and self._velocity is not None:
            np.copyto(self._velocity, self.sgd.velocity)

    def _complete(self, eta: float, seconds: float, step: Step) -> Epoch:
        """Closes the epoch: measures it, and sets the place to the beginning of the next."""
        layers = measure(step)
        cost = self.cost_sum / self.samples
        self.epoch, self.samples, self.cost_sum = self.epoch + 1, 0, 0.0
        evaluation = self._evaluator()
        held = self._held_back
        return Epoch(
            epoch=self.epoch,
            eta=eta,
            train_cost=cost,
            train_cost_after=None if held else evaluation.cost,
            train_accuracy=None if held else evaluation.accuracy,
            validation_cost=evaluation.cost if held else None,
            validation_accuracy=evaluation.accuracy if held else None,
            train_seconds=seconds,
            last_batch=step.n,
            layers=layers,
        )
