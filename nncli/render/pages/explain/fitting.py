"""A page cut up into screens: at the best places, so that each part fits."""

import io
from collections.abc import Iterator

from rich.console import Console

from nncli.render.document import Block, Grid, Page, Paragraph
from nncli.render.pages.explain.words import WIDTH
from nncli.render.terminal import TerminalPage, is_note

FRAME = 3  # lines: the heading and a blank one, the line of progress


def height_of(page: Page, width: int = WIDTH) -> int:
    """How many lines a page takes."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, color_system=None).print(TerminalPage(page))
    return file.getvalue().count("\n")


def split(page: Page, room: int, width: int = WIDTH) -> Iterator[Page]:
    """The blocks of a page in parts that take at most `room` lines each.

    A part begins with what may stand alone: no note, nothing that a colon announces. A block that
    is too tall by itself is a table, which goes on on the next screen, or stays as it is.
    """
    if height_of(page, width) <= room:
        yield page
        return
    places = [k for k in range(1, len(page)) if _may_part(page[k - 1], page[k])]
    fits = [k for k in places if height_of(page[:k], width) <= room]
    if not fits:
        yield from _parts_of_tables(page, room, width)
        return
    whole = [k for k in fits if height_of(page[k:], width) <= room]
    best = fits[-1]
    if whole:  # two parts do: the second begins with words if it can, and they are about as tall
        whole = [k for k in whole if isinstance(page[k], Paragraph)] or whole
        best = min(
            whole, key=lambda k: max(height_of(part, width) for part in (page[:k], page[k:]))
        )
    yield page[:best]
    yield from split(page[best:], room, width)


def _may_part(before: Block, after: Block) -> bool:
    return not is_note(after) and not (isinstance(before, Paragraph) and before.text.endswith(":"))


def _parts_of_tables(page: Page, room: int, width: int) -> Iterator[Page]:
    """The page with the first table that it has cut, where that helps."""
    for k, block in enumerate(page):
        if isinstance(block, Grid) and len(block.rows) > 1:
            for rows in range(len(block.rows) - 1, 0, -1):
                head = [*page[:k], block._replace(rows=block.rows[:rows])]
                if height_of(head, width) <= room:
                    yield head
                    rest = block._replace(rows=block.rows[rows:])
                    yield from split([rest, *page[k + 1 :]], room, width)
                    return
    yield page
