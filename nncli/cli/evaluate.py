"""nncli evaluate."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    table = "table"
    json = "json"


Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Samples with their targets: .csv .tsv .npz, or inputs alone with --targets.",
        show_default="the run's test data, else validation, else training",
    ),
]
Targets = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The targets, where --data holds inputs alone."),
]
Worst = Annotated[
    int, typer.Option(metavar="N", min=0, help="How many of the worst samples to show.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="What to print on standard output.")]


def evaluate(
    run: Run,
    data: Data = None,
    targets: Targets = None,
    worst: Worst = 10,
    format: FormatOption = Format.table,
) -> None:
    """Measure a trained network: cost, accuracy, what it confuses, and the worst samples.

    For plain numbers as targets: the mean squared error and R² of each output.
    """
    if targets is not None and data is None:
        raise typer.BadParameter("--targets goes with --data, the file of the inputs")

    from nncli.api.evaluating import evaluate as measure
    from nncli.render.evaluation import evaluation_json, evaluation_page
    from nncli.render.streams import results, write_text

    evaluated = measure(run, data, targets, worst=worst)
    if format is Format.json:
        write_text(evaluation_json(evaluated))
    else:
        results().print(evaluation_page(evaluated))
