"""nncli replay."""

from pathlib import Path
from typing import Annotated

import typer

from nncli.cli.completion import traces
from nncli.cli.options import FormatOption, TableOrJson

TracePath = Annotated[
    Path,
    typer.Argument(
        metavar="TRACE",
        help="A step, as inspect-grad --save writes it.",
        autocompletion=traces,
    ),
]


def replay(trace: TracePath, format: FormatOption = TableOrJson.table) -> None:
    """Compute a saved step again, and say whether it is equal to the bit.

    Exit status 0: it is; 1: it is not, and the first quantity that differs is named.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.trace_files import replay as take_again
    from nncli.core.errors import FailedCheck
    from nncli.render.pages.differences import difference_json, difference_page, difference_words
    from nncli.render.streams import results, say, write_text
    from nncli.render.terminal import TerminalPage

    done = take_again(trace)
    found = done.difference
    for note in done.notes:
        say(note)
    if format is TableOrJson.json:
        write_text(difference_json(found))
    else:
        title = f"{done.file.trace.name}, step {done.file.facts.step:,}: {difference_words(found)}"
        results().print(TerminalPage(difference_page(found, title)), crop=False)
    if not found.equal:
        raise FailedCheck(difference_words(found))
