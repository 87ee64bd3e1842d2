"""nncli init."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import data_files, starters

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Write NAME.yaml. Without --data and --starter, NAME is that of a starter.",
        show_default="after the data",
        autocompletion=starters,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Make a spec for these data: a table (.csv .tsv .parquet ...), .npz, .npy or IDX.",
        autocompletion=data_files,
    ),
]
Targets = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The targets, where --data holds inputs alone.",
        show_default="y.npy beside x.npy, and the like",
        autocompletion=data_files,
    ),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="The table's target: a column's name, or index from 0. Repeatable.",
        show_default="the one that looks like it",
    ),
]
StarterName = Annotated[
    str | None,
    typer.Option(
        "--starter",
        metavar="NAME",
        help="Start from this one of the --list.",
        autocompletion=starters,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="MODEL.onnx",
        help="Make a spec of this trained network, with its weights beside it. Needs onnx.",
    ),
]
ShapeOption = Annotated[
    str | None,
    typer.Option(
        metavar="1,28,28",
        help="Of a sample of --from, where the model does not say it: channels, rows, columns.",
    ),
]
CostOption = Annotated[
    str | None,
    typer.Option(
        metavar="COST",
        help="Of --from: cross_entropy takes its outputs for logits.",
        show_default="as its last layer suggests",
    ),
]
List = Annotated[bool, typer.Option("--list", help="List the starters.")]
Stdout = Annotated[bool, typer.Option("--stdout", help="Print the spec, write nothing.")]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Try no networks on a table: propose one that is likely to suit."),
]
Overwrite = Annotated[bool, options.overwrite(what="files that are there")]


def init(
    name: Name = None,
    data: Data = None,
    targets: Targets = None,
    target: Target = None,
    starter: StarterName = None,
    from_: From = None,
    shape: ShapeOption = None,
    cost: CostOption = None,
    list_: List = False,
    quick: Quick = False,
    stdout: Stdout = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a spec to start from: for your own data, of an ONNX model, or one of the starters.

    Looks at a data file, tries a few networks on a table for some seconds, and writes a spec that
    trains on it at once.
    Comments in it say why each value was chosen, and what else there could be.
    Beside it lies the schema by which editors complete and check it.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.init import STARTERS, draft
    from nncli.app.init import init as write
    from nncli.core.text import count_of
    from nncli.render.pages.reports import init_report, starter_lines
    from nncli.render.streams import results, say, write_bytes

    def on_trials(networks: int, samples: int) -> None:
        count = count_of(samples, "sample")
        say(f"trying {networks} networks on {count}; --quick leaves that out")

    if from_ is None and (shape or cost):
        raise typer.BadParameter("--shape and --cost are of a model: --from MODEL.onnx")
    screen = results()
    if from_ is not None:
        from nncli.app.bring import from_onnx
        from nncli.cli.options import indices
        from nncli.render.pages.reports import brought_report

        if starter or list_ or stdout or quick:
            raise typer.BadParameter("--from goes without --starter, --list, --stdout and --quick")
        brought = from_onnx(
            from_,
            name,
            data=data,
            targets=targets,
            target=target or (),
            input_shape=None if shape is None else indices(shape, "--shape"),
            cost=cost,
            overwrite=overwrite,
        )
        lines = brought_report(brought, screen.width)
    elif list_ or not any((name, data, targets, target, starter)):
        lines = starter_lines(STARTERS)
    elif stdout:
        made = draft(
            name,
            data=data,
            targets=targets,
            target=target or (),
            starter=starter,
            quick=quick,
            on_trials=on_trials,
        )
        write_bytes(made.text.encode())
        return
    else:
        lines = init_report(
            write(
                name,
                data=data,
                targets=targets,
                target=target or (),
                starter=starter,
                overwrite=overwrite,
                quick=quick,
                on_trials=on_trials,
            ),
            screen.width,
        )
    for line in lines:
        screen.print(line, soft_wrap=True)
