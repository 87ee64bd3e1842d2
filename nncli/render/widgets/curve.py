"""Curves over the epochs, drawn with braille dots, eight to a character."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nncli.render.text import number

HEIGHT = 7  # rows of characters
# The dots of a braille character, as bits: four rows of two.
BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BRAILLE = 0x2800
STYLES = ("cyan", "magenta", "yellow", "green", "blue", "red")
MARKS = "*o+x#@"  # where braille cannot be written
BETWEEN = 12  # columns from one letter on a curve to the next

Numbers = npt.NDArray[np.float64]
Cells = npt.NDArray[np.int_]


class Series(NamedTuple):
    """A value an epoch.

    `epochs` are its own, where they are not those of the axes. A `letter` is written on the curve
    again and again, so that curves that cross can be told apart without colour.
    """

    name: str
    values: Sequence[float]
    epochs: Sequence[int] | None = None
    letter: str = ""


def accuracy_curves(
    series: Sequence[Series], epochs: Sequence[int], chance: float | None
) -> "Curves":
    """Shares of samples that are right, on an axis that has what guessing would reach.

    It goes up to twice that at least, so that a network that only guesses does not look as if it
    learnt.

    Args:
        chance: that share; None where it cannot be told.
    """
    if chance is None:
        return Curves("accuracy", series, epochs, (0.0, 1.0))
    title = f"accuracy (by chance {number(chance, 2)})"
    return Curves(title, series, epochs, (chance, min(1.0, 2 * chance)))


class Curves:
    """Some series on one pair of axes, each named at its right end with its last value.

    Where the values span more than a factor of 20, the vertical axis is logarithmic, and says so.
    """

    def __init__(
        self,
        title: str,
        series: Sequence[Series],
        epochs: Sequence[int],
        axis: tuple[float, float] | None = None,
    ) -> None:
        """
        Args:
            axis: what the vertical axis has at least, on a linear scale.
        """
        self.axis = axis
        self.title = title
        self.series = [s for s in series if s.values and all(map(math.isfinite, s.values))]
        self.epochs = epochs
        self.height = max(HEIGHT, len(self.series))  # each has a row for its name

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.series:
            return
        values = np.concatenate([np.asarray(s.values, float) for s in self.series])
        low, high = float(values.min()), float(values.max())
        logarithmic = self.axis is None and low > 0 and high / low > 20
        if self.axis is not None:
            low, high = min(low, self.axis[0]), max(high, self.axis[1])
        ends = [f" {s.name} {number(s.values[-1], 4)}" for s in self.series]
        labels = (number(high), number(low))
        left = max(map(len, labels)) + 1
        width = min(options.max_width, 100) - left - 1 - max(map(len, ends))
        if width < 8:
            yield Text(f"{self.title}: too narrow for its curve", style="dim")
            return
        yield Text(f"{self.title}{' (log scale)' if logarithmic else ''}", style="bold")
        scale = np.log if logarithmic else np.asarray
        drawn = [self._cells(series, scale, low, high, width) for series in self.series]
        lines = self._lines(drawn, ascii_only=options.ascii_only)
        rows_of_ends: dict[int, int] = {}
        for k, cells in enumerate(drawn):
            last = np.flatnonzero(cells.any(axis=0))[-1]
            row = int(np.flatnonzero(cells[:, last])[0])
            rows_of_ends[nearest_free(row, rows_of_ends, self.height)] = k
        for row, line in enumerate(lines):
            label = {0: labels[0], self.height - 1: labels[1]}.get(row, "")
            written = Text(f"{label:>{left - 1}} ┤" if label else " " * left + "│")
            written.append_text(line)
            if row in rows_of_ends:
                k = rows_of_ends[row]
                written.append(ends[k], style_of(k))
            yield written
        first, last_epoch = f"epoch {self.epochs[0]}", str(self.epochs[-1])
        yield Text(" " * (left + 1) + first + last_epoch.rjust(width - len(first)))

    def _cells(
        self, series: Series, scale: Callable[[Any], Any], low: float, high: float, width: int
    ) -> Cells:
        """One curve as braille patterns, rows x columns of characters."""
        epochs = np.asarray(self.epochs if series.epochs is None else series.epochs, float)
        at = np.linspace(self.epochs[0], self.epochs[-1], 2 * width)
        within = (at >= epochs[0]) & (at <= epochs[-1])
        within[np.abs(at - epochs[0]).argmin()] = True  # a single epoch may be between two columns
        curve = np.interp(at, epochs, scale(np.asarray(series.values, float)))
        bottom, top = float(scale(np.asarray(low))), float(scale(np.asarray(high)))
        dots = _dots(curve, within, bottom, top, 4 * self.height)
        cells: Cells = (dots.reshape(self.height, 4, width, 2) * BITS[None, :, None, :]).sum((1, 3))
        return cells

    def _lines(self, drawn: Sequence[Cells], *, ascii_only: bool) -> list[Text]:
        """All curves over each other, the later ones in front."""
        cells = np.bitwise_or.reduce(drawn)
        owner = np.zeros(cells.shape, int)
        for k, curve in enumerate(drawn):
            owner[curve > 0] = k
        letters = self._letters(drawn)
        lines = []
        for row in range(self.height):
            line = Text()
            for column, cell in enumerate(cells[row]):
                k = letters.get((row, column), int(owner[row, column]))
                letter = self.series[k].letter
                if not cell:
                    character = " "
                elif (row, column) in letters or (ascii_only and letter):
                    character = letter
                else:
                    character = MARKS[k % len(MARKS)] if ascii_only else chr(BRAILLE + int(cell))
                line.append(character, style_of(k))
            lines.append(line)
        return lines

    def _letters(self, drawn: Sequence[Cells]) -> dict[tuple[int, int], int]:
        """Where letters are written on the curves: those of each curve in columns of its own."""
        places = {}
        step = max(BETWEEN, 2 * len(drawn))
        for k, curve in enumerate(drawn):
            if not self.series[k].letter:
                continue
            there = np.flatnonzero(curve.any(axis=0))
            chosen = [c for c in there if c % step == (k * step) // len(drawn)]
            for column in chosen or there[len(there) // 2 :][:1]:
                places[int(np.flatnonzero(curve[:, column])[0]), int(column)] = k
        return places


def style_of(k: int) -> str:
    return STYLES[k % len(STYLES)]


def nearest_free(row: int, taken: Collection[int], height: int = HEIGHT) -> int:
    """The row nearest to `row` that no label has, the upper of two."""
    return min((r for r in range(height) if r not in taken), key=lambda r: (abs(r - row), r))


Dots = npt.NDArray[np.bool_]


def _dots(curve: Numbers, within: Dots, low: float, high: float, height: int) -> Dots:
    """The part of a curve that is `within`, on a grid of dots, without gaps."""
    rows = np.rint((high - curve) / (high - low or 1.0) * (height - 1)).astype(int)
    dots = np.zeros((height, len(curve)), bool)
    before = rows[np.flatnonzero(within)[0]]
    for x in np.flatnonzero(within):
        row = rows[x]
        # From next to the last dot to this one, so that a steep curve stays in one piece.
        dots[min(row, before + 1) : max(row, before - 1) + 1, x] = True
        before = row
    return dots
