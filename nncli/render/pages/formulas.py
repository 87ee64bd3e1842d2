"""The lines of a layer whose kind says by itself what it computes, with their numbers."""

from collections.abc import Iterator, Sequence

from nncli.nn.layers import Formula
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Paragraph, equations
from nncli.render.notation import SYMBOL
from nncli.render.pages.matrices import units
from nncli.render.text import Extent, shape

Row = tuple[str, str, str, str]


def described(layer: LayerTrace) -> str:
    """What the layer computes forward, in one line, with its shapes."""
    placed = layer.placed
    text = ", ".join(formula.text for formula in placed.layer.forward_formulas)
    if placed.input_shape == placed.output_shape:
        return f"{text}  ({shape(placed.input_shape)})"
    return f"{text}  ({shape(placed.input_shape)} → {shape(placed.output_shape)})"


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


def product_lines(layer: LayerTrace) -> Iterator[Row]:
    """The kind of product in each line, and the shapes of its factors."""
    kind = layer.placed.layer
    for formula in (*kind.forward_formulas, *kind.backward_formulas):
        arrays = [layer.quantity(key) for key in formula.terms[:-1]]
        sizes = [shape(array.shape[1:] or array.shape) for array in arrays if array is not None]
        signs = [f" {sign} " for sign in formula.signs] or [", "] * len(sizes)
        joined = "".join(map("".join, zip(["", *signs], sizes, strict=False)))
        yield layer.name, formula.text, formula.product, joined
