"""A student's answers to an exercise: a form that was filled in, as text cell by cell.

A form is a table whose rows are `blank, quantity, answer`, in any order, or JSON with nested lists
under the quantities' names. What is in a cell is read by who marks it: here nothing is a number.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nncli.core.errors import DataError
from nncli.core.jsons import each_once, why_no_json
from nncli.core.text import join_words, nearest, printable
from nncli.data.readers.files import (
    explain_read_errors,
    opened,
    read_upto,
    refuse_foreign,
    utf8_text,
)

MOST_BYTES = 1 << 20
SEPARATORS = (";", "\t", ",")  # as long as one is there, those after it may be decimal commas
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".json")


class Cell(NamedTuple):
    """What was written for a blank, which is named by its number, or as `dense1.z[0]`."""

    blank: str
    text: str


class Listed(NamedTuple):
    """What was written for all of a quantity, in the order of its blanks."""

    quantity: str
    texts: tuple[str, ...]


class AnswerFile(NamedTuple):
    """A form that was handed in. `student` is the file's name where the form has none."""

    student: str
    sheet: str
    cells: tuple[Cell, ...]
    lists: tuple[Listed, ...] = ()


def read_answers(path: Path) -> AnswerFile:
    """The answers in a file.

    Raises:
        DataError: it cannot be read, or is no form.
    """
    name, suffix = printable(path), path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{name}: answers are read from {join_words(SUFFIXES)}{nearest(suffix, SUFFIXES)}"
        )
    with explain_read_errors(path), opened(path) as stream:
        content = read_upto(stream, MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(f"{name}: holds more than {MOST_BYTES >> 20} MiB; is it a form?")
    refuse_foreign(content, name, "a form")
    text = utf8_text(name, content, 1, "form", "utf-8-sig" if _is_utf8(content) else "cp1252")
    found = _from_json(text, name) if suffix == ".json" else _from_table(text, name)
    return found._replace(student=found.student or path.stem)


def _is_utf8(content: bytes | bytearray) -> bool:
    """What is not is taken as Windows writes it: spreadsheets save names with accents so."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _from_table(text: str, name: str) -> AnswerFile:
    separator = next((s for s in SEPARATORS if s in text), ",")
    about, cells = dict.fromkeys(("sheet", "student"), ""), list[Cell]()
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=separator))
    except csv.Error as error:
        raise DataError(f"{name}: is no table: {error}") from error
    for row in rows:
        head = row[0].strip().lower() if row else ""
        if head in about:
            about[head] = row[1].strip() if len(row) > 1 else ""
        elif head and head != "blank":
            # What is left is the answer, in which a comma may be that of a decimal.
            answer = row[2:] if len(row) > 2 else row[1:]
            while answer and not answer[-1].strip():
                answer.pop()
            cells.append(Cell(row[0].strip(), separator.join(answer).strip()))
    if not cells:
        raise DataError(f"{name}: has no rows of blank, quantity, answer; is it a form?")
    return AnswerFile(about["student"], about["sheet"], tuple(cells))


def _from_json(text: str, name: str) -> AnswerFile:
    try:
        record = json.loads(
            text,
            parse_float=str,
            parse_int=str,
            parse_constant=str,
            object_pairs_hook=each_once,
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: {why_no_json(error)}") from error
    if not isinstance(record, dict):
        raise DataError(f"{name}: must hold a JSON object: quantities with lists of answers")
    about = {key: str(record.pop(key, "") or "") for key in ("student", "sheet")}
    answers = record.get("answers", record)
    answers = answers if isinstance(answers, dict) else {}
    cells = [Cell(key, _text(value)) for key, value in answers.items() if not _is_nested(value)]
    lists = [
        Listed(key, tuple(_flat(value))) for key, value in answers.items() if _is_nested(value)
    ]
    if not cells and not lists:
        raise DataError(f"{name}: has no quantities with answers; is it a form?")
    return AnswerFile(about["student"], about["sheet"], tuple(cells), tuple(lists))


def _is_nested(value: Any) -> bool:
    return isinstance(value, list)


def _flat(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += reversed(one)
        else:
            yield _text(one)


def _text(value: Any) -> str:
    """A number as it was written: its digits are looked at."""
    return "" if value is None else value.strip() if isinstance(value, str) else str(value)
