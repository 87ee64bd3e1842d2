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
from nncli.core.files import read_regular, reason
from nncli.core.jsons import to_json
from nncli.core.text import printable
from nncli.training.run_files import JOURNAL

SYNC_EVERY = 1.0  # seconds: what is younger may be lost where the computer fails


def boot_id() -> str | None:
    """Another after each start of the computer; None where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """What a sweep's journal holds. A line that is torn or damaged is passed over.

    Raises:
        RunError: the folder has none, or it cannot be read.
    """
    path = folder / JOURNAL
    try:
        lines = read_regular(path).splitlines()
    except FileNotFoundError:
        raise RunError(f"{printable(folder)}: is no sweep: it holds no {JOURNAL}") from None
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event


class Journal:
    """The journal of a sweep folder, open for one sweep at a time.

    A process that is killed leaves at worst a torn last line, which is passed over.
    """

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            RunError: another sweep has it, or it cannot be written.
        """
        self.path = folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CREAT
            self._file = os.open(self.path, flags, 0o666)
        except OSError as error:
            message = f"{printable(folder)}: cannot be made a sweep's folder: {reason(error)}"
            raise RunError(message) from error
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
        self.events = list(read_events(folder))
        size = os.fstat(self._file).st_size
        self._is_torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"

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
