"""Two records of a step, and where they differ: as a page, and as JSON."""

import math
from typing import Any

from nncli.core.jsons import to_json
from nncli.core.text import count_of
from nncli.inspection.differences import QuantityDifference, TraceDifference
from nncli.render.document import Document, Grid, Heading, Page, Paragraph
from nncli.render.text import NONE, number

HEADINGS = ("quantity", "entries", "different", "largest ulps", "largest", "relative")
LARGEST_ULPS = 10**6  # beyond it is another number altogether


def difference_page(found: TraceDifference, title: str = "") -> Page:
    """Whether two steps are equal to the bit; else the first difference, and a table of all."""
    page: Page = [Heading(title or f"{found.a} and {found.b}: {difference_words(found)}", 0)]
    first = found.first
    if first is None:
        return [*page, Paragraph(_counts(found), note=True)]
    page.append(Paragraph(_first(found, first)))
    if first.inputs_equal:
        page.append(Paragraph("All that it is computed from is equal to the bit."))
    elif first.inputs_equal is None:
        page.append(Paragraph("It is what the step starts from; what follows is computed from it."))
    different = [one for one in found.all if not one.equal]
    page.append(Grid(HEADINGS, tuple(_row(one) for one in different)))
    relative = max(one.max_relative for one in different)
    if math.isfinite(relative):
        words = f"A tolerance of {number(relative)} of each quantity's largest entry would pass."
        page.append(Paragraph(words))
    page.append(Paragraph(_counts(found), note=True))
    return page


def difference_document(found: TraceDifference) -> Document:
    """The page, and the record that it is of."""
    return Document(
        f"{found.a} and {found.b}: {difference_words(found)}",
        lambda: difference_page(found),
        lambda: difference_record(found),
        dict,
    )


def difference_words(found: TraceDifference) -> str:
    """In a few words."""
    if found.first is None:
        return "equal to the bit"
    return f"{found.first.name} is the first that differs"


def _counts(found: TraceDifference) -> str:
    entries = sum(one.entries for one in found.all)
    words = (
        f"{count_of(len(found.all), 'quantity', 'quantities')} with {entries:,} numbers compared"
    )
    if found.only:
        words += f"; {count_of(len(found.only), 'quantity', 'quantities')} in one of them alone"
    return f"{words}."


def _first(found: TraceDifference, first: QuantityDifference) -> str:
    place = f"[{', '.join(map(str, first.at))}]" if first.at else ""
    digits = 17 if first.dtype == "float64" else 9
    step = f" at step {found.step:,}" if found.step is not None else ""
    return (
        f"{first.name}{place}{step} is {first.a:.{digits}g} in {found.a} and "
        f"{first.b:.{digits}g} in {found.b}{_ulps(first)}."
    )


def _ulps(first: QuantityDifference) -> str:
    if first.ulps > LARGEST_ULPS:
        return ""
    return f": {count_of(first.ulps, 'ulp')} of {first.dtype} apart"


def _row(one: QuantityDifference) -> tuple[str, ...]:
    ulps = NONE if one.max_ulps > LARGEST_ULPS else f"{one.max_ulps:,}"
    return (
        one.name,
        f"{one.entries:,}",
        f"{one.different:,}",
        ulps,
        number(one.max_difference),
        number(one.max_relative),
    )


def difference_json(found: TraceDifference) -> str:
    return to_json(difference_record(found), indent=2)


def difference_record(found: TraceDifference) -> dict[str, Any]:
    first = found.first
    return {
        "schema": "nncli.diff/1",
        "a": found.a,
        "b": found.b,
        "equal": found.equal,
        "first": None
        if first is None
        else {
            "step": found.step,
            "layer": first.layer or None,
            "quantity": first.quantity,
            "index": None if first.at is None else list(first.at),
            "a": first.a,
            "b": first.b,
            "ulps": first.ulps,
            "relative": first.max_relative,
            "inputs_equal": first.inputs_equal,
        },
        "all": [
            {
                "layer": one.layer or None,
                "quantity": one.quantity,
                "equal": one.equal,
                "entries": one.entries,
                "different": one.different,
                "max_ulps": one.max_ulps,
                "max_difference": one.max_difference,
                "max_relative_error": one.max_relative,
                "at": None if one.worst is None else list(one.worst),
                "dtype": one.dtype,
            }
            for one in found.all
        ],
        "only_in_one": list(found.only),
        "notes": list(found.notes),
    }
