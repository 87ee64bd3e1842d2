"""Targets: labels become classes and one-hot rows, everything else stays a vector of numbers."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.reading import Reading
from nncli.core.text import count_of, nearest, quote, quote_all
from nncli.data.messages import SHOWN_PROBLEMS, Problems
from nncli.data.samples import Origin, Samples, check_finite

Classes = int | tuple[str, ...] | Literal["none"] | None

# More different integers than this are rather measurements than classes, and one-hot rows of
# them would fill the memory.
MOST_CLASSES = 10_000
# The most that can be asked for by number, in the spec as here.
MOST_COUNTED = 100_000
# Numbers that are no labels, among labels: as few as this are slips, more are measurements.
MOST_SLIPS = 10
SLIPS_SHARE = 0.05
# Up to here every integer is a float64, so that two labels cannot have become one.
EXACT = 2.0**53
# Rows that tell in most cases that targets are not all 0 or 1.
FIRST = 1000
# Integers of more different values than this, or of fewer samples a value, are rather measures.
FEW_CLASSES = 30
LEAST_A_CLASS = 5


class Encoding(NamedTuple):
    """How labels become classes.

    classes: their names, in the order of the network's outputs.
    by_index: integer labels count the classes from 0, rather than being names themselves.
    is_binary: two classes have one output, which is 1 for the second.
    """

    classes: tuple[str, ...]
    by_index: bool = False
    is_binary: bool = False

    @property
    def output_names(self) -> tuple[str, ...]:
        """The class that each output stands for."""
        return self.classes[1:] if self.is_binary else self.classes

    @property
    def outputs(self) -> int:
        return len(self.output_names)

    def indices(self, labels: NDArray[Any], origin: Origin) -> NDArray[np.int64]:
        """The class of each label: N labels (integers or text) -> N indices.

        Raises DataError for labels that are no class.
        """
        distinct, where = np.unique(labels, return_inverse=True)
        text = labels.dtype.kind == "U"
        lookup = self.lookup(integers=not text)
        known = np.array([lookup.get(str(label), -1) for label in distinct], dtype=np.int64)
        indices: NDArray[np.int64] = known[where.reshape(-1)]
        problems = Problems(origin.name)

        def wrong(row: int) -> str:
            label = str(labels[row])
            near = nearest(label, lookup) if text else ""
            place = origin.place(row)
            return f"{place}: {quote(label)} is not a class; the classes are {classes}{near}"

        unknown = np.flatnonzero(indices < 0)
        classes = self.described(lookup) if len(unknown) else ""
        for label in list(dict.fromkeys(labels[unknown].tolist()))[:SHOWN_PROBLEMS]:
            rows = unknown[labels[unknown] == label]
            problems.add_rows(wrong(int(rows[0])), origin.rows(rows), origin.noun)
        problems.total = len(unknown)
        problems.raise_any(key="classes")
        return indices

    def lookup(self, integers: bool) -> dict[str, int]:
        names = map(str, range(len(self.classes))) if integers and self.by_index else self.classes
        return {name: i for i, name in enumerate(names)}

    def described(self, lookup: dict[str, int]) -> str:
        is_counted = list(lookup) == [str(i) for i in range(len(lookup))]
        return f"0 to {len(lookup) - 1}" if is_counted and len(lookup) > 2 else quote_all(lookup)

    def one_hot(self, indices: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
        """N indices -> N x classes: 1 at the index, 0 elsewhere; of one output N x 1."""
        if self.is_binary:
            return indices.reshape(-1, 1).astype(dtype)
        targets = np.zeros((len(indices), len(self.classes)), dtype)
        targets[np.arange(len(indices)), indices] = 1
        return targets


def is_integer(name: str) -> bool:
    return name.isascii() and name.removeprefix("-").isdigit()


def fit_encoding(
    samples: Samples, classes: Classes, *, has_one_output: bool = False
) -> Encoding | None:
    """The encoding that `classes` asks for, see `class_encoding`.

    Of a network that `has_one_output` two classes are one target: 1 for the second of them, as are
    numbers that are all 0 or 1.
    """
    if has_one_output and classes is None and is_zero_or_one(samples.targets):
        return Encoding(("0", "1"), is_binary=True)
    encoding = class_encoding(samples, classes)
    if has_one_output and encoding is not None and len(encoding.classes) == 2:
        return encoding._replace(is_binary=True)
    return encoding


def is_zero_or_one(targets: NDArray[Any] | None) -> bool:
    """Whether targets are one number a sample, and all of them 0 or 1."""
    if targets is None or targets.ndim != 2 or targets.shape[1] != 1:
        return False
    return are_zeros_and_ones(targets)


def are_zeros_and_ones(targets: NDArray[Any]) -> bool:
    """Whether all numbers are 0 or 1, and some of both."""
    if targets.dtype.kind not in "iuf":
        return False
    ones = targets == 1
    return bool(((targets == 0) | ones).all() and ones.any() and not ones.all())


def reading_of_columns(targets: NDArray[Any]) -> Reading:
    """What several target columns are, N x outputs: of 0 and 1, classes (one-hot) or labels."""
    first = targets[:FIRST]  # which may be of one of the two alone
    if targets.shape[1] < 2 or not ((first == 0) | (first == 1)).all():
        return "numbers"
    if not are_zeros_and_ones(targets) or (targets == targets[0]).all():
        return "numbers"
    return "classes" if (targets.sum(axis=1) == 1).all() else "labels"


def class_encoding(samples: Samples, classes: Classes) -> Encoding | None:
    """The encoding that `classes` asks for; None where targets are vectors of numbers.

    Without names or a number, the classes are the sorted different labels: integers by value,
    text by code point. Raises DataError where these are too many, or one alone, and where a table
    has a few numbers among them that are none.
    """
    name = samples.targets_origin.name
    if classes == "none":
        return None
    if isinstance(classes, tuple):
        twice = sorted(label for label, times in Counter(classes).items() if times > 1)
        if twice:
            raise DataError(f"{name}: classes names {quote_all(twice)} twice", key="classes")
        # Integers may name the classes ("0", "3") or count them; never both in one list.
        return Encoding(classes, by_index=not any(map(is_integer, classes)))
    if isinstance(classes, int):
        if classes < 1:
            raise DataError(f"{name}: classes {classes} is not above 0", key="classes")
        if classes > MOST_COUNTED:
            raise DataError(
                f"{name}: classes {classes} is above {MOST_COUNTED:,}, the most there can be",
                key="classes",
            )
        return Encoding(tuple(str(i) for i in range(classes)))
    if samples.targets is None:
        return None
    if samples.targets.ndim != 1:
        # An array of floats says by its type that they are meant.
        if samples.targets_origin.lines is not None and samples.targets.shape[1] == 1:
            column = samples.targets[:, 0]
            refuse_typing_mistakes(column, is_label(column), samples.targets_origin)
        return None
    # Counting them too spares an import: np.unique alone asks np.ma first, which takes longer.
    distinct, _ = np.unique(samples.targets, return_counts=True)
    if len(distinct) > MOST_CLASSES:
        raise DataError(
            f"{name}: the target has {len(distinct):,} different values, too many for classes "
            f"(at most {MOST_CLASSES:,}); for plain numbers set classes: none",
            key="classes",
        )
    if len(distinct) == 1:
        raise one_class(samples)
    return Encoding(tuple(str(label) for label in distinct))


def one_class(samples: Samples) -> DataError:
    """For labels that are all the same."""
    labels, name = samples.targets, samples.targets_origin.name
    assert labels is not None
    n, label = len(labels), quote(labels[0])
    found = f"all {n:,} labels are {label}" if n > 1 else f"its only label is {label}"
    numbers = "" if labels.dtype.kind == "U" else "; for plain numbers set classes: none"
    if samples.inputs_origin.lines is not None and samples.inputs_origin.name == name:
        numbers += "; if another column holds the labels, name it, as in target: 0"
    return DataError(
        f"{name}: {found}: one class cannot be learnt to tell from others{numbers}", key="target"
    )


def are_typing_mistakes(others: int, samples: int) -> bool:
    """Whether values that are no labels are so few among labels that they are mistakes."""
    return 0 < others <= MOST_SLIPS and others < SLIPS_SHARE * samples


def refuse_typing_mistakes(values: NDArray[Any], labels: NDArray[np.bool_], origin: Origin) -> None:
    """Raises DataError where a few of a column's values keep the others from being classes.

    values: N numbers, or N Python numbers as objects. labels: which of them are labels.
    """
    rows = np.flatnonzero(~labels).tolist()
    if not are_typing_mistakes(len(rows), len(values)):
        return
    integers = values[labels]
    others = f"all other labels are integers ({int(integers.min())} to {int(integers.max())})"

    def wrong(row: int) -> str:
        value = values[row]
        large = isinstance(value, int) or abs(value) >= EXACT
        written = f"{value:g}" if large else str(value)
        return (
            f"{origin.place(row)}: {written} is {'too large for a' if large else 'no'} class; "
            f"{others}; mend it, or set classes: none for plain numbers"
        )

    problems = Problems(origin.name)
    problems.add_each(rows, wrong)
    problems.raise_any()


def labels_of(samples: Samples) -> NDArray[Any]:
    """The N labels of targets that shall be classes. Raises DataError where they cannot be."""
    targets, origin = samples.targets, samples.targets_origin
    if targets is None:
        raise DataError(f"{origin.name}: has no targets")
    if targets.ndim == 1:
        return targets
    if targets.shape[1] != 1:
        raise DataError(
            f"{origin.name}: classes need one column of labels, but the target has "
            f"{count_of(targets.shape[1], 'column')}",
            key="classes",
        )
    column = targets[:, 0]
    problems = Problems(origin.name)
    wrong = np.flatnonzero(~is_label(column))
    if len(wrong):
        place, number = origin.place(int(wrong[0])), column[wrong[0]]
        problem = f"{place}: {number} is no class, which is an integer or text"
        problems.add_rows(problem, origin.rows(wrong), origin.noun)
    problems.raise_any(key="classes")
    return column.astype(np.int64)


def is_label(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which numbers are integers that a float64 tells apart from their neighbours."""
    with np.errstate(invalid="ignore"):
        whole: NDArray[np.bool_] = (column == np.rint(column)) & (np.abs(column) < EXACT)
    return whole


Scaled = Callable[[NDArray[Any]], NDArray[np.float64]]


def encode(
    samples: Samples,
    encoding: Encoding | None,
    dtype: np.dtype[Any],
    scaled: Scaled | None = None,
) -> NDArray[Any]:
    """Targets for training, N x outputs of `dtype`: one-hot by `encoding`, else `scaled`.

    Samples without targets get N x 0. Raises DataError for unknown labels and for numbers that
    are not finite in `dtype`.
    """
    if samples.targets is None:
        return np.empty((len(samples), 0), dtype)
    if encoding is not None:
        indices = encoding.indices(labels_of(samples), samples.targets_origin)
        return encoding.one_hot(indices, dtype)
    if samples.targets.dtype.kind not in "biuf":
        raise DataError(
            f"{samples.targets_origin.name}: the targets are text, but classes are not asked for",
            key="classes",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = samples.targets.reshape(len(samples), -1)
        numbers = (numbers if scaled is None else scaled(numbers)).astype(dtype)
    check_finite(numbers, samples.targets, samples.targets_origin)
    return numbers


def looks_like_classes(distinct: NDArray[Any], samples: int) -> bool:
    """Whether integers are rather names than measures.

    They are where each of them comes many times, or where they count from 0 or 1 without a gap.
    """
    k = len(distinct)
    counts = bool(distinct[0] in (0, 1) and distinct[-1] - distinct[0] == k - 1)
    if k <= FEW_CLASSES and (samples >= LEAST_A_CLASS * k or (counts and samples >= 2 * k)):
        return True
    return counts and samples >= 10 * LEAST_A_CLASS * k
