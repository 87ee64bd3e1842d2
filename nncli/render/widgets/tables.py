"""How every table looks, and which of its columns are left out where the width is too small."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from nncli.render.text import plain

Row = Sequence[str | Text]

GAP = "  "  # between two columns


class Column(NamedTuple):
    """`words` are aligned to the left, numbers to the right.

    Where the width is too small, the column of the highest `rank` is left out first, 0 never.
    """

    heading: str
    words: bool = False
    rank: int = 0


class Facts:
    """Facts, each with its heading to the left; one that is too long is continued below itself."""

    def __init__(self, facts: Sequence[tuple[str, str]]) -> None:
        self.facts = facts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left = max(cell_len(heading) for heading, _ in self.facts) + len(GAP)
        room = max(1, options.max_width - left)
        dim = console.get_style("dim")
        for heading, fact in self.facts:
            for k, line in enumerate(plain(fact).wrap(console, room)):
                words = heading if k == 0 else ""
                yield Segment(words + " " * (left - cell_len(words)), dim)
                yield Segment(f"{line.plain.rstrip()}\n")


class Columns:
    """A table with a line under its headings. No cell is ever cut: whole columns go instead.

    It is laid out here, as pages are: rich would measure every cell again, three times.
    """

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Row], total: Row | None = None
    ) -> None:
        self.columns = columns
        self.rows = [[_text(cell) for cell in row] for row in rows]
        self.total = [_text(cell) for cell in total or ()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = self.fitting(options.max_width)
        widths = [self._width(k) for k in kept]
        headings = [Text(column.heading, "bold") for column in self.columns]
        rule = Segment("─" * (sum(widths) + len(GAP) * (len(kept) - 1)) + "\n")
        lines = [headings, None, *self.rows, *([None, self.total] if self.total else [])]
        for line in lines:
            if line is None:
                yield rule
                continue
            spaces = ""  # written before what follows them only: at a line's end nobody sees them
            for k, width in zip(kept, widths, strict=True):
                cell = line[k]
                space = " " * (width - cell.cell_len)
                left, right = ("", space) if self.columns[k].words else (space, "")
                if cell.plain:
                    yield Segment(spaces + left)
                    yield Segment(cell.plain, console.get_style(cell.style))
                    spaces = right + GAP
                else:
                    spaces += left + right + GAP
            yield Segment("\n")

    def fitting(self, width: int) -> list[int]:
        """The columns that fit, in their order."""
        kept = list(range(len(self.columns)))
        while self._widths(kept) > width:
            droppable = [k for k in kept if self.columns[k].rank]
            if not droppable:
                break
            kept.remove(max(droppable, key=lambda k: self.columns[k].rank))
        return kept

    @property
    def width(self) -> int:
        """With all of its columns."""
        return self._widths(range(len(self.columns)))

    def _widths(self, kept: Sequence[int]) -> int:
        return sum(self._width(k) + len(GAP) for k in kept) - len(GAP)

    def _width(self, k: int) -> int:
        rows = [*self.rows, *([self.total] if self.total else [])]
        return max([cell_len(self.columns[k].heading), *(row[k].cell_len for row in rows)])


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else plain(cell)
