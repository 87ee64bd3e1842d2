"""The proof at the end of a breakdown: every gradient against an independent derivative."""

from math import log10

from nncli.core.text import count_of, join_words
from nncli.inspection.check import Check, Sweep, TensorCheck
from nncli.inspection.record import Inspection
from nncli.inspection.views import VIEWS
from nncli.nn.activations import ACTIVATIONS
from nncli.render.document import Grid, Heading, Lines, Page, Paragraph
from nncli.render.notation import SYMBOL
from nncli.render.text import number

METHODS = {
    "complex step": "the complex-step derivative Im C(w + ih)/h, which subtracts nothing",
    "central differences": "central differences (C(w + h) − C(w − h))/2h in float64",
}


def proof(inspection: Inspection) -> Page:
    page: Page = [Heading("proof", 1), Paragraph(agreement(inspection))]
    if inspection.check is None:
        return [*page, Paragraph("The gradients were not checked (--check off).")]
    check = inspection.check
    page.append(Paragraph(f"Each gradient against {METHODS[check.method]}:"))
    rows = []
    for tensor in check.tensors:
        place = "" if tensor.worst is None else f"[{','.join(map(str, tensor.worst))}]"
        rows.append(
            (
                tensor.layer,
                SYMBOL[tensor.quantity],
                f"{tensor.checked - len(tensor.kinks):,} of {tensor.size:,}",
                f"{tensor.verified:,}",
                number(tensor.max_relative_error, 2),
                place,
            )
        )
    page.append(
        Grid(
            ("layer", "gradient", "entries", "verified", "largest error", "at"),
            tuple(rows),
            words=2,
        )
    )
    page += kinks(check, {layer.activation for layer in inspection.trace.layers})
    page += [Paragraph(f"{why}.", note=True) for why in map(unverified, check.tensors) if why]
    page.append(Paragraph(verdict(check)))
    return page


def agreement(inspection: Inspection) -> str:
    worst = {
        view: max((a.ulps for a in inspection.agreements if a.view == view), default=0.0)
        for view in VIEWS
    }
    each = ", ".join(f"{view} {number(ulps, 2)}" for view, ulps in worst.items())
    return (
        "The four views compute the gradient each by its own formula; from what the step computed "
        f"they differ, in units in the last place of its largest entry, by at most: {each}."
    )


def kinks(check: Check, used: set[str | None]) -> Page:
    """Where kinks lay within a difference's step; `used` are the network's activations."""
    names = [r.name for r in ACTIVATIONS.values() if r.kinks and (r.name in used or not r.analytic)]
    page: Page = []
    for tensor in check.tensors:
        if tensor.kinks:
            some = " ".join(f"[{','.join(map(str, entry))}]" for entry in tensor.kinks[:6])
            more = " …" if len(tensor.kinks) > 6 else ""
            page.append(
                Paragraph(
                    f"{tensor.layer} {SYMBOL[tensor.quantity]}: "
                    f"{count_of(len(tensor.kinks), 'entry', 'entries')} left out, a kink of "
                    f"{join_words((*names, 'maxpool'))} lies within the step: {some}{more}; "
                    "compared with the derivative on this side of the kink, they agree",
                    note=True,
                )
            )
    return page


def verdict(check: Check) -> str:
    error, allowed = number(check.max_relative_error, 2), number(check.tolerance, 2)
    first = check.failure
    if first is None:
        agree = f"the largest relative error is {error}; rounding explains up to {allowed}."
        short = check.unproven
        if short is None:
            return f"PASSED: {agree}"
        return (
            f"NOT PROVEN: nothing disagrees, but of {short.layer} {SYMBOL[short.quantity]} only "
            f"{short.verified:,} of the {short.checked:,} entries tried could be verified. Of "
            f"those that could, {agree}"
        )
    return (
        f"FAILED: the first to be wrong is {first.layer} {SYMBOL[first.quantity]}: at "
        f"[{','.join(map(str, first.worst or ()))}] it is {number(first.value, 10)}, the "
        f"derivative is {number(first.reference, 10)}. The largest relative error is {error}; "
        f"rounding explains up to {allowed}."
    )


def unverified(tensor: TensorCheck) -> str:
    """Why entries of a gradient were not verified; empty where all were, or were wrong."""
    reasons = []
    if tensor.too_small:
        reasons.append(
            f"{count_of(tensor.too_small, 'entry is', 'entries are')} below "
            f"{number(tensor.floor, 2)}, too small to tell from rounding"
        )
    if tensor.unknown:
        reasons.append(
            f"of {count_of(tensor.unknown, 'entry', 'entries')} the derivative is too large, or "
            "too small, to be computed in float64"
        )
    return f"{tensor.layer} {SYMBOL[tensor.quantity]}: {join_words(reasons)}" if reasons else ""


def sweep_page(sweep: Sweep) -> Page:
    """The U-shaped error of central differences over h, as a bar of the decimal digits gained."""
    place = ",".join(map(str, sweep.entry))
    lines = ["h          error      right digits (## each)"]
    for h, error in sweep.errors:
        digits = 0.0 if not error < 1 else min(16.0, -_log10(error))
        lines.append(f"{number(h, 2):<9}  {number(error, 2):<9}  {'#' * round(2 * digits)}")
    return [
        Heading("the step size of central differences", 1),
        Paragraph(
            f"(C(w + h) − C(w − h))/2h for {sweep.layer} {SYMBOL[sweep.quantity]}[{place}] = "
            f"{number(sweep.value, 10)}. While h is large the error is truncation, and falls as "
            "h²; where h is small it is rounding, and grows as 1/h."
        ),
        Lines(tuple(lines)),
    ]


def _log10(value: float) -> float:
    return log10(value) if value else -16.0
