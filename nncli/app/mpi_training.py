"""A training that the processes of an MPI job share: `mpirun -n 4 nncli train SPEC --workers mpi`.

Process 0 prepares it, writes the run folder and prints. It tells the others the spec, where the
training stands, and when it begins; they read the data themselves, and follow step for step.
"""

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from nncli.app.kept_traces import batch_of
from nncli.app.mpi import MpiRanks
from nncli.app.pipeline import prepare, start_workers
from nncli.app.records import Prepared
from nncli.app.resume import PreparedTraining
from nncli.app.train import identity_of_data, make_trainer
from nncli.core.errors import NncliError
from nncli.core.text import count_of
from nncli.nn.arrays import Array
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.ranks import Distributed
from nncli.nn.step import Step
from nncli.spec import Spec
from nncli.training.history import Divergence
from nncli.training.run_data import DataIdentity

if TYPE_CHECKING:
    from nncli.training.checkpoint import State
    from nncli.training.history import History

TRIAL = 0.2  # seconds that steps are timed for
FEWEST, MOST = 9, 200  # steps that are timed


class Begin(NamedTuple):
    """What the others are to make ready: a training, as it stands in process 0."""

    spec: Spec
    parameters: Array
    state: "State | None"
    history: "History | None"
    untrained: float | None


class Time(NamedTuple):
    """How many steps the others are to share, to be timed."""

    steps: int


class Go(NamedTuple):
    """The training begins."""


class StepTimes(NamedTuple):
    """Seconds of a step, forward and backward, and of what MPI adds to it.

    Attributes:
        samples: of its mini-batch.
        alone: in one process, of the whole mini-batch.
        share: of what process 0 computes of it.
        exchange: from there until all have the sum of the gradients.
        gradient_bytes: of the gradients of one micro-batch.
    """

    samples: int
    alone: float
    share: float
    exchange: float
    gradient_bytes: int

    @property
    def together(self) -> float:
        return self.share + self.exchange

    @property
    def pays(self) -> bool:
        return self.together < self.alone


def share(
    begun: PreparedTraining, ranks: MpiRanks, *, even_if_slower: bool = False
) -> PreparedTraining:
    """Has the other processes make the same training ready; in process 0.

    Raises:
        NncliError: one of them cannot, or has other data, or they would take longer than one.
    """
    prepared, point = begun.prepared, begun.resume_point
    steps = [condition.that for condition in prepared.conditions if condition.at == "step"]
    if steps and ranks.size > 1:
        raise NncliError(
            f"--workers mpi: {steps[0]!r} is looked at after each step, of which a process has "
            "its own samples only; conditions at: epoch or at: end can be shared"
        )
    state, history = (None, None) if point is None else (point.state, point.history)
    untrained = None if point is None else point.identity.untrained
    parameters = prepared.network.parameters.copy()
    ranks.tell(Begin(prepared.spec, parameters, state, history, untrained))
    _check_answers(ranks, identity_of_data(prepared))
    shared = prepared._replace(ranks=ranks)
    if ranks.size > 1:
        times = _times(shared, ranks, FEWEST if even_if_slower else MOST)
        if not times.pays and not even_if_slower:
            raise NncliError(_refusal(times, ranks.size))
        note = f"{ranks.size} processes: {arithmetic_of(times, ranks.size)}"
        shared = shared._replace(notes=(*prepared.notes, note))
    reopened = begun.reopened
    if reopened is not None:
        reopened = reopened._replace(prepared=shared)
    return begun._replace(prepared=shared, reopened=reopened)


def start(ranks: MpiRanks) -> None:
    """Has the other processes follow from here on; in process 0, before the first step."""
    ranks.tell(Go())


def _check_answers(ranks: MpiRanks, own: DataIdentity) -> None:
    """Raises NncliError where another process failed to make ready, or has read other data."""
    for rank, answer in enumerate(ranks.answers(), 1):
        if isinstance(answer, str):
            lines = answer.split("\n")
            raise NncliError("\n".join(f"{ranks.name_of(rank)}: {line}" for line in lines))
        if answer != own:
            raise NncliError(
                f"{ranks.name_of(rank)} has read other data than {ranks.name_of(0)}: all need "
                "the same files under the same paths"
            )


def follow(ranks: MpiRanks) -> None:
    """What every other process does, until the training is over or process 0 ends all.

    Raises:
        NncliError: it cannot go on; `MpiRanks.end` then ends all.
    """
    begun = ranks.hear()
    assert isinstance(begun, Begin)
    prepared = _made_ready(begun, ranks)
    while isinstance(message := ranks.hear(), Time):
        seconds_together(prepared, ranks, message.steps)
    try:
        _train(prepared, begun)
    except (NncliError, MemoryError) as error:
        raise NncliError(f"{ranks.name_of(ranks.rank)}: {error}") from error
    ranks.is_over = True


def _made_ready(begun: Begin, ranks: MpiRanks) -> Prepared:
    """The training as process 0 has it, but for what is written."""
    try:
        prepared = prepare(begun.spec, weight_files=False)
        identity = identity_of_data(prepared)
    except (NncliError, MemoryError) as error:
        ranks.answer(str(error) or "no memory is left")
        ranks.hear()  # nothing any more: process 0 says it, and ends all
        raise
    ranks.answer(identity)
    prepared.network.parameters[...] = begun.parameters
    return prepared._replace(ranks=ranks)


def _train(prepared: Prepared, begun: Begin) -> None:
    with start_workers(prepared) as workers:
        trainer = make_trainer(prepared, workers, begun.untrained)
        if begun.state is not None and begun.history is not None:
            trainer.restore(begun.state)
            trainer.follow(begun.history)
        for event in trainer.events():
            if isinstance(event, Divergence):  # which process 0 tells of
                return


# Whether it pays


def _times(prepared: Prepared, ranks: MpiRanks, most: int) -> StepTimes:
    """Times a step in this process, the others waiting, and then shared with them.

    Args:
        most: steps.
    """
    alone = seconds_alone(prepared, most)
    ranks.tell(Time(len(alone)))
    shares, totals = seconds_together(prepared, ranks, len(alone))
    share = median(shares)
    n, gradient = batch_of(prepared), prepared.network.parameters.nbytes
    return StepTimes(n, median(alone), share, median(totals) - share, gradient)


def seconds_alone(prepared: Prepared, most: int = MOST) -> list[float]:
    """Of each of some steps, forward and backward, of whole mini-batches in this process."""
    data = prepared.data.train
    step = Step(prepared.network, None, batch_of(prepared), None, data, differentiable=True)
    _load(step, prepared)
    step.differentiate()
    found: list[float] = []
    began = perf_counter()
    while len(found) < FEWEST or (perf_counter() - began < TRIAL and len(found) < most):
        start = perf_counter()
        step.differentiate()
        found.append(perf_counter() - start)
    return found


def seconds_together(
    prepared: Prepared, ranks: MpiRanks, steps: int
) -> tuple[list[float], list[float]]:
    """Of so many shared steps, what this process' share takes, and all until all have the sum."""
    with start_workers(prepared) as workers:
        optimizer = Optimizer(prepared.network, prepared.links)
        step = Step(prepared.network, optimizer, batch_of(prepared), workers, prepared.data.train)
        _load(step, prepared)
        work = step.partition
        assert isinstance(work, Distributed)
        shares, totals = [], []
        ranks.barrier()
        for _ in range(steps + 1):
            start = perf_counter()
            costs = work.compute()
            shares.append(perf_counter() - start)
            work.exchange(costs)
            totals.append(perf_counter() - start)
    return shares[1:], totals[1:]  # the first is slower, by what is only made then


def _load(step: Step, prepared: Prepared) -> None:
    step.load(prepared.data.train.index[: step.n])
    if step.is_random:
        step.randomise(prepared.plan.random_seed(1))


def arithmetic_of(times: StepTimes, processes: int) -> str:
    """The times in a sentence: what a step takes in one process, and what it takes in several."""
    return (
        f"a step of {count_of(times.samples, 'sample')} takes {written(times.alone)} in one "
        f"process; shared among {processes} it takes {written(times.together)}, "
        f"{written(times.share)} to compute a share and {written(times.exchange)} to exchange "
        f"{written_bytes(times.gradient_bytes)} of gradients"
    )


def _refusal(times: StepTimes, processes: int) -> str:
    return (
        f"{arithmetic_of(times, processes)}: that is slower. Without mpirun and --workers it is "
        "trained in one process; larger mini-batches or a larger network would pay; "
        "--even-if-slower does it all the same"
    )


def written(seconds: float) -> str:
    """85 µs, 1.9 ms or 2.3 s."""
    for limit, unit, factor in ((1e-3, "µs", 1e6), (1.0, "ms", 1e3)):
        if seconds < limit:
            return f"{float(f'{seconds * factor:.2g}'):g} {unit}"
    return f"{seconds:.2g} s"


def written_bytes(count: int) -> str:
    """95 kB or 1.2 MB."""
    for limit, unit, factor in ((1e3, "bytes", 1), (1e6, "kB", 1e3), (1e9, "MB", 1e6)):
        if count < limit:
            return f"{float(f'{count / factor:.3g}'):g} {unit}"
    return f"{count / 1e9:.3g} GB"
