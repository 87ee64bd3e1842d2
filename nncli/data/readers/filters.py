"""Filters by name, as rows written out, or from a file."""

import os
import re
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote
from nncli.data.messages import Problems
from nncli.data.readers.matrices import Matrix, Progress, known_instead, read_matrix
from nncli.data.readers.tables import INTEGER, is_number, to_number
from nncli.data.readers.text import Rows, exact

PLACE = "filter"
ROWS = "rows such as '1 0 1; 0 1 0; 1 0 1'"


def fixed(rows: list[list[int]], divisor: int = 1) -> NDArray[Any]:
    array = np.array(rows) if divisor == 1 else np.array(rows) / divisor
    array.flags.writeable = False
    return array


FILTERS = {
    "identity": fixed([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "box": fixed([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9),
    "gaussian": fixed([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    "sharpen": fixed([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "laplacian": fixed([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "emboss": fixed([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    "sobel-x": fixed([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "sobel-y": fixed([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "prewitt-x": fixed([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]),
    "prewitt-y": fixed([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]),
}


def read_filter(text: str, *, stream: IO[bytes] | None = None) -> Matrix:
    """The filter that `text` names or is: a known name, rows written out, a file, or `-`.

    Known are, as they are laid on the matrix (cross-correlation; x grows to the right, y down):

        identity      box (/ 9)     gaussian (/ 16)   sharpen         laplacian
        0  0  0       1  1  1       1  2  1            0 -1  0        0  1  0
        0  1  0       1  1  1       2  4  2           -1  5 -1        1 -4  1
        0  0  0       1  1  1       1  2  1            0 -1  0        0  1  0

        emboss        sobel-x       sobel-y           prewitt-x       prewitt-y
        -2 -1  0      -1  0  1      -1 -2 -1          -1  0  1        -1 -1 -1
        -1  1  1      -2  0  2       0  0  0          -1  0  1         0  0  0
         0  1  2      -1  0  1       1  2  1          -1  0  1         1  1  1

    Rows are divided by `;`, cells by spaces or a comma; a cell is a number or a fraction (1/9).
    A known name comes before a file of that name (./box is the file), a file before rows.
    stream: stands for standard input.
    Raises DataError for anything else.
    """
    if text in FILTERS:
        return Matrix(text, FILTERS[text], "name")
    if text == "-" or os.path.exists(text):
        return read_matrix(text, stream=stream)
    if is_literal(text):
        return Matrix(PLACE, from_literal(text), "literal")
    if Path(text).suffix or os.sep in text:
        return read_matrix(text)
    if not text.strip():
        raise DataError(f"{PLACE}: is empty; give one of {', '.join(FILTERS)}, a file, or {ROWS}")
    raise DataError(
        f"{PLACE}: {quote(text)} is not known{known_instead(text, FILTERS)}; "
        f"a file or {ROWS} can be given too"
    )


def read_matrix_or_rows(
    text: str, *, allow_nan: bool = False, progress: Progress | None = None
) -> Matrix:
    """The matrix that `text` names or is: `-`, a file, or rows written out as for a filter.

    Raises DataError for anything else.
    """
    is_rows = is_number(first := cells_of(text)[0]) or is_fraction(first)
    if is_rows and text != "-" and not os.path.exists(text):
        return Matrix("matrix", from_literal(text, "matrix"), "literal")
    return read_matrix(text, allow_nan=allow_nan, progress=progress)


def is_literal(text: str) -> bool:
    first = cells_of(text)[0]
    return ";" in text or is_number(first) or is_fraction(first)


def is_fraction(cell: str) -> bool:
    above, stroke, below = cell.partition("/")
    return bool(stroke) and is_number(above) and is_number(below)


def cells_of(row: str) -> list[str]:
    return re.split(r"\s*,\s*|\s+", row.strip())


def from_literal(text: str, place: str = PLACE) -> NDArray[Any]:
    """Rows x columns: int64 where all cells are integers, else float64.

    `place` is what messages call it.
    """
    problems = Problems(place)
    rows = [cells_of(row) for row in re.split(r"[;\n]", text.strip().removesuffix(";"))]
    for i, row in enumerate(rows, start=1):
        if row != [""] and len(row) != len(rows[0]):
            column = min(len(row), len(rows[0])) + 1  # the first that is missing, or too many
            problems.add(
                f"{place}: row {i}, column {column}: expected {count_of(len(rows[0]), 'cell')} as "
                f"in the first row, found {len(row)}",
                (i,),
            )
    values = [
        [cell_value(cell, i, j, problems, place) for j, cell in enumerate(row, start=1)]
        for i, row in enumerate(rows, start=1)
    ]
    problems.raise_any()
    whole = all(INTEGER.fullmatch(cell) for row in rows for cell in row)
    try:
        array = np.array(values, np.int64 if whole else np.float64)
    except OverflowError:
        array = np.array(values, object)
    return exact([Rows(array, range(1, len(rows) + 1))], place)


def cell_value(cell: str, row: int, column: int, problems: Problems, place: str) -> int | float:
    try:
        if INTEGER.fullmatch(cell):
            to_number(cell)
            return int(cell)
        return quotient(cell) if is_fraction(cell) else to_number(cell)
    except ValueError as error:
        problems.add(f"{place}: row {row}, column {column}: {error}", (row, column))
        return 0


def quotient(cell: str) -> float:
    """What a fraction comes to. ValueError says why it is no number."""
    above, _, below = cell.partition("/")
    if to_number(below) == 0:
        raise ValueError(f"{quote(cell)} divides by zero")
    value = to_number(above) / to_number(below)
    if not np.isfinite(value):
        raise ValueError(f"{quote(cell)} is too large for a number")
    return value
