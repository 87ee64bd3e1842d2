"""What of a table's text is no sample: its header, comments, and empty columns at the end."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from nncli.data.readers.cells import filled, lines_of, records, stripped
from nncli.data.readers.tables import INTEGER, Cells, is_number

COMMENT = re.compile(r"[ \t]*#", re.MULTILINE)
DECIMAL = re.compile(r"[+-]?\d+\.0*")  # a whole number among decimals
LOOKED_AT = 100  # rows, to see whether a first row of numbers may be one of them
MANY = 5  # columns: so many do not count themselves by chance


class Header(NamedTuple):
    """Whether the first row of a table is a header, and what there is to say of that.

    It is where none of its cells is a number, or where it counts the columns from 0, as pandas
    writes columns without names, above rows that are otherwise not such: see `header_of`.
    """

    is_there: bool
    notes: tuple[str, ...] = ()


class FirstRow(NamedTuple):
    """The first row of a table that is not blank.

    Attributes:
        cells: without the blanks around them.
        header: whether it is one.
        end: the line of the text on which it ends, counted from 1.
    """

    cells: list[str]
    header: Header
    end: int

    @property
    def lines_above(self) -> int:
        """How many lines come before the samples, where none of their cells goes over several."""
        return self.end if self.header.is_there else self.end - 1


def first_row(
    name: str, text: str, delimiter: str, header: bool | None, names: Sequence[str]
) -> FirstRow | None:
    """The first row of a text without comments; None where there is none.

    Args:
        header, names: as of `read_table`.

    Raises:
        csv.Error: it cannot be read, or one of those below by which it is known.
    """
    reader = records(lines_of(text), delimiter)
    first = next(filter(filled, reader), None)
    if first is None:
        return None
    cells = stripped(first)
    if header is not None:
        return FirstRow(cells, Header(header), reader.line_num)
    rows = filter(filled, records(lines_of(text), delimiter))
    return FirstRow(cells, header_of(name, cells, rows, names), reader.line_num)


def header_of(
    name: str, first: Sequence[str], rows: Iterable[Sequence[str]], names: Sequence[str]
) -> Header:
    """What the first row is, by itself and the rows from it on.

    For one that counts the columns from 0 it depends on their number, and on the whole numbers
    below that are written as its own are (1, or 1.0):

        columns   it is a header where                        a sample is noted
        2         never                                       where no column has such numbers
        3         some column has none                        always
        4         some column has them in fewer than half     always
                  of its rows
        5 ...     some column has none, or no row counts on   always
    """
    whole = None if names else number_of_count(first)
    if whole is None:
        return Header(could_be_header(first, names))
    row = f"{name}: the first row, {first[0] or first[1]} to {first[-1]},"
    header = Header(True, (f"{row} was taken for a header; if it is a sample, set header: false",))
    if not first[0]:  # above the row names that pandas puts first
        return header
    below = [stripped(cells) for cells in islice(rows, 1, LOOKED_AT)]
    if not below:
        return Header(False)
    shares = [
        sum(whole.fullmatch(cell) is not None for cell in column) / len(below)
        for column in zip(*below, strict=False)
    ] or [1.0]
    columns = len(first)
    if columns == 2:
        # 0 and 1 may well be a sample, though seldom among such as 0.5 and 0.25.
        is_header, is_noted = False, max(shares) == 0
    elif columns < MANY:
        is_header, is_noted = min(shares) < 0.5 if columns == 4 else min(shares) == 0, True
    else:
        is_header, is_noted = min(shares) == 0 or not any(is_run(r, whole) for r in below), True
    if is_header:
        return header
    note = f"{row} was taken for a sample; if it is a header, set header: true"
    return Header(False, (note,) if is_noted else ())


def number_of_count(first: Sequence[str]) -> re.Pattern[str] | None:
    """How whole numbers are written in a row 0, 1, 2, ... or 0.0, 1.0, 2.0, ...; None in others."""
    counted = list(first if first[0] else first[1:])
    for whole, end in ((INTEGER, ""), (DECIMAL, ".0")):
        if len(counted) > 1 and counted == [f"{i}{end}" for i in range(len(counted))]:
            return whole
    return None


def is_run(cells: Sequence[str], whole: re.Pattern[str]) -> bool:
    """Whether they are whole numbers one after another, as in np.arange."""
    if not all(map(whole.fullmatch, cells)):
        return False
    return all(float(b) - float(a) == 1 for a, b in pairwise(cells))


def could_be_header(first: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the first row can be one, by itself."""
    numbers = [is_number(cell) for cell in first]
    if names:
        return not all(numbers) or not set(names).isdisjoint(first)
    return not any(numbers)


def looks_like_header(
    name: str, rows: Cells, first: Sequence[str], expected: int | None, names: Sequence[str]
) -> Header:
    found = header_of(name, first, rows, names)
    if names or not could_be_header(first, names):
        return found
    if expected is not None and not any(is_number(cell) for row in rows for cell in row):
        return Header(len(rows) == expected + 1)
    # A lone row of words is a header that lost its table, unless one sample is what is expected.
    return Header(len(rows) > 1 or expected != 1)


class Plain(NamedTuple):
    """A text whose comments are blank lines now.

    comments: those above the first row, each with its line, counted from 0; of very many the first
    ones and the last.
    """

    text: str
    notes: tuple[str, ...] = ()
    comments: tuple[tuple[int, str], ...] = ()


def without_comments(
    name: str, text: str, delimiter: str, header: bool | None = None, names: Sequence[str] = ()
) -> Plain:
    """The text without lines that begin with #, outside of quotes.

    The first that has as many cells as the first row below, and no numbers, is the header of that
    row, as np.savetxt writes it: it stays, without its #. Further ones may give units.
    """
    if "#" not in text or COMMENT.search(text) is None:
        return Plain(text)
    lines: list[str] = []
    comments: list[tuple[int, str]] = []
    first: str | None = None
    dropped: list[int] = []  # below the first row
    within = False  # a quoted cell
    for line in lines_of(text):
        if not within and COMMENT.match(line):
            if first is None:
                del comments[LOOKED_AT:]
                comments.append((len(lines), line))
            else:
                dropped.append(len(lines) + 1)
            lines.append(line[len(line.rstrip("\r\n")) :])
            continue
        within ^= line.count('"') % 2 == 1
        if first is None and line.strip():
            first = line
        lines.append(line)
    if first is not None and header is not False:
        headings = [(number, uncommented(line, delimiter)) for number, line in comments]
        fitting = [each for each in headings if is_header_of(each[1], first, delimiter, names)]
        if fitting:
            # One that lacks a wanted name may be a title with as many commas.
            number, heading = min(fitting, key=lambda each: not all(n in each[1] for n in names))
            lines[number] = heading
    notes = (comments_words(name, dropped),) if dropped else ()
    return Plain("".join(lines), notes, () if first is not None else tuple(comments))


def comments_words(name: str, rows: Sequence[int]) -> str:
    which = f"row {rows[0]}, which begins" if len(rows) == 1 else f"{len(rows):,} rows that begin"
    first = "" if len(rows) == 1 else f"; the first is row {rows[0]}"
    return f"{name}: left out {which} with #, as comments do{first}"


def uncommented(line: str, delimiter: str) -> str:
    """A comment without its #, unless that is all there is in its first cell."""
    text = line.lstrip(" \t")[1:].lstrip(" ")
    return f"#{text}" if text.startswith(delimiter) else text


def is_header_of(heading: str, first: str, delimiter: str, names: Sequence[str]) -> bool:
    try:
        above, below = (stripped(next(records([line], delimiter), [])) for line in (heading, first))
    except csv.Error:
        return False
    return (
        len(above) == len(below)
        and could_be_header(above, names)
        and not could_be_header(below, names)
    )


def pieces_without_comments(
    pieces: Iterable[tuple[int, str]], name: str, delimiter: str
) -> Iterator[tuple[int, str]]:
    held, at, has_begun = "", 0, False
    for line, text in pieces:
        if held:  # comments, one of which may be the header of a row to come
            text, line = held + "\n" * (line - at - held.count("\n")) + text, at
        plain = without_comments(name, text, delimiter, False if has_begun else None)
        if plain.comments and not has_begun:
            at, held = line + plain.comments[0][0], ""
            for number, comment in plain.comments:
                held += "\n" * (line + number - at - held.count("\n")) + comment
            continue
        held, has_begun = "", has_begun or bool(plain.text.strip())
        yield line, plain.text


# Empty columns at the end


def empty_at_end(cells: Sequence[str]) -> int:
    """How many of the last cells are empty; the first one does not count."""
    filled_cells = (i for i, cell in enumerate(reversed(cells[1:])) if cell.strip())
    return next(filled_cells, len(cells) - 1)


def columns_words(first: int, end: int) -> str:
    """`column 4`, or `columns 4 to 6`, of those from `first`, counted from 0, up to `end`."""
    return f"column {end}" if end - first == 1 else f"columns {first + 1} to {end}"


def left_out_words(name: str, first: int, end: int) -> str:
    return f"{name}: left out {columns_words(first, end)}, empty and without a name"
