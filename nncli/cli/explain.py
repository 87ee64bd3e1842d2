"""nncli explain."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import browser, options
from nncli.render.formats import suffixes

WHAT, HOW, OUTPUT = "What is derived", "How", "Output"

Samples = Annotated[
    str | None,
    typer.Option(
        "--sample",
        "--samples",
        metavar="0,3,7",
        help="The mini-batch is these samples of the training data; the first one is followed.",
        show_default="the mini-batch that training would draw",
        rich_help_panel=WHAT,
    ),
]
StepNumber = Annotated[int, options.step_number(WHAT)]
WeightsOption = Annotated[options.WeightsWord | None, options.step_weights(WHAT)]
Layer = Annotated[str | None, options.one_layer(WHAT)]
Overrides = Annotated[list[str] | None, options.overrides(WHAT)]
AskOption = Annotated[
    bool,
    typer.Option(
        "--ask",
        help="Ask for the next number before it is shown, and say what a wrong one means.",
        rich_help_panel=HOW,
    ),
]
GlossaryOption = Annotated[
    bool,
    typer.Option(
        "--glossary",
        help="Only the symbols (δ, σ′, ⊙, ⊗, η, ...), each with a line and a number of this step; "
        "without SPEC of a worked example.",
        rich_help_panel=HOW,
    ),
]
Wrong = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Show a classic mistake beside what is right, and what it does to the step: "
        "sigma_prime_of_a, missing_sigma_prime_hidden, updated_weights, untransposed, "
        "sum_for_mean, missing_half, ...",
        rich_help_panel=HOW,
    ),
]
ConventionOption = Annotated[
    str | None,
    typer.Option(
        metavar="WORD",
        help="Also as others write it: columns, nielsen, cs231n or torch.",
        rich_help_panel=HOW,
    ),
]
FormatOption = Annotated[
    str | None, options.document_format(OUTPUT, "screens on a terminal, else table")
]
Output = Annotated[
    Path | None,
    options.output(f"Write to this file: {' '.join(suffixes())}", OUTPUT),
]
Fragment = Annotated[bool, options.fragment(OUTPUT)]
Overwrite = Annotated[bool, options.overwrite(OUTPUT)]
Open = Annotated[bool, browser.open_option(OUTPUT)]


def explain(
    source: Annotated[Path | None, options.SPEC_OR_RUN] = None,
    samples: Samples = None,
    step: StepNumber = 1,
    weights: WeightsOption = None,
    layer: Layer = None,
    set_: Overrides = None,
    ask: AskOption = False,
    glossary: GlossaryOption = False,
    wrong: Wrong = None,
    convention: ConventionOption = None,
    format: FormatOption = None,
    output: Output = None,
    fragment: Fragment = False,
    overwrite: Overwrite = False,
    open_: Open = False,
) -> None:
    """Derive a step of backpropagation with your own numbers, screen by screen.

    What is multiplied by what, and why: forward, the cost, each layer back, the step.
    On a terminal space goes on, b back, a number and g jumps, q ends.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.explain import explain as derive
    from nncli.app.output import check_output
    from nncli.app.trace_files import TraceFile, open_step
    from nncli.cli.options import indices
    from nncli.core.errors import NncliError
    from nncli.render.pages.explain.screens import document, text_page
    from nncli.render.pages.glossary import glossary_document
    from nncli.render.streams import DelayedProgressBar, results, say

    kind = browser.document_kind(output, opens=open_, format=format, fragment=fragment)
    if ask and (kind is not None or output is not None):
        raise NncliError(
            "--ask is a dialogue: it has no file and no format; leave out --output, --open and "
            "--format"
        )
    if glossary and (ask or layer or wrong or convention):
        raise NncliError(
            "--glossary has the symbols alone; leave out --ask, --layer, --wrong and --convention"
        )
    if source is None:
        source = _worked_example(is_glossary=glossary)
    chosen = None if samples is None else indices(samples, "--sample")
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[source])
    which = options.chosen_weights(weights)
    is_chosen = chosen is not None or step > 1
    opened = open_step(source, set_ or [], is_chosen=is_chosen, weights=which)
    if output is not None and not isinstance(opened, TraceFile):
        check_output(output, overwrite=overwrite, inputs=opened.prepared.spec.files())
    for note in opened.all_notes:
        say(note)
    with DelayedProgressBar() as progress:
        derivation = derive(
            opened.trace if isinstance(opened, TraceFile) else opened,
            samples=chosen,
            step=step,
            layer=layer,
            wrong=wrong,
            convention=convention,
            progress=progress,
        )
    if ask:
        from nncli.cli.dialogue import hold
        from nncli.render.pages.explain.questions import interview

        hold(partial(interview, derivation))
        return
    screen = results()
    if kind is None and screen.is_terminal and not glossary:
        from nncli.cli.process import keyboard
        from nncli.render.pages.explain.reader import read

        with keyboard() as read_key:
            if read_key is not None:
                read(derivation, screen, read_key)
                return
    made = glossary_document(derivation.trace) if glossary else document(derivation)
    page = None if glossary else partial(text_page, derivation)
    browser.write_document(made, kind, output, overwrite=overwrite, opens=open_, page=page)


def _worked_example(*, is_glossary: bool) -> Path:
    """The spec that a glossary takes its numbers from where none is given.

    Raises:
        NncliError: it is no glossary, and SPEC is missing.
    """
    from nncli.app.init import FOLDER, STARTERS
    from nncli.core.errors import NncliError

    if not is_glossary:
        raise NncliError("SPEC or RUN is missing; nncli explain --help lists what there is")
    return FOLDER / STARTERS["two-two-two"].file
