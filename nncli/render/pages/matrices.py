"""The matrices of a step: the Hadamard product, the gradients, W before and after."""

from collections.abc import Iterator

from nncli.core.text import count_of
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import (
    Block,
    Heading,
    Leading,
    Page,
    Paragraph,
    equations,
    rounding_note,
)
from nncli.render.notation import SYMBOL, weight_factors
from nncli.render.text import Extent, number

WEIGHTS: tuple[Leading, ...] = (("filter", None), ("channel", None))


def units(trace: Trace) -> tuple[Leading, ...]:
    """The leading axes of an image's arrays: samples by their numbers in the training data."""
    return (("sample", trace.samples), ("channel", None))


def step_matrices(trace: Trace) -> Page:
    """Every matrix of a step that its update depends on, from the output to the input."""
    page: Page = [
        Heading("the matrices of this step", 3),
        Paragraph(
            f"{count_of(len(trace.samples), 'sample')}, a row for each; η = {trace.eta:g}; "
            f"C = {number(trace.cost_before, 10)} before the step, "
            f"{number(trace.cost_after, 10)} after it on the same samples."
        ),
    ]
    for layer in reversed(trace.layers):
        if layer.weight is not None:
            activation = f" ({layer.activation})" if layer.activation else ""
            page.append(Heading(f"{layer.name}{activation}", 2))
            if layer.delta is not None:
                page += hadamard(trace, layer, Extent())
            page += gradients(layer, Extent())
            page += update(layer, Extent())
    return [*page, rounding_note(page)]


def hadamard(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    """δ = ∂C/∂a ⊙ σ′(z); or δ = a − y where the cost gives it directly."""
    assert layer.delta is not None
    if layer is trace.layers[-1] and trace.cost.error_is_delta:
        yield from weighted_error(trace, ("δ", layer.delta), extent)
        return
    if layer is trace.layers[-1] and trace.sample_weights is not None:
        yield from weighted_error(trace, (SYMBOL["upstream"], layer.upstream), extent)
    assert layer.sigma_prime is not None
    terms = [(SYMBOL[k], getattr(layer, k)) for k in ("upstream", "sigma_prime", "delta")]
    yield from equations(terms, "⊙=", extent, units(trace))


def weighted_error(trace: Trace, error: tuple[str, Array], extent: Extent) -> Iterator[Block]:
    """What a − y of the outputs is; and where classes have weights, what w ⊙ (a − y) is."""
    last, factors = trace.layers[-1], weight_factors(trace)
    outputs = [("a", last.a), ("y", trace.targets)]
    if factors is None:
        yield from equations([*outputs, error], "−=", extent)
        return
    yield from equations([*outputs, factors[1]], "−=", extent)
    yield from equations([*factors, error], "⊙=", extent)


def gradients(layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    for key in ("weight_gradient", "bias_gradient"):
        array = getattr(layer, key)
        if array is not None:
            yield from equations([(SYMBOL[key], array)], "", extent, WEIGHTS)


def update(layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    """W + ΔW = W new, and the same for b."""
    for key in ("weight", "bias"):
        if getattr(layer, key) is not None:
            keys = (key, f"{key}_update", f"{key}_new")
            terms = [(SYMBOL[k], getattr(layer, k)) for k in keys]
            yield from equations(terms, "+=", extent, WEIGHTS)
