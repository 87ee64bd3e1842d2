"""nncli inspect-grad."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import browser, options
from nncli.render.formats import suffixes


class View(StrEnum):
    matrix = "matrix"
    hadamard = "hadamard"
    kronecker = "kronecker"
    indices = "index"  # index would hide str.index


WITHOUT_PAGE = ("json", "npz", "svg")  # formats of all the numbers, or of a drawing
OF_OUR_CONVENTION = ("--view", "--why", "--h-sweep", "--tap", "--cell")
STEP, CLOSER, PROOF, OUTPUT = "Which step", "Look closer", "Proof", "Output"


Samples = Annotated[
    str | None,
    typer.Option(
        metavar="0,3,7",
        help="These samples of the training data.",
        show_default="0",
        rich_help_panel=STEP,
    ),
]
Batch = Annotated[
    bool,
    typer.Option("--batch", help="The mini-batch that training would draw.", rich_help_panel=STEP),
]
StepNumber = Annotated[int, options.step_number(STEP)]
Overrides = Annotated[list[str] | None, options.overrides(STEP)]
WeightsOption = Annotated[options.WeightsWord | None, options.step_weights(STEP)]
Section = Annotated[
    list[str] | None,
    typer.Option(
        "--section",
        metavar="WORD",
        help="All of this part: forward, backward, update, products, proof or meaning. Repeatable.",
        rich_help_panel=CLOSER,
    ),
]
Brief = Annotated[
    bool,
    typer.Option(
        "--brief", help="One screen: verdicts, lost signal, telling facts.", rich_help_panel=CLOSER
    ),
]
ConventionOption = Annotated[
    str | None,
    typer.Option(
        "--convention",
        metavar="WORD",
        help="The step as others write it: rows, columns, nielsen, cs231n or torch.",
        rich_help_panel=CLOSER,
    ),
]
ViewOption = Annotated[
    View | None,
    typer.Option(
        help="How the gradient is written.", show_default="hadamard", rich_help_panel=CLOSER
    ),
]
Layer = Annotated[str | None, options.one_layer(CLOSER)]
Rows = Annotated[str | None, options.rows(CLOSER)]
Columns = Annotated[str | None, options.columns(CLOSER)]
Full = Annotated[bool, options.full(CLOSER)]
Digits = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=17,
        help="Decimals of the numbers in matrices.",
        show_default="6",
        rich_help_panel=CLOSER,
    ),
]
Tap = Annotated[
    str | None,
    typer.Option(
        metavar="F,C,R,K",
        help="The products behind this filter tap's gradient (with --layer).",
        rich_help_panel=CLOSER,
    ),
]
Cell = Annotated[
    str | None,
    typer.Option(
        metavar="C,R,K",
        help="The products that flow back to this input cell (with --layer).",
        rich_help_panel=CLOSER,
    ),
]
Why = Annotated[
    str | None,
    typer.Option(
        metavar="dense1[3,7]", help="Which samples pushed this weight.", rich_help_panel=CLOSER
    ),
]
Check = Annotated[
    str | None,
    typer.Option(
        metavar="all|N|off",
        help="Entries of each gradient to check.",
        show_default="about a second's worth",
        rich_help_panel=PROOF,
    ),
]
HSweep = Annotated[
    bool,
    typer.Option(
        "--h-sweep",
        help="The error of central differences over the step size h.",
        rich_help_panel=PROOF,
    ),
]
FormatOption = Annotated[str | None, options.document_format(OUTPUT, "table")]
Output = Annotated[
    Path | None,
    options.output(f"Write to this file: {' '.join(suffixes())}", OUTPUT),
]
Save = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.trace",
        help="Keep the whole step, to the bit: for replay and diff, or in place of SPEC.",
        rich_help_panel=OUTPUT,
    ),
]
Fragment = Annotated[bool, options.fragment(OUTPUT)]
Overwrite = Annotated[bool, options.overwrite(OUTPUT)]
Open = Annotated[bool, browser.open_option(OUTPUT)]


def inspect_grad(
    source: options.SpecOrRun,
    samples: Samples = None,
    batch: Batch = False,
    step: StepNumber = 1,
    set_: Overrides = None,
    weights: WeightsOption = None,
    section: Section = None,
    brief: Brief = False,
    convention: ConventionOption = None,
    view: ViewOption = None,
    layer: Layer = None,
    rows: Rows = None,
    columns: Columns = None,
    full: Full = False,
    digits: Digits = None,
    tap: Tap = None,
    cell: Cell = None,
    why: Why = None,
    check: Check = None,
    h_sweep: HSweep = False,
    format: FormatOption = None,
    output: Output = None,
    save: Save = None,
    fragment: Fragment = False,
    overwrite: Overwrite = False,
    open_: Open = False,
) -> None:
    """Take one step of backpropagation apart, and prove every gradient in it.

    Shows forward, backward and update with all their products.
    Checks each gradient against an independent derivative, and says what the numbers mean.
    Nothing is written to a run folder.
    """
    options.refuse_two_batches(batch, samples)
    closer = {
        "--section": section, "--full": full or None, "--view": view, "--layer": layer,
        "--rows": rows, "--columns": columns, "--digits": digits, "--why": why,
        "--h-sweep": h_sweep or None, "--convention": convention, "--tap": tap, "--cell": cell,
    }  # fmt: skip
    given = [option for option, value in closer.items() if value is not None]
    if brief and given:
        raise typer.BadParameter(f"--brief is one screen of the whole step: leave out {given[0]}")
    ours = [option for option in given if option in OF_OUR_CONVENTION]
    if convention is not None and ours:
        raise typer.BadParameter(f"{ours[0]} is written in nncli's own convention only")
    if (tap or cell) and layer is None:
        raise typer.BadParameter("--tap and --cell need --layer, such as --layer conv1")

    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.inspect import inspect_step
    from nncli.app.output import check_output
    from nncli.app.trace_files import TraceFile, check_save, open_step, save_trace
    from nncli.cli.options import entries, index_range, indices, weight_name, word
    from nncli.core.errors import FailedCheck, NncliError
    from nncli.render.pages.breakdown import SECTIONS, document
    from nncli.render.pages.brief import brief_document
    from nncli.render.pages.kinds import Choices
    from nncli.render.pages.update import overflow_words
    from nncli.render.streams import DelayedProgressBar, say
    from nncli.render.text import DECIMALS, Extent

    kind = browser.document_kind(output, opens=open_, format=format, fragment=fragment) or "table"
    if (brief or section) and kind in WITHOUT_PAGE:
        option = "--brief" if brief else "--section"
        raise NncliError(
            f"{option}: is of pages; as {kind} there is the whole step, or its drawing"
        )
    parts: Collection[str] = SECTIONS
    if convention is not None:
        from nncli.render.pages.convention import SECTIONS as WRITTEN
        from nncli.render.pages.convention import convention_document, convention_names

        word(convention, "--convention", convention_names())
        parts = WRITTEN
        if kind == "svg":
            raise NncliError("--convention: there is no drawing of it")
    sections = tuple(word(text, "--section", tuple(parts)) for text in section or ())
    extent = Extent(
        index_range(rows, "--rows"),
        index_range(columns, "--columns"),
        full,
        DECIMALS if digits is None else digits,
    )
    chosen: tuple[int, ...] | None = ()
    if samples is not None:
        chosen = indices(samples, "--samples")
    elif batch or step > 1:
        chosen = None
    choices = Choices(
        view=(view or View.hadamard).value,
        extent=extent,
        layer=layer,
        tap=None if tap is None else indices(tap, "--tap"),
        cell=None if cell is None else indices(cell, "--cell"),
        sections=sections,
        # What is written to a file is kept, and whole; --why and --h-sweep come besides.
        is_short=kind == "table" and output is None and not {*given} - {"--why", "--h-sweep"},
    )
    checked, most = entries(check)
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[source])
    if save is not None:
        check_save(save, source, overwrite=overwrite)
    which = options.chosen_weights(weights)
    opened = open_step(source, set_ or [], is_chosen=chosen != () or step > 1, weights=which)
    if output is not None and not isinstance(opened, TraceFile):
        check_output(output, overwrite=overwrite, inputs=opened.prepared.spec.files())
    for note in opened.all_notes:
        say(note)
    with DelayedProgressBar() as progress:
        inspected = inspect_step(
            opened.trace if isinstance(opened, TraceFile) else opened,
            samples=chosen,
            step=step,
            entries=most,
            checked=checked,
            weight=None if why is None else weight_name(why),
            windows=layer if tap or cell else None,
            sweeps=h_sweep,
            diagnosed=source if brief else None,
            progress=progress,
        )
    if save is not None and not isinstance(opened, TraceFile):
        trace = inspected.inspection.trace
        save_trace(trace, opened, save, step=step, overwrite=overwrite)
    if brief:
        made = brief_document(inspected, source)
    elif convention is not None:
        made = convention_document(inspected, convention, choices)
    else:
        made = document(inspected, choices)
    browser.write_document(made, kind, output, overwrite=overwrite, opens=open_)
    beyond = inspected.inspection.overflow
    if beyond is not None:
        raise FailedCheck(overflow_words(inspected.inspection.trace, beyond))
    found = inspected.inspection.check
    match found.verdict if found is not None else "passed":
        case "failed":
            raise FailedCheck("a gradient differs from its derivative; see the proof")
        case "not_proven":
            raise FailedCheck("not every gradient could be proven; see the proof")
