"""nncli report."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import browser, options
from nncli.cli.completion import runs
from nncli.render.formats import suffixes

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="Run folders, one or more.", autocompletion=runs),
]
Output = Annotated[
    Path | None, options.output(f"Write the report to this file: {' '.join(suffixes())}")
]
Open = Annotated[bool, browser.open_option()]
WeightsOption = Annotated[options.WeightsWord | None, options.which_weights()]
Overwrite = Annotated[bool, options.overwrite()]
Worst = Annotated[
    int, typer.Option(metavar="N", min=0, help="How many of the worst samples to show.")
]


def report(
    runs: Runs,
    output: Output = None,
    open_: Open = False,
    overwrite: Overwrite = False,
    weights: WeightsOption = None,
    worst: Worst = 10,
    format: options.FormatOption = options.TableOrJson.table,
) -> None:
    """Report on trainings: curves, the flow through the layers, what the network confuses.

    As a page with -o report.html; with the spec, the data and the versions of each run, and several
    runs side by side. A network is measured where its data are still there.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.output import check_output
    from nncli.app.report import report as report_on
    from nncli.core.jsons import to_json
    from nncli.render import formats
    from nncli.render.pages.report import report_document, report_record, report_screen
    from nncli.render.streams import messages, results, say, write_text

    kind = browser.document_kind(output, opens=open_)
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=runs)
    which = options.chosen_weights(weights)
    made = report_on(runs, worst=worst, weights=which)
    if output is not None:
        read = [file for each in made.runs for file in each.run.spec.files()]
        check_output(output, overwrite=overwrite, inputs=read)
    for each in made.runs:
        for note in (*each.run.notes, *each.missing, *each.notes):
            say(messages(), note)
    if kind is not None:
        content = formats.write(kind, report_document(made))
        browser.write_page(content, output, overwrite=overwrite, opens=open_)
    if format is options.TableOrJson.json:
        write_text(to_json(report_record(made), indent=2))
    elif kind is None:
        results().print(report_screen(made), crop=False)
