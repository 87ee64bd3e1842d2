"""nncli show."""

from enum import StrEnum
from typing import Annotated

import typer

from nncli.cli import options


class Format(StrEnum):
    yaml = "yaml"
    json = "json"


Overrides = Annotated[list[str] | None, options.overrides()]
FormatOption = Annotated[Format, typer.Option("--format", help="What to print.")]


def show(
    source: options.SpecOrRun,
    set_: Overrides = None,
    format: FormatOption = Format.yaml,
) -> None:
    """Show a spec with every default filled in, and where each value came from.

    What is printed is a spec itself: nncli show net.yaml > full.yaml. No data are read.
    """
    from nncli.app.show import show as shown_of
    from nncli.render.pages.spec_listing import ShownSpec, shown_json, shown_yaml
    from nncli.render.streams import results, write_bytes, write_text

    shown = shown_of(source, set_ or [])
    if format is Format.json:
        write_text(shown_json(shown))
    elif (screen := results()).is_terminal:
        screen.print(ShownSpec(shown), crop=False)
    else:
        write_bytes(shown_yaml(shown).encode())
