"""The sliding window as a film."""

from collections.abc import Generator, Sequence
from time import sleep

from rich.console import Console
from rich.live import Live

from nncli.core.errors import NncliError
from nncli.filtering.record import Filtering, Window, all_windows, window
from nncli.nn.arrays import Shape
from nncli.render.array_text import Extent
from nncli.render.document import Heading, HeatMap, Page
from nncli.render.pages.filtering import heat_map
from nncli.render.pages.windows import products
from nncli.render.terminal import TerminalPage

PAUSE = 0.5  # seconds a window


def play(
    done: Filtering, places: Sequence[Shape], extent: Extent, console: Console
) -> Generator[None, None, None]:
    """Shows one window after the other, over and over; yields between two of them.

    Args:
        places: of the windows, as indices of the output; all of them where there are none.
        extent: what of the output is shown below, where there is room.

    Raises:
        NncliError: the console is no terminal.
    """
    if not console.is_terminal:
        raise NncliError("--animate plays in a terminal, not in a pipe or a file")
    with Live(console=console, auto_refresh=False) as live:
        while True:
            windows = (window(done, *place) for place in places) if places else all_windows(done)
            for made in windows:
                page: Page = [*products(done, made, Extent(), console.width)]
                output: Page = [Heading("output", 2), output_of(done, made, extent)]
                if len(console.render_lines(TerminalPage([*page, *output]))) < console.height:
                    page += output
                live.update(TerminalPage(page), refresh=True)
                sleep(PAUSE)
                yield


def output_of(done: Filtering, made: Window, extent: Extent) -> HeatMap:
    """The output that a window is a part of: that of its channel, where each has its own."""
    if made.channel is None:
        return heat_map("output", done.output, extent)
    return heat_map("output", done.output[made.channel], extent, f"channel {made.channel}")
