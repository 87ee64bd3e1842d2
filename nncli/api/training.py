"""A training, from a spec to its result."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nncli.api.assemble import Prepared, prepare, with_defaults
from nncli.errors import DivergedError, InterruptedTraining, StoppedTraining
from nncli.nn.crew import Crew
from nncli.nn.network import Network
from nncli.nn.sgd import Sgd
from nncli.spec import Spec, TrainSpec, dump_spec, load_spec
from nncli.training.data_file import data_text
from nncli.training.evaluate import Evaluation, Evaluator
from nncli.training.history import Divergence, Epoch, Progress
from nncli.training.run_folder import Keeper, RunFolder
from nncli.training.trainer import Trainer

Watcher = Callable[[Epoch | Progress, Trainer], None]


@dataclass(frozen=True)
class Training:
    """A training that has come to its end.

    Attributes:
        spec: what was trained.
        network: with its trained parameters.
        history: a record an epoch.
        test: on the spec's test data, after the last epoch; None where it names none.
        folder: the run folder, or None where none was asked for.
    """

    spec: Spec
    network: Network
    history: tuple[Epoch, ...]
    test: Evaluation | None
    folder: Path | None


def train(
    spec: Spec | Prepared | str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_start: Callable[[], None] | None = None,
    on_event: Watcher | None = None,
) -> Training:
    """Trains the network of a spec.

    Args:
        spec: a spec, the path of one, or what `prepare` made of one (its network is trained in
            place).
        out: the run folder to write; None writes nothing.
        overwrite: whether a run in that folder may be replaced.
        on_start: called once everything is checked and the run folder made, before any step.
        on_event: called with each Epoch, and with a Progress about ten times a second within long
            epochs; and with the trainer, which is at rest meanwhile. It may raise
            InterruptedTraining to stop there.

    Raises:
        SpecError, DataError: the spec or its data are wrong.
        RunError: the run folder cannot be written.
        DivergedError: the cost became NaN or infinite; the last complete epoch is saved.
        InterruptedTraining: from `on_event`; the training's place is saved.
    """
    prepared = spec if isinstance(spec, Prepared) else prepare(_spec(spec))
    with prepared.hire() as crew:
        return _train(prepared, crew, out, overwrite, on_start, on_event)


def _train(
    prepared: Prepared,
    crew: Crew,
    out: str | Path | None,
    overwrite: bool,
    on_start: Callable[[], None] | None,
    on_event: Watcher | None,
) -> Training:
    settings, network, data = prepared.spec.train, prepared.network, prepared.data
    sgd = Sgd(network, settings.momentum, settings.weight_decay)
    trainer = Trainer(network, sgd, prepared.plan, data.train, data.validation, crew)
    folder = None
    if out is not None:
        text = dump_spec(with_defaults(prepared.spec))
        settled = data_text(data.recipe.as_plain())
        folder = RunFolder.create(
            Path(out), text, settled, network, trainer.state(), overwrite=overwrite
        )
    if on_start is not None:
        on_start()
    keeper = Keeper(folder, network, trainer.state())

    def training(test: Evaluation | None) -> Training:
        history = tuple(keeper.history)
        return Training(prepared.spec, network, history, test, folder.path if folder else None)

    try:
        for event in trainer.events():
            if isinstance(event, Divergence):
                raise DivergedError(_divergence_message(event, settings))
            if isinstance(event, Epoch):
                keeper.epoch_done(event, trainer.state())
            if on_event is not None:
                on_event(event, trainer)
    except StoppedTraining as stopped:
        if isinstance(stopped, InterruptedTraining):
            keeper.state = trainer.state()
        stopped.training = training(None)
        raise
    finally:
        keeper.write()
    if data.test is None:
        return training(None)
    test = Evaluator(network, sgd, data.test, classes=prepared.plan.classes, crew=crew)
    return training(test())


def _spec(spec: Spec | str | Path) -> Spec:
    return spec if isinstance(spec, Spec) else load_spec(spec)


def _divergence_message(event: Divergence, settings: TrainSpec) -> str:
    eta = min(settings.eta / 10, 0.1)
    largest = "" if event.largest is None else f"; its largest finite entry is {event.largest:.3g}"
    began = (
        f"it began in {event.layer}: {event.quantity} is no longer finite{largest}"
        if event.quantity != "cost"
        else f"it began in {event.layer}: its outputs have grown to {event.largest:.3g}"
    )
    cost = "" if math.isfinite(event.cost) else f": the cost is {event.cost}"
    advice = [
        f"a smaller train.eta than {settings.eta:g} (--set train.eta={eta:g})",
        "inputs of about 1 (data.scale: standard)",
        "smaller initial weights (init)",
    ]
    if settings.momentum > 0.9:
        advice.append(f"less momentum than {settings.momentum:g}")
    if settings.weight_decay * settings.eta > 1:
        advice.insert(0, "train.weight_decay times eta below 1")
    return (
        f"the training diverged in epoch {event.epoch}, at step {event.step}{cost}\n"
        f"{began}\n"
        f"to try: {', '.join(advice)}"
    )
