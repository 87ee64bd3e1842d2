"""How mistakes in data are worded: where a number is, and many mistakes collected."""

from bisect import insort
from collections.abc import Callable, Hashable, Sequence

from nncli.core.errors import DataError

SHOWN_PROBLEMS = 10
ENOUGH_PROBLEMS = 1000
SHOWN_ROWS = 5


def cell_of(index: Sequence[int]) -> str:
    """Where a number of a matrix is: `row 3, column 6 (element [2, 5])`.

    Rows count from 1, as those of text do. With three axes the channel is told too.
    """
    names = ("channel", "row", "column")[-len(index) :]
    counted = (f"{name} {i + 1}" for name, i in zip(names, index, strict=True))
    return f"{', '.join(counted)} (element {list(index)})"


class Problems:
    """Collects the mistakes of one file, those of one cause in one line.

    The first ten lines are shown, the mistakes of the rest are counted.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.first: list[tuple[tuple[int, ...], str, list[int]]] = []
        self.rows_like: dict[Hashable, list[int]] = {}
        self.stopped = False
        self.noun = "row"

    def stop_if_enough(self) -> None:
        """Raises DataError once there are so many that looking for more would only take time."""
        self.stopped = self.total >= ENOUGH_PROBLEMS
        if self.stopped:
            self.raise_any()

    def add(self, problem: str, at: tuple[int, ...] = (), cause: Hashable = None) -> None:
        """`at` is the row, or row and column: problems are shown in this order.

        cause: of several problems of one, all but the first are told by their rows alone.
        """
        self.total += 1
        if cause is not None and cause in self.rows_like:
            self.rows_like[cause].append(at[0])
            return
        rows: list[int] = []
        if cause is not None:
            self.rows_like[cause] = rows
        insort(self.first, (at, problem, rows), key=lambda found: found[0])
        del self.first[SHOWN_PROBLEMS:]

    def add_rows(self, problem: str, rows: Sequence[int], noun: str = "row") -> None:
        """One problem of all these rows, ascending, the first of which it names.

        noun: what a row is called; those of arrays are elements, which count from 0.
        """
        self.noun = noun
        self.total += len(rows)
        insort(self.first, ((rows[0],), problem, list(rows[1:])), key=lambda found: found[0])
        del self.first[SHOWN_PROBLEMS:]

    def add_each(self, rows: Sequence[int], problem: Callable[[int], str]) -> None:
        """One problem a row, rows ascending; words are found for only those that can be shown."""
        for row in rows[:SHOWN_PROBLEMS]:
            self.add(problem(row), (row,))
        self.total += len(rows[SHOWN_PROBLEMS:])

    def raise_any(self, key: str | None = None) -> None:
        """Raise DataError with what was collected, if anything was."""
        if not self.total:
            return
        shown = [problem + rows_words(rows, self.noun) for _, problem, rows in self.first]
        more = self.total - sum(1 + len(rows) for _, _, rows in self.first)
        least = "at least " if self.stopped else ""
        rest = [f"{self.name}: and {least}{more:,} more"] if more else []
        if self.stopped and not more:
            rest = [f"{self.name}: there may be more; it was read no further"]
        raise DataError([*shown, *rest], key=key)


def rows_words(rows: Sequence[int], noun: str = "row") -> str:
    """`; the same in rows 3, 4, 5 and 22 more`, or nothing where there are none."""
    if not rows:
        return ""
    shown = ", ".join(f"[{row}]" if noun == "element" else str(row) for row in rows[:SHOWN_ROWS])
    more = f" and {len(rows) - SHOWN_ROWS:,} more" if len(rows) > SHOWN_ROWS else ""
    return f"; the same in {noun}{'s' if len(rows) > 1 else ''} {shown}{more}"
