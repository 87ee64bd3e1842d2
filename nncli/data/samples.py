"""What was read, before classes, scaling and splitting; and where each value of it came from.

Nested lists, as a spec may hold them, become arrays here.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote, sizes
from nncli.data.messages import Problems

if TYPE_CHECKING:
    from nncli.data.columns.kinds import Rule
    from nncli.data.readers.columns import Column

# Integers below this, of either sign, stay integers: they fit int64.
EXACT_INTEGERS = 2**63
# Characters that an array of text may hold however few of them are needed.
MOST_PADDED = 16 << 20


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
    """For text: the line of the file each sample was read from, the first being 1."""
    positions: tuple[int, ...] = ()
    """For text: the column of the file each value of a sample was read from, the first being 1."""
    columns: tuple[str, ...] | None = None
    """For text with a header: the names of those columns."""
    notes: tuple[str, ...] = ()
    """What reading left out, or took for something that it need not be."""
    parts: tuple[tuple[int, str], ...] = ()
    """For several files: the sample that each begins with, and its name."""

    def place(self, row: int, value: int = 0) -> str:
        """`data/iris.csv: row 3, column 2 (sepal_width)`, or `x.npy: element [2, 1]`.

        `value` counts through the values of sample `row`, whatever shape they have since got.
        """
        if self.parts:
            first, name = self.parts[bisect_right(self.parts, row, key=itemgetter(0)) - 1]
            return Origin(name, self.shape).place(row - first, value)
        if self.lines is None:
            index = (row, *(int(i) for i in np.unravel_index(value, self.shape)))
            return f"{self.name}: element [{', '.join(str(i) for i in index)}]"
        title = f" ({named(self.columns[value])})" if self.columns is not None else ""
        return f"{self.name}: row {self.lines[row]}, column {self.positions[value]}{title}"

    @property
    def noun(self) -> str:
        """What `rows` counts."""
        if self.parts:
            return "sample"
        return "element" if self.lines is None else "row"

    def rows(self, samples: NDArray[np.int64]) -> list[int]:
        """Where these samples are: lines of a text, else indices, through all files."""
        chosen: list[int] = (samples if self.lines is None else self.lines[samples]).tolist()
        return chosen


def named(column: str) -> str:
    """A column's name as messages show it: quoted only where it would be unclear bare."""
    return column if column.isprintable() and 0 < len(column) <= 40 else quote(column)


class RawColumns(NamedTuple):
    """Input columns as they were read, and the rule that makes inputs of each.

    left_out: the positions of those that no input is made of, from 0, each with the reason.
    """

    columns: "tuple[Column, ...]"
    rules: "tuple[Rule, ...]"
    left_out: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets as stored, checked for their number and dimensions only.

    inputs: N x features, or N x channels x rows x columns; any type of number, maybe a memmap,
        or `Parts` of several files, of which only rows can be asked for.
    targets: N labels (integers or strings), or N x outputs numbers; None where there are none.
    columns: the names of the input columns, where a header gave them.
    raw: the columns that the inputs have still to be made of; `inputs` is N x 0 then.
    ignored: the columns of the table that are left out, by name or by index from 0.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any] | None
    columns: tuple[str, ...] | None
    inputs_origin: Origin
    targets_origin: Origin
    raw: RawColumns | None = None
    ignored: tuple[str | int, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.inputs.shape[1:]

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading left out, or took for something that it need not be."""
        return tuple(dict.fromkeys((*self.inputs_origin.notes, *self.targets_origin.notes)))

    def noting(self, notes: Sequence[str]) -> "Samples":
        """The same samples with further notes."""
        origin = self.inputs_origin._replace(notes=(*self.inputs_origin.notes, *notes))
        return replace(self, inputs_origin=origin)

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Of a sample's inputs, where they were read."""
        return self.inputs_origin.shape or self.input_shape

    def reshaped(self, shape: Sequence[int] | None) -> "Samples":
        """The same samples with inputs of `shape` (channels, rows, columns). No copy is made.

        Raises DataError, its key being the spec's `shape`, where that takes other than as many
        numbers, or as many in an order that was hardly meant.
        """
        if shape is None or tuple(shape) == self.input_shape:
            return self
        wanted, found = int(np.prod(shape)), int(np.prod(self.input_shape))
        if wanted != found:
            image = f" ({sizes(self.input_shape)})" if len(self.input_shape) > 1 else ""
            raise DataError(
                f"{self.inputs_origin.name}: shape {sizes(shape)} takes "
                f"{count_of(wanted, 'number')} a sample, but there are {found:,}{image}",
                key="shape",
            )
        if not is_reshape(self.stored_shape, shape):
            raise DataError(
                f"{self.inputs_origin.name}: its samples are {sizes(self.stored_shape)}, and shape "
                f"{sizes(shape)} would mix up their axes; {rearranged(self.stored_shape, shape)}",
                key="shape",
            )
        inputs = self.inputs.reshape(len(self), *shape)
        return replace(self, inputs=inputs)


def is_reshape(stored: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether taking values of one shape for those of another keeps rows, columns and channels.

    It does where they differ by axes of length 1 alone, or either is flat.
    """
    one, other = ([n for n in sizes if n > 1] for sizes in (stored, shape))
    return one == other or min(len(one), len(other)) <= 1


def rearranged(stored: Sequence[int], shape: Sequence[int]) -> str:
    """What to do with an array whose samples have one shape and shall have another."""
    wanted = [n for n in shape if n > 1]
    for axes in permutations(range(len(stored))):
        if [stored[i] for i in axes if stored[i] > 1] == wanted:
            return f"save the array as x.transpose{(0, *(axis + 1 for axis in axes))}"
    if len(stored) > 1 and len(shape) == 3 and stored[-1] == shape[0] > 1:
        # The channels are last, and all before them are pixels: in one axis, or cut otherwise.
        axes = (0, len(stored), *range(1, len(stored)))
        return f"save the array as x.transpose{axes}.reshape{(-1, *shape)}"
    return f"if that is what is meant, save the array as x.reshape{(-1, *shape)}"


def is_channels_last(shape: Sequence[int]) -> bool:
    """Whether an image of channels x rows x columns is rather one of rows x columns x channels."""
    return len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) > 4


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


# Lists


def from_list(values: list[Any], name: str) -> NDArray[Any]:
    """Nested lists as an array: int64, float64 or text, by what they hold.

    Raises DataError that points at the elements to blame: not a number, or a row of another
    length than the first.
    """
    shape = shape_of(values)
    if len(shape) > 4:
        raise DataError(f"{name}: lists are nested {len(shape)} deep; at most 4 are known")
    problems = Problems(name)
    leaves = list(walk(values, shape, (), name, problems))
    problems.raise_any()
    if not leaves:
        raise DataError(f"{name}: holds no samples")
    kinds = {str if isinstance(leaf, str) else type(leaf) for leaf in leaves}
    if str in kinds and len(kinds) > 1:
        raise DataError(f"{name}: mixes numbers and text")
    small = all(isinstance(leaf, int) and abs(leaf) < EXACT_INTEGERS for leaf in leaves)
    if str in kinds:
        texts = [str(leaf) for leaf in leaves]
        return text_array(texts, lambda row: f"{name}: element [{row}]").reshape(shape)
    return np.array(leaves, np.int64 if small else np.float64).reshape(shape)


def text_array(texts: list[str], place: Callable[[int], str]) -> NDArray[np.str_]:
    """Labels as an array of text, in which each takes as much room as the longest.

    place: names the label of a row. Raises DataError where one label alone would make the array
    a multiple of what all of them take.
    """
    lengths = list(map(len, texts))
    longest = max(lengths, default=0)
    if longest * len(texts) > max(MOST_PADDED, 16 * sum(lengths)):
        row = lengths.index(longest)
        raise DataError(
            f"{place(row)}: the label {quote(texts[row])} has {longest:,} characters, far more "
            "than the others; is a quote left open?"
        )
    return np.array(texts, np.str_)


def shape_of(values: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return tuple(shape)


def leaves_of(values: list[Any]) -> list[Any]:
    """What lists that `from_list` took hold, in order."""
    return [leaf for v in values for leaf in (leaves_of(v) if isinstance(v, list) else [v])]


def walk(
    value: Any, shape: tuple[int, ...], index: tuple[int, ...], name: str, problems: Problems
) -> Iterator[int | float | str]:
    """The leaves in order; what does not fit `shape`, or is no number or text, is a problem."""
    place = f"{name}: element [{', '.join(str(i) for i in index)}]" if index else name
    if isinstance(value, list):
        if not shape:
            problems.add(f"{place}: is a list, where the first element is a number")
        elif len(value) != shape[0]:
            problems.add(
                f"{place}: has {count_of(len(value), 'element')}, but the first has {shape[0]}"
            )
        else:
            for i, inner in enumerate(value):
                yield from walk(inner, shape[1:], (*index, i), name, problems)
    elif shape:
        problems.add(f"{place}: {quote(value)} is not a list, where the first element is one")
    elif isinstance(value, bool) or not isinstance(value, int | float | str):
        problems.add(f"{place}: {quote(value)} is not a number")
    elif isinstance(value, int) and not -(10**308) < value < 10**308:
        problems.add(f"{place}: the integer is too large for a number")
    else:
        yield value
