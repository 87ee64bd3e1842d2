"""Numbers on colours: by sign and size, or by how often a class is taken for another."""

import math

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from nncli.nn.arrays import Array
from nncli.render.array_text import cells, formats
from nncli.render.document import (
    HeatMap,
    statistics,
)
from nncli.render.text import shape


class HeatLines:
    """A heat map: numbers, on red where positive and on blue where negative, the larger the deeper.

    Without colour the numbers alone are left, which say the same.
    """

    def __init__(self, heat: HeatMap) -> None:
        self.heat = heat

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        heat = self.heat
        rows, columns = ([k for k in ks if k is not None] for ks in (heat.rows, heat.columns))
        shown = heat.array[np.ix_(rows, columns)]
        (kind,) = formats([shown], 4)
        text = cells(heat.array, kind, heat.rows, heat.columns)
        width = max(len(cell) for row in text for cell in row) + 2
        largest = float(np.abs(shown[np.isfinite(shown)].astype(np.float64)).max(initial=0)) or 1.0
        each = max(1, options.max_width // width)
        for start in range(0, len(heat.columns), each):
            part = slice(start, start + each)
            heading = f"{heat.label + ': ' if heat.label else ''}{shape(heat.array.shape)}"
            some = [c for c in heat.columns[part] if c is not None]
            if each < len(heat.columns):
                heading += f"  columns {some[0]}–{some[-1]}"
            yield Segment(f"{heat.symbol}  {heading}\n", console.get_style("bold"))
            for r, row in zip(heat.rows, text, strict=True):
                for c, cell in zip(heat.columns[part], row[part], strict=True):
                    missing = r is None or c is None
                    share = 0.0 if missing else float(heat.array[r, c]) / largest
                    yield Segment(f"{cell:>{width - 1}} ", heat_style(share))
                yield Segment("\n")
        if None in heat.rows or None in heat.columns:
            yield Segment(f"{statistics(heat.array)}\n", console.get_style("dim"))


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
        left = max(map(cell_len, self.names))
        width = 2 + max(left, len(f"{self.matrix.max():,}"))
        each = max(1, (options.max_width - left) // width)
        each = math.ceil(len(self.names) / math.ceil(len(self.names) / each))  # parts of one size
        for start in range(0, len(self.names), each):
            if start:
                yield Segment("\n")
            chosen = range(start, min(start + each, len(self.names)))
            headings = "".join(padded(self.names[j], width) for j in chosen)
            yield Segment(f"{' ' * left}{headings}\n", bold)
            for i, name in enumerate(self.names):
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
