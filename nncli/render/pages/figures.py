"""Drawings for a slide: a network with its numbers, a layer's Hadamard product, a conv window."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from nncli.core.text import count_of
from nncli.filtering.record import Filtering, Window
from nncli.nn.arrays import Array
from nncli.nn.measures import norm
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Equation, MatrixTerm
from nncli.render.drawing import GAP, MARGIN, ROW, SIZE, Drawing, Marks, width_of
from nncli.render.pages.matrices import gradients, hadamard
from nncli.render.text import Extent, number, number_formats, shape

MOST_UNITS = 6  # of a layer that is drawn unit by unit
MOST_EDGES = 12  # between two layers, that bear their weights
RADIUS = 27
ACROSS, DOWN = 230, 104  # from layer to layer, from unit to unit
SHARES = (0.3, 0.22, 0.38, 0.46, 0.54, 0.62, 0.7, 0.78)  # of an edge, where its weight may stand
EQUATIONS = 2  # of the matrices of an image


def step_figure(trace: Trace, layer: str | None, extent: Extent) -> str:
    """A layer's Hadamard product and its gradients; without a layer, the whole network."""
    chosen = next((each for each in trace.layers if each.name == layer), None)
    return network_figure(trace) if chosen is None else layer_figure(trace, chosen, extent)


def network_figure(trace: Trace) -> str:
    """The network, forward numbers over backward ones; in few units each is a circle."""
    drawing = Drawing(f"{trace.name}: one step", _step_words(trace))
    drawing.text(MARGIN, MARGIN + 6, f"{trace.name}: one step", size=20, bold=True)
    drawing.text(MARGIN, MARGIN + 34, _step_words(trace), quiet=True)
    widths = [trace.inputs[0].size, *(layer.a[0].size for layer in trace.layers)]
    if max(widths) <= MOST_UNITS and all(layer.weight is not None for layer in trace.layers):
        _unit_by_unit(drawing, trace)
    else:
        _layer_by_layer(drawing, trace)
    return drawing.svg()


def _step_words(trace: Trace) -> str:
    n = len(trace.samples)
    which = f"sample {trace.samples[0]}" if n == 1 else f"the mean of {count_of(n, 'sample')}"
    return (
        f"{which}; C = {number(trace.cost_before, 6)} before the step, "
        f"{number(trace.cost_after, 6)} after it; η = {trace.eta:g}"
    )


def _unit_by_unit(drawing: Drawing, trace: Trace) -> None:
    """Units of the first sample as circles: a within, δ beneath; weights on the edges."""
    tallest = max([trace.inputs[0].size, *(layer.a[0].size for layer in trace.layers)])
    middle = MARGIN + 106 + DOWN * tallest / 2
    inputs = trace.inputs[0].ravel()

    def places(k: int, units: int) -> list[tuple[float, float]]:
        top = middle - DOWN * (units - 1) / 2
        return [(MARGIN + 60 + ACROSS * k, top + DOWN * j) for j in range(units)]

    below = places(0, len(inputs))
    for k, layer in enumerate(trace.layers, start=1):
        units = places(k, layer.a[0].size)
        assert layer.weight is not None
        _edges(drawing, below, units, layer.weight)
        drawing.text(units[0][0], MARGIN + 72, layer.name, anchor="middle", bold=True)
        drawing.text(
            units[0][0], MARGIN + 90, layer.activation or "", anchor="middle", quiet=True, size=12
        )
        below = units
    drawing.text(MARGIN + 60, MARGIN + 72, "inputs", anchor="middle", bold=True)
    for (x, y), value in zip(places(0, len(inputs)), inputs, strict=True):
        drawing.circle(x, y, RADIUS)
        drawing.text(x, y, number(float(value), 3), anchor="middle", mono=True, size=12)
    for k, layer in enumerate(trace.layers, start=1):
        for j, (x, y) in enumerate(places(k, layer.a[0].size)):
            drawing.circle(x, y, RADIUS)
            drawing.text(x, y, number(float(layer.a[0, j]), 4), anchor="middle", mono=True, size=12)
            if layer.delta is not None:
                words = f"δ {number(float(layer.delta[0, j]), 3)}"
                drawing.text(x, y + RADIUS + 11, words, anchor="middle", mono=True, size=12)
            if layer.bias is not None:
                words = f"b {number(float(layer.bias[j]), 3)}"
                drawing.text(
                    x, y - RADIUS - 10, words, anchor="middle", mono=True, size=12, quiet=True
                )
    last = places(len(trace.layers), trace.layers[-1].a[0].size)
    for (x, y), target in zip(last, trace.targets[0].ravel(), strict=True):
        drawing.text(x + RADIUS + 12, y, f"y {number(float(target), 3)}", mono=True, size=12)


def _edges(
    drawing: Drawing,
    below: Sequence[tuple[float, float]],
    above: Sequence[tuple[float, float]],
    weight: Array,
) -> None:
    """Lines from unit to unit; where they are few, each with its weight, near the unit below."""
    has_words = len(below) * len(above) <= MOST_EDGES
    for x, y in below:
        for left, top in above:
            drawing.line((x + RADIUS, y), (left - RADIUS, top))
    if not has_words:
        x, y = (below[0][0] + above[0][0]) / 2, max(below[-1][1], above[-1][1]) + RADIUS + 40
        words = f"W {shape(weight.shape)}, ‖W‖ {number(norm(weight), 3)}"
        drawing.text(x, y, words, anchor="middle", size=12)
        return
    for i, (x, y) in enumerate(below):
        for j, (left, top) in enumerate(above):
            words = number(float(weight[i, j]), 3)
            start, end = (x + RADIUS, y), (left - RADIUS, top)
            spots = [
                (a + (end[0] - a) * s, b + (end[1] - b) * s) for s in SHARES for a, b in [start]
            ]
            at = next((spot for spot in spots if drawing.is_free(*spot, words, 12)), spots[0])
            drawing.text(*at, words, anchor="middle", mono=True, size=12, halo=True)


def _layer_by_layer(drawing: Drawing, trace: Trace) -> None:
    """Each layer as a box with its sizes and norms, and the share of the error that it passes."""
    x, y = float(MARGIN), float(MARGIN + 70)
    boxes = [("inputs", [shape(trace.inputs.shape[1:])])]
    boxes += [(layer.name, list(_layer_words(trace, layer))) for layer in trace.layers]
    height = ROW * (1 + max(len(words) for _, words in boxes)) + GAP
    for k, (name, words) in enumerate(boxes):
        width = max(width_of(text, SIZE) for text in (name, *words)) + 2 * GAP
        if k:
            for down, mark in ((height / 2 - 12, "→"), (height / 2 + 12, "←")):
                drawing.text(x + 16, y + down, mark, anchor="middle", size=20)
            x += 32
        drawing.box(x, y, width, height)
        drawing.text(x + GAP, y + ROW * 0.8, name, bold=True)
        for row, text in enumerate(words, start=1):
            drawing.text(x + GAP, y + ROW * (row + 0.8), text, mono="‖" in text)
        x += width


def _layer_words(trace: Trace, layer: LayerTrace) -> Iterator[str]:
    kind = f"{layer.type}, {layer.activation}" if layer.activation else layer.type
    yield kind
    yield f"{shape(layer.placed.input_shape)} → {shape(layer.placed.output_shape)}"
    with np.errstate(all="ignore"):
        if layer.weight is not None:
            yield f"‖W‖       {number(norm(layer.weight), 3)}"
        if not (layer is trace.layers[-1] and trace.cost.error_is_delta):
            yield f"‖∂C/∂a‖   {number(norm(layer.upstream), 3)}"
        if layer.delta is not None:
            yield f"‖δ‖       {number(norm(layer.delta), 3)}"
        if layer.weight_gradient is not None:
            yield f"‖∂C/∂W‖   {number(norm(layer.weight_gradient), 3)}"


def layer_figure(trace: Trace, layer: LayerTrace, extent: Extent) -> str:
    """δ = ∂C/∂a ⊙ σ′(z), number by number, and the gradients that follow from it."""
    title = f"{trace.name}, {layer.name}: the error and the gradient"
    drawing = Drawing(title, _step_words(trace))
    drawing.text(MARGIN, MARGIN + 6, title, size=20, bold=True)
    drawing.text(MARGIN, MARGIN + 34, _step_words(trace), quiet=True)
    y = float(MARGIN + 60)
    parts: list[Iterator[Block]] = [gradients(layer, extent)]
    if layer.delta is not None:
        parts.insert(0, hadamard(trace, layer, extent))
    for part in parts:
        for equation in islice((b for b in part if isinstance(b, Equation)), EQUATIONS):
            if equation.label:
                drawing.text(MARGIN, y + 8, equation.label, quiet=True)
                y += ROW
            y += drawing.equation(MARGIN, y, equation).height + 1.6 * GAP
    return drawing.svg()


def window_figure(filtering: Filtering, at: tuple[int, ...], title: str, extent: Extent) -> str:
    """The matrix with a window marked, window ⊙ filter = product, and the output that it makes."""
    window = filtering.window(*at)
    place = ", ".join(map(str, at))
    words = f"the sum of window ⊙ filter is output [{place}] = {number(window.sum, 6)}"
    drawing = Drawing(title, words)
    drawing.text(MARGIN, MARGIN + 6, title, size=20, bold=True)
    drawing.text(MARGIN, MARGIN + 34, words, quiet=True)
    row, column = at[-2:]
    axes = filtering.windows.rows, filtering.windows.columns
    lines = [
        [output * axis.stride + tap * axis.dilation - axis.before for tap in range(axis.kernel)]
        for axis, output in zip(axes, (row, column), strict=True)
    ]
    y = float(MARGIN + 60)
    pairs = (("matrix", filtering.matrix, lines), ("output", filtering.output, [[row], [column]]))
    x, lowest = float(MARGIN), 0.0
    for symbol, array, (rows, columns) in pairs:
        term = _around(symbol, array, at, (rows, columns), extent)
        marks = Marks(
            (r, c)
            for r, i in enumerate(term.rows)
            for c, j in enumerate(term.columns)
            if i in rows and j in columns
        )
        size = drawing.equation(x, y, Equation((term,)), [marks])
        x, lowest = x + size.width + 3 * GAP, max(lowest, size.height)
    y += lowest + 2 * GAP
    planes = [array[None] if array.ndim == 2 else array for array in _factors(window)]
    for k in range(len(planes[0]))[:EQUATIONS]:
        arrays = [plane[k] for plane in planes]
        kinds = number_formats(arrays, extent.decimals)
        terms = tuple(
            MatrixTerm(name, array, range(array.shape[0]), range(array.shape[1]), kind)
            for name, array, kind in zip(
                ("window", "filter", "product"), arrays, kinds, strict=True
            )
        )
        y += drawing.equation(MARGIN, y, Equation(terms, "⊙=")).height + GAP
    if len(planes[0]) > EQUATIONS:
        drawing.text(MARGIN, y + 8, f"… and {len(planes[0]) - EQUATIONS} more channels", quiet=True)
    return drawing.svg()


def _factors(window: Window) -> list[Array]:
    return [window.cells, window.filter, window.hadamard]


def _around(
    symbol: str,
    array: Array,
    at: tuple[int, ...],
    lines: tuple[list[int], list[int]],
    extent: Extent,
) -> MatrixTerm:
    """A matrix, or of a large one the part around the marked lines."""
    plane = array if array.ndim == 2 else array[at[0] if len(at) > 2 else 0]
    kind = number_formats([plane], min(extent.decimals, 4))[0]
    rows, columns = (
        _near(size, [k for k in marked if 0 <= k < size], most)
        for size, marked, most in zip(plane.shape, lines, (10, 8), strict=True)
    )
    return MatrixTerm(symbol, plane, rows, columns, kind)


def _near(size: int, marked: list[int], most: int) -> list[int | None]:
    """The marked lines with some beside them; None where lines are left out."""
    if size <= most:
        return list(range(size))
    centre = (marked[0] + marked[-1]) // 2 if marked else 0
    count = max(most - 2, len(range(marked[0], marked[-1] + 1)) if marked else 1)
    start = min(max(0, centre - count // 2), size - count) if count < size else 0
    found: list[int | None] = list(range(start, min(size, start + count)))
    return ([None] if start else []) + found + ([None] if start + count < size else [])
