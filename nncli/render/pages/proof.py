"""The end of a breakdown: the proof of its gradients, and what its numbers mean.

Every gradient is shown against an independent derivative; the findings are sentences that carry
their numbers.
"""

from collections.abc import Iterator, Sequence
from math import isfinite, log10, prod

from nncli.core.text import count_of, join_words
from nncli.inspection.check import Check, Sweep, TensorCheck
from nncli.inspection.findings import (
    ChangeVerdict,
    CostChange,
    RelativeUpdate,
    Saturation,
    Unchanged,
    Why,
    attenuation,
    cost_change,
    relative_updates,
    saturation,
    unchanged,
)
from nncli.inspection.record import Inspection
from nncli.inspection.views import VIEWS
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Heading, Lines, Page, Paragraph
from nncli.render.notation import SYMBOL
from nncli.render.text import number, percent


def proof(inspection: Inspection) -> Page:
    page: Page = [Heading("proof", 1), Paragraph(agreement(inspection))]
    if inspection.check is None:
        return [*page, Paragraph("The gradients were not checked (--check off).")]
    check = inspection.check
    page.append(
        Paragraph(
            f"Each gradient against the {check.method.replace(' ', '-')} derivative "
            "Im C(w + ih)/h, which subtracts nothing:"
        )
    )
    rows = []
    for tensor in check.tensors:
        place = "" if tensor.worst is None else f"[{','.join(map(str, tensor.worst))}]"
        rows.append(
            (
                tensor.layer,
                SYMBOL[tensor.quantity],
                f"{tensor.checked:,} of {tensor.size:,}",
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
    page += kinks(check, inspection.trace.layers)
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


def kinks(check: Check, layers: Sequence[LayerTrace]) -> Page:
    """Where the derivative is that of one side of a kink."""
    kinked = [layer for layer in layers if layer.placed.layer.has_kinks]
    names = dict.fromkeys(layer.activation or layer.type for layer in kinked)
    page: Page = []
    for tensor in check.tensors:
        if tensor.kinks:
            some = " ".join(f"[{','.join(map(str, entry))}]" for entry in tensor.kinks[:6])
            more = " …" if len(tensor.kinks) > 6 else ""
            those, side = (
                ("entry is", "its derivative is that")
                if len(tensor.kinks) == 1
                else ("entries are", "their derivatives are those")
            )
            page.append(
                Paragraph(
                    f"{tensor.layer} {SYMBOL[tensor.quantity]}: {len(tensor.kinks):,} {those} "
                    f"next to a kink of {join_words(names)}, {some}{more}; {side} on this "
                    "side of it.",
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
            f"{short.verified:,} of {count_of(short.checked, 'entry', 'entries')} tried could be "
            f"verified. Of those that could, {agree}"
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
        some = count_of(tensor.too_small, "entry is", "entries are")
        reasons.append(f"{some} too small to tell from rounding")
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


# What the numbers mean


NAMED = 8  # units that are named one by one


def findings(trace: Trace) -> Iterator[Block]:
    yield Paragraph(change_words(trace, cost_change(trace)))
    yield from attenuation_table(trace)
    for layer in trace.layers:
        found = saturation(layer)
        if found is not None and (found.always or found.sometimes):
            yield Paragraph(saturation_words(found, len(trace.samples)))
    yield from map(unchanged_words, unchanged(trace))


CHANGES: dict[ChangeVerdict, str] = {
    "linear": "linear: the cost is all but straight along this step",
    "curved": "curved: the cost bends within the step",
    "overshot": "overshot: the cost has grown, as it would not with a smaller η",
    "uphill": "uphill: what the optimizer adds to −η ∂C/∂W outweighs it",
    "none": "every gradient is 0 on these samples, and the step teaches nothing",
    "rounded": "both are less than the rounding of the cost",
}


def change_words(trace: Trace, change: CostChange) -> str:
    step = "−η‖∇C‖²" if len(trace.links) == 1 else "∇C · Δ"
    words = CHANGES[change.verdict]
    if change.verdict == "none" and trace.cost_before == 0:
        words = "the outputs are right, and there is nothing to change"
    if change.verdict == "overshot":
        words += moved_most(relative_updates(trace))
    if not isfinite(change.predicted):
        return (
            f"The gradient promised {step}, which is beyond float64; the cost on these samples "
            f"changed by {number(change.actual, 5)}."
        )
    ratio = "" if change.ratio is None else f", {number(change.ratio, 3)} of it"
    return (
        f"The gradient promised {step} = {number(change.predicted, 5)}; the cost on these samples "
        f"changed by {number(change.actual, 5)}{ratio}: {words}."
    )


def moved_most(updates: Sequence[RelativeUpdate]) -> str:
    """The layer whose weights have changed most for their size; empty where all began as 0."""
    ratio, most = max(((u.ratio, u) for u in updates if u.ratio is not None), default=(0.0, None))
    if most is None:
        return ""
    quotient = f"{number(most.update)}/{number(most.weight)} = {number(ratio, 2)}"
    return f"; {most.layer} has moved most for its size, ‖ΔW‖/‖W‖ = {quotient}"


def unchanged_words(found: Unchanged) -> Paragraph:
    why = (
        "no error comes back to it"
        if found.cause == "no error"
        else "every ΔW is less than the rounding of its weight"
    )
    return Paragraph(f"{found.layer}: no weight changes in this step: {why}.")


def attenuation_table(trace: Trace) -> Iterator[Block]:
    rows = attenuation(trace)
    if not rows:
        return
    yield Paragraph("What became of the error signal on its way back, from δ of the last layer:")
    last = trace.layers[-1].name
    total = rows[-1].norm_after / rows[0].norm_before if rows[0].norm_before else None
    factors = [row.factor for row in rows]
    product = prod(f for f in factors if f is not None) if None not in factors else None
    yield Grid(
        ("", "by", "factor", "‖signal‖"),
        (
            (f"δ of {last}", "", "", number(rows[0].norm_before)),
            *((row.layer, row.cause, number(row.factor), number(row.norm_after)) for row in rows),
            ("end to end", "both ends' ratio", number(total), ""),
            ("", "the product of all", number(product), ""),
        ),
        words=2,
    )


def saturation_words(found: Saturation, samples: int) -> str:
    words, parts = found.words, []
    at_one = f"{words.word} (σ′ = 0)" if words.dead else words.lasting  # one sample kills no unit
    if found.always:
        what, who = (
            (at_one, "for this sample")
            if samples == 1
            else (words.lasting, f"for all {samples:,} samples")
        )
        parts.append(
            f"{len(found.always)} of {count_of(found.units, 'unit')} {what} {who}"
            f"{units(found.always)}"
        )
    if found.sometimes:
        some = f"{count_of(len(found.sometimes), 'unit')} {words.word} for some of them"
        if not found.always:
            units_of = count_of(found.units, "unit")
            some = f"{len(found.sometimes)} of {units_of} {at_one} for some samples"
        parts.append(f"{some}{units(found.sometimes)}")
    return f"{found.layer}: {'; '.join(parts)}."


def units(indices: tuple[tuple[int, ...], ...]) -> str:
    named = [",".join(map(str, index)) for index in indices[:NAMED]]
    more = ", …" if len(indices) > NAMED else ""
    noun = "unit" if len(indices) == 1 else "units"
    return f" ({noun} {'; '.join(named) if ',' in named[0] else ', '.join(named)}{more})"


def why_block(trace: Trace, why: Why) -> Iterator[Block]:
    place = ",".join(map(str, why.index))
    yield Heading(f"who pushed {why.layer}[{place}]", 1)
    shown = why.contributions[:20]
    rows = tuple(
        (
            f"sample {c.sample}",
            *((number(c.a, 5), number(c.delta, 5)) if c.a is not None else ()),
            number(c.push, 5),
        )
        for c in shown
    )
    factors = ("a", "δ") if shown and shown[0].a is not None else ()
    layer = next(layer for layer in trace.layers if layer.name == why.layer)
    sums = "Σ cells ⊙ δ" if layer.delta is not None else "Σ ∂C/∂a ⊙ x̂"
    heading = "−η/n · a δ" if factors else f"−η/n · {sums}"
    yield Grid(("", *factors, heading), rows)
    more = len(why.contributions) - len(shown)
    yield Paragraph(
        (f"… and {count_of(more, 'sample')} more. " if more else "")
        + f"Together {number(why.total, 6)} = −η ∂C/∂w{cancellation_words(why.cancellation)}."
    )


def cancellation_words(share: float | None) -> str:
    """Whether samples pull a weight one way; nothing where none pulls, or one is not finite."""
    if share is None:
        return ""
    verdict = "the samples agree" if share > 0.5 else "the samples mostly cancel"
    return f"; |sum| / sum of |.| = {percent(share)}: {verdict}"
