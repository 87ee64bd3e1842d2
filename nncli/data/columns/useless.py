"""Input columns that are no measures: constant ones, names of rows, marks of gaps."""

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from nncli.core.text import join_words
from nncli.data.columns.kinds import Number
from nncli.data.readers.columns import Column
from nncli.data.samples import Samples, named
from nncli.data.targets import is_label

LEAST_ROWS = 10  # to tell that a column names the rows
# How columns that name rows are called, also as programs write them without a name.
FIRST_NAMES = re.compile("|unnamed: ?0|index|rownames?|row|obs|observation|no|nr", re.IGNORECASE)
ID_NAMES = re.compile("id|Id|ID|.*(_id|_ID|[a-z]Id|[a-z]ID)")
SEVERAL_ROWS = 30  # in which measures are rarely all different, if they are whole numbers
FAR = 5  # times the range of all others: so far off is no measure
SEVERAL_MARKS = 2
LOOKED_AT = 1000  # rows, before all are looked at
MOST_COLUMNS = 50  # with more, those of an image among them, a note for each is too much to read


def notes_of_useless(samples: Samples) -> Iterator[str]:
    """What is to be said of a table's inputs before they are trained on."""
    origin = samples.inputs_origin
    if origin.lines is None or samples.inputs.ndim != 2:
        return
    twice = names_twice(samples)
    yield from notes_of_names(samples)
    if count_number_columns(samples) > MOST_COLUMNS or len(samples) < LEAST_ROWS:
        return
    for column in number_columns(samples):
        key = column.title if column.title and column.title not in twice else column.position
        told = f"{origin.name}: {named(column.name)}"
        if why := uselessness(column):
            yield f"{told} {why}; ignore: [{key}] leaves it out"
        elif may_name_rows(column):
            yield (
                f"{told} is another whole number in every row; where it only names the rows, "
                f"ignore: [{key}] leaves it out"
            )
        elif mark := mark_of_gaps(column):
            yield (
                f"{told} {mark}; where it marks a gap, leave those cells empty, and columns: "
                f"{{{key}: {{missing: median}}}} fills them"
            )


def names_twice(samples: Samples) -> Counter[str]:
    """The names that more than one input column has."""
    return Counter(samples.columns or ()) - Counter(set(samples.columns or ()))


def notes_of_names(samples: Samples) -> Iterator[str]:
    """What is to be said of a table's input columns that have one name."""
    if twice := names_twice(samples):
        names = join_words(list(map(named, twice)), "and")
        yield (
            f"{samples.inputs_origin.name}: more than one column is called {names}; later data are "
            "taken in the order of these columns, not by their names"
        )


def may_name_rows(column: Column) -> bool:
    """Whether integers that are all different may be names, though nothing else says so."""
    values = column.as_numbers()
    if len(values) < SEVERAL_ROWS or not is_label(values[:LOOKED_AT]).all():
        return False
    if len(np.unique(values[:LOOKED_AT])) < len(values[:LOOKED_AT]):
        return False
    return bool(is_label(values).all()) and len(np.unique(values)) == len(values)


def mark_of_gaps(column: Column) -> str:
    """What tells that a number, such as -999, stands for gaps; empty where none does.

    It stands in several rows, and is many times as far from all others as these are apart: once
    inputs are scaled by it, next to nothing is left of how the others differ.
    """
    values = column.as_numbers()
    if len(values) < LEAST_ROWS:
        return ""
    low, middle, high = np.quantile(values[:LOOKED_AT], (0.25, 0.5, 0.75))
    for mark in (values.min(), values.max()):
        if mark != np.round(mark) or abs(mark - middle) <= FAR * (high - low):
            continue
        others = values[values != mark]
        count = len(values) - len(others)
        if count < SEVERAL_MARKS or len(np.unique(others[:LOOKED_AT])) < LEAST_ROWS:
            continue
        least, most = others.min(), others.max()
        if min(abs(mark - least), abs(mark - most)) > FAR * (most - least):
            return (
                f"is {mark:g} in {count:,} of {len(values):,} rows and from {least:g} to {most:g} "
                "in the others"
            )
    return ""


def count_number_columns(samples: Samples) -> int:
    """How many `number_columns` gives; those of a table of numbers, which it makes, unmade."""
    if samples.raw is None:
        return int(samples.inputs.shape[1])
    return sum(1 for _ in number_columns(samples))


def number_columns(samples: Samples) -> Iterator[Column]:
    """The inputs that are numbers, as they are in the table."""
    if samples.raw is not None:
        for column, rule in zip(samples.raw.columns, samples.raw.rules, strict=True):
            if isinstance(rule, Number) and column.numbers is not None:
                yield column
        return
    titles = samples.columns or (None,) * samples.inputs.shape[1]
    for k, (position, title) in enumerate(
        zip(samples.inputs_origin.positions, titles, strict=True)
    ):
        yield Column(position - 1, title, samples.inputs[:, k].astype(np.float64))


def uselessness(column: Column) -> str:
    """Why nothing can be learnt of a column of numbers; empty where something can."""
    values = column.numbers
    if values is None or len(values) == 0:
        return ""
    known = values[~np.isnan(values)]
    if len(known) and len(known) == len(values) and (known == known[0]).all():
        return f"is {known[0]:g} in every row" if len(known) > 1 else ""
    if len(known) < max(LEAST_ROWS, len(values)):
        return ""
    return names_rows(column)


def names_rows(column: Column) -> str:
    """Why a column of numbers only tells rows apart; empty where it does more."""
    known = column.as_numbers()
    if len(known) < LEAST_ROWS:
        return ""
    if (np.diff(known) == 1).all():
        return "only counts the rows"
    title = column.title
    if title is None or not (
        ID_NAMES.fullmatch(title) or (column.position == 0 and FIRST_NAMES.fullmatch(title))
    ):
        return ""
    if not is_label(known).all() or len(np.unique(known)) < len(known):
        return ""
    return "is another number in every row: it names the rows"
