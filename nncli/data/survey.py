"""What there is to know of a data set before a network is made for it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of
from nncli.data.columns.choice import ColumnKeys
from nncli.data.columns.kinds import Rule
from nncli.data.columns.samples import featured, fitted_rules, table_samples
from nncli.data.columns.useless import notes_of_names
from nncli.data.readers.read import kind, read_pair, read_source
from nncli.data.readers.rows import read_table
from nncli.data.readers.tables import Table
from nncli.data.samples import Pair, Samples, Source, named
from nncli.data.scaling import blocks, statistics
from nncli.data.survey_columns import (
    Useless,
    as_key,
    is_index,
    useless_inputs,
)
from nncli.data.target_choice import TargetColumn, chosen_columns
from nncli.data.targets import FEW_CLASSES, is_label, looks_like_classes, one_class

SMALLEST_SIDE = 5
MOST_COMPARED = 5_000_000  # numbers, to see which samples are the same
ORDINARY = 5  # different inputs a sample that the columns' values allow; with fewer, some repeat
LOOKED_AT = 2000  # samples, to see whether they are images


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
        ignored: the input columns of which nothing can be learnt.
        rules: what the other input columns become; none where all are numbers as they are.
        notes: what reading left out, or took for something that it need not be.
        repeated: how many samples are the same as one before them; 0 for images, for large data,
            and where the columns' values are so few that it is ordinary.
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
    ignored: tuple[Useless, ...] = ()
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: int = 0

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
    if isinstance(source, Path) and kind(source) == "table":
        names = [key for key in target if isinstance(key, str) and not is_index(key)]
        # Its columns are looked at again and again.
        table = replace(read_table(source, names=names), kept={})
        columns = chosen_columns(table, [as_key(table, key) for key in target])
        return of_table(table, columns)
    if target:
        raise DataError("--target chooses a column of a table; these data have none")
    return of_samples(read_arrays(source), ())


def of_table(table: Table, columns: tuple[TargetColumn, ...]) -> Survey:
    keys = [column.key for column in columns]
    samples = table_samples(table, target=keys)
    left_out = () if samples.raw is None else samples.raw.left_out
    inputs = [position - 1 for position in samples.inputs_origin.positions]
    found = of_samples(samples, columns) if samples.raw is None else None
    if found is not None and found.image is not None:
        return found
    useless = useless_inputs(table, left_out, inputs)
    if len(useless) == len(left_out) + len(inputs):  # they are all there is
        useless = useless_inputs(table, left_out, ())
    if not useless and found is not None:
        return found
    known = {position for position, _ in left_out}
    if samples.raw is None or any(each.position not in known for each in useless):
        ignore = ColumnKeys(ignore=tuple(each.position for each in useless))
        samples = table_samples(table, target=keys, keys=ignore)
    rules: tuple[Rule, ...] = ()
    if samples.raw is not None:
        rules = fitted_rules(samples.raw, np.arange(len(samples)), table.name)
        samples = featured(samples, rules)
    return of_samples(samples, columns)._replace(ignored=tuple(useless), rules=rules)


def read_arrays(source: Source) -> Samples:
    if isinstance(source, Pair):
        return read_pair(source, None, None, with_targets=True)
    return read_source(source, part="train")


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
        notes=(*samples.notes, *notes_of_names(samples)),
        repeated=count_repeated(samples),
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
    if len(distinct) > FEW_CLASSES:
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


def count_repeated(samples: Samples) -> int:
    """Samples that are the same as one before them; 0 where few values make that ordinary."""
    inputs, targets = samples.inputs, samples.targets
    if inputs.ndim != 2 or inputs.size > MOST_COMPARED or targets is None:
        return 0
    possible = math.prod(len(np.unique(column)) for column in inputs.T)
    if possible < ORDINARY * len(samples):
        return 0
    rows = zip(inputs, targets, strict=True)
    return len(samples) - len({x.tobytes() + y.tobytes() for x, y in rows})


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
