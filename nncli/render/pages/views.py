"""The gradient of one layer in four views: Hadamard, matrix, Kronecker and index by index."""

from collections.abc import Iterator

import numpy as np

from nncli.inspection.views import deltas, patches
from nncli.nn.activations import ACTIVATIONS, SATURATED
from nncli.nn.arrays import Array
from nncli.nn.layers import Dense
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Grid, Lines, Paragraph, equations
from nncli.render.pages.matrices import gradients, hadamard
from nncli.render.text import EDGE, Extent, number

SMALL = 0.01  # an error signal below this share of the layer's largest is called small
TABLE_COLUMNS = 4  # columns up to which a ⊗ δ is a multiplication table
WRITTEN_OUT = 8  # units up to which diag(σ'(z)) and a ⊗ δ are written out


def hadamard_view(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    """A row a unit with both factors; then the outer product a δᵀ as a multiplication table."""
    assert layer.delta is not None
    if layer.sigma_prime is not None and np.isfinite(layer.upstream).all():
        yield hadamard_table(trace, layer, extent)
    if layer is trace.layers[-1] and trace.cost.error_is_delta:
        yield Paragraph(
            f"Behind {layer.activation} outputs and cross-entropy σ′ cancels, and δ = a − y:"
        )
        yield from hadamard(trace, layer, extent)
    yield Paragraph(gradient_words(layer))
    columns = extent.column_indices(layer.delta.shape[1])
    is_table = len(layer.input) == 1 and len(columns) <= TABLE_COLUMNS
    if isinstance(layer.placed.layer, Dense) and is_table:
        yield outer_table(layer, extent)
        yield from (b for k, b in enumerate(gradients(layer, extent)) if k > 0)
    else:
        yield from gradients(layer, extent)


def gradient_words(layer: LayerTrace) -> str:
    n = len(layer.input)
    mean = f"1/{n} Σ over the samples of " if n > 1 else ""
    if isinstance(layer.placed.layer, Dense):
        inputs, units = layer.placed.parameter_shapes["weight"]
        bias = f"; ∂C/∂b = {mean}δ" if layer.bias is not None else ""
        return (
            f"∂C/∂W = {mean}a ⊗ δ, the outer product of a column and a row "
            f"({inputs}×1 · 1×{units}){bias}:"
        )
    return f"∂C/∂W: for each filter tap {mean}the cells that it met ⊙ δ, summed:"


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
    headings = (name, "∂C/∂a", "⊙ σ′(z)", "= δ", "held back by")
    return Grid(headings, tuple(rows))


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


def matrix_view(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    yield from hadamard(trace, layer, extent)
    n = len(layer.input)
    mean = f"1/{n} " if n > 1 else ""
    if isinstance(layer.placed.layer, Dense):
        assert layer.delta is not None
        assert layer.weight_gradient is not None
        yield Paragraph(f"∂C/∂W = {mean}aᵀ δ, one matrix product:")
        terms = [("aᵀ", layer.input.T), ("δ", layer.delta)]
        result = (
            ("∂C/∂W", layer.weight_gradient)
            if n == 1
            else (f"{n} ∂C/∂W", n * layer.weight_gradient)
        )
        yield from equations([*terms, result], "·=", extent)
        yield from (b for k, b in enumerate(gradients(layer, extent)) if k > 0)
    else:
        assert layer.weight is not None
        filters, size = len(layer.weight), layer.weight[0].size
        windows = n * int(np.prod(layer.placed.output_shape[1:]))
        yield Paragraph(
            f"∂C/∂W = {mean}δ Pᵀ, where each of the {windows} columns of P is a window laid out: "
            f"{filters}×{windows} · {windows}×{size}:"
        )
        assert layer.weight_gradient is not None
        flat = n * layer.weight_gradient.reshape(filters, -1)
        name = "∂C/∂W, a row a filter" if n == 1 else f"{n} ∂C/∂W, a row a filter"
        terms = [("δ", deltas(layer)), ("Pᵀ", patches(layer).T), (name, flat)]
        yield from equations(terms, "·=", extent)
        yield from (b for k, b in enumerate(gradients(layer, extent)) if k > 0)


def kronecker_view(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    dense = isinstance(layer.placed.layer, Dense)
    n = len(layer.input)
    if layer.sigma_prime is not None and dense and np.isfinite(layer.upstream).all():
        units = layer.placed.output_shape[0]
        if units <= WRITTEN_OUT and layer.delta is not None:
            yield Paragraph(
                "The Jacobian of a = σ(z) is the diagonal matrix diag(σ′(z)): no unit's a depends "
                "on another's z. Its product with a vector is the Hadamard product:"
            )
            for k in range(min(n, 3)):
                diagonal = np.diag(layer.sigma_prime[k])
                terms = [
                    ("diag(σ′(z))", diagonal),
                    ("∂C/∂a", layer.upstream[k][:, None]),
                    ("δ", layer.delta[k][:, None]),
                ]
                yield from equations(terms, "·=", extent)
        else:
            yield Paragraph(f"δ = diag(σ′(z)) ∂C/∂a, a diagonal matrix of {units}×{units}:")
            yield from hadamard(trace, layer, extent)
    else:
        yield from hadamard(trace, layer, extent)
    assert layer.weight_gradient is not None
    assert layer.delta is not None
    if dense:
        inputs, units = layer.weight_gradient.shape
        over = f"1/{n} Σ over the samples of " if n > 1 else ""
        yield Paragraph(
            f"vec(∂C/∂W) = {over}a ⊗ δ, the Kronecker product: {inputs} ⊗ {units} gives "
            f"{inputs * units} entries, row after row of ∂C/∂W:"
        )
        if n == 1:
            vec = layer.weight_gradient.reshape(-1, 1)
            terms = [("a", layer.input.T), ("δ", layer.delta.T), ("vec(∂C/∂W)", vec)]
            yield from equations(terms, "⊗=", extent)
        else:
            yield from equations([("∂C/∂W", layer.weight_gradient)], "", extent)
    else:
        yield Paragraph(
            "vec(∂C/∂W) = the sum over all windows of δ ⊗ window: the δ of all filters at one "
            "place, Kronecker the cells under the window there. Of the first window:"
        )
        delta, window = deltas(layer)[:, :1], patches(layer)[:, :1]
        product = np.kron(delta, window)
        yield from equations(
            [("δ", delta), ("window", window), ("δ ⊗ window", product)], "⊗=", extent
        )
        yield Paragraph("All of them summed:")
        yield from gradients(layer, extent)


def index_view(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    """Sums over indices with the numbers substituted, one line an entry."""
    yield from hadamard(trace, layer, extent)
    assert layer.weight_gradient is not None
    assert layer.delta is not None
    if not isinstance(layer.placed.layer, Dense):
        yield Paragraph(
            "∂C/∂w[f,c,i,j] = 1/n Σ input δ, over all samples and windows the cell that the tap "
            "met times δ there:"
        )
        yield Lines(tuple(conv_index_lines(layer, extent)))
        yield from (b for k, b in enumerate(gradients(layer, extent)) if k > 0)
        return
    n = len(layer.input)
    inputs, units = layer.weight_gradient.shape
    lines: list[str] = []
    for i in extent.row_indices(inputs):
        for j in extent.column_indices(units):
            if i is None or j is None:
                lines.append("…")
            else:
                lines.append(index_line(layer, i, j, full=extent.full))
    mean = "1/n Σ_x " if n > 1 else ""
    yield Paragraph(f"∂C/∂w[i,j] = {mean}a[i] δ[j]:")
    kept = [line for k, line in enumerate(lines) if line != "…" or (k and lines[k - 1] != "…")]
    yield Lines(tuple(kept))


def conv_index_lines(layer: LayerTrace, extent: Extent) -> Iterator[str]:
    """The gradient of one filter tap a line, with the first of its products substituted."""
    assert layer.weight_gradient is not None
    cells, delta, n = patches(layer), deltas(layer), len(layer.input)
    entries = list(np.ndindex(layer.weight_gradient.shape))
    size = layer.weight_gradient[0].size
    for k in extent.row_indices(len(entries)):
        if k is None:
            yield "…"
            continue
        filter, tap = divmod(k, size)
        shown = len(cells[0]) if extent.full else min(3, len(cells[0]))
        products = " + ".join(
            f"{number(float(cells[tap, p]), 4)} · {number(float(delta[filter, p]), 4)}"
            for p in range(shown)
        )
        more = "" if shown == len(cells[0]) else f" + … {len(cells[0]) - shown} more"
        total = f"1/{n} ({products}{more})" if n > 1 else f"{products}{more}"
        value = number(float(layer.weight_gradient[entries[k]]), 8)
        yield f"∂C/∂w[{','.join(map(str, entries[k]))}] = {total} = {value}"


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


VIEWS = {
    "matrix": matrix_view,
    "hadamard": hadamard_view,
    "kronecker": kronecker_view,
    "index": index_view,
}
