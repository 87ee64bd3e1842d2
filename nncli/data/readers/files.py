"""Bytes of files, plain or gzip, never more of them than was bargained for."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from nncli.core.errors import DataError
from nncli.core.text import printable

STANDARD_INPUT = "standard input"  # as messages name it
TEXT_LIMIT = 2 << 30
RATIO_LIMIT = 200
TEXT_RATIO_LIMIT = 75  # each number of a text may take four times its characters
RATIO_FROM = 16 << 20  # what takes no more memory than this need not look like a bomb
# DEFLATE cannot do better than this, so it bounds what a gzip file of a known size can hold.
GZIP_BEST_RATIO = 1032
CHUNK = 1 << 20


def is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def file_size(path: Path) -> int:
    """Bytes on disk. Raises DataError where there is no such file or it is no regular one."""
    try:
        if path.is_dir():
            raise DataError(f"{printable(path)}: is a folder; a file is needed")
        if not path.exists():
            raise DataError(f"{printable(path)}: no such file")
        if not path.is_file():
            raise DataError(f"{printable(path)}: is not a regular file")
        return path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise cannot_read(path, error) from error


def cannot_read(path: Path, error: Exception) -> DataError:
    nul = "no file has such a name: it holds a NUL character"
    reason = (error.strerror or "the system says no more") if isinstance(error, OSError) else nul
    return DataError(f"{printable(path)}: cannot be read: {reason[:1].lower()}{reason[1:]}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What the system refuses while something is read, raised inside, becomes a DataError."""
    try:
        yield
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes as a stream, decompressed where its name ends in `.gz`.

    Whatever goes wrong while it is read, raised from inside the `with`, becomes a DataError.
    """
    file_size(path)
    try:
        with cast(IO[bytes], gzip.open(path) if is_gzip(path) else path.open("rb")) as stream:
            yield stream
    except gzip.BadGzipFile as error:
        raise not_gzip(path, error) from error
    except EOFError as error:
        raise DataError(f"{printable(path)}: is cut short: the gzip data do not end") from error
    except zlib.error as error:
        raise DataError(
            f"{printable(path)}: is damaged gzip, though its name ends in .gz"
        ) from error
    except OSError as error:
        raise cannot_read(path, error) from error


def not_gzip(path: Path, error: gzip.BadGzipFile) -> DataError:
    if "Not a gzipped file" not in str(error):
        return DataError(f"{printable(path)}: is damaged gzip, though its name ends in .gz")
    with path.open("rb") as stream:
        if stream.read(2) == b"\x1f\x8b":
            return DataError(
                f"{printable(path)}: other bytes follow its gzip data; it is damaged, or something "
                "was added to it"
            )
    return DataError(f"{printable(path)}: is not gzip, though its name ends in .gz")


def read_upto(
    stream: IO[bytes], limit: int, check: Callable[[int], None] | None = None
) -> bytearray:
    """At most `limit` bytes, in chunks: memory grows with what comes, not with what is promised.

    `check` is called with the number of bytes read so far, and may raise.
    """
    content = bytearray()
    while len(content) < limit:
        chunk = stream.read(min(CHUNK, limit - len(content)))
        if not chunk:
            break
        content += chunk
        if check is not None:
            check(len(content))
    return content


def check_ratio(name: str | Path, expanded: int, stored: int, most: int = RATIO_LIMIT) -> None:
    if expanded > RATIO_FROM and expanded > most * stored:
        raise DataError(
            f"{printable(name)}: expands to more than {most} times its size; "
            "refused as a decompression bomb"
        )


def check_expansion(path: Path) -> None:
    """Raises DataError where a gzip file of text is damaged or a bomb; nothing of it is kept."""
    if not is_gzip(path):
        return
    stored, expanded = file_size(path), 0
    with opened(path) as stream:
        while chunk := stream.read(CHUNK):
            expanded += len(chunk)
            check_ratio(path, expanded, stored, TEXT_RATIO_LIMIT)


def read_text(path: Path) -> str:
    """The whole text of a UTF-8 file (a BOM is dropped, line ends are kept).

    Raises DataError where it is too large, not UTF-8, or holds NUL bytes.
    """
    check_expansion(path)
    with opened(path) as stream:
        content = read_upto(stream, TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise DataError(
            f"{printable(path)}: holds more than {TEXT_LIMIT >> 30} GiB of text; "
            "save the samples as .npy, which is not read whole"
        )
    return decoded(printable(path), content)


def decoded(name: str, content: bytes | bytearray, first: int = 1) -> str:
    """The text of UTF-8 bytes that begin at row `first` of a file; a BOM is dropped."""
    if content.startswith(b"\x1f\x8b"):
        raise DataError(f"{name}: is gzip; its name should end in .gz")
    if content.startswith(b"\x93NUMPY"):
        raise DataError(f"{name}: is a NumPy array, not a table; its name should end in .npy")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name}: is UTF-16; save it as UTF-8")
    nul = content.find(0)
    if nul >= 0:
        row = content.count(b"\n", 0, nul) + first
        raise DataError(f"{name}: row {row}: holds a NUL byte; is it a text file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind the BOM.
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        row = content.count(b"\n", 0, start) + first
        raise DataError(
            f"{name}: row {row}: byte 0x{content[start]:02x} is not UTF-8; save the table as UTF-8"
        ) from error
