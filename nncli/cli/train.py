"""nncli train."""

import gc
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from nncli.cli import options
from nncli.cli.completion import runs, specs
from nncli.cli.options import FormatOption, TableOrJson, words
from nncli.core.layouts import Layout

if TYPE_CHECKING:
    from nncli.app.mpi import MpiRanks
    from nncli.app.records import InspectedStep, Training
    from nncli.app.resume import PreparedTraining
    from nncli.render.pages.training import TrainingScreen
    from nncli.training.conditions import Failure
    from nncli.training.history import Epoch, Progress
    from nncli.training.trainer import Trainer

    LayoutWord = StrEnum
else:
    LayoutWord = words("Layout", get_args(Layout))


class When(StrEnum):
    none = "none"
    last = "last"
    every = "every"


class Place(StrEnum):
    mpi = "mpi"


Spec = Annotated[
    Path | None,
    typer.Argument(
        metavar="SPEC",
        help="The network spec, a YAML file. Not needed with --resume.",
        show_default=False,
        autocompletion=specs,
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Go on with the training in this run folder, from its last checkpoint.",
        autocompletion=runs,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The run folder.", show_default="runs/<name>"),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Short for --set train.epochs=N.", show_default="the spec's"
    ),
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="Save the state this often within a long epoch. It is saved after each epoch too, "
        "at most four times a second.",
    ),
]
Overwrite = Annotated[bool, options.overwrite(what="a run that is there")]
Overrides = Annotated[list[str] | None, options.overrides()]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=256, help="Share the work among N threads.", show_default="auto"
    ),
]
Workers = Annotated[
    Place | None,
    typer.Option(
        help="mpi: the processes that mpirun has started share each mini-batch "
        "(pip install 'nncli\\[mpi]'): mpirun -n 4 nncli train SPEC --workers mpi",
    ),
]
EvenIfSlower = Annotated[
    bool,
    typer.Option(
        "--even-if-slower", help="With --workers: also where one process would be faster."
    ),
]
TablesOption = Annotated[
    When | None,
    typer.Option(help="When to show the per-layer table.", show_default="last"),
]
Every = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Show the table each N epochs.")
]
Full = Annotated[
    bool, typer.Option("--full", help="With each table, the matrices of the step themselves.")
]
InitFrom = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Start from weights: .npz, .safetensors, or a run."),
]
From = Annotated[
    LayoutWord | None,
    typer.Option("--from", help="How dense weights lie in files.", show_default="nncli"),
]

Junit = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write which expectations of the spec held, as JUnit's XML, for a CI."
    ),
]


Trace = Annotated[
    list[str] | None,
    typer.Option(
        metavar="every=N|steps=1,10|last=N|on=break",
        help="Keep these steps whole, in the run folder: for replay, diff, inspect-grad; "
        "on=break: at which a condition of break (or expect) comes to count. Repeatable.",
    ),
]


def train(
    spec: Spec = None,
    resume: Resume = None,
    out: Out = None,
    overwrite: Overwrite = False,
    set_: Overrides = None,
    epochs: Epochs = None,
    threads: Threads = None,
    workers: Workers = None,
    even_if_slower: EvenIfSlower = False,
    checkpoint_every: CheckpointEvery = 60.0,
    tables: TablesOption = None,
    every: Every = None,
    full: Full = False,
    init_from: InitFrom = None,
    from_: From = None,
    trace: Trace = None,
    junit: Junit = None,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Train a network from a spec, and show layer by layer what happens.

    Writes a run folder with the spec, the metrics of every epoch and the trained weights.
    A training that was cut off goes on with --resume RUN, and ends the same, to the bit.
    """
    if tables is None:
        tables = When.last if every is None else When.every
    if every is not None and tables is not When.every:
        raise typer.BadParameter(f"--every {every} goes with --tables every, not {tables}")
    if full and tables is When.none:
        raise typer.BadParameter("--full goes with a table, not with --tables none")
    if resume is not None and (out is not None or overwrite):
        raise typer.BadParameter("--resume goes on in the run's own folder, without --out")
    if resume is not None and (init_from is not None or from_ is not None):
        raise typer.BadParameter("--resume goes on with the run's own weights, without --init-from")
    if spec is None and resume is None:
        raise typer.BadParameter("name a SPEC to train, or --resume RUN to go on with")
    if workers is None and even_if_slower:
        raise typer.BadParameter("--even-if-slower goes with --workers mpi")
    if workers is not None and (threads is not None or trace):
        option = "--trace" if trace else "--threads"
        raise typer.BadParameter(f"{option} goes with one process, not with --workers {workers}")

    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.cli.mpirun import joined

    ranks = joined(is_shared=workers is not None)
    from nncli.app.diagnose import brief_diagnosis, first_states
    from nncli.app.resume import begin
    from nncli.cli.kept_steps import write_junit
    from nncli.core.errors import (
        DivergedError,
        FailedCheck,
        HaltedTraining,
        InterruptedTraining,
        StoppedTraining,
        UnsavedError,
    )
    from nncli.render.pages.conditions import failed_words
    from nncli.render.pages.training import Tables, TrainingScreen, training_json
    from nncli.render.streams import write_text

    short = {"train.epochs": epochs, "train.threads": threads}
    overrides = [f"{key}={value}" for key, value in short.items() if value is not None]
    layout: Any = None if from_ is None else from_.value
    try:
        begun = begin(
            spec,
            [*(set_ or []), *overrides],
            resume=resume,
            out=out,
            init_from=init_from,
            layout=layout,
            processes=1 if ranks is None else ranks.size,
        )
    except KeyboardInterrupt:
        raise InterruptedTraining("interrupted; nothing was written") from None
    if junit is not None:
        _check_junit(junit, begun, overwrite=overwrite)
    as_json = format is TableOrJson.json
    due = Tables(
        every=(every or 1) if tables is When.every else None,
        last=tables is not When.none,
        full=full,
    )
    screen = TrainingScreen(
        begun.prepared,
        begun.resume_point,
        due,
        quiet=as_json,
        has_stopped_early=begun.has_stopped_early,
    )
    # A resumed network has learnt: how it began is not known any more.
    start = () if begun.reopened is not None else first_states(begun.prepared)
    kept: dict[int, InspectedStep] = {}  # steps that were written down
    how: dict[str, Any] = {"overwrite": overwrite, "checkpoint_every": checkpoint_every}
    how["traces"] = trace or []
    shared = begun
    if ranks is not None:
        from nncli.app.mpi_training import share

        shared = share(begun, ranks, even_if_slower=even_if_slower)
    try:
        done = _train(shared, screen, kept, ranks, **how)
    except StoppedTraining as stopped:
        if junit is not None and stopped.training is not None:
            write_junit(junit, stopped.training)
        found = None
        if isinstance(stopped, DivergedError):
            history = stopped.training.history
            found = brief_diagnosis(begun.prepared, start, history, stopped.divergence)
        if as_json and stopped.training is not None:
            write_text(training_json(stopped.training, stopped, found))
        elif isinstance(stopped, DivergedError) and found is not None:
            screen.show_divergence(stopped.divergence)
            screen.show_verdict(found, begun.folder)
        elif isinstance(stopped, HaltedTraining):
            screen.show_halt(stopped.failure, kept.get(stopped.failure.step), stopped.training)
        elif isinstance(stopped, UnsavedError) and stopped.is_done:
            screen.show_end(stopped.training, is_saved=False)
        raise
    found = brief_diagnosis(begun.prepared, start, done.history)
    if as_json:
        write_text(training_json(done, diagnosis=found))
    else:
        screen.show_end(done)
        screen.show_verdict(found, begun.folder)
    if junit is not None:
        write_junit(junit, done)
    if done.failed:
        raise FailedCheck(failed_words(done.failed))


def _check_junit(path: Path, begun: "PreparedTraining", *, overwrite: bool) -> None:
    from nncli.cli.kept_steps import check_junit
    from nncli.core.errors import NncliError

    if not begun.prepared.conditions:
        raise NncliError(
            "--junit: the spec names nothing to expect; --set expect=healthy does, for example"
        )
    check_junit(path, begun.prepared.spec.files(), overwrite=overwrite)


def _train(
    begun: "PreparedTraining",
    screen: "TrainingScreen",
    kept: "dict[int, InspectedStep]",
    ranks: "MpiRanks | None",
    *,
    overwrite: bool,
    checkpoint_every: float,
    traces: list[str],
) -> "Training":
    """Trains until all epochs are done, or a signal or a condition asks to stop.

    Steps that a condition wants to be kept are written to the run folder, and put into `kept`.
    Other processes, if any, follow from its start on.
    """
    from nncli.cli.kept_steps import keep_step
    from nncli.cli.mpirun import note_end, start_all
    from nncli.cli.process import interruptible
    from nncli.core.errors import (
        DivergedError,
        InterruptedTraining,
        RunError,
        StoppedTraining,
    )
    from nncli.core.text import join_words, printable, shell_word
    from nncli.training.run_files import is_run_folder

    going_on = f"to go on: nncli train --resume {shell_word(begun.folder)}"

    def on_failure(failure: "Failure") -> None:
        if not failure.wants_trace:
            return
        try:
            kept[failure.step], paths = keep_step(failure, begun.folder)
        except RunError as error:  # the training goes on without
            screen.warn(str(error))
        else:
            first, *others = paths
            names = [printable(first), *(path.suffix for path in others)]
            screen.warn(f"kept step {failure.step:,} as {join_words(names, 'and')}")

    def on_start() -> None:
        start_all(ranks)
        screen.on_start()

    def on_event(event: "Epoch | Progress", trainer: "Trainer") -> None:
        screen.on_event(event, trainer.trace, is_last=trainer.is_done)
        if stop.requested:
            place = screen.place(trainer.epoch, trainer.samples)
            raise InterruptedTraining(f"interrupted; saved {place}")

    watch: dict[str, Any] = {
        "checkpoint_every": checkpoint_every,
        "traces": traces,
        "on_start": on_start,
        "on_event": on_event,
        "on_warning": screen.warn,
        "on_failure": on_failure,
    }
    gc.freeze()  # what is loaded by now stays: to collect it would cost 20 ms each time
    gc.enable()
    with interruptible() as stop, screen:
        try:
            done = begun.train(overwrite=overwrite, **watch)
            note_end(ranks)
            return done
        except KeyboardInterrupt:
            message = f"interrupted; saved is the last checkpoint\n{going_on}"
            if not is_run_folder(begun.folder):
                message = f"interrupted; its run folder {printable(begun.folder)} is gone"
            raise InterruptedTraining(message) from None
        except StoppedTraining as stopped:
            has_diverged = isinstance(stopped, DivergedError)
            # What was removed meanwhile cannot be resumed.
            is_there = is_run_folder(begun.folder)
            if is_there and (stopped.training.history or not has_diverged):
                change = " --set train.eta=..." if has_diverged else ""
                stopped.args = (f"{stopped}\n{going_on}{change}",)
            raise
