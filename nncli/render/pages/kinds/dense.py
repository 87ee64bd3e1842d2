"""A dense layer: z = a W + b, whose gradient is the outer product a ⊗ δ."""

from collections.abc import Iterator

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Lines, Paragraph, equations
from nncli.render.pages.kinds.base import Row
from nncli.render.pages.kinds.weighted import (
    WeightedPage,
    bias_gradients,
    bias_rows,
    delta_row,
    mean_over,
)
from nncli.render.pages.matrices import gradients, hadamard
from nncli.render.text import Extent, number, shape

TABLE_COLUMNS = 4  # columns up to which a ⊗ δ is a multiplication table
WRITTEN_OUT = 8  # units up to which diag(σ'(z)) and a ⊗ δ are written out


class DensePage(WeightedPage):
    def formula(self, layer: LayerTrace) -> str:
        n = len(layer.input)
        inputs, units = layer.placed.parameter_shapes["weight"]
        plus, size = (" + b", f" + {units}") if layer.bias is not None else ("", "")
        return f"z = a W{plus}  ({n}×{inputs} · {inputs}×{units}{size}), a = {layer.activation}(z)"

    def forward(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.z is not None
        assert layer.weight is not None
        terms = [("a", layer.input), ("W", layer.weight)]
        if layer.bias is not None:
            terms.append(("b", layer.bias))
        signs = "·+=" if layer.bias is not None else "·="
        yield from equations([*terms, ("z", layer.z)], signs, extent)
        yield from equations([("z", layer.z), (f"{layer.activation}(z)", layer.a)], "→", extent)

    def error_below(self, name: str) -> str:
        return f"∂C/∂a = δ Wᵀ of {name}"

    def downstream_words(self, layer: LayerTrace) -> str:
        inputs, units = layer.placed.parameter_shapes["weight"]
        n = len(layer.input)
        return f"To the layer below flows ∂C/∂input = δ Wᵀ  ({n}×{units} · {units}×{inputs}):"

    def gradient_words(self, layer: LayerTrace) -> str:
        mean = mean_over(len(layer.input))
        inputs, units = layer.placed.parameter_shapes["weight"]
        bias = f"; ∂C/∂b = {mean}δ" if layer.bias is not None else ""
        return (
            f"∂C/∂W = {mean}a ⊗ δ, the outer product of a column and a row "
            f"({inputs}×1 · 1×{units}){bias}:"
        )

    def gradient_table(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.delta is not None
        columns = extent.column_indices(layer.delta.shape[1])
        if len(layer.input) == 1 and len(columns) <= TABLE_COLUMNS:
            yield outer_table(layer, extent)
            yield from bias_gradients(layer, extent)
        else:
            yield from gradients(layer, extent)

    def matrix_product(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.delta is not None
        assert layer.weight_gradient is not None
        n = len(layer.input)
        mean = f"1/{n} " if n > 1 else ""
        yield Paragraph(f"∂C/∂W = {mean}aᵀ δ, one matrix product:")
        terms = [("aᵀ", layer.input.T), ("δ", layer.delta)]
        result = (
            ("∂C/∂W", layer.weight_gradient)
            if n == 1
            else (f"{n} ∂C/∂W", n * layer.weight_gradient.astype(np.float64))
        )
        yield from equations([*terms, result], "·=", extent)

    def jacobian(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        if layer.sigma_prime is None or not np.isfinite(layer.upstream).all():
            yield from hadamard(trace, layer, extent)
            return
        units = layer.placed.output_shape[0]
        if units > WRITTEN_OUT or layer.delta is None:
            yield Paragraph(f"δ = diag(σ′(z)) ∂C/∂a, a diagonal matrix of {units}×{units}:")
            yield from hadamard(trace, layer, extent)
            return
        yield Paragraph(
            "The Jacobian of a = σ(z) is the diagonal matrix diag(σ′(z)): no unit's a depends "
            "on another's z. Its product with a vector is the Hadamard product:"
        )
        for k in range(min(len(layer.input), 3)):
            diagonal = np.diag(layer.sigma_prime[k])
            terms = [
                ("diag(σ′(z))", diagonal),
                ("∂C/∂a", layer.upstream[k][:, None]),
                ("δ", layer.delta[k][:, None]),
            ]
            yield from equations(terms, "·=", extent)

    def kronecker_product(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.weight_gradient is not None
        assert layer.delta is not None
        n = len(layer.input)
        inputs, units = layer.weight_gradient.shape
        yield Paragraph(
            f"vec(∂C/∂W) = {mean_over(n)}a ⊗ δ, the Kronecker product: {inputs} ⊗ {units} gives "
            f"{inputs * units} entries, row after row of ∂C/∂W:"
        )
        if n == 1:
            vec = layer.weight_gradient.reshape(-1, 1)
            terms = [("a", layer.input.T), ("δ", layer.delta.T), ("vec(∂C/∂W)", vec)]
            yield from equations(terms, "⊗=", extent)
        else:
            yield from equations([("∂C/∂W", layer.weight_gradient)], "", extent)

    def index_sums(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.weight_gradient is not None
        inputs, units = layer.weight_gradient.shape
        lines: list[str] = []
        for i in extent.row_indices(inputs):
            for j in extent.column_indices(units):
                if i is None or j is None:
                    lines.append("…")
                else:
                    lines.append(index_line(layer, i, j, full=extent.full))
        mean = "1/n Σ_x " if len(layer.input) > 1 else ""
        yield Paragraph(f"∂C/∂w[i,j] = {mean}a[i] δ[j]:")
        kept = [line for k, line in enumerate(lines) if line != "…" or (k and lines[k - 1] != "…")]
        yield Lines(tuple(kept))

    def products(self, layer: LayerTrace, *, fused: bool) -> Iterator[Row]:
        n = len(layer.input)
        inputs, outputs = shape(layer.placed.input_shape), shape(layer.placed.output_shape)
        plus = " + b" if layer.bias is not None else ""
        yield f"z = a W{plus}", "matrix product", f"{n}×{inputs} · {inputs}×{outputs}"
        yield delta_row(outputs, fused=fused)
        over = f", mean of {n}" if n > 1 else ""
        outer = "outer (Kronecker) product"
        yield "∂C/∂W = a ⊗ δ", outer, f"{inputs}×1 · 1×{outputs}{over}"
        yield from bias_rows(layer, outputs)
        yield "∂C/∂input = δ Wᵀ", "matrix product", f"{n}×{outputs} · {outputs}×{inputs}"


def outer_table(layer: LayerTrace, extent: Extent) -> Grid:
    """a δᵀ as a multiplication table: a down the side, δ along the top."""
    assert layer.delta is not None
    assert layer.weight_gradient is not None
    a, delta, gradient = layer.input[0], layer.delta[0], layer.weight_gradient
    rows, columns = extent.row_indices(len(a)), extent.column_indices(len(delta))

    def cell(array: Array, *at: int | None) -> str:
        return "…" if None in at else number(float(array[at]), 10)

    headings = ("a ⊗ δ", *(cell(delta, c) for c in columns))
    return Grid(
        headings,
        tuple((cell(a, r), *(cell(gradient, r, c) for c in columns)) for r in rows),
        words=0,
    )


def index_line(layer: LayerTrace, i: int, j: int, *, full: bool) -> str:
    assert layer.weight_gradient is not None
    assert layer.delta is not None
    n = len(layer.input)
    value = number(float(layer.weight_gradient[i, j]), 8)
    shown = range(n) if n <= 3 or full else range(2)
    products = [
        f"{number(float(layer.input[x, i]), 8)} · {number(float(layer.delta[x, j]), 8)}"
        for x in shown
    ]
    if n == 1:
        return f"∂C/∂w[{i},{j}] = a[{i}] δ[{j}] = {products[0]} = {value}"
    more = "" if len(shown) == n else f" + … {n - len(shown)} more"
    return f"∂C/∂w[{i},{j}] = 1/{n} ({' + '.join(products)}{more}) = {value}"
