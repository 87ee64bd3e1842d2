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
Names = Annotated[list[str] | None, options.renamed()]
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
StepNumber = Annotated[int, options.step_number()]
WeightsOption = Annotated[options.WeightsWord | None, options.step_weights()]
Overrides = Annotated[list[str] | None, options.overrides()]


def check(
    source: SpecOrRun,
    mine: Mine,
    name: Names = None,
    samples: Samples = None,
    batch: Batch = False,
    step: StepNumber = 1,
    weights: WeightsOption = None,
    set_: Overrides = None,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Check a backpropagation of your own, and name the mistake in it.

    MINE holds any of a step's quantities: z, a, δ, gradients, updates, new weights, the cost.
    They are compared with the same step here, from the weights of SPEC or those in MINE.
    Exit status 0: right; 1: something is wrong; 2: it cannot be compared. No code of yours is run.
    """
    options.refuse_two_batches(batch, samples)
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.check import check as compare
    from nncli.app.trace_files import TraceFile, open_step
    from nncli.cli.options import indices, names_given
    from nncli.core.errors import FailedCheck
    from nncli.render.pages.checked import checked_json, checked_page, verdict
    from nncli.render.streams import results, say, write_text
    from nncli.render.terminal import TerminalPage

    names = names_given(name)
    chosen = () if samples is None else indices(samples, "--samples")
    is_chosen = bool(samples is not None or batch or step > 1)
    which = options.chosen_weights(weights)
    opened = open_step(source, set_ or [], is_chosen=is_chosen, weights=which)
    for note in opened.all_notes:
        say(note)
    beside = opened.trace if isinstance(opened, TraceFile) else opened
    checked = compare(beside, mine, names=names, samples=chosen, batch=batch, step=step)
    if format is TableOrJson.json:
        write_text(checked_json(checked))
    else:
        results().print(TerminalPage(checked_page(checked)), crop=False)
    if not checked.right:
        raise FailedCheck(verdict(checked))
