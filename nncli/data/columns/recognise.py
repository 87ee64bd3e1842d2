"""What a column is, where the spec does not say: found out from its cells, with the reason."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nncli.core.errors import DataError
from nncli.core.text import brief, count_of, join_words, quote
from nncli.data.columns.kinds import (
    APART,
    DROP,
    FILLS,
    KINDS,
    REFUSE,
    Boolean,
    Category,
    Date,
    Hash,
    Number,
    Ordinal,
    Rule,
)
from nncli.data.columns.words import PAIRS_OF_WORDS, day_reader, formats_of
from nncli.data.readers.columns import Column
from nncli.data.readers.tables import GAPS, comma_hint, is_number
from nncli.data.targets import MOST_SLIPS, SLIPS_SHARE

MARKED = 0.05  # a share of gaps from which they are marked by a feature
FEW_WORDS, MANY_WORDS = 30, 100  # categories; more words than that share buckets
ROWS_A_WORD = 10  # that more than a few categories need
BUCKETS = 16
NAMING = 0.5  # a share of different words in the rows from which they name the rows
LEAST_ROWS = 12  # to tell names from categories
IGNORE = "ignore"


class Found(NamedTuple):
    """A column's rule; None where it is left out, `why` then says the reason."""

    rule: Rule | None
    why: str = ""


def recognise(column: Column, given: Mapping[str, Any]) -> Found:
    """The rule of a column, unfitted.

    Args:
        column: all cells of the training table.
        given: what the spec says of it: `as`, `order`, `buckets`, `format`, `missing`, `indicator`.

    Raises:
        DataError: the cells are not what the spec says, or there are two ways to read them.
    """
    kind, why, format = given.get("as"), "", given.get("format", "")
    if kind is None:
        kind, why = found_kind(column)
        if kind == IGNORE and given:  # what a spec says something of is wanted
            kind, why = (Number.kind if column.codes is None else Category.kind), ""
    if kind == IGNORE:
        return Found(None, why)
    made: Rule
    name = column.name
    if kind == Ordinal.kind:
        made = Ordinal(name, order=given["order"])
    elif kind == Hash.kind:
        made = Hash(name, why, buckets=given.get("buckets", BUCKETS))
    elif kind == Date.kind:
        made = Date(name, why, format=format or format_of(column))
    elif kind == Number.kind and column.numbers is None and are_dates(column):
        made = Number(name, why, format=format or format_of(column))
    else:
        made = KINDS[kind](name, why)
    return Found(with_gaps(made, column, given))


def with_gaps(rule: Rule, column: Column, given: Mapping[str, Any]) -> Rule:
    """The rule with what becomes of gaps: as given, else found out."""
    missing = given.get("missing", rule.fills[0])
    if missing not in rule.fills and not (rule.takes_number and not isinstance(missing, str)):
        number = ["a number"] if rule.takes_number else []
        able = [fill for fill in rule.fills if fill != APART]
        raise DataError(
            f"the column {quote(rule.name)} is of kind {rule.kind}, whose gaps can be "
            f"{join_words([*able, *number])}, not {missing}",
            key="columns",
        )
    gaps = int(np.count_nonzero(column.gaps))
    if gaps == len(column) > 0 and missing in FILLS:
        raise DataError(
            f"the column {quote(rule.name)} is empty, so its gaps have no "
            f"{str(missing).replace('_', ' ')}; leave it out of columns, or give a number as "
            "missing",
            key="columns",
        )
    indicator = given.get("indicator")
    if indicator is None:
        many = gaps > 0 if missing == APART else gaps >= MARKED * len(column)
        indicator = many and missing not in (DROP, REFUSE) and "missing" not in given
    why = rule.why
    if gaps and "missing" not in given:
        empty = f"{gaps:,} of {count_of(len(column), 'cell')} {'is' if gaps == 1 else 'are'} empty"
        why = f"{why}, {empty}" if why else empty
    return replace(rule, missing=missing, indicator=indicator, why=why)


def found_kind(column: Column) -> tuple[str, str]:
    """The kind, and the reason."""
    if column.gaps.all():
        return IGNORE, "is empty"
    if column.numbers is not None:
        return Number.kind, ""
    words = words_in(column)
    counts = {word: int(n) for word, n in zip(column.words, column.counts, strict=True)}
    filled = sum(counts[word] for word in words)
    # A number with a unit or with commas is a number to mend, not a word.
    no_numbers = sum(counts[w] for w in words if not is_number(w) and not comma_hint(w))
    is_slip = no_numbers <= MOST_SLIPS or no_numbers < SLIPS_SHARE * filled
    if words and 2 * no_numbers <= filled and is_slip:
        return Number.kind, ""
    different = count_of(len(words), "different word")
    if len(words) == 1 and filled == len(column):
        return IGNORE, f"is {quote(words[0])} in every row"
    lowered = {word.lower() for word in words}
    if any(lowered == set(pair) for pair in PAIRS_OF_WORDS):
        return Boolean.kind, f"its words are {join_words(map(brief, words), 'and')}"
    if are_dates(column):
        return Date.kind, f"its words are dates such as {words[0]}"
    rows = f"{different} in {count_of(len(column), 'row')}"
    if filled >= LEAST_ROWS and len(words) > NAMING * filled:
        return IGNORE, f"has {rows}: names rather than categories"
    if len(words) <= FEW_WORDS or (len(words) <= MANY_WORDS and filled >= ROWS_A_WORD * len(words)):
        return Category.kind, different
    return Hash.kind, f"{rows}, too many for a feature each"


def words_in(column: Column) -> list[str]:
    return [word for word in column.words if word not in GAPS]


def are_dates(column: Column) -> bool:
    words = words_in(column)
    return bool(words) and not all(map(is_number, words)) and bool(formats_of(words))


def format_of(column: Column) -> str:
    """The one by which the cells are dates. Raises DataError where there is none, or several."""
    words = words_in(column)
    fitting = formats_of(words) if words else []
    if not fitting:
        word = quote(words[0]) if words else "an empty cell"
        raise DataError(
            f"the column {quote(column.name)} holds {word}, no date that is known; give its "
            f'format, as in columns: {{{column.name}: {{date: "%d.%m.%Y"}}}}',
            key="columns",
        )
    readings = {tuple(day_reader(format)(word) for word in words): format for format in fitting}
    if len(readings) > 1:
        forms = " or ".join(f'"{format}"' for format in readings.values())
        raise DataError(
            f"the column {quote(column.name)} holds dates such as {quote(words[0])}, which can be "
            f"read by {forms}; say which, as in "
            f'columns: {{{column.name}: {{date: "{fitting[0]}"}}}}',
            key="columns",
        )
    return fitting[0]
