"""A filter over a matrix file: what `nncli conv` does, call by call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nncli.datasets.filters import read_filter
from nncli.datasets.matrices import Matrix, open_npy_for_writing, read_matrix, write_matrix
from nncli.errors import DataError, NncliError
from nncli.inspection.filtering import (
    Backward,
    Filtering,
    Window,
    all_windows,
    apply_filter,
    take_backward,
    window,
    windows_of,
)
from nncli.nn.correlate import How, correlate_blocks, output_like

Progress = Callable[[int, int | None], None]

LARGE = 256 * 2**20  # bytes from which a mapped matrix is filtered in blocks, file to file


@dataclass(frozen=True)
class Opened:
    """A matrix and a filter, read."""

    matrix: Matrix
    filter: Matrix


def open_pair(
    matrix: str, filter: str, *, allow_nan: bool = False, progress: Progress | None = None
) -> Opened:
    """Reads both. `-` is standard input, for one of them; a filter may also be a name or rows.

    Raises:
        DataError: one of them cannot be read, or is no matrix.
    """
    if matrix == filter == "-":
        raise DataError("standard input can be the matrix or the filter, not both")
    laid = read_filter(filter)
    return Opened(read_matrix(matrix, allow_nan=allow_nan, progress=progress), laid)


def apply_and_write(
    opened: Opened, how: How, output: Path | None, *, progress: Progress | None = None
) -> tuple[Filtering, tuple[str, ...]]:
    """Applies the filter, writes the result where asked; with notes on what files left out.

    A filter of as many channels as the matrix has is summed over them, as in a network; a plain
    one is applied to each channel. A large .npy goes to a .npy in blocks, never read whole.

    Raises:
        CorrelationError: the filter does not fit. DataError, RunError: the file cannot be written.
    """
    matrix, filter = opened.matrix.array, opened.filter.array
    notes = (*opened.matrix.notes, *opened.filter.notes)
    if filter.ndim == 3:
        how = how | How(summed=True)
    if isinstance(matrix, np.memmap) and matrix.nbytes > LARGE:
        if output is None or output.suffix != ".npy":
            raise NncliError(
                f"{opened.matrix.name}: is {matrix.nbytes / 2**20:,.0f} MiB, too large to be shown "
                "whole; --output FILE.npy filters it in blocks"
            )
        shape, dtype = output_like(matrix, filter, **how)
        with open_npy_for_writing(output, shape, dtype) as out:
            correlate_blocks(matrix, filter, out, **how)
        written = np.load(output, mmap_mode="r", allow_pickle=False)
        return Filtering(matrix, filter, how, windows_of(matrix, filter, how), written), notes
    done = apply_filter(matrix, filter, how)
    if output is not None:
        notes += write_matrix(output, done.output, progress=progress)
    return done, notes


def chosen_windows(done: Filtering, at: str | None, steps: str | None) -> Sequence[Window]:
    """The windows that `--at ROW,COL` or `--steps N|all` ask for.

    Raises:
        NncliError: there are no such windows, or the matrix has channels with an output each.
    """
    if at is None and steps is None:
        return ()
    if done.output.ndim == 3:
        raise NncliError("--at and --steps show a matrix without channels, or one that is summed")
    if at is not None:
        try:
            row, column = (int(part) for part in at.split(","))
        except ValueError:
            raise NncliError(f"--at {at}: expected a place such as 0,2") from None
        return (window(done, row, column),)
    assert steps is not None
    count = done.output.size if steps == "all" else int(steps) if steps.isdecimal() else 0
    if count < 1:
        raise NncliError(f"--steps {steps}: expected all, or how many, from 1")
    return [made for made, _ in zip(all_windows(done), range(count), strict=False)]


def send_back(done: Filtering, upstream: str) -> Backward:
    """The way back of an upstream: a file of the output's shape, or `ones`.

    Raises:
        DataError: it cannot be read. NncliError: it has another shape.
    """
    if upstream == "ones":
        return take_backward(done, np.ones(done.output.shape))
    return take_backward(done, read_matrix(upstream).array)
