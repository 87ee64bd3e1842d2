"""nncli diagnose."""

from typing import Annotated

import typer

from nncli.cli.options import FormatOption, SpecOrRun, TableOrJson, overrides

Overrides = Annotated[list[str] | None, overrides()]
Quick = Annotated[
    bool, typer.Option("--quick", help="Train nothing: what the first step, or a run, tells.")
]
LONG = 60  # seconds


def diagnose(
    source: SpecOrRun,
    set_: Overrides = None,
    quick: Quick = False,
    format: FormatOption = TableOrJson.table,
) -> None:
    """Find out what is wrong with a network, and which cure helps.

    Trains copies for some epochs, on a part of the samples where they are many.
    Exit status 0: it is healthy; 1: something was found. Nothing is written.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.diagnose import diagnose as find
    from nncli.core.errors import FailedCheck
    from nncli.render.pages.diagnosis import diagnosis_json, diagnosis_page, verdict_words
    from nncli.render.streams import DelayedProgressBar, results, say, write_text
    from nncli.render.terminal import TerminalPage
    from nncli.render.text import duration

    def announce(seconds: float) -> None:
        if seconds > LONG:
            say(f"this will take about {duration(seconds)}; --quick trains nothing")

    with DelayedProgressBar() as progress:
        found = find(source, set_ or [], quick=quick, on_estimate=announce, progress=progress)
    for note in found.notes:
        say(note)
    if format is TableOrJson.json:
        write_text(diagnosis_json(found))
    else:
        results().print(TerminalPage(diagnosis_page(found)))
    if not found.healthy:
        raise FailedCheck(f"found: {verdict_words(found)}")
