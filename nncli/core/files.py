"""Files that appear whole or not at all, and the pages of mapped ones."""

import errno
import glob
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nncli.core.errors import RunError
from nncli.core.text import printable


def reason(error: OSError) -> str:
    """Why the system refused, without the path, which the message begins with."""
    return (error.strerror or str(error)).lower()


SPECIAL = "is a device or a pipe, which no file may replace"


_NAMED = re.compile(r"(?P<file>.*\.(?:npz|safetensors))#(?P<array>.+)", re.IGNORECASE | re.DOTALL)


def file_and_array(path: str) -> tuple[str, str | None]:
    """`w.npz#fc1.weight` as the file and the array in it; other paths as they are, and None."""
    match = _NAMED.fullmatch(path)
    return (match["file"], match["array"]) if match else (path, None)


def is_pattern(path: Path) -> bool:
    """Whether it names files by the wildcards * and ?, and is not the name of one itself."""
    return ("*" in str(path) or "?" in str(path)) and not os.path.lexists(path)


def files_of(pattern: Path) -> list[Path]:
    """The files that a pattern names, numbers in names by what they are worth: 2 before 10."""
    # Only * and ? stand for others; brackets are as ordinary in names as letters.
    found = filter(os.path.isfile, glob.glob(str(pattern).replace("[", "[[]")))
    return [Path(path) for path in sorted(found, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    halves = re.split(r"([0-9]+)", name)
    return [(int(half), half) if i % 2 else (0, half) for i, half in enumerate(halves)]


NO_ADDRESS = "addresses are not read: download it, and give the file's path"


def is_address(path: str | Path) -> bool:
    """Whether it is an address such as https://..., of which Path makes https:/... ."""
    return re.match(r"(https?|ftp|s3|gs|file):/", str(path), re.IGNORECASE) is not None


def is_special(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder: a device or a pipe."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def read_regular(path: Path) -> bytes:
    """What a file holds; OSError where it cannot be read, or is a device or a pipe.

    Those may never end, or never begin.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "it is no regular file")
    return path.read_bytes()


TRACE, SAFETENSORS = "a trace of a step", "a safetensors file"  # of `kind_of`
_STARTS = (
    (b"PK\x03\x04", "a zip archive, as an .npz is"),
    (b"\x1f\x8b", "gzipped"),
    (b"\x93NUMPY", "an .npy array"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
)


def kind_of(content: bytes) -> str | None:
    """What a file is by its first bytes, in words; None: nothing that is known.

    Of a safetensors file the first eight bytes are the length of the JSON that follows.
    """
    for start, kind in _STARTS:
        if content.startswith(start):
            return kind
    if content[8:10] == b'{"' and 2 <= int.from_bytes(content[:8], "little") < 2**32:
        return TRACE if b'"format": "nncli.trace-file/' in content[:400] else SAFETENSORS
    start = content[:400]
    if not start:
        return "empty"
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(start) - error.start > 3:  # else a letter was cut in two
            return None
    return None if any(c < 32 and c not in b"\t\n\r\f" for c in start) else "text"


def write_whole(
    path: Path,
    content: bytes | Iterable[bytes | memoryview],
    *,
    overwrite: bool = True,
    keep: Path | None = None,
    durable: bool = True,
) -> None:
    """Writes `content` to `path`, replacing what is there only once all of it is on the disk.

    It may come in pieces, which are written one behind the other.
    `overwrite`, `keep` and `durable` are those of `whole_file`.

    Raises:
        RunError: the system refused; `path` is as it was before.
    """
    if not isinstance(content, bytes):
        with whole_file(path, overwrite=overwrite, keep=keep, durable=durable) as file:
            file.writelines(content)
        return
    with _placed(path, overwrite, keep, durable, buffering=0) as file:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]


@contextmanager
def whole_file(
    path: Path, *, overwrite: bool = True, keep: Path | None = None, durable: bool = True
) -> Iterator[IO[bytes]]:
    """A file to write and read, which takes the place of `path` once all of it is on the disk.

    Where the body raises, `path` stays as it was before; an OSError of the body counts as one of
    the file. Nothing is written through a link: other names of a file that was there keep it.

    Args:
        overwrite: whether it may take the place of another file.
        keep: where the file goes that `path` was before. At no moment there is none at `path`.
        durable: whether to wait for the disk. Without, the file is whole for every process, but a
            failing computer may still lose it.

    Raises:
        RunError: the system refused.
    """
    with _placed(path, overwrite, keep, durable) as file:
        yield file


@contextmanager
def _placed(
    path: Path, overwrite: bool, keep: Path | None, durable: bool, buffering: int = -1
) -> Iterator[IO[bytes]]:
    """What `whole_file` gives; without buffering, a write may take but a part."""
    if is_special(path):
        raise RunError(f"{printable(path)}: {SPECIAL}")
    temporary, is_left = path.with_name(temporary_name(path.name)), True
    try:
        with open(temporary, "x+b", buffering) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if keep is not None and os.path.exists(path):
            _also_as(path, keep)
        if overwrite:
            os.replace(temporary, path)
            is_left = False
        else:
            _name_new(temporary, path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be written: {reason(error)}") from error
    finally:
        if is_left:
            with suppress(OSError):  # its folder is gone
                temporary.unlink()


def _name_new(temporary: Path, path: Path) -> None:
    """Gives a file its final name, which nothing may have; raises RunError where something has."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise RunError(f"{printable(path)}: has come to be there meanwhile") from None
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise
        os.replace(temporary, path)


def _also_as(path: Path, keep: Path) -> None:
    """Gives a file a second name, in the place of whatever had that."""
    spare = keep.with_name(temporary_name(keep.name))
    try:
        os.link(path, spare)
    except OSError:  # a file system without links: it has one name only, for a moment the other
        os.replace(path, keep)
    else:
        try:
            os.replace(spare, keep)
        finally:  # it stays where `keep` cannot be replaced, or is this very file already
            spare.unlink(missing_ok=True)


def temporary_name(name: str) -> str:
    """A name of its own for a file that will become `name`."""
    return f".{name}.{os.urandom(6).hex()}"


def is_temporary(name: str, final: str) -> bool:
    """Whether a file of this name was to become `final`; a killed process leaves some behind."""
    return re.fullmatch(rf"\.{re.escape(final)}\.[0-9a-f]{{12}}", name) is not None


def sync_folder(folder: Path) -> None:
    """Puts a folder's entries (files that were made, renamed or removed) on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def release_pages(array: Any) -> None:
    """Hands the pages of a memory-mapped array back to the system; their contents stay."""
    base = array
    while base is not None:
        # Of a private mapping ("c") the changes would be lost.
        if getattr(base, "mode", None) == "c":
            return
        if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
            base.madvise(mmap.MADV_DONTNEED)
            return
        base = getattr(base, "base", None)
