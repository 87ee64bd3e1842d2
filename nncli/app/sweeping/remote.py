"""A trial on a worker of a cluster: what is sent there, and what comes back.

A worker that sees the sweep's own folder trains there, as a process on this machine does. Another
trains in a folder of its own, whose files come back with the outcome; where there is a store, its
state is kept there meanwhile.
"""

import os
import pickle
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

from nncli.app.sweeping.trial import Outcome, Task, run_trial, versions
from nncli.core.files import reason, write_whole
from nncli.core.version import own_version
from nncli.spec import Spec
from nncli.training.run_files import CHECKPOINT

# Systems without folders, where what makes those makes a bucket of a name that is mistyped.
BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
CHECKED = ".check"  # a folder of a store, made for a moment to see whether it can be written
KEPT_EVERY = 5.0  # seconds between two copies of a state in a store

Files = dict[str, bytes]  # of a run folder, by their paths in it


class Mark(NamedTuple):
    """A file in the sweep's folder, by which a worker knows whether it sees that."""

    path: Path
    content: str

    def is_seen(self) -> bool:
        try:
            return self.path.read_text() == self.content
        except OSError:
            return False


class Errand(NamedTuple):
    """A trial for a worker.

    Attributes:
        task: without its spec, which is `spec`, pickled once for all.
        sweep: the name by which the trials of a sweep are told to stop.
        version: of nncli, where the sweep is.
        store: where states are kept; None: nowhere.
        files: the run to go on with; empty where there is none.
    """

    task: Task
    spec: bytes
    sweep: str
    version: str
    mark: Mark
    store: str | None
    files: Files


class Return(NamedTuple):
    """What came of an errand: `files` are those of the run, where it was not trained in place."""

    outcome: Outcome
    files: Files


class About(NamedTuple):
    """What a worker says of itself.

    Attributes:
        missing: files of the spec that it does not see.
        refused: why it cannot write to the store, where it is to.
    """

    versions: dict[str, str]
    sees_folder: bool
    missing: tuple[str, ...]
    refused: str | None = None


def about(mark: Mark, paths: list[str], store: str | None = None) -> About:
    missing = tuple(path for path in paths if not os.path.exists(path))
    refused = None
    if store is not None and not mark.is_seen():
        try:
            Store(store, CHECKED).check()
        except Exception as error:  # whatever the system of a store has for it
            refused = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return About(versions(), mark.is_seen(), missing, refused)


# One trial at a time in a process: they would share its memory of data, and its BLAS.
_ONE = Lock()
_STOPPED: set[str] = set()


def stop_sweep(sweep: str) -> None:
    """Has the trials of a sweep save their states, and begin no more."""
    _STOPPED.add(sweep)


@lru_cache(maxsize=4)
def _spec(pickled: bytes) -> Spec:
    spec: Spec = pickle.loads(pickled)
    return spec


def run_errand(errand: Errand) -> Return:
    """Trains a trial on this worker."""
    id, own = errand.task.id, own_version()
    if own != errand.version:
        text = f"{_here()} has nncli {own}, and the sweep is one of nncli {errand.version}"
        return Return(Outcome(id, "failed", None, text, "error"), {})
    with _ONE:
        if errand.sweep in _STOPPED:
            return Return(Outcome(id, "waiting"), {})
        task = errand.task._replace(spec=_spec(errand.spec))
        if errand.mark.is_seen():
            return Return(_placed(run_trial(task, lambda: errand.sweep in _STOPPED)), {})
        with TemporaryDirectory(prefix="nncli-") as folder:
            return _elsewhere(errand, task._replace(folder=Path(folder, id), shared=None))


def _elsewhere(errand: Errand, task: Task) -> Return:
    store = None if errand.store is None else Store(errand.store, task.id)
    try:
        kept = {} if store is None else store.read()
        write_files(task.folder, kept or errand.files)
        outcome = run_trial(task, _stopping(errand.sweep, store, task.folder))
        if store is not None:
            store.write(task.folder)
    except OSError as error:
        text = f"its run cannot be kept: {reason(error)}"
        outcome = Outcome(task.id, "failed", None, text, "run")
    return Return(_placed(outcome), dict(read_files(task.folder)))


def _stopping(sweep: str, store: "Store | None", folder: Path) -> Callable[[], bool]:
    kept = monotonic()

    def stopping() -> bool:
        nonlocal kept
        if store is not None and monotonic() - kept > KEPT_EVERY:
            store.write(folder)
            kept = monotonic()
        return sweep in _STOPPED

    return stopping


def _placed(outcome: Outcome) -> Outcome:
    """The outcome; its error says where it happened."""
    if outcome.error is None or outcome.cause in ("diverged", "halted"):
        return outcome
    return outcome._replace(error=f"{outcome.error} (on {_here()})")


def _here() -> str:
    try:
        from distributed import get_worker

        return f"worker {get_worker().address}"
    except (ImportError, ValueError):  # it is none of Dask's
        return "this worker"


def read_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a run folder, its checkpoint first: whatever else it has may be newer."""
    paths = [path for path in folder.rglob("*") if os.path.isfile(path)]
    for path in sorted(paths, key=lambda path: path.name != CHECKPOINT):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def write_files(folder: Path, files: Files) -> None:
    """Writes a run folder; its checkpoint last, by which the others are known to be whole."""
    for name in sorted(files, key=lambda name: name == CHECKPOINT):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, files[name], durable=False)


class Store:
    """The run of a trial in a folder that fsspec knows: a path, or s3://bucket/sweeps."""

    def __init__(self, url: str, id: str) -> None:
        self._system, root = file_system(url)
        self._folder = f"{root.rstrip('/')}/{id}"
        kinds = self._system.protocol
        kinds = {kinds} if isinstance(kinds, str) else {*kinds}
        self._has_buckets = bool(kinds & BUCKETS)
        self._kept: dict[str, bytes] = {}  # hashes of the files that are there
        self._folders: set[str] = set()  # that were made

    def read(self) -> Files:
        """The files of the run; none where there is none."""
        if not self._system.exists(self._folder):
            return {}
        found: dict[str, Any] = {
            name.removeprefix(self._folder).lstrip("/"): self._system.cat_file(name)
            for name in self._system.find(self._folder)
        }
        self._kept = {name: _hash_of(content) for name, content in found.items()}
        return found

    def write(self, folder: Path) -> None:
        """Keeps what is in a folder, as far as it is not there yet."""
        for name, content in read_files(folder):
            if Path(name).name.startswith("."):  # is being written
                continue
            if self._kept.get(name) != (known := _hash_of(content)):
                self._put(name, content)
                self._kept[name] = known

    def check(self) -> None:
        """Writes a file and removes it again; raises what the system does where it refuses."""
        name = f".{os.urandom(8).hex()}"
        self._put(name, b"")
        self._system.rm_file(f"{self._folder}/{name}")

    def _put(self, name: str, content: bytes) -> None:
        path = f"{self._folder}/{name}"
        folder = path.rpartition("/")[0]
        if not self._has_buckets and folder not in self._folders:
            self._system.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        self._system.pipe_file(path, content)


def _hash_of(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the folder in it.

    Raises:
        ValueError, ImportError: fsspec does not know it, or needs a package for it.
    """
    from fsspec.core import url_to_fs

    system, root = url_to_fs(url)
    return system, root
