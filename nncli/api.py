"""What nncli can do, one call a command. Nothing here prints, and nothing is kept between calls."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nncli.assemble import Prepared, prepare
from nncli.errors import DivergedError, InterruptedTraining
from nncli.nn.network import Network
from nncli.nn.sgd import Sgd
from nncli.spec import Spec, dump_spec, load_spec
from nncli.training.history import Divergence, Epoch, Event
from nncli.training.run_folder import Keeper, RunFolder
from nncli.training.trainer import Trainer

Watcher = Callable[[Event, Trainer], None]


@dataclass(frozen=True)
class Training:
    """A training that has come to its end.

    Attributes:
        network: with its trained parameters.
        history: a record an epoch.
        folder: the run folder, or None where none was asked for.
    """

    spec: Spec
    network: Network
    history: tuple[Epoch, ...]
    folder: Path | None


def train(
    spec: Spec | Prepared | str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_event: Watcher | None = None,
) -> Training:
    """Trains the network of a spec.

    Args:
        spec: a spec, the path of one, or what `prepare` made of one (its network is trained in
            place).
        out: the run folder to write; None writes nothing.
        overwrite: whether a run in that folder may be replaced.
        on_event: called with each event and the trainer, which is at rest meanwhile. It may raise
            InterruptedTraining to stop there.

    Raises:
        SpecError, DataError: the spec or its data are wrong.
        RunError: the run folder cannot be written.
        DivergedError: the cost became NaN or infinite; the last complete epoch is saved.
        InterruptedTraining: from `on_event`; the training's place is saved.
    """
    if not isinstance(spec, Prepared):
        spec = prepare(load_spec(spec) if not isinstance(spec, Spec) else spec)
    settings, network = spec.spec.train, spec.network
    sgd = Sgd(network, settings.momentum, settings.weight_decay)
    trainer = Trainer(network, sgd, spec.plan, spec.data.train, spec.data.validation)
    folder = None
    if out is not None:
        folder = RunFolder.create(Path(out), overwrite=overwrite)
        folder.write_spec(dump_spec(spec.spec))
    keeper = Keeper(folder, network, trainer.state())
    try:
        for event in trainer.events():
            if isinstance(event, Epoch):
                keeper.epoch_done(event, trainer.state())
            elif isinstance(event, Divergence):
                raise DivergedError(_divergence_message(event, spec.plan.eta))
            if on_event is not None:
                on_event(event, trainer)
    except InterruptedTraining:
        keeper.state = trainer.state()
        raise
    finally:
        keeper.write()
    return Training(spec.spec, network, tuple(keeper.history), folder.path if folder else None)


def _divergence_message(event: Divergence, eta: float) -> str:
    largest = "" if event.largest is None else f"; its largest finite entry is {event.largest:.3g}"
    began = (
        f"it began in {event.layer}: {event.quantity} is no longer finite{largest}"
        if event.quantity != "cost"
        else f"it began in {event.layer}: its outputs have grown to {event.largest:.3g}"
    )
    return (
        f"the training diverged in epoch {event.epoch}, at step {event.step}: "
        f"the cost is {event.cost}\n"
        f"{began}\n"
        f"to try: a smaller train.eta than {eta:g} (--set train.eta={min(eta / 10, 0.1):g}), "
        "inputs of about 1 (data.scale: standard), smaller initial weights (init)"
    )
