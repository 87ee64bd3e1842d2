"""Tables: cells, numbers and labels in them, and which columns are inputs and targets."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import brief, count_of, join_words, nearest, quote, quote_all
from nncli.data.messages import Problems
from nncli.data.readers.cells import filled, lines_of, records, stripped
from nncli.data.samples import Origin, text_array
from nncli.data.targets import EXACT, Classes, are_typing_mistakes, is_label

if TYPE_CHECKING:
    from nncli.data.readers.columns import Column

Target = str | int | Sequence[str | int] | None

# float() would also take 1_000 and digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.I | re.ASCII)
SPACED = re.compile(r"[+-]?\d{1,3}([ '\u00a0\u2009\u202f\u2019]\d{3})+(\.\d+)?", re.ASCII)
POINTS_BETWEEN = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?", re.ASCII)
APOSTROPHE = re.compile(r"['\u2019]")
UNIT = re.compile(
    r"([$\u20ac\u00a3\u00a5])? ?([+-]?(?:\d+\.?\d*|\.\d+)) ?([$\u20ac\u00a3\u00a5%])?", re.ASCII
)
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
WHOLE = re.compile(r"[+-]?\d{1,309}(\.0*)?", re.ASCII)
PLAIN = re.compile(r"0|-?[1-9]\d*", re.ASCII)  # an integer as Python writes it
LEADING_ZERO = re.compile(r"[+-]?0\d", re.ASCII)
INTEGER = re.compile(r"[+-]?\d{1,309}", re.ASCII)  # with more digits none is finite as a float64
# What stands where nothing is known, as R, pandas, SQL and the UCI repository write it.
GAPS = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NaT", "NULL", "null", "?"}
)
HEADER_WORDS = "words of a header"  # the cause of a mistake
MOST_NAMED = 10  # classes, in a message
HEADER_HINT = "; if the first row is a header, set header: true"


def no_hint(_column: int) -> str:
    """Nothing more to say of a word in a column."""
    return ""


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a table: as numbers where all are, else as text.

    header: its cells, None where there is none. lines: the line of the file each row began on.
    notes: what was left out, or taken for something that it need not be. written: the cells as
    they are in the file, where `cells` are numbers. plain: for each column, whether all of it are
    integers as Python writes them; None where that is not known. kept: the columns that were read
    of a table of text, by their places; None where they are not kept, since they take memory.
    """

    name: str
    header: tuple[str, ...] | None
    cells: "NDArray[Any] | Cells"
    lines: NDArray[np.int64]
    notes: tuple[str, ...] = ()
    written: "Cells | None" = None
    plain: NDArray[np.bool_] | None = None
    kept: "dict[int, Column] | None" = None

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def width(self) -> int:
        return len(next(iter(self.cells)))

    def chosen(self, rows: NDArray[np.bool_]) -> "Table":
        """Some of the rows of a table of text."""
        assert isinstance(self.cells, Cells)
        kept = None if self.kept is None else dict[int, "Column"]()
        return replace(self, cells=self.cells.chosen(rows), lines=self.lines[rows], kept=kept)

    def origin(self, columns: Sequence[int]) -> Origin:
        names = self.header and tuple(self.header[i] for i in columns)
        positions = tuple(i + 1 for i in columns)
        return Origin(
            self.name, lines=self.lines, positions=positions, columns=names, notes=self.notes
        )

    def numbers(
        self,
        columns: Sequence[int],
        problems: Problems,
        hint: str = HEADER_HINT,
        classes: Callable[[int], str] = no_hint,
        gaps_taken: Collection[int] = (),
    ) -> NDArray[Any]:
        """These columns, N x columns, maybe a view. What is no finite number becomes a problem.

        hint: what more to say of words in the first row of a table without a header. classes: of
        any other word in a column.
        """
        if isinstance(self.cells, np.ndarray):
            return self.cells[:, run_of(columns)]
        origin = self.origin(columns)
        values = np.full((len(self), len(columns)), np.nan)
        for row, cells in enumerate(self.cells):
            for i, column in enumerate(columns):
                try:
                    values[row, i] = to_number(cells[column])
                except ValueError as error:
                    if column in gaps_taken and cells[column] in GAPS:
                        continue
                    cause = why_no_number(cells[column])
                    more = hint if row == 0 and self.header is None else ""
                    if more and cause == "word":  # all words of the row at once
                        if HEADER_WORDS not in problems.rows_like:
                            words = f"{self.name}: {self.words_above(column)}{more}"
                            problems.add(words, (int(self.lines[0]), column), HEADER_WORDS)
                        continue
                    if not more and cause == "word" and (column, cause) not in problems.rows_like:
                        more = classes(column)
                    problem = f"{origin.place(row, i)}: {error}{more}"
                    problems.add(problem, (int(self.lines[row]), column), (column, cause))
                    problems.stop_if_enough()
        return values

    def words_above(self, column: int) -> str:
        """The words of the first row, that of `column` among them, where numbers are below."""
        first, *below = islice(self.cells, 2)
        words = {
            i: cell
            for i, cell in enumerate(first)
            if i == column or not (is_number(cell) or any(not is_number(row[i]) for row in below))
        }
        place = f"row {self.lines[0]}, column"
        if len(words) == 1:
            return f"{place} {column + 1}: {quote(words[column])} is not a number"
        columns = join_words([str(i + 1) for i in words], "and")
        shown = join_words([quote(word) for word in words.values()], "and")
        return f"{place}s {columns}: {shown} are not numbers"

    def column(self, column: int) -> Iterator[str]:
        """The cells of a column as they are written."""
        cells = self.cells if isinstance(self.cells, Cells) else self.written
        return iter(()) if cells is None else cells.column(column)

    def text(self, column: int, problems: Problems) -> NDArray[Any]:
        """One column as labels, N strings. Empty cells become problems."""
        origin = self.origin([column])
        known: dict[str, str] = {}  # a few labels, however many the rows
        labels: list[str] = []
        for row, cell in enumerate(self.column(column)):
            label = known.setdefault(cell, cell)
            labels.append(label)
            if not label:
                problem = f"{origin.place(row)}: the cell is empty; it needs a label"
                problems.add(problem, (int(self.lines[row]), column), (column, "label"))
                problems.stop_if_enough()
        return text_array(labels, origin.place)


class Cells:
    """The rows of a table as lists of text, read anew each time they are gone through.

    All of them at once would take twenty times as much memory as the text that they are in.
    `kept` says which of the rows count; None where all do.
    """

    def __init__(
        self,
        text: str | Callable[[], str],
        delimiter: str,
        skipped: int,
        length: int,
        width: int | None,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        self._text = text
        self.delimiter = delimiter
        self.skipped = skipped
        self.length = length
        self.width = width
        self.kept = kept

    @property
    def text(self) -> str:
        """What the rows are in; read again where it was not kept."""
        return self._text if isinstance(self._text, str) else self._text()

    def chosen(self, rows: NDArray[np.bool_]) -> "Cells":
        """Some of the rows."""
        kept = rows
        if self.kept is not None:
            kept = self.kept.copy()
            kept[self.kept] = rows
        length = int(np.count_nonzero(kept))
        return Cells(self._text, self.delimiter, self.skipped, length, self.width, kept)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[str]]:
        rows = filter(filled, records(lines_of(self.text), self.delimiter))
        below = self._kept(islice(rows, self.skipped, None))
        return (stripped(cells[: self.width]) for cells in below)

    def column(self, column: int) -> Iterator[str]:
        """The cells of one column: where none is in quotes, without parsing the others."""
        text = self.text
        if '"' in text:
            return (cells[column] for cells in self)
        lines = (line for line in lines_of(text) if line.strip())
        rows = self._kept(islice(lines, self.skipped, None))
        return (row.split(self.delimiter, column + 1)[column].strip() for row in rows)

    def _kept(self, rows: Iterator[Any]) -> Iterator[Any]:
        return rows if self.kept is None else compress(rows, self.kept.tolist())


def run_of(columns: Sequence[int]) -> slice | list[int]:
    """Columns as a slice where they are consecutive, which copies nothing."""
    first = columns[0] if columns else 0
    run = range(first, first + len(columns))
    return slice(run.start, run.stop) if list(columns) == list(run) else list(columns)


def to_number(cell: str) -> float:
    """The finite number that a cell reads as; ValueError says why it is none."""
    if not cell:
        raise ValueError("the cell is empty; it needs a number")
    if not NUMBER.fullmatch(cell):
        raise ValueError(f"{quote(cell)} is not a number{comma_hint(cell)}")
    number = float(cell)
    if not math.isfinite(number):
        large = any(character.isdigit() for character in cell)
        reason = "is too large for a number" if large else "is not a finite number"
        raise ValueError(f"{quote(cell)} {reason}")
    return number


def comma_hint(cell: str) -> str:
    """What a number written with commas, groups or a unit may be meant as; empty for words."""
    if GROUPED.fullmatch(cell):
        whole = cell.replace(",", "")
        if "." in cell or cell.count(",") > 1:
            return f"; write {brief(whole)}, without commas between thousands{set_thousands(',')}"
        as_decimals = cell.replace(",", ".").rstrip("0").rstrip(".")
        return (
            f"; write {whole} if its comma groups thousands{set_thousands(',')}; {as_decimals} if "
            "it marks decimals"
        )
    if DECIMAL_COMMA.fullmatch(cell):
        return "; decimals are written with a point"
    if POINTS_BETWEEN.fullmatch(cell):
        whole = cell.replace(".", "").replace(",", ".")
        return f"; write {brief(whole)}, without points between thousands{set_thousands('.')}"
    if SPACED.fullmatch(cell):
        whole = re.sub("[^-+.0-9]", "", cell)
        between = "apostrophes" if APOSTROPHE.search(cell) else "spaces"
        mark = "'" if between == "apostrophes" else " "
        key = set_thousands(mark)
        return f"; write {brief(whole)}, without {between} between thousands{key}"
    if (unit := UNIT.fullmatch(cell)) is not None:
        sign = " and ".join(filter(None, (unit[1], unit[3])))
        return f"; write {brief(unit[2])}, without {sign}"
    return ""


def set_thousands(mark: str) -> str:
    return f', or set thousands: "{mark}" (under data)'


def why_no_number(cell: str) -> str:
    """The kind of the mistake, for those of one kind to be told together."""
    if not cell:
        return "empty"
    if is_number(cell):
        return "not finite"
    hint = comma_hint(cell)
    if not hint:
        return "word"
    return re.sub(r"[^\s;,]*\d[^\s;,]*", "", hint)  # the advice but for its numbers


def is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def targets_origin(table: Table, chosen: Sequence[int], values: NDArray[Any] | None) -> Origin:
    """That of `table_targets`, with a note where it took labels that differ for one class."""
    origin = table.origin(chosen)
    if values is None or values.dtype.kind not in "iu" or values.ndim != 1:
        return origin
    alike = labels_of_one_number(table, chosen[0])
    if not alike:
        return origin
    labels = join_words(map(quote, alike[0]), "and")
    told = f"the labels {labels} are one number, and so one class"
    more = f", as {count_of(len(alike) - 1, 'other number')}" if len(alike) > 1 else ""
    return origin._replace(notes=(*origin.notes, f"{table.name}: {told}{more}"))


def labels_of_one_number(table: Table, column: int) -> list[list[str]]:
    """The labels of a column of numbers that differ as they are written, and in nothing else."""
    if table.plain is not None and table.plain[column]:
        return []
    alike: dict[float, list[str]] = {}
    for label in dict.fromkeys(table.column(column)):
        alike.setdefault(float(label), []).append(label)
    return [labels for labels in alike.values() if len(labels) > 1]


def are_codes(table: Table, column: int, classes: Classes) -> bool:
    """Whether labels that are numbers are rather text: 007 beside 7, or named so by the classes."""
    if isinstance(classes, tuple):
        return any(is_number(name) and not PLAIN.fullmatch(name) for name in classes)
    if classes is not None:
        return False
    alike = labels_of_one_number(table, column)
    return any(LEADING_ZERO.match(label) for labels in alike for label in labels)


def table_targets(
    table: Table, chosen: Sequence[int], classes: Classes, problems: Problems
) -> NDArray[Any] | None:
    """N labels where one column holds integers or text, else N x columns numbers."""
    if not chosen:
        return None
    hint: Callable[[int], str] = no_hint
    if len(chosen) == 1 and isinstance(table.cells, Cells):
        if is_text(table, chosen[0], classes) or has_large_integers(table, chosen[0], classes):
            return table.text(chosen[0], problems)
        if isinstance(classes, int):
            refuse_word_labels(table, chosen[0], classes)
        if classes is None:
            hint = partial(classes_hint, table)
    numbers = table.numbers(chosen, problems, classes=hint).astype(np.float64, copy=False)
    if numbers.shape[1] == 1 and np.abs(numbers).max() >= EXACT:
        if has_large_integers(table, chosen[0], classes):  # such as 9007199254740993.0
            return table.text(chosen[0], problems)
    elif numbers.shape[1] == 1 and is_label(numbers).all():
        if are_codes(table, chosen[0], classes):
            return table.text(chosen[0], problems)
        return numbers[:, 0].astype(np.int64)
    return numbers


def classes_hint(table: Table, column: int) -> str:
    """What to do where words among a target's numbers are names of classes."""
    names = sorted({cells[column] for cells in table.cells if cells[column]})
    shown = ", ".join(f'"{brief(name)}"' for name in names[:MOST_NAMED])
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"; if these are classes, name them: classes: [{shown}{more}]"


def has_large_integers(table: Table, column: int, classes: Classes) -> bool:
    """Whether a column is of integers that not every float64 tells apart, to be classes as text.

    A few among others are rather slips, unless the classes have names.
    """
    cells = list(table.column(column))
    if classes == "none" or not all(map(WHOLE.fullmatch, cells)):
        return False
    large = sum(abs(int(cell.partition(".")[0])) >= EXACT for cell in cells)
    # With .0 they may well be measures, as long as they are told apart.
    if not all(map(INTEGER.fullmatch, cells)) and len(set(map(float, cells))) == len(set(cells)):
        return False
    return large > 0 and (isinstance(classes, tuple) or not are_typing_mistakes(large, len(cells)))


def refuse_word_labels(table: Table, column: int, classes: int) -> None:
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
