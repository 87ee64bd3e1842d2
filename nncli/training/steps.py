"""The steps of a training: its plan, their workspaces, and one of them for its record.

A `Plan` says in which mini-batches samples are taken, and at which η; a `StepRunner` takes the
steps.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nncli.core.errors import DivergedError, LayerError, NncliError
from nncli.core.reading import Reading
from nncli.core.seeds import Stream, seed_of
from nncli.core.text import count_of
from nncli.nn.network import Network, check_batch, smallest_batch
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.recorder import record_trace
from nncli.nn.schedules import Plateau, Schedule
from nncli.nn.step import SampleSource, Step
from nncli.nn.trace import Start, Trace
from nncli.training.best import EarlyStop, metric_of
from nncli.training.history import Epoch

PROGRESS_STEPS = 32  # from one call of `progress` to the next

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]
BLOCK = 1 << 18  # numbers in the inputs of a block
WINDOW = 64  # blocks whose samples are mixed


def block_of(width: int) -> int:
    """Of how many samples a block is, by the numbers that the inputs of one have."""
    return max(1, BLOCK // width)


class SampleSet(SampleSource, Protocol):
    """Some rows of a table of inputs and targets."""

    @property
    def index(self) -> Rows:
        """The rows that belong to it."""

    @property
    def targets(self) -> Array:
        """The targets of the whole table, rows x outputs."""


class Plan(NamedTuple):
    """How to train: η and its schedule, how long, on what mini-batches.

    `seed` orders the samples of every epoch, and what layers draw follows from it. `reading`:
    what targets are; of classes and labels there is an accuracy to measure. `early_stop`: None: it
    goes on to the last epoch.
    """

    eta: float
    schedule: Schedule
    epochs: int
    batch_size: int
    shuffle: bool
    seed: int
    reading: Reading
    early_stop: EarlyStop | None = None
    block: int | None = None

    def fresh(self) -> "Plan":
        """The plan of a training whose schedule has seen no epoch yet."""
        schedule = self.schedule
        return self._replace(schedule=schedule.fresh()) if isinstance(schedule, Plateau) else self

    @property
    def depends_on_epochs(self) -> bool:
        """Whether η depends on what epochs have come to, see `see`."""
        return isinstance(self.schedule, Plateau)

    def see(self, epochs: Iterable[Epoch]) -> None:
        """Takes what the next epochs came to, where η depends on that."""
        if isinstance(self.schedule, Plateau):
            for epoch in epochs:
                value = metric_of(epoch, self.schedule.metric)
                self.schedule.see(math.nan if value is None else value)

    def eta_in(self, epoch: int) -> float:
        """η in an epoch, the first being 1."""
        return self.schedule.eta(self.eta, epoch)

    def order(self, index: Rows, epoch: int) -> Rows:
        """The samples of `index` in the order in which an epoch takes them."""
        if not self.shuffle:
            return index
        seed = seed_of(self.seed, Stream.SHUFFLE, epoch - 1)
        rng = np.random.default_rng(seed)
        if self.block is None:
            return rng.permutation(index)
        starts = rng.permutation(np.arange(0, len(index), self.block)).tolist()
        order = np.concatenate([index[start : start + self.block] for start in starts])
        for start in range(0, len(order), WINDOW * self.block):
            rng.shuffle(order[start : start + WINDOW * self.block])
        return order

    def random_seed(self, step: int) -> np.random.SeedSequence:
        """The seed of what layers draw in a step, the first of the training being 1."""
        return seed_of(self.seed, Stream.DRAWS, step)

    def batches(self, index: Rows, epoch: int, start: int = 0) -> Iterator[Rows]:
        """The mini-batches of an epoch, from the one that begins at sample `start` of it."""
        order, size = self.order(index, epoch)[start:], self.batch_size
        whole = len(order) // size * size
        yield from order[:whole].reshape(-1, size)
        if whole < len(order):
            yield order[whole:]

    def epoch_of(self, step: int, samples: int) -> int:
        """The epoch that a step of the training is in, both from 1, on so many samples."""
        return (step - 1) // -(-samples // self.batch_size) + 1

    def rows_of(self, step: int, index: Rows) -> Rows:
        """The mini-batch of a step of the training."""
        each = -(-len(index) // self.batch_size)
        start = (step - 1) % each * self.batch_size
        return self.order(index, self.epoch_of(step, len(index)))[start : start + self.batch_size]

    def steps_left(self, samples: int, epoch: int = 1, start: int = 0) -> int:
        """How many steps the training takes from sample `start` of an epoch to its end."""
        each = -(-samples // self.batch_size)
        return max(0, (self.epochs - epoch + 1) * each - start // self.batch_size)

    def steps(self, index: Rows, epoch: int = 1, start: int = 0) -> Iterator[tuple[float, Rows]]:
        """η and mini-batch of every step from there on, without end."""
        for current_epoch in count(epoch):
            for rows in self.batches(index, current_epoch, start if current_epoch == epoch else 0):
                yield self.eta_in(current_epoch), rows


class StepRunner:
    """Takes steps of a network, in one workspace for each size of mini-batch."""

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        plan: Plan,
        train: SampleSet,
        workers: WorkerPool | None = None,
    ) -> None:
        """
        Args:
            plan: of the training, from which follows what layers draw.
            train: the table that the steps take their samples from.
            workers: threads to share the work among; None: it is all done in the caller's.
        """
        self.network = network
        self.optimizer = optimizer
        self.plan = plan
        self.train = train
        self.workspaces: dict[int, Step] = {}
        self._workers = workers

    def workspace(self, n: int) -> Step:
        """The workspace of steps on `n` samples."""
        if n not in self.workspaces:
            self.workspaces[n] = Step(self.network, self.optimizer, n, self._workers, self.train)
        return self.workspaces[n]

    def prepare(self, rows: Rows, number: int) -> Step:
        """The workspace of step `number` of the training, from 1 on, ready to be run on rows."""
        step = self.workspaces.get(len(rows)) or self.workspace(len(rows))
        step.load(rows)
        if step.is_random:
            step.randomise(self.plan.random_seed(number))
        return step

    def run(self, rows: Rows, eta: float, number: int, *, full: bool) -> tuple[Step, float]:
        """The training's step `number` on these rows: its workspace, and C before the update."""
        step = self.prepare(rows, number)
        return step, step.run(eta, full=full)

    def is_finite(self) -> bool:
        """Whether all is that the next step starts from."""
        return self.network.is_finite() and self.optimizer.is_finite()

    def start(self) -> Start:
        """What the next step starts from, a copy."""
        return Start.of(self.network, self.optimizer)

    def restore(self, start: Start) -> None:
        """Sets the network and its optimizer to what `start` gave."""
        np.copyto(self.network.parameters, start.parameters)
        self.network.restore_state(start.network_state)
        self.optimizer.restore(start.state)


class Choice(NamedTuple):
    """Which step to record.

    Attributes:
        samples: of the training data, counted from 0; None: the step's own mini-batch; none: sample
            0, or that mini-batch where a layer needs several.
        step: counted from 1 from where the training is now; those before it are taken first.
    """

    samples: Sequence[int] | None = ()
    step: int = 1


def record_chosen_step(
    network: Network,
    optimizer: Optimizer,
    plan: Plan,
    train: SampleSet,
    choice: Choice,
    *,
    epoch: int = 1,
    start: int = 0,
    steps_taken: int = 0,
    name: str = "",
    workers: WorkerPool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Takes the chosen step of `network` in place; its record.

    Args:
        progress: called now and then with the steps that were taken, and how many are to be.
        workers: the threads of the training: the order of their sums decides the last bits.
        epoch, start: the epoch that the training is in, and how many samples of it are done.
        steps_taken: over the whole training so far.

    Raises:
        NncliError: a sample that is not in the training data, or a step after its end; of a
            training that is done, there is the one that would come next.
        DivergedError: the cost is not finite at that step, or at one before it.
    """
    runner = StepRunner(network, optimizer, plan, train, workers)

    def run(rows: Rows, eta: float, number: int, *, full: bool) -> tuple[Step, float]:
        step, cost = runner.run(rows, eta, steps_taken + number, full=full)
        if not math.isfinite(cost):
            raise DivergedError(f"at step {number} the cost is {cost}: it has no gradient to show")
        return step, cost

    _check_step(choice.step, plan, len(train.index), epoch, start)
    steps = plan.steps(train.index, epoch, start)
    for number, (eta, rows) in enumerate(islice(steps, choice.step - 1), 1):
        run(rows, eta, number, full=False)
        if progress is not None and number % PROGRESS_STEPS == 0:
            progress(number, choice.step)
    eta, rows = next(steps)
    if choice.samples:
        rows = _rows_of(choice.samples, train.index)
        _check_size(network, len(rows))
    elif choice.samples is not None and smallest_batch(network.layers) == 1:
        rows = train.index[:1]
    step_start = runner.start()
    step, cost = run(rows, eta, choice.step, full=True)
    return record_trace(
        step,
        eta=eta,
        cost=cost,
        start=step_start,
        samples=np.searchsorted(train.index, rows).tolist(),
        name=name,
    )


def _check_step(step: int, plan: Plan, samples: int, epoch: int, start: int) -> None:
    left = plan.steps_left(samples, epoch, start)
    if step <= max(left, 1):
        return
    is_begun = (epoch, start) != (1, 0)
    has = f"has {count_of(left, 'step')}{' left' if is_begun else ''}"
    if not left:
        has = "is done, and 1 is the step that would come next"
    epochs = count_of(plan.epochs, "epoch"), count_of(-(-samples // plan.batch_size), "step")
    advice = "more epochs have more, as with --set train.epochs=N"
    if is_begun and step <= plan.steps_left(samples):
        advice = (
            f"steps of a run are counted from its end; the spec.yaml in it, in place of the run, "
            f"has step {step:,} of the training"
        )
    raise NncliError(
        f"there is no step {step:,}: the training {has} ({' of '.join(epochs)}); {advice}"
    )


def _check_size(network: Network, n: int) -> None:
    try:
        check_batch(network.layers, n)
    except LayerError as error:
        message = f"{error.message}: choose several, as --samples 0,1,2, or a mini-batch, --batch"
        raise NncliError(message) from error


def _rows_of(samples: Sequence[int], index: Rows) -> Rows:
    wrong = [sample for sample in samples if not 0 <= sample < len(index)]
    if wrong:
        raise NncliError(
            f"there is no sample {wrong[0]} in the training data: it has {len(index):,}, "
            f"0 to {len(index) - 1}"
        )
    return index[list(samples)]
