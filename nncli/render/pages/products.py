"""The lines that a step computes, and which product stands in each."""

from collections.abc import Iterator, Sequence

from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Paragraph
from nncli.render.notation import error_words
from nncli.render.pages.kinds import page_of
from nncli.render.pages.kinds.base import Row
from nncli.render.text import shape

Named = tuple[LayerTrace, Row]

NO_PRODUCT = "none"  # how a row says that there is no product in its line


def product_tables(trace: Trace, layers: Sequence[LayerTrace]) -> Iterator[Block]:
    """Which product is used where, in the order of the step."""
    parts = {
        "Forward, from the input on:": forward_lines(layers),
        "Backward, from the output on:": backward_lines(trace, layers),
        "Update:": update_lines(layers),
    }
    for words, lines in parts.items():
        rows = tuple((layer.name, *row[:3]) for layer, row in lines)
        if rows:
            yield Paragraph(words)
            yield Grid(("layer", "line", "product", "shapes"), rows, words=4)


def products_in_short(trace: Trace, layers: Sequence[LayerTrace]) -> Iterator[Block]:
    """The lines that have a product."""
    lines = [*forward_lines(layers), *backward_lines(trace, layers)]
    rows = tuple(
        (layer.name, *row[:3]) for layer, row in lines if not row.product.startswith(NO_PRODUCT)
    )
    if rows:
        yield Grid(("layer", "line", "product", "shapes"), rows, words=4)
    yield Paragraph("In all other lines numbers are added, or taken unit by unit.", note=True)


def forward_lines(layers: Sequence[LayerTrace]) -> list[Named]:
    return [(layer, row) for layer in layers for row in page_of(layer).forward_products(layer)]


def backward_lines(trace: Trace, layers: Sequence[LayerTrace]) -> list[Named]:
    return [(layer, row) for layer in reversed(layers) for row in _backward(trace, layer)]


def _backward(trace: Trace, layer: LayerTrace) -> Iterator[Row]:
    is_last = layer is trace.layers[-1]
    fused = is_last and trace.cost.error_is_delta
    if is_last and not fused:
        outputs = shape(layer.placed.output_shape)
        yield _error_row(trace, "∂C/∂a = a − y", f"{NO_PRODUCT}: a difference", outputs, "upstream")
    for row in page_of(layer).backward_products(layer, fused=fused):
        yield _error_row(trace, *row) if fused and row.result == "delta" else row


def _error_row(trace: Trace, line: str, product: str, shapes: str, result: str) -> Row:
    """The line of the outputs' error: where classes have weights, that is a Hadamard product."""
    if trace.sample_weights is not None:
        product, shapes = "Hadamard product", f"{shapes} ⊙ {shapes}"
    return Row(error_words(trace, line), product, shapes, result)


def update_lines(layers: Sequence[LayerTrace]) -> list[Named]:
    return [(layer, row) for layer in layers for row in _update(layer)]


def _update(layer: LayerTrace) -> Iterator[Row]:
    placed = layer.placed
    for key, symbol in (("weight", "W"), ("bias", "b")):
        if layer.quantity(key) is not None:
            w, sizes = placed.layer.symbols.get(key, symbol), placed.parameter_shapes[key]
            yield Row(f"{w} new = {w} + Δ{w}", f"{NO_PRODUCT}: a sum", shape(sizes), f"{key}_new")
