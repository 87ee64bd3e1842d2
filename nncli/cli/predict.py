"""nncli predict."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import data_files
from nncli.cli.options import RunPath


class PredictionFormat(StrEnum):
    csv = "csv"
    jsonl = "jsonl"
    npy = "npy"


Inputs = Annotated[
    str,
    typer.Argument(
        metavar="INPUTS",
        help="A table (.csv .tsv), .npy, .npz, IDX, or - for CSV from a pipe.",
        autocompletion=data_files,
    ),
]
Output = Annotated[Path | None, options.output("Write to this file: .csv .jsonl .npy")]
Overwrite = Annotated[bool, options.overwrite()]
FormatOption = Annotated[
    PredictionFormat | None,
    typer.Option("--format", help="The format.", show_default="by the suffix of FILE, else csv"),
]


def predict(
    run: RunPath,
    inputs: Inputs,
    output: Output = None,
    overwrite: Overwrite = False,
    format: FormatOption = None,
) -> None:
    """Apply a trained network to new samples.

    A line a sample: its class, where there are any, and the outputs.
    Columns are found by name where there is a header; targets are left out.
    Inputs may be larger than memory.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.output import check_output
    from nncli.app.predict import predict_blocks
    from nncli.cli.options import format_by_suffix
    from nncli.core.files import whole_file
    from nncli.render.pages.predictions import SUFFIXES, WRITERS
    from nncli.render.streams import messages, standard_output

    kind = (
        format.value
        if format is not None
        else format_by_suffix(output, SUFFIXES)
        if output
        else "csv"
    )
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[inputs])
    predictions = predict_blocks(run, inputs)
    for note in predictions.notes:
        messages().print(note, soft_wrap=True)
    if output is None:
        with standard_output(seekable=kind == "npy") as file:
            WRITERS[kind](predictions, file)
    else:
        with whole_file(output, overwrite=overwrite) as file:
            WRITERS[kind](predictions, file)
