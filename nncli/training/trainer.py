"""The loop over epochs and mini-batches. It yields what happens and never prints."""

from collections import deque
from collections.abc import Generator, Iterator
from time import perf_counter

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.measures import measure
from nncli.nn.network import Network
from nncli.nn.optimizers import Sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.nn.trace import Trace, take_trace
from nncli.training.checkpoint import State
from nncli.training.divergence import AFTER_AN_EPOCH, IN_A_STEP, untrained_cost
from nncli.training.divergence_replay import FLIGHT, flight_record
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, Epoch, Event, Progress
from nncli.training.plan import Plan, Rows, Samples

GLANCE = 0.1  # seconds between two events within an epoch
FRESH = 5.0  # seconds after which the kept state is replaced within a long epoch


class Trainer:
    """A training under way. Iterate over `events()`; between two events everything is at rest.

    `epoch`, `samples`, `cost_sum`, `steps_taken` and `seconds` are those of `State`.

    Attributes:
        evaluator: of the samples that are evaluated after an epoch.
        untrained: C of a network that has learnt nothing.
        cost_limit: a mini-batch whose C is as large, or NaN, is a divergence.
    """

    def __init__(
        self,
        network: Network,
        sgd: Sgd,
        plan: Plan,
        train: Samples,
        validation: Samples | None,
        workers: WorkerPool | None = None,
        untrained: float | None = None,
    ) -> None:
        """
        Args:
            workers: threads to share the work among; None: it is all done in the caller's.
            untrained: C of a network that has learnt nothing, where the one given has learnt.
        """
        self.network = network
        self.sgd = sgd
        self.plan = plan
        self.train = train
        self.epoch = 0
        self.samples = 0
        self.cost_sum = 0.0
        self.steps_taken = 0
        self.seconds = 0.0
        evaluated = train if validation is None else validation
        self._workers = workers
        self.evaluator = Evaluator(network, sgd, evaluated, classes=plan.classes, workers=workers)
        self._held_back = validation is not None
        self._steps: dict[int, Step] = {}
        self._before = network.parameters.copy()
        self._velocity = None if sgd.velocity is None else sgd.velocity.copy()
        # Made now, so that what does not fit in memory is known before anything is written.
        count = len(train.index)
        for n in {min(plan.batch_size, count), count % plan.batch_size} - {0}:
            self._step(n)
        # Set while an Epoch event is out: the step it ended with.
        self._last: tuple[Step, float, float, Rows] | None = None
        if untrained is None:
            untrained = untrained_cost(self._step(min(plan.batch_size, count)), train)
        self.untrained = untrained
        self.cost_limit = IN_A_STEP * self.untrained
        # The last states that were sound, going back far enough for a flight record.
        self._kept = deque([self.state()])

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
            seconds=self.seconds,
            parameters=self.network.parameters.copy(),
            velocity=None if self.sgd.velocity is None else self.sgd.velocity.copy(),
        )

    def restore(self, state: State) -> None:
        """Sets the training to where `state` was taken, to go on from there to the same end."""
        self.epoch, self.samples, self.cost_sum, self.steps_taken, self.seconds = state[:5]
        self.rewind(state.parameters, state.velocity)
        self._kept = deque([self.state()])

    def keep(self) -> State:
        """The state here, or where the parameters are not finite, the last one that was sound."""
        here = self._kept[-1].steps_taken == self.steps_taken
        if not here and np.isfinite(self.network.parameters).all():
            self._keep()
        return self._kept[-1]

    def take(self, rows: Rows, eta: float, *, full: bool) -> tuple[Step, float]:
        """One step of SGD outside the training's count: its workspace, and C before it."""
        step = self._step(len(rows))
        step.load(rows)
        return step, step.run(eta, full=full)

    def rewind(self, parameters: Array, velocity: Array | None) -> None:
        """Sets the network and its Sgd alone, as `State` has them."""
        np.copyto(self.network.parameters, parameters)
        if self.sgd.velocity is not None and velocity is not None:
            np.copyto(self.sgd.velocity, velocity)

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
            self._steps[n] = Step(self.network, self.sgd, n, self._workers, self.train)
        return self._steps[n]

    def _keep(self) -> None:
        while len(self._kept) > 1 and self._kept[1].steps_taken <= self.steps_taken - FLIGHT + 1:
            self._kept.popleft()
        self._kept.append(self.state())

    def _run_epoch(self) -> Generator[Event, None, bool]:
        """One epoch, or what is left of it; whether it ended well."""
        eta, count = self.plan.eta_in(self.epoch + 1), len(self.train.index)
        batches = self.plan.batches(self.train.index, self.epoch + 1, self.samples)
        kept = perf_counter()
        while self.samples < count:
            step, cost, rows = self._take_steps(batches, eta)
            if not cost < self.cost_limit:
                yield self._divergence(cost)
                return False
            if self.samples < count:
                if perf_counter() - kept > FRESH:
                    self.keep()
                    kept = perf_counter()
                yield Progress(self.epoch + 1, self.samples, self.cost_sum / self.samples)
        if not np.isfinite(self.network.parameters).all():
            yield self._divergence(cost)
            return False
        self._last = (step, eta, cost, rows)
        epoch = self._complete(eta, step)
        evaluated = epoch.validation_cost if self._held_back else epoch.train_cost_after
        if evaluated is not None and not evaluated < AFTER_AN_EPOCH * self.untrained:
            yield self._divergence(evaluated)
            return False
        self._keep()
        yield epoch
        self._last = None
        return True

    def _take_steps(self, batches: Iterator[Rows], eta: float) -> tuple[Step, float, Rows]:
        """Steps until the epoch or GLANCE ends, or a cost is beyond its limit.

        Returns the last step, its cost and its samples.
        """
        began, count = perf_counter(), len(self.train.index)
        steps, limit = self._steps, self.cost_limit
        with np.errstate(all="ignore"):
            for rows in batches:
                step = steps.get(len(rows)) or self._step(len(rows))
                step.load(rows)
                is_last = self.samples + step.n == count
                if is_last:
                    self._keep_before()
                cost = step.take(eta, is_last)
                self.steps_taken += 1
                if not cost < limit:  # NaN is not below anything
                    break
                self.cost_sum += cost * step.n
                self.samples += step.n
                if perf_counter() - began > GLANCE:
                    break
        self.seconds += perf_counter() - began
        return step, cost, rows

    def _keep_before(self) -> None:
        """Keeps what the step to come will change."""
        np.copyto(self._before, self.network.parameters)
        if self.sgd.velocity is not None and self._velocity is not None:
            np.copyto(self._velocity, self.sgd.velocity)

    def _divergence(self, cost: float) -> Divergence:
        """What went wrong up to here; the network is set to the last state that was sound."""
        divergence = flight_record(self, self._kept[0], self.steps_taken, cost)
        self.restore(self._kept[-1])
        return divergence

    def _complete(self, eta: float, step: Step) -> Epoch:
        """Closes the epoch: measures it, and sets the place to the beginning of the next."""
        layers = measure(step)
        cost, seconds = self.cost_sum / self.samples, self.seconds
        self.epoch, self.samples, self.cost_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        evaluation = self.evaluator()
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
