"""The loop over epochs and mini-batches. It yields events and never prints."""

from collections import deque
from collections.abc import Generator, Iterator
from time import perf_counter

import numpy as np

from nncli.nn.network import Network
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.nn.trace import Trace, measure, record_trace
from nncli.training.checkpoint import State
from nncli.training.divergence import (
    EPOCH_LIMIT_FACTOR,
    REPLAYED_STEPS,
    STEP_LIMIT_FACTOR,
    Replay,
    untrained_cost,
)
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, Epoch, Event, Progress
from nncli.training.steps import Plan, Rows, SampleSet, StepRunner

PROGRESS_INTERVAL = 0.1  # seconds between two events within an epoch
SNAPSHOT_INTERVAL = 5.0  # seconds between two states that are kept within a long epoch


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
        optimizer: Optimizer,
        plan: Plan,
        train: SampleSet,
        validation: SampleSet | None,
        workers: WorkerPool | None = None,
        untrained: float | None = None,
    ) -> None:
        """
        Args:
            workers: threads to share the work among; None: it is all done in the caller's.
            untrained: C of a network that has learnt nothing, where the one given has learnt.
        """
        self.network = network
        self.optimizer = optimizer
        self.plan = plan
        self.train = train
        self._runner = StepRunner(network, optimizer, plan, train, workers)
        self.epoch = 0
        self.samples = 0
        self.cost_sum = 0.0
        self.steps_taken = 0
        self.seconds = 0.0
        evaluated = train if validation is None else validation
        self.evaluator = Evaluator(network, evaluated, classes=plan.classes, workers=workers)
        self._has_validation = validation is not None
        self._step_start = self._runner.start()
        # Made now, so that what does not fit in memory is known before anything is written.
        count = len(train.index)
        for n in {min(plan.batch_size, count), count % plan.batch_size} - {0}:
            self._runner.workspace(n)
        # Set while an Epoch event is out: the step it ended with.
        self._last_step: tuple[Step, float, float, Rows] | None = None
        if untrained is None:
            untrained = untrained_cost(self._runner.workspace(min(plan.batch_size, count)), train)
        self.untrained = untrained
        self.cost_limit = STEP_LIMIT_FACTOR * self.untrained
        # The last sound states, going back far enough to replay the steps before a divergence.
        self._sound_states = deque([self.state()])

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
            optimizer=self.optimizer.copy_state(),
            network_state=self.network.copy_state(),
        )

    def restore(self, state: State) -> None:
        """Sets the training to `state`; from there it goes on to the same end."""
        self.epoch, self.samples, self.cost_sum, self.steps_taken, self.seconds = state[:5]
        self._runner.restore(state.start)
        self._sound_states = deque([self.state()])

    def sound_state(self) -> State:
        """The state here, or where some of it is not finite, the last one that was sound."""
        here = self._sound_states[-1].steps_taken == self.steps_taken
        if not here and self._runner.is_finite():
            self._remember_state()
        return self._sound_states[-1]

    def trace(self) -> Trace:
        """The record of an epoch's last step.

        Raises:
            RuntimeError: the training is not at an Epoch event: the workspace has moved on.
        """
        if self._last_step is None:
            raise RuntimeError("a trace is taken at an Epoch event, not before or after it")
        step, eta, cost, rows = self._last_step
        return record_trace(
            step,
            eta=eta,
            cost=cost,
            start=self._step_start,
            samples=np.searchsorted(self.train.index, rows).tolist(),
        )

    def _remember_state(self) -> None:
        states, first = self._sound_states, self.steps_taken - REPLAYED_STEPS + 1
        while len(states) > 1 and states[1].steps_taken <= first:
            states.popleft()
        states.append(self.state())

    def _run_epoch(self) -> Generator[Event, None, bool]:
        """One epoch, or the rest of it; returns whether it ended without a divergence."""
        eta, count = self.plan.eta_in(self.epoch + 1), len(self.train.index)
        batches = self.plan.batches(self.train.index, self.epoch + 1, self.samples)
        remembered = perf_counter()
        while self.samples < count:
            step, cost, rows = self._run_steps(batches, eta)
            if not cost < self.cost_limit:
                yield self._divergence(cost)
                return False
            if self.samples < count:
                if perf_counter() - remembered > SNAPSHOT_INTERVAL:
                    self.sound_state()
                    remembered = perf_counter()
                yield Progress(self.epoch + 1, self.samples, self.cost_sum / self.samples)
        if not self._runner.is_finite():
            yield self._divergence(cost)
            return False
        self._last_step = (step, eta, cost, rows)
        epoch = self._complete(eta, step)
        evaluated = epoch.validation_cost if self._has_validation else epoch.train_cost_after
        if evaluated is not None and not evaluated < EPOCH_LIMIT_FACTOR * self.untrained:
            yield self._divergence(evaluated)
            return False
        self._remember_state()
        yield epoch
        self._last_step = None
        return True

    def _run_steps(self, batches: Iterator[Rows], eta: float) -> tuple[Step, float, Rows]:
        """Steps until the epoch or PROGRESS_INTERVAL ends, or a cost is beyond its limit.

        Returns the last step, its cost and its samples.
        """
        # In local names: on small networks that, too, is a tenth of a step.
        began, count, limit = perf_counter(), len(self.train.index), self.cost_limit
        until, clock = began + PROGRESS_INTERVAL, perf_counter
        taken, samples, cost_sum = self.steps_taken, self.samples, self.cost_sum
        n = 0
        try:
            with np.errstate(all="ignore"):
                for rows in batches:
                    if len(rows) != n:
                        step = self._runner.workspace(len(rows))
                        n, load, run = step.n, step.load, step.run_unguarded
                        is_random = step.is_random
                    taken += 1
                    load(rows)
                    if is_random:
                        step.randomise(self.plan.random_seed(taken))
                    is_last = samples + n == count
                    if is_last:
                        self._step_start.update(self.network, self.optimizer)
                    cost = run(eta, is_last)
                    if not cost < limit:  # NaN is not below anything
                        break
                    cost_sum += cost * n
                    samples += n
                    if clock() > until:
                        break
        finally:
            self.steps_taken, self.samples, self.cost_sum = taken, samples, cost_sum
            self.seconds += perf_counter() - began
        return step, cost, rows

    def _divergence(self, cost: float) -> Divergence:
        """The record of a divergence; the network is set to the last sound state."""
        replay = Replay(self._runner, self.plan, self.evaluator, self.cost_limit, self.untrained)
        divergence = replay.divergence(self._sound_states[0], self.steps_taken, cost)
        self.restore(self._sound_states[-1])
        return divergence

    def _complete(self, eta: float, step: Step) -> Epoch:
        """Ends the epoch: measures it, and sets the counts to the beginning of the next."""
        layers = measure(step)
        cost, seconds = self.cost_sum / self.samples, self.seconds
        self.epoch, self.samples, self.cost_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        evaluation = self.evaluator()
        validated = self._has_validation
        return Epoch(
            epoch=self.epoch,
            eta=eta,
            train_cost=cost,
            train_cost_after=None if validated else evaluation.cost,
            train_accuracy=None if validated else evaluation.accuracy,
            validation_cost=evaluation.cost if validated else None,
            validation_accuracy=evaluation.accuracy if validated else None,
            train_seconds=seconds,
            last_batch=step.n,
            layers=layers,
        )
