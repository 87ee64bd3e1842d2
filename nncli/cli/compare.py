"""nncli compare."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import runs

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN RUN...", help="Run folders, two or more.", autocompletion=runs),
]


def compare(runs: Runs, format: options.FormatOption = options.TableOrJson.table) -> None:
    """Set runs side by side: what differs in their specs, how they ended, their curves."""
    from nncli.app.compare import compare as compare_runs
    from nncli.render.pages.comparison import SideBySide, comparison_json
    from nncli.render.streams import messages, results, say, write_text

    comparison = compare_runs(runs)
    for run in comparison.runs:
        for note in run.notes:
            say(messages(), note)
    if format is options.TableOrJson.json:
        write_text(comparison_json(comparison))
    else:
        results().print(SideBySide(comparison), crop=False)
