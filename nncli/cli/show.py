"""nncli show."""

from enum import StrEnum
from typing import Annotated

import typer

from nncli.cli import options


class ListingFormat(StrEnum):
    yaml = "yaml"
    json = "json"


Overrides = Annotated[list[str] | None, options.overrides()]
FormatOption = Annotated[ListingFormat, typer.Option("--format", help="What to print.")]


def show(
    source: options.SpecOrRun,
    set_: Overrides = None,
    format: FormatOption = ListingFormat.yaml,
) -> None:
    """Show a spec with every default filled in, and where each value came from.

    What is printed is a spec itself: nncli show net.yaml > full.yaml. No data are read.
    """
    from nncli.app.show import show as list_spec
    from nncli.render.pages.reports import TerminalListing, listing_json, listing_yaml
    from nncli.render.streams import results, write_bytes, write_text

    listing = list_spec(source, set_ or [])
    if format is ListingFormat.json:
        write_text(listing_json(listing))
    elif (screen := results()).is_terminal:
        screen.print(TerminalListing(listing), crop=False)
    else:
        write_bytes(listing_yaml(listing).encode())
