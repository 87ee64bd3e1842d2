"""The screens of a step as others write it: in what they differ, and each layer's lines."""

from collections.abc import Iterable

from nncli.inspection.derivation.lessons import Written, WrittenLine
from nncli.render.document import Block, Heading, Page, Paragraph
from nncli.render.pages.convention import SECTIONS, banner, exact_words
from nncli.render.pages.explain.words import note
from nncli.render.text import Extent

MOST = 4  # rows and columns that are shown of a matrix
EXTENT = Extent(range(MOST), range(MOST))


def convention(lesson: Written) -> Page:
    made = lesson.written
    return [
        Paragraph(
            f"{made.convention.title}: this is how others write the same step. The derivation goes "
            "on in nncli's own way; the same lines in theirs stand before the step."
        ),
        banner(made),
        *note(exact_words(made)),
    ]


def lines(lesson: WrittenLine) -> Page:
    made = lesson.written
    layers = [w for w in made.layers if w.layer is lesson.layer]
    page = [
        *_without_headings(SECTIONS["forward"](made, layers, EXTENT)),
        *_without_headings(SECTIONS["backward"](made, layers, EXTENT)),
    ]
    arrays = [array for w in layers for array in w.arrays.values()]
    if any(max(array.shape[-2:], default=0) > MOST for array in arrays):
        page += note(f"Of each matrix the first {MOST} rows and columns are shown.")
    return page


def _without_headings(blocks: Iterable[Block]) -> Page:
    """Each heading is the formula of what comes below it, with the layer's name before it."""
    return [
        Paragraph(f"{block.text.partition(': ')[2] or block.text}:")
        if isinstance(block, Heading)
        else block
        for block in blocks
    ]
