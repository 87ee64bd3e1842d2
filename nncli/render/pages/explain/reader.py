"""A derivation on a terminal: one screen at a time, by keys."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.constrain import Constrain

from nncli.inspection.derivation.base import Derivation
from nncli.render.document import Lines, Page
from nncli.render.pages.explain.fitting import height_of
from nncli.render.pages.explain.screens import Screen, screens
from nncli.render.pages.explain.words import HEIGHT, WIDTH
from nncli.render.pages.film import ReadKey
from nncli.render.terminal import TerminalPage

KEYS = ("space: on, b: back, 7 g: jump, q: end", "space, b, 7 g, q")  # the first that fits
NEXT, BACK = (" ", "right", "n", "down"), ("left", "b", "p", "up")
ENTER, ERASE = ("\n", "\r"), ("\x7f", "\b")
LOWEST = 10  # lines of a terminal that a screen is laid out for


class Reader:
    """Which screen is shown, and the number that has been typed so far."""

    def __init__(self, shown: Sequence[Screen]) -> None:
        self.shown = shown
        self.at = 0
        self.typed = ""
        self.is_over = False

    def press(self, key: str) -> None:
        """What a key does; a number before `g` or Enter is that of the screen to go to."""
        if key.isdecimal() and key.isascii():
            self.typed = (self.typed + key)[-4:]
            return
        if key in ERASE and self.typed:
            self.typed = self.typed[:-1]
            return
        typed, self.typed = self.typed, ""
        if key in ("q", "escape"):
            self.is_over = True
        elif key in ("g", *ENTER) and typed:
            self._go(int(typed) - 1)
        elif key in (*NEXT, *ENTER):
            self._go(self.at + 1)
        elif key in (*BACK, *ERASE):
            self._go(self.at - 1)

    def _go(self, to: int) -> None:
        self.at = min(max(0, to), len(self.shown) - 1)

    def page(self, height: int, width: int) -> Page:
        """The screen, and its line of progress at the bottom."""
        screen = self.shown[self.at]
        body = screen.page
        blank = max(0, height - 2 - height_of(body, width))
        return [*body, Lines((*[""] * blank, self.status(width)))]

    def status(self, width: int) -> str:
        """`3/14 · dense2 · the chain rule through σ`, and the keys where there is room."""
        progress = self.shown[self.at].progress(len(self.shown))
        for keys in (f"go to {self.typed}: g",) if self.typed else KEYS:
            room = width - cell_len(progress) - cell_len(keys)
            if room > 1:
                return f"{progress}{' ' * room}{keys}"
        return progress


def read(derivation: Derivation, console: Console, read_key: ReadKey) -> None:
    """Shows a derivation screen by screen, until it is ended."""
    from rich.live import Live

    height = min(max(console.height, LOWEST), HEIGHT)
    width = min(console.width, WIDTH)
    reader = Reader(screens(derivation, height, width))
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not reader.is_over:
            made = TerminalPage(reader.page(height, width))
            live.update(Constrain(made, width), refresh=True)
            reader.press(read_key(None))
