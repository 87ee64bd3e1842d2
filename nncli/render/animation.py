"""The sliding window as a film."""

from collections.abc import Generator
from time import sleep

from rich.console import Console
from rich.live import Live

from nncli.errors import NncliError
from nncli.inspection.filtering import Filtering, all_windows
from nncli.render.document import Heading, HeatMap, Page
from nncli.render.filtering import products
from nncli.render.grid import Extent
from nncli.render.terminal import OnTerminal

PAUSE = 0.5  # seconds a window


def play(done: Filtering, console: Console) -> Generator[None, None, None]:
    """Shows one window after the other, over and over; yields between two of them.

    Raises:
        NncliError: the console is no terminal, or each channel has an output of its own.
    """
    if not console.is_terminal:
        raise NncliError("--animate plays in a terminal, not in a pipe or a file")
    if done.output.ndim == 3:
        raise NncliError("--animate shows a matrix without channels, or one that is summed")
    extent = Extent()
    rows, columns = (
        extent.row_indices(done.output.shape[0]),
        extent.column_indices(done.output.shape[1]),
    )
    with Live(console=console, auto_refresh=False) as live:
        while True:
            for made in all_windows(done):
                page: Page = [*products(done, made, extent, console.width)]
                output: Page = [
                    Heading("output", 2),
                    HeatMap("output", done.output, rows, columns),
                ]
                if len(console.render_lines(OnTerminal([*page, *output]))) < console.height:
                    page += output
                live.update(OnTerminal(page), refresh=True)
                sleep(PAUSE)
                yield
