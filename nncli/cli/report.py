"""nncli report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nncli.cli import browser, options
from nncli.cli.completion import runs_or_sweeps
from nncli.render.formats import suffixes

if TYPE_CHECKING:
    from collections.abc import Callable

    from nncli.render.document import Document
    from nncli.training.best import Which

Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...",
        help="Run folders, one or more; or the folder of a sweep.",
        autocompletion=runs_or_sweeps,
    ),
]
Output = Annotated[
    Path | None, options.output(f"Write the report to this file: {' '.join(suffixes())}")
]
Open = Annotated[bool, browser.open_option()]
WeightsOption = Annotated[options.WeightsWord | None, options.which_weights()]
Overwrite = Annotated[bool, options.overwrite()]
Worst = Annotated[int, options.worst()]


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
    from nncli.core.jsons import to_json
    from nncli.render import formats
    from nncli.render.streams import results, say, write_text
    from nncli.training.run_files import is_sweep_folder

    kind = browser.document_kind(output, opens=open_)
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=runs)
    which = options.chosen_weights(weights)
    if len(runs) == 1 and is_sweep_folder(runs[0]):
        told = _of_sweep(runs[0])
    else:
        told = _of_runs(runs, worst, which)
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=told.files)
    for note in told.notes:
        say(note)
    if kind is not None:
        content = formats.write(kind, told.document)
        browser.write_page(content, output, overwrite=overwrite, opens=open_)
    if format is options.TableOrJson.json:
        write_text(to_json(told.document.record(), indent=2))
    elif kind is None:
        results().print(told.screen(), crop=False)


class _Told(NamedTuple):
    """A report: for files, for the screen, what is said beside it, and which files it is of."""

    document: "Document"
    screen: "Callable[[], Any]"
    notes: tuple[str, ...]
    files: tuple[str | Path, ...]


def _of_runs(runs: list[Path], worst: int, weights: "Which | None") -> _Told:
    from nncli.app.report import report as report_on
    from nncli.render.pages.report import report_document, report_screen

    made = report_on(runs, worst=worst, weights=weights)
    notes = [n for each in made.runs for n in (*each.run.notes, *each.missing, *each.notes)]
    files = [file for each in made.runs for file in each.run.spec.files()]
    return _Told(report_document(made), lambda: report_screen(made), tuple(notes), tuple(files))


def _of_sweep(folder: Path) -> _Told:
    from nncli.app.sweep_report import report_sweep
    from nncli.render.pages.sweep import SweepPage, sweep_document

    made = report_sweep(folder)
    return _Told(sweep_document(made), lambda: SweepPage(made.record), made.record.notes, ())
