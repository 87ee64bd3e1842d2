"""The folder that a training leaves behind: its spec, its metrics, its checkpoint."""

import json
import math
import os
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
from nncli.nn.arrays import Array
from nncli.nn.layers import by
from nncli.nn.network import Network
from nncli.training.data_file import DATA
from nncli.training.history import Epoch
from nncli.training.trainer import State

SPEC, METRICS, CHECKPOINT = "spec.yaml", "metrics.jsonl", "checkpoint.safetensors"
CHECKPOINT_FORMAT = "nncli.checkpoint/1"
MOST = 2**63 - 1
PLACE = ("epoch", "samples", "cost_sum", "steps_taken")


class RunFolder:
    """A run folder open for writing. Every file in it appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls,
        path: Path,
        spec: str,
        data: str,
        network: Network,
        state: State,
        *,
        overwrite: bool = False,
    ) -> "RunFolder":
        """A run of no epochs yet: in a new folder, an empty one, or with `overwrite` over a run.

        Args:
            spec, data: the texts of its spec.yaml and its data.json.

        Raises:
            RunError: the folder holds something else, or cannot be written.
        """
        name = shown(path)
        try:
            text = spec.encode()
            taken = os.path.isdir(path) and any(path.iterdir())
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
        write_whole(path / DATA, data.encode())
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
    return all(os.path.isfile(path / name) for name in (SPEC, METRICS, CHECKPOINT))


def read_checkpoint(path: Path, network: Network) -> State:
    """The state in a run folder's checkpoint, for a network of the run's spec.

    Raises:
        RunError: there is none, it is damaged, made by a newer version, or of another network.
    """
    file = path / CHECKPOINT
    name = shown(file)
    if not os.path.isfile(file):
        raise RunError(f"{name}: there is no such file; a run folder holds one")
    arrays, metadata = safetensors.read(file)
    written = metadata.get("format", "")
    if written != CHECKPOINT_FORMAT:
        raise RunError(
            f"{name}: its format is {written!r}, this version of nncli reads "
            f"{CHECKPOINT_FORMAT!r}; a newer version may have written it"
        )
    try:
        place = json.loads(metadata["place"])
        if not isinstance(place, dict):
            raise ValueError("its place is no mapping")
        numbers = {key: place[key] for key in PLACE}
        whole = [numbers[key] for key in PLACE if key != "cost_sum"]
        if not all(type(number) is int and 0 <= number <= MOST for number in whole):
            raise ValueError("its place is not of whole numbers")
        if type(numbers["cost_sum"]) is not float or not math.isfinite(numbers["cost_sum"]):
            raise ValueError("its cost_sum is not a finite number")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        what = f"its place lacks {error}" if isinstance(error, KeyError) else error
        raise RunError(f"{name}: damaged: {what}") from error
    velocity = None
    if any(key.startswith("velocity.") for key in arrays):
        velocity = _flat(name, network, arrays, "velocity.")
    parameters = _flat(name, network, arrays, "")
    return State(parameters=parameters, velocity=velocity, **numbers)


def _flat(name: str, network: Network, arrays: safetensors.Arrays, prefix: str) -> Array:
    """The arrays of a network's parameters as one vector, if all are there and fit."""
    flat = np.zeros_like(network.parameters)
    for key, view in _named(network, flat).items():
        array = arrays.get(prefix + key)
        if array is None:
            raise RunError(f"{name}: holds no {prefix + key}, which the run's spec calls for")
        if array.shape != view.shape or array.dtype != view.dtype:
            raise RunError(
                f"{name}: {prefix + key} is {by(array.shape)} of {array.dtype}, "
                f"the run's spec calls for {by(view.shape)} of {view.dtype}"
            )
        if not np.isfinite(array).all():
            raise RunError(f"{name}: {prefix + key} holds what is not finite")
        view[...] = array
    return flat


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
