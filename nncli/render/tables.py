"""How every table looks, and which of its columns go first where the width does not suffice."""

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nncli.render.text import plain

Row = Sequence[str | Text]


class Column(NamedTuple):
    """`words` stand to the left, numbers to the right; the highest `rank` goes first, 0 never."""

    heading: str
    words: bool = False
    rank: int = 0


class Columns:
    """A table with a line under its headings. No cell is ever cut: whole columns go instead."""

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Row], total: Row | None = None
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.total = total

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = self.fitting(options.max_width)
        made = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            show_edge=False,
        )
        for k in kept:
            column = self.columns[k]
            justify = "left" if column.words else "right"
            made.add_column(Text(column.heading), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for row in self.rows:
            made.add_row(*(self._cell(row[k]) for k in kept))
        if self.total is not None:
            made.add_section()
            made.add_row(*(self._cell(self.total[k]) for k in kept))
        # Rich fills lines up to the table's width; what nobody sees need not be in a pipe.
        for line in console.render_lines(made, options, pad=False):
            while line and not line[-1].text.strip():
                line.pop()
            if line:
                last = line.pop()
                line.append(Segment(last.text.rstrip(), last.style))
            yield from line
            yield Segment("\n")

    def fitting(self, width: int) -> list[int]:
        """The columns that fit, in their order."""
        kept = list(range(len(self.columns)))
        while sum(self._width(k) + 2 for k in kept) - 2 > width:
            droppable = [k for k in kept if self.columns[k].rank]
            if not droppable:
                break
            kept.remove(max(droppable, key=lambda k: self.columns[k].rank))
        return kept

    def _width(self, k: int) -> int:
        rows = [*self.rows, *([self.total] if self.total is not None else [])]
        cells = [self.columns[k].heading, *(str(row[k]) for row in rows)]
        return max(map(cell_len, cells))

    def _cell(self, cell: str | Text) -> Text:
        return cell if isinstance(cell, Text) else plain(cell)
