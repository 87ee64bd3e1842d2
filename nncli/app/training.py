"""A training, from a spec to its result; or from a run that was cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nncli.app.advice import divergence_message
from nncli.app.assemble import Prepared, prepare, with_defaults
from nncli.app.resuming import Reopened, reopen
from nncli.core.errors import DivergedError, InterruptedTraining, StoppedTraining
from nncli.nn.network import Network
from nncli.nn.optimizers import Sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.spec import Spec, dump_spec, load_spec
from nncli.training.checkpoint import RunIdentity, pack_checkpoint
from nncli.training.checkpoint_writer import CheckpointWriter
from nncli.training.data_file import data_text
from nncli.training.evaluate import Evaluation, Evaluator
from nncli.training.history import Divergence, Epoch, History, Progress
from nncli.training.run_folder import RunFolder
from nncli.training.trainer import Trainer

Watcher = Callable[[Epoch | Progress, Trainer], None]
CHECKPOINT_EVERY = 60.0


@dataclass(frozen=True)
class Training:
    """A training that has come to its end.

    Attributes:
        spec: what was trained.
        network: with its trained parameters.
        history: a record an epoch, those before a resume included.
        test: on the spec's test data, after the last epoch; None where it names none.
        folder: the run folder, or None where none was asked for.
    """

    spec: Spec
    network: Network
    history: History
    test: Evaluation | None
    folder: Path | None


def train(
    spec: Spec | Prepared | str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    checkpoint_every: float = CHECKPOINT_EVERY,
    on_start: Callable[[], None] | None = None,
    on_event: Watcher | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Training:
    """Trains the network of a spec.

    Args:
        spec: a spec, the path of one, or what `prepare` made of one (its network is trained in
            place).
        out: the run folder to write; None writes nothing. A checkpoint is written after every
            epoch, or where epochs are short, as often as writing takes next to no time.
        overwrite: whether a run in that folder may be replaced.
        checkpoint_every: seconds from checkpoint to checkpoint within a long epoch.
        on_start: called once everything is checked and the run folder made, before any step.
        on_event: called with each Epoch, and with a Progress about ten times a second within long
            epochs; and with the trainer, which is at rest meanwhile. It may raise
            InterruptedTraining to stop there.
        on_warning: called with what cannot be written while the training goes on, and with what is
            damaged of a run that the weights are from.

    Raises:
        SpecError, DataError: the spec or its data are wrong.
        RunError: the run folder cannot be written.
        DivergedError: the cost became NaN or infinite, or exploded; the last sound state is saved.
        InterruptedTraining: from `on_event`; the training's place is saved.
        UnsavedError: what the training has come to could not be written down.
    """
    prepared = spec if isinstance(spec, Prepared) else prepare(_spec(spec))
    watch = _Watch(on_start, on_event, on_warning)
    for note in prepared.initial.notes if prepared.initial is not None else ():
        watch.warn(note)
    with prepared.start_workers() as workers:
        trainer = _trainer(prepared, workers)
        terms, folder = (
            RunIdentity(prepared.fingerprint(), workers.threads, trainer.untrained),
            None,
        )
        if out is not None:
            text = dump_spec(with_defaults(prepared.spec))
            checkpoint = pack_checkpoint(prepared.network, trainer.keep(), terms)
            settled = data_text(prepared.data.recipe.as_plain())
            folder = RunFolder.create(Path(out), text, settled, checkpoint, overwrite=overwrite)
        writer = CheckpointWriter(folder, prepared.network, History(), terms, checkpoint_every)
        return _follow(trainer, prepared, workers, writer, watch)


def resume(
    run: str | Path | Reopened,
    *,
    spec: str | Path | None = None,
    overrides: Sequence[str] = (),
    checkpoint_every: float = CHECKPOINT_EVERY,
    on_start: Callable[[], None] | None = None,
    on_event: Watcher | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Training:
    """Goes on with the training in a run folder, from its last checkpoint.

    However a training was ended, and however often, it comes to the same end, to the bit.

    Args:
        run: the run folder, or what `reopen` made of one with `spec` and `overrides`.
        spec: a spec that is to be that of the run.
        overrides: what changes from here on: `train.epochs=60`, train.eta, train.schedule,
            train.threads, or where the data lie. It is recorded in the run's spec.yaml.
        checkpoint_every, on_start, on_event: as for `train`.
        on_warning: also called with what is damaged and could be done without.

    Raises:
        SpecError: a spec or an override differs from the run's in what cannot change.
        RunError: there is no run, another training writes there, its checkpoints are damaged, or
            its data have changed.
        DataError, DivergedError, InterruptedTraining, UnsavedError: as for `train`.
    """
    if not isinstance(run, Reopened):
        run = reopen(run, spec=spec, overrides=overrides)
    prepared, stand = run.prepared, run.standing
    watch = _Watch(on_start, on_event, on_warning)
    with prepared.start_workers(stand.terms.threads) as workers:
        try:
            trainer = _trainer(prepared, workers, stand.terms.untrained)
            trainer.restore(stand.state)
            for note in stand.notes:
                watch.warn(note)
            run.begin()
        except BaseException:
            run.folder.close()
            raise
        terms = stand.terms._replace(threads=workers.threads)
        writer = CheckpointWriter(
            run.folder, prepared.network, stand.history, terms, checkpoint_every
        )
        return _follow(trainer, prepared, workers, writer, watch)


class _Watch(NamedTuple):
    """What whoever trains wants to be told."""

    on_start: Callable[[], None] | None
    on_event: Watcher | None
    on_warning: Callable[[str], None] | None

    def start(self) -> None:
        if self.on_start is not None:
            self.on_start()

    def tell(self, event: Epoch | Progress, trainer: Trainer) -> None:
        if self.on_event is not None:
            self.on_event(event, trainer)

    def warn(self, message: str | None) -> None:
        if self.on_warning is not None and message is not None:
            self.on_warning(message)


def _trainer(prepared: Prepared, workers: WorkerPool, untrained: float | None = None) -> Trainer:
    settings, data = prepared.spec.train, prepared.data
    sgd = Sgd(prepared.network, settings.momentum, settings.weight_decay)
    return Trainer(
        prepared.network, sgd, prepared.plan, data.train, data.validation, workers, untrained
    )


def _follow(
    trainer: Trainer,
    prepared: Prepared,
    workers: WorkerPool,
    writer: CheckpointWriter,
    watch: _Watch,
) -> Training:
    """Trains to the end, and keeps the run folder up to date."""
    network, sgd, test = trainer.network, trainer.sgd, prepared.data.test
    training = Training(prepared.spec, network, writer.history, None, writer.path)
    try:
        with writer:
            watch.start()
            try:
                for event in trainer.events():
                    if isinstance(event, Divergence):
                        message = divergence_message(event, prepared.spec)
                        raise DivergedError(message, event)
                    if isinstance(event, Epoch):
                        writer.history.append(event)
                    if isinstance(event, Epoch) or writer.is_due:
                        writer.keep(trainer.keep())
                    watch.warn(writer.news())
                    watch.tell(event, trainer)
            except InterruptedTraining:
                writer.keep(trainer.keep())
                raise
            if test is not None:
                classes = prepared.plan.classes
                evaluator = Evaluator(network, sgd, test, classes=classes, workers=workers)
                training = replace(training, test=evaluator())
    except StoppedTraining as stopped:
        watch.warn(writer.news())
        stopped.training = training
        raise
    return training


def _spec(spec: Spec | str | Path) -> Spec:
    return spec if isinstance(spec, Spec) else load_spec(spec)
