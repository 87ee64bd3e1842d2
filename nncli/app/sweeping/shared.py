"""Data that the processes of a sweep on one machine share: one of them reads, the others map.

They are kept in a folder of the sweep's, as long as that runs: of each spec's data what is small,
and large arrays in files of their own, named by what is in them. So trials whose data differ by
their split alone map the same arrays.
"""

import fcntl
import mmap
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nncli.core.errors import RunError
from nncli.core.files import write_whole
from nncli.data import Checksum, Data

FOLDER = ".data"  # in that of a sweep
LARGE = 2**16  # bytes of an array that has a file of its own
WORTH = 4 * 2**20  # bytes of data that are shared; less is read as soon


def make_folder(folder: Path) -> Callable[[], None]:
    """Makes the folder, empty, where a sweep's processes share their data; what removes it.

    Without it, as where the disk is full, each of them reads the data itself.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a sweep that was killed
    with suppress(OSError):
        folder.mkdir()
    return lambda: shutil.rmtree(folder, ignore_errors=True)


def shared(folder: Path, key: str, read: Callable[[], Data]) -> Data:
    """The data of a key, which `read` gives, as they are in a folder; put there by the first."""
    if not os.path.isdir(folder):
        return read()
    path = folder / blake2b(key.encode(), digest_size=8).hexdigest()
    with _locked(path.with_suffix(".lock")):
        found = _mapped(path)
        if found is not None:
            return found
        data = read()
        if _bytes_of(data) < WORTH:
            return data
        with suppress(OSError, RunError):  # as where the disk is full
            _keep(path, data)
        return _mapped(path) or data


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file, if the file system has locks; the death of a process frees it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:  # the sweep has ended
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _bytes_of(data: Data) -> int:
    """Of the arrays in memory; 0 where some are mapped already, which are shared as it is."""
    arrays = dict[int, int]()
    for part in (data.train, data.validation):
        if part is not None:
            if part.is_in_files:
                return 0
            arrays |= {id(array): array.nbytes for array in (part.inputs, part.targets)}
    return sum(arrays.values())


class _Known:
    """A checksum that was computed: `Dataset.checksum` computes it in the process that read."""

    def __init__(self, checksum: Checksum) -> None:
        self._checksum = checksum

    def __call__(self) -> Checksum:
        return self._checksum


def _keep(path: Path, data: Data) -> None:
    """Writes the data of a key: large arrays first, so that they are there when their names are."""
    parts: dict[str, Any] = {}
    for name in ("train", "validation"):
        part = getattr(data, name)
        if part is not None and part.checksum is not None:
            parts[name] = replace(part, checksum=_Known(part.checksum()))
    names: list[str] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        numbers = buffer.raw()
        if numbers.nbytes < LARGE:
            return True
        names.append(blake2b(numbers, digest_size=16).hexdigest())
        file = path.with_name(names[-1])
        if not os.path.exists(file):
            write_whole(file, [numbers], durable=False)
        return False

    small = pickle.dumps(data._replace(**parts), protocol=5, buffer_callback=is_small)
    write_whole(path, pickle.dumps((names, small)), durable=False)


def _mapped(path: Path) -> Data | None:
    """The data of a key with large arrays mapped, read-only; None where they are not there."""
    try:
        names, small = pickle.loads(path.read_bytes())
        data: Data = pickle.loads(small, buffers=[_map(path.with_name(name)) for name in names])
    except OSError:
        return None
    return data


def _map(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
