"""How a spec wants to be trained: its plan, and the links of its optimizer."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from nncli.core.errors import NncliError
from nncli.core.reading import Reading
from nncli.core.text import count_of
from nncli.data import Data
from nncli.nn.layers import LAYERS, Placed
from nncli.nn.links import Link
from nncli.nn.optimizers import chain_of
from nncli.nn.parallel.worker_pool import SMALLEST_SHARE, most_shares
from nncli.nn.schedules import SCHEDULES
from nncli.spec import Spec
from nncli.training.best import EarlyStop
from nncli.training.steps import Plan, block_of


def make_plan(spec: Spec, *, reading: Reading, input_shape: Sequence[int] = ()) -> Plan:
    """How a spec wants to be trained, on samples of such inputs, with targets to be read so."""
    t = spec.train
    return Plan(
        eta=t.eta,
        schedule=SCHEDULES[t.schedule.type](**t.schedule.settings(t.epochs)),
        epochs=t.epochs,
        batch_size=t.batch_size,
        shuffle=t.shuffle is not False,
        seed=spec.seed,
        reading=reading,
        early_stop=early_stop_of(spec),
        block=block_of(math.prod(input_shape)) if t.shuffle == "blocks" else None,
    )


def early_stop_of(spec: Spec) -> EarlyStop | None:
    stop = spec.train.early_stop
    return None if stop is None else EarlyStop(**stop.model_dump())


def optimizer_links(spec: Spec) -> tuple[Link, ...]:
    """What the optimizer that a spec asks for is made of."""
    settings = spec.train.optimizer_settings()
    return tuple(chain_of(spec.train.optimizer.type, frozen=frozen_parameters(spec), **settings))


def frozen_parameters(spec: Spec) -> list[str]:
    """The names of those that are not trained, such as dense1.bias."""
    counts: Counter[str] = Counter()
    found: list[str] = []
    for layer in spec.network:
        counts[layer.type] += 1
        found += (f"{layer.type}{counts[layer.type]}.{part}" for part in layer.frozen_parts())
    return found


def check_metric(spec: Spec, data: Data) -> None:
    """Raises SpecError where a training is to go by what it does not measure."""
    for key, part in (("early_stop", spec.train.early_stop), ("schedule", spec.train.schedule)):
        metric = getattr(part, "metric", None)
        if metric is not None:
            _check_metric(spec, data, ("train", key, "metric"), metric)


def _check_metric(spec: Spec, data: Data, place: tuple[str, ...], metric: str) -> None:
    if metric.startswith("validation_") and data.validation is None:
        raise spec.error_at(
            place,
            f"{metric} needs data to validate on; data.validation: 0.2 holds a fifth of the "
            "training data back, metric: train_cost does without",
        )
    if metric == "validation_accuracy" and data.reading == "numbers":
        raise spec.error_at(
            place,
            "validation_accuracy needs classes, and the targets are numbers; "
            "metric: validation_cost takes any",
        )


def plan_notes(spec: Spec, layers: Sequence[Placed]) -> Iterator[str]:
    """What there is to say of a training that changes nothing, or whose schedule ends elsewhere."""
    learning = [p for p in layers if p.parameter_shapes]
    frozen = set(frozen_parameters(spec))
    if learning and frozen.issuperset(
        f"{p.name}.{x}" for p in learning for x in p.parameter_shapes
    ):
        yield from spec.error_at(
            ("network", learning[-1].index, "freeze"),
            "nothing is trained: all weights and biases are frozen; without freeze, those of "
            f"{learning[-1].name} would be trained",
        ).problems
    note = spec.train.schedule.note(spec.train.epochs)
    if note is not None:
        key, message = note
        yield from spec.error_at(("train", "schedule", key), message).problems


def check_shares(spec: Spec, processes: int, *, is_new: bool = False) -> bool:
    """Whether a spec still lacks a micro-batch for each of several processes.

    Args:
        is_new: whether how many there are is not settled, as it is in a run.

    Raises:
        NncliError: a mini-batch cannot be shared among so many processes.
    """
    count, n = spec.train.micro_batches, spec.train.batch_size
    whole = next((each.type for each in spec.network if not LAYERS[each.type].splits_samples), None)
    if processes == 1:
        return False
    if whole is not None:
        raise NncliError(
            f"--workers mpi: a mini-batch cannot be shared among {processes} processes, since "
            f"{whole} takes its means and variances over all of it; train in one process"
        )
    if 1 < count < processes:
        idle = processes - count
        raise NncliError(
            f"{processes} processes, but train.micro_batches is {count}: {idle} would have nothing "
            f"to do; mpirun -n {count} would do"
        )
    if count > 1:
        return False
    if not is_new:
        raise NncliError(
            "--workers mpi: the run was begun with whole mini-batches, and shared ones would not "
            "give the same bits; it goes on in one process (a new one can be shared)"
        )
    most = most_shares(n, processes)
    if most < processes:
        raise NncliError(
            f"{processes} processes, but a mini-batch of {count_of(n, 'sample')} makes at most "
            f"{most} of at least {SMALLEST_SHARE}: mpirun -n {most} would do, or "
            f"--set train.batch_size={processes * SMALLEST_SHARE}"
        )
    return True
