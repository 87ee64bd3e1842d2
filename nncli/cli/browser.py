"""Where a document goes: `--output`, `--open`, or standard output.

With `--open` a page is written, to a temporary file where no other is named, and shown.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nncli.core.errors import NncliError
from nncli.core.text import printable

if TYPE_CHECKING:
    from nncli.render.document import Document, Page

SUFFIX = ".html"


def open_option(panel: str | None = None) -> Any:
    return typer.Option("--open", help="Show it as a page in the browser.", rich_help_panel=panel)


def refuse_no_page(output: Path | None, format: str | None = None) -> None:
    """Raises NncliError where `--open` is given with an output or a format that is no page."""
    if output is not None and output.suffix.lower() != SUFFIX:
        raise NncliError(
            f"--open shows a page, and --output {printable(output)} would be none; give it a name "
            f"that ends in {SUFFIX}, or leave it out"
        )
    if format not in (None, "html"):
        raise NncliError(f"--open shows a page, not {format}; leave out --format")


def document_kind(
    output: Path | None, *, opens: bool, format: str | None = None, fragment: bool = False
) -> str | None:
    """What the suffix of `--output`, `--open`, `--format` and `--fragment` ask for together.

    None where they ask for nothing.

    Raises:
        NncliError: one of them is not known, or they do not go together.
    """
    from nncli.cli.options import as_fragment, format_by_suffix, word
    from nncli.render.formats import FORMATS, suffixes

    kind = None if format is None else word(format, "--format", tuple(FORMATS))
    if opens:
        refuse_no_page(output, format)
        kind = "html"
    elif format is None and output is not None:
        kind = format_by_suffix(output, suffixes())
    return as_fragment(kind) if fragment else kind


def write_document(
    made: "Document",
    kind: str | None,
    output: Path | None,
    *,
    overwrite: bool,
    opens: bool,
    page: "Callable[[], Page] | None" = None,
) -> None:
    """Writes a document to a file, or as a page that is opened; else prints it.

    Args:
        kind: what `document_kind` says; None prints it as table does.
        page: makes what is printed then; None: the document's own page.

    Raises:
        RunError: the system refused.
    """
    from nncli.render.formats import write
    from nncli.render.streams import results, write_bytes

    if output is not None or opens:
        assert kind is not None
        write_page(write(kind, made), output, overwrite=overwrite, opens=opens)
    elif kind in (None, "table"):
        from nncli.render.terminal import TerminalPage

        shown = made.page if page is None else page()
        results().print(TerminalPage(shown), crop=False)  # a cell too wide goes on below
    else:
        write_bytes(write(kind, made))


def write_page(content: bytes, output: Path | None, *, overwrite: bool, opens: bool) -> None:
    """Writes a document to `output`, and opens a page if asked.

    A page that is only opened goes to a temporary file, which stays: a browser reads it later.

    Raises:
        RunError: the system refused.
    """
    from nncli.core.files import write_whole
    from nncli.render.streams import say

    if output is not None:
        write_whole(output, content, overwrite=overwrite)
        path = output
    else:
        handle, name = tempfile.mkstemp(prefix="nncli-", suffix=SUFFIX)
        with open(handle, "wb") as file:
            file.write(content)
        path = Path(name)
        say(f"The page is {printable(path)}")
    if opens and not _shown(path):
        say(f"No browser could be started; the page is {printable(path)}")


def _shown(path: Path) -> bool:
    import webbrowser

    try:
        return webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        return False
