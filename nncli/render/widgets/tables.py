"""How every table looks, and which of its columns are left out where the width is too small."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from nncli.core.text import in_ascii
from nncli.render.text import plain, spelled_out

Row = Sequence[str | Text]

GAP = "  "  # between two columns
NARROWEST = 8  # that a column of words is made where there is no room


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
        facts = self.facts
        if options.ascii_only:
            facts = [(in_ascii(heading), in_ascii(fact)) for heading, fact in facts]
        left = max(cell_len(heading) for heading, _ in facts) + len(GAP)
        room = max(1, options.max_width - left)
        dim = console.get_style("dim")
        for heading, fact in facts:
            for k, line in enumerate(plain(fact).wrap(console, room)):
                words = heading if k == 0 else ""
                yield Segment(words + " " * (left - cell_len(words)), dim)
                yield Segment(f"{line.plain.rstrip()}\n")


class Columns:
    """A table with a line under its headings. No cell is ever cut.

    Where it is too wide whole columns go, and a line below it says which; then words go on in
    further lines. It is laid out here, as pages are: rich would measure every cell again, three
    times.
    """

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Row], total: Row | None = None
    ) -> None:
        self.columns = columns
        self.rows = [[_text(cell) for cell in row] for row in rows]
        self.total = [_text(cell) for cell in total or ()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.ascii_only and not self._is_ascii:
            yield self._spelled_out()
            return
        kept = self.fitting(options.max_width)
        widths = self._narrowed(kept, options.max_width)
        headings = [Text(column.heading, "bold") for column in self.columns]
        length = sum(widths) + len(GAP) * (len(kept) - 1)
        rule = Segment(("-" if options.ascii_only else "─") * length + "\n")
        for row in (headings, None, *self.rows, *([None, self.total] if self.total else [])):
            if row is None:
                yield rule
            else:
                yield from self._lines(row, kept, widths, console)
        left_out = [c.heading for k, c in enumerate(self.columns) if k not in kept and c.heading]
        if left_out:
            note = f"Too narrow for {', '.join(left_out)}: COLUMNS={self.width} would show all."
            for line in wrap(note, options.max_width):
                yield Segment(f"{line}\n", console.get_style("dim"))

    def _lines(
        self, row: Sequence[Text], kept: Sequence[int], widths: Sequence[int], console: Console
    ) -> Iterator[Segment]:
        """One row, in as many lines as its longest cell takes."""
        parts = [
            wrapped(row[k], console, width) if row[k].cell_len > width else [row[k]]
            for k, width in zip(kept, widths, strict=True)
        ]
        for n in range(max(map(len, parts))):
            spaces = ""  # written before what follows them only: at a line's end they are invisible
            for k, width, part in zip(kept, widths, parts, strict=True):
                cell = part[n] if n < len(part) else Text()
                space = " " * (width - cell.cell_len)
                left, right = ("", space) if self.columns[k].words else (space, "")
                if cell.plain:
                    yield Segment(spaces + left)
                    yield Segment(cell.plain, console.get_style(cell.style))
                    spaces = right + GAP
                else:
                    spaces += left + right + GAP
            yield Segment("\n")

    def _narrowed(self, kept: Sequence[int], width: int) -> list[int]:
        """The widths of columns that fit; those of words are made narrower, the widest first."""
        widths = [self._width(k) for k in kept]
        over = sum(widths) + len(GAP) * (len(kept) - 1) - width
        narrowable = [n for n, k in enumerate(kept) if self.columns[k].words]
        while over > 0 and narrowable:
            widest = max(narrowable, key=lambda n: widths[n])
            if widths[widest] <= NARROWEST:
                break
            widths[widest] -= 1
            over -= 1
        return widths

    @property
    def _is_ascii(self) -> bool:
        headings = (column.heading for column in self.columns)
        cells = (cell.plain for row in (*self.rows, self.total) for cell in row)
        return all(text.isascii() for text in (*headings, *cells))

    def _spelled_out(self) -> "Columns":
        columns = [c._replace(heading=in_ascii(c.heading)) for c in self.columns]
        rows = [[spelled_out(cell) for cell in row] for row in self.rows]
        return Columns(columns, rows, [spelled_out(cell) for cell in self.total] or None)

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


def wrapped(text: Text, console: Console, width: int) -> list[Text]:
    lines = list(text.wrap(console, width))
    for line in lines:
        line.rstrip()
    return lines


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else plain(cell)
