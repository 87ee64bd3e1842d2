"""Single steps of a training: in its workspaces, and one of them for its record."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from nncli.core.errors import DivergedError, LayerError, NncliError
from nncli.nn.network import Network, check_batch
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace, record_trace
from nncli.training.plan import Plan, Rows, Samples


class StepRunner:
    """Takes steps of a network, in one workspace for each size of mini-batch."""

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        plan: Plan,
        train: Samples,
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
        if step.draws:
            step.draw(self.plan.draws_of(number))
        return step

    def run(self, rows: Rows, eta: float, number: int, *, full: bool) -> tuple[Step, float]:
        """The training's step `number` on these rows: its workspace, and C before the update."""
        step = self.prepare(rows, number)
        return step, step.run(eta, full=full)

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
        samples: of the training data, counted from 0; None: the step's own mini-batch.
        step: counted from 1 from where the training is now; those before it are taken first.
    """

    samples: Sequence[int] | None = (0,)
    step: int = 1


def record_chosen_step(
    network: Network,
    optimizer: Optimizer,
    plan: Plan,
    train: Samples,
    choice: Choice,
    *,
    epoch: int = 1,
    start: int = 0,
    steps_taken: int = 0,
    name: str = "",
    workers: WorkerPool | None = None,
) -> Trace:
    """Takes the chosen step of `network` in place; its record.

    Args:
        workers: the threads of the training: the order of their sums decides the last bits.
        epoch, start: the epoch that the training is in, and how many samples of it are done.
        steps_taken: over the whole training so far.

    Raises:
        NncliError: a sample that is not in the training data.
        DivergedError: the cost is not finite at that step, or at one before it.
    """
    runner = StepRunner(network, optimizer, plan, train, workers)

    def run(rows: Rows, eta: float, number: int, *, full: bool) -> tuple[Step, float]:
        step, cost = runner.run(rows, eta, steps_taken + number, full=full)
        if not math.isfinite(cost):
            raise DivergedError(f"at step {number} the cost is {cost}: it has no gradient to show")
        return step, cost

    steps = plan.steps(train.index, epoch, start)
    for number, (eta, rows) in enumerate(islice(steps, choice.step - 1), 1):
        run(rows, eta, number, full=False)
    eta, rows = next(steps)
    if choice.samples is not None:
        rows = _rows_of(choice.samples, train.index)
        _check_size(network, len(rows))
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
