"""Parquet, Feather, Excel and JSON lines, as the CSV that they would be.

So they are read by the same reader as any table, with the same options and messages: a row's number
is that in the CSV, the header being row 1. pyarrow and openpyxl (the extra `tables`) are imported
only once such a file is met.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from nncli.core.errors import DataError
from nncli.core.jsons import each_once, why_no_json
from nncli.core.text import join_words, printable, quote_all

MOST_BYTES = 2 << 30
_HALF = re.compile(r"[\ud800-\udfff]")  # of a surrogate pair
EXTRA = "pip install 'nncli[tables]'"


def is_sheet(path: Path) -> bool:
    """Whether a file is one of these, by its name."""
    return path.name.lower().endswith(tuple(SHEETS))


def as_csv(path: Path) -> IO[bytes]:
    """The table in a file of these formats, as UTF-8 CSV with a header.

    Raises:
        DataError: it cannot be read, or its cells hold something else than text and numbers; or
            the library is missing that reads it.
    """
    return SHEETS[path.suffix.lower()](path, printable(path))


def _arrow(path: Path, name: str) -> IO[bytes]:
    try:
        import pyarrow
        from pyarrow import csv as writer
    except ImportError as error:
        raise DataError(f"{name}: reading it needs pyarrow: {EXTRA}") from error
    try:
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            table = parquet.read_table(path)
        else:
            from pyarrow import feather

            table = feather.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: is damaged, or no {path.suffix.lower()[1:]} file") from error
    nested = [field.name for field in table.schema if pyarrow.types.is_nested(field.type)]
    if nested:
        raise DataError(f"{name}: cells of {quote_all(nested)} hold several values; one is needed")
    if table.nbytes > MOST_BYTES:
        raise DataError(f"{name}: holds more than {MOST_BYTES >> 30} GiB; save it as .npy")
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pyarrow.types.is_dictionary(field.type):  # categories
            column = column.cast(field.type.value_type)
        columns.append(column)
    content = io.BytesIO()
    try:
        writer.write_csv(pyarrow.table(columns, names=table.column_names), content)
    except pyarrow.ArrowException as error:
        raise DataError(f"{name}: some column holds neither text nor numbers") from error
    content.seek(0)
    return content


def _excel(path: Path, name: str) -> IO[bytes]:
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(f"{name}: reading it needs openpyxl: {EXTRA}") from error
    import zipfile

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [(sheet.title, list(sheet.iter_rows(values_only=True))) for sheet in book]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError) as error:
        raise DataError(f"{name}: is damaged, or no Excel workbook") from error
    filled = [(title, rows) for title, rows in sheets if any(map(any, rows))]
    if len(filled) > 1:
        titles = quote_all([title for title, _ in filled])
        raise DataError(f"{name}: holds several sheets ({titles}); save the one needed as .csv")
    return _written(filled[0][1] if filled else [])


def _json_lines(path: Path, name: str) -> IO[bytes]:
    from nncli.data.readers.files import START, refuse_foreign  # which imports this module

    columns: dict[str, None] = {}
    objects: list[dict[str, Any]] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                refuse_foreign(line[:START], name, "JSON lines")
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            try:
                row = _json_object(line)
            except _NoRow as error:
                raise DataError(f"{name}: line {number}: {error}") from error
            columns.update(dict.fromkeys(row))
            objects.append(row)
    return _written([list(columns), *([row.get(key) for key in columns] for row in objects)])


class _NoRow(ValueError):
    """Why a line of JSON is no row of a table."""


def _json_object(line: bytes) -> dict[str, Any]:
    """The cells in a line, by their columns. Raises _NoRow."""
    try:
        row = json.loads(line.decode().rstrip(), object_pairs_hook=each_once)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise _NoRow(f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise _NoRow(f"is no JSON: {error.msg} at character {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _NoRow(why_no_json(error)) from error
    if not isinstance(row, dict):
        raise _NoRow('is no object with a value for each column, such as {"a": 1, "b": "red"}')
    nested = [f'"{key}"' for key, value in row.items() if isinstance(value, dict | list)]
    if nested:
        verb = "holds" if len(nested) == 1 else "hold"
        raise _NoRow(f"{join_words(nested, 'and')} {verb} several values; one is needed")
    if b"\\u" in line and any(map(_HALF.search, map(str, (*row, *row.values())))):
        raise _NoRow("half of a surrogate pair is not a character")
    return row


def _written(rows: Iterable[Sequence[Any]]) -> IO[bytes]:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([list(map(_cell, row)) for row in rows])
    return io.BytesIO(text.getvalue().encode())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime) and not any(value.timetuple()[3:6]):
        value = value.date()
    return value.isoformat() if isinstance(value, date) else str(value)


SHEETS: dict[str, Callable[[Path, str], IO[bytes]]] = {
    ".parquet": _arrow,
    ".feather": _arrow,
    ".arrow": _arrow,
    ".xlsx": _excel,
    ".jsonl": _json_lines,
}
