"""The parts of a step's page that one layer has; those of a kind that computes by formulas."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nncli.nn.layers import Formula
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Paragraph, equations
from nncli.render.notation import SYMBOL
from nncli.render.pages.matrices import units
from nncli.render.text import Extent, shape


class Row(NamedTuple):
    """A line of the computation, the kind of its product, shapes; and the quantity it makes."""

    line: str
    product: str
    shapes: str
    result: str


class Choices(NamedTuple):
    """What of a step is shown.

    `tap` and `cell` name one filter tap and one input cell of the conv layer that `layer` names.
    `sections` are those of the page that are shown; none: all of them. `is_short`: of a large
    network an excerpt of each, of a small one what is said only once.
    """

    view: str = "hadamard"
    extent: Extent = Extent()
    layer: str | None = None
    tap: tuple[int, ...] | None = None
    cell: tuple[int, ...] | None = None
    sections: tuple[str, ...] = ()
    is_short: bool = False


class LayerPage:
    """What is said of a layer: here, its formulas and their terms as the record has them."""

    def formula(self, layer: LayerTrace) -> str:
        """What the layer computes forward, in one line, with its own sizes."""
        placed = layer.placed
        text = ", ".join(formula.text for formula in placed.layer.forward_formulas)
        if placed.input_shape == placed.output_shape:
            return f"{text}  ({shape(placed.input_shape)})"
        return f"{text}  ({shape(placed.input_shape)} → {shape(placed.output_shape)})"

    def forward(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        """The numbers of the forward pass."""
        yield from with_numbers(trace, layer, layer.placed.layer.forward_formulas, extent)

    def error_source_below(self, name: str) -> str:
        """Where the error of the layer below comes from; `name` is that of this layer."""
        return f"∂C/∂a: what flowed back through {name}"

    def backward(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        """The numbers of the backward pass; the error alone, where the kind has no formulas."""
        extent, formulas = choices.extent, layer.placed.layer.backward_formulas
        if formulas:
            yield from with_numbers(trace, layer, formulas, extent)
        else:
            yield from equations([(SYMBOL["upstream"], layer.upstream)], "", extent, units(trace))

    def forward_products(self, layer: LayerTrace) -> Iterator[Row]:
        """Each line of the forward pass, the kind of product in it, the shapes of its factors."""
        yield from formula_rows(layer, layer.placed.layer.forward_formulas)

    def backward_products(self, layer: LayerTrace, *, fused: bool) -> Iterator[Row]:
        """The same of the backward pass.

        Args:
            fused: the layer's δ is a − y, σ′ having cancelled.
        """
        yield from formula_rows(layer, layer.placed.layer.backward_formulas)


def formula_rows(layer: LayerTrace, formulas: Sequence[Formula]) -> Iterator[Row]:
    for formula in formulas:
        arrays = [layer.quantity(key) for key in formula.terms[:-1]]
        sizes = [shape(array.shape[1:] or array.shape) for array in arrays if array is not None]
        signs = [f" {sign} " for sign in formula.signs] or [", "] * len(sizes)
        joined = "".join(map("".join, zip(["", *signs], sizes, strict=False)))
        yield Row(formula.text, formula.product, joined, formula.terms[-1])


def with_numbers(
    trace: Trace, layer: LayerTrace, formulas: Sequence[Formula], extent: Extent
) -> Iterator[Block]:
    """Each formula and, under it, its terms as the record has them.

    A single one forward is in the layer's heading already.
    """
    is_in_heading = tuple(formulas) == layer.placed.layer.forward_formulas and len(formulas) == 1
    for formula in formulas:
        if not is_in_heading:
            yield Paragraph(f"{formula.text}:")
        terms = [(_symbol(layer, key), layer.quantity(key)) for key in formula.terms]
        found = [(symbol, array) for symbol, array in terms if array is not None]
        dimensions = {array.ndim for _, array in found}
        if formula.signs and (len(dimensions) == 1 or max(dimensions) <= 2):
            axes = units(trace) if max(dimensions) > 2 else ()
            yield from equations(found, formula.signs, extent, axes)
            continue
        # Images and numbers a channel are not matrices of one equation.
        for symbol, array in found:
            axes = units(trace) if array.ndim > 2 else ()
            yield from equations([(symbol, array)], "", extent, axes)


def _symbol(layer: LayerTrace, key: str) -> str:
    """A quantity's symbol; what its kind calls its parameters, and their gradients."""
    name, _, part = key.partition("_")
    own = layer.placed.layer.symbols.get(name)
    if own is None:
        return SYMBOL[key]
    return {"": own, "gradient": f"∂C/∂{own}"}[part]
