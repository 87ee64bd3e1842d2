"""The backward pass through one layer: where its error comes from, its gradient, what flows on."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nncli.inspection.products import cell_products, tap_products
from nncli.nn.layers import Conv, Dense, Pool
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Heading, Paragraph, equations
from nncli.render.notation import SYMBOL
from nncli.render.pages.formulas import with_numbers
from nncli.render.pages.matrices import units
from nncli.render.pages.views import VIEWS
from nncli.render.text import Extent, number


class Choices(NamedTuple):
    """What of a step is shown.

    `tap` and `cell` name one filter tap and one input cell of the conv layer that `layer` names.
    """

    view: str = "hadamard"
    extent: Extent = Extent()
    layer: str | None = None
    tap: tuple[int, ...] | None = None
    cell: tuple[int, ...] | None = None


def backward(trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
    yield Heading(f"{layer.name}: {error_source(trace, layer)}", 2)
    formulas = layer.placed.layer.backward_formulas
    if formulas:
        yield from with_numbers(trace, layer, formulas, choices.extent)
        return
    if layer.delta is None:
        yield from equations(
            [(SYMBOL["upstream"], layer.upstream)], "", choices.extent, units(trace)
        )
        return
    yield from VIEWS[choices.view](trace, layer, choices.extent)
    if isinstance(layer.placed.layer, Conv):
        yield from tap_and_cell(trace, layer, choices)
    yield Paragraph(downstream_words(layer))
    yield from equations(
        [(SYMBOL["downstream"], layer.downstream)], "", choices.extent, units(trace)
    )


def error_source(trace: Trace, layer: LayerTrace) -> str:
    """Where the layer's error signal comes from."""
    position = [other.name for other in trace.layers].index(layer.name)
    if position == len(trace.layers) - 1:
        return "δ = a − y" if trace.cost.error_is_delta else "∂C/∂a = a − y"
    above = trace.layers[position + 1]
    match above.placed.layer:
        case Dense():
            return f"∂C/∂a = δ Wᵀ of {above.name}"
        case Conv():
            return f"∂C/∂a: what flowed back through the filters of {above.name}"
        case Pool():
            return f"∂C/∂a: what flowed back through {above.name}"
        case kind if kind.backward_formulas:
            return f"∂C/∂a: what flowed back through {above.name}"
    return f"∂C/∂a: that of {above.name}'s output, as an image"


def downstream_words(layer: LayerTrace) -> str:
    if isinstance(layer.placed.layer, Dense):
        inputs, units = layer.placed.parameter_shapes["weight"]
        n = len(layer.input)
        return f"To the layer below flows ∂C/∂input = δ Wᵀ  ({n}×{units} · {units}×{inputs}):"
    return "To the layer below flows ∂C/∂input, for each cell Σ δ ⊙ filter over its windows:"


def tap_and_cell(trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
    """One tap's window ⊙ δ and one cell's δ ⊙ filter in full, where they are asked for."""
    extent = choices.extent
    if choices.tap is not None:
        tap = tuple(choices.tap)
        name = ",".join(map(str, tap))
        total = 0.0
        yield Heading(f"what summed to ∂C/∂W[{name}]: the cells that the tap met ⊙ δ", 3)
        for made in tap_products(layer, tap):  # type: ignore[arg-type]
            terms = [("cells", made.cells), ("δ", made.delta), ("product", made.product)]
            sample = trace.samples[made.sample]
            yield Paragraph(f"sample {sample}: sum {number(float(made.product.sum()), 10)}")
            yield from equations(terms, "⊙=", extent)
            total += float(made.product.sum(dtype=np.float64))
        n = len(trace.samples)
        yield Paragraph(
            f"Together {number(total, 10)}"
            + (f", over {n} samples {number(total / n, 10)}" if n > 1 else "")
            + f"; the step computed {number(float(layer.weight_gradient[tap]), 10)}."  # type: ignore[index]
        )
    if choices.cell is not None:
        cell = tuple(choices.cell)
        name = ",".join(map(str, cell))
        yield Heading(f"what flows back to input cell {name}: δ ⊙ filter", 3)
        sums = np.zeros(len(trace.samples))
        for back in cell_products(layer, cell):  # type: ignore[arg-type]
            terms = [("δ", back.delta), ("filter", back.weights), ("product", back.product)]
            total = float(back.product.sum())
            sample = trace.samples[back.sample]
            yield Paragraph(f"sample {sample}, filter {back.filter}: sum {number(total, 10)}")
            yield from equations(terms, "⊙=", extent)
            sums[back.sample] += total
        for k, sample in enumerate(trace.samples):
            there = float(layer.downstream[(k, *cell)])
            yield Paragraph(
                f"sample {sample}: together {number(sums[k], 10)}; the step computed "
                f"{number(there, 10)}."
            )
