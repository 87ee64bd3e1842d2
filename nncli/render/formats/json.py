"""The record as JSON, every digit kept."""

from nncli.core.jsons import to_json
from nncli.render.document import Document

SUFFIX = ".json"


def write(document: Document) -> bytes:
    return f"{to_json(document.record())}\n".encode()
