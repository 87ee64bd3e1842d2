"""The columns of a table of words and numbers, each whole: as numbers, or as codes of its words."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nncli.data.readers.tables import GAPS, Table, is_number

PIECE = 4096  # rows

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Column:
    """A column of N cells: `numbers`, or `codes` that count its different `words`.

    Attributes:
        position: from 0.
        title: as the header has it; None where there is none.
        numbers: N, NaN where nothing stands; None where something else than numbers stands.
        codes: N indices of `words`; None where there are numbers.
        words: the different cells, in the order in which they come.
    """

    position: int
    title: str | None
    numbers: NDArray[np.float64] | None
    codes: NDArray[np.int64] | None = None
    words: tuple[str, ...] = ()

    def __len__(self) -> int:
        values = self.codes if self.numbers is None else self.numbers
        assert values is not None
        return len(values)

    @property
    def name(self) -> str:
        return self.title or f"column {self.position + 1}"

    @cached_property
    def gaps(self) -> NDArray[np.bool_]:
        """N: where nothing stands."""
        if self.numbers is not None:
            return np.isnan(self.numbers)
        return self.of_words([word in GAPS for word in self.words], np.bool_)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many cells each of the words has."""
        assert self.codes is not None
        return np.bincount(self.codes, minlength=len(self.words))

    def of_words(self, values: Sequence[object], dtype: type[_T]) -> NDArray[_T]:
        """N values, from one for each of the words."""
        assert self.codes is not None
        return np.array(values, dtype)[self.codes]

    def where(self, word: str) -> NDArray[np.int64]:
        """The rows of a word."""
        assert self.codes is not None
        return np.flatnonzero(self.codes == self.words.index(word))

    def as_numbers(self) -> NDArray[np.float64]:
        """N numbers: NaN at gaps, and at words that are no numbers."""
        if self.numbers is not None:
            return self.numbers
        values = [float(word) if is_number(word) else np.nan for word in self.words]
        return self.of_words(values, np.float64)

    def chosen(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Column":
        """Some of the rows."""
        if self.numbers is not None:
            return Column(self.position, self.title, self.numbers[rows])
        assert self.codes is not None
        return Column(self.position, self.title, None, self.codes[rows], self.words)


def read_columns(
    table: Table, positions: Sequence[int], as_words: Collection[int] = ()
) -> list[Column]:
    """Columns of a table, from 0.

    as_words: those that become words, even where they are numbers.
    """
    if table.kept is None or as_words or isinstance(table.cells, np.ndarray):
        return newly_read(table, positions, as_words)
    missing = [i for i in positions if i not in table.kept]
    table.kept.update(zip(missing, newly_read(table, missing, ()), strict=True))
    return [table.kept[i] for i in positions]


def newly_read(table: Table, positions: Sequence[int], as_words: Collection[int]) -> list[Column]:
    titles = {i: table.header[i] if table.header else None for i in positions}
    if isinstance(table.cells, np.ndarray):
        numbers = {i: table.cells[:, i].astype(np.float64) for i in positions if i not in as_words}
        words: dict[int, Words] = {}
    else:
        numbers, words = read_cells(table, positions, as_words)
    for i in positions:
        if i not in numbers and i not in words:
            words[i] = Words()
            words[i].add(table.column(i))
    return [
        Column(i, titles[i], numbers[i]) if i in numbers else words[i].column(i, titles[i])
        for i in positions
    ]


class Words:
    """The different words of a column, counted as its cells come."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.codes: list[NDArray[np.int64]] = []

    def add(self, cells: Iterable[str]) -> None:
        known = self.known
        codes = (known.setdefault(cell, len(known)) for cell in cells)
        self.codes.append(np.fromiter(codes, np.int64))

    def column(self, position: int, title: str | None) -> Column:
        return Column(position, title, None, np.concatenate(self.codes), tuple(self.known))


def read_cells(
    table: Table, positions: Sequence[int], as_words: Collection[int]
) -> tuple[dict[int, NDArray[np.float64]], dict[int, Words]]:
    """The columns of numbers and gaps, and those of words, by going through the rows once.

    A column whose first word comes after many numbers is in neither: those cells are gone.
    """
    numbers: dict[int, list[NDArray[np.float64]]] = {i: [] for i in positions if i not in as_words}
    words = {i: Words() for i in positions if i in as_words}
    rows = iter(table.cells)
    while (numbers or words) and (piece := list(islice(rows, PIECE))):
        for i in list(numbers):
            values = numbers_in([row[i] for row in piece])
            if values is not None:
                numbers[i].append(values)
            elif not numbers.pop(i):
                words[i] = Words()
        for i, column in words.items():
            column.add(row[i] for row in piece)
    return {i: np.concatenate(values) for i, values in numbers.items()}, words


def numbers_in(cells: list[str]) -> NDArray[np.float64] | None:
    """Cells as numbers, NaN at gaps; None where others are among them."""
    text = "".join(cells)
    if "_" in text or not text.isascii():  # float() would take some of these
        return None
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        pass
    try:
        return np.array([np.nan if cell in GAPS else float(cell) for cell in cells])
    except ValueError:
        return None
