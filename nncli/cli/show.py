"""nncli show."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import specs_or_runs


class ListingFormat(StrEnum):
    yaml = "yaml"
    json = "json"


Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="SPEC or RUN",
        help="A network spec, or a run folder. --quantities can do without.",
        autocompletion=specs_or_runs,
        show_default=False,
    ),
]
Quantities = Annotated[
    bool,
    typer.Option(
        "--quantities", help="List what the conditions of expect and break may name, instead."
    ),
]
Overrides = Annotated[list[str] | None, options.overrides()]
FormatOption = Annotated[
    ListingFormat, typer.Option("--format", help="What to print on standard output.")
]


def show(
    source: Source = None,
    quantities: Quantities = False,
    set_: Overrides = None,
    format: FormatOption = ListingFormat.yaml,
) -> None:
    """Show a spec with every default filled in, and where each value came from.

    What is printed is a spec itself: nncli show net.yaml > full.yaml. No data are read.
    """
    if quantities:
        _show_quantities(source, set_ or [], format)
        return
    if source is None:
        raise typer.BadParameter("name a SPEC or RUN to show, or --quantities")

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


def _show_quantities(source: Path | None, overrides: list[str], format: ListingFormat) -> None:
    from nncli.app.show import quantities
    from nncli.render.pages.conditions import quantities_json, quantities_lines
    from nncli.render.streams import results, write_text

    listing = quantities(source, overrides)
    if format is ListingFormat.json:
        write_text(quantities_json(listing))
    else:
        write_text("\n".join(quantities_lines(listing, results().width)))
