"""Somebody else's step, compared with the record: as a page, and as JSON."""

from collections.abc import Iterator
from typing import Any

from nncli.core.jsons import to_json
from nncli.core.text import count_of, join_words
from nncli.inspection.foreign.record import Checked, Compared, Made
from nncli.render.document import Document, Grid, Heading, Page, Paragraph
from nncli.render.text import number

HEADINGS = ("yours", "is", "verdict", "judged to", "largest error")
SYMBOLS = {  # of quantities, in a sentence
    "delta": "δ",
    "sigma_prime": "σ′(z)",
    "upstream": "∂C/∂a",
    "downstream": "∂C/∂input",
    "weight_gradient": "∂C/∂W",
    "bias_gradient": "∂C/∂b",
    "weight_update": "ΔW",
    "bias_update": "Δb",
    "weight_new": "W new",
    "bias_new": "b new",
}
MANY = 8  # samples that are listed


def checked_page(checked: Checked) -> Page:
    """The verdict, what was compared, and the mistake."""
    page: Page = [Heading(f"{checked.name}: {verdict(checked)}", 0)]
    page.append(Paragraph(_what(checked), note=True))
    page += [Paragraph(f"{note[0].upper()}{note[1:]}.", note=True) for note in checked.notes]
    rows = tuple(_row(one) for one in checked.compared)
    page.append(Grid(HEADINGS, rows, words=4))
    if checked.first_wrong is not None:
        page += _where(checked)
        page += _mistakes(checked)
    return page


def checked_document(checked: Checked) -> Document:
    """The page, and the record that it is of."""
    return Document(
        f"{checked.name}: {verdict(checked)}",
        lambda: checked_page(checked),
        lambda: checked_record(checked),
        dict,
    )


def verdict(checked: Checked) -> str:
    """In a few words: right, or which mistake was made."""
    if checked.right:
        return "right"
    first = f"{checked.first_wrong} is the first that is wrong"
    match checked.explanations:
        case []:
            return first
        case [made]:
            return f"{first}: {' and '.join(one.word for one in made)}"
    return f"{first}: {join_words(checked.mistakes)}"


def _what(checked: Checked) -> str:
    samples = ", ".join(map(str, checked.samples[:MANY]))
    more = ", …" if len(checked.samples) > MANY else ""
    noun = "sample" if len(checked.samples) == 1 else "samples"
    return (
        f"{count_of(len(checked.compared), 'quantity', 'quantities')} of yours beside those of the "
        f"same step here, on {noun} {samples}{more} of the training data."
    )


def _row(one: Compared) -> tuple[str, ...]:
    how = "ᵀ" if one.transposed else f"({one.how})"
    name = f"{one.name} {how}" if one.how else one.name
    if name == one.mine:
        name = "the same"
    if one.right:
        verdict = "right"
    elif one.follows_from:
        verdict = f"from {one.follows_from}"
    else:
        verdict = "wrong"
    return (one.mine, name, verdict, one.digits, number(one.max_relative_error))


def _where(checked: Checked) -> Iterator[Paragraph]:
    first = next(one for one in checked.compared if one.name == checked.first_wrong)
    layer, _, quantity = first.name.rpartition(".")
    place = f"[{', '.join(map(str, first.at))}]" if first.at else ""
    symbol = SYMBOLS.get(quantity, quantity)
    what = f"{symbol} of {layer}" if layer else symbol
    follow = sum(one.follows_from is not None for one in checked.compared)
    words = f"{what} is the first that is wrong"
    if follow:
        words += "; " + (
            "everything after it follows from it"
            if all(one.right or one.follows_from for one in checked.compared if one is not first)
            else f"{follow} more follow from earlier ones"
        )
    yield Paragraph(f"{words}.")
    parts = f"At {first.mine}{place} yours is {first.here:.8g}, right is {first.there:.8g}"
    if first.wrong < first.entries and checked.pattern:
        parts += f"; wrong are {checked.pattern}"
    yield Paragraph(f"{parts}.")


def _mistakes(checked: Checked) -> Page:
    page: Page = []
    if not checked.explanations:
        page.append(Heading("No known mistake explains it", 2))
        if checked.ratio is not None:
            times = f"Yours is {checked.ratio:.6g} times what is right, in every entry."
            page.append(Paragraph(times))
        page.append(
            Paragraph(
                "Compare what goes into that quantity, which is right, with the formula of it: "
                "nncli inspect-grad shows the products one by one."
            )
        )
        return page
    words = list(checked.mistakes)
    alike = len(checked.explanations) > 1
    if alike and len(words) > 1:
        page.append(
            Paragraph(f"{len(words)} mistakes would give these numbers; nothing tells which.")
        )
    for explanation in _by_word(checked):
        page += _explained(explanation)
    return page


def _by_word(checked: Checked) -> list[tuple[Made, ...]]:
    """Of explanations by the same words the first, which is the simplest."""
    found: dict[tuple[str, ...], tuple[Made, ...]] = {}
    for explanation in checked.explanations:
        found.setdefault(tuple(made.word for made in explanation), explanation)
    return list(found.values())


def _explained(explanation: tuple[Made, ...]) -> Iterator[Heading | Paragraph]:
    for k, made in enumerate(explanation):
        where = f" ({made.place})" if made.place else ""
        also = "and " if k else ""
        yield Heading(f"{also}{made.word}{where}", 2)
        way = f" {made.way[0].upper()}{made.way[1:]}." if made.way else ""
        yield Paragraph(f"{made.says}{way}")
        yield Paragraph(f"Right: {made.right}")
        yield Paragraph(f"Look at {made.look}.")


def checked_json(checked: Checked) -> str:
    return to_json(checked_record(checked), indent=2)


def checked_record(checked: Checked) -> dict[str, Any]:
    return {
        "schema": "nncli.check/1",
        "name": checked.name,
        "samples": list(checked.samples),
        "right": checked.right,
        "compared": [
            {
                "mine": one.mine,
                "name": one.name,
                "transposed": one.transposed,
                "turned": one.how or None,
                "right": one.right,
                "follows_from": one.follows_from,
                "max_relative_error": one.max_relative_error,
                "at": list(one.at),
                "yours": one.here,
                "expected": one.there,
                "digits": one.digits,
                "wrong_entries": one.wrong,
                "entries": one.entries,
            }
            for one in checked.compared
        ],
        "first_wrong": checked.first_wrong,
        "mistakes": list(checked.mistakes),
        "explanations": [
            [
                {
                    "mistake": made.word,
                    "way": made.way or None,
                    "place": made.place or None,
                    "says": made.says,
                    "right": made.right,
                    "ratio": made.ratio,
                }
                for made in explanation
            ]
            for explanation in checked.explanations
        ],
        "ratio": checked.ratio,
        "pattern": checked.pattern,
        "notes": list(checked.notes),
    }
