"""The folder that a training leaves behind: its spec, its metrics, its checkpoint."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from nncli import safetensors
from nncli.errors import RunError
from nncli.files import reason, write_whole
from nncli.jsons import to_json
from nncli.nn.network import Network
from nncli.training.history import Epoch
from nncli.training.trainer import State

SPEC, METRICS, CHECKPOINT = "spec.yaml", "metrics.jsonl", "checkpoint.safetensors"
CHECKPOINT_FORMAT = "nncli.checkpoint/1"
PLACE = ("epoch", "samples", "cost_sum", "steps_taken")


class RunFolder:
    """A run folder open for writing. Every file in it appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *, overwrite: bool = False) -> "RunFolder":
        """Makes the folder, or takes an empty one, or with `overwrite` one that holds a run.

        Raises:
            RunError: it holds something else, or cannot be written.
        """
        try:
            taken = path.is_dir() and any(path.iterdir())
            if taken and not (path / SPEC).is_file():
                raise RunError(f"{path}: holds files, but no run; choose another with --out DIR")
            if taken and not overwrite:
                raise RunError(
                    f"{path}: already holds a run; "
                    "--overwrite replaces it, --out DIR writes elsewhere"
                )
            path.mkdir(parents=True, exist_ok=True)
            for name in (SPEC, METRICS, CHECKPOINT):
                (path / name).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{path}: cannot be made a run folder: {reason(error)}") from error
        return cls(path)

    def write_spec(self, text: str) -> None:
        write_whole(self.path / SPEC, text.encode())

    def write_metrics(self, history: Iterable[Epoch]) -> None:
        lines = (to_json(asdict(epoch)) for epoch in history)
        write_whole(self.path / METRICS, "".join(f"{line}\n" for line in lines).encode())

    def write_checkpoint(self, network: Network, state: State) -> None:
        content = pack_checkpoint(network, state)
        write_whole(self.path / CHECKPOINT, content)


def pack_checkpoint(network: Network, state: State) -> bytes:
    """A checkpoint's bytes: dense1.weight and the like, velocity.dense1.weight, the place."""
    arrays = dict(_named(network, state.parameters))
    if state.velocity is not None:
        arrays |= {f"velocity.{name}": v for name, v in _named(network, state.velocity).items()}
    place = {key: getattr(state, key) for key in PLACE}
    return safetensors.pack(arrays, {"format": CHECKPOINT_FORMAT, "place": to_json(place)})


def _named(network: Network, flat: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {
        f"{layer}.{key}": view
        for layer, views in network.views(flat).items()
        for key, view in views.items()
    }


class Keeper:
    """Keeps a run folder up to date: the last good state and all epochs, at most once a second.

    The last state seen is written when the training ends, however it ends.
    """

    INTERVAL = 1.0  # seconds; short epochs would otherwise cost less than writing them down

    def __init__(self, folder: RunFolder | None, network: Network, state: State) -> None:
        self.folder = folder
        self.network = network
        self.state = state
        self.history: list[Epoch] = []
        self._written = monotonic()

    def epoch_done(self, epoch: Epoch, state: State) -> None:
        self.history.append(epoch)
        self.state = state
        if monotonic() - self._written > self.INTERVAL:
            self.write()

    def write(self) -> None:
        if self.folder is not None:
            self.folder.write_metrics(self.history)
            self.folder.write_checkpoint(self.network, self.state)
        self._written = monotonic()
