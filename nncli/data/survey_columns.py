"""Columns of a table as a spec names them, and which of them are of no use."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nncli.data.readers.columns import Column, read_columns
from nncli.data.readers.tables import Table
from nncli.data.targets import is_label

LEAST_ROWS = 10  # to tell that a column names the rows
# How columns that name rows are called, also as programs write them without a name.
FIRST_NAMES = re.compile("|unnamed: ?0|index|rownames?|row|obs|observation|no|nr", re.IGNORECASE)
ID_NAMES = re.compile("id|Id|ID|.*(_id|_ID|[a-z]Id|[a-z]ID)")


class Useless(NamedTuple):
    """An input column to be ignored: its position from 0, as a spec names it, and why."""

    position: int
    key: str | int
    why: str


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


def useless_inputs(
    table: Table, left_out: Sequence[tuple[int, str]], inputs: Sequence[int]
) -> list[Useless]:
    """The inputs to be ignored.

    Args:
        left_out: those that training would leave out by itself, each with the reason.
        inputs: the positions of the others.
    """
    found = dict(left_out)
    for column in read_columns(table, inputs):
        why = uselessness(column)
        if why:
            found[column.position] = why
    return [Useless(i, positive_key(table, i), why) for i, why in sorted(found.items())]


def positive_key(table: Table, column: int) -> str | int:
    key = key_of(table, column)
    return column if isinstance(key, int) else key


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
    if title is None or not is_label(known).all() or len(np.unique(known)) < len(known):
        return ""
    if ID_NAMES.fullmatch(title) or (column.position == 0 and FIRST_NAMES.fullmatch(title)):
        return "is another number in every row: it names the rows"
    return ""
