"""nncli recorder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncli.cli import options
from nncli.cli.options import words
from nncli.core.text import join_words
from nncli.exchange.recorders import RECORDERS

if TYPE_CHECKING:
    from enum import StrEnum

    Framework = StrEnum
else:
    Framework = words("Framework", RECORDERS)

For = Annotated[Framework, typer.Argument(metavar="FRAMEWORK", help=f"{join_words(RECORDERS)}.")]
Output = Annotated[
    Path | None, options.output("Write to this file.", show_default="standard output")
]
Overwrite = Annotated[bool, options.overwrite()]


def recorder(framework: For, output: Output = None, overwrite: Overwrite = False) -> None:
    """Print a short Python file that saves the numbers of a step of your own for nncli check.

    Your training loop calls it; its first lines say how. It needs the framework and NumPy.
    """
    from nncli.app.output import check_output
    from nncli.core.files import write_whole
    from nncli.exchange.recorders import recorder as text_of
    from nncli.render.streams import write_bytes

    content = text_of(framework.value).encode()
    if output is None:
        write_bytes(content)
    else:
        check_output(output, overwrite=overwrite)
        write_whole(output, content, overwrite=overwrite)
