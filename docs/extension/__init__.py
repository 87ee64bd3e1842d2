"""What the site adds to Sphinx: numbers and pages that the program makes when the site is built.

All of it is done to a page's source before it is parsed. `{n}` is explained in `numbers`, `{page}`
here; `<!-- generated: commands -->` stands for a part of the reference, see `reference`.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from docs.extension.numbers import with_numbers
from docs.extension.reference import PARTS
from tests.pages import ran

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE = re.compile(r"^```\{page\}\n(nncli .*? -o (\S+\.html).*)\n```$", re.M)
GENERATED = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.M)


def setup(app: "Sphinx") -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", lambda app, name, source: read(app, name, source))
    return {"parallel_read_safe": True}


def read(app: "Sphinx", name: str, source: list[str]) -> None:
    """Answers what a page asks for.

    Raises:
        ExtensionError: a number, page or part that cannot be made; it names the page.
    """
    from sphinx.errors import ExtensionError

    pages = Path(app.outdir) / "pages"
    up = "../" * name.count("/")

    def made(found: re.Match[str]) -> str:
        command, file = found[1], found[2]
        pages.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            done = ran(command, Path(folder))
            if done.status:
                raise ValueError(f"{command}: {done.err}")
            shutil.copyfile(Path(folder, file), pages / file)
        link = f'<a href="{up}pages/{file}">{file}</a>'
        return f'```sh\n{command}\n```\n\n<p class="page">Open it: {link}</p>'

    try:
        text = GENERATED.sub(lambda found: PARTS[found[1]](), source[0])
        source[0] = with_numbers(PAGE.sub(made, text))
    except (KeyError, ValueError) as error:
        raise ExtensionError(f"{name}: {error}") from error
