"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nncli.errors import RunError


def shown(name: object) -> str:
    """A path, or a name from a file, as it is shown: what is not printable is an escape.

    So nothing in it can act on a terminal, or end a line.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(name))


def reason(error: OSError) -> str:
    """Why the system refused, without the path: that stands in front of it."""
    return (error.strerror or str(error)).lower()


def write_whole(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, replacing what is there only once all of it is on the disk.

    Raises:
        RunError: the system refused; `path` is as it was before.
    """
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write and read, which takes the place of `path` once all of it is on the disk.

    Where the body raises, `path` stays as it was before; an OSError of the body counts as one of
    the file.

    Raises:
        RunError: the system refused.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise RunError(f"{shown(path)}: is a device or a pipe, which no file may replace")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{shown(path)}: cannot be written: {reason(error)}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    # There is no way to read it but to set it; mkstemp's 0600 would hide a run from one's group.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Puts the folder's entry for a renamed file on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
