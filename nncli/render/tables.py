"""How every table here looks."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text


def table(headings: Sequence[str], title: str = "", *, left: int = 1) -> Table:
    """A table with a line under its headings; the first `left` columns are words, not numbers."""
    made = Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for k, heading in enumerate(headings):
        made.add_column(Text(heading), justify="left" if k < left else "right", no_wrap=k > 0)
    return made
