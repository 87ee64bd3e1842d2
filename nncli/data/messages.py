"""How mistakes in data are worded: where a number stands, and many mistakes collected."""

from bisect import insort
from collections.abc import Callable, Sequence

from nncli.core.errors import DataError

SHOWN_PROBLEMS = 10
ENOUGH_PROBLEMS = 1000


def cell_of(index: Sequence[int]) -> str:
    """Where a number of a matrix stands: `row 3, column 6 (element [2, 5])`.

    Rows count from 1, as those of text do. With three axes the channel is told too.
    """
    names = ("channel", "row", "column")[-len(index) :]
    counted = (f"{name} {i + 1}" for name, i in zip(names, index, strict=True))
    return f"{', '.join(counted)} (element {list(index)})"


class Problems:
    """Collects the mistakes of one file; its first ten are shown, the rest are counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.first: list[tuple[tuple[int, ...], str]] = []
        self.stopped = False

    def stop_if_enough(self) -> None:
        """Raises DataError once there are so many that looking for more would only take time."""
        self.stopped = self.total >= ENOUGH_PROBLEMS
        if self.stopped:
            self.raise_any()

    def add(self, problem: str, at: tuple[int, ...] = ()) -> None:
        """`at` is the row, or row and column: problems are shown in this order."""
        self.total += 1
        insort(self.first, (at, problem), key=lambda found: found[0])
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
        shown = [problem for _, problem in self.first]
        more = self.total - len(shown)
        least = "at least " if self.stopped else ""
        rest = [f"{self.name}: and {least}{more:,} more"] if more else []
        raise DataError([*shown, *rest], key=key)
