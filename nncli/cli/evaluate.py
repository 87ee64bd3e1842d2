"""nncli evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import browser, options
from nncli.cli.completion import data_files
from nncli.cli.options import FormatOption, RunPath, TableOrJson
from nncli.render.formats import suffixes

Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        autocompletion=data_files,
        help="Samples with their targets: .csv .tsv .npz, or inputs alone with --targets.",
        show_default="the run's test data, else validation, else training",
    ),
]
Targets = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The targets, where --data holds inputs alone.",
        autocompletion=data_files,
    ),
]
Worst = Annotated[int, options.worst()]
WeightsOption = Annotated[options.WeightsWord | None, options.which_weights()]
Output = Annotated[Path | None, options.output(f"Write to this file: {' '.join(suffixes())}")]
Open = Annotated[bool, browser.open_option()]
Overwrite = Annotated[bool, options.overwrite()]


def evaluate(
    run: RunPath,
    data: Data = None,
    targets: Targets = None,
    weights: WeightsOption = None,
    worst: Worst = 10,
    output: Output = None,
    open_: Open = False,
    overwrite: Overwrite = False,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Measure a trained network: cost, accuracy, what it confuses, and the worst samples.

    For plain numbers as targets: the mean squared error and R² of each output.
    """
    if targets is not None and data is None:
        raise typer.BadParameter("--targets goes with --data, the file of the inputs")

    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.evaluate import evaluate as measure
    from nncli.app.opening import open_run
    from nncli.app.output import check_output
    from nncli.render import formats
    from nncli.render.pages.evaluation import evaluation_document, evaluation_json, evaluation_page
    from nncli.render.streams import results, say, write_text

    kind = browser.document_kind(output, opens=open_)
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[run, *filter(None, (data, targets))])
    opened = open_run(run, options.chosen_weights(weights))
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=opened.spec.files())
    for note in opened.all_notes:
        say(note)
    evaluated = measure(opened, data, targets, worst=worst)
    for note in evaluated.notes:
        say(note)
    if kind is not None:
        content = formats.write(kind, evaluation_document(evaluated))
        browser.write_page(content, output, overwrite=overwrite, opens=open_)
    if format is TableOrJson.json:
        write_text(evaluation_json(evaluated))
    elif kind is None:
        results().print(evaluation_page(evaluated))
