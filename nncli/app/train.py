"""nncli.train: from a spec to a trained network and its run folder."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from nncli.app.output import check_run_output
from nncli.app.pipeline import fixed_among, prepare, start_workers, with_defaults
from nncli.app.records import Prepared, Training, TrainingFit
from nncli.app.run_weights import choose_weights
from nncli.core.errors import (
    DivergedError,
    HaltedTraining,
    InterruptedTraining,
    NncliError,
    RunError,
    StoppedTraining,
)
from nncli.core.text import count_of
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.blas import arithmetic
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.reading import chance_of
from nncli.nn.symbols import symbol_of
from nncli.spec import Spec, load_spec
from nncli.spec.dump import dump_values
from nncli.training.checkpoint import RunIdentity, State, pack_checkpoint
from nncli.training.checkpoint_writer import CheckpointWriter
from nncli.training.conditions import Failure
from nncli.training.diverged import keep_divergence
from nncli.training.evaluate import Evaluator, assess
from nncli.training.history import Divergence, Epoch, History, Progress
from nncli.training.run_data import DataIdentity, data_text, fingerprint, mark_of
from nncli.training.run_files import BREAKS, TRACES
from nncli.training.run_folder import RunFolder
from nncli.training.trace_times import Traced, TraceTimes, trace_times
from nncli.training.trainer import Trainer

if TYPE_CHECKING:
    from nncli.app.kept_traces import TraceKeeper

OnEvent = Callable[[Epoch | Progress, Trainer], None]
OnFailure = Callable[[Failure], None]
CHECKPOINT_EVERY = 60.0


def train(
    spec: Spec | Prepared | str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    checkpoint_every: float = CHECKPOINT_EVERY,
    on_start: Callable[[], None] | None = None,
    on_event: OnEvent | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_failure: OnFailure | None = None,
    traces: Sequence[str] = (),
    durable: bool = True,
) -> Training:
    """Trains the network of a spec.

    Args:
        spec: a spec, the path of one, or what `prepare` made of one (its network is trained in
            place).
        out: the run folder to write; None writes nothing. A checkpoint is written after every
            epoch, or where epochs are short, as often as writing takes next to no time.
        overwrite: whether a run in that folder may be replaced; never what this training reads.
        checkpoint_every: seconds from checkpoint to checkpoint within a long epoch.
        on_start: called once everything is checked and the run folder made, before any step.
        on_event: called with each Epoch, and with a Progress about ten times a second within long
            epochs; and with the trainer, which is at rest meanwhile. It may raise
            InterruptedTraining to stop there.
        on_failure: called with each Failure of a condition of the spec, the first time.
        traces: which steps are written whole to `traces` in the run folder: every=100,
            steps=1,10,100, last=5, and on=break, at which a condition of the spec under this key
            comes to count; all that are said.
        durable: whether the run is written before its first step, and waited for at its end, where
            it takes but a fraction of a second, too. Without, a kill or a failing computer may lose
            such a run.
        on_warning: called with what cannot be written while the training goes on, with what reading
            the data left out, and with what is damaged of a run that the weights are from.

    Raises:
        SpecError, DataError: the spec or its data are wrong. NncliError: `traces` are no steps.
        RunError: the run folder cannot be written.
        DivergedError: the cost became NaN or infinite, or exploded; the last sound state is saved.
        HaltedTraining: a condition of the spec made it stop; the state is saved.
        InterruptedTraining: from `on_event`; the state is saved.
        UnsavedError: the last state could not be saved.
    """
    prepared = spec if isinstance(spec, Prepared) else prepare(_spec(spec))
    if out is not None:
        check_run_output(Path(out), prepared.spec.files)
    times = trace_times(traces, prepared.conditions)
    if traces and out is None:
        raise NncliError("traces are written to the run folder: say which, by out")
    watch = Watcher(on_start, on_event, on_warning, on_failure)
    initial = prepared.initial.notes if prepared.initial is not None else ()
    total = prepared.plan.steps_left(len(prepared.data.train))
    for note in (*prepared.notes, *initial, *times.notes(total)):
        watch.warn(note)
    with start_workers(prepared) as workers:
        trainer = make_trainer(prepared, workers)
        data = identity_of_data(prepared)
        values = with_defaults(prepared.spec).absolute()
        identity = RunIdentity(
            data.fingerprint,
            workers.threads,
            trainer.untrained,
            data.checksums,
            arithmetic=arithmetic(),
            spec=fixed_among(values),
            preprocessing=mark_of(prepared.data.preprocessing.as_plain()),
        )
        folder = None
        if out is not None:
            text = dump_values(values) + threads_comment(workers.threads)
            state = trainer.sound_state()
            checkpoint = pack_checkpoint(prepared.network, state, identity) if durable else None
            known = data_text(prepared.data.preprocessing.as_plain())
            folder = RunFolder.create(Path(out), text, known, checkpoint, overwrite=overwrite)
        writer = CheckpointWriter(
            folder, prepared.network, History(), identity, checkpoint_every, durable=durable
        )
        if not durable:
            writer.submit(trainer.sound_state())
        return run_to_end(trainer, prepared, workers, writer, watch, times)


class Watcher(NamedTuple):
    """The callbacks that the caller gave."""

    on_start: Callable[[], None] | None
    on_event: OnEvent | None
    on_warning: Callable[[str], None] | None
    on_failure: OnFailure | None = None

    def start(self) -> None:
        if self.on_start is not None:
            self.on_start()

    def tell(self, event: Epoch | Progress, trainer: Trainer) -> None:
        if self.on_event is not None:
            self.on_event(event, trainer)

    def fail(self, failure: Failure) -> None:
        if self.on_failure is not None:
            self.on_failure(failure)

    def warn(self, message: str | None) -> None:
        if self.on_warning is not None and message is not None:
            self.on_warning(message)


def identity_of_data(prepared: Prepared) -> DataIdentity:
    """By what a resumed run knows its data again."""
    data = prepared.data
    parts = {"train": data.train, "validation": data.validation}
    return DataIdentity(
        fingerprint(data.train, data.validation, data.input_shape),
        {
            name: part.checksum()._asdict()
            for name, part in parts.items()
            if part is not None and part.checksum is not None
        },
    )


def threads_comment(threads: int) -> str:
    """A line for spec.yaml, where `auto` does not say how many there were."""
    return f"# Trained with {count_of(threads, 'thread')}.\n"


def make_trainer(
    prepared: Prepared, workers: WorkerPool, untrained: float | None = None
) -> Trainer:
    network, data = prepared.network, prepared.data
    optimizer = Optimizer(network, prepared.links)
    return Trainer(
        network,
        optimizer,
        prepared.plan,
        data.train,
        data.validation,
        workers,
        untrained,
        prepared.conditions,
    )


def run_to_end(
    trainer: Trainer,
    prepared: Prepared,
    workers: WorkerPool,
    writer: CheckpointWriter,
    watch: Watcher,
    times: TraceTimes,
) -> Training:
    """Trains to the end, saving states on the way, and the steps that are to be recorded."""
    trainer.trace_times = times
    keeper = None
    if any(times) and writer.path is not None:
        keeper = _keeper(prepared, workers, writer.path, watch)
    chance = chance_of(prepared.plan.reading, prepared.data.outputs)
    training = Training(
        prepared.spec, trainer.network, writer.history, None, writer.path, chance=chance
    )
    try:
        with writer, keeper or nullcontext():
            watch.start()
            # No checkpoint comes before a step behind it: one waits until that is written.
            waiting: State | None = None
            try:
                for event in trainer.events():
                    if waiting is not None and (keeper is None or keeper.is_idle):
                        writer.submit(waiting)
                        waiting = None
                    if isinstance(event, Divergence):
                        message = divergence_message(event, prepared.spec)
                        raise DivergedError(message, event)
                    if isinstance(event, Traced):
                        assert keeper is not None
                        keeper.keep(event)
                        continue
                    if isinstance(event, Failure):
                        if "trace" in event.actions and writer.path is not None:
                            assert event.trace is not None
                            with _keeper(prepared, workers, writer.path, watch, BREAKS) as breaks:
                                breaks.keep_record(event.step, event.trace)
                        if keeper is not None and event.key in times.on:
                            assert event.trace is not None
                            keeper.keep_record(event.step, event.trace)
                        _tell_failure(event, prepared, watch)
                        continue
                    if isinstance(event, Epoch):
                        writer.history.append(event)
                    if isinstance(event, Epoch) or writer.is_due:
                        waiting = trainer.sound_state()
                        if keeper is None or keeper.is_idle:
                            writer.submit(waiting)
                            waiting = None
                    watch.warn(writer.new_warning())
                    watch.tell(event, trainer)
                if waiting is not None and keeper is not None:
                    keeper.flush()
                    writer.submit(waiting)
            except (InterruptedTraining, HaltedTraining):
                writer.submit(trainer.sound_state())
                raise
            workers.ranks = None  # the others have ended
            chosen = choose_weights(trainer.state(), None)
            training = replace(
                training, used=chosen.used, has_stopped_early=trainer.has_stopped_early
            )
            if prepared.data.test is not None or prepared.plan.reading == "numbers":
                last = choose_weights(trainer.state(), "last")
                chosen.put_into(trainer.network)
                training = _measured(training, prepared, workers)
                last.put_into(trainer.network)
            training = replace(training, conditions=trainer.outcomes())
    except StoppedTraining as stopped:
        watch.warn(writer.new_warning())
        if isinstance(stopped, DivergedError) and writer.path is not None:
            try:
                keep_divergence(writer.path, stopped.divergence, str(stopped))
            except RunError as error:
                watch.warn(str(error))
        stopped.training = replace(training, conditions=trainer.outcomes())
        raise
    return training


def _measured(training: Training, prepared: Prepared, workers: WorkerPool) -> Training:
    """The training with what its network comes to: on test data, and on targets in their units."""
    test, reading = prepared.data.test, prepared.plan.reading
    if test is not None:
        evaluator = Evaluator(training.network, test, reading=reading, workers=workers)
        training = replace(training, test=evaluator())
    if reading == "numbers":
        training = replace(training, fit=_fit(prepared, workers))
    return training


def _fit(prepared: Prepared, workers: WorkerPool) -> TrainingFit:
    """How near the outputs come to targets that are numbers, in their own units."""
    data, known = prepared.data, prepared.data.preprocessing
    part: Literal["train", "validation"] = "train" if data.validation is None else "validation"
    samples = data.train if data.validation is None else data.validation
    fit = assess(prepared.network, samples, reading="numbers", workers=workers).fit
    assert fit is not None
    if known.target_scaling is not None:
        fit = fit.divided(known.target_scaling.divisor)
    return TrainingFit(part, known.output_names, fit)


def _keeper(
    prepared: Prepared, workers: WorkerPool, run: Path, watch: Watcher, folder: str = TRACES
) -> "TraceKeeper":
    from nncli.app.kept_traces import TraceKeeper

    return TraceKeeper(prepared, workers.threads, run, watch.warn, folder)


def _tell_failure(failure: Failure, prepared: Prepared, watch: Watcher) -> None:
    """Says that a condition failed; raises HaltedTraining where that stops the training."""
    if failure.trace is not None:
        failure = replace(failure, trace=replace(failure.trace, name=prepared.spec.name))
    if not failure.stops:
        watch.warn(failure.says())
    watch.fail(failure)
    if failure.stops:
        raise HaltedTraining(failure.says(), failure)


def _spec(spec: Spec | str | Path) -> Spec:
    return spec if isinstance(spec, Spec) else load_spec(spec)


def divergence_message(event: Divergence, spec: Spec) -> str:
    """The message for a divergence: where it began, and what to try."""
    held_back = event.part == "validation"
    cost = f"the cost{' of the validation data' if held_back else ''}"
    if math.isfinite(event.cost) and event.quantity not in ("cost", "target"):
        cost += f" is {event.cost:.3g}"
    elif math.isfinite(event.cost):
        cost += f" has grown to {event.cost:.3g}, untrained it was {event.untrained:.3g}"
    else:
        cost += f" is {event.cost}"
    return (
        f"the training diverged in epoch {event.epoch}, at step {event.step}: {cost}\n"
        f"it began in {_beginning(event)}\n"
        f"to try: {', '.join(_to_try(event, spec))}"
    )


def _beginning(event: Divergence) -> str:
    unit, sample = f"of unit {event.unit}", _sample(event)
    if event.quantity == "target":
        return f"the data: the target {unit} is {event.largest:.3g} for {sample}"
    if event.quantity == "cost":
        return f"{event.layer}: z {unit} has grown to {event.largest:.3g} for {sample}"
    shares = event.quantity.startswith(("weight", "bias"))  # each sample has one in these
    sample += " has the largest share" if shares else ""
    finite = "" if event.largest is None else f"; its largest finite entry is {event.largest:.3g}"
    symbol = symbol_of(event.quantity, event.layer)
    return f"{event.layer}: {symbol} {unit} is no longer finite ({sample}){finite}"


def _sample(event: Divergence) -> str:
    of = " of the validation data" if event.part == "validation" else ""
    return f"sample {event.sample}{of}"


def _to_try(event: Divergence, spec: Spec) -> list[str]:
    if event.quantity == "target":
        return ["a look at that target", "targets of about 1 (scale them in the data)"]
    settings = spec.train
    eta = min(settings.eta / 10, 0.1)
    advice = [f"a smaller train.eta than {settings.eta:g} (--set train.eta={eta:g})"]
    if spec.data.scale not in ("standard", "minmax"):
        advice.append("inputs of about 1 (data.scale: standard)")
    advice.append("smaller initial weights (init)")
    if settings.momentum > 0.9:
        advice.append(f"less momentum than {settings.momentum:g}")
    if settings.weight_decay * settings.eta > 1:
        advice.insert(0, "train.weight_decay times eta below 1")
    if settings.decoupled_weight_decay * settings.eta > 1:
        advice.insert(0, "train.decoupled_weight_decay times eta below 1")
    if event.quantity.endswith("second_moment") and spec.dtype != "float64":
        advice.insert(0, "dtype: float64, which has room for (∂C/∂W)²")
    if event.part == "validation":
        advice.insert(0, f"a look at {_sample(event)}")
    return advice
