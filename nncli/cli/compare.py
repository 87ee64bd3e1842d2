"""nncli compare."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import browser, options
from nncli.cli.completion import runs
from nncli.render.formats import suffixes

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN RUN...", help="Run folders, two or more.", autocompletion=runs),
]
Output = Annotated[Path | None, options.output(f"Write to this file: {' '.join(suffixes())}")]
Open = Annotated[bool, browser.open_option()]
Overwrite = Annotated[bool, options.overwrite()]


def compare(
    runs: Runs,
    output: Output = None,
    open_: Open = False,
    overwrite: Overwrite = False,
    format: options.FormatOption = options.TableOrJson.table,
) -> None:
    """Set runs side by side: what differs in their specs, how they ended, their curves."""
    from nncli.app.compare import compare as compare_runs
    from nncli.app.output import check_output
    from nncli.render import formats
    from nncli.render.pages.comparison import SideBySide, comparison_json
    from nncli.render.pages.report import comparison_document
    from nncli.render.streams import results, say, write_text

    kind = browser.document_kind(output, opens=open_)
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=runs)
    comparison = compare_runs(runs)
    for run in comparison.runs:
        for note in run.notes:
            say(note)
    if kind is not None:
        content = formats.write(kind, comparison_document(comparison))
        browser.write_page(content, output, overwrite=overwrite, opens=open_)
    if format is options.TableOrJson.json:
        write_text(comparison_json(comparison))
    elif kind is None:
        results().print(SideBySide(comparison), crop=False)
