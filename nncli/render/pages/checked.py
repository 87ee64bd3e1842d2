"""Somebody else's step, compared with the record: as a page, and as JSON."""

from collections.abc import Iterator
from typing import Any

from nncli.core.jsons import to_json
from nncli.core.text import capitalised, count_of, first_of, join_words
from nncli.inspection.foreign.record import Checked, Compared, Made
from nncli.render.document import Document, Grid, Heading, Page, Paragraph
from nncli.render.text import number

HEADINGS = ("yours", "is", "verdict", "judged to", "relative error")
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
FORMULAS = {  # of quantities, where no mistake is known
    "z": "z_j = Σ_i a_i w_ij + b_j, a of the layer below",
    "a": "a = σ(z)",
    "upstream": "∂C/∂a: a − y for the quadratic cost; below, W δ of the layer above",
    "sigma_prime": "σ′(z), which for a sigmoid is a (1 − a)",
    "delta": "δ = (∂C/∂a) ⊙ σ′(z); a − y behind cross-entropy",
    "downstream": "∂C/∂input = W δ, with the W of the way forward",
    "weight_gradient": "∂C/∂W = 1/n Σ_x a δᵀ: a of the layer below, δ of this one",
    "bias_gradient": "∂C/∂b = 1/n Σ_x δ",
    "weight_update": "ΔW = −η ∂C/∂W, with what the optimizer adds to it",
    "bias_update": "Δb = −η ∂C/∂b, with what the optimizer adds to it",
    "weight_new": "W_new = W + ΔW",
    "bias_new": "b_new = b + Δb",
    "cost": "C = 1/n Σ_x C_x over the samples of the mini-batch",
}
OTHERWISE = Paragraph("Compare what goes into that quantity with its formula.")
MANY = 8  # samples that are listed


def checked_page(checked: Checked) -> Page:
    """The verdict, what was compared, and the mistake."""
    page: Page = [Heading(f"{checked.name}: {verdict(checked)}", 0)]
    page.append(Paragraph(_what(checked), note=True))
    page += [Paragraph(f"{capitalised(note)}.", note=True) for note in checked.notes]
    page.append(_table(checked))
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
    kinds = _by_word(checked)
    if not kinds:
        return first
    words = (" and ".join(dict.fromkeys(made.word for made in one)) for one in kinds)
    return f"{first}: {join_words(words)}"


def _what(checked: Checked) -> str:
    noun = "sample" if len(checked.samples) == 1 else "samples"
    digits = {one.digits for one in checked.compared}
    judged = f" All are judged to {digits.pop()}." if len(digits) == 1 else ""
    return (
        f"{count_of(len(checked.compared), 'quantity', 'quantities')} of yours beside those of the "
        f"same step here, on {noun} {first_of(checked.samples, MANY)} of the training data.{judged}"
    )


def _table(checked: Checked) -> Grid:
    """What was compared; to which digits is a column where that is not the same for all."""
    shown = [0, 1, 2, 3, 4]
    if len({one.digits for one in checked.compared}) == 1:
        shown.remove(3)
    rows = [_row(one) for one in checked.compared]
    rows = [tuple(row[k] for k in shown) for row in rows]
    return Grid(tuple(HEADINGS[k] for k in shown), tuple(rows), words=len(shown) - 1)


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
    pattern = f" Wrong: {checked.pattern}." if checked.pattern else ""
    yield Paragraph(f"{parts}.{pattern}")


def _mistakes(checked: Checked) -> Page:
    page: Page = []
    if not checked.explanations:
        page.append(Heading("No known mistake explains all of it", 2))
        if checked.ratio is not None:
            times = f"Yours is {checked.ratio:.6g} times what is right, in every entry."
            page.append(Paragraph(times))
        quantity = str(checked.first_wrong).rpartition(".")[2]
        page.append(
            Paragraph(f"Right: {FORMULAS[quantity]}") if quantity in FORMULAS else OTHERWISE
        )
        if checked.hints:
            words = join_words(dict.fromkeys(_hint(made) for made in checked.hints))
            page.append(
                Paragraph(
                    f"That quantity by itself would come of {words}; but what you have after it "
                    "would not. Is there a second mistake, or was it made by other code?"
                )
            )
        page.append(Paragraph("nncli inspect-grad shows its products one by one."))
        return page
    kinds = _by_word(checked)
    if len(kinds) > 1:
        page.append(Paragraph(f"{len(kinds)} would give these numbers; nothing tells which."))
    for explanation in kinds:
        page += _explained(explanation)
    return page


def _hint(made: Made) -> str:
    where = " of ".join(part for part in (made.way, made.place) if part)
    return f"{made.word} ({where})" if where else made.word


def _by_word(checked: Checked) -> list[tuple[Made, ...]]:
    """Of explanations by the same words the first, which is the simplest."""
    found: dict[tuple[str, ...], tuple[Made, ...]] = {}
    for explanation in checked.explanations:
        found.setdefault(tuple(sorted(made.word for made in explanation)), explanation)
    return list(found.values())


def _explained(explanation: tuple[Made, ...]) -> Iterator[Heading | Paragraph]:
    for k, made in enumerate(explanation):
        where = f" ({made.place})" if made.place else ""
        also = "and " if k else ""
        yield Heading(f"{also}{made.word}{where}", 2)
        way = f" {capitalised(made.way)}." if made.way else ""
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
        "together": checked.together,
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
        "hints": list(dict.fromkeys(made.word for made in checked.hints)),
        "notes": list(checked.notes),
    }
