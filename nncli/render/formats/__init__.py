"""The formats that a `Document` can be written in: a file each, under the format's name.

A format is a module with two names: `SUFFIX`, of the files that it is for, and `write`, which takes
a document and returns bytes. To add one is to add its file: the command line, the suffixes and the
tests find it here. Formats are made from a document alone, so every command that makes one has all
of them.

They may import what is beside this package, and neither pages nor records. Start with `markdown`.
"""

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from nncli.render.document import Document


class Format(Protocol):
    """What a module of this package holds."""

    SUFFIX: str

    @staticmethod
    def write(document: "Document") -> bytes: ...


# Their files are only listed here: the help of a command names formats without loading any.
FORMATS = tuple(
    sorted(
        name.removesuffix(".py")
        for name in os.listdir(os.path.dirname(__file__))
        if name.endswith(".py") and not name.startswith("_")
    )
)


@cache
def format_named(name: str) -> Format:
    """The format of that name, one of FORMATS."""
    return cast(Format, import_module(f"{__name__}.{name}"))


def suffixes() -> dict[str, str]:
    """The formats by the suffixes of their files."""
    return {format_named(name).SUFFIX: name for name in FORMATS}


def write(name: str, document: "Document") -> bytes:
    """The document in the format of that name."""
    return format_named(name).write(document)
