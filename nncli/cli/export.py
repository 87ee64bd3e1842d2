"""nncli export."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import runs
from nncli.cli.options import FormatOption, TableOrJson, words
from nncli.core.text import join_words
from nncli.exchange.formats import EXPORT_FORMATS

if TYPE_CHECKING:
    To = StrEnum
else:
    To = words("To", EXPORT_FORMATS)

Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run folder, as nncli train leaves it; with --train also a spec.",
        autocompletion=runs,
    ),
]
ToOption = Annotated[
    To, typer.Option("--to", metavar="FORMAT", help=f"{join_words(EXPORT_FORMATS)}.")
]
Output = Annotated[Path | None, options.output("The file to write.", show_default="the run's name")]
WeightsOption = Annotated[options.WeightsWord | None, options.which_weights()]
Train = Annotated[
    bool,
    typer.Option(
        "--train",
        help="For pytorch: a script that trains, also in several processes: the same samples and "
        "first weights, the first steps equal to nncli's.",
    ),
]
Overwrite = Annotated[bool, options.overwrite(what="files that are there")]


def export(
    run: Run,
    to: ToOption,
    train: Train = False,
    weights: WeightsOption = None,
    output: Output = None,
    overwrite: Overwrite = False,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Write a trained network for other programs: ONNX, PyTorch, safetensors or NumPy.

    ONNX and PyTorch take raw inputs and scale them as the training did, and give outputs in the
    targets' own units.

    The PyTorch module, when it is run, proves that it computes what nncli computed.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.export import export as run_export
    from nncli.render.pages.reports import exported_json, exported_text
    from nncli.render.streams import write_text

    which = options.chosen_weights(weights)
    done = run_export(run, to.value, output=output, overwrite=overwrite, weights=which, train=train)
    write_text(exported_json(done) if format is TableOrJson.json else exported_text(done))
