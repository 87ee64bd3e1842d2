"""A curve over the epochs, drawn with braille dots, eight to a character."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nncli.render.text import number

HEIGHT = 7  # rows of characters
# The dots of a braille character, as bits: four rows of two.
BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BRAILLE = 0x2800
STYLES = ("cyan", "magenta")
MARKS = ("*", "o")  # where braille cannot be written


class Series(NamedTuple):
    """A value an epoch."""

    name: str
    values: Sequence[float]


class Curves:
    """Some series on one pair of axes, each named at its right end with its last value.

    Where the values span more than a factor of 20, the vertical axis is logarithmic, and says so.
    """

    def __init__(self, title: str, series: Sequence[Series], epochs: Sequence[int]) -> None:
        self.title = title
        self.series = [s for s in series if all(map(math.isfinite, s.values))]
        self.epochs = epochs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.series:
            return
        values = np.concatenate([np.asarray(s.values, float) for s in self.series])
        low, high = float(values.min()), float(values.max())
        logarithmic = low > 0 and high / low > 20
        ends = [f" {s.name} {number(s.values[-1], 4)}" for s in self.series]
        labels = (number(high), number(low))
        left = max(map(len, labels)) + 1
        width = min(options.max_width, 100) - left - 1 - max(map(len, ends))
        if width < 8:
            return
        yield Text(f"{self.title}{' (log scale)' if logarithmic else ''}", style="bold")
        scale = np.log if logarithmic else np.asarray
        cells = np.zeros((HEIGHT, width), int)
        owner = np.zeros((HEIGHT, width), int)
        rows_of_ends: dict[int, int] = {}
        for k, series in enumerate(self.series):
            curve, bottom, top = (scale(np.asarray(v, float)) for v in (series.values, low, high))
            dots = _dots(curve, float(bottom), float(top), width)
            drawn = (dots.reshape(HEIGHT, 4, width, 2) * BITS[None, :, None, :]).sum(axis=(1, 3))
            owner[drawn > 0] = k
            cells |= drawn
            row = int(np.flatnonzero(drawn[:, -1])[0])
            rows_of_ends[nearest_free(row, rows_of_ends)] = k
        for row in range(HEIGHT):
            label = {0: labels[0], HEIGHT - 1: labels[1]}.get(row, "")
            line = Text(f"{label:>{left - 1}} ┤" if label else " " * left + "│")
            for k, cell in zip(owner[row], cells[row], strict=True):
                line.append(_character(int(cell), int(k), options.ascii_only), STYLES[int(k)])
            if row in rows_of_ends:
                k = rows_of_ends[row]
                line.append(ends[k], STYLES[k])
            yield line
        first, last = f"epoch {self.epochs[0]}", str(self.epochs[-1])
        yield Text(" " * (left + 1) + first + last.rjust(width - len(first)))


def nearest_free(row: int, taken: Collection[int]) -> int:
    """The row nearest to `row` that no label has, the upper of two."""
    return min((r for r in range(HEIGHT) if r not in taken), key=lambda r: (abs(r - row), r))


def _character(cell: int, owner: int, ascii_only: bool) -> str:
    if not cell:
        return " "
    return MARKS[owner] if ascii_only else chr(BRAILLE + cell)


Dots = npt.NDArray[np.bool_]


def _dots(curve: npt.NDArray[np.float64], low: float, high: float, width: int) -> Dots:
    """The curve on a grid of 4·HEIGHT x 2·width dots, without gaps."""
    height, across = 4 * HEIGHT, 2 * width
    at = np.interp(np.linspace(0, len(curve) - 1, across), np.arange(len(curve)), curve)
    rows = np.rint((high - at) / (high - low or 1.0) * (height - 1)).astype(int)
    dots = np.zeros((height, across), bool)
    before = rows[0]
    for x, row in enumerate(rows):
        # From next to the last dot to this one, so that a steep curve stays in one piece.
        dots[min(row, before + 1) : max(row, before - 1) + 1, x] = True
        before = row
    return dots
