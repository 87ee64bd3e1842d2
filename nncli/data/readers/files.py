"""Bytes of files, plain or gzip, and what they are by the first of them.

Never more of them are unpacked than was bargained for.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from nncli.core.errors import DataError
from nncli.core.files import NO_ADDRESS, is_address
from nncli.core.text import printable
from nncli.data.readers.sheets import as_csv, is_sheet

if TYPE_CHECKING:
    from nncli.data.readers.separators import Form

STANDARD_INPUT = "standard input"  # as messages name it
TEXT_LIMIT = 2 << 30
RATIO_LIMIT = 200
TEXT_RATIO_LIMIT = 75  # each number of a text may take four times its characters
RATIO_FROM = 16 << 20  # what takes no more memory than this need not look like a bomb
# DEFLATE cannot do better than this, so it bounds what a gzip file of a known size can hold.
GZIP_BEST_RATIO = 1032
CHUNK = 1 << 20
START = 512  # bytes that tell one format from another
GZIP = b"\x1f\x8b"
TO_TABLE = "save what is needed of it as .csv or .npy"
TO_ARRAY = "save the array that is needed as .npy"
UNPACK = "unpack it first"
ZIP = "a zip archive"


class FileFormat(NamedTuple):
    """A format that is known by a file's first bytes, whatever the file is called.

    kind: npy, npz, idx, image (`name` being Pillow's word for it), or other: what no reader takes.
    name: in words. to_do: with one that is not taken.
    """

    kind: str
    name: str
    to_do: str = TO_TABLE


UTF_16 = "UTF-16"
FILE_FORMATS = {
    rb"\x93NUMPY": FileFormat("npy", "a NumPy array"),
    rb"\0\0[\x08\x09\x0b-\x0e][^\0]": FileFormat("idx", "IDX", TO_ARRAY),
    rb"\x89PNG": FileFormat("image", "PNG"),
    rb"\xff\xd8\xff": FileFormat("image", "JPEG"),
    # Words alone might be the header of a table.
    rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+(#[^\n]*\n\s*)*\d+\s": FileFormat("image", "PPM"),
    rb"BM.{4}\0{4}": FileFormat("image", "BMP"),
    rb"II[*+]\0|MM\0[*+]": FileFormat("image", "TIFF"),
    rb"RIFF.{4}WEBP": FileFormat("image", "WEBP"),
    rb"GIF8[79]a": FileFormat("image", "GIF"),
    GZIP: FileFormat("other", "gzip", UNPACK),
    # The name of an archive's first member begins at byte 30.
    rb"PK\x03\x04.{26}[^/]{1,200}\.npy": FileFormat("npz", "an .npz archive", TO_ARRAY),
    rb"PK\x03\x04.{26}(\[Content_Types\]|_rels/|xl/)": FileFormat(
        "other", "an Excel workbook or the like", "save the sheet that is needed as .csv"
    ),
    rb"PK[\x03\x05][\x04\x06]": FileFormat("other", ZIP, UNPACK),
    rb"BZh[1-9]1AY": FileFormat("other", "bzip2", UNPACK),
    rb"\xfd7zXZ\0": FileFormat("other", "xz", UNPACK),
    rb"\x28\xb5\x2f\xfd": FileFormat("other", "zstd", UNPACK),
    rb"7z\xbc\xaf": FileFormat("other", "a 7-Zip archive", UNPACK),
    rb"\xff\xfe|\xfe\xff": FileFormat("other", UTF_16, "save it as UTF-8"),
    rb"\x89HDF\r\n": FileFormat("other", "HDF5"),
    rb"PAR1": FileFormat("other", "Parquet", "name it .parquet"),
    rb"ARROW1|FEA1": FileFormat("other", "Arrow or Feather", "name it .feather"),
    rb"\xd0\xcf\x11\xe0": FileFormat("other", "an Excel workbook or the like"),
    rb"\x80[\2-\5]": FileFormat("other", "a Python pickle, which is never read"),
    rb"MATLAB 5\.0": FileFormat("other", "a MATLAB file"),
    rb"SQLite format 3\0": FileFormat("other", "an SQLite database"),
    rb"%PDF-": FileFormat("other", "a PDF"),
    rb"(?i:\s*<(!doctype html|html))": FileFormat(
        "other", "a web page", "download the file itself rather than the page that shows it"
    ),
}
STARTS = {re.compile(start, re.DOTALL): format for start, format in FILE_FORMATS.items()}


def format_of(start: bytes | bytearray, name: str) -> FileFormat | None:
    """The format of a file that begins so; None where it is none of FILE_FORMATS, but maybe text.

    name: of the file. PPM begins with text, so that what is called a table is one.
    """
    format = next((format for begin, format in STARTS.items() if begin.match(start)), None)
    is_table = name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))
    return None if format is not None and format.name == "PPM" and is_table else format


def refuse_foreign(start: bytes | bytearray, name: str, needed: str) -> None:
    """Raises DataError where what begins so is no text. `needed`: what is, such as `a table`."""
    format = format_of(start, name)
    if format is not None:
        raise foreign(format, name, needed)


def foreign(format: FileFormat, name: str, needed: str) -> DataError:
    """For a file of a format that is not taken in its place."""
    if format.name == "gzip" and name == STANDARD_INPUT:
        return DataError(f"{name}: is gzip; send it unpacked")
    if format.name == UTF_16 and needed == "a table":
        to_do = f"{format.to_do}, or set encoding: utf-16 (under data)"
        return DataError(f"{name}: is {format.name}; {to_do}")
    if format.kind == "image":
        return DataError(f"{name}: is an image ({format.name}); {needed} is needed")
    if format.kind == "npy":
        return DataError(f"{name}: is {format.name}; {needed} is needed")
    return DataError(f"{name}: is {format.name}; {format.to_do}")


def is_gzip(path: Path) -> bool:
    """Whether it is, by its name or its first bytes."""
    if path.name.lower().endswith(".gz"):
        return True
    with path.open("rb") as stream:
        return stream.read(len(GZIP)) == GZIP


def start_of(path: Path) -> bytes:
    """The first bytes of a file, decompressed."""
    with opened(path) as stream:
        return stream.read(START)


def file_size(path: Path) -> int:
    """Bytes on disk. Raises DataError where there is no such file or it is no regular one."""
    try:
        if path.is_dir():
            raise DataError(f"{printable(path)}: is a folder; a file is needed")
        if not path.exists():
            hint = f"; {NO_ADDRESS}" if is_address(path) else ""
            raise DataError(f"{printable(path)}: no such file{hint}")
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
def explain_read_errors(path: Path) -> Iterator[None]:
    """Turns what the system raises inside, while something is read, into a DataError."""
    try:
        yield
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes as a stream, decompressed where they are gzip or its name ends in `.gz`.

    Of what is kept as other than text (`sheets`), the text that it would be.
    Whatever goes wrong while it is read, raised from inside the `with`, becomes a DataError.
    """
    file_size(path)
    if is_sheet(path):
        with explain_read_errors(path), as_csv(path) as content:
            yield content
        return
    try:
        with cast(IO[bytes], gzip.open(path) if is_gzip(path) else path.open("rb")) as stream:
            yield stream
    except gzip.BadGzipFile as error:
        raise not_gzip(path) from error
    except EOFError as error:
        raise DataError(f"{printable(path)}: is cut short: the gzip data do not end") from error
    except zlib.error as error:
        raise DataError(f"{printable(path)}: is damaged gzip") from error
    except OSError as error:
        raise cannot_read(path, error) from error


def not_gzip(path: Path) -> DataError:
    """For a file that gzip refuses, by its bytes."""
    with path.open("rb") as stream:
        if stream.read(len(GZIP)) != GZIP:
            return DataError(f"{printable(path)}: is not gzip, though its name ends in .gz")
        stream.seek(0)
        if not other_bytes_follow(stream):
            return DataError(f"{printable(path)}: is damaged gzip")
    return DataError(
        f"{printable(path)}: other bytes follow its gzip data; it is damaged, or something was "
        "added to it"
    )


def other_bytes_follow(stream: IO[bytes]) -> bool:
    """Whether something else than another member or zeros follows a whole member of gzip data."""
    rest = stream.read(CHUNK)
    while rest:
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            while rest and not member.eof:
                member.decompress(rest, CHUNK)
                rest = member.unused_data or member.unconsumed_tail or stream.read(CHUNK)
        except zlib.error:
            return False
        if not member.eof:
            return False
        rest = rest.lstrip(b"\0")
        while len(rest) < len(GZIP) and (more := stream.read(CHUNK)):
            rest = (rest + more).lstrip(b"\0")
        if rest and not rest.startswith(GZIP):
            return True
    return False


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


def read_text(path: Path, form: "Form | None" = None) -> str:
    """The whole text of a UTF-8 file (a BOM is dropped, line ends are kept).

    form: how it is written, where that is another way, see `Rewritten`.
    Raises DataError where it is too large, not in its encoding, or holds NUL bytes.
    """
    check_expansion(path)
    with opened(path) as stream:
        if form is not None and form.is_rewritten and not is_sheet(path):
            stream = rewritten(stream, printable(path), form)
        content = read_upto(stream, TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise DataError(
            f"{printable(path)}: holds more than {TEXT_LIMIT >> 30} GiB of text; "
            "save the samples as .npy, which is not read whole"
        )
    return decoded(printable(path), content)


def rewritten(stream: IO[bytes], name: str, form: "Form") -> IO[bytes]:
    """A stream as UTF-8, comments as such."""
    from nncli.data.readers.rewriting import Rewritten

    return cast(IO[bytes], Rewritten(stream, name, form.encoding, form.comment))


def decoded(name: str, content: bytes | bytearray, first: int = 1) -> str:
    """The text of UTF-8 bytes that begin at row `first` of a file; a BOM is dropped."""
    if first == 1:
        refuse_foreign(content[:START], name, "a table")
    return utf8_text(name, content, first, "table", "utf-8-sig")


def utf8_text(
    name: str, content: bytes | bytearray, first: int, noun: str, codec: str = "utf-8"
) -> str:
    """The text of UTF-8 bytes that begin at row `first` of a file, which holds a `noun`.

    Args:
        codec: utf-8, or utf-8-sig where a BOM is dropped.
    """
    nul = content.find(0)
    if nul >= 0:
        row = content.count(b"\n", 0, nul) + first
        raise DataError(f"{name}: row {row}: holds a NUL byte; is it a text file?")
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        # The codec of a BOM counts from behind it.
        start = len(content) - len(error.object) + error.start
        row = content.count(b"\n", 0, start) + first
        more = ", or name its encoding, as in encoding: latin-1 (under data)"
        raise DataError(
            f"{name}: row {row}: byte 0x{content[start]:02x} is not UTF-8; save the {noun} as "
            f"UTF-8{more if noun == 'table' else ''}"
        ) from error
