"""A conv layer: z = Σ window ⊙ filter + b, whose gradient is a sum over windows too."""

from collections.abc import Iterator
from itertools import islice
from math import fsum

import numpy as np

from nncli.core.text import count_of
from nncli.inspection.views import cell_products, conv_of, deltas, patches, tap_products
from nncli.nn.layers import Conv
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Heading, Lines, Paragraph, equations
from nncli.render.notation import SYMBOL
from nncli.render.pages.kinds.base import Choices, Row
from nncli.render.pages.kinds.weighted import (
    WeightedPage,
    activation_row,
    bias_gradients,
    bias_rows,
    delta_row,
    mean_over,
    summed,
)
from nncli.render.pages.matrices import WEIGHTS, gradients, units
from nncli.render.text import Extent, missed, number, shape

SUMMED = "window's Hadamard, summed"


class ConvPage(WeightedPage):
    def formula(self, layer: LayerTrace) -> str:
        placed = layer.placed
        assert isinstance(placed.layer, Conv)
        plus = " + b" if layer.bias is not None else ""
        return (
            f"z = Σ window ⊙ filter{plus}  ({shape(placed.input_shape)}, windows of "
            f"{shape(placed.layer.kernel)}{_in_groups(layer)}{_repeated(layer)} → "
            f"{shape(placed.output_shape)}), a = {layer.activation}(z)"
        )

    def forward(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.z is not None
        assert layer.weight is not None
        yield from equations([("input", layer.input)], "", extent, units(trace))
        yield from equations([("W", layer.weight)], "", extent, WEIGHTS)
        if layer.bias is not None:
            yield from equations([("b", layer.bias)], "", extent)
        yield from one_window(trace, layer, extent)
        terms = [("z", layer.z), (f"{layer.activation}(z)", layer.a)]
        yield from equations(terms, "→", extent, units(trace))

    def error_source_below(self, name: str) -> str:
        return f"∂C/∂a: what flowed back through the filters of {name}"

    def details(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        if choices.tap is not None:
            yield from one_tap(trace, layer, tuple(choices.tap), choices.extent)
        if choices.cell is not None:
            yield from one_cell(trace, layer, tuple(choices.cell), choices.extent)

    def downstream(self, trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
        below = "" if layer is trace.layers[0] else "To the layer below flows "
        yield Paragraph(f"{below}∂C/∂input, for each cell Σ δ ⊙ filter over its windows.")
        if choices.cell is None:
            rows, columns = layer.input.shape[2:]
            yield from cell_of_one_sample(
                trace, layer, (0, rows // 2, columns // 2), choices.extent
            )
        terms = [(SYMBOL["downstream"], layer.downstream)]
        yield from equations(terms, "", choices.extent, units(trace))

    def gradient_words(self, layer: LayerTrace) -> str:
        mean = mean_over(len(layer.input))
        return f"∂C/∂W: for each filter tap {mean}the cells that it met ⊙ δ, summed."

    def gradient_table(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        yield from tap_of_one_sample(trace, layer, extent)
        yield from gradients(layer, extent)

    def matrix_product(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        assert layer.weight is not None
        assert layer.weight_gradient is not None
        n, groups = len(layer.input), _groups(layer)
        mean = f"1/{n} " if n > 1 else ""
        filters, size = len(layer.weight) // groups, layer.weight[0].size
        windows = n * int(np.prod(layer.placed.output_shape[1:]))
        each = f"each of the {windows} columns" if windows > 1 else "the one column"
        of_group = (
            f"Each group of filters has a product of its own. Of group 0, filters 0 to "
            f"{filters - 1} and the channels that they see: "
            if groups > 1
            else ""
        )
        yield Paragraph(
            f"{of_group}∂C/∂W = {mean}δ Pᵀ, where {each} of P is a window laid out: "
            f"{filters}×{windows} · {windows}×{size}:"
        )
        flat = summed(layer.weight_gradient[:filters], n).reshape(filters, -1)
        name = "∂C/∂W, a row a filter" if n == 1 else f"{n} ∂C/∂W, a row a filter"
        terms = [("δ", deltas(layer)), ("Pᵀ", patches(layer).T), (name, flat)]
        yield from equations(terms, "·=", extent)

    def kronecker_product(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        yield Paragraph(
            "vec(∂C/∂W) = the sum over all windows of δ ⊗ window: the δ of all filters "
            f"{'of a group ' if _groups(layer) > 1 else ''}at one place, Kronecker the cells "
            "under the window there. Of the first window:"
        )
        delta, window = deltas(layer)[:, :1], patches(layer)[:, :1]
        with np.errstate(all="ignore"):  # as in the step
            terms = [("δ", delta), ("window", window), ("δ ⊗ window", np.kron(delta, window))]
        yield from equations(terms, "⊗=", extent)
        yield Paragraph("All of them summed:")
        yield from gradients(layer, extent)

    def index_sums(self, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        yield Paragraph(
            "∂C/∂w[f,c,i,j] = 1/n Σ input δ, over all samples and windows the cell that the tap "
            "met times δ there:"
        )
        yield Lines(tuple(index_lines(layer, extent)))
        yield from bias_gradients(layer, extent)

    def forward_products(self, layer: LayerTrace) -> Iterator[Row]:
        placed = layer.placed
        window = shape(placed.parameter_shapes["weight"][1:])
        plus = " + b" if layer.bias is not None else ""
        yield Row(f"z = Σ window ⊙ filter{plus}", SUMMED, f"{window} ⊙ {window}", "z")
        yield activation_row(layer, shape(placed.output_shape))

    def backward_products(self, layer: LayerTrace, *, fused: bool) -> Iterator[Row]:
        placed = layer.placed
        kernel = shape(placed.parameter_shapes["weight"][2:])
        image = shape(placed.output_shape[1:])
        yield delta_row(shape(placed.output_shape), fused=fused)
        yield Row("∂C/∂W = Σ cells ⊙ δ", SUMMED, f"{image} ⊙ {image}", "weight_gradient")
        yield from bias_rows(layer, str(placed.output_shape[0]))
        yield Row("∂C/∂input = Σ δ ⊙ filter", SUMMED, f"{kernel} ⊙ {kernel}", "downstream")


def _groups(layer: LayerTrace) -> int:
    return conv_of(layer).groups


def _in_groups(layer: LayerTrace) -> str:
    """What of the input a filter sees, where it is not all of it."""
    groups, channels = _groups(layer), layer.placed.input_shape[0]
    if groups == 1:
        return ""
    return f" on {channels // groups} of {count_of(channels, 'channel')}, in {groups} groups"


def _repeated(layer: LayerTrace) -> str:
    conv = conv_of(layer)
    repeats = conv.repeats(conv.windows(layer.placed.input_shape))
    return f", {conv.padding_mode} padding" if repeats else ""


def _channels_words(layer: LayerTrace) -> Iterator[Block]:
    """Which channels the second index of a weight counts, where it is not all of the input's."""
    groups, (channels, *_) = _groups(layer), layer.placed.input_shape
    if groups > 1:
        seen = channels // groups
        yield Paragraph(
            f"Filters are in {groups} groups, each of which sees {count_of(seen, 'channel')} of "
            "its own: channel c of a filter in group g is channel "
            f"{f'{seen}g + c' if seen > 1 else 'g'} of the input."
        )


def tap_of_one_sample(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    """The products behind one tap's gradient, the middle tap's of the first filter and channel."""
    assert layer.weight is not None
    at = (0, 0, layer.weight.shape[2] // 2, layer.weight.shape[3] // 2)
    made = next(tap_products(layer, at))
    n = len(trace.samples)
    yield from _channels_words(layer)
    yield Paragraph(
        f"∂C/∂W[{','.join(map(str, at))}]{of_sample(trace)}: the cells that this tap met ⊙ δ of "
        "filter 0 (--layer and --tap show any other):"
    )
    terms = [("cells", made.cells), ("δ", made.delta), ("product", made.product)]
    yield from equations(terms, "⊙=", extent)
    yield Paragraph(
        "Σ of the products"
        + (f", and those of {count_of(n - 1, 'other sample')}, over {n}" if n > 1 else "")
        + f" = {number(float(layer.weight_gradient[at]), 8)}"  # type: ignore[index]
    )


def cell_of_one_sample(
    trace: Trace, layer: LayerTrace, cell: tuple[int, int, int], extent: Extent
) -> Iterator[Block]:
    """The products that flow back to one cell of the first sample, filter by filter."""
    assert layer.weight is not None
    name, filters = ",".join(map(str, cell)), len(layer.weight) // _groups(layer)
    shown = filters if extent.full else min(filters, 2)
    yield Paragraph(
        f"∂C/∂input[{name}]{of_sample(trace)}: the δ of the windows over this cell ⊙ the filter "
        "(--layer and --cell show any other):"
    )
    for back in islice(cell_products(layer, cell), shown):
        terms = [("δ", back.delta), (f"filter {back.filter}", back.weights)]
        yield from equations([*terms, ("product", back.product)], "⊙=", extent)
    more = f", and those of {count_of(filters - shown, 'other filter')}," if shown < filters else ""
    value = number(float(layer.downstream[(0, *cell)]), 8)
    yield Paragraph(f"Σ of the products{more} = {value}")


def of_sample(trace: Trace) -> str:
    return f" of sample {trace.samples[0]}" if len(trace.samples) > 1 else ""


def one_window(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    """How one z came about: the window ⊙ the filter, channel by channel, and the bias."""
    assert layer.weight is not None
    assert layer.z is not None
    filter = layer.weight[0]
    rows, columns = layer.z.shape[2:]
    at = rows // 2, columns // 2  # away from the padding
    window = patches(layer)[:, at[0] * columns + at[1]].reshape(filter.shape)
    yield Paragraph(
        f"z[0,{at[0]},{at[1]}], of filter 0 in sample {trace.samples[0]}: the window there ⊙ the "
        "filter, summed:"
    )
    with np.errstate(all="ignore"):  # as in the step
        products = window * filter
    terms = [("window", window), ("filter", filter), ("product", products)]
    yield from equations(terms, "⊙=", extent, (("channel", None),))
    z = number(float(layer.z[0, 0, *at]), 8)
    if layer.bias is None:
        yield Paragraph(f"Σ of the products = z {z}")
        return
    total = float(products.sum(dtype=np.float64))
    parts = [number(total, 8), number(float(layer.bias[0]), 8)]
    yield Paragraph(f"Σ {parts[0]} + b {parts[1]} = z {z}{within(parts, z)}")


def one_tap(
    trace: Trace, layer: LayerTrace, tap: tuple[int, ...], extent: Extent
) -> Iterator[Block]:
    """What summed to one filter tap's gradient: the cells that it met ⊙ δ."""
    assert layer.weight_gradient is not None
    name = ",".join(map(str, tap))
    parts = []
    n = len(trace.samples)
    yield Heading(f"what summed to ∂C/∂W[{name}]: the cells that the tap met ⊙ δ", 3)
    for made in tap_products(layer, tap):  # type: ignore[arg-type]
        terms = [("cells", made.cells), ("δ", made.delta), ("product", made.product)]
        parts.append(float(made.product.sum(dtype=np.float64)))
        total = f": sum {number(parts[-1], 10)}" if n > 1 else ""
        yield Paragraph(f"sample {trace.samples[made.sample]}{total}")
        yield from equations(terms, "⊙=", extent)
    gradient = float(layer.weight_gradient[tap])
    off = abs(fsum(parts) / n - gradient)
    mean = f", the mean of the {n} sums" if n > 1 else ""
    yield Paragraph(f"Together ∂C/∂W[{name}] = {number(gradient, 10)}{mean}{rounded(off)}.")


def one_cell(
    trace: Trace, layer: LayerTrace, cell: tuple[int, ...], extent: Extent
) -> Iterator[Block]:
    """What flows back to one input cell: δ ⊙ filter, filter by filter."""
    assert layer.weight is not None
    name = ",".join(map(str, cell))
    yield Heading(f"what flows back to input cell {name}: δ ⊙ filter", 3)
    parts: dict[int, list[float]] = {}
    for back in cell_products(layer, cell):  # type: ignore[arg-type]
        terms = [("δ", back.delta), ("filter", back.weights), ("product", back.product)]
        part = float(back.product.sum(dtype=np.float64))
        total = f": sum {number(part, 10)}" if len(layer.weight) > _groups(layer) else ""
        yield Paragraph(f"sample {trace.samples[back.sample]}, filter {back.filter}{total}")
        yield from equations(terms, "⊙=", extent)
        parts.setdefault(back.sample, []).append(part)
    for k, sample in enumerate(trace.samples):
        there = float(layer.downstream[(k, *cell)])
        off = abs(fsum(parts[k]) - there)
        yield Paragraph(
            f"sample {sample}: together ∂C/∂input[{name}] = {number(there, 10)}{rounded(off)}."
        )


def within(parts: list[str], total: str) -> str:
    """By how much the parts, as shown, do not add up to the total; empty where they do."""
    return rounded(missed(parts, total))


def rounded(off: float) -> str:
    return f" (within {number(off, 1)}, by rounding)" if off else ""


def index_lines(layer: LayerTrace, extent: Extent) -> Iterator[str]:
    """The gradient of one filter tap a line, with the first of its products substituted."""
    assert layer.weight_gradient is not None
    n, groups = len(layer.input), range(_groups(layer))
    windows, errors = ([of(layer, group) for group in groups] for of in (patches, deltas))
    entries = list(np.ndindex(layer.weight_gradient.shape))
    size = layer.weight_gradient[0].size
    for k in extent.row_indices(len(entries)):
        if k is None:
            yield "…"
            continue
        filter, tap = divmod(k, size)
        group, own = divmod(filter, len(errors[0]))
        cells, delta = windows[group][tap], errors[group][own]
        shown = len(cells) if extent.full else min(3, len(cells))
        products = " + ".join(
            f"{number(float(cells[p]), 4)} · {number(float(delta[p]), 4)}" for p in range(shown)
        )
        more = "" if shown == len(cells) else f" + … {len(cells) - shown} more"
        total = f"1/{n} ({products}{more})" if n > 1 else f"{products}{more}"
        value = number(float(layer.weight_gradient[entries[k]]), 8)
        yield f"∂C/∂w[{','.join(map(str, entries[k]))}] = {total} = {value}"
