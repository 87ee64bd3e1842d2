"""The folder that a training leaves behind: its spec, its metrics, its checkpoints."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from nncli.core.errors import DamagedError, RunError
from nncli.core.files import is_temporary, read_regular, reason, shown, write_whole
from nncli.core.jsons import to_json
from nncli.nn.network import Network
from nncli.training.checkpoint import RunIdentity, State, read_checkpoint, read_whole
from nncli.training.history import History
from nncli.training.metrics_reader import METRICS, read_first
from nncli.training.run_data import DATA

T = TypeVar("T")
SPEC, CHECKPOINT = "spec.yaml", "checkpoint.safetensors"
BEFORE = "checkpoint.safetensors.before"  # the one before it
BLOCK = 256  # records to put into words at a time


class Standing(NamedTuple):
    """Where a run stands on the disk.

    Attributes:
        terms: those of the training.
        history: the epochs up to there.
        size: how many bytes of the metrics they take.
        is_latest: whether it is the last checkpoint rather than the one before.
        notes: what is to be said about damage.
    """

    state: State
    terms: RunIdentity
    history: History
    size: int
    is_latest: bool
    notes: tuple[str, ...]


class RunFolder:
    """A run folder open for writing, by one training at a time.

    The spec and the checkpoints appear whole or not at all. The metrics grow at their end, and no
    checkpoint is written before the records of its epochs are on the disk: what stands behind
    those is cut off when the run goes on.
    """

    def __init__(self, path: Path, metrics: int) -> None:
        self.path = path
        self._metrics = metrics  # a file descriptor; a lock on it is the lock on the folder
        self._epochs = self._size = 0  # how many records it has, and how many bytes they take
        self._texts: dict[str, bytes] = {}  # what spec.yaml and data.json hold
        self._is_spec_durable = True
        self._is_whole = True  # whether the checkpoint that is there may become the one before

    @classmethod
    def create(
        cls, path: Path, spec: str, data: str, checkpoint: bytes, *, overwrite: bool = False
    ) -> "RunFolder":
        """A run that stands at its beginning: in a new folder, or with `overwrite` over a run.

        Args:
            spec, data: the texts of its spec.yaml and its data.json.
            checkpoint: its first one.

        Raises:
            RunError: the folder holds something else, another training writes there, or it cannot
                be written.
        """
        try:
            _check_free(path, overwrite)
            path.mkdir(parents=True, exist_ok=True)
            folder = cls._locked(path, os.O_CREAT)
            try:
                _check_free(path, overwrite)  # another training may have come and gone meanwhile
                folder._begin(spec.encode(), data.encode(), checkpoint)
            except BaseException:
                folder.close()
                raise
            return folder
        except UnicodeEncodeError as error:
            problem = RunError(f"{shown(path)}: a name that is not UTF-8 cannot be written")
            raise problem from error
        except OSError as error:
            message = f"{shown(path)}: cannot be made a run folder: {reason(error)}"
            raise RunError(message) from error

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """A run that is there, to be gone on with.

        Raises:
            RunError: it is no run, or another training writes there.
        """
        check_run(path)
        try:
            folder = cls._locked(path, 0)
        except OSError as error:
            raise RunError(f"{shown(path / METRICS)}: cannot be opened: {reason(error)}") from error
        folder._sweep()
        return folder

    @classmethod
    def _locked(cls, path: Path, flags: int) -> "RunFolder":
        """The folder, once no other training has it. The system unlocks it if this one dies."""
        # A link might lead to a file that is none of ours.
        metrics = os.open(path / METRICS, os.O_RDWR | os.O_NOFOLLOW | flags, 0o666)
        if not stat.S_ISREG(os.fstat(metrics).st_mode):  # a pipe would never end
            os.close(metrics)
            raise OSError(errno.EINVAL, "it is no regular file")
        try:
            fcntl.flock(metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(metrics)
            raise RunError(
                f"{shown(path)}: another training is writing there; wait for its end, or choose "
                "another folder with --out DIR"
            ) from None
        except OSError:
            pass  # a file system without locks
        return cls(path, metrics)

    def begin_at(self, standing: Standing, spec: bytes, data: bytes) -> None:
        """Goes on from there, with these texts in spec.yaml and data.json.

        Raises:
            RunError: the folder cannot be written.
        """
        self._epochs, self._size = len(standing.history), standing.size
        self._is_whole = standing.is_latest
        self._texts = {DATA: data, SPEC: spec}
        if not self._holds(SPEC, spec):
            self._double(standing.is_latest)
        for name, text in self._texts.items():
            if not self._holds(name, text):
                write_whole(self.path / name, text)

    def save(self, history: History, epochs: int, checkpoint: bytes) -> None:
        """Writes the records of all epochs up to `epochs`, and a checkpoint behind them.

        All of it is on the disk then.

        Raises:
            RunError: the system refused; the run stands where it stood.
        """
        self._check_place()
        for name, text in self._texts.items():
            if not os.path.exists(self.path / name):  # somebody removed it
                write_whole(self.path / name, text)
        if not self._is_spec_durable:
            for name in (DATA, SPEC):  # and their names with that of the checkpoint
                _sync_file(self.path / name)
            self._is_spec_durable = True
        self._write_metrics(history, epochs)
        keep = self.path / BEFORE if self._is_whole else None
        write_whole(self.path / CHECKPOINT, checkpoint, keep=keep)
        self._is_whole = True

    def close(self) -> None:
        """Lets go of the folder."""
        os.close(self._metrics)

    def _holds(self, name: str, text: bytes) -> bool:
        try:
            return read_regular(self.path / name) == text
        except OSError:
            return False

    def _double(self, is_latest: bool) -> None:
        """Makes both checkpoints the one that the run stands at, the last one or the one before.

        What led there is never done again, so it may be done otherwise from there on.
        """
        names = (CHECKPOINT, BEFORE) if is_latest else (BEFORE, CHECKPOINT)
        stands, other = (self.path / name for name in names)
        try:
            content = read_regular(stands)
        except OSError as error:
            raise RunError(f"{shown(stands)}: cannot be read: {reason(error)}") from error
        write_whole(other, content)  # no second name: what damages one file would damage both
        self._is_whole = True

    def _check_place(self) -> None:
        """Whether the folder is still there, and not another one under its name."""
        path = self.path / METRICS
        try:
            is_ours = os.path.samestat(os.stat(path), os.fstat(self._metrics))
        except OSError as error:
            raise RunError(f"{shown(path)}: cannot be written: {reason(error)}") from error
        if not is_ours:
            raise RunError(f"{shown(path)}: cannot be written: another file is there by now")

    def _write_metrics(self, history: History, epochs: int) -> None:
        """Cuts off what does not belong there, and writes the records that are missing."""
        try:
            if os.fstat(self._metrics).st_size < self._size:  # another program cut it off
                self._epochs = self._size = 0
            os.ftruncate(self._metrics, self._size)
            while self._epochs < epochs:
                stop = min(self._epochs + BLOCK, epochs)
                lines, end = lines_of(history, range(self._epochs, stop)), self._size
                while lines:
                    written = os.pwrite(self._metrics, lines, end)
                    lines, end = lines[written:], end + written
                self._epochs, self._size = stop, end
            os.fsync(self._metrics)
        except OSError as error:
            message = f"{shown(self.path / METRICS)}: cannot be written: {reason(error)}"
            raise RunError(message) from error

    def _begin(self, spec: bytes, data: bytes, checkpoint: bytes) -> None:
        """Puts a new run in the place of whatever is there."""
        # In this order there is at no moment a run of parts of both.
        os.ftruncate(self._metrics, 0)
        for name in (BEFORE, CHECKPOINT, DATA, SPEC):
            (self.path / name).unlink(missing_ok=True)
        self._sweep()
        # A folder is a run once it has a spec. The first save waits until that is on the disk.
        write_whole(self.path / CHECKPOINT, checkpoint, durable=False)
        self._texts = {DATA: data, SPEC: spec}
        for name, text in self._texts.items():
            write_whole(self.path / name, text, durable=False)
        self._is_spec_durable = False

    def _sweep(self) -> None:
        """Removes what a killed training left half-written."""
        with suppress(OSError):
            for file in self.path.iterdir():
                if _is_half_written(file.name):
                    file.unlink()


def lines_of(history: History, indices: range) -> bytes:
    """Epochs as the metrics have them."""
    return "".join(f"{to_json(history.record(i))}\n" for i in indices).encode()


def check_run(path: Path) -> None:
    """Whether a folder holds a run.

    Raises:
        RunError: it does not.
    """
    if not os.path.isfile(path / SPEC):
        raise RunError(f"{shown(path)}: is no run folder: it holds no {SPEC}")


def standing(path: Path, network: Network) -> Standing:
    """Where the run in a folder stands, by the last checkpoint that is whole.

    Args:
        network: of the run's spec.

    Raises:
        RunError: there is no whole one, or it is of another version or network.
    """

    def read(checkpoint: Path) -> Standing:
        state, terms = read_checkpoint(checkpoint, network)
        history, size = read_first(path, state.epoch)
        return Standing(state, terms, history, size, checkpoint.name == CHECKPOINT, ())

    try:
        found, notes = _last_whole(path, read)
    except DamagedError as error:
        raise RunError(
            f"{error}\n{shown(path)}: there is nothing to go on from; train anew, with "
            "--overwrite in its place, or with --out DIR elsewhere"
        ) from error
    return found._replace(notes=notes)


def last_state(path: Path, network: Network) -> tuple[State, tuple[str, ...]]:
    """The state in the last checkpoint that is whole, and what is to be said about damage.

    Raises:
        RunError: as for `standing`.
    """
    return _last_whole(path, lambda checkpoint: read_checkpoint(checkpoint, network)[0])


def last_checkpoint(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The last checkpoint that is whole, and what is to be said about damage.

    Raises:
        RunError: there is none.
    """

    def checked(checkpoint: Path) -> Path:
        read_whole(checkpoint)
        return checkpoint

    return _last_whole(path, checked)


def _last_whole(path: Path, read: Callable[[Path], T]) -> tuple[T, tuple[str, ...]]:
    """What `read` makes of the last checkpoint, or where that is damaged, of the one before."""
    last, before = path / CHECKPOINT, path / BEFORE
    try:
        return read(last), ()
    except DamagedError as error:
        if not os.path.exists(before):
            raise
        damage = str(error)
    try:
        return read(before), (f"{damage}; the checkpoint before it is used",)
    except DamagedError as error:
        both = dict.fromkeys((damage, str(error)))  # one line where the metrics are to blame
        raise DamagedError("\n".join(both)) from error


def _check_free(path: Path, overwrite: bool) -> None:
    """Whether a run may be written to a folder.

    Raises:
        RunError: it holds something else, or a run.
    """
    names = {file.name for file in path.iterdir()} if os.path.isdir(path) else set()
    if not names or _is_leftover(path, names):
        return
    if not names >= {SPEC, METRICS}:
        message = f"{shown(path)}: holds files, but no run; choose another with --out DIR"
        raise RunError(message)
    if not overwrite:
        raise RunError(
            f"{shown(path)}: already holds a run; nncli train --resume goes on with it, "
            "--overwrite replaces it, --out DIR writes elsewhere"
        )


def _is_leftover(path: Path, names: set[str]) -> bool:
    """Whether all there is comes from a training that was killed before it had begun."""
    whole = {name for name in names if not _is_half_written(name)} - {CHECKPOINT, DATA}
    return whole == {METRICS} and (path / METRICS).stat().st_size == 0


def _is_half_written(name: str) -> bool:
    return any(is_temporary(name, final) for final in (SPEC, DATA, CHECKPOINT, BEFORE))


def _sync_file(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RunError(f"{shown(path)}: cannot be written: {reason(error)}") from error
