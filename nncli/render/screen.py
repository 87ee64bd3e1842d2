"""The console of rich that all commands write to."""

import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from nncli.render.text import spelled_out


class Screen(Console):
    """A console that goes silent, rather than ends the program, when its reader has left.

    Text is spelled out before it is laid out where the terminal or the pipe lacks its symbols.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        if isinstance(renderable, Text) and (options or self.options).ascii_only:
            renderable = spelled_out(renderable)
        return super().render(renderable, options)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
