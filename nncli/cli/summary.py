"""nncli summary."""

from typing import Annotated

import typer

from nncli.cli.options import FormatOption, SpecOrRun, TableOrJson, overrides

Overrides = Annotated[list[str] | None, overrides()]
Time = Annotated[
    bool, typer.Option("--time", help="Measure each layer, forward and backward (a second).")
]


def summary(
    source: SpecOrRun,
    set_: Overrides = None,
    time: Time = False,
    format: FormatOption = TableOrJson.table,
) -> None:
    """List a network's layers: shapes, parameters, multiply-adds, memory.

    Where the spec gives data.shape, the data need not be there.
    """
    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.summary import summary as summarise
    from nncli.render.pages.layers import summary_json, summary_page
    from nncli.render.streams import results, say, write_text

    made = summarise(source, set_ or [], timed=time)
    for note in made.notes:
        say(note)
    if format is TableOrJson.json:
        write_text(summary_json(made))
    else:
        results().print(summary_page(made))
