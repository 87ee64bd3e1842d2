"""The short page of a step: of a large network an excerpt of each section.

Of a small one all numbers are shown by the sections themselves, and only what would be said twice
is left out here.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from nncli.app.records import InspectedStep
from nncli.core.text import count_of
from nncli.inspection.facts import gradient_factors, largest
from nncli.nn.measures import norm, ratio
from nncli.nn.step import QUANTITIES
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Heading, Lines, Page, Paragraph
from nncli.render.pages.brief import fact_lines, signal_table
from nncli.render.pages.kinds.weighted import hadamard_table
from nncli.render.pages.products import (
    Named,
    backward_lines,
    forward_lines,
    products_in_short,
)
from nncli.render.pages.proof import proof
from nncli.render.pages.update import overflow_words
from nncli.render.text import Extent, number

SMALL = 64  # numbers: parameters, and outputs of units, that are all shown
MOST_LINES = 12  # of forward and of backward; of longer ones the middle is left out
LONGEST = 25  # formula that is shown in a table
FEW = 3  # units whose δ is written out


def is_small(trace: Trace) -> bool:
    """Whether all numbers of a step fit a short page."""
    return sum(layer.placed.parameters + layer.a.size for layer in trace.layers) <= SMALL


def excerpt_forward(step: InspectedStep, chosen: Sequence[LayerTrace]) -> Page:
    trace = step.inspection.trace
    return [Heading("forward", 1), line_table(trace, forward_lines(chosen))]


def excerpt_backward(step: InspectedStep, chosen: Sequence[LayerTrace]) -> Page:
    """Its lines, and of one layer how they come about."""
    trace = step.inspection.trace
    page: Page = [Heading("backward", 1), line_table(trace, backward_lines(trace, chosen))]
    layer = next((layer for layer in chosen if layer.sigma_prime is not None), None)
    if layer is not None and np.isfinite(layer.upstream).all():
        page += worked_layer(trace, layer)
    return page


def worked_layer(trace: Trace, layer: LayerTrace) -> Iterator[Block]:
    """Some units' δ and, of a dense layer, the largest entry of its gradient."""
    size = layer.upstream[0].size
    some = f"{FEW} of {size:,} units" if size > FEW else count_of(size, "unit")
    table = hadamard_table(trace, layer, Extent(rows=range(FEW)))
    headings = (f"{layer.name}, {some}", *table.headings[1:])
    yield table._replace(headings=headings)
    found = gradient_factors(layer)
    if found is not None:
        (at, value), a, delta = found
        i, j = at
        yield Lines(
            (
                f"∂C/∂W[{i},{j}] = a[{i}] δ[{j}] = {number(a, 6)} · {number(delta, 6)} = "
                f"{number(value, 6)}, the largest",
            )
        )


def excerpt_update(step: InspectedStep, chosen: Sequence[LayerTrace]) -> Page:
    """Of each layer the weight that changes most."""
    trace = step.inspection.trace
    rows = []
    for layer in chosen:
        if layer.weight is None:
            continue
        assert layer.weight_update is not None
        assert layer.weight_new is not None
        found = largest(layer.weight_update)
        symbol = layer.placed.layer.symbols.get("weight", "W")
        share = ratio(norm(layer.weight_update), norm(layer.weight))
        rows.append(
            (
                layer.name,
                f"{symbol}[{_place(found.at)}]",
                number(float(layer.weight[found.at]), 6),
                number(found.value, 6),
                number(float(layer.weight_new[found.at]), 6),
                number(share, 2),
            )
        )
    if not rows:
        return []
    change = "ΔW = −η ∂C/∂W" if len(trace.links) == 1 else "ΔW"
    headings = ("layer", "moves most", "W", change, "W new", "‖ΔW‖/‖W‖")
    return [Heading("update", 1), Grid(headings, tuple(rows), words=2)]


def short_products(step: InspectedStep, chosen: Sequence[LayerTrace]) -> Page:
    heading = Heading("which product is used where", 1)
    return [heading, *products_in_short(step.inspection.trace, chosen)]


def short_proof(step: InspectedStep, chosen: Sequence[LayerTrace]) -> Page:
    """The proof where it fails; else its verdict stands at the top, and is all there is to say."""
    check = step.inspection.check
    return proof(step.inspection) if check is not None and check.verdict != "passed" else []


def short_meaning(step: InspectedStep, chosen: Sequence[LayerTrace]) -> Page:
    trace = step.inspection.trace
    page: Page = [Heading("what the numbers mean", 1)]
    beyond = step.inspection.overflow
    if beyond is not None:
        return [*page, Paragraph(overflow_words(trace, beyond))]
    return [*page, Lines(tuple(fact_lines(trace))), *signal_table(trace)]


def more_to_see(trace: Trace) -> Paragraph:
    names = [layer.name for layer in trace.layers if layer.weight is not None]
    if is_small(trace):
        words = "--section proof shows each gradient beside its derivative, --full the whole page"
    else:
        places = ", its places being sample: unit" if len(trace.samples) > 1 else ""
        name = names[-1] if names else trace.layers[-1].name
        words = (
            f"An excerpt{places}: --section backward shows all of that, --layer {name} that layer, "
            "--full the whole page with every number"
        )
    return Paragraph(f"{words}; -o step.html is a page to explore.", note=True)


def line_table(trace: Trace, lines: Sequence[Named]) -> Grid:
    """Lines of a step, which product is in each, and the largest number that it makes."""
    rows: list[tuple[str, ...]] = []
    for layer, row in lines:
        is_first = layer is trace.layers[0] and row.result == "downstream"
        if is_first or row.result == "bias_gradient":  # which nothing uses; which is δ, or its sum
            continue
        array = layer.quantity(row.result)
        place = value = ""
        if array is not None and array.size:
            found = largest(array)
            value = number(found.value, 4)
            place = _place_in(trace, layer, row.result, found.at)
        product = row.product.removesuffix(" product")
        rows.append((layer.name, _short_line(row.line), product, value, place))
    if len(rows) > MOST_LINES:
        more = len(rows) - MOST_LINES + 1
        half = MOST_LINES // 2
        gap = ("…", f"{more} more lines", "", "…", "…")
        rows[half : half + more] = [gap]
    return Grid(("layer", "line", "product", "largest", "at"), tuple(rows), words=3)


def _short_line(line: str) -> str:
    """A formula; of a long one what it gives."""
    return line if len(line) <= LONGEST else line.partition(" = ")[0].partition(":")[0]


def _place_in(trace: Trace, layer: LayerTrace, key: str, at: tuple[int, ...]) -> str:
    kept = {q.key: q.by_sample for q in layer.placed.layer.quantities}
    if key not in QUANTITIES and not kept.get(key):
        return _place(at)
    unit = _place(at[1:])
    return unit if len(trace.samples) == 1 else f"{trace.samples[at[0]]}: {unit}"


def _place(at: tuple[int, ...]) -> str:
    return ",".join(map(str, at))
