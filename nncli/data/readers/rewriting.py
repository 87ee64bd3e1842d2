"""Tables in other encodings, or with comments of another mark, as UTF-8 with # for comments."""

import codecs
import io
from typing import IO

from nncli.core.errors import DataError

BLOCK = 1 << 18
UTF_8 = "utf-8-sig"  # drops a BOM


class Rewritten:
    """A stream of bytes as UTF-8: every line ended by a line feed, lines of comments blank.

    A comment above the first row begins with # instead of its own mark, for it may be a header.
    Lines keep their numbers.
    """

    def __init__(
        self, stream: IO[bytes], name: str, encoding: str | None = None, comment: str | None = None
    ) -> None:
        self.name, self.encoding, self.comment = name, encoding, comment
        self._read = getattr(stream, "read1", stream.read)
        codec = UTF_8 if encoding is None or codecs.lookup(encoding).name == "utf-8" else encoding
        # Its errors are those of the decoder: it keeps what comes between pieces of a character.
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)(), True)
        self._lines = 0  # that were decoded
        self._held = ""  # of a line that has not ended
        self._is_within = False  # a quoted cell
        self._has_begun = False
        self._made = b""
        self._is_done = False

    def read1(self, size: int = -1) -> bytes:
        """Some bytes; none at the end. Raises DataError for what is not in the encoding."""
        while not self._made and not self._is_done:
            self._made = self._next().encode("utf-8", "surrogatepass")
        if size < 0:
            size = len(self._made)
        found, self._made = self._made[:size], self._made[size:]
        return found

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, or all; fewer at the end."""
        parts, length = [], 0
        while (size < 0 or length < size) and (part := self.read1(max(size - length, -1))):
            parts.append(part)
            length += len(part)
        return b"".join(parts)

    def _next(self) -> str:
        chunk = self._read(BLOCK)
        self._is_done = not chunk
        try:
            text = self._decoder.decode(chunk, final=self._is_done)
        except UnicodeDecodeError as error:
            raise self._mistake(error) from error
        except UnicodeError as error:  # of UTF-16 alone
            raise DataError(
                f"{self.name}: has not the mark that {self.encoding} begins with; leave encoding "
                "out, or name utf-16-le or utf-16-be, which have none",
                key="encoding",
            ) from error
        self._lines += text.count("\n")
        if self.comment is None:
            return text
        lines = (self._held + text).split("\n")
        self._held = "" if self._is_done else lines.pop()
        end = "" if self._is_done else "\n"
        return "\n".join(map(self._line, lines)) + end if lines else ""

    def _line(self, line: str) -> str:
        assert self.comment is not None
        bare = line.lstrip(" \t")
        if not self._is_within and bare.startswith(self.comment):
            return "" if self._has_begun else f"#{bare[len(self.comment) :]}"
        self._is_within ^= line.count('"') % 2 == 1
        self._has_begun |= bool(bare)
        return line

    def _mistake(self, error: UnicodeDecodeError) -> DataError:
        before = error.object[: error.start].decode(error.encoding, "ignore")
        row = self._lines + before.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        said = self.encoding or "UTF-8"
        advice = "name another encoding" if self.encoding else "name its encoding"
        return DataError(
            f"{self.name}: row {row}: byte 0x{error.object[error.start]:02x} is not {said}; "
            f"{advice}, as in encoding: latin-1 (under data)",
            key="encoding",
        )
