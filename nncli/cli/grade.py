"""nncli grade."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.render.formats import FORMATS, suffixes

FORMATS_HERE = ("csv", *FORMATS)

Key = Annotated[
    Path, typer.Argument(metavar="KEY", help="key.json, as nncli exercise --out writes it.")
]
Answers = Annotated[
    list[Path],
    typer.Argument(
        metavar="ANSWERS...",
        help="Forms that were filled in: .csv, .xlsx or .json; or folders of them.",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        metavar="WORD",
        help=f"The format: {', '.join(FORMATS_HERE)}.",
        show_default="table",
    ),
]
Output = Annotated[Path | None, options.output(f"Write to this file: .csv {' '.join(suffixes())}")]
Overwrite = Annotated[bool, options.overwrite()]


def grade(
    key: Key,
    answers: Answers,
    format: FormatOption = None,
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Mark the answers of a class to the sheets of nncli exercise.

    What follows rightly from a mistake counts as right, and the mistake is named as by check.
    Exit status 0: every file was marked; 1: one could not be, and the others were.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.grade import grade as mark
    from nncli.app.output import check_output
    from nncli.cli.options import format_by_suffix, word
    from nncli.core.errors import FailedCheck
    from nncli.core.files import write_whole
    from nncli.render.formats import write
    from nncli.render.pages.grades import grades_csv, grades_document, unmarked_words
    from nncli.render.streams import DelayedProgressBar, results, write_bytes
    from nncli.render.terminal import TerminalPage

    kind = None if format is None else word(format, "--format", FORMATS_HERE)
    if output is not None:
        kind = kind or format_by_suffix(output, {".csv": "csv", **suffixes()})
        check_output(output, overwrite=overwrite, inputs=[key, *answers])
    with DelayedProgressBar() as progress:
        grades = mark(key, answers, progress=progress)
    document = grades_document(grades.marked)
    if kind is None or (kind == "table" and output is None):
        results().print(TerminalPage(document.page), crop=False)
    else:
        made = grades_csv(grades.marked).encode() if kind == "csv" else write(kind, document)
        if output is None:
            write_bytes(made)
        else:
            write_whole(output, made, overwrite=overwrite)
    if not grades.complete:
        raise FailedCheck(unmarked_words(grades.marked))
