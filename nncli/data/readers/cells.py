"""Rows of separated cells: lines, cells in quotes, and why a row of them cannot be read."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
LONGEST_LINE = 4 << 20
TOO_LONG = "a cell is longer than {:,} characters; is a quote left open?"
IN_QUOTES = re.compile(' *"(?:[^"]+|"")*')


def lines_of(text: str) -> Iterator[str]:
    """The lines with their ends, as open() gives them; without a copy of the text."""
    return (match[0] for match in LINE.finditer(text))


def records(lines: Iterable[str], delimiter: str) -> Any:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def filled(cells: Sequence[str]) -> bool:
    return len(cells) > 1 or any(cell.strip() for cell in cells)


def stripped(cells: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in cells]


def csv_mistake(text: str, start: int, end: int, delimiter: str) -> str:
    """Why the csv module cannot read a row: what is wrong with its quotes, or how long a cell is.

    Args:
        text: that the row is in.
        start, end: the lines of the text, counted from 1, at which the row begins and at which
            reading stopped.
    """
    row = "".join(islice(lines_of(text), start - 1, end))
    limit, at = csv.field_size_limit(), 0
    between = re.compile(f"[{re.escape(delimiter)}\r\n]|$")
    while at < len(row):
        quoted = IN_QUOTES.match(row, at)
        after = quoted.end() if quoted else at
        ending = between.search(row, after)
        assert ending is not None  # there is an end
        length = after - row.index('"', at) - 1 if quoted else ending.start() - at
        if length > limit:
            return TOO_LONG.format(limit)
        if quoted and after == len(row):
            return "a quote is opened that is never closed"
        if quoted and ending.start() != after + 1:
            break
        at = ending.end() or len(row)
        if ending[0] == "":
            break
    return "a quoted cell goes on after its closing quote; a quote within one is written twice"
