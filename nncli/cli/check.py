"""nncli check."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import options
from nncli.cli.options import FormatOption, SpecOrRun, TableOrJson

Mine = Annotated[
    Path,
    typer.Argument(
        metavar="MINE",
        help="Your arrays: .npz, .safetensors, .json, or a folder of .csv files.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="YOURS=NAME",
        help="What an array is, as dW1=dense1.weight_gradient; - leaves it out. Repeatable.",
    ),
]
Samples = Annotated[
    str | None,
    typer.Option(
        metavar="0,3,7",
        help="The step is on these samples of the training data.",
        show_default="sample 0 or the mini-batch, as fits",
    ),
]
Batch = Annotated[
    bool, typer.Option("--batch", help="The step is on the mini-batch that training would draw.")
]
StepNumber = Annotated[
    int, typer.Option(metavar="K", min=1, help="The K-th step of training, after K−1 real ones.")
]
Overrides = Annotated[list[str] | None, options.overrides()]


def check(
    source: SpecOrRun,
    mine: Mine,
    name: Names = None,
    samples: Samples = None,
    batch: Batch = False,
    step: StepNumber = 1,
    set_: Overrides = None,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Check a backpropagation of your own, and name the mistake in it.

    MINE holds any of a step's quantities: z, a, δ, gradients, updates, new weights, the cost.
    They are compared with the same step here, from the weights of SPEC or those in MINE.
    Exit status 0: right; 1: something is wrong; 2: it cannot be compared. No code of yours is run.
    """
    if batch and samples is not None:
        raise typer.BadParameter("--batch and --samples each choose the mini-batch; give one")
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.check import check as compare
    from nncli.app.opening import open_spec_or_run
    from nncli.cli.options import indices
    from nncli.core.errors import FailedCheck, NncliError
    from nncli.core.text import brief
    from nncli.render.pages.checked import checked_json, checked_page, verdict
    from nncli.render.streams import messages, results, say, write_text
    from nncli.render.terminal import TerminalPage

    names: dict[str, str] = {}
    for pair in name or []:
        yours, sign, said = pair.rpartition("=")
        if not sign or not yours or not said:
            raise NncliError(f"--name {brief(pair)}: takes YOURS=NAME, as dW1=dense1.delta")
        names[yours] = said
    chosen = () if samples is None else indices(samples, "--samples")
    opened = open_spec_or_run(source, set_ or [])
    for note in opened.notes:
        say(messages(), note)
    checked = compare(opened, mine, names=names, samples=chosen, batch=batch, step=step)
    if format is TableOrJson.json:
        write_text(checked_json(checked))
    else:
        results().print(TerminalPage(checked_page(checked)), crop=False)
    if not checked.right:
        raise FailedCheck(verdict(checked))
