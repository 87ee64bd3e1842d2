"""nncli diff."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli.completion import traces_or_runs
from nncli.cli.options import FormatOption, TableOrJson, renamed

First = Annotated[
    Path,
    typer.Argument(
        metavar="TRACE|RUN",
        help="A step, as inspect-grad --save writes it; or a run folder.",
        autocompletion=traces_or_runs,
    ),
]
Second = Annotated[
    Path,
    typer.Argument(
        metavar="OTHER",
        help="Another; or, beside a step, arrays as check reads them.",
        autocompletion=traces_or_runs,
    ),
]
Names = Annotated[list[str] | None, renamed()]


def diff(a: First, b: Second, name: Names = None, format: FormatOption = TableOrJson.table) -> None:
    """Compare two steps bit by bit: the first difference, in order of computation.

    Of two runs, the first step that differs: their steps are taken again side by side, from a
    checkpoint that both have, or from the start.
    Exit status 0: equal to the bit; 1: different.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.trace_files import diff as compare
    from nncli.cli.options import names_given
    from nncli.core.errors import FailedCheck
    from nncli.render.pages.differences import difference_json, difference_page, difference_words
    from nncli.render.streams import DelayedProgressBar, results, say, write_text
    from nncli.render.terminal import TerminalPage

    with DelayedProgressBar() as progress:
        found = compare(a, b, names=names_given(name), progress=progress)
    for note in found.notes:
        say(note)
    if format is TableOrJson.json:
        write_text(difference_json(found))
    else:
        results().print(TerminalPage(difference_page(found)), crop=False)
    if not found.equal:
        raise FailedCheck(difference_words(found))
