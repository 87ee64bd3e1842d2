"""Arrays in colours: images as pixels, numbers on a ground that says their sign and size.

An image has two pixels a character, one above the other; ASCII without colour.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from nncli.core.text import in_ascii, printable
from nncli.nn.arrays import Array
from nncli.render.document import (
    HeatMap,
    statistics,
)
from nncli.render.text import cells, number_formats, shape

NARROW, WIDE = 16, 40  # columns: what is smaller is shown twice as large, what is larger shrunk
RAMP = " .:-=+*#%@"
GAP = "  "


class Picture(NamedTuple):
    """An image, channels x rows x columns, with lines of words below it."""

    image: Array
    caption: tuple[str, ...]


class Gallery:
    """Pictures side by side, in so many rows of them at most; of the others it is said how many.

    Each is drawn from its own darkest to its own brightest value.
    """

    def __init__(self, pictures: Sequence[Picture], rows: int = 2) -> None:
        self.pictures = pictures
        self.rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.pictures:
            return
        drawn = [pixels(picture.image, options.max_width) for picture in self.pictures]
        spell = in_ascii if options.ascii_only else str
        captions = [
            [
                set_cell_size(spell(printable(line)), options.max_width).rstrip()
                for line in picture.caption
            ]
            for picture in self.pictures
        ]
        words = (cell_len(line) for lines in captions for line in lines)
        width = max([drawn[0].shape[1], *words])
        each = max(1, (options.max_width + len(GAP)) // (width + len(GAP)))
        can_colour = console.color_system is not None and not console.no_color
        draw = half_blocks if can_colour and not options.ascii_only else characters
        for k in range(0, min(len(drawn), each * self.rows), each):
            if k:
                yield Segment("\n")
            images = [draw(image) for image in drawn[k : k + each]]
            texts = [[[Segment(line)] for line in lines] for lines in captions[k : k + each]]
            for lines in (images, texts):
                for row in zip(*lines, strict=True):
                    yield from beside(row, width)
        if (left := len(drawn) - each * self.rows) > 0:
            yield Segment(f"\n{spell('…')} and {left:,} more\n", console.get_style("dim"))


def beside(row: Sequence[list[Segment]], width: int) -> Iterator[Segment]:
    """One line of several pictures, without spaces at its end."""
    spaces = ""
    for segments in row:
        yield Segment(spaces)
        yield from segments
        spaces = " " * (width - sum(segment.cell_length for segment in segments)) + GAP
    yield Segment("\n")


def pixels(image: Array, width: int) -> Array:
    """rows x columns x 3 numbers from 0 to 1, of a size to look at."""
    channels = image if len(image) == 3 else np.repeat(image.mean(axis=0)[None], 3, axis=0)
    shrink = max(1, -(-image.shape[2] // min(WIDE, width)))
    if shrink > 1:
        channels = boxes(channels, shrink)
    elif image.shape[2] <= NARROW:
        channels = np.repeat(np.repeat(channels, 2, axis=1), 2, axis=2)
    channels = np.nan_to_num(channels.astype(np.float64))
    low, high = channels.min(), channels.max()
    return np.moveaxis((channels - low) / (high - low or 1.0), 0, -1)


def boxes(channels: Array, size: int) -> Array:
    """The means of squares of `size` pixels; those at the far edges may be cut."""
    rows, columns = (np.arange(0, axis, size) for axis in channels.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(channels, rows, axis=1), columns, axis=2)
    ones = np.ones(channels.shape[1:])
    counts = np.add.reduceat(np.add.reduceat(ones, rows, axis=0), columns, axis=1)
    means: Array = sums / counts
    return means


def half_blocks(image: Array) -> list[list[Segment]]:
    """Two rows of pixels a line: the upper one is the character's colour, the lower its ground."""
    rows = [[tuple(pixel) for pixel in row] for row in np.rint(image * 255).astype(int).tolist()]
    pairs = zip_longest(rows[::2], rows[1::2], fillvalue=[None] * len(rows[0]))
    return [
        [Segment("▀", two_pixels(*pair)) for pair in zip(upper, lower, strict=True)]
        for upper, lower in pairs
    ]


@lru_cache(maxsize=4096)
def two_pixels(upper: tuple[int, ...], lower: tuple[int, ...] | None) -> Style:
    colours = [f"rgb({p[0]},{p[1]},{p[2]})" if p is not None else None for p in (upper, lower)]
    return Style(color=colours[0], bgcolor=colours[1])


def characters(image: Array) -> list[list[Segment]]:
    """Two rows of pixels a line, as the character that is as dark as both are bright."""
    grey = image.mean(axis=2)
    upper, lower = grey[::2], grey[1::2]
    if len(lower) < len(upper):
        lower = np.concatenate([lower, upper[-1:]])
    levels = np.rint((upper + lower) / 2 * (len(RAMP) - 1)).astype(int)
    return [[Segment("".join(RAMP[k] for k in row).rstrip())] for row in levels.tolist()]


class HeatLines:
    """A heat map: numbers, on red where positive and on blue where negative, the larger the deeper.

    Without colour the numbers alone are left, which say the same.
    """

    def __init__(self, heat: HeatMap) -> None:
        self.heat = heat

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        heat, spell = self.heat, in_ascii if options.ascii_only else str
        rows, columns = ([k for k in ks if k is not None] for ks in (heat.rows, heat.columns))
        shown = heat.array[np.ix_(rows, columns)]
        (kind,) = number_formats([shown], 4)
        text = cells(heat.array, kind, heat.rows, heat.columns)
        text = [[spell(cell) for cell in row] for row in text]
        width = max(len(cell) for row in text for cell in row) + 2
        largest = float(np.abs(shown[np.isfinite(shown)].astype(np.float64)).max(initial=0)) or 1.0
        each = max(1, options.max_width // width)
        for start in range(0, len(heat.columns), each):
            part = slice(start, start + each)
            heading = f"{heat.label + ': ' if heat.label else ''}{shape(heat.array.shape)}"
            some = [c for c in heat.columns[part] if c is not None]
            if each < len(heat.columns):
                heading += f"  columns {some[0]}–{some[-1]}"
            yield Segment(f"{spell(f'{heat.symbol}  {heading}')}\n", console.get_style("bold"))
            for r, row in zip(heat.rows, text, strict=True):
                for c, cell in zip(heat.columns[part], row[part], strict=True):
                    if r is None or c is None:
                        yield Segment(f"{cell:>{width - 1}} ")
                    elif heat.known is not None and not heat.known[r, c]:
                        yield Segment(f"{spell('·'):>{width - 1}} ")
                    else:
                        made = (r, c) == heat.made
                        marked = f"[{cell}]" if made else f"{cell} "
                        style = heat_style(float(heat.array[r, c]) / largest)
                        yield Segment(f"{marked:>{width}}", style)
                yield Segment("\n")
        if heat.known is None and (None in heat.rows or None in heat.columns):
            yield Segment(f"{spell(statistics(heat.array))}\n", console.get_style("dim"))


def heat_style(share: float) -> Style | None:
    """The colours for a number that is `share` of the largest."""
    if not np.isfinite(share) or share == 0:
        return None
    depth = min(1.0, abs(share))
    fade = round(235 - 160 * depth)
    red, blue = (235, fade) if share > 0 else (fade, 235)
    return Style(color="black" if depth < 0.7 else "white", bgcolor=f"rgb({red},{fade},{blue})")


OFTEN = 0.1  # the share of a class that is deep red where it is mistaken for another
NEVER = Style(color="grey50", bgcolor="rgb(235,235,235)")


class ConfusionMap:
    """Counts on blue where the network is right and on red where it is not, the more the deeper.

    Without colour the counts are left, which say the same.
    """

    def __init__(self, names: list[str], matrix: Array) -> None:
        self.names = names
        self.matrix = matrix
        self.shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        wrong = self.shares * (1 - np.eye(len(matrix)))
        self.often = max(OFTEN, float(wrong.max()))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bold = console.get_style("bold")
        names = list(map(in_ascii, self.names)) if options.ascii_only else self.names
        left = max(map(cell_len, names))
        width = 2 + max(left, len(f"{self.matrix.max():,}"))
        each = max(1, (options.max_width - left) // width)
        each = math.ceil(len(names) / math.ceil(len(names) / each))  # parts of one size
        for start in range(0, len(names), each):
            if start:
                yield Segment("\n")
            chosen = range(start, min(start + each, len(names)))
            headings = "".join(padded(names[j], width) for j in chosen)
            yield Segment(f"{' ' * left}{headings}\n", bold)
            for i, name in enumerate(names):
                yield Segment(name + " " * (left - cell_len(name)), bold)
                for j in chosen:
                    n = int(self.matrix[i, j])
                    text = f"{n:,}" if n or i == j else "·"
                    yield Segment(padded(text, width), self.style(i, j))
                yield Segment("\n")

    def style(self, i: int, j: int) -> Style | None:
        share = float(self.shares[i, j])
        if i == j:
            return heat_style(-share) or NEVER
        # The root, so that a few mistakes among many samples can be seen.
        return heat_style(math.sqrt(share / self.often)) or NEVER


def padded(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text
