"""What the numbers of a step mean, in sentences that carry the numbers."""

from collections.abc import Iterator
from math import prod

from nncli.core.text import count_of
from nncli.inspection.findings import (
    CostChange,
    Saturation,
    Why,
    attenuation,
    cost_change,
    relative_updates,
    saturation,
)
from nncli.nn.trace import Trace
from nncli.render.document import Block, Grid, Heading, Paragraph
from nncli.render.text import number, percent

NAMED = 8  # units that are named one by one


def findings(trace: Trace) -> Iterator[Block]:
    yield Paragraph(change_words(trace, cost_change(trace)))
    yield from attenuation_table(trace)
    for layer in trace.layers:
        found = saturation(layer)
        if found is not None and (found.always or found.sometimes):
            yield Paragraph(saturation_words(found, len(trace.samples)))
    yield from updates(trace)


def change_words(trace: Trace, change: CostChange) -> str:
    step = "−η‖∇C‖²" if len(trace.links) == 1 else "∇C · Δ"
    words = {
        "linear": "linear: the step was short enough for the gradient to tell what it would do",
        "curved": "curved: the cost bends within the step",
        "overshot": "overshot: the cost has grown; a smaller η would not",
    }
    ratio = "" if change.ratio is None else f", {number(change.ratio, 3)} of it"
    return (
        f"The gradient promised {step} = {number(change.predicted, 5)}; the cost on these samples "
        f"changed by {number(change.actual, 5)}{ratio}: {words[change.verdict]}."
    )


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
    what = found.words.lasting
    parts = []
    if found.always:
        who = "for this sample" if samples == 1 else f"for all {samples:,} samples"
        parts.append(
            f"{len(found.always)} of {count_of(found.units, 'unit')} {what} {who}"
            f"{units(found.always)}"
        )
    if found.sometimes:
        some = f"{len(found.sometimes)} for some of them"
        if not found.always:
            some = (
                f"{len(found.sometimes)} of {count_of(found.units, 'unit')} {what} for some samples"
            )
        parts.append(f"{some}{units(found.sometimes)}")
    return f"{found.layer}: {'; '.join(parts)}."


def units(indices: tuple[tuple[int, ...], ...]) -> str:
    named = [",".join(map(str, index)) for index in indices[:NAMED]]
    more = ", …" if len(indices) > NAMED else ""
    noun = "unit" if len(indices) == 1 else "units"
    return f" ({noun} {'; '.join(named) if ',' in named[0] else ', '.join(named)}{more})"


def updates(trace: Trace) -> Iterator[Block]:
    far = [found for found in relative_updates(trace) if found.verdict != "healthy"]
    for found in far:
        ratio = number(found.ratio, 2)
        word = (
            "a large step: more than ten times"
            if found.verdict == "large"
            else ("a small step: less than a tenth of")
        )
        yield Paragraph(
            f"{found.layer}: ‖ΔW‖/‖W‖ = {number(found.update)}/{number(found.weight)} = {ratio}, "
            f"{word} the 1e-3 that usually trains well."
        )


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
    agree = percent(why.cancellation)
    yield Paragraph(
        (f"… and {count_of(more, 'sample')} more. " if more else "")
        + f"Together {number(why.total, 6)} = −η ∂C/∂w; |sum| / sum of |.| = {agree}: "
        + ("the samples agree." if (why.cancellation or 0) > 0.5 else "the samples mostly cancel.")
    )
