"""nncli.resume: a run folder is trained further. What may change on the way, and what must not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nncli.app.conditions import CONDITIONS
from nncli.app.opening import SpecChange, edits_of, notes_on_data, read_preprocessing, spec_changes
from nncli.app.pipeline import (
    MAY_CHANGE,
    PLACES,
    SETTINGS,
    fixed_values,
    prepare,
    start_workers,
    with_defaults,
)
from nncli.app.plan import check_shares, make_plan
from nncli.app.records import Prepared, Training
from nncli.app.train import (
    CHECKPOINT_EVERY,
    OnEvent,
    OnFailure,
    Watcher,
    identity_of_data,
    make_trainer,
    run_to_end,
    train,
)
from nncli.app.weights import start_from
from nncli.core.errors import RunError, SpecError
from nncli.core.files import read_regular, reason
from nncli.core.text import count_of, printable
from nncli.data import Data
from nncli.nn.parallel.blas import arithmetic
from nncli.spec import Spec, dump_spec, load_spec
from nncli.spec.words import dotted
from nncli.training.best import stops_early
from nncli.training.checkpoint import RunIdentity, check_optimizer_state
from nncli.training.checkpoint_writer import CheckpointWriter
from nncli.training.run_data import DataIdentity, check_same, data_text, mark_of
from nncli.training.run_files import SPEC
from nncli.training.run_folder import RunFolder
from nncli.training.run_reader import ResumePoint, resume_point
from nncli.training.trace_times import trace_times

if TYPE_CHECKING:
    from nncli.core.layouts import Layout

MOST_TOLD = 10


class ResumableRun(NamedTuple):
    """A run whose training can go on. No other process can write to its folder meanwhile.

    Attributes:
        prepared: the run's spec as it is from here on, its data, and its network as it began.
        changes: what differs from the spec before, as spec.yaml records it.
    """

    prepared: Prepared
    folder: RunFolder
    point: ResumePoint
    changes: tuple[str, ...] = ()

    def begin(self) -> None:
        """Writes changes of the spec to the run folder, and files of it that were lost.

        Raises:
            RunError: the folder cannot be written.
        """
        path = self.folder.path / SPEC
        try:
            text = read_regular(path)
        except OSError as error:
            raise RunError(f"{printable(path)}: cannot be read: {reason(error)}") from error
        if self.changes:
            before = text.decode().splitlines()
            comments = [*(line for line in before if line.startswith("#")), *self.changes]
            changed = dump_spec(with_defaults(self.prepared.spec))
            text = (changed + "".join(f"{comment}\n" for comment in comments)).encode()
        data = data_text(self.prepared.data.preprocessing.as_plain())
        self.folder.resume_at(self.point, text, data.encode())


def resume(
    run: str | Path | ResumableRun,
    *,
    spec: str | Path | None = None,
    overrides: Sequence[str] = (),
    checkpoint_every: float = CHECKPOINT_EVERY,
    on_start: Callable[[], None] | None = None,
    on_event: OnEvent | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_failure: OnFailure | None = None,
    traces: Sequence[str] = (),
) -> Training:
    """Goes on with the training in a run folder, from its last checkpoint.

    However often a training is interrupted and resumed, its result is the same, to the bit.

    Args:
        run: the run folder, or what `reopen` made of one with `spec` and `overrides`.
        spec: a spec that must be equal to the run's.
        overrides: what changes from here on: `train.epochs=60`, train.eta, train.schedule,
            train.threads, or the paths of the data. It is recorded in the run's spec.yaml.
        checkpoint_every, on_start, on_event, on_failure, traces: as for `train`.
        on_warning: also called with damage that did not prevent it.

    Raises:
        SpecError: a spec or an override differs from the run's in what cannot change.
        RunError: there is no run, another training writes there, its checkpoints are damaged, or
            its data have changed.
        DataError, DivergedError, HaltedTraining, InterruptedTraining, UnsavedError: as for `train`.
    """
    if not isinstance(run, ResumableRun):
        run = reopen(run, spec=spec, overrides=overrides)
    prepared, point = run.prepared, run.point
    watch = Watcher(on_start, on_event, on_warning, on_failure)
    with start_workers(prepared, point.identity.threads) as workers:
        try:
            times = trace_times(traces, prepared.conditions)
            trainer = make_trainer(prepared, workers, point.identity.untrained)
            check_optimizer_state(trainer.optimizer, point.state)
            trainer.restore(point.state)
            trainer.follow(point.history)
            # Of micro-batches, any number of threads makes the same sums.
            same_sums = workers.micro_batches > 1
            threads = point.identity.threads if same_sums else workers.threads
            others = _other_arithmetic(point.identity, threads, arithmetic())
            total = prepared.plan.steps_left(len(prepared.data.train))
            for note in (*prepared.notes, *point.notes, *others, *times.notes(total)):
                watch.warn(note)
            run.begin()
        except BaseException:
            run.folder.close()
            raise
        identity = point.identity._replace(
            threads=workers.threads,
            checksums=identity_of_data(prepared).checksums,
            arithmetic=arithmetic(),
            spec=fixed_values(prepared.spec),
            preprocessing=mark_of(prepared.data.preprocessing.as_plain()),
        )
        writer = CheckpointWriter(
            run.folder, prepared.network, point.history, identity, checkpoint_every
        )
        return run_to_end(trainer, prepared, workers, writer, watch, times)


class PreparedTraining(NamedTuple):
    """A training that is ready to be started, or a run that is ready to be resumed (`reopened`)."""

    prepared: Prepared
    folder: Path
    reopened: ResumableRun | None = None

    @property
    def resume_point(self) -> ResumePoint | None:
        return None if self.reopened is None else self.reopened.point

    @property
    def has_stopped_early(self) -> bool:
        """Whether a run that is to be resumed had come to its end before its last epoch."""
        point, plan = self.resume_point, self.prepared.plan
        if point is None or point.state.samples:
            return False
        return stops_early(plan.early_stop, point.history, plan.epochs)

    def train(self, *, overwrite: bool = False, **watch: Any) -> Training:
        """Trains to the end; the arguments are those of `nncli.train`, which raises the same."""
        if self.reopened is not None:
            return resume(self.reopened, **watch)
        return train(self.prepared, out=self.folder, overwrite=overwrite, **watch)


def begin(
    spec: str | Path | None,
    overrides: Sequence[str] = (),
    *,
    resume: str | Path | None = None,
    out: str | Path | None = None,
    init_from: str | Path | None = None,
    layout: "Layout | None" = None,
    processes: int = 1,
) -> PreparedTraining:
    """Makes all ready for a training, which nothing has been written of yet.

    Args:
        spec: the path of the spec; with `resume` it may be None.
        overrides: values of it that are replaced, as `train.eta=0.5`.
        resume: a run folder, whose training is to go on.
        out: the run folder to write; by default runs/ and the name of the spec.
        init_from, layout: see `start_from`.
        processes: among how many mini-batches are to be shared.

    Raises:
        SpecError, DataError, RunError, NncliError: as `nncli.train` and `nncli.resume`.
    """
    if resume is not None:
        reopened = reopen(resume, spec=spec, overrides=overrides)
        check_shares(reopened.prepared.spec, processes)
        return PreparedTraining(reopened.prepared, Path(resume), reopened)
    assert spec is not None
    loaded = load_spec(spec, overrides)
    if check_shares(loaded, processes, is_new=True):
        loaded = load_spec(spec, [*overrides, f"train.micro_batches={processes}"])
    if init_from is not None or layout is not None:
        loaded = start_from(loaded, init_from, layout or "nncli")
    prepared = prepare(loaded)
    return PreparedTraining(
        prepared, Path(out) if out is not None else Path("runs") / prepared.spec.name
    )


def reopen(
    run: str | Path,
    *,
    spec: str | Path | None = None,
    overrides: Sequence[str] = (),
    data: Data | None = None,
) -> ResumableRun:
    """Makes the run in a folder ready to go on. The arguments are those of `nncli.resume`.

    Args:
        data: the run's, where they are read already.

    Raises:
        SpecError, DataError, RunError: as for `nncli.resume`.
    """
    path = Path(run)
    folder = RunFolder.reopen(path)
    try:
        own = load_spec(path / SPEC)
        new = load_spec(path / SPEC, overrides) if overrides else own
        if spec is not None:
            _check_alike(with_defaults(load_spec(spec, overrides)), new, printable(path))
        changed = _differences(own, new)
        _check_changes(changed, new)
        prepared = prepare(new, weight_files=False, data=data)
        point = resume_point(path, prepared.network)
        _check_changes(edits_of(own, point.identity.spec), own)
        notes = (
            *_check_place(prepared, point, printable(path)),
            *_lost_data(path, point.identity),
            *_rising_rate(own, prepared, point),
        )
        point = point._replace(notes=(*point.notes, *notes))
        return ResumableRun(prepared, folder, point, tuple(_comments(changed, point)))
    except BaseException:
        folder.close()
        raise


def _other_arithmetic(
    identity: RunIdentity, threads: int, here: Mapping[str, str]
) -> Iterator[str]:
    """A note where threads, versions or kernels are not those of the run so far."""
    names = [name for name in identity.arithmetic if identity.arithmetic[name] != here.get(name)]
    before, now = (
        [f"{name} {printable(found.get(name, 'none'))}" for name in names]
        for found in (identity.arithmetic, here)
    )
    if threads != identity.threads:
        before.insert(0, count_of(identity.threads, "thread"))
        now.insert(0, count_of(threads, "thread"))
    if before:
        yield (
            f"so far it was trained with {', '.join(before)}, here it goes on with "
            f"{', '.join(now)}: the last bits may differ from those of a training that was not "
            "interrupted"
        )


def _lost_data(path: Path, identity: RunIdentity) -> Iterator[str]:
    """A warning where a run's data.json is missing, damaged or another."""
    try:
        found = list(notes_on_data(path, read_preprocessing(path), identity))
    except RunError as error:
        found = [str(error)]
    for note in found:
        yield f"{note}; it is written again"


def _rising_rate(own: Spec, prepared: Prepared, point: ResumePoint) -> Iterator[str]:
    """A note where η, which a schedule has lowered, rises since that spans more epochs now."""
    new, done = prepared.spec, point.state.epoch
    settings = new.train
    if own.train.eta != settings.eta or not done or done >= settings.epochs:
        return
    if getattr(settings.schedule, "t_max", None) is not None:
        return  # it rises behind t_max, whatever the epochs: said of every training
    planned = make_plan(own, reading="numbers")
    before, after = planned.eta_in(done), prepared.plan.eta_in(done + 1)
    if after > before and after > planned.eta_in(done + 1):
        yield (
            f"η rises again, from {before:.4g} to {after:.4g}: the {settings.schedule.type} "
            f"schedule spans {count_of(settings.epochs, 'epoch')} now; "
            f"--set train.schedule=constant --set train.eta={before:.4g} keeps it"
        )


def _differences(one: Spec, other: Spec) -> list[SpecChange]:
    return spec_changes(one.absolute(), other.absolute())


def _check_alike(given: Spec, own: Spec, run: str) -> None:
    """Raises SpecError where a spec differs from that of a run."""
    found = _differences(given, own)
    _refuse(given, found, [f"{d.one}, but {run} was trained with {d.other}" for d in found])


def _check_changes(changed: list[SpecChange], new: Spec) -> None:
    """Raises SpecError for a change of what has to stay the same."""
    fixed = [d for d in changed if d.path[0] not in CONDITIONS]
    found = [d for d in fixed if d.path[:2] not in MAY_CHANGE]
    settings, places = (", ".join(map(dotted, keys)) for keys in (SETTINGS, PLACES))
    rest = (
        f"what can change on the way is {settings}, {', '.join(CONDITIONS)}, and where the "
        f"data lie ({places})"
    )
    _refuse(new, found, [f"{d.other}, but the run was begun with {d.one}; {rest}" for d in found])


def _refuse(spec: Spec, found: list[SpecChange], messages: list[str]) -> None:
    """Raises SpecError with the place of each difference; does nothing if there is none."""
    shown_first = list(zip(found, messages, strict=True))[:MOST_TOLD]
    lines = [line for d, message in shown_first for line in spec.error_at(d.path, message).problems]
    if len(found) > MOST_TOLD:
        lines.append(f"and {len(found) - MOST_TOLD} more keys that differ")
    if lines:
        raise SpecError(lines)


def _check_place(prepared: Prepared, point: ResumePoint, run: str) -> Iterator[str]:
    """Raises where the state of the run does not fit its data or its spec.

    Gives notes on what of the data could not be compared.
    """
    state, epochs = point.state, prepared.spec.train.epochs
    then = DataIdentity(point.identity.data, point.identity.checksums)
    yield from check_same(then, identity_of_data(prepared), run)
    if state.samples >= len(prepared.data.train):
        raise RunError(
            f"{run}: damaged: {count_of(state.samples, 'sample')} of an epoch are done, of fewer"
        )
    begun = state.epoch + (state.samples > 0)
    if begun > epochs:
        place = ("train", "epochs")
        raise prepared.spec.error_at(
            place, f"{epochs}, but the run has begun epoch {begun} already"
        )


def _comments(changed: list[SpecChange], point: ResumePoint) -> Iterator[str]:
    """Comments for spec.yaml: each change, and after which epoch it was made."""
    where = f"after epoch {point.state.epoch}"
    if point.state.samples:
        where += f" and {count_of(point.state.samples, 'sample')}"
    for d in changed:
        yield f"# Changed {where}: {dotted(d.path)} was {d.one}, is {d.other}."
