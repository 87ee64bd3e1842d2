"""The journal of a sweep: a line for each thing that happened, only ever added to."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from nncli.core.errors import RunError
from nncli.core.files import reason
from nncli.core.jsons import to_json
from nncli.core.text import printable

JOURNAL = "journal.jsonl"
SYNC_EVERY = 1.0  # seconds: what is younger may be lost where the computer fails


def boot_id() -> str | None:
    """Another after each start of the computer; None where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


class Journal:
    """The journal of a sweep folder, open for one sweep at a time.

    A process that is killed leaves at worst a torn last line, which is passed over.
    """

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        """
        Raises:
            RunError: there is none, another sweep has it, or it cannot be written.
        """
        self.path = folder / JOURNAL
        try:
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
            self._file = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            raise RunError(f"{printable(folder)}: is no sweep: it holds no {JOURNAL}") from None
        except OSError as error:
            raise RunError(f"{printable(self.path)}: cannot be opened: {reason(error)}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise RunError(
                f"{printable(folder)}: another sweep is running there; wait for its end, or give "
                "another folder with --out DIR"
            ) from None
        except OSError:
            pass  # a file system without locks
        self._synced = monotonic()
        self._is_torn = False
        self.events = list(self._read())

    def _read(self) -> Iterator[dict[str, Any]]:
        with open(self.path, "rb") as file:
            for line in file:
                self._is_torn = not line.endswith(b"\n")
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict) and isinstance(event.get("event"), str):
                    yield event

    def add(self, event: str, **more: Any) -> None:
        """Adds a line.

        Raises:
            RunError: the system refused.
        """
        line = f"{to_json({'event': event, **more})}\n".encode()
        if self._is_torn:
            line, self._is_torn = b"\n" + line, False
        try:
            if os.write(self._file, line) != len(line):
                self._is_torn = True
                raise OSError(28, "no space left on device")
            if monotonic() - self._synced > SYNC_EVERY:
                os.fsync(self._file)
                self._synced = monotonic()
        except OSError as error:
            raise RunError(f"{printable(self.path)}: cannot be written: {reason(error)}") from error

    def close(self) -> None:
        with suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)
