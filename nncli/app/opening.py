"""What a command given SPEC or RUN works on."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nncli.app.assemble import Prepared, prepare
from nncli.app.initial import without_files
from nncli.nn.optimizers import Sgd
from nncli.spec import load_spec
from nncli.training.state import State

# A spec needs nothing of what reads a run, so that is loaded where there is one.


class Opened(NamedTuple):
    """A spec, or a run folder, made ready.

    Attributes:
        state: where the run stands; None for a spec.
        notes: what is to be said about damage to the run.
    """

    prepared: Prepared
    state: State | None
    notes: tuple[str, ...] = ()

    def sgd(self) -> Sgd:
        """The run's SGD, with its velocity."""
        settings = self.prepared.spec.train
        sgd = Sgd(self.prepared.network, settings.momentum, settings.weight_decay)
        if sgd.velocity is not None and self.state and self.state.velocity is not None:
            sgd.velocity[...] = self.state.velocity
        return sgd


def open_spec_or_run(path: str | Path, overrides: Sequence[str] = ()) -> Opened:
    """What a command given SPEC or RUN works on: a run's network has its trained weights.

    Raises:
        SpecError, DataError: the spec or its data are wrong. RunError: the run cannot be read.
    """
    path = Path(path)
    spec = load_spec(spec_file(path), overrides)
    if not os.path.isdir(path):  # unlike Path.is_dir, it knows no path that is too long to ask
        return Opened(prepare(spec), None)
    from nncli.training.run_folder import last_state

    prepared = prepare(without_files(spec))._replace(spec=spec)
    state, notes = last_state(path, prepared.network)
    prepared.network.parameters[...] = state.parameters
    return Opened(prepared, state, notes)


def spec_file(path: str | Path) -> Path:
    """The spec's own path, or that of the spec in a run folder.

    Raises:
        RunError: the folder is no run.
    """
    path = Path(path)
    if not os.path.isdir(path):
        return path
    from nncli.training.run_folder import SPEC, check_run

    check_run(path)
    return path / SPEC
