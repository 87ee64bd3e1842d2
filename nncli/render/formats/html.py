"""The page as HTML, with the colours of a terminal."""

from nncli.render.document import Document
from nncli.render.terminal import recorded

SUFFIX = ".html"


def write(document: Document) -> bytes:
    return recorded(document.page).export_html().encode()
