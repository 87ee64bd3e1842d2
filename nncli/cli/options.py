"""What several commands ask for in the same words."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nncli.cli.complete import runs, specs, specs_or_runs


class TableOrJson(StrEnum):
    table = "table"
    json = "json"


SpecPath = Annotated[
    Path,
    typer.Argument(metavar="SPEC", help="The network spec, a YAML file.", autocompletion=specs),
]
SpecOrRun = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC or RUN",
        help="A network spec, or a run folder.",
        autocompletion=specs_or_runs,
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", autocompletion=runs)]
FormatOption = Annotated[
    TableOrJson, typer.Option("--format", help="What to print on standard output.")
]


def overrides(panel: str | None = None) -> Any:
    """`--set`, repeatable."""
    return typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value of the spec. Repeatable.",
        rich_help_panel=panel,
    )


def rows(panel: str | None = None) -> Any:
    return typer.Option(
        metavar="A:B", help="These rows of each matrix and table.", rich_help_panel=panel
    )


def columns(panel: str | None = None) -> Any:
    return typer.Option(metavar="A:B", help="These columns of each matrix.", rich_help_panel=panel)


def full(panel: str | None = None) -> Any:
    return typer.Option("--full", help="All of it, however long.", rich_help_panel=panel)
