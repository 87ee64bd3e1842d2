"""Tables as text: comma- or tab-separated, with or without a header.

A table of numbers alone is read by NumPy. One that NumPy refuses, for its text labels or for a
mistake, is read again by the csv module, which also tells where the mistake is.
"""

import csv
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, printable, quote, quote_all
from nncli.data.messages import Problems, nearest
from nncli.data.readers.arrays import text_array
from nncli.data.readers.files import read_text
from nncli.data.samples import Origin, Samples
from nncli.data.targets import Classes, is_label

Target = str | int | Sequence[str | int] | None

# float() would also take 1_000 and digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.I | re.ASCII)
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
LONGEST_LINE = 4 << 20
HEADER_HINT = "; if the first row is a header, set header: true"


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a table: as numbers where all are, else as text.

    header: its cells, None where there is none. lines: the line of the file each row began on.
    """

    name: str
    header: tuple[str, ...] | None
    cells: "NDArray[np.float64] | Cells"
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def width(self) -> int:
        return len(next(iter(self.cells)))

    def origin(self, columns: Sequence[int]) -> Origin:
        names = self.header and tuple(self.header[i] for i in columns)
        positions = tuple(i + 1 for i in columns)
        return Origin(self.name, lines=self.lines, positions=positions, columns=names)

    def numbers(
        self, columns: Sequence[int], problems: Problems, hint: str = HEADER_HINT
    ) -> NDArray[np.float64]:
        """These columns, N x columns. Cells that are no finite numbers become problems, and NaN.

        hint: what more to say of words in the first row of a table without a header.
        """
        if isinstance(self.cells, np.ndarray):
            return np.ascontiguousarray(self.cells[:, columns])
        origin = self.origin(columns)
        values = np.full((len(self), len(columns)), np.nan)
        for row, cells in enumerate(self.cells):
            for i, column in enumerate(columns):
                try:
                    values[row, i] = to_number(cells[column])
                except ValueError as error:
                    more = hint if row == 0 and self.header is None else ""
                    problems.add(f"{origin.place(row, i)}: {error}{more}", (row, column))
                    problems.stop_if_enough()
        return values

    def text(self, column: int, problems: Problems) -> NDArray[Any]:
        """One column as labels, N strings. Empty cells become problems."""
        origin = self.origin([column])
        known: dict[str, str] = {}  # a few labels, however many the rows
        labels: list[str] = []
        for row, cells in enumerate(self.cells):
            label = known.setdefault(cells[column], cells[column])
            labels.append(label)
            if not label:
                problems.add(
                    f"{origin.place(row)}: the cell is empty; it needs a label", (row, column)
                )
                problems.stop_if_enough()
        return text_array(labels, origin.place)


class Cells:
    """The rows of a table as lists of text, read anew each time they are gone through.

    All of them at once would take twenty times as much memory as the text that they are in.
    """

    def __init__(self, text: str, delimiter: str, skipped: int, length: int) -> None:
        self.text = text
        self.delimiter = delimiter
        self.skipped = skipped
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[str]]:
        rows = filter(filled, records(lines_of(self.text), self.delimiter))
        return map(stripped, islice(rows, self.skipped, None))


def to_number(cell: str) -> float:
    """The finite number that a cell reads as; ValueError says why it is none."""
    if not cell:
        raise ValueError("the cell is empty; it needs a number")
    if not NUMBER.fullmatch(cell):
        hint = "; decimals are written with a point" if re.fullmatch(r"-?\d+,\d+", cell) else ""
        raise ValueError(f"{quote(cell)} is not a number{hint}")
    number = float(cell)
    if not math.isfinite(number):
        large = any(character.isdigit() for character in cell)
        reason = "is too large for a number" if large else "is not a finite number"
        raise ValueError(f"{quote(cell)} {reason}")
    return number


def is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def read_table(
    path: Path,
    *,
    header: bool | None = None,
    rows: int | None = None,
    names: Sequence[str] = (),
    needed: str = "a table with a row for each sample",
) -> Table:
    """The table at `path` (.csv or .tsv, each also .gz). Blank lines are skipped.

    header: whether there is one; None looks for it: a first row without any number, before other
    rows. Where they are all text too, as in a file of labels, only `rows`, the number of samples
    to expect, can tell it from a label.
    names: columns to be found in a header; any first row is one then, but for a row of numbers
    alone that lacks them.
    needed: what is missing where the file is empty.
    Raises DataError for a file that cannot be read, rows of different lengths and a table without
    rows.
    """
    name, text = printable(path), read_text(path)
    check_lines(name, text)
    delimiter = delimiter_of(path)
    table = read_numbers(name, text, delimiter, header, names)
    if table is None:
        table = read_cells(name, text, delimiter, header, rows, names)
    if table is None:
        raise DataError(f"{name}: is empty; {needed} is needed")
    return table


def delimiter_of(path: Path) -> str:
    return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","


def read_numbers(
    name: str, text: str, delimiter: str, header: bool | None, names: Sequence[str]
) -> Table | None:
    """The table by NumPy's reader; None where that cannot read it, or not as finite numbers."""
    rest = lines_of(text)
    try:
        reader = records(rest, delimiter)
        first = next(filter(filled, reader), None)
        if first is None:
            return None
        first = stripped(first)
        has_header = could_be_header(first, names) if header is None else header
        lines = filled_lines(text)
        if has_header:
            lines = lines[lines > reader.line_num]
        else:
            rest = lines_of(text)
        # loadtxt warns where it finds nothing.
        if len(lines) == 0:
            return None
        cells = np.loadtxt(rest, delimiter=delimiter, quotechar='"', comments=None, ndmin=2)
    except (ValueError, csv.Error):
        return None
    if len(cells) != len(lines) or not np.isfinite(cells).all():
        return None
    if has_header and len(first) != cells.shape[1]:
        return None
    return Table(name, tuple(first) if has_header else None, cells, lines)


def filled_lines(text: str) -> NDArray[np.int64]:
    """The numbers of the lines that are not blank, the first line being 1."""
    lines = enumerate(lines_of(text), start=1)
    return np.fromiter((number for number, line in lines if line.strip()), dtype=np.int64)


def lines_of(text: str) -> Iterator[str]:
    """The lines with their ends, as open() gives them; without a copy of the text."""
    return (match[0] for match in LINE.finditer(text))


def check_lines(name: str, text: str) -> None:
    """Raises DataError for a line that would take a multiple of its length, cell by cell."""
    for number, match in enumerate(LINE.finditer(text), start=1):
        if match.end() - match.start() > LONGEST_LINE:
            raise DataError(
                f"{name}: row {number} is longer than {LONGEST_LINE >> 20} MiB; "
                "save the samples as .npy"
            )


def records(lines: Iterable[str], delimiter: str) -> Any:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def filled(cells: Sequence[str]) -> bool:
    return len(cells) > 1 or any(cell.strip() for cell in cells)


def stripped(cells: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in cells]


def read_cells(
    name: str,
    text: str,
    delimiter: str,
    header: bool | None,
    expected: int | None,
    names: Sequence[str],
    *,
    first: int = 1,
    width: int | None = None,
) -> Table | None:
    """The table by the csv module, as text; None where there is nothing.

    first: the line of the file where the text begins. width: how many cells the first row of the
    file has, where that is not the first row here.
    """
    heading: list[str] = []
    lines = array("q")
    problems = Problems(name)
    reader = records(lines_of(text), delimiter)
    start = first
    try:
        for cells in reader:
            if filled(cells):
                heading = heading or stripped(cells)
                lines.append(start)
                check_width(problems, width or len(heading), cells, start)
            start = reader.line_num + first
    except csv.Error as error:
        raise DataError(f"{name}: row {start}: {csv_mistake(str(error))}") from error
    problems.raise_any()
    if not lines:
        return None
    rows = Cells(text, delimiter, 0, len(lines))
    has_header = looks_like_header(rows, heading, expected, names) if header is None else header
    if has_header and len(lines) == 1:
        key = "header" if header else None
        raise DataError(f"{name}: has a header but no rows below it", key=key)
    below = 1 if has_header else 0
    return Table(
        name,
        tuple(heading) if has_header else None,
        Cells(text, delimiter, below, len(lines) - below),
        np.array(lines[below:], dtype=np.int64),
    )


def could_be_header(first: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the first row can be one, by itself."""
    numbers = [is_number(cell) for cell in first]
    if names:
        return not all(numbers) or not set(names).isdisjoint(first)
    return not any(numbers)


def looks_like_header(
    rows: Cells, first: Sequence[str], expected: int | None, names: Sequence[str]
) -> bool:
    if names or not could_be_header(first, names):
        return could_be_header(first, names)
    if expected is not None and not any(is_number(cell) for row in rows for cell in row):
        return len(rows) == expected + 1
    # A lone row of words is a header that lost its table, unless one sample is what is expected.
    return len(rows) > 1 or expected != 1


def csv_mistake(error: str) -> str:
    if "field larger than" in error:
        return f"a cell is longer than {csv.field_size_limit():,} characters; is a quote left open?"
    if "unexpected end" in error:
        return "a quote is opened that is never closed"
    return "a quoted cell goes on after its closing quote; a quote within one is written twice"


def check_width(problems: Problems, width: int, cells: list[str], line: int) -> None:
    if len(cells) != width:
        column = min(len(cells), width) + 1  # the first that is missing, or too many
        problems.add(
            f"{problems.name}: row {line}, column {column}: expected "
            f"{count_of(width, 'cell')} as in the first row, found {len(cells)}"
        )
        problems.stop_if_enough()


def table_samples(
    table: Table,
    *,
    target: Target = None,
    with_targets: bool = True,
    classes: Classes = None,
) -> Samples:
    """The table's columns divided into inputs and targets.

    target: the target column or columns, by name or index; the last where it is None.
    with_targets: False takes every column as an input.
    """
    chosen = target_columns(table, target) if with_targets else []
    inputs = [i for i in range(table.width) if i not in chosen]
    if not inputs and table.width > 1:
        raise DataError(
            f"{table.name}: no column is left for the inputs: all {table.width} are targets",
            key="target",
        )
    if not inputs:
        raise DataError(
            f"{table.name}: has {count_of(table.width, 'column')}, which leaves no inputs beside "
            "the target; cells are separated by commas (.csv) or tabs (.tsv)"
        )
    return chosen_samples(table, inputs, chosen, classes)


def chosen_samples(
    table: Table,
    inputs: Sequence[int],
    targets: Sequence[int],
    classes: Classes = None,
    hint: str = HEADER_HINT,
) -> Samples:
    """The samples in these columns of a table, counted from 0; without targets where none are."""
    problems = Problems(table.name)
    numbers = table.numbers(inputs, problems, hint)
    values = table_targets(table, targets, classes, problems)
    problems.raise_any()
    origin = table.origin(inputs)
    return Samples(numbers, values, origin.columns, origin, table.origin(targets))


def table_targets(
    table: Table, chosen: Sequence[int], classes: Classes, problems: Problems
) -> NDArray[Any] | None:
    """N labels where one column holds integers or text, else N x columns numbers."""
    if not chosen:
        return None
    if len(chosen) == 1 and isinstance(table.cells, Cells) and is_text(table, chosen[0], classes):
        return table.text(chosen[0], problems)
    if len(chosen) == 1 and isinstance(classes, int):
        refuse_words(table, chosen[0], classes)
    numbers = table.numbers(chosen, problems)
    if numbers.shape[1] == 1 and is_label(numbers).all():
        return numbers[:, 0].astype(np.int64)
    return numbers


def refuse_words(table: Table, column: int, classes: int) -> None:
    """Raises DataError for a column of words where classes are counted: told once, not by cell."""
    if isinstance(table.cells, Cells) and is_text(table, column, None):
        cells = (row[column] for row in table.cells)
        word = next(cell for cell in cells if not is_number(cell))
        raise DataError(
            f"{table.name}: column {column + 1} holds words such as {quote(word)}, but a number of "
            f"classes takes the integers 0 to {classes - 1}; name the classes, or leave them out",
            key="classes",
        )


def is_text(table: Table, column: int, classes: Classes) -> bool:
    """Whether a column holds labels in words.

    Where most of its cells are numbers, a word among them is taken for a mistake, unless the
    classes have names.
    """
    words = sum(not is_number(str(cells[column])) for cells in table.cells)
    if isinstance(classes, tuple):
        return words > 0
    return classes is None and 2 * words >= len(table)


def target_columns(table: Table, target: Target) -> list[int]:
    """The indices of the target columns, from 0. Raises DataError for ones that are not there."""
    wanted = [-1] if target is None else [target] if isinstance(target, str | int) else list(target)
    chosen = [
        named_column(table, key) if isinstance(key, str) else indexed_column(table, key)
        for key in wanted
    ]
    for key, column in zip(wanted, chosen, strict=True):
        if chosen.count(column) > 1:
            raise DataError(
                f"{table.name}: target {key_words(key)} is asked for twice", key="target"
            )
    return chosen


def key_words(key: str | int) -> str:
    return quote(key) if isinstance(key, str) else str(key)


def indexed_column(table: Table, index: int) -> int:
    width = table.width
    if not -width <= index < width:
        raise DataError(
            f"{table.name}: target {index} is out of range: there are {count_of(width, 'column')}, "
            f"0 to {width - 1}, or -{width} to -1 counted from the end",
            key="target",
        )
    return index % width


def named_column(table: Table, name: str) -> int:
    if table.header is None:
        raise DataError(
            f"{table.name}: target {quote(name)} is a name, but the table has no header; "
            "give the column by its index from 0, or set header: true",
            key="target",
        )
    times = table.header.count(name)
    if times == 1:
        return table.header.index(name)
    if times > 1:
        raise DataError(
            f"{table.name}: {count_of(times, 'column')} are named {quote(name)}; "
            "give the index of one as target, from 0",
            key="target",
        )
    hint = nearest(name, table.header) or f"; the columns are {quote_all(table.header)}"
    raise DataError(f"{table.name}: there is no column {quote(name)}{hint}", key="target")
