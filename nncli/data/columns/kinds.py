"""What a column of a table can be to a network: a row of KINDS each.

A rule gives every cell a value, NaN where there is none, and spreads the values over features.
"""

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import brief, count_of, quote
from nncli.data.columns.words import (
    FALSE_WORDS,
    TRUE_WORDS,
    date_parts,
    day_reader,
    matching,
)
from nncli.data.readers.columns import Column
from nncli.data.readers.tables import GAPS, is_number

MOST_CATEGORIES = 1000
MOST_BUCKETS = 1000

Values = NDArray[np.float64]
Missing = float | str


def median(values: Values) -> float:
    return float(np.median(values))


def mean(values: Values) -> float:
    return float(values.mean())


def most_frequent(values: Values) -> float:
    """Of several, the smallest."""
    distinct, times = np.unique(values, return_counts=True)
    return float(distinct[times.argmax()])


FILLS = {"median": median, "mean": mean, "most_frequent": most_frequent}
REFUSE, DROP, APART = "refuse", "drop", "apart"


@dataclass(frozen=True)
class Rule(ABC):
    """A column's kind, what its gaps become, and after `fit` what the training rows settled.

    Attributes:
        name: the column's.
        why: how its kind was found out; empty where it was given.
        missing: a key of FILLS, or a number: what stands in for a gap. `drop` leaves the row out,
            `refuse` makes it a mistake; `apart` leaves all features of the column 0.
        indicator: whether a feature of its own tells the gaps.
        fill: the value that stands in for a gap, once that is known.
    """

    kind: ClassVar[str]
    as_words: ClassVar[bool] = True
    """Whether the cells are read as words, even where they are numbers."""
    is_scaled: ClassVar[bool] = False
    """Whether `scale` applies to its features, but for the indicator."""
    fills: ClassVar[tuple[str, ...]]
    """What `missing` may be, the default first; see also `takes_number`."""
    takes_number: ClassVar[bool] = False
    says_missing: ClassVar[bool] = False
    """Whether a spec that is made for it says of its gaps what they become."""
    refuses_words: ClassVar[bool] = False
    """Whether a word that has no value is a mistake."""

    name: str
    why: str = ""
    missing: Missing = REFUSE
    indicator: bool = False
    fill: float | None = None

    @abstractmethod
    def value(self, word: str) -> float:
        """That of a word; NaN where it has none."""

    @property
    @abstractmethod
    def own_features(self) -> tuple[str, ...]:
        """The names of its features, but for the indicator."""

    @abstractmethod
    def spread(self, values: Values, out: Values) -> None:
        """Writes the features of N values into N x features of zeros; NaN leaves zeros."""

    @abstractmethod
    def described(self) -> str:
        """What it becomes, in words."""

    def values(self, column: Column) -> Values:
        """N values, NaN where there is none."""
        if column.numbers is not None:
            return column.numbers
        known = [math.nan if word in GAPS else self.value(word) for word in column.words]
        return column.of_words(known, np.float64)

    def none(self, column: Column, values: Values) -> NDArray[np.bool_]:
        """Which cells count as gaps; `values` are the column's."""
        return np.isnan(values)

    def fit(self, column: Column, rows: NDArray[np.int64]) -> Self:
        """The rule with what these rows of a column settle."""
        return self.filled(self.values(column)[rows])

    def filled(self, values: Values) -> Self:
        known = values[np.isfinite(values)]
        if isinstance(self.missing, float | int):
            return replace(self, fill=float(self.missing))
        fill = FILLS.get(self.missing)
        if fill is None:
            return self
        return replace(self, fill=fill(known) if len(known) else 0.0)

    @property
    def features(self) -> tuple[str, ...]:
        marks = (f"{self.name} missing",) if self.indicator else ()
        return (*self.own_features, *marks)

    @property
    def scaled(self) -> tuple[bool, ...]:
        """For each feature, whether `scale` applies to it."""
        return (*(self.is_scaled for _ in self.own_features), *((False,) if self.indicator else ()))

    def apply(self, column: Column, out: Values) -> None:
        """Writes the features of a column into N x features of zeros."""
        values = self.values(column)
        none = self.none(column, values)
        if self.fill is not None:
            values = np.where(none, self.fill, values)
        self.spread(values, out[:, : len(self.own_features)])
        if self.indicator:
            out[:, -1] = none

    def of_gaps(self) -> str:
        """What its gaps become, in words."""
        if self.missing == REFUSE:
            return "gaps are refused"
        if self.missing == DROP:
            return "rows with a gap are left out"
        marked = ", and are marked" if self.indicator else ""
        if self.missing == APART:
            return "gaps have a feature of their own" if self.indicator else "gaps are all 0"
        name = self.missing.replace("_", " ") if isinstance(self.missing, str) else ""
        value = "" if self.fill is None else self.written(self.fill)
        if not name:
            return f"gaps become {self.missing:g}{marked}"
        return f"gaps become the {' '.join(filter(None, (name, value)))}{marked}"

    def written(self, value: float) -> str:
        """A value as the table has it."""
        return f"{value:g}"

    def as_written(self) -> str | dict[str, Any]:
        """As a spec says it, so that the same is found in the same table."""
        said = self.own_words()
        if self.missing == self.fills[0] and not self.says_missing:
            return said or self.kind
        if not said and not self.says_missing:
            said["as"] = self.kind
        said["missing"] = self.missing
        if self.indicator:
            said["indicator"] = True
        return said

    def own_words(self) -> dict[str, Any]:
        """What a spec says of the kind, where a word alone does not do."""
        return {}

    def as_plain(self) -> dict[str, Any]:
        """As mappings, lists, numbers and text."""
        plain = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {"kind": self.kind, **plain}


class _OneHotRule(Rule):
    """A feature for each value: 1 where that is, 0 elsewhere."""

    def spread(self, values: Values, out: Values) -> None:
        rows = np.flatnonzero(~np.isnan(values))
        out[rows, values[rows].astype(np.int64)] = 1


class _ValueRule(Rule):
    """One feature: the value."""

    @property
    def own_features(self) -> tuple[str, ...]:
        return (self.name,)

    def spread(self, values: Values, out: Values) -> None:
        out[:, 0] = values


@dataclass(frozen=True)
class Number(_ValueRule):
    """A number as it is; a date as days since 1970, where `format` is given."""

    kind = "number"
    as_words = False
    is_scaled = True
    fills = ("median", "mean", "most_frequent", DROP, REFUSE)
    takes_number = True
    refuses_words = True
    says_missing = True
    format: str = ""

    def value(self, word: str) -> float:
        if self.format:
            return day_reader(self.format)(word)
        return float(word) if is_number(word) else math.nan

    def described(self) -> str:
        return "a number, in days" if self.format else "a number"


@dataclass(frozen=True)
class Boolean(_ValueRule):
    """1 for true, yes and the like; 0 for their contraries."""

    kind = "boolean"
    fills = ("most_frequent", DROP, REFUSE)
    refuses_words = True

    def value(self, word: str) -> float:
        word = word.lower()
        if is_number(word):
            number = float(word)
            return number if number in (0, 1) else math.nan
        return 1.0 if word in TRUE_WORDS else 0.0 if word in FALSE_WORDS else math.nan

    def values(self, column: Column) -> Values:
        values = super().values(column)
        return np.where((values == 0) | (values == 1), values, np.nan)

    def described(self) -> str:
        return "1 for true, 0 for false"

    def written(self, value: float) -> str:
        return "true" if value else "false"


@dataclass(frozen=True)
class Category(_OneHotRule):
    """A feature a word: 1 where it stands, 0 elsewhere."""

    kind = "category"
    fills = (APART, "most_frequent", DROP, REFUSE)
    categories: tuple[str, ...] = ()

    def fit(self, column: Column, rows: NDArray[np.int64]) -> Self:
        assert column.codes is not None
        met = np.unique(column.codes[rows])
        found = in_order(w for w in (column.words[code] for code in met) if w not in GAPS)
        if len(found) > MOST_CATEGORIES:
            raise DataError(
                f"the column {quote(self.name)} has {count_of(len(found), 'different word')}, too "
                f"many for a feature each (at most {MOST_CATEGORIES:,}); set columns: "
                f"{{{self.name}: {{hash: 16}}}}, or ignore: [{self.name}]",
                key="columns",
            )
        fitted = replace(self, categories=found)
        return fitted.filled(fitted.values(column)[rows])

    def none(self, column: Column, values: Values) -> NDArray[np.bool_]:
        """Words that were not met in training leave zeros, and are no gaps."""
        return column.gaps

    def value(self, word: str) -> float:
        index = matching(self.categories, word)
        return math.nan if index is None else float(index)

    @property
    def own_features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={word}" for word in self.categories)

    def described(self) -> str:
        names = [brief(word) for word in self.categories]
        shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        return f"{count_of(len(names), 'category', 'categories')}, one-hot: {shown}"

    def written(self, value: float) -> str:
        return self.categories[int(value)]


@dataclass(frozen=True)
class Ordinal(_ValueRule):
    """Words in an order: 0, 1, 2, ... Others count as gaps, which is told."""

    kind = "ordinal"
    is_scaled = True
    fills = ("median", "most_frequent", DROP, REFUSE)
    order: tuple[str, ...] = ()

    def own_words(self) -> dict[str, Any]:
        return {"ordinal": self.order}

    def value(self, word: str) -> float:
        index = matching(self.order, word)
        return math.nan if index is None else float(index)

    def described(self) -> str:
        ranks = (f"{rank} {brief(word)}" for rank, word in enumerate(self.order))
        return f"ordinal: {', '.join(ranks)}"

    def written(self, value: float) -> str:
        return self.order[int(value)] if value.is_integer() else f"{value:g}"


@dataclass(frozen=True)
class Hash(_OneHotRule):
    """A feature a bucket: of a word, the one that its CRC-32 falls into."""

    kind = "hash"
    fills = (APART, "most_frequent", DROP, REFUSE)
    buckets: int = 0

    def own_words(self) -> dict[str, Any]:
        return {"hash": self.buckets}

    def value(self, word: str) -> float:
        return float(zlib.crc32(word.encode("utf-8", "surrogatepass")) % self.buckets)

    @property
    def own_features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}#{bucket}" for bucket in range(self.buckets))

    def described(self) -> str:
        return f"one-hot over {self.buckets} buckets, which its words share"

    def written(self, value: float) -> str:
        return f"bucket {value:g}"


@dataclass(frozen=True)
class Date(Rule):
    """The year as a number; month, day, weekday and hour each as a point on a circle."""

    kind = "date"
    fills = ("median", "most_frequent", DROP, REFUSE)
    refuses_words = True
    format: str = ""
    parts: tuple[str, ...] = ()

    def own_words(self) -> dict[str, Any]:
        return {"date": self.format}

    def fit(self, column: Column, rows: NDArray[np.int64]) -> Self:
        """Parts that are the same in all rows are left out."""
        values = self.values(column)[rows]
        known = values[np.isfinite(values)]
        every = date_parts(known).items() if len(known) else ()
        parts = tuple(name for name, (part, _) in every if np.ptp(part) > 0)
        return replace(self, parts=parts or ("year",)).filled(values)

    def value(self, word: str) -> float:
        return day_reader(self.format)(word)

    @property
    def own_features(self) -> tuple[str, ...]:
        names: list[str] = []
        for part in self.parts:
            ends = ("",) if part == "year" else (" sin", " cos")
            names += [f"{self.name} {part}{end}" for end in ends]
        return tuple(names)

    @property
    def scaled(self) -> tuple[bool, ...]:
        own = (not name.endswith((" sin", " cos")) for name in self.own_features)
        return (*own, *((False,) if self.indicator else ()))

    def spread(self, values: Values, out: Values) -> None:
        found, k = date_parts(values), 0
        for part in self.parts:
            numbers, period = found[part]
            if period is None:
                out[:, k] = numbers
                k += 1
                continue
            angle = 2 * np.pi * numbers / period
            out[:, k], out[:, k + 1] = np.sin(angle), np.cos(angle)
            k += 2

    def described(self) -> str:
        return f"a date: {', '.join(self.parts)}, all but the year as points on circles"

    def written(self, value: float) -> str:
        return str(np.datetime64(int(value), "D"))


KINDS: dict[str, type[Rule]] = {
    kind.kind: kind for kind in (Number, Boolean, Category, Ordinal, Hash, Date)
}


def in_order(words: Iterable[str]) -> tuple[str, ...]:
    """Numbers by their size, and before other words; these by code point."""
    return tuple(
        sorted(words, key=lambda w: (not is_number(w), float(w) if is_number(w) else 0, w))
    )


def names_of(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Of all features."""
    return tuple(name for rule in rules for name in rule.features)
