"""The page as text, as a terminal shows it."""

from nncli.render.document import Document
from nncli.render.terminal import recorded

SUFFIX = ".txt"


def write(document: Document) -> bytes:
    return recorded(document.page).export_text().encode()
