"""The loop over epochs and mini-batches. It yields events and never prints."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from time import perf_counter

import numpy as np

from nncli.nn.clipping import CLIPPED_STEPS
from nncli.nn.measures import Measurer
from nncli.nn.network import Network
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.recorder import TraceRecorder
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace
from nncli.training.best import DEFAULT_METRIC, Best, Patience, is_better, metric_of
from nncli.training.checkpoint import State
from nncli.training.conditions import Condition, Failure
from nncli.training.divergence import (
    EPOCH_LIMIT_FACTOR,
    REPLAYED_STEPS,
    STEP_LIMIT_FACTOR,
    Replay,
    untrained_cost,
)
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, Epoch, Event, History, Progress
from nncli.training.steps import Plan, Rows, SampleSet, StepRunner
from nncli.training.tallies import Outcome
from nncli.training.trace_times import Traced, TraceTimes
from nncli.training.watch import Watch

PROGRESS_INTERVAL = 0.1  # seconds between two events within an epoch
SNAPSHOT_INTERVAL = 5.0  # seconds between two states that are kept within a long epoch


class Trainer:
    """A training under way. Iterate over `events()`; between two events everything is at rest.

    `epoch`, `samples`, `cost_sum`, `steps_taken`, `seconds` and `best` are those of `State`.

    Attributes:
        evaluator: of the samples that are evaluated after an epoch.
        untrained: C of a network that has learnt nothing.
        cost_limit: a mini-batch whose C is as large, or NaN, is a divergence.
        watch: looks after the conditions; None where there are none.
        trace_times: the steps of which there is a Traced; to be set before `events`.
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
        conditions: Sequence[Condition] = (),
    ) -> None:
        """
        Args:
            workers: threads to share the work among; None: it is all done in the caller's.
            untrained: C of a network that has learnt nothing, where the one given has learnt.
            conditions: what is to hold meanwhile, and what to stop at.
        """
        self.network = network
        self.optimizer = optimizer
        plan = plan.fresh()
        self.plan = plan
        self.train = train
        self._runner = StepRunner(network, optimizer, plan, train, workers)
        self._workers = workers
        self.epoch = 0
        self.samples = 0
        self.cost_sum = 0.0
        self.steps_taken = 0
        self.seconds = 0.0
        self.best: Best | None = None
        stop = plan.early_stop
        self.patience = None if stop is None else Patience(stop)
        self._metric = DEFAULT_METRIC if stop is None else stop.metric
        evaluated = train if validation is None else validation
        self.evaluator = Evaluator(network, evaluated, reading=plan.reading, workers=workers)
        self._has_validation = validation is not None
        self._outcomes: tuple[Outcome, ...] = ()  # of a training that diverged
        self.trace_times = TraceTimes()
        self._total = plan.steps_left(len(train.index))
        self._next_traced: int | None = None
        self._full_at = 0  # the step that is to fill all, besides the last of an epoch
        self._step_start = self._runner.start()
        self._recorders: dict[int, TraceRecorder] = {}  # by size of a mini-batch
        self._measurer: Measurer | None = None  # of the last step that was measured
        self._start_of = 0  # the step that it is of
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
        self.watch: Watch | None = None
        if conditions:
            workspace = self._runner.workspace(min(plan.batch_size, count))
            self.watch = Watch(conditions, plan, train, self.untrained, workspace)
        # The last sound states, going back far enough to replay the steps before a divergence.
        self._sound_states = deque([self.state()])

    def events(self) -> Iterator[Event]:
        """Trains to the end, to a divergence, or to a failure that stops it."""
        while not self.is_done:
            if not (yield from self._run_epoch()):
                return

    @property
    def has_stopped_early(self) -> bool:
        """Whether it has come to its end for want of a better epoch."""
        is_over = self.patience is not None and self.patience.is_over
        return is_over and 0 < self.epoch < self.plan.epochs and not self.samples

    @property
    def is_done(self) -> bool:
        return self.epoch >= self.plan.epochs or self.has_stopped_early

    def state(self) -> State:
        """A copy of all that the training needs to go on from here."""
        self._catch_up()
        return State(
            epoch=self.epoch,
            samples=self.samples,
            cost_sum=self.cost_sum,
            steps_taken=self.steps_taken,
            seconds=self.seconds,
            parameters=self.network.parameters.copy(),
            optimizer=self.optimizer.copy_state(),
            network_state=self.network.copy_state(),
            conditions=self.watch.state() if self.watch else (),
            best=self.best,
        )

    def restore(self, state: State) -> None:
        """Sets the training to `state`; from there it goes on to the same end."""
        self.epoch, self.samples, self.cost_sum, self.steps_taken, self.seconds = state[:5]
        self.best = state.best
        self._runner.restore(state.start)
        if self.watch is not None:
            self.watch.restore(state.conditions)
        self._sound_states = deque([self.state()])

    def outcomes(self) -> tuple[Outcome, ...]:
        """What has become of the conditions; of a training that diverged, up to there."""
        self._catch_up()
        return self._outcomes or (self.watch.outcomes() if self.watch else ())

    def follow(self, history: History) -> None:
        """Takes up a training whose epochs so far are `history`, after `restore`.

        They may have been judged by another metric: of the weights that were kept, the value of
        this one is looked up.
        """
        self.plan.see(history)
        values = history.column(self._metric)
        if self.patience is not None:
            self.patience.see(values)
        if self.best is not None and self.best.metric != self._metric:
            value = values[self.best.epoch - 1]
            kept = None if value is None else self.best._replace(metric=self._metric, value=value)
            self.best = kept
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
        return self._traced(*self._last_step).trace()

    def _traced(self, step: Step, eta: float, cost: float, rows: Rows) -> Traced:
        """A step that was just taken in full."""
        recorder = self._recorders.get(step.n)
        if recorder is None:
            self._recorders[step.n] = recorder = TraceRecorder(step, self._step_start)
        return Traced(self.steps_taken, recorder, eta, cost, rows, self.train.index)

    def _catch_up(self) -> None:
        """Looks at the conditions of all steps so far."""
        if self.watch is not None:
            with np.errstate(all="ignore"):
                self.watch.look(self.steps_taken)

    def _remember_state(self) -> None:
        states, state = self._sound_states, self.state()
        untold = self.watch.noticed if self.watch is not None else []
        first = min([self.steps_taken, *(failure.step for failure in untold)]) - REPLAYED_STEPS + 1
        while len(states) > 1 and states[1].steps_taken <= first:
            states.popleft()
        states.append(state)

    def _keep_best(self, epoch: Epoch) -> None:
        """Keeps the weights after an epoch, the last sound state, where none were better."""
        value = metric_of(epoch, self._metric)
        best, state = self.best, self._sound_states[-1]
        if value is not None and (best is None or is_better(self._metric, value, best.value)):
            kept = (state.parameters, state.network_state)
            self.best = Best(self.epoch, self.steps_taken, self._metric, value, *kept)
            self._sound_states[-1] = state._replace(best=self.best)

    def _run_epoch(self) -> Generator[Event, None, bool]:
        """One epoch, or the rest of it; returns whether the training goes on."""
        eta, count = self.plan.eta_in(self.epoch + 1), len(self.train.index)
        batches = self.plan.batches(self.train.index, self.epoch + 1, self.samples)
        remembered = perf_counter()
        stop: Failure | None = None
        while self.samples < count:
            step, cost, rows = self._run_steps(batches, eta)
            if self.watch is not None:
                stop = yield from self._tell_failures(self.watch)
                if stop is not None and self.samples < count:
                    return False
            if not cost < self.cost_limit:
                yield self._divergence(cost)
                return False
            if self.steps_taken == self._next_traced:
                yield self._traced(step, eta, cost, rows)
            if self.samples < count:
                if perf_counter() - remembered > SNAPSHOT_INTERVAL:
                    self.sound_state()
                    remembered = perf_counter()
                yield Progress(self.epoch + 1, self.samples, self.cost_sum / self.samples)
        if not self._runner.is_finite():
            yield self._divergence(cost)
            return False
        self._last_step = (step, eta, cost, rows)
        epoch = self._complete(eta, step, cost)
        evaluated = epoch.validation_cost if self._has_validation else epoch.train_cost_after
        if evaluated is not None and not evaluated < EPOCH_LIMIT_FACTOR * self.untrained:
            yield self._divergence(evaluated)
            return False
        self._remember_state()
        self._keep_best(epoch)
        yield epoch
        noticed = self.watch.take() if self.watch else []
        for failure in noticed:
            yield replace(failure, trace=self.trace()) if self._is_kept(failure) else failure
        if stop is not None:
            yield stop
            return False
        self._last_step = None
        return not any(failure.stops for failure in noticed)

    def _is_kept(self, failure: Failure) -> bool:
        return failure.wants_trace or failure.key in self.trace_times.on

    def _tell_failures(self, watch: Watch) -> Generator[Event, None, Failure | None]:
        """What was noticed of the steps up to here; returns what stops the training.

        Its state is then set to that after the step at which it is to stop. After the last step of
        an epoch it is not told yet: the epoch is ended first.
        """
        if watch.noticed:
            self._catch_up()  # so that nothing is overlooked while a step is taken again
        for failure in watch.take():
            is_end = self.samples == len(self.train.index) and failure.step == self.steps_taken
            stops = failure.stops and not is_end
            is_kept = self._is_kept(failure)
            if stops or is_kept:
                trace = self._trace_again(failure.step, stay=stops)
                failure = replace(failure, trace=trace if is_kept else None)
            if stops or not failure.stops:
                yield failure
            if failure.stops:
                return failure
        return None

    def _trace_again(self, number: int, *, stay: bool) -> Trace:
        """The record of step `number` of this epoch, which is taken once more.

        It has the same numbers, to the bit: all follows from the last state that was kept.

        Args:
            stay: whether the training then stands behind that step; else it is where it was.
        """
        here, states = self.state(), self._sound_states
        was_full = self._start_of == self.steps_taken
        start = deepcopy(self._step_start) if was_full and not stay else None
        self.restore(next(s for s in reversed(states) if s.steps_taken < number))
        if stay:
            states = self._sound_states
        eta = self.plan.eta_in(self.epoch + 1)
        batches = self.plan.batches(self.train.index, self.epoch + 1, self.samples)
        again = islice(batches, number - self.steps_taken)
        self._full_at = number
        while self.steps_taken < number:
            step, cost, rows = self._run_steps(again, eta)
        self._full_at = 0
        if self.watch is not None:
            self.watch.take()  # it is known already
        trace = self._traced(step, eta, cost, rows).trace()
        if not stay:
            if start is not None:  # what is read of that step is not read yet
                self._take_again(here.steps_taken, start, eta)
            self.restore(here)
        self._sound_states = states
        return trace

    def _take_again(self, number: int, start: Start, eta: float) -> None:
        """Fills the workspace with a full step once more."""
        self._runner.restore(start)
        self._step_start.update(self.network, self.optimizer)
        self._runner.run(self.plan.rows_of(number, self.train.index), eta, number, full=True)
        self._start_of = number

    def _run_steps(self, batches: Iterator[Rows], eta: float) -> tuple[Step, float, Rows]:
        """Steps until the epoch or PROGRESS_INTERVAL ends, or a cost is beyond its limit.

        Or until a condition is noticed to have failed, some steps before, or a step is to be
        recorded.

        Returns the last step, its cost and its samples.
        """
        # In local names: on small networks that, too, is a tenth of a step.
        began, count, limit = perf_counter(), len(self.train.index), self.cost_limit
        until, clock = began + PROGRESS_INTERVAL, perf_counter
        taken, samples, cost_sum = self.steps_taken, self.samples, self.cost_sum
        last = self._full_at or taken - (samples - count) // self.plan.batch_size
        if not self._full_at:
            self._next_traced = self.trace_times.next_after(taken, self._total)
            last = min(last, self._next_traced or last)
        watch = self.watch
        always_full = watch is not None and watch.needs_full
        stride = 0 if watch is None else watch.stride
        due = taken + stride - taken % stride if stride else 0
        n = 0
        try:
            with np.errstate(all="ignore"):
                for rows in batches:
                    if len(rows) != n:
                        step = self._runner.workspace(len(rows))
                        n, load, run = step.n, step.load, step.run_unguarded
                        is_random = step.is_random
                        if watch is not None:
                            keep = watch.open(step, taken)
                    taken += 1
                    load(rows)
                    if is_random:
                        step.randomise(self.plan.random_seed(taken))
                    is_last = taken == last
                    if is_last:
                        self._step_start.update(self.network, self.optimizer)
                        self._start_of = taken
                    cost = run(eta, is_last or always_full)
                    if not cost < limit:  # NaN is not below anything
                        break
                    cost_sum += cost * n
                    samples += n
                    if watch is not None and taken == due:
                        due += stride
                        if keep(taken, cost) and watch.look(taken):
                            break
                    if is_last or clock() > until:
                        break
                if watch is not None and (taken == last or not cost < limit or watch.is_late()):
                    # The last step was not kept, if the loop ended in it.
                    watch.look(taken if cost < limit else taken - 1)
        finally:
            self.steps_taken, self.samples, self.cost_sum = taken, samples, cost_sum
            self.seconds += perf_counter() - began
        return step, cost, rows

    def _divergence(self, cost: float) -> Divergence:
        """The record of a divergence; the network is set to the last sound state."""
        if self.watch is not None:
            self._outcomes = self.watch.outcomes()
        if self._workers is not None:  # not all go back to the same state
            self._workers.ranks = None
        replay = Replay(self._runner, self.plan, self.evaluator, self.cost_limit, self.untrained)
        divergence = replay.divergence(self._sound_states[0], self.steps_taken, cost)
        self.restore(self._sound_states[-1])
        return divergence

    def _take_clipped(self) -> float | None:
        """The share of the epoch's steps in which the gradient was clipped; counts anew."""
        clipped = self.optimizer.scalars.get(CLIPPED_STEPS)
        if clipped is None:
            return None
        share = int(clipped) / -(-len(self.train.index) // self.plan.batch_size)
        clipped[()] = 0
        return share

    def _complete(self, eta: float, step: Step, step_cost: float) -> Epoch:
        """Ends the epoch: measures it, and sets the counts to the beginning of the next."""
        if self._measurer is None or not self._measurer.takes(step):
            self._measurer = Measurer(step)
        layers = self._measurer()
        cost, seconds = self.cost_sum / self.samples, self.seconds
        self.epoch, self.samples, self.cost_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        evaluation = self.evaluator()
        validated = self._has_validation
        epoch = Epoch(
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
            clipped=self._take_clipped(),
        )
        self.plan.see([epoch])
        if self.patience is not None:
            self.patience.see([metric_of(epoch, self._metric)])
        if self.watch is not None:
            is_end = self.is_done
            self.watch.complete(epoch, step, self.steps_taken, step_cost, is_end=is_end)
        return epoch
