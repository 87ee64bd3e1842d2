"""nncli export."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import runs
from nncli.cli.options import FormatOption, TableOrJson


class To(StrEnum):
    onnx = "onnx"
    pytorch = "pytorch"
    safetensors = "safetensors"
    npz = "npz"


Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder, as nncli train leaves it.", autocompletion=runs
    ),
]
ToOption = Annotated[
    To, typer.Option("--to", metavar="FORMAT", help="onnx, pytorch, safetensors or npz.")
]
Output = Annotated[Path | None, options.output("The file to write.", show_default="the run's name")]
Overwrite = Annotated[bool, options.overwrite(what="files that are there")]


def export(
    run: Run,
    to: ToOption,
    output: Output = None,
    overwrite: Overwrite = False,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Write a trained network for other programs: ONNX, PyTorch, safetensors or NumPy.

    ONNX and PyTorch take raw inputs and scale them as the training did.

    The PyTorch module, when it is run, proves that it computes what nncli computed.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.export import export as run_export
    from nncli.render.pages.reports import exported_json, exported_text
    from nncli.render.streams import write_text

    done = run_export(run, to.value, output=output, overwrite=overwrite)
    write_text(exported_json(done) if format is TableOrJson.json else exported_text(done))
