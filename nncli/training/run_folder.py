"""A run folder that a training writes: the spec, the metrics and the checkpoints."""

import errno
import fcntl
import os
import stat
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nncli.core.errors import RunError
from nncli.core.files import is_temporary, read_regular, reason, write_whole
from nncli.core.text import printable
from nncli.training.history import History, Marks, marks_of, sums_of
from nncli.training.run_files import (
    CHECKPOINT,
    DATA,
    DIVERGENCE,
    METRICS,
    PREVIOUS,
    RUN_FILES,
    SPEC,
    is_run_folder,
    remove_breaks,
)
from nncli.training.run_reader import ResumePoint, check_run

BLOCK = 256  # records that are written at a time


class RunFolder:
    """A run folder open for writing, by one training at a time.

    The spec and the checkpoints appear whole or not at all. The metrics grow at their end, and no
    checkpoint is written before the records of its epochs are on the disk: what comes after
    those is cut off when the run is resumed.
    """

    def __init__(self, path: Path, metrics: int) -> None:
        self.path = path
        self._metrics = metrics  # a file descriptor; a lock on it is the lock on the folder
        self._size = 0  # how many bytes its records take
        self._sums = array("L")  # the CRC-32 of the metrics up to the end of each record
        self._texts: dict[str, bytes] = {}  # what spec.yaml and data.json hold
        self._is_spec_durable = True
        self._is_latest_whole = True  # whether it may become the previous one

    @classmethod
    def create(
        cls, path: Path, spec: str, data: str, checkpoint: bytes | None, *, overwrite: bool = False
    ) -> "RunFolder":
        """The folder of a run before its first step, with `overwrite` in place of another run.

        Args:
            spec, data: the texts of its spec.yaml and its data.json.
            checkpoint: its first one; None: the folder is empty until the first save.

        Raises:
            RunError: the folder holds something else, another training writes there, or it cannot
                be written.
        """
        try:
            _check_free(path, overwrite)
            path.mkdir(parents=True, exist_ok=True)
            if os.path.islink(path / METRICS):  # the link is replaced, not what it leads to
                (path / METRICS).unlink()
            folder = cls._locked(path, os.O_CREAT)
            try:
                there = _check_free(path, overwrite)  # another may have come and gone meanwhile
                folder._begin(spec.encode(), data.encode(), checkpoint, there)
            except BaseException:
                folder.close()
                raise
            return folder
        except UnicodeEncodeError as error:
            problem = RunError(f"{printable(path)}: a name that is not UTF-8 cannot be written")
            raise problem from error
        except OSError as error:
            message = f"{printable(path)}: cannot be made a run folder: {reason(error)}"
            raise RunError(message) from error

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """The folder of an existing run, to be resumed. Metrics that are missing are made, empty.

        Raises:
            RunError: it is no run, or another training writes there.
        """
        check_run(path)
        try:
            folder = cls._locked(path, os.O_CREAT if is_run_folder(path) else 0)
        except OSError as error:
            raise RunError(
                f"{printable(path / METRICS)}: cannot be opened: {reason(error)}"
            ) from error
        folder._remove_partial_files()
        return folder

    @classmethod
    def _locked(cls, path: Path, flags: int) -> "RunFolder":
        """The folder, once no other training has it."""
        if os.path.islink(path / METRICS):  # it might lead to a file that is none of ours
            raise OSError(errno.EINVAL, "it is a symbolic link; put the file itself there")
        metrics = os.open(path / METRICS, os.O_RDWR | os.O_NOFOLLOW | flags, 0o666)
        if not stat.S_ISREG(os.fstat(metrics).st_mode):  # a pipe would never end
            os.close(metrics)
            raise OSError(errno.EINVAL, "it is no regular file")
        try:
            _lock(metrics, path)
        except BaseException:
            os.close(metrics)
            raise
        return cls(path, metrics)

    def resume_at(self, point: ResumePoint, spec: bytes, data: bytes) -> None:
        """Makes the folder ready to be written from `point` on, with these spec.yaml and data.json.

        Raises:
            RunError: the folder cannot be written.
        """
        with suppress(OSError):  # it may go another way now
            (self.path / DIVERGENCE).unlink(missing_ok=True)
        self._separate_metrics(point.metrics.size)
        self._size, self._sums = point.metrics.size, point.metrics.sums[:]
        self._is_latest_whole = point.is_latest
        self._texts = {DATA: data, SPEC: spec}
        if not self._holds(SPEC, spec):
            self._duplicate_checkpoint(point.is_latest)
        for name, text in self._texts.items():
            if not self._holds(name, text):
                write_whole(self.path / name, text)

    def save(
        self,
        history: History,
        epochs: int,
        pack: Callable[[Marks], bytes],
        *,
        durable: bool = True,
    ) -> None:
        """Writes the records of all epochs up to `epochs`, then a checkpoint.

        Args:
            pack: makes the checkpoint, given the marks of the metrics that it goes with.
            durable: whether to wait until all of it is on the disk.

        Raises:
            RunError: the system refused; the folder is as it was.
        """
        self._check_still_ours()
        for name, text in self._texts.items():
            if not os.path.exists(self.path / name):  # or was removed meanwhile
                write_whole(self.path / name, text, durable=durable)
        if durable and not self._is_spec_durable:
            for name in (DATA, SPEC):  # and their names with that of the checkpoint
                _sync_file(self.path / name)
            self._is_spec_durable = True
        self._write_metrics(history, epochs, durable)
        checkpoint = pack(marks_of(self._sums))
        keep = self.path / PREVIOUS if self._is_latest_whole else None
        write_whole(self.path / CHECKPOINT, checkpoint, keep=keep, durable=durable)
        self._is_latest_whole = True

    def close(self) -> None:
        """Closes the folder, and so unlocks it."""
        os.close(self._metrics)

    def _holds(self, name: str, text: bytes) -> bool:
        try:
            return read_regular(self.path / name) == text
        except OSError:
            return False

    def _duplicate_checkpoint(self, is_latest: bool) -> None:
        """Makes both checkpoints the one that the run is resumed at.

        The spec changes there, so the run cannot be resumed from before that point.
        """
        names = (CHECKPOINT, PREVIOUS) if is_latest else (PREVIOUS, CHECKPOINT)
        chosen, other = (self.path / name for name in names)
        try:
            content = read_regular(chosen)
        except OSError as error:
            raise RunError(f"{printable(chosen)}: cannot be read: {reason(error)}") from error
        write_whole(other, content)  # no second name: what damages one file would damage both
        self._is_latest_whole = True

    def _check_still_ours(self) -> None:
        """Raises RunError where the folder was removed or replaced meanwhile."""
        path = self.path / METRICS
        try:
            is_ours = _is_at(self._metrics, path)
        except OSError as error:
            raise RunError(f"{printable(path)}: cannot be written: {reason(error)}") from error
        if not is_ours:
            raise RunError(f"{printable(path)}: cannot be written: another file is there by now")

    def _write_metrics(self, history: History, epochs: int, durable: bool) -> None:
        """Truncates the metrics to the records of this run, and appends the missing ones."""
        try:
            if os.fstat(self._metrics).st_size < self._size:  # another program cut it off
                self._size, self._sums = 0, array("L")
            os.ftruncate(self._metrics, self._size)
            while len(self._sums) < epochs:
                stop = min(len(self._sums) + BLOCK, epochs)
                lines, end = history.lines(range(len(self._sums), stop)).encode(), self._size
                sums = sums_of(lines.splitlines(keepends=True), self._sums[-1] if self._sums else 0)
                while lines:
                    written = os.pwrite(self._metrics, lines, end)
                    lines, end = lines[written:], end + written
                self._sums.extend(sums)
                self._size = end
            if durable:
                os.fsync(self._metrics)
        except OSError as error:
            message = f"{printable(self.path / METRICS)}: cannot be written: {reason(error)}"
            raise RunError(message) from error

    def _begin(self, spec: bytes, data: bytes, checkpoint: bytes | None, there: set[str]) -> None:
        """Replaces the content of the folder, files of these names, by a new run."""
        self._separate_metrics(0)
        if there - {METRICS}:
            # In this order the folder never holds parts of both runs.
            os.ftruncate(self._metrics, 0)
            for name in (PREVIOUS, CHECKPOINT, DIVERGENCE, DATA, SPEC):
                (self.path / name).unlink(missing_ok=True)
            remove_breaks(self.path)
            self._remove_partial_files()
        # A folder is a run once it has a spec. The first save waits until that is on the disk.
        self._texts = {DATA: data, SPEC: spec}
        self._is_spec_durable = False
        if checkpoint is None:
            return
        write_whole(self.path / CHECKPOINT, checkpoint, durable=False)
        for name, text in self._texts.items():
            write_whole(self.path / name, text, durable=False)

    def _separate_metrics(self, size: int) -> None:
        """Copies the first `size` bytes of the metrics to a file without other names.

        Under those, what is written from here on would change them too.

        Raises:
            RunError: the folder cannot be written.
        """
        if os.fstat(self._metrics).st_nlink == 1:
            return
        path = self.path / METRICS
        content = os.pread(self._metrics, size, 0)
        write_whole(path, content, durable=False)
        shared, self._metrics = self._metrics, os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            _lock(self._metrics, self.path)
        finally:
            os.close(shared)

    def _remove_partial_files(self) -> None:
        """Removes temporary files of a training that was killed."""
        with suppress(OSError):
            for file in self.path.iterdir():
                if _is_partial(file.name):
                    file.unlink()


def _check_free(path: Path, overwrite: bool) -> set[str]:
    """Checks that a run may be written to a folder; what is in that.

    Raises:
        RunError: it holds something else, or a run.
    """
    names = set(os.listdir(path)) if os.path.isdir(path) else set()
    if not names or _is_leftover(path, names):
        return names
    if not names >= {SPEC, METRICS}:
        message = f"{printable(path)}: holds files, but no run; choose another with --out DIR"
        raise RunError(message)
    if not overwrite:
        raise RunError(
            f"{printable(path)}: already holds a run; nncli train --resume goes on with it, "
            "--overwrite replaces it, --out DIR writes elsewhere"
        )
    return names


def _is_leftover(path: Path, names: set[str]) -> bool:
    """Whether all files are those of a training that was killed before it began."""
    whole = {name for name in names if not _is_partial(name)} - {CHECKPOINT, DATA}
    return whole == {METRICS} and (path / METRICS).stat().st_size == 0


def _is_partial(name: str) -> bool:
    return any(is_temporary(name, final) for final in RUN_FILES)


def _lock(metrics: int, path: Path) -> None:
    """Locks the open metrics file of a run folder. The system unlocks it if this process dies.

    Raises:
        RunError: another training has it, or has put another in its place.
    """
    is_free = True
    try:
        fcntl.flock(metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_free = False
    except OSError:
        pass  # a file system without locks
    if not is_free or not _is_at(metrics, path / METRICS):
        raise RunError(
            f"{printable(path)}: another training is writing there; wait for its end, or train "
            "anew in another folder, with --out DIR"
        )


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one at `path`; OSError where there is none."""
    return os.path.samestat(os.stat(path), os.fstat(handle))


def _sync_file(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be written: {reason(error)}") from error
