"""Targets: labels become classes and one-hot rows, everything else stays a vector of numbers."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nncli.datasets.messages import Problems, counted, listed, nearest, quote
from nncli.datasets.samples import Origin, Samples, check_finite
from nncli.errors import DataError

Classes = int | tuple[str, ...] | Literal["none"] | None

# More different integers than this are rather measurements than classes, and one-hot rows of
# them would fill the memory.
MOST_CLASSES = 10_000
# Up to here every integer is a float64, so that two labels cannot have become one.
EXACT = 2.0**53


@dataclass(frozen=True)
class Encoding:
    """How labels become classes.

    classes: their names, in the order of the network's outputs.
    by_index: integer labels count the classes from 0, rather than being names themselves.
    """

    classes: tuple[str, ...]
    by_index: bool = False

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
        for row in np.flatnonzero(indices < 0).tolist():
            label = str(labels[row])
            problems.add(
                f"{origin.place(row)}: {quote(label)} is not a class; the classes are "
                f"{self.told(lookup)}{nearest(label, lookup) if text else ''}"
            )
        problems.raise_any()
        return indices

    def lookup(self, integers: bool) -> dict[str, int]:
        names = map(str, range(len(self.classes))) if integers and self.by_index else self.classes
        return {name: i for i, name in enumerate(names)}

    def told(self, lookup: dict[str, int]) -> str:
        counting = list(lookup) == [str(i) for i in range(len(lookup))]
        return f"0 to {len(lookup) - 1}" if counting and len(lookup) > 2 else listed(lookup)

    def one_hot(self, indices: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
        """N indices -> N x classes: 1 at the index, 0 elsewhere."""
        targets = np.zeros((len(indices), len(self.classes)), dtype)
        targets[np.arange(len(indices)), indices] = 1
        return targets


def is_integer(name: str) -> bool:
    return name.isascii() and name.removeprefix("-").isdigit()


def fit_encoding(samples: Samples, classes: Classes) -> Encoding | None:
    """The encoding that `classes` asks for; None where targets are vectors of numbers.

    Without names or a number, the classes are the sorted different labels: integers by value,
    text by code point.
    """
    if classes == "none":
        return None
    if isinstance(classes, tuple):
        twice = sorted({name for name in classes if classes.count(name) > 1})
        if twice:
            raise DataError(f"{samples.targets_origin.name}: classes names {listed(twice)} twice")
        # Integers may name the classes ("0", "3") or count them; never both in one list.
        return Encoding(classes, by_index=not any(map(is_integer, classes)))
    if isinstance(classes, int):
        if classes < 1:
            raise DataError(f"{samples.targets_origin.name}: classes {classes} is not above 0")
        return Encoding(tuple(str(i) for i in range(classes)))
    if samples.targets is None or samples.targets.ndim != 1:
        return None
    distinct = np.unique(samples.targets)
    if len(distinct) > MOST_CLASSES:
        raise DataError(
            f"{samples.targets_origin.name}: the target has {len(distinct):,} different values, "
            f"too many for classes (at most {MOST_CLASSES:,}); for plain numbers set classes: none"
        )
    return Encoding(tuple(str(label) for label in distinct))


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
            f"{counted(targets.shape[1], 'column')}"
        )
    column = targets[:, 0]
    problems = Problems(origin.name)
    for row in np.flatnonzero(~is_label(column)).tolist():
        problems.add(f"{origin.place(row)}: {column[row]} is no class, which is an integer or text")
    problems.raise_any()
    return column.astype(np.int64)


def is_label(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which numbers are integers that a float64 tells apart from their neighbours."""
    with np.errstate(invalid="ignore"):
        whole: NDArray[np.bool_] = (column == np.rint(column)) & (np.abs(column) < EXACT)
    return whole


def encode(samples: Samples, encoding: Encoding | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Targets for training, N x outputs of `dtype`: one-hot by `encoding`, else as they are.

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
            f"{samples.targets_origin.name}: the targets are text, but classes are not asked for"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = samples.targets.reshape(len(samples), -1).astype(dtype)
    check_finite(numbers, samples.targets, samples.targets_origin)
    return numbers
