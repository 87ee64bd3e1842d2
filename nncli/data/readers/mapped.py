"""Large memory-mapped arrays, read without filling the memory.

Every page of a mapped file that is touched counts as the process's own until it is let go, and the
system maps its neighbours too: a training would soon hold the whole file. So scattered rows are
read from the file itself, in half the time that mapping pages and letting go of them takes; and
scans let go of what is behind them.
"""

import os
import weakref
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.files import release_pages
from nncli.core.text import printable
from nncli.data.readers.files import cannot_read

SMALL = 64 << 20  # bytes; a smaller file may be in memory as a whole


def is_large(array: NDArray[Any]) -> bool:
    """Whether it is mapped from a file that shall not be in memory as a whole."""
    return isinstance(array, np.memmap) and array.nbytes > SMALL


def release_large(array: NDArray[Any]) -> None:
    """Hands the pages of a large array back; they stay in the system's cache of files."""
    if is_large(array):
        release_pages(array)


class RowFile:
    """Reads rows of a large array (N x ...) from its file."""

    def __init__(self, path: Path, offset: int, row: int) -> None:
        """offset: where in the file the first row begins; row: its length. Both in bytes."""
        self.path = path
        self.offset = offset
        self.row = row
        try:
            self.file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise cannot_read(path, error) from error
        weakref.finalize(self, os.close, self.file)

    @classmethod
    def of(cls, array: NDArray[Any]) -> "RowFile | None":
        """That of an array; None where it is small, or no plain view of the whole of a file."""
        if not is_large(array) or not hasattr(os, "preadv"):
            return None
        whole = cast(Any, array)
        while isinstance(whole.base, np.memmap):
            whole = whole.base
        same = whole.nbytes == array.nbytes and array.flags.c_contiguous
        if not same or whole.filename is None:
            return None
        return cls(Path(whole.filename), whole.offset, array.nbytes // len(array))

    def read(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Writes `rows` into `out`, len(rows) x a sample's shape, in one piece.

        Raises:
            DataError: the file has become shorter, or cannot be read any more.
        """
        first, last = int(rows[0]), int(rows[-1])
        if last - first == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
            self._fill(out, first)
        else:
            for row, place in zip(rows.tolist(), out, strict=True):
                self._fill(place, row)

    def _fill(self, out: NDArray[Any], row: int) -> None:
        try:
            done = os.preadv(self.file, [out.data], self.offset + row * self.row)
        except OSError as error:
            raise cannot_read(self.path, error) from error
        if done != out.nbytes:
            raise DataError(f"{printable(self.path)}: has become shorter while it was being read")
