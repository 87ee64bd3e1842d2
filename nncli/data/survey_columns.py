"""Columns of a table as a spec names them, and which of them are of no use."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
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
    return keys_of(table, [column])[0]


def keys_of(table: Table, columns: Iterable[int]) -> list[str | int]:
    """Columns as a spec names them."""
    names = table.header or ("",) * table.width
    times = Counter(names)  # once for all of them: there may be a hundred thousand
    last = table.width - 1
    return [
        names[i] if names[i] and times[names[i]] == 1 else -1 if i == last else i for i in columns
    ]


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
    positions = sorted(found)
    return [
        Useless(i, i if isinstance(key, int) else key, found[i])
        for i, key in zip(positions, keys_of(table, positions), strict=True)
    ]
