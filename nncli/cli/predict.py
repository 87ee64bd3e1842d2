"""nncli predict."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import data_files
from nncli.cli.options import RunPath, words
from nncli.render.pages.predictions import PREDICTION_FORMATS, note_on_formulas, suffixes

if TYPE_CHECKING:
    FormatWord = StrEnum
else:
    FormatWord = words("Format", PREDICTION_FORMATS)

Inputs = Annotated[
    str,
    typer.Argument(
        metavar="INPUTS",
        help="A table (.csv .tsv .parquet .xlsx ...), .npy, .npz, IDX, or - for CSV from a pipe.",
        autocompletion=data_files,
    ),
]
SUFFIXES = " ".join(format.suffixes[0] for format in PREDICTION_FORMATS.values())
Output = Annotated[Path | None, options.output(f"Write to this file: {SUFFIXES}")]
WeightsOption = Annotated[options.WeightsWord | None, options.which_weights()]
Overwrite = Annotated[bool, options.overwrite()]
FormatOption = Annotated[
    FormatWord | None,
    typer.Option("--format", help="The format.", show_default="by the suffix of FILE, else csv"),
]


def predict(
    run: RunPath,
    inputs: Inputs,
    weights: WeightsOption = None,
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
    from nncli.render.streams import say, standard_output

    kind = "csv"
    if format is not None:
        kind = format.value
    elif output is not None:
        kind = format_by_suffix(output, suffixes())
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[inputs])
    which = options.chosen_weights(weights)
    predictions = predict_blocks(run, inputs, weights=which)
    formulas = note_on_formulas(predictions.names) if kind == "csv" else ()
    for note in (*predictions.notes, *formulas):
        say(note)
    if output is None:
        with standard_output(seekable=PREDICTION_FORMATS[kind].seeks) as file:
            PREDICTION_FORMATS[kind].write(predictions, file)
    else:
        with whole_file(output, overwrite=overwrite) as file:
            PREDICTION_FORMATS[kind].write(predictions, file)
    for note in predictions.counted:
        say(note)
