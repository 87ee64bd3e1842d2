"""nncli schema."""

from pathlib import Path
from typing import Annotated

from nncli.cli import options

Output = Annotated[
    Path | None, options.output("Write to this file.", show_default="standard output")
]
Overwrite = Annotated[bool, options.overwrite()]


def schema(output: Output = None, overwrite: Overwrite = False) -> None:
    """Print the JSON Schema of a spec, by which editors complete and check YAML.

    A spec points to it in its first line: # yaml-language-server: $schema=nncli.schema.json
    """
    from nncli.app.output import check_output
    from nncli.core.files import write_whole
    from nncli.render.streams import write_bytes
    from nncli.spec.schema import schema_text

    if output is None:
        write_bytes(schema_text().encode())
    else:
        check_output(output, overwrite=overwrite)
        write_whole(output, schema_text().encode(), overwrite=overwrite)
