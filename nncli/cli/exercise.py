"""nncli exercise."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncli.cli import browser, options
from nncli.render.formats import suffixes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nncli import Sheet

SHEET, OUTPUT = "Which sheets", "Output"

Topic = Annotated[
    str,
    typer.Option(
        metavar="WORD",
        help="dense, softmax, conv, update or kronecker.",
        rich_help_panel=SHEET,
    ),
]
Level = Annotated[
    int,
    typer.Option(
        min=1, max=5, metavar="1-5", help="From one layer to a whole step.", rich_help_panel=SHEET
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Of the numbers; each seed is another sheet.",
        rich_help_panel=SHEET,
    ),
]
Count = Annotated[
    int,
    typer.Option(
        min=1,
        max=1000,
        metavar="N",
        help="So many sheets, of this seed and those after it.",
        rich_help_panel=SHEET,
    ),
]
Solution = Annotated[
    bool,
    typer.Option(
        "--solution", help="Print the solution, every product shown.", rich_help_panel=OUTPUT
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Write the sheets, forms for the answers and the key to this folder.",
        show_default="exercises/TOPIC-LEVEL, where --count asks for several",
        rich_help_panel=OUTPUT,
    ),
]
FormatOption = Annotated[
    str | None,
    options.document_format(OUTPUT, "table; in a folder markdown, latex and html"),
]
Output = Annotated[
    Path | None,
    options.output(f"Write one sheet to this file: {' '.join(suffixes())}", OUTPUT),
]
Overwrite = Annotated[bool, options.overwrite(OUTPUT, "files that are there")]
Open = Annotated[bool, browser.open_option(OUTPUT)]


def exercise(
    topic: Topic = "dense",
    level: Level = 1,
    seed: Seed = 0,
    count: Count = 1,
    solution: Solution = False,
    out: Out = None,
    format: FormatOption = None,
    output: Output = None,
    overwrite: Overwrite = False,
    open_: Open = False,
) -> None:
    """Make exercises: small networks with blanks, to be computed by hand.

    Weights are round and σ is tabulated. The key is proven as inspect-grad proves a step.
    In a folder: a sheet for each student, forms for the answers, solutions, and key.json for grade.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.exercise import exercises
    from nncli.app.output import check_output
    from nncli.core.errors import NncliError
    from nncli.render.pages.exercise import sheet_document

    kind = browser.document_kind(output, opens=open_, format=format)
    is_folder = out is not None or count > 1
    if is_folder and (output is not None or open_):
        raise NncliError("--output and --open are for one sheet; --out and --count make a folder")
    if is_folder and solution:
        raise NncliError(
            "--solution is for one sheet; a folder has the solutions beside the sheets"
        )
    if is_folder and kind in ("json", "npz"):
        raise NncliError(f"--format {kind}: would hold the answers, which key.json does")
    if output is not None:
        check_output(output, overwrite=overwrite)
    sheets = exercises(topic, level, seed, count)
    if is_folder:
        _write_folder(sheets, count, kind, out, overwrite=overwrite)
        return
    document = sheet_document(next(sheets), solved=solution)
    browser.write_document(document, kind, output, overwrite=overwrite, opens=open_)


def _write_folder(
    sheets: "Iterator[Sheet]", count: int, kind: str | None, out: Path | None, *, overwrite: bool
) -> None:
    """Writes sheets, forms for their answers, their solutions and the key to a folder."""
    from nncli.app.exercise import write_sheets
    from nncli.core.text import count_of, printable
    from nncli.render.formats import FORMATS, write
    from nncli.render.pages.exercise import sheet_document
    from nncli.render.pages.exercise_key import form_csv, form_json, key_json
    from nncli.render.streams import DelayedProgressBar, say

    kinds = ("markdown", "latex", "html") if kind is None else (kind,)
    files: dict[str, bytes] = {}
    made = []
    with DelayedProgressBar() as progress:
        for k, sheet in enumerate(sheets, 1):
            made.append(sheet)
            document, solved = sheet_document(sheet), sheet_document(sheet, solved=True)
            for each in kinds:
                suffix = FORMATS[each].suffix or ".tex"
                files[f"{sheet.name}{suffix}"] = write(each, document)
                files[f"solutions/{sheet.name}{suffix}"] = write(each, solved)
            files[f"{sheet.name}.csv"] = form_csv(sheet).encode()
            files[f"{sheet.name}.json"] = form_json(sheet).encode()
            progress(k, count)
    folder = Path("exercises", made[0].kind.name) if out is None else out
    files["key.json"] = key_json(made).encode()
    write_sheets(folder, files, overwrite=overwrite)
    say(
        f"{printable(folder)}: {count_of(count, 'sheet')}, each with forms for the answers; "
        "solutions/ and key.json are for the teacher",
    )
