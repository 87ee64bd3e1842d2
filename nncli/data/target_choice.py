"""Which column of a table is to be learnt, where nobody says: by names, places and kinds.

Each column has evidence, which `EVIDENCE` weighs; the one with most is taken. Where another has
almost as much, or nothing but its place speaks for it, the choice is not evident: that is told.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nncli.core.errors import DataError
from nncli.data.columns.kinds import Boolean, Category
from nncli.data.columns.recognise import recognise
from nncli.data.columns.useless import LEAST_ROWS, names_rows
from nncli.data.readers.columns import Column, read_columns
from nncli.data.readers.tables import Table, target_columns
from nncli.data.survey_columns import key_of
from nncli.data.targets import FEW_CLASSES, is_label, looks_like_classes


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What a target is called where it is called one, also without what stands between its words.
OF_TARGETS = _words(
    """
    target targets label labels output outcome response y depvar dependent
    dependentvariable diagnosis species survived survival class result
    """
)
# What is often the target of a table that has it.
OFTEN_TARGETS = _words(
    """
    price prices saleprice salary wage wages sales mpg milespergallon medv value val
    quality default churn churned exited risk vote choice status purchase purchased
    bought approved fraud isfraud spam success died death dead event type kind category
    direction decision answer tip cost costs charges revenue demand count cnt yield
    strength score grade performance perf weather digit variety rings balance case
    group
    """
)
# What is hardly ever one.
NEVER_TARGETS = _words(
    """
    id index key name names year month week weekday day date time hour minute age sex
    gender race region state country county city zip address lat latitude lon lng
    longitude weight weights fold split
    """
)
UNITS = _words(
    """
    eur usd gbp dollars euros kg g m cm mm km lb lbs pct percent k
    """
)
EVIDENCE = {  # weights, and the words for each
    "called a target": (6.0, "by its name"),
    "called what is often one": (4.0, "by its name"),
    "called so in part": (3.5, "by its name"),
    "last": (2.0, "the last column"),
    "last usable": (1.5, "the last column that can be learnt"),
    "first": (1.5, "the first column"),
    "first, the last is constant": (3.0, "the first column, as the last is always the same"),
    "only words at an end": (2.5, "the only column of words"),
    "whole numbers at an end, no header": (2.5, "whole numbers that can be classes"),
    "only whole numbers at an end": (1.5, "the only column of whole numbers"),
    "two values": (1.0, "of two values"),
    "few words": (0.5, ""),
    "hardly ever one": (-2.5, ""),
    "many words": (-1.0, ""),
    "mostly empty": (-4.0, ""),
}
LEAST_OF_SECOND = 2.0  # the weight of a second choice that is told where the first is evident
EVIDENT, AHEAD = 4.0, 1.0  # the weight from which a choice is evident, and by which it leads
FEW_WORDS = 6
WIDE = 100  # columns; of more, only ends and names are looked at


class TargetColumn(NamedTuple):
    """A target column.

    Attributes:
        key: as a spec names it.
        why: the reason that it was taken; empty where it was given.
        second: the column that would have come next; None where there is none.
        is_evident: whether there is no doubt that it is the one.
    """

    key: str | int
    why: str
    second: str | int | None = None
    is_evident: bool = True


def chosen_columns(table: Table, target: Sequence[str | int]) -> tuple[TargetColumn, ...]:
    """The target columns: those given, else the one that looks like it."""
    if target:
        target_columns(table, target)  # for its complaints
        return tuple(TargetColumn(key, "") for key in target)
    ranked = sorted(candidates(table), key=lambda each: (each.weight, each.position))[::-1]
    if not ranked:
        return (TargetColumn(key_of(table, table.width - 1), EVIDENCE["last"][1]),)
    best = ranked[0]
    others = [each for each in ranked[1:] if each.weight > 0]
    ahead = best.weight - (others[0].weight if others else 0)
    is_evident = len(ranked) == 1 or (best.weight >= EVIDENT and ahead >= AHEAD)
    seconds = [each.position for each in others if each.weight >= LEAST_OF_SECOND]
    if not seconds and not is_evident:
        seconds = [each.position for each in ranked[1:]]
    second = key_of(table, seconds[0]) if seconds else None
    why = best.why or "the likeliest of them"
    return (TargetColumn(key_of(table, best.position), why, second, is_evident),)


class Candidate(NamedTuple):
    position: int
    evidence: tuple[str, ...]

    @property
    def weight(self) -> float:
        return sum(EVIDENCE[each][0] for each in self.evidence)

    @property
    def why(self) -> str:
        return ", ".join(dict.fromkeys(filter(None, (EVIDENCE[each][1] for each in self.evidence))))


def candidates(table: Table) -> Iterator[Candidate]:
    """The columns that can be learnt, with what speaks for each."""
    usable = usable_columns(table)
    if not usable:
        return
    first, last = usable[0].position, usable[-1].position
    of_words = [column.position for column in usable if column.codes is not None]
    whole = [column.position for column in usable if is_whole(column)]
    has_z = "z" in map(str.lower, table.header or ())  # then y is a place in space
    last_is_constant = last < table.width - 1 and is_constant(table, table.width - 1)
    for column in usable:
        place, found = column.position, list(by_name(column))
        if has_z and (column.title or "").lower() == "y":
            found = []
        if place == first and last_is_constant and is_classes(column):
            found.append("first, the last is constant")
        elif place == last and place == table.width - 1:
            found.append("last")
        elif place in (first, last):
            found.append("last usable" if place == last else "first")
        if of_words == [place] and place in (first, last):
            found.append("only words at an end")
        if place in (first, last) and is_classes(column):
            if table.header is None:
                found.append("whole numbers at an end, no header")
            elif whole == [place] and not of_words:
                found.append("only whole numbers at an end")
        yield Candidate(place, (*found, *by_values(column)))


def by_name(column: Column) -> Iterator[str]:
    parts = words_of(column.title or "")
    whole = "".join(parts)
    if not parts:
        return
    if whole in OF_TARGETS:
        yield "called a target"
    elif whole in OFTEN_TARGETS:
        yield "called what is often one"
    elif parts[-1] in OF_TARGETS | OFTEN_TARGETS and len(parts[-1]) > 1:
        yield "called so in part"
    is_number_of = column.numbers is not None and whole.endswith("id") and not is_few(column)
    if parts[-1] in NEVER_TARGETS or is_number_of:
        yield "hardly ever one"


def words_of(title: str) -> list[str]:
    """`SalePrice_usd` as sale, price: lower case, without a unit at the end."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", title)
    lowered = [part.lower() for part in parts]
    return lowered[:-1] if len(lowered) > 1 and lowered[-1] in UNITS else lowered


def by_values(column: Column) -> Iterator[str]:
    if 2 * np.count_nonzero(column.gaps) > len(column):
        yield "mostly empty"
    if column.codes is not None:
        different = int(np.count_nonzero(column.counts)) - bool(column.gaps.any())
        if different == 2 and len(column) >= LEAST_ROWS:
            yield "two values"
        elif different <= FEW_WORDS:
            yield "few words"
        elif different > FEW_CLASSES:
            yield "many words"
    elif is_few(column):
        yield "two values"


def is_few(column: Column) -> bool:
    """Whether a column of numbers has two values."""
    known = column.as_numbers()[~column.gaps]
    low, high = known.min(initial=np.inf), known.max(initial=-np.inf)
    return bool(
        len(column) >= LEAST_ROWS and low < high and ((known == low) | (known == high)).all()
    )


def is_whole(column: Column) -> bool:
    known = column.as_numbers()[~column.gaps]
    return bool((known == np.rint(known)).all())


def usable_columns(table: Table) -> list[Column]:
    """The columns that can be learnt: classes or numbers, neither names of rows nor constant."""
    if not isinstance(table.cells, np.ndarray) or table.width <= WIDE:
        every = read_columns(table, range(table.width))
        return [column for column in every if is_usable(table, column)]
    named = [i for i, title in enumerate(table.header or ()) if is_named(title)]
    ends = (next(usable_from(table, order), None) for order in (1, -1))
    places = {*named, *(column.position for column in ends if column is not None)}
    return [column for column in read_columns(table, sorted(places)) if is_usable(table, column)]


def usable_from(table: Table, order: int) -> Iterator[Column]:
    for place in range(table.width)[::order]:
        (column,) = read_columns(table, [place])
        if is_usable(table, column):
            yield column


def is_named(title: str) -> bool:
    parts = words_of(title)
    return bool(parts) and (parts[-1] in OF_TARGETS | OFTEN_TARGETS or "".join(parts) in OF_TARGETS)


def is_usable(table: Table, column: Column) -> bool:
    if column.gaps.all():
        return False
    # Of few rows, that all are the same is more likely a mistake, which is told of a target.
    if len(column) >= LEAST_ROWS and is_same(table, column):
        return False
    if column.numbers is not None:
        return not names_rows(column)
    try:
        rule = recognise(column, {}).rule
    except DataError:
        return False
    # A target that is so called and has a slip among its cells is taken, and the slip told.
    return (
        isinstance(rule, Category | Boolean)
        or len(column.words) == 1
        or "called a target" in by_name(column)
    )


def is_same(table: Table, column: Column) -> bool:
    """Whether all cells are the same; integers that float64 makes one are not."""
    if column.numbers is None:
        return bool(np.count_nonzero(column.counts) == 1)
    first = column.numbers[0]
    return bool((column.numbers == first).all()) and is_constant(table, column.position)


def is_constant(table: Table, place: int) -> bool:
    if isinstance(table.cells, np.ndarray):
        values = table.cells[:, place]
        return bool((values == values[0]).all())
    return len(set(table.column(place))) == 1


def is_classes(column: Column) -> bool:
    """Whether a column is of integers that look like classes."""
    if column.numbers is None or not is_label(column.numbers).all():
        return False
    distinct = np.unique(column.numbers)
    return len(distinct) > 1 and looks_like_classes(distinct, len(column))
