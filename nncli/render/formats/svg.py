"""The page as a picture of a terminal."""

from nncli.core.text import printable
from nncli.render.document import Document
from nncli.render.terminal import recorded

SUFFIX = ".svg"


def write(document: Document) -> bytes:
    title = f"nncli: {printable(document.title)}"
    return recorded(document.page).export_svg(title=title).encode()
