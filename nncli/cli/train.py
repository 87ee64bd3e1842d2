"""nncli train."""

import gc
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nncli.cli.complete import specs


class Tables(StrEnum):
    none = "none"
    last = "last"
    every = "every"


class Format(StrEnum):
    table = "table"
    json = "json"


class Layout(StrEnum):
    nncli = "nncli"
    pytorch = "pytorch"


Spec = Annotated[
    Path,
    typer.Argument(metavar="SPEC", help="The network spec, a YAML file.", autocompletion=specs),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The run folder.", show_default="runs/<name>"),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a run that is there already.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a value: --set train.eta=0.5. Repeatable."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=256, help="Share the work among N threads.", show_default="auto"
    ),
]
TablesOption = Annotated[
    Tables | None,
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
    Layout | None,
    typer.Option("--from", help="How dense weights lie in files.", show_default="nncli"),
]
FormatOption = Annotated[Format, typer.Option("--format", help="What to print on standard output.")]


def train(
    spec: Spec,
    out: Out = None,
    overwrite: Overwrite = False,
    set_: Overrides = None,
    threads: Threads = None,
    tables: TablesOption = None,
    every: Every = None,
    full: Full = False,
    init_from: InitFrom = None,
    from_: From = None,
    format: FormatOption = Format.table,
) -> None:
    """Train a network from a spec, and show layer by layer what happens.

    Writes a run folder with the spec, the metrics of every epoch and the trained weights.
    """
    if tables is None:
        tables = Tables.last if every is None else Tables.every
    if every is not None and tables is not Tables.every:
        raise typer.BadParameter(f"--every {every} goes with --tables every, not {tables}")
    if full and tables is Tables.none:
        raise typer.BadParameter("--full goes with a table, not with --tables none")

    from nncli.api.assemble import prepare
    from nncli.api.initial import start_from
    from nncli.api.training import train as run_training
    from nncli.cli.signals import interruptible
    from nncli.errors import InterruptedTraining, StoppedTraining
    from nncli.files import shown
    from nncli.render.record import training_json
    from nncli.render.streams import write_text
    from nncli.render.training import TrainingScreen
    from nncli.spec import load_spec
    from nncli.training.history import Epoch, Progress
    from nncli.training.trainer import Trainer

    as_json = format is Format.json
    try:
        said = [] if threads is None else [f"train.threads={threads}"]
        loaded = load_spec(spec, [*(set_ or []), *said])
        if init_from is not None or from_ is not None:
            loaded = start_from(loaded, init_from, from_.value if from_ else "nncli")
        prepared = prepare(loaded)
    except KeyboardInterrupt:
        raise InterruptedTraining("interrupted; nothing was written") from None
    folder = out if out is not None else Path("runs") / prepared.spec.name
    epochs = prepared.spec.train.epochs
    screen = TrainingScreen(prepared, quiet=as_json)

    def on_event(event: Epoch | Progress, trainer: Trainer) -> None:
        screen.progress(event)
        if isinstance(event, Epoch):
            due = tables is Tables.every and event.epoch % (every or 1) == 0
            if due or (tables is not Tables.none and event.epoch == epochs):
                screen.show_step(event, trainer.trace() if full else None)
        if stop.requested:
            stop.saving = True
            raise InterruptedTraining(f"interrupted; where it stood is saved in {shown(folder)}")

    gc.freeze()  # what was loaded stays, and need not be looked through: 20 ms each time
    gc.enable()
    with interruptible() as stop, screen:
        try:
            done = run_training(
                prepared,
                out=folder,
                overwrite=overwrite,
                on_start=screen.show_built,
                on_event=on_event,
            )
        except StoppedTraining as stopped:
            if as_json and stopped.training is not None:
                write_text(training_json(stopped.training, stopped.outcome))
            raise
        except KeyboardInterrupt:
            message = f"interrupted; the last whole epoch is saved in {shown(folder)}"
            raise InterruptedTraining(message) from None
    if as_json:
        write_text(training_json(done, "done"))
    else:
        screen.show_end(done)
