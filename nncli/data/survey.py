"""What there is to know of a data set before a network is made for it."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote
from nncli.data.preprocessing import blocks, statistics
from nncli.data.readers.read import kind, read_pair, read_source
from nncli.data.readers.rows import read_table
from nncli.data.readers.tables import Table, is_number, table_samples, target_columns
from nncli.data.samples import Pair, Samples, Source, named
from nncli.data.targets import is_label, one_class

TARGET_NAMES = {"target", "label", "class", "y", "output", "outcome", "category"}
# Integers of more different values than this, or of fewer samples a value, are rather measures.
MOST_CLASSES = 30
LEAST_A_CLASS = 5
SMALLEST_SIDE = 5
LOOKED_AT = 2000  # samples, to see whether they are images


class TargetColumn(NamedTuple):
    """A target column: as a spec names it, and why it was taken."""

    key: str | int
    why: str


class Classes(NamedTuple):
    """The labels of a target and how many samples each has."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    are_words: bool


class Survey(NamedTuple):
    """A data set as `survey` found it.

    Attributes:
        samples: their number.
        input_shape: (features,) or (channels, rows, columns), as stored.
        columns: the names of the input columns, where a header gave them.
        target: the target columns; empty for arrays.
        classes: None where the targets are numbers.
        are_labels: whether the targets would be taken for classes by default.
        target_mean, target_deviation, target_low, target_high: of each output, for numbers.
        are_shares: whether the numbers of each sample are from 0 to 1 and sum to 1.
        low, high, mean, deviation: of each input, of the shape of one sample.
        are_whole: whether all inputs are integers.
        image: channels, rows, columns that a row of numbers makes; None where it makes none.
        row_numbers: the input column that numbers the rows, if one does.
        notes: what reading left out, or took for something that it need not be.
    """

    samples: int
    input_shape: tuple[int, ...]
    columns: tuple[str, ...] | None
    target: tuple[TargetColumn, ...]
    classes: Classes | None
    are_labels: bool
    target_mean: NDArray[np.float64]
    target_deviation: NDArray[np.float64]
    target_low: float
    target_high: float
    are_shares: bool
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    are_whole: bool
    image: tuple[int, int, int] | None
    row_numbers: str | None
    notes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        return len(self.classes.names) if self.classes else len(self.target_mean)

    @property
    def constant(self) -> list[str]:
        """The names, or places, of inputs that are the same in every sample."""
        places = np.flatnonzero((self.low == self.high).ravel())
        return [self.columns[k] if self.columns else str(k) for k in places.tolist()]


def survey(source: Source, *, target: Sequence[str | int] = ()) -> Survey:
    """Reads a source and looks at all of it.

    target: the target columns of a table; where none is given, the one that looks like it.
    Raises DataError for what cannot be read; inputs that are words; targets that are all the same.
    """
    columns: tuple[TargetColumn, ...] = ()
    if isinstance(source, Path) and kind(source) == "table":
        names = [key for key in target if isinstance(key, str) and not is_index(key)]
        table = read_table(source, names=names)
        columns = chosen_columns(table, [as_key(table, key) for key in target])
        refuse_word_inputs(table, columns)
        keys = [column.key for column in columns]
        samples = table_samples(table, target=keys)
    elif target:
        raise DataError("--target chooses a column of a table; these data have none")
    else:
        samples = read_arrays(source)
    return of_samples(samples, columns)


def read_arrays(source: Source) -> Samples:
    if isinstance(source, Pair):
        return read_pair(source, None, None, with_targets=True)
    return read_source(source, part="train")


def chosen_columns(table: Table, target: Sequence[str | int]) -> tuple[TargetColumn, ...]:
    if target:
        target_columns(table, target)  # for its complaints
        return tuple(TargetColumn(key, "") for key in target)
    header = table.header or ()
    named_so = [name for name in header if name.lower() in TARGET_NAMES]
    if len(named_so) == 1 and header.count(named_so[0]) == 1:
        return (TargetColumn(named_so[0], "by its name"),)
    of_words = columns_of_words(table)
    if len(of_words) == 1:
        return (TargetColumn(key_of(table, of_words[0]), "the only column of words"),)
    if is_constant(table, -1) and are_classes(table, 0):
        return (TargetColumn(key_of(table, 0), "the first column, as the last is always the same"),)
    return (TargetColumn(key_of(table, table.width - 1), "the last column"),)


def is_constant(table: Table, column: int) -> bool:
    if isinstance(table.cells, np.ndarray):
        values = table.cells[:, column]
        return bool((values == values[0]).all())
    return len({cells[column] for cells in table.cells}) == 1


def are_classes(table: Table, column: int) -> bool:
    """Whether a column is of integers that look like classes."""
    if not isinstance(table.cells, np.ndarray):
        return False
    values = table.cells[:, column]
    if not is_label(values).all():
        return False
    distinct = np.unique(values)
    return len(distinct) > 1 and looks_like_classes(distinct, len(values))


def as_key(table: Table, key: str | int) -> str | int:
    """A key from the command line: digits are an index, where no column has them as its name."""
    is_name = isinstance(key, int) or key in (table.header or ())
    return key if is_name or not is_index(str(key)) else int(key)


def is_index(key: str) -> bool:
    """Whether it may be meant as one; Python refuses to read thousands of digits."""
    return re.fullmatch("-?[0-9]{1,18}", key) is not None


def key_of(table: Table, column: int) -> str | int:
    """A column as a spec names it: by its name, where that is one."""
    name = table.header[column] if table.header else ""
    if table.header and name and table.header.count(name) == 1:
        return name
    return -1 if column == table.width - 1 else column


def columns_of_words(table: Table) -> list[int]:
    """Those most of whose cells are neither numbers nor empty."""
    if isinstance(table.cells, np.ndarray):
        return []
    words = [
        sum(bool(c) and not is_number(c) for c in column)
        for column in zip(*table.cells, strict=True)
    ]
    return [k for k, number in enumerate(words) if 2 * number > len(table)]


def refuse_word_inputs(table: Table, target: Sequence[TargetColumn]) -> None:
    """Raises DataError for input columns of words: told by column, not by cell."""
    targets = target_columns(table, [column.key for column in target])
    of_words = [k for k in columns_of_words(table) if k not in targets]
    if not of_words:
        return
    problems = []
    for k in of_words:
        name = f" ({named(table.header[k])})" if table.header else ""
        example = next(str(row[k]) for row in table.cells if not is_number(str(row[k])))
        problems.append(
            f"{table.name}: column {k + 1}{name} holds words such as {quote(example)}, and inputs "
            "are numbers; leave the column out, or write a number for each word"
        )
    if len(of_words) == 1 and target[0].why != "by its name":
        key = key_of(table, of_words[0])
        problems[0] += f"; or make it the target: --target {key}"
    raise DataError(problems)


def of_samples(samples: Samples, columns: tuple[TargetColumn, ...]) -> Survey:
    n = len(samples)
    with np.errstate(all="ignore"):
        low, high, mean, deviation = statistics(samples.inputs, np.arange(n))
    if not np.isfinite(mean).all():
        name = samples.inputs_origin.name
        raise DataError(f"{name}: holds inputs that are not finite; every input must be a number")
    assert samples.targets is not None
    classes, numbers = targets_of(samples)
    return Survey(
        samples=n,
        input_shape=samples.input_shape,
        columns=samples.columns,
        target=columns,
        classes=classes,
        are_labels=samples.targets.ndim == 1,
        target_mean=numbers.mean(axis=0),
        target_deviation=numbers.std(axis=0),
        target_low=float(numbers.min(initial=np.inf)),
        target_high=float(numbers.max(initial=-np.inf)),
        are_shares=are_shares(numbers),
        low=low,
        high=high,
        mean=mean,
        deviation=deviation,
        are_whole=are_whole(samples.inputs),
        image=image_shape(samples, low, high),
        row_numbers=find_row_numbers(samples, low, high),
        notes=samples.notes,
    )


def targets_of(samples: Samples) -> tuple[Classes | None, NDArray[np.float64]]:
    """The classes, or the numbers, N x outputs (N x 0 for classes)."""
    targets, name = samples.targets, samples.targets_origin.name
    assert targets is not None
    if targets.ndim == 1:
        distinct, sizes = np.unique(targets, return_counts=True)
        if len(distinct) == 1:
            raise one_class(samples)
        are_words = targets.dtype.kind == "U"
        are_names = are_words or looks_like_classes(distinct, len(targets))
        if are_names or are_merged(distinct):
            names = tuple(str(label) for label in distinct)
            return Classes(names, tuple(sizes.tolist()), are_words), np.empty((len(targets), 0))
    numbers = targets.reshape(len(targets), -1).astype(np.float64)
    counted = counted_classes(numbers) if targets.dtype.kind == "f" else None
    if counted is not None:
        return counted, np.empty((len(targets), 0))
    if not np.isfinite(numbers).all():
        raise DataError(f"{name}: holds targets that are not finite; every target must be a number")
    if (numbers == numbers[0]).all() and len(numbers) > 1:
        same = (targets == targets[0]).all()
        is_same = "is" if same else "is, rounded to float64,"
        raise DataError(
            f"{name}: the target {is_same} {numbers[0, 0]:g} in all "
            f"{count_of(len(numbers), 'sample')}: there is nothing to learn"
        )
    return None, numbers


def are_merged(distinct: NDArray[Any]) -> bool:
    """Whether float64 would make one number of two of these integers: they are labels then."""
    if len(distinct) > MOST_CLASSES:
        return False
    return len(np.unique(distinct.astype(np.float64))) < len(distinct)


def counted_classes(numbers: NDArray[np.float64]) -> Classes | None:
    """The classes of floats that count them from 0, as some programs save labels."""
    if numbers.shape[1] != 1 or not is_label(numbers).all():
        return None
    distinct, sizes = np.unique(numbers, return_counts=True)
    counts = len(distinct) > 1 and bool((distinct == np.arange(len(distinct))).all())
    if not counts or not looks_like_classes(distinct, len(numbers)):
        return None
    return Classes(tuple(str(int(label)) for label in distinct), tuple(sizes.tolist()), False)


def looks_like_classes(distinct: NDArray[Any], samples: int) -> bool:
    """Whether integers are rather names than measures.

    They are where each of them comes many times, or where they count from 0 or 1 without a gap.
    """
    k = len(distinct)
    counts = bool(distinct[0] in (0, 1) and distinct[-1] - distinct[0] == k - 1)
    if k <= MOST_CLASSES and (samples >= LEAST_A_CLASS * k or (counts and samples >= 2 * k)):
        return True
    return counts and samples >= 10 * LEAST_A_CLASS * k


def are_shares(numbers: NDArray[np.float64]) -> bool:
    if numbers.shape[1] < 2 or numbers.min() < 0 or numbers.max() > 1:
        return False
    return bool(np.allclose(numbers.sum(axis=1), 1, atol=1e-5))


def are_whole(inputs: NDArray[Any]) -> bool:
    if inputs.dtype.kind != "f":
        return True
    every = blocks(len(inputs), int(np.prod(inputs.shape[1:])))
    return all(bool((inputs[rows] == np.rint(inputs[rows])).all()) for rows in every)


def find_row_numbers(
    samples: Samples, low: NDArray[np.float64], high: NDArray[np.float64]
) -> str | None:
    """The input column that only numbers the rows, in their order."""
    n = len(samples)
    if samples.inputs.ndim != 2 or n < 10:
        return None
    for k in np.flatnonzero(high - low == n - 1).tolist():
        if (np.diff(samples.inputs[:, k].astype(np.float64)) == 1).all():
            return samples.columns[k] if samples.columns else str(k)
    return None


def image_shape(
    samples: Samples, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[int, int, int] | None:
    """The square image that rows of numbers make: as many as its pixels, in the range of pixels,
    and neighbours in it alike. None where they make none.
    """
    if samples.inputs.ndim != 2 or low.min() < 0 or high.max() > 255:
        return None
    for channels in (1, 3):
        side = math.isqrt(len(low) // channels)
        if channels * side**2 != len(low) or side < SMALLEST_SIDE:
            continue
        if is_named_for_pixels(samples.columns):
            return (channels, side, side)
        rows = np.linspace(0, len(samples) - 1, min(len(samples), LOOKED_AT)).astype(np.int64)
        some = samples.inputs[rows].astype(np.float64).reshape(-1, side**2)
        whole = bool((some == np.rint(some)).all())
        if (whole or high.max() <= 1) and looks_like_images(some, side):
            return (channels, side, side)
    return None


def is_named_for_pixels(columns: tuple[str, ...] | None) -> bool:
    return columns is not None and all(c.lower().startswith(("pix", "px")) for c in columns)


def looks_like_images(rows: NDArray[np.float64], side: int) -> bool:
    """Whether a pixel is like the next one and like the one below, more than like those half a
    row away: in a series of measurements, what is nearer is more alike; in noise, nothing is.
    """
    if len(rows) < 10:
        return False

    def difference(lag: int) -> float:
        return float(np.abs(rows[:, lag:] - rows[:, :-lag]).mean())

    half = side // 2
    apart = min(difference(half), difference(side + half))
    return max(difference(1), difference(side)) < 0.9 * apart


def described(survey: Survey) -> str:
    """A data set in a line: `150 samples of 4 inputs, 3 classes: ...`."""
    shape = survey.input_shape
    image = f"images of {' x '.join(map(str, shape))}" if len(shape) > 1 else ""
    inputs = image or count_of(shape[0], "input")
    if survey.classes:
        targets = f"{len(survey.classes.names)} classes ({listed_plainly(survey.classes.names)})"
    else:
        targets = count_of(survey.outputs, "target")
    return f"{count_of(survey.samples, 'sample')} of {inputs}, {targets}"


def listed_plainly(names: Sequence[str]) -> str:
    """A few names as they are; many by the first and the last."""
    if len(names) > 6:
        return f"{named(names[0])} to {named(names[-1])}"
    return ", ".join(map(named, names))
