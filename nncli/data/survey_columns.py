"""Columns of a table as a spec names them, and which of them are of no use."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from nncli.data.columns.useless import uselessness
from nncli.data.readers.columns import read_columns
from nncli.data.readers.tables import Table


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
