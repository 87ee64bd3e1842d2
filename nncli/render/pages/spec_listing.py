"""A spec with where its values came from, as YAML or JSON."""

from collections.abc import Iterator
from pathlib import PurePath

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from nncli.app.records import SpecLine, SpecListing
from nncli.core.jsons import to_json
from nncli.core.text import printable

WIDTH = 80  # of the text in a file
LONGEST = 24  # what is left for comments at least, so that one long value does not move them all

Piece = tuple[str, str]  # YAML, and the comment behind it


class TerminalListing:
    """On a terminal: the comments are dimmed."""

    def __init__(self, listing: SpecListing) -> None:
        self.listing = listing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        dim = console.get_style("dim")
        for text, comment in pieces(self.listing, options.max_width):
            yield Segment(text)
            yield Segment(comment, dim)
            yield Segment("\n")


def listing_yaml(listing: SpecListing) -> str:
    """The text of a spec that runs as the one it was made of does."""
    return "".join(f"{text}{comment}\n" for text, comment in pieces(listing, WIDTH))


def listing_json(listing: SpecListing) -> str:
    origins = {line.key: line.origin._asdict() for line in listing.lines if line.origin is not None}
    record = {
        "schema": "nncli.show/1",
        "file": str(listing.file),
        "spec": listing.spec.absolute(),
        "origins": origins,
    }
    return to_json(record, indent=2)


def pieces(listing: SpecListing, width: int) -> Iterator[Piece]:
    """The lines, their comments in one column; above the line, where behind it is no room."""
    yield "", f"# {printable(listing.file)}, with every default filled in"
    lengths = [cell_len(line.text) + 2 for line in listing.lines if line.origin is not None]
    at = max((length for length in lengths if length + LONGEST <= width), default=0)
    for line in listing.lines:
        comment = comment_of(line)
        used = cell_len(line.text)
        if not comment:
            yield line.text, ""
        elif max(at, used + 2) + cell_len(comment) <= width:
            yield line.text + " " * max(at - used, 2), comment
        else:
            indent = len(line.text) - len(line.text.lstrip(" "))
            yield "", f"{' ' * indent}{comment}"
            yield line.text, ""


def comment_of(line: SpecLine) -> str:
    if line.origin is None:
        return ""
    match line.origin.kind:
        case "default":
            return f"# default: {line.meaning}" if line.meaning else "# default"
        case "set":
            return f"# {line.origin.where}"
    file, number, _ = line.origin.where.rsplit(":", 2)
    return f"# {PurePath(file).name}:{number}"
