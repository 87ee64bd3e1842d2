"""Numbers and names as text, and arrays in rows and columns.

A number has a readable length, a name cannot act as markup; of an array, `Extent` says which
entries are shown and `NumberFormat` with how many digits.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from rich.text import Span, Text

from nncli.core.text import in_ascii, printable, sizes
from nncli.nn.arrays import Array

NONE = "–"  # a quantity that does not exist here
# Of a path that begins at the root, or leads out of the folder one is in, all but the last part.
FOLDERS = re.compile(r"""(?<![^\s,:;"'(\[{=])(?:\.\.)?/(?:[^/\s"',][^/\n"',]*/)+""")


def plain(text: str, style: str = "") -> Text:
    """Text that rich shows as it is: no markup, no emoji codes, no highlighting."""
    return Text(printable(text), style=style)


def spelled_out(text: Text) -> Text:
    """The text in ASCII, with its styles where they were."""
    if text.plain.isascii():
        return text
    starts = list(accumulate((len(in_ascii(c)) for c in text.plain), initial=0))
    made = text.blank_copy(in_ascii(text.plain))
    made.spans = [Span(starts[s.start], starts[s.end], s.style) for s in text.spans]
    return made


def without_folders(text: str) -> str:
    """Text in which files are named without the folders that they are in on this machine.

    What is handed on says nothing of where its writer keeps things. Paths within the folder stay.
    """
    return FOLDERS.sub("", text)


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits, trailing zeros included; small ones as 1.23e-5."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    text = f"{value:#.{digits}g}".removesuffix(".")
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa.removesuffix('.')}e{int(exponent)}"
    return text


def missed(parts: Iterable[str], total: str) -> float:
    """By how much numbers, as they read, miss adding up to a total; 0 where one is not finite."""
    read = [Decimal(text) for text in (*parts, total)]
    if not all(value.is_finite() for value in read):
        return 0.0
    return float(abs(sum(read[:-1]) - read[-1]))


def largest(dtype: np.dtype[Any]) -> str:
    """A floating type, and where it ends."""
    return f"{dtype}, which ends at {number(float(np.finfo(dtype).max), 5)}"


def percent(share: float | None, places: int = 1) -> str:
    """A share as a percentage, but never 0 % or 100 % of what is not quite."""
    if share is None:
        return NONE
    least = 10.0**-places
    if 0 < 100 * share < least:
        return f"<{least:g}%"
    if 100 - least < 100 * share < 100:
        return f">{100 - least:g}%"
    return f"{100 * share:.{places}f}%"


def shape(lengths: Iterable[int]) -> str:
    return sizes(lengths, "×")


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{number(1000 * seconds)} ms"
    if seconds < 60:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


# Arrays


DECIMALS = 6
EDGE = 3  # entries left at each end of a shortened axis
MOST_ROWS, MOST_COLUMNS = 12, 8  # longer axes are shortened

WHOLE = 1e12  # floats below that are integers by intent; beyond, most have no other choice

GAP = "…"


class Extent(NamedTuple):
    """How much of a large array is shown: ranges of its last two axes, or all of it.

    `decimals`: to how many places the numbers of equations are rounded.
    """

    rows: range | None = None
    columns: range | None = None
    full: bool = False
    decimals: int = DECIMALS

    def row_indices(self, size: int) -> list[int | None]:
        return self._indices(size, self.rows, MOST_ROWS)

    def column_indices(self, size: int) -> list[int | None]:
        return self._indices(size, self.columns, MOST_COLUMNS)

    def _indices(self, size: int, chosen: range | None, most: int) -> list[int | None]:
        """The indices shown along an axis; None stands for what is left out."""
        if chosen is not None:
            return list(range(chosen.start, min(chosen.stop, size)))
        if self.full or size <= most:
            return list(range(size))
        return [*range(EDGE), None, *range(size - EDGE, size)]


class NumberFormat(NamedTuple):
    """How the numbers of one equation are written."""

    decimals: int
    scientific: bool = False

    def __call__(self, value: float) -> str:
        if isinstance(value, int | np.integer):
            return str(value)
        if not np.isfinite(value):
            return str(float(value))
        if self.scientific:
            mantissa, exponent = f"{value:.{self.decimals}e}".split("e")
            return f"{mantissa}e{int(exponent)}"
        text = f"{value:.{self.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text

    def rounded(self, array: Array) -> Array:
        """The values as they read."""
        read = [float(self(value)) for value in array.ravel()]
        return np.array(read, np.float64).reshape(array.shape)


def number_formats(arrays: Sequence[Array], decimals: int = DECIMALS) -> list[NumberFormat]:
    """A format for each array of an equation: all fixed, or all scientific where that is better.

    An array whose numbers need fewer decimals is written with fewer, integers with every digit.
    """
    finite = [np.abs(a[np.isfinite(a)].astype(np.float64)) for a in arrays]
    is_integer = [a.dtype.kind in "iu" for a in arrays]
    floats = [values for values, exact in zip(finite, is_integer, strict=True) if not exact]
    largest = max((float(values.max(initial=0)) for values in floats), default=0.0)
    if largest and not 1e-3 <= largest < (WHOLE if all(map(_is_whole, floats)) else 1e6):
        return [NumberFormat(0) if exact else NumberFormat(decimals, True) for exact in is_integer]
    return [NumberFormat(_needed(values, decimals)) for values in finite]


def _is_whole(values: Array) -> bool:
    return bool((values == np.rint(values)).all())


def _needed(values: Array, decimals: int) -> int:
    """The fewest decimals that lose nothing that `decimals` would keep."""
    kept = np.round(values, decimals)
    for fewer in range(decimals):
        if np.array_equal(np.round(values, fewer), kept):
            return fewer
    return decimals


def cells(
    array: Array,
    format: NumberFormat,
    rows: Sequence[int | None],
    columns: Sequence[int | None],
) -> list[list[str]]:
    """The shown part of a matrix as text."""
    return [[GAP if r is None or c is None else format(array[r, c]) for c in columns] for r in rows]


def bracketed(cells: list[list[str]]) -> list[str]:
    """Rows of cells as lines, the columns aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        f"[{' '.join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))}]" for row in cells
    ]
