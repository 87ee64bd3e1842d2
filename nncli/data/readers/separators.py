"""By what the cells of a table are separated, and how its decimals are written."""

import re
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from nncli.core.errors import DataError
from nncli.core.text import join_words
from nncli.data.readers.cells import lines_of
from nncli.data.readers.headers import COMMENT, LOOKED_AT
from nncli.data.readers.tables import is_number

SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'", ",": "commas"}
BLANK = " "
LOOKED_IN = 1 << 20  # characters
# A whole cell between semicolons, tabs or bars, with a comma for decimals.
DECIMAL = re.compile(r"(?m)(^|[;\t|])([ ]*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?)(?=[ ]*(?:[;\t|]|\r?$))")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
QUOTED = re.compile('"[^"]*"')
BLANKS = re.compile(r"[ \t]+")


class Form(NamedTuple):
    """How a table is written: the separator of its cells, the mark of its decimals.

    None where it is to be found out.

    Attributes:
        thousands: what groups them; None: nothing.
        comment: what begins a line that is a comment; None: #.
        encoding: of the text; None: UTF-8.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    comment: str | None = None
    encoding: str | None = None

    @property
    def is_rewritten(self) -> bool:
        """Whether the text is to be changed before anything is looked for in it."""
        return self.comment is not None or self.encoding is not None


class Written(NamedTuple):
    """What was found: as Form, and a note where it is not what the file's name says."""

    separator: str
    decimal: str = "."
    notes: tuple[str, ...] = ()
    thousands: str | None = None

    @property
    def is_canonical(self) -> bool:
        """Whether text stays as it is."""
        return self.separator != BLANK and self.decimal == "." and self.thousands is None

    def canonical(self, text: str) -> str:
        """The text with points for decimals, and with commas where blanks separated; line by line
        as it was; numbers without what groups their thousands.
        """
        if self.thousands is not None:
            text = grouped(self).sub(partial(without_groups, MARKS[self.thousands]), text)
        if self.separator == BLANK:
            return "\n".join(BLANKS.sub(",", line.strip()) for line in text.split("\n"))
        if self.decimal == ",":
            return DECIMAL.sub(r"\1\2.\3", text)
        return text

    @property
    def delimiter(self) -> str:
        """The separator of the canonical text."""
        return "," if self.separator == BLANK else self.separator


# What stands for a mark in files.
MARKS = {",": ",", ".": ".", "'": "'’", " ": " \u00a0\u202f"}


def grouped(written: Written) -> re.Pattern[str]:
    """A whole cell that is a number with groups; in quotes where these mark separates cells too."""
    assert written.thousands is not None
    mark, decimal = f"[{MARKS[written.thousands]}]", re.escape(written.decimal)
    sep = r"[ \t]" if written.separator == BLANK else re.escape(written.separator)
    is_both = written.thousands == written.separator
    quote = '(?P<quote>")' if is_both else '(?P<quote>"?)'
    number = rf"[+-]?\d{{1,3}}(?:{mark}\d{{3}})+(?:{decimal}\d+)?"
    return re.compile(
        rf"(?m)(?P<before>(?:^|{sep})[ ]*){quote}(?P<number>{number})(?P=quote)"
        rf"(?=[ ]*(?:{sep}|\r?$))"
    )


def without_groups(marks: str, match: re.Match[str]) -> str:
    number = match["number"].translate({ord(mark): None for mark in marks})
    return f"{match['before']}{match['quote']}{number}{match['quote']}"


def found_in(name: str, text: str, delimiter: str, form: Form | None = None) -> Written:
    """How a table is written, by its first rows; `delimiter` is what its name says.

    Raises DataError where two separators fit, or a comma may mark decimals or thousands.
    """
    form = form or Form()
    rows = first_rows(text)
    thousands = form.thousands
    if thousands is not None:
        group = re.compile(rf"(?<=\d)[{MARKS[thousands]}](?=\d{{3}}(?!\d))")
        rows = [group.sub("", row) for row in rows]
    separator = form.separator or found_separator(name, rows, delimiter)
    given = form.decimal or OTHER_MARK.get(thousands or "")
    decimal = given or found_decimal(name, rows, separator)
    notes: tuple[str, ...] = ()
    if form.separator is None and separator != delimiter:
        by = "blanks" if separator == BLANK else SEPARATORS[separator]
        points = ", its decimals marked by commas" if decimal == "," else ""
        notes = (f"{name}: its cells are separated by {by}{points}",)
    return Written(separator, decimal, notes, thousands)


OTHER_MARK = {",": ".", ".": ","}  # of decimals, by that of thousands


def first_rows(text: str) -> list[str]:
    """The first rows, without what is in quotes."""
    filled = (line.rstrip("\r\n") for line in lines_of(text[:LOOKED_IN]) if line.strip())
    rows = islice((line for line in filled if not COMMENT.match(line)), LOOKED_AT)
    return [QUOTED.sub("", row) for row in rows]


def found_separator(name: str, rows: Sequence[str], delimiter: str) -> str:
    if len(rows) < 2 or any('"' in row for row in rows):
        return delimiter
    others = [sep for sep in SEPARATORS if sep != delimiter and is_regular(rows, sep)]
    if delimiter in rows[0]:
        # It may be a decimal comma, where rows are numbers by another separator.
        others = [sep for sep in others if are_numbers(rows[1:], sep)]
        if others and is_regular(rows, delimiter):
            others.append(delimiter)
        elif not others:
            return delimiter
    if len(others) > 1:
        fitting = join_words([SEPARATORS[sep] for sep in others])
        raise DataError(
            f"{name}: its cells may be separated by {fitting}; say by which, as in separator: "
            f"{KEYS[others[0]]} (under data)",
            key="separator",
        )
    if others:
        return others[0]
    return BLANK if delimiter == "," and are_blank_separated(rows) else delimiter


KEYS = {";": '";"', "\t": "tab", "|": '"|"', ",": '","', BLANK: "blank"}


def is_regular(rows: Sequence[str], separator: str) -> bool:
    counts = {row.count(separator) for row in rows}
    return len(counts) == 1 and counts != {0}


def are_numbers(rows: Sequence[str], separator: str) -> bool:
    """Whether all cells are numbers, of which some have decimal commas."""
    cells = [cell.strip() for row in rows for cell in row.split(separator)]
    return any("," in cell for cell in cells) and all(
        not cell or is_number(cell.replace(",", ".", 1)) for cell in cells
    )


def are_blank_separated(rows: Sequence[str]) -> bool:
    """Whether blanks divide all rows into as many cells, numbers below the first row."""
    divided = [row.split() for row in rows]
    if len({len(cells) for cells in divided}) != 1 or len(divided[0]) < 2:
        return False
    return all(sum(map(is_number, cells)) > 0 for cells in divided[1:])


def found_decimal(name: str, rows: Sequence[str], separator: str) -> str:
    """`,` where cells between semicolons are numbers with commas."""
    if separator != ";":  # elsewhere a comma is rather a slip
        return "."
    marked = [match for row in rows for match in DECIMAL.finditer(row)]
    if not marked:
        return "."
    cells = [f"{match[2]},{match[3]}".strip() for match in marked]
    if all(THOUSANDS.fullmatch(cell) for cell in cells) and not any("." in row for row in rows):
        raise DataError(
            f"{name}: the comma of {cells[0]} may mark decimals or group thousands; say which: "
            'decimal: "," or thousands: "," (under data)',
            key="decimal",
        )
    return "." if all(THOUSANDS.fullmatch(cell) for cell in cells) else ","
