"""Which columns of a table are inputs and targets, and what a spec says of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from nncli.core.errors import DataError
from nncli.core.text import count_of, nearest, quote, quote_all
from nncli.data.columns.recognise import IGNORE
from nncli.data.readers.separators import Form
from nncli.data.readers.tables import Table, Target, key_words, target_columns

Given = Mapping[str, Any]
INDEX = re.compile("-?[0-9]{1,9}")
PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ColumnKeys:
    """What a spec says of the columns of its tables.

    Attributes:
        ignore: columns that are left out, each by name, by index from 0 or by a pattern of names.
        columns: what is said of others; see `recognise`.
        form: how tables are written.
    """

    ignore: tuple[str | int, ...] = ()
    columns: Mapping[str | int, Given] = field(default_factory=dict)
    form: Form | None = None

    @property
    def names(self) -> list[str]:
        """Of columns, which a header must have."""
        return [
            key
            for key in (*self.ignore, *self.columns)
            if isinstance(key, str) and not PATTERN.search(key) and not INDEX.fullmatch(key)
        ]


@dataclass(frozen=True)
class Choice:
    """Columns of a table, from 0: its inputs, its targets, those left out, and what is given."""

    inputs: list[int]
    targets: list[int]
    ignored: list[int]
    given: dict[int, Given]


def choose(table: Table, target: Target, keys: ColumnKeys, *, with_targets: bool = True) -> Choice:
    """Divides a table's columns. By default the target is the last that is not ignored.

    Raises DataError for columns that are not there, and where none is left for the inputs.
    """
    ignored = {i for key in keys.ignore for i in matching_columns(table, key, "ignore")}
    given: dict[int, Given] = {}
    for key, what in keys.columns.items():
        for i in matching_columns(table, key, "columns"):
            given[i] = what
    ignored |= {i for i, what in given.items() if what.get("as") == IGNORE}
    chosen: list[int] = []
    if with_targets and target is None and ignored:
        left = [i for i in range(table.width) if i not in ignored]
        chosen = left[-1:]
    elif with_targets:
        chosen = target_columns(table, target)
    for of, said in (("ignore", keys.ignore), ("columns", keys.columns)):
        for key in said:
            if not is_pattern(table, key) and matching_columns(table, key, of)[0] in chosen:
                raise DataError(
                    f"{table.name}: {key_words(key)} is the target, and {of} is about inputs; take "
                    "it out there",
                    key=of,
                )
    ignored -= {*chosen}
    inputs = [i for i in range(table.width) if i not in chosen and i not in ignored]
    check_inputs(table, inputs, chosen, ignored)
    given = {i: what for i, what in given.items() if i in inputs}
    return Choice(inputs, chosen, sorted(ignored), given)


def check_inputs(
    table: Table, inputs: Sequence[int], targets: Sequence[int], ignored: set[int]
) -> None:
    if inputs:
        return
    if ignored:
        raise DataError(
            f"{table.name}: no column is left for the inputs: of {table.width}, "
            f"{len(ignored)} are ignored",
            key="ignore",
        )
    if table.width > 1:
        raise DataError(
            f"{table.name}: no column is left for the inputs: all {table.width} are targets",
            key="target",
        )
    raise DataError(
        f"{table.name}: has {count_of(table.width, 'column')}, which leaves no inputs beside "
        "the target; cells are separated by commas (.csv) or tabs (.tsv)"
    )


def is_pattern(table: Table, key: str | int) -> bool:
    """Whether a key may mean several columns, of which a target is none then."""
    if isinstance(key, int) or table.header is None or key in table.header:
        return False
    return PATTERN.search(key) is not None


def matching_columns(table: Table, key: str | int, of: str) -> list[int]:
    """The columns that a name, an index or a pattern means. Raises DataError for none."""
    header = table.header
    if isinstance(key, str) and header is not None:
        exact = [i for i, name in enumerate(header) if name == key]
        if exact:
            return exact
        if is_pattern(table, key):
            found = [i for i, name in enumerate(header) if fnmatchcase(name, key)]
            if found:
                return found
    if isinstance(key, int) or INDEX.fullmatch(key):
        index, width = int(key), table.width
        if not -width <= index < width:
            raise DataError(
                f"{table.name}: {of} {index} is out of range: there are "
                f"{count_of(width, 'column')}, 0 to {width - 1}, or -{width} to -1 counted from "
                "the end",
                key=of,
            )
        return [index % width]
    if header is None:
        raise DataError(
            f"{table.name}: {of} {quote(key)} is a name, but the table has no header; give the "
            "column by its index from 0, or set header: true",
            key=of,
        )
    hint = nearest(key, header) or f"; the columns are {quote_all(header)}"
    raise DataError(f"{table.name}: there is no column {quote(key)}{hint}", key=of)


def columns_like(table: Table, columns: tuple[str, ...], targets: Sequence[str] | None) -> Choice:
    """The columns that have these names, which differ, in their order; the others are left out.

    Raises DataError for missing ones.
    """
    assert table.header is not None
    header = table.header
    missing = [name for name in columns if name not in header]
    if missing:
        others = [name for name in header if name not in columns]
        near = nearest(missing[0], others) if len(missing) == 1 else ""
        raise DataError(
            f"{table.name}: lacks the column{'s' if len(missing) > 1 else ''} "
            f"{quote_all(missing)}, which the training data have{near}",
            key="columns",
        )
    inputs = [header.index(name) for name in columns]
    chosen = [header.index(name) for name in targets or () if name in header]
    used = {*inputs, *chosen}
    return Choice(inputs, chosen, [i for i in range(table.width) if i not in used], {})
