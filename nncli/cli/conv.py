"""nncli conv."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli import browser, options
from nncli.render.formats import FORMATS

WINDOWS, CLOSER, OUTPUT = "The windows", "Look closer", "Output"

MatrixFile = Annotated[
    str,
    typer.Argument(
        metavar="MATRIX", help="A file (.csv .tsv .txt .npy, an image), -, or rows: '1 2; 3 4'."
    ),
]
FilterGiven = Annotated[
    str,
    typer.Argument(
        metavar="FILTER", help="A file, a name (sobel-x, box, ...), or rows: '1 0 1; 0 1 0; 1 0 1'."
    ),
]
Padding = Annotated[
    str, typer.Option(metavar="valid|same|full|N", help="What is added around the matrix.",
                      rich_help_panel=WINDOWS)
]  # fmt: skip
PaddingMode = Annotated[
    str,
    typer.Option(
        metavar="MODE",
        help="What it holds: zeros, reflect, replicate, circular or symmetric.",
        rich_help_panel=WINDOWS,
    ),
]
Stride = Annotated[
    str, typer.Option(metavar="N|R,C", help="Steps between windows.", rich_help_panel=WINDOWS)
]
Dilation = Annotated[
    str,
    typer.Option(metavar="N|R,C", help="Steps between a window's cells.", rich_help_panel=WINDOWS),
]
Flip = Annotated[
    bool,
    typer.Option(
        "--flip",
        help="True convolution: the filter turned by 180 degrees.",
        rich_help_panel=WINDOWS,
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar="sum|each",
        help="Add the channels up, or keep an output for each.",
        show_default="sum if the filter has channels",
        rich_help_panel=WINDOWS,
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="[K,]ROW,COL",
        help="The products behind one output (of channel K).",
        rich_help_panel=CLOSER,
    ),
]
Steps = Annotated[
    str | None,
    typer.Option(
        metavar="N|all", help="The products of the first N windows.", rich_help_panel=CLOSER
    ),
]
Animate = Annotated[
    bool,
    typer.Option(
        "--animate",
        help="Play the sliding window (those of --at or --steps): space, arrows, + −, q.",
        rich_help_panel=CLOSER,
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare", help="Correlation and convolution side by side.", rich_help_panel=CLOSER
    ),
]
Upstream = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|ones",
        help="Send this ∂C/∂output back to filter and matrix.",
        rich_help_panel=CLOSER,
    ),
]
Rows = Annotated[
    str | None,
    typer.Option(metavar="A:B", help="These rows of the output.", rich_help_panel=CLOSER),
]
Columns = Annotated[
    str | None, typer.Option(metavar="A:B", help="These columns of it.", rich_help_panel=CLOSER)
]
Full = Annotated[
    bool, typer.Option("--full", help="All of it, however large.", rich_help_panel=CLOSER)
]
AllowNan = Annotated[
    bool,
    typer.Option("--allow-nan", help="Take NaN and infinity as they come.", rich_help_panel=OUTPUT),
]
Output = Annotated[
    Path | None,
    options.output(
        "Write the result (.csv .tsv .npy or an image), or the page (.html .md .tex ...).", OUTPUT
    ),
]
OF_LATEX = ("latex", "fragment", "beamer")  # that a .tex file may hold
Open = Annotated[bool, browser.open_option(OUTPUT)]
Overwrite = Annotated[bool, options.overwrite(OUTPUT)]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="WORD",
        help=f"What to print, or with --output the document's format: {', '.join(FORMATS)}.",
        rich_help_panel=OUTPUT,
    ),
]
Fragment = Annotated[bool, options.fragment(OUTPUT)]


def conv(
    context: typer.Context,
    matrix: MatrixFile,
    filter: FilterGiven,
    padding: Padding = "valid",
    padding_mode: PaddingMode = "zeros",
    stride: Stride = "1",
    dilation: Dilation = "1",
    flip: Flip = False,
    channels: Channels = None,
    at: At = None,
    steps: Steps = None,
    animate: Animate = False,
    compare: Compare = False,
    upstream: Upstream = None,
    rows: Rows = None,
    columns: Columns = None,
    full: Full = False,
    allow_nan: AllowNan = False,
    output: Output = None,
    overwrite: Overwrite = False,
    open_: Open = False,
    fragment: Fragment = False,
    format: FormatOption = "table",
) -> None:
    """Slide a filter over a matrix, and see every product.

    At each place the Hadamard product of the filter and the window under it, summed.
    """
    from nncli.app.conv import SUMMED, explain
    from nncli.app.output import check_output
    from nncli.cli.options import index_pair, index_range, refuse_options, window_padding, word
    from nncli.core.errors import FailedCheck, NncliError
    from nncli.filtering.options import PADDING_MODES, Options
    from nncli.render.formats import write
    from nncli.render.pages.filtering import document
    from nncli.render.streams import DelayedProgressBar, messages, results, write_bytes
    from nncli.render.terminal import TerminalPage
    from nncli.render.text import Extent

    own_options = [name for option in context.command.params for name in option.opts]
    refuse_options([matrix, filter, *context.args], own_options)
    if context.args:
        raise NncliError(
            f"{context.args[0]}: one matrix and one filter are taken, rows of either in quotes: "
            "'1 0; 0 1'"
        )
    filter_options = Options(
        padding=window_padding(padding),
        padding_mode=word(padding_mode, "--padding-mode", PADDING_MODES),
        stride=index_pair(stride, "--stride"),
        dilation=index_pair(dilation, "--dilation"),
        flip=flip,
    )
    if channels is not None:
        filter_options["summed"] = SUMMED[word(channels, "--channels", tuple(SUMMED))]
    extent = Extent(index_range(rows, "--rows"), index_range(columns, "--columns"), full)
    screen = results()
    beside = {
        "--compare": compare,
        "--upstream": upstream is not None,
        f"--format {format}": format != "table",
        "--open": open_,
    }
    printed = word(format, "--format", tuple(FORMATS))
    kind = document_format(output, opens=open_)
    if kind == "latex" and printed in OF_LATEX:
        kind, printed = printed, "table"
    if fragment:
        kind, printed = (
            (None, options.as_fragment(printed))
            if kind is None
            else (options.as_fragment(kind), printed)
        )
    beyond = [name for name, given in beside.items() if given]
    if animate and beyond:
        raise NncliError(f"--animate plays the windows alone; leave out {' and '.join(beyond)}")
    if animate and not screen.is_terminal:
        raise NncliError("--animate plays in a terminal, not in a pipe or a file")
    if kind is not None and output is not None:
        inputs = [matrix, filter, *([] if upstream is None else [upstream])]
        check_output(output, overwrite=overwrite, inputs=inputs)
    with DelayedProgressBar() as progress:
        explained = explain(
            matrix,
            filter,
            filter_options,
            at=at,
            steps=steps,
            rows=extent.rows,
            columns=extent.columns,
            compares=compare,
            upstream=upstream,
            taking_all=[*beyond, *(["--full"] if full else [])],
            allow_nan=allow_nan,
            output=output if kind is None else None,
            overwrite=overwrite,
            progress=progress,
        )
    if animate:
        from nncli.cli.process import keyboard
        from nncli.render.pages.film import Film, play

        with keyboard() as read_key:
            play(Film(explained.filtering, explained.indices, extent), screen, read_key)
        return
    made = document(explained, extent, screen.width)
    if kind is not None:
        browser.write_page(write(kind, made), output, overwrite=overwrite, opens=open_)
    if printed != "table":
        write_bytes(write(printed, made))
        for note in explained.notes:
            messages().print(note)
    elif kind is None:
        screen.print(TerminalPage(made.page))
    if explained.backward is not None and not explained.backward.passed:
        raise FailedCheck("a gradient differs from its difference; see the proof")


def document_format(output: Path | None, *, opens: bool) -> str | None:
    """The format of the document that is written; None where it is the output alone, or nothing.

    Raises:
        NncliError: the suffix is none of a format, or what `--open` shows would be no page.
    """
    from nncli.app.conv import is_matrix_file
    from nncli.render.formats import suffixes

    if opens:
        browser.refuse_no_page(output)
        return "html"
    if output is None or is_matrix_file(output, documents=suffixes()):
        return None
    return suffixes()[output.suffix.lower()]
