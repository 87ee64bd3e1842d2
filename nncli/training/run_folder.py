"""The folder that a training leaves behind: its spec, its metrics, its checkpoint."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from nncli import safetensors
from nncli.errors import RunError
from nncli.files import reason, shown, write_whole
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
    def create(
        cls, path: Path, spec: str, network: Network, state: State, *, overwrite: bool = False
    ) -> "RunFolder":
        """A run of no epochs yet: in a new folder, an empty one, or with `overwrite` over a run.

        Args:
            spec: the text of its spec.yaml.

        Raises:
            RunError: the folder holds something else, or cannot be written.
        """
        name = shown(path)
        try:
            text = spec.encode()
            taken = path.is_dir() and any(path.iterdir())
            if taken and not is_run(path):
                raise RunError(f"{name}: holds files, but no run; choose another with --out DIR")
            if taken and not overwrite:
                raise RunError(
                    f"{name}: already holds a run; "
                    "--overwrite replaces it, --out DIR writes elsewhere"
                )
            path.mkdir(parents=True, exist_ok=True)
        except UnicodeEncodeError as error:
            raise RunError(f"{name}: a name that is not UTF-8 cannot be written") from error
        except OSError as error:
            raise RunError(f"{name}: cannot be made a run folder: {reason(error)}") from error
        folder = cls(path)
        # The spec comes last: a folder is a run once it is there.
        folder.write_metrics([])
        folder.write_checkpoint(network, state)
        write_whole(path / SPEC, text)
        return folder

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


def is_run(path: Path) -> bool:
    """Whether a folder holds a run; a spec alone does not make one."""
    return all((path / name).is_file() for name in (SPEC, METRICS, CHECKPOINT))


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
