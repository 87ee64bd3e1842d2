"""nncli schema."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write to this file.", show_default="standard output"),
]


def schema(output: Output = None) -> None:
    """Print the JSON Schema of a spec, by which editors complete and check YAML.

    A spec points to it in its first line: # yaml-language-server: $schema=nncli.schema.json
    """
    from nncli.core.files import write_whole
    from nncli.render.streams import write_bytes
    from nncli.spec.schema import schema_text

    text = schema_text().encode()
    if output is None:
        write_bytes(text)
    else:
        write_whole(output, text)
