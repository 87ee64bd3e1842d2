"""A filter sliding over a matrix, as a film of its windows that keys pause, step and end."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from nncli.core.errors import NncliError
from nncli.filtering.record import Filtering, Window, output_index, window
from nncli.nn.arrays import Array, Shape
from nncli.render.document import HeatMap, Indices, Page, Paragraph
from nncli.render.pages.filtering import filters
from nncli.render.pages.windows import products
from nncli.render.terminal import TerminalPage
from nncli.render.text import MOST_COLUMNS, MOST_ROWS, Extent, number

PAUSE = 0.5  # seconds a window, at first
FASTEST, SLOWEST = 1 / 64, 8.0
KEYS = "space: pause, ← →: step, + −: speed, q: end"
LOW_ROWS = 4  # of the output, where the terminal is low
NO_ROOM = "The output has no room here: it takes a higher terminal."

ReadKey = Callable[[float | None], str]  # the key pressed within so many seconds, or ""


class Film:
    """Which window is shown, and whether the next one comes by itself.

    Args:
        places: of the windows, as indices of the output; all of them where there are none.
        extent: what of the output is shown; where nothing is chosen, what is around the window.
    """

    def __init__(self, done: Filtering, places: Sequence[Shape], extent: Extent) -> None:
        self.done = done
        self.places = places
        self.extent = extent
        self.count = len(places) or math.prod(done.output.shape)
        self.at = 0
        self.is_playing = True
        self.is_over = False
        self.pause = PAUSE

    def press(self, key: str) -> None:
        """What a key does; "" is the time that has passed without one."""
        if key in ("q", "escape"):
            self.is_over = True
        elif key == " ":
            self.is_playing = not self.is_playing
        elif key in ("right", "n"):
            self._stop_at(self.at + 1)
        elif key in ("left", "b"):
            self._stop_at(self.at - 1)
        elif key in ("+", "=", "up"):
            self.pause = max(FASTEST, self.pause / 2)
        elif key in ("-", "_", "down"):
            self.pause = min(SLOWEST, self.pause * 2)
        elif not key and self.is_playing:
            self.at = (self.at + 1) % self.count

    def _stop_at(self, at: int) -> None:
        self.is_playing = False
        self.at = min(max(0, at), self.count - 1)

    def place(self, k: int) -> Shape:
        """The index of the k-th output."""
        return self.places[k] if self.places else output_index(self.done.output.shape, k)

    def page(self, width: int, height: int, *, keys: bool) -> Page:
        """The window, and below it the output as far as it has come, where there is room."""
        made = window(self.done, *self.place(self.at))
        status: Page = [Paragraph(self.status(), note=True)] if keys else []
        turned = filters(self.done, Extent()) if self.done.options.get("flip") else ()
        page: Page = [
            *turned,
            *products(self.done, made, Extent(), width),
            self.output(made, MOST_ROWS),
            *status,
        ]
        if height_of(page, width) < height:
            return page
        brief: Page = [*products(self.done, made, Extent(), width, is_brief=True)]
        page = [*brief, self.output(made, LOW_ROWS), *status]
        if height_of(page, width) < height:
            return page
        return [*brief, Paragraph(NO_ROOM, note=True), *status]

    def status(self) -> str:
        speed = f"{number(1 / self.pause, 2)} a second" if self.is_playing else "paused"
        return f"window {self.at + 1:,} of {self.count:,}, {speed} ({KEYS})"

    def output(self, made: Window, most: int) -> HeatMap:
        """The output that a window is a part of, as far as it has come, the last cell marked."""
        k, (row, column) = made.channel, made.at
        plane = self.done.output if k is None else self.done.output[k]
        rows, columns = (
            self.extent.row_indices(plane.shape[0]),
            self.extent.column_indices(plane.shape[1]),
        )
        if None in rows or (most < len(rows) and not self.extent.rows):
            rows = centred_indices(row, plane.shape[0], most)
        if None in columns:
            columns = centred_indices(column, plane.shape[1], MOST_COLUMNS)
        parts = [
            *([] if k is None else [f"channel {k}"]),
            *stretch("rows", rows, plane.shape[0]),
            *stretch("columns", columns, plane.shape[1]),
        ]
        known = self.is_known(made)
        return HeatMap("output", plane, rows, columns, ", ".join(parts), known, (row, column))

    def is_known(self, made: Window) -> Array:
        """Which cells of the window's output have come so far, rows x columns."""
        shape = self.done.output.shape
        known = np.zeros(shape[-2:], bool)
        if self.places:
            for place in self.places[: self.at + 1]:
                if made.channel is None or place[0] == made.channel:
                    known[place[-2:]] = True
        else:
            channels = math.prod(shape[:-2])
            known.flat[: (self.at - (made.channel or 0)) // channels + 1] = True
        return known


def centred_indices(at: int, size: int, most: int) -> list[int | None]:
    """`most` indices of an axis, or all of a shorter one, with `at` in their middle."""
    first = max(0, min(at - most // 2, size - most))
    return list(range(first, min(size, first + most)))


def stretch(name: str, indices: Indices, size: int) -> list[str]:
    """Which indices of an axis are shown, where these are not all."""
    return [] if len(indices) == size else [f"{name} {indices[0]}–{indices[-1]}"]


def height_of(page: Page, width: int) -> int:
    console = Console(width=width)
    return len(console.render_lines(TerminalPage(page)))


def play(film: Film, console: Console, read_key: ReadKey | None) -> None:
    """Shows a film, over and over, until it is ended; without `read_key`, until Ctrl-C.

    Raises:
        NncliError: the console is no terminal.
    """
    from time import sleep

    from rich.live import Live

    if not console.is_terminal:
        raise NncliError("--animate plays in a terminal, not in a pipe or a file")
    with Live(console=console, auto_refresh=False) as live:
        while not film.is_over:
            page = film.page(console.width, console.height, keys=read_key is not None)
            live.update(TerminalPage(page), refresh=True)
            if read_key is None:
                sleep(film.pause)
                film.press("")
            else:
                film.press(read_key(film.pause if film.is_playing else None))
