"""What `nncli train` does between its options and the library's call."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from nncli import api
from nncli.assemble import Prepared, prepare
from nncli.errors import InterruptedTraining
from nncli.jsons import to_json
from nncli.render import training as show
from nncli.render.layers import measures_table
from nncli.render.matrices import step_matrices
from nncli.render.streams import messages, results
from nncli.render.text import count, safe, shape
from nncli.spec import load_spec
from nncli.training.history import Divergence, Epoch, Event
from nncli.training.trainer import Trainer


def run_training(
    path: Path,
    *,
    out: Path | None,
    overwrite: bool,
    overrides: list[str],
    tables: str,
    every: int,
    full: bool,
    as_json: bool,
) -> None:
    prepared = prepare(load_spec(path, overrides))
    spec = prepared.spec
    folder = out if out is not None else Path("runs") / spec.name
    console = results()
    if as_json:
        console.quiet = True
    console.print(show.built(spec.name, prepared.network, facts(prepared)))
    epochs = spec.train.epochs
    bar = show.Bar(messages(), spec.name, epochs, len(prepared.data.train))

    def on_event(event: Event, trainer: Trainer) -> None:
        if stop.requested:
            raise InterruptedTraining(f"interrupted; where it stood is saved in {folder}")
        if isinstance(event, Divergence):
            return
        bar.show(event)
        if isinstance(event, Epoch):
            due = tables == "every" and event.epoch % every == 0
            if due or (tables != "none" and event.epoch == epochs):
                show_step(event, trainer)

    def show_step(epoch: Epoch, trainer: Trainer) -> None:
        console.print(show.epoch_line(epoch, epochs))
        console.print("")
        console.print(measures_table(epoch.layers, spec.train.momentum, spec.train.weight_decay))
        console.print("")
        if full:
            console.print(step_matrices(trainer.trace(), console.width))

    with interruptible() as stop, bar:
        done = api.train(prepared, out=folder, overwrite=overwrite, on_event=on_event)
    if as_json:
        print(to_json(summary(done), indent=2))
        return
    console.print(show.curves(done.history))
    console.print(show.outcome(done.history))
    console.print(f"saved in {safe(folder)}")


def facts(prepared: Prepared) -> list[tuple[str, str]]:
    """What there is to say about a training besides its layers."""
    spec, data = prepared.spec, prepared.data
    t = spec.train
    held = data.validation
    classes = f", {len(data.classes)} classes" if data.classes else ""
    inputs = shape(data.input_shape)
    step = [f"η = {t.eta:g}"]
    if t.schedule.type != "constant":
        step.append(f"{t.schedule.type} schedule")
    if t.momentum:
        step.append(f"momentum {t.momentum:g}")
    if t.weight_decay:
        step.append(f"weight decay {t.weight_decay:g}")
    validation = f", {len(held):,} held back for validation" if held is not None else ""
    return [
        ("data", f"{count(len(data.train), 'sample')} of {inputs} inputs{classes}{validation}"),
        ("cost", t.cost),
        ("SGD", ", ".join(step)),
        (
            "length",
            f"{count(t.epochs, 'epoch')} in mini-batches of {min(t.batch_size, len(data.train)):,}",
        ),
        ("numbers", f"{spec.dtype}, seed {spec.seed}"),
    ]


def summary(done: api.Training) -> dict[str, object]:
    """A training as JSON."""
    return {
        "schema": "nncli.training/1",
        "name": done.spec.name,
        "run": None if done.folder is None else str(done.folder),
        "parameters": done.network.parameters.size,
        "epochs": [asdict(epoch) for epoch in done.history],
    }


class StopRequest:
    """Whether the user has asked to stop."""

    requested = False


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Within it, the first Ctrl-C is a request and only the second an interruption."""
    stop = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
