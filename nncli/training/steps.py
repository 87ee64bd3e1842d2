"""One step of a training, taken for its record."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from nncli.core.errors import DivergedError, NncliError
from nncli.nn.network import Network
from nncli.nn.optimizers import Sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.nn.trace import Trace, take_trace
from nncli.training.plan import Plan, Rows, Samples


class Choice(NamedTuple):
    """Which step to look at: the `step`-th that training takes from here, after the real ones
    before it; on its own mini-batch, or on `samples` of the training data (counted from 0).
    """

    samples: Sequence[int] | None = (0,)
    step: int = 1


def take_step(
    network: Network,
    sgd: Sgd,
    plan: Plan,
    train: Samples,
    choice: Choice,
    *,
    epoch: int = 1,
    start: int = 0,
    name: str = "",
    workers: WorkerPool | None = None,
) -> Trace:
    """Takes the chosen step of `network` in place; its record.

    Args:
        workers: the threads of the training, whose sums are taken in an order of their own.
        epoch, start: where the training stands: in which epoch, how many samples of it are done.

    Raises:
        NncliError: a sample that is not in the training data.
        DivergedError: the cost is not finite at that step, or at one before it.
    """
    workspaces: dict[int, Step] = {}

    def run(rows: Rows, eta: float, number: int, *, full: bool) -> tuple[Step, float]:
        if len(rows) not in workspaces:
            workspaces[len(rows)] = Step(network, sgd, len(rows), workers, train)
        step = workspaces[len(rows)]
        step.load(rows)
        cost = step.run(eta, full=full)
        if not math.isfinite(cost):
            raise DivergedError(f"at step {number} the cost is {cost}: it has no gradient to show")
        return step, cost

    steps = plan.steps(train.index, epoch, start)
    for number, (eta, rows) in enumerate(islice(steps, choice.step - 1), 1):
        run(rows, eta, number, full=False)
    eta, rows = next(steps)
    if choice.samples is not None:
        rows = _rows_of(choice.samples, train.index)
    before = network.parameters.copy()
    velocity = None if sgd.velocity is None else sgd.velocity.copy()
    step, cost = run(rows, eta, choice.step, full=True)
    return take_trace(
        step,
        eta=eta,
        cost=cost,
        before=before,
        velocity=velocity,
        samples=np.searchsorted(train.index, rows).tolist(),
        name=name,
    )


def _rows_of(samples: Sequence[int], index: Rows) -> Rows:
    wrong = [sample for sample in samples if not 0 <= sample < len(index)]
    if wrong:
        raise NncliError(
            f"there is no sample {wrong[0]} in the training data: it has {len(index):,}, "
            f"0 to {len(index) - 1}"
        )
    return index[list(samples)]
