"""Layers with weights: δ = ∂C/∂a ⊙ σ′(z), and their gradient in four views of one computation.

The views are Hadamard, matrix, Kronecker and index by index. What is common to all kinds is here;
which product makes the gradient is a kind's own.
"""

from collections.abc import Callable, Iterator

import numpy as np

from nncli.nn.activations import ACTIVATIONS, SATURATED
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Paragraph, equations
from nncli.render.notation import SYMBOL, error_words
from nncli.render.pages.kinds.base import Choices, LayerPage, Row
from nncli.render.pages.matrices import hadamard, weighted_error
from nncli.render.text import EDGE, Extent, number

SMALL = 0.01  # an error signal below this share of the layer's largest is called small


class WeightedPage(LayerPage):
    def backward(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        yield from VIEWS[choices.view](self, trace, layer, choices.extent)
        yield from self.details(trace, layer, choices)
        yield from self.downstream(trace, layer, choices)

    def details(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        """What is shown only where it is asked for."""
        yield from ()

    def downstream(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        """What flows to the layer below, and by which products."""
        raise NotImplementedError

    def gradient_words(self, layer: LayerTrace) -> str:
        """By what the gradients are made."""
        raise NotImplementedError

    def gradient_table(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        """The gradients, with the factors of their products."""
        raise NotImplementedError

    def matrix_product(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        """∂C/∂W as one matrix product."""
        raise NotImplementedError

    def jacobian(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        """δ by the Jacobian of the activation, where that can be written out."""
        yield from hadamard(trace, layer, extent)

    def kronecker_product(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        """vec(∂C/∂W) as a Kronecker product."""
        raise NotImplementedError

    def index_sums(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        """Sums over indices with the numbers substituted, one line an entry."""
        raise NotImplementedError


WEIGHTED = (
    "w is the weight of a sample's class, a factor of its C_x and so of its ∂C/∂a and δ; "
    "C = 1/n Σ_x w C_x, n being the number of samples."
)


def hadamard_view(
    page: WeightedPage, trace: Trace, layer: LayerTrace, extent: Extent
) -> Iterator[Block]:
    """A row a unit with both factors; then the outer product a δᵀ as a multiplication table."""
    is_last = layer is trace.layers[-1]
    if is_last and trace.sample_weights is not None:
        yield Paragraph(WEIGHTED)
        if not trace.cost.error_is_delta:
            yield from weighted_error(trace, (SYMBOL["upstream"], layer.upstream), extent)
    if layer.sigma_prime is not None and np.isfinite(layer.upstream).all():
        yield hadamard_table(trace, layer, extent)
    if is_last and trace.cost.error_is_delta:
        yield Paragraph(
            f"Behind {layer.activation} outputs and cross-entropy σ′ cancels, and "
            f"{error_words(trace, 'δ = a − y')}:"
        )
        yield from hadamard(trace, layer, extent)
    yield Paragraph(page.gradient_words(layer))
    yield from page.gradient_table(trace, layer, extent)


def matrix_view(
    page: WeightedPage, trace: Trace, layer: LayerTrace, extent: Extent
) -> Iterator[Block]:
    yield from hadamard(trace, layer, extent)
    yield from page.matrix_product(layer, extent)
    yield from bias_gradients(layer, extent)


def kronecker_view(
    page: WeightedPage, trace: Trace, layer: LayerTrace, extent: Extent
) -> Iterator[Block]:
    yield from page.jacobian(trace, layer, extent)
    yield from page.kronecker_product(trace, layer, extent)


def index_view(
    page: WeightedPage, trace: Trace, layer: LayerTrace, extent: Extent
) -> Iterator[Block]:
    yield from hadamard(trace, layer, extent)
    yield from page.index_sums(layer, extent)


View = Callable[[WeightedPage, Trace, LayerTrace, Extent], Iterator[Block]]

VIEWS: dict[str, View] = {
    "matrix": matrix_view,
    "hadamard": hadamard_view,
    "kronecker": kronecker_view,
    "index": index_view,
}


def bias_gradients(layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    if layer.bias_gradient is not None:
        yield from equations([(SYMBOL["bias_gradient"], layer.bias_gradient)], "", extent)


def mean_over(n: int) -> str:
    """What is written before a mean over samples; nothing for a single one."""
    return f"1/{n} Σ over the samples of " if n > 1 else ""


def mean_of(n: int) -> str:
    """What follows the shapes of a product whose mean over samples is taken."""
    return f", mean of {n}" if n > 1 else ""


def delta_row(outputs: str, *, fused: bool) -> Row:
    if fused:
        return Row("δ = a − y", "none: σ′ has cancelled", outputs, "delta")
    return Row("δ = ∂C/∂a ⊙ σ′(z)", "Hadamard product", f"{outputs} ⊙ {outputs}", "delta")


def summed(gradient: Array, n: int) -> Array:
    """The sum over n samples whose mean the gradient is."""
    with np.errstate(over="ignore"):
        total: Array = n * gradient.astype(np.float64)
        return total


def activation_row(layer: LayerTrace, outputs: str) -> Row:
    assert layer.activation is not None
    by = "none: unit by unit" if ACTIVATIONS[layer.activation].elementwise else "none: all units"
    return Row(f"a = {layer.activation}(z)", by, f"{outputs} → {outputs}", "a")


def bias_rows(layer: LayerTrace, units: str) -> Iterator[Row]:
    if layer.bias is not None:
        n = len(layer.upstream)
        if layer.upstream.ndim > 2:  # a filter's bias is in the z of every place
            product, over = "none: a sum", "Σ δ"
        else:
            product, over = ("none: a mean" if n > 1 else "none: δ itself"), "δ"
        yield Row(f"∂C/∂b = {over}", product, f"{units}{mean_of(n)}", "bias_gradient")


def hadamard_table(trace: Trace, layer: LayerTrace, extent: Extent) -> Grid:
    """∂C/∂a | σ′(z) | δ for every unit of every sample, and which factor holds it back."""
    upstream, prime, delta = layer.upstream, layer.sigma_prime, layer.delta
    assert prime is not None
    assert delta is not None
    largest = np.abs(upstream).max(axis=tuple(range(1, upstream.ndim)), keepdims=True)
    small = np.abs(upstream) < SMALL * largest
    saturated = np.abs(prime) < SATURATED
    several = len(upstream) > 1
    # What fits beside the names of units that have three indices, or of several samples.
    digits = 7 if several or upstream.ndim > 2 else 10
    assert layer.activation is not None
    off = ACTIVATIONS[layer.activation].saturation.word
    places = list(np.ndindex(upstream.shape))
    rows: list[tuple[str, ...]] = []
    for k in extent.row_indices(len(places)):
        if k is None:
            rows.append(("…", "…", "…", "…", f"{len(places) - 2 * EDGE:,} more"))
            continue
        at = places[k]
        unit = ",".join(map(str, at[1:]))
        both = saturated[at] and small[at]
        held = "both" if both else off if saturated[at] else "small error" if small[at] else ""
        rows.append(
            (
                f"{trace.samples[at[0]]}: {unit}" if several else f"unit {unit}",
                *(number(float(q[at]), digits) for q in (upstream, prime, delta)),
                held,
            )
        )
    name = "sample: unit" if several else ""
    headings: tuple[str, ...] = (name, "∂C/∂a", "⊙ σ′(z)", "= δ", "held back by")
    if not any(row[-1] for row in rows):
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    return Grid(headings, tuple(rows))
