"""A dense layer: z = a W + b, whose gradient is the outer product a ⊗ δ."""

from collections.abc import Callable, Iterator

import numpy as np

from nncli.core.text import count_of
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Lines, Paragraph, equations
from nncli.render.pages.kinds.base import Choices, Row
from nncli.render.pages.kinds.weighted import (
    WeightedPage,
    activation_row,
    bias_gradients,
    bias_rows,
    delta_row,
    mean_of,
    mean_over,
    summed,
)
from nncli.render.pages.matrices import hadamard
from nncli.render.text import MOST_ROWS, Extent, number, shape

TABLE_COLUMNS = 4  # columns up to which a ⊗ δ is a multiplication table
FEW_SAMPLES = 3  # up to which the products of each are written out
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

    def error_source_below(self, name: str) -> str:
        return f"∂C/∂a = δ Wᵀ of {name}"

    def downstream(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        assert layer.delta is not None
        assert layer.weight is not None
        inputs, units = layer.placed.parameter_shapes["weight"]
        n, below = len(layer.input), "" if layer is trace.layers[0] else "To the layer below flows "
        yield Paragraph(f"{below}∂C/∂input = δ Wᵀ  ({n}×{units} · {units}×{inputs}):")
        terms = [("δ", layer.delta), ("Wᵀ", layer.weight.T), ("∂C/∂input", layer.downstream)]
        yield from equations(terms, "·=", choices.extent)
        if choices.view == "index":
            yield Paragraph("∂C/∂input[x,i] = Σ_j δ[x,j] w[i,j], x being the sample:")
            yield Lines(
                tuple(index_lines(downstream_line, layer, layer.downstream, choices.extent))
            )

    def gradient_words(self, layer: LayerTrace) -> str:
        mean = mean_over(len(layer.input))
        inputs, units = layer.placed.parameter_shapes["weight"]
        bias = f"; ∂C/∂b = {mean}δ" if layer.bias is not None else ""
        return (
            f"∂C/∂W = {mean}a ⊗ δ, the outer product of a column and a row "
            f"({inputs}×1 · 1×{units}){bias}:"
        )

    def gradient_table(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.delta is not None
        assert layer.weight_gradient is not None
        gradient, n = layer.weight_gradient, len(layer.input)
        is_narrow = len(extent.column_indices(gradient.shape[1])) <= TABLE_COLUMNS
        if n == 1 and is_narrow:
            yield outer_table(layer, gradient, 0, extent)
        elif n == 1:
            terms = [("a", layer.input.T), ("δ", layer.delta), ("∂C/∂W", gradient)]
            yield from equations(terms, "⊗=", extent)
        elif is_narrow and (n <= FEW_SAMPLES or extent.full):
            for k, sample in enumerate(trace.samples):
                yield Paragraph(f"sample {sample}:")
                with np.errstate(all="ignore"):  # as in the step
                    products = np.outer(layer.input[k], layer.delta[k])
                yield outer_table(layer, products, k, extent)
            yield Paragraph(f"Their sum, and that divided by {n}:")
            yield from sum_and_mean("a ⊗ δ", gradient, n, extent)
        else:
            yield from equations([("∂C/∂W", gradient)], "", extent)
        if n > 1:  # of one sample it is δ, which has been shown
            yield from bias_gradients(layer, extent)

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
            else (f"{n} ∂C/∂W", summed(layer.weight_gradient, n))
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
        shown = trace.samples if extent.full else trace.samples[:FEW_SAMPLES]
        for k, sample in enumerate(shown):
            if len(trace.samples) > 1:
                yield Paragraph(f"sample {sample}:")
            diagonal = np.diag(layer.sigma_prime[k])
            terms = [
                ("diag(σ′(z))", diagonal),
                ("∂C/∂a", layer.upstream[k][:, None]),
                ("δ", layer.delta[k][:, None]),
            ]
            yield from equations(terms, "·=", extent)
        if len(shown) < len(trace.samples):
            more = count_of(len(trace.samples) - len(shown), "sample")
            yield Paragraph(f"… and {more} more like these", note=True)

    def kronecker_product(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.weight_gradient is not None
        assert layer.delta is not None
        n = len(layer.input)
        inputs, units = layer.weight_gradient.shape
        yield Paragraph(
            f"vec(∂C/∂W) = {mean_over(n)}a ⊗ δ, the Kronecker product: {inputs} ⊗ {units} gives "
            f"{count_of(inputs * units, 'entry', 'entries')}, row after row of ∂C/∂W:"
        )
        vec = layer.weight_gradient.reshape(-1, 1)
        if n == 1:
            terms = [("a", layer.input.T), ("δ", layer.delta.T), ("vec(∂C/∂W)", vec)]
            yield from equations(terms, "⊗=", extent)
        elif extent.full or (n <= FEW_SAMPLES and len(vec) <= MOST_ROWS):
            for k, sample in enumerate(trace.samples):
                a, delta = layer.input[k][:, None], layer.delta[k][:, None]
                yield Paragraph(f"sample {sample}:")
                with np.errstate(all="ignore"):  # as in the step
                    terms = [("a", a), ("δ", delta), ("a ⊗ δ", np.kron(a, delta))]
                yield from equations(terms, "⊗=", extent)
            yield Paragraph(f"Their sum, and that divided by {n}:")
            yield from sum_and_mean("a ⊗ δ", vec, n, extent, "vec(∂C/∂W)")
        else:
            yield from equations([("∂C/∂W", layer.weight_gradient)], "", extent)
        yield from bias_gradients(layer, extent)

    def index_sums(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.weight_gradient is not None
        mean = "1/n Σ_x " if len(layer.input) > 1 else ""
        yield Paragraph(f"∂C/∂w[i,j] = {mean}a[i] δ[j]:")
        yield Lines(tuple(index_lines(index_line, layer, layer.weight_gradient, extent)))
        yield from bias_gradients(layer, extent)

    def forward_products(self, layer: LayerTrace) -> Iterator[Row]:
        n = len(layer.input)
        inputs, outputs = shape(layer.placed.input_shape), shape(layer.placed.output_shape)
        plus = " + b" if layer.bias is not None else ""
        yield Row(f"z = a W{plus}", "matrix product", f"{n}×{inputs} · {inputs}×{outputs}", "z")
        yield activation_row(layer, outputs)

    def backward_products(self, layer: LayerTrace, *, fused: bool) -> Iterator[Row]:
        n = len(layer.input)
        inputs, outputs = shape(layer.placed.input_shape), shape(layer.placed.output_shape)
        yield delta_row(outputs, fused=fused)
        outer = "outer (Kronecker) product"
        sizes = f"{inputs}×1 · 1×{outputs}{mean_of(n)}"
        yield Row("∂C/∂W = a ⊗ δ", outer, sizes, "weight_gradient")
        yield from bias_rows(layer, outputs)
        sizes = f"{n}×{outputs} · {outputs}×{inputs}"
        yield Row("∂C/∂input = δ Wᵀ", "matrix product", sizes, "downstream")


def sum_and_mean(
    product: str, gradient: Array, n: int, extent: Extent, symbol: str = "∂C/∂W"
) -> Iterator[Block]:
    """The sum of a product over the samples, and ∂C/∂W, the n-th of it.

    The sum is taken back from the record's ∂C/∂W, not computed once more.
    """
    yield from equations([(f"Σ {product}", summed(gradient, n)), (symbol, gradient)], "→", extent)


def outer_table(layer: LayerTrace, products: Array, k: int, extent: Extent) -> Grid:
    """a δᵀ of the k-th sample as a multiplication table: a down the side, δ along the top."""
    assert layer.delta is not None
    a, delta = layer.input[k], layer.delta[k]
    rows, columns = extent.row_indices(len(a)), extent.column_indices(len(delta))

    def cell(array: Array, *at: int | None) -> str:
        return "…" if None in at else number(float(array[at]), 10)

    headings = ("a ⊗ δ", *(cell(delta, c) for c in columns))
    return Grid(
        headings,
        tuple((cell(a, r), *(cell(products, r, c) for c in columns)) for r in rows),
        words=0,
    )


def index_lines(
    line: Callable[..., str], layer: LayerTrace, entries: Array, extent: Extent
) -> Iterator[str]:
    """A line for each entry shown of a matrix; a gap where entries are left out."""
    before = ""
    for i in extent.row_indices(entries.shape[0]):
        for j in extent.column_indices(entries.shape[1]):
            made = "…" if i is None or j is None else line(layer, i, j, full=extent.full)
            if made != "…" or before != "…":
                yield made
            before = made


def downstream_line(layer: LayerTrace, x: int, i: int, *, full: bool) -> str:
    assert layer.weight is not None
    assert layer.delta is not None
    units = layer.weight.shape[1]
    shown = range(units) if units <= FEW_SAMPLES or full else range(2)
    products = " + ".join(
        f"{number(float(layer.delta[x, j]), 8)} · {number(float(layer.weight[i, j]), 8)}"
        for j in shown
    )
    more = "" if len(shown) == units else f" + … {units - len(shown)} more"
    value = number(float(layer.downstream[x, i]), 8)
    return f"∂C/∂input[{x},{i}] = {products}{more} = {value}"


def index_line(layer: LayerTrace, i: int, j: int, *, full: bool) -> str:
    assert layer.weight_gradient is not None
    assert layer.delta is not None
    n = len(layer.input)
    value = number(float(layer.weight_gradient[i, j]), 8)
    shown = range(n) if n <= FEW_SAMPLES or full else range(2)
    products = [
        f"{number(float(layer.input[x, i]), 8)} · {number(float(layer.delta[x, j]), 8)}"
        for x in shown
    ]
    if n == 1:
        return f"∂C/∂w[{i},{j}] = a[{i}] δ[{j}] = {products[0]} = {value}"
    more = "" if len(shown) == n else f" + … {n - len(shown)} more"
    return f"∂C/∂w[{i},{j}] = 1/{n} ({' + '.join(products)}{more}) = {value}"
