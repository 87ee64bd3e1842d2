"""The formats that a `Document` can be written in, a row each: a suffix of files, and a function.

To add one is to add its function and its row: the command line, the suffixes and the tests find it
here. Formats are made from a document alone, so every command that makes one has all of them.
Those that take more than a few lines have a file of their own.

It may import NumPy, core and what is beside it in render, but neither pages nor records; and that
only when it writes, since the help of a command names all formats. Start with `markdown`.
"""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nncli.render.document import Document


class DocumentFormat(NamedTuple):
    """The suffix of the files that it is for, and how a document is written in it."""

    suffix: str
    write: "Callable[[Document], bytes]"


def suffixes() -> dict[str, str]:
    """The formats by the suffixes of their files; some have none of their own."""
    return {format.suffix: name for name, format in FORMATS.items() if format.suffix}


def write(name: str, document: "Document") -> bytes:
    """The document in the format of that name."""
    return FORMATS[name].write(document)


def _html(document: "Document") -> bytes:
    """The document's own page for a browser; where it has none, its blocks as HTML."""
    from nncli.render.web.blocks import to_html
    from nncli.render.web.page import write_page

    if document.web is not None:
        return document.web().document()
    body = f"<main>\n{to_html(document.page)}\n</main>"
    return write_page(document.title, body)


def _json(document: "Document") -> bytes:
    """The record, every digit kept."""
    from nncli.core.jsons import to_json

    return f"{to_json(document.record())}\n".encode()


def _beamer(document: "Document") -> bytes:
    from nncli.render.formats.beamer import to_beamer

    return to_beamer(document.page).encode()


def _fragment(document: "Document") -> bytes:
    """LaTeX without a preamble."""
    from nncli.render.formats.latex import to_fragment

    return to_fragment(document.page).encode()


def _latex(document: "Document") -> bytes:
    from nncli.render.formats.latex import to_latex

    return to_latex(document.page).encode()


def _markdown(document: "Document") -> bytes:
    from nncli.render.formats.markdown import to_markdown

    return to_markdown(document.page).encode()


def _npz(document: "Document") -> bytes:
    """The arrays of the record in NumPy's npz, each under its name; no pickle."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, **document.arrays())  # type: ignore[arg-type]
    return buffer.getvalue()


def _svg(document: "Document") -> bytes:
    """The document's drawing; where it has none, its equations."""
    from nncli.render.drawing import equations_drawing

    figure = document.figure
    made = figure() if figure is not None else equations_drawing(document.title, document.page)
    return made.encode()


def _table(document: "Document") -> bytes:
    """The page as text, as a terminal shows it."""
    from nncli.render.terminal import recorded

    return recorded(document.page).export_text().encode()


FORMATS = {
    "beamer": DocumentFormat("", _beamer),
    "fragment": DocumentFormat("", _fragment),
    "html": DocumentFormat(".html", _html),
    "json": DocumentFormat(".json", _json),
    "latex": DocumentFormat(".tex", _latex),
    "markdown": DocumentFormat(".md", _markdown),
    "npz": DocumentFormat(".npz", _npz),
    "svg": DocumentFormat(".svg", _svg),
    "table": DocumentFormat(".txt", _table),
}
