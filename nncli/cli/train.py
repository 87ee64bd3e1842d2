"""nncli train."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Tables(StrEnum):
    none = "none"
    last = "last"
    every = "every"


class Format(StrEnum):
    table = "table"
    json = "json"


def train(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The network spec, a YAML file.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run folder.", show_default="runs/<name>"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that is there already.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a value: --set train.eta=0.5. Repeatable."
        ),
    ] = None,
    tables: Annotated[Tables, typer.Option(help="When to show the per-layer table.")] = Tables.last,
    every: Annotated[
        int, typer.Option(metavar="N", min=1, help="With --tables every: each N epochs.")
    ] = 1,
    full: Annotated[
        bool, typer.Option("--full", help="Also show the matrices of the step themselves.")
    ] = False,
    format: Annotated[
        Format, typer.Option("--format", help="What to print on standard output.")
    ] = Format.table,
) -> None:
    """Train a network from a spec, and show layer by layer what happens.

    Writes a run folder with the spec, the metrics of every epoch and the trained weights.
    """
    from nncli.cli.training import run_training

    run_training(
        spec,
        out=out,
        overwrite=overwrite,
        overrides=set_ or [],
        tables=tables,
        every=every,
        full=full,
        as_json=format is Format.json,
    )
