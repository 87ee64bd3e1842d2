"""Which product is used where: the closing table of a breakdown."""

from collections.abc import Iterator

from nncli.nn.layers import Conv, Dense, Pool
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Grid
from nncli.render.pages.formulas import Row, product_lines
from nncli.render.text import shape

MATRIX = "matrix product"
HADAMARD = "Hadamard product"
OUTER = "outer (Kronecker) product"
WINDOW = "window's Hadamard, summed"


def product_table(trace: Trace, layers: list[LayerTrace]) -> Grid:
    """A row for each line of the computation: layer, line, product, shapes."""
    rows: list[Row] = []
    for layer in layers:
        rows += lines(trace, layer)
    return Grid(("layer", "line", "product", "shapes"), tuple(rows), words=4)


def lines(trace: Trace, layer: LayerTrace) -> Iterator[Row]:
    n = len(layer.input)
    placed = layer.placed
    name = layer.name
    inputs, outputs = shape(placed.input_shape), shape(placed.output_shape)
    is_last = layer is trace.layers[-1]
    fused = is_last and trace.cost.error_is_delta
    if is_last and not fused:
        yield name, "∂C/∂a = a − y", "none: a difference", outputs
    match placed.layer:
        case Dense():
            yield (
                name,
                "z = a W + b" if placed.layer.bias else "z = a W",
                MATRIX,
                f"{n}×{inputs} · {inputs}×{outputs}",
            )
            yield from hadamard_line(name, outputs, fused)
            over = f", mean of {n}" if n > 1 else ""
            yield name, "∂C/∂W = a ⊗ δ", OUTER, f"{inputs}×1 · 1×{outputs}{over}"
            yield from bias_line(name, layer, outputs)
            yield name, "∂C/∂input = δ Wᵀ", MATRIX, f"{n}×{outputs} · {outputs}×{inputs}"
        case Conv():
            window = shape(placed.parameter_shapes["weight"][1:])
            image = shape(placed.output_shape[1:])
            kernel = shape(placed.parameter_shapes["weight"][2:])
            yield name, "z = Σ window ⊙ filter", WINDOW, f"{window} ⊙ {window}"
            yield from hadamard_line(name, outputs, fused)
            yield name, "∂C/∂W = Σ cells ⊙ δ", WINDOW, f"{image} ⊙ {image}"
            yield from bias_line(name, layer, str(placed.output_shape[0]))
            yield name, "∂C/∂input = Σ δ ⊙ filter", WINDOW, f"{kernel} ⊙ {kernel}"
        case Pool() as pool:
            what = "the largest" if pool.type == "maxpool" else "the mean"
            back = "to the largest" if pool.type == "maxpool" else "in equal shares"
            yield name, f"a = {what} of each", "none", f"{inputs} → {outputs}"
            yield name, f"back: {back}", "none", f"{outputs} → {inputs}"
        case kind if kind.forward_formulas:
            yield from product_lines(layer)
        case _:
            yield name, "a = input, as a vector", "none", f"{inputs} → {outputs}"
    if layer.weight is not None:
        sizes = shape(placed.parameter_shapes["weight"])
        w = placed.layer.symbols.get("weight", "W")
        yield name, f"{w} new = {w} + Δ{w}", "none: a sum", sizes


def bias_line(name: str, layer: LayerTrace, units: str) -> Iterator[Row]:
    if layer.bias is not None:
        yield name, "∂C/∂b = Σ δ", "none: a sum", units


def hadamard_line(name: str, outputs: str, fused: bool) -> Iterator[Row]:
    if fused:
        yield name, "δ = a − y", "none: σ′ has cancelled", outputs
    else:
        yield name, "δ = ∂C/∂a ⊙ σ′(z)", HADAMARD, f"{outputs} ⊙ {outputs}"
