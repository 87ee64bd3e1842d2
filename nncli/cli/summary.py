"""nncli summary."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    table = "table"
    json = "json"


Source = Annotated[
    Path, typer.Argument(metavar="SPEC or RUN", help="A network spec, or a run folder.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the spec. Repeatable."),
]
Time = Annotated[
    bool, typer.Option("--time", help="Measure each layer, forward and backward (a second).")
]
FormatOption = Annotated[Format, typer.Option("--format", help="What to print on standard output.")]


def summary(
    source: Source,
    set_: Overrides = None,
    time: Time = False,
    format: FormatOption = Format.table,
) -> None:
    """List a network's layers: shapes, parameters, multiply-adds, memory.

    Where the spec gives data.shape, the data need not be there.
    """
    from nncli.api.summarising import summary as summarise
    from nncli.render.streams import results, write_text
    from nncli.render.summary import summary_json, summary_page

    made = summarise(source, set_ or [], timed=time)
    if format is Format.json:
        write_text(summary_json(made))
    else:
        results().print(summary_page(made))
