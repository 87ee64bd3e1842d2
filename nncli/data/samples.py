"""What was read, before classes, scaling and splitting; and where each value of it stood."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote, sizes
from nncli.data.messages import Problems


class Pair(NamedTuple):
    """Inputs and targets from two places: files, or nested lists of numbers.

    Targets may also be a list of class names; they may be None where none are needed.
    """

    inputs: Path | list[Any]
    targets: Path | list[Any] | None = None


Source = Path | Pair


class Origin(NamedTuple):
    """Where an array was read from, so that a message can point at one value of it."""

    name: str
    shape: tuple[int, ...] = ()
    """For arrays: the shape of one sample, as stored."""
    lines: NDArray[np.int64] | None = None
    """For text: the line of the file each sample stood on, the first being 1."""
    positions: tuple[int, ...] = ()
    """For text: the column of the file each value of a sample stood in, the first being 1."""
    columns: tuple[str, ...] | None = None
    """For text with a header: the names of those columns."""

    def place(self, row: int, value: int = 0) -> str:
        """`data/iris.csv: row 3, column 2 (sepal_width)`, or `x.npy: element [2, 1]`.

        `value` counts through the values of sample `row`, whatever shape they have since got.
        """
        if self.lines is None:
            index = (row, *(int(i) for i in np.unravel_index(value, self.shape)))
            return f"{self.name}: element [{', '.join(str(i) for i in index)}]"
        title = f" ({named(self.columns[value])})" if self.columns is not None else ""
        return f"{self.name}: row {self.lines[row]}, column {self.positions[value]}{title}"


def named(column: str) -> str:
    """A column's name as messages show it: quoted only where it would be unclear bare."""
    return column if column.isprintable() and 0 < len(column) <= 40 else quote(column)


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets as stored, checked for their number and dimensions only.

    inputs: N x features, or N x channels x rows x columns; any type of number, maybe a memmap.
    targets: N labels (integers or strings), or N x outputs numbers; None where there are none.
    columns: the names of the input columns, where a header gave them.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any] | None
    columns: tuple[str, ...] | None
    inputs_origin: Origin
    targets_origin: Origin

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.inputs.shape[1:]

    def reshaped(self, shape: Sequence[int] | None) -> "Samples":
        """The same samples with inputs of `shape` (channels, rows, columns). No copy is made."""
        if shape is None or tuple(shape) == self.input_shape:
            return self
        wanted, found = int(np.prod(shape)), int(np.prod(self.input_shape))
        if wanted != found:
            image = f" ({sizes(self.input_shape)})" if len(self.input_shape) > 1 else ""
            raise DataError(
                f"{self.inputs_origin.name}: shape {sizes(shape)} takes {wanted:,} numbers a "
                f"sample, but there are {found:,}{image}",
                key="shape",
            )
        inputs = self.inputs.reshape(len(self), *shape)
        return Samples(inputs, self.targets, self.columns, self.inputs_origin, self.targets_origin)


def as_inputs(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Views `array` as N x features or N x channels x rows x columns.

    Three dimensions are images of one channel. Raises DataError for other dimensions, for
    anything but real numbers, and for no samples.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: inputs must be numbers, not text")
    if array.ndim not in (2, 3, 4):
        raise DataError(
            f"{name}: inputs must be samples x features, samples x rows x columns or samples x "
            f"channels x rows x columns, not {dimensions(array)}"
        )
    check_filled(array, name)
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    return array[:, np.newaxis] if array.ndim == 3 else array


def as_targets(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Views `array` as N labels where it is one column of integers or text, else N x outputs."""
    if array.ndim not in (1, 2):
        raise DataError(
            f"{name}: targets must be one a sample or samples x outputs, not {dimensions(array)}"
        )
    check_filled(array, name)
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.reshape(len(array), -1)
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == 2 and array.dtype.kind not in "iu":
        raise DataError(f"{name}: several targets a sample must be numbers, not text")
    return array


def check_filled(array: NDArray[Any], name: str) -> None:
    if array.size == 0:
        raise DataError(f"{name}: holds no samples (its shape is {sizes(array.shape)})")


def dimensions(array: NDArray[Any]) -> str:
    return f"{count_of(array.ndim, 'dimension')} ({sizes(array.shape)})"


def check_finite(
    numbers: NDArray[Any], stored: NDArray[Any], origin: Origin, first: int = 0
) -> None:
    """Raises DataError that points at each of `numbers` (n x ...) that is not finite.

    stored: the same numbers as they were read, to tell what was missing from what was too large.
    first: the row of the source where `numbers` begin.
    """
    finite = np.isfinite(numbers).reshape(len(numbers), -1)
    if finite.all():
        return
    problems = Problems(origin.name)
    raw = stored.reshape(len(numbers), -1)
    for row, value in np.argwhere(~finite):
        reason = why_not_finite(raw[row, value], numbers.dtype)
        problems.add(f"{origin.place(first + int(row), int(value))}: {raw[row, value]} {reason}")
    problems.raise_any()


def why_not_finite(number: Any, dtype: np.dtype[Any]) -> str:
    if not np.isfinite(number):
        return "is not a finite number"
    too_large = f"is too large for {dtype}"
    return too_large if abs(number) > np.finfo(dtype).max else f"{too_large} once it is scaled"
