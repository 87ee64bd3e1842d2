"""What a run folder holds, read: its last whole checkpoint, and the metrics up to it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from nncli.core.errors import DamagedError, RunError
from nncli.core.text import printable
from nncli.nn.network import Network
from nncli.training.checkpoint import RunIdentity, State, read_checkpoint, read_identity, read_whole
from nncli.training.history import History, Metrics, read_first
from nncli.training.run_files import CHECKPOINT, PREVIOUS, SPEC, TRIALS, is_sweep_folder

T = TypeVar("T")


class ResumePoint(NamedTuple):
    """The checkpoint that a run is resumed from, and the metrics up to it.

    Attributes:
        identity: what has to stay the same.
        metrics: the epochs up to there, as the metrics file has them.
        is_latest: whether it is the last checkpoint rather than the one before.
        notes: warnings about damage.
    """

    state: State
    identity: RunIdentity
    metrics: Metrics
    is_latest: bool
    notes: tuple[str, ...]

    @property
    def history(self) -> History:
        return self.metrics.history


def check_run(path: Path) -> None:
    """Checks that a folder holds a run.

    Raises:
        RunError: it does not.
    """
    if not os.path.isfile(path / SPEC):
        why = f"it holds no {SPEC}" if os.path.lexists(path) else "there is no such folder"
        if is_sweep_folder(path):
            why = f"it is a sweep's, whose runs are in {printable(path / TRIALS)}"
        raise RunError(f"{printable(path)}: is no run folder: {why}")


def resume_point(path: Path, network: Network) -> ResumePoint:
    """The last checkpoint in a run folder that is whole, and the metrics up to it.

    Args:
        network: of the run's spec.

    Raises:
        RunError: there is no whole one, or it is of another version or network.
    """

    known: set[tuple[int, int]] = set()  # marks of the metrics, from whichever checkpoint

    def read(checkpoint: Path) -> ResumePoint:
        state, identity = read_checkpoint(checkpoint, network)
        known.update(identity.metrics)
        layers = [layer.name for layer in network.layers]
        marks = tuple(sorted(mark for mark in known if mark[0] <= state.epoch))
        metrics = read_first(path, state.epoch, layers, marks)
        return ResumePoint(state, identity, metrics, checkpoint.name == CHECKPOINT, ())

    try:
        found, notes = _last_whole(path, read)
    except DamagedError as error:
        raise RunError(
            f"{error}\n{printable(path)}: there is nothing to go on from; train anew, with "
            "--overwrite in its place, or with --out DIR elsewhere"
        ) from error
    return found._replace(notes=notes)


def last_state(path: Path, network: Network) -> tuple[State, RunIdentity, tuple[str, ...]]:
    """The state in the last checkpoint that is whole, with its identity; and warnings about damage.

    Raises:
        RunError: as for `resume_point`.
    """
    (state, identity), notes = _last_whole(path, lambda file: read_checkpoint(file, network))
    return state, identity, notes


def last_checkpoint(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The last checkpoint that is whole, and warnings about damage.

    Raises:
        RunError: there is none.
    """

    def checked(checkpoint: Path) -> Path:
        read_whole(checkpoint)
        return checkpoint

    return _last_whole(path, checked)


def last_identity(path: Path) -> RunIdentity:
    """The identity in the last checkpoint that is whole.

    Raises:
        RunError: there is none.
    """
    return _last_whole(path, read_identity)[0]


def notes_on_metrics(path: Path) -> Iterator[str]:
    """A warning where a run's metrics are not those that its last checkpoint goes with."""
    try:
        identity, _ = _last_whole(path, read_identity)
    except RunError:
        return  # nothing to compare them with
    marks = identity.metrics
    try:
        read_first(path, max((line for line, _ in marks), default=0), marks=marks)
    except DamagedError as error:
        yield str(error)


def _last_whole(path: Path, read: Callable[[Path], T]) -> tuple[T, tuple[str, ...]]:
    """What `read` makes of the last checkpoint, or of the previous one where that is damaged."""
    last, previous = path / CHECKPOINT, path / PREVIOUS
    try:
        return read(last), ()
    except DamagedError as error:
        if not os.path.exists(previous):
            raise
        damage = str(error)
    try:
        return read(previous), (f"{damage}; the checkpoint before it is used",)
    except DamagedError as error:
        both = dict.fromkeys((damage, str(error)))  # one line where the metrics are to blame
        raise DamagedError("\n".join(both)) from error
