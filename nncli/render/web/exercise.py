"""An exercise with fields that check themselves by the key, which the page carries."""

from collections.abc import Sequence
from typing import NamedTuple

from nncli.nn.arrays import Array
from nncli.render.document import Block, Page
from nncli.render.web.blocks import SCROLLING, block_html, to_html
from nncli.render.web.page import WebPage, escape


class Field(NamedTuple):
    """A blank: its number, and the name of the quantity that goes there."""

    number: int
    name: str


class Part(NamedTuple):
    """A block; or, where there is none, a table of fields, rows with what heads them."""

    block: Block | None
    caption: str = ""
    rows: Sequence[tuple[str, Sequence[Field]]] = ()


def exercise_page(
    title: str,
    intro: Page,
    parts: Sequence[Part],
    sheet: str,
    values: Array,
    tolerances: Array,
    decimals: int,
) -> WebPage:
    """The page of a sheet.

    Args:
        values, tolerances: of the blanks, in the order of their numbers.
        decimals: to how many an answer is asked for.
    """
    body = "\n".join(_part(part) for part in parts)
    names = [field.name for part in parts for _, fields in part.rows for field in fields]
    record = {"sheet": sheet, "decimals": decimals, "names": names}
    arrays = {"values": values, "tolerances": tolerances}
    return WebPage(
        title,
        f'<main>\n{to_html(intro)}\n<p class="note how">A field is checked when you leave it. '
        "A decimal comma will do.</p>\n<form>\n"
        f"{body}\n</form>\n<p class=tally role=status></p>\n"
        "<details class=answers><summary>Your answers as a file, to hand in</summary>\n"
        f"<p>Copy this into a file <code>{escape(sheet)}.csv</code>:</p>\n"
        '<textarea readonly rows=8 aria-label="your answers"></textarea></details>\n</main>',
        scripts=("record", "exercise"),
        styles=("exercise",),
        start="startExercise",
        record=record,
        arrays=arrays,
    )


def _part(part: Part) -> str:
    if part.block is not None:
        return block_html(part.block)
    rows = "".join(
        f"<tr>{f'<th scope=row>{escape(head)}' if head else ''}{''.join(map(_field, fields))}"
        for head, fields in part.rows
    )
    caption = f"<caption>{escape(part.caption)}</caption>"
    return f"{SCROLLING}<table class=blanks>{caption}{rows}</table></div>"


def _field(field: Field) -> str:
    return (
        f"<td><label>({field.number}) <input type=text inputmode=decimal autocomplete=off "
        f'size=8 data-blank={field.number} aria-label="blank {field.number}, {escape(field.name)}">'
        "<output></output></label>"
    )
