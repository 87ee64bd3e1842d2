"""The screens of the way forward."""

import numpy as np

from nncli.inspection.derivation.base import Excerpt, indexed
from nncli.inspection.derivation.lessons import (
    ConvForward,
    CostLesson,
    DenseForward,
    MaskForward,
    NormForward,
    PoolForward,
    Question,
)
from nncli.nn.layers import Conv, Pool
from nncli.nn.trace import LayerTrace
from nncli.render.document import Grid, Page, Paragraph
from nncli.render.pages.explain.words import (
    aligned,
    cut_words,
    factor,
    matrices,
    n,
    note,
    row,
    sum_of,
    table,
    taps_words,
    texts,
)
from nncli.render.text import shape


def question(lesson: Question) -> Page:
    trace = lesson.trace
    count = len(trace.samples)
    which = (
        f"The mini-batch is one sample, number {lesson.sample} of the training data:"
        if count == 1
        else f"The mini-batch has {count} samples. Number {lesson.sample} of the training data is "
        "followed here, as all of them are; C is the mean over them."
    )
    rows = tuple(_layer_row(layer) for layer in trace.layers)
    return [
        Paragraph(
            f"{which} x goes in, y should come out, and the cost ({trace.cost.name}) says how far "
            "off what does come out is."
        ),
        *_inputs(lesson),
        Grid(("layer", "kind", "a of it", "σ", "weights"), rows, words=4),
        Paragraph(
            f"The question: if one of the {lesson.parameters:,} weights and biases were a little "
            "larger, would C be larger or smaller, and by how much? Each answer is an entry of the "
            "gradient. Trying them one by one would take a pass forward for each. Backpropagation "
            "finds all of them in one pass back: it asks how C depends on the outputs, and goes "
            "from there link by link to each weight. That is the chain rule."
        ),
    ]


def _inputs(lesson: Question) -> Page:
    """x and y; of images the first channel, or what is in the middle of a large one."""
    inputs, targets = lesson.trace.inputs, row("y", lesson.targets, lesson.shown_targets)
    if inputs.ndim == 4:
        image = lesson.inputs.reshape(inputs.shape[1:])[0]
        rows, columns = (middle(size) for size in image.shape)
        cut = "" if rows.is_all and columns.is_all else "The middle of the image is shown."
        return [matrices("", table("x", image, rows, columns)), *note(cut), matrices("", targets)]
    vector = row("x", lesson.inputs, lesson.shown_inputs)
    cut = cut_words(lesson.shown_inputs, "input", "the largest")
    if len(lesson.shown_inputs.indices) + len(lesson.shown_targets.indices) <= 8:
        return [matrices("→", vector, targets), *note(cut)]
    return [matrices("", vector), *note(cut), matrices("", targets)]


def middle(size: int, most: int = 8) -> Excerpt:
    """The entries in the middle of an axis."""
    first = max(0, (size - most) // 2)
    return Excerpt(tuple(range(first, min(size, first + most))), size)


def _layer_row(layer: LayerTrace) -> tuple[str, ...]:
    learned = layer.placed.parameter_shapes
    return (
        layer.name,
        layer.type,
        shape(layer.placed.output_shape),
        layer.activation or "–",
        " + ".join(shape(sizes) for sizes in learned.values()) or "none",
    )


def dense(lesson: DenseForward) -> Page:
    j, layer = lesson.unit, lesson.of
    factors = [(float(lesson.input[i]), float(lesson.weight[i, j])) for i in lesson.inputs.indices]
    total = sum_of(lesson.products, lesson.inputs, factors)
    z, a = indexed("z", j), indexed("a", j)
    if lesson.bias is not None:
        total += f" + {factor(lesson.bias[j])}"
    name = "its input" if lesson.again is None else "the a of the layer below"
    words = (
        f"Each unit j takes every entry of {name} times a weight of its own, adds them up, adds "
        f"its bias, and bends the sum by σ (here {layer.activation}). Unit {j}, written out:"
        if lesson.again is None
        else f"The same with the a of the layer below as input, and σ = {layer.activation}. "
        f"Unit {j}, written out:"
    )
    bias = "" if lesson.bias is None else " + b_j"
    mixing = layer.sigma_prime is None
    lines = [
        ("z_j", f"Σ_i a_i w_ij{bias}"),
        (z, f"{total} = {n(lesson.z[j])}"),
        (a, f"{'e^z_' + str(j) + ' / Σ_k e^z_k' if mixing else f'σ({z})'} = {n(lesson.a[j])}"),
    ]
    signs, terms = "·=", [
        row("a (input)", lesson.input, lesson.inputs),
        table("W", lesson.weight, lesson.inputs, lesson.units),
        row("z", lesson.z, lesson.units),
    ]  # fmt: skip
    if lesson.bias is not None:
        signs = "·+="
        terms.insert(2, row("b", lesson.bias, lesson.units))
    cut = cut_words(lesson.inputs, "input", "whose products are the largest") + cut_words(
        lesson.units, "unit", "those whose error will be the largest"
    )
    page: Page = [
        Paragraph(words),
        aligned(*lines),
        Paragraph("All units at once, one product of matrices; each z then goes through σ:"),
        matrices(signs, *terms),
        matrices("→", row("z", lesson.z, lesson.units), row("a = σ(z)", lesson.a, lesson.units)),
        *note(cut),
    ]
    if lesson.again is None:
        page.append(
            Paragraph(
                f"Forward, the sum runs over i: down column {j} of W for z_{j}. Keep that in "
                "mind: on the way back it will run along the rows."
            )
        )
    return page


def conv(lesson: ConvForward) -> Page:
    layer, (k, r, c) = lesson.of, lesson.place
    channels = len(lesson.sums)
    z = f"z_{k},{r},{c}"
    sums = " + ".join(map(factor, lesson.sums[:6]))
    if channels > 6:
        sums += f" + [{channels - 6} more: {n(float(lesson.sums[6:].sum()))}]"
    bias = "" if lesson.bias is None else f" + {factor(lesson.bias)}"
    words = (
        f"Filter {k} slides over the image{_seen(layer, k)}. At each of its {lesson.windows:,} "
        "places it is laid on the window under it, cell by cell: a Hadamard product. The products "
        "are added up, over all channels, and the bias; then σ. At the place "
        f"of output row {r}, column {c}"
    )
    where = "" if channels == 1 else f", channel {lesson.channel} of {channels}"
    return [
        Paragraph(f"{words}{where}:"),
        matrices(
            "⊙=",
            table("window", lesson.window[lesson.channel], lesson.rows, lesson.columns),
            table("filter", lesson.filter[lesson.channel], lesson.rows, lesson.columns),
            table("products", lesson.products[lesson.channel], lesson.rows, lesson.columns),
        ),
        *note(taps_words(lesson.rows, lesson.columns)),
        aligned(
            (z, f"{sums}{bias} = {n(lesson.z)}"),
            (z.replace("z", "a", 1), f"σ({n(lesson.z)}) = {n(lesson.a)}   ({layer.activation})"),
        ),
        Paragraph(
            f"The same {lesson.filter[0].size} weights a channel serve every window, so each of "
            f"them is used {lesson.windows:,} times in one image, each time for another output. "
            "That is the one difference from a dense layer; on the way back all follows from it."
        ),
    ]


def _seen(layer: LayerTrace, filter: int) -> str:
    """Which channels a filter sees, where it is not all of them."""
    conv, channels = layer.placed.layer, layer.placed.input_shape[0]
    assert isinstance(conv, Conv)
    if conv.groups == 1:
        return ""
    first, *more = range(channels)[conv.channels_of(filter, channels)]
    which = f"channels {first} to {more[-1]}" if more else f"channel {first}"
    return f", of which it sees {which} alone (its layer has {conv.groups} groups)"


def pool(lesson: PoolForward) -> Page:
    c, r, col = lesson.place
    pool = lesson.of.placed.layer
    assert isinstance(pool, Pool)
    is_mean = pool.is_mean
    word = "mean" if is_mean else "maximum"
    rows, columns = pool.windows(lesson.of.placed.input_shape)
    kernel = shape((rows.kernel, columns.kernel))
    return [
        Paragraph(
            f"Each window of {kernel} cells becomes one number, its {word}. "
            f"Nothing is learned here. Channel {c}, output row {r}, column {col}:"
        ),
        matrices("→", table("window", lesson.window), row(f"its {word}", np.array([lesson.a]))),
        *note(_at_the_edge(lesson, rows.kernel * columns.kernel, is_mean=is_mean)),
        Paragraph(
            "A mean answers to each of its cells by the same share; on the way back each cell "
            "gets that share of the error."
            if is_mean
            else "A maximum answers to its largest cell alone; on the way back that cell gets all "
            "of the error, and the others none."
        ),
    ]


def _at_the_edge(lesson: PoolForward, cells: int, *, is_mean: bool) -> str:
    """What becomes of the cells of a window that are not on the image."""
    on_image = lesson.window.size
    if on_image == cells:
        return ""
    begin = f"Of this window {on_image} of {cells} cells are on the image"
    if not is_mean:
        return f"{begin}; the others are padding, which is never the largest."
    if lesson.count == on_image:
        return f"{begin}; the mean is that of these."
    return f"{begin}; padding counts as 0, so the sum is divided by {lesson.count}."


def mask(lesson: MaskForward) -> Page:
    rate = lesson.of.placed.layer.settings()["rate"]
    return [
        Paragraph(
            f"In training each unit is left out with probability {rate}: multiplied by 0. Those "
            f"that stay are multiplied by 1/(1 − {rate}), so that the mean stays what it was. The "
            "mask is drawn anew in each step. Entry times entry, it is a Hadamard product:"
        ),
        matrices(
            "⊙=",
            row("input", lesson.input, lesson.units),
            row("mask", lesson.mask, lesson.units),
            row("a", lesson.a, lesson.units),
        ),
        *note(cut_words(lesson.units, "unit", "one that is left out among them")),
        Paragraph(f"Of {len(lesson.mask):,} units {lesson.kept:,} stay in this step."),
    ]


def norm(lesson: NormForward) -> Page:
    m = lesson.entries.total
    shown = lesson.entries.indices
    columns = (texts(q[list(shown)]) for q in (lesson.input, lesson.normalised, lesson.a))
    values = [*zip(map(str, shown), *columns, strict=True)]
    return [
        Paragraph(
            f"Each unit is normalised over the mini-batch. Unit {lesson.unit} has {m:,} values "
            "here, over the samples (and over rows and columns of an image). Their mean μ is "
            "taken away and they are divided by their deviation; γ and β, which are learned, then "
            "give them another scale:"
        ),
        aligned(
            ("μ", f"{n(lesson.mean)},  s² = {n(lesson.variance)}"),
            (
                "x̂",
                f"(input − μ) / √(s² + ε),  a = γ x̂ + β,  γ = {n(lesson.gamma)}, "
                f"β = {n(lesson.beta)}",
            ),
        ),
        Grid(("value", "input", "x̂", "a"), tuple(values), words=1),
        *note(f"Shown are {len(values)} of {m:,} values." if len(values) < m else ""),
        Paragraph(
            "μ and s² are made of all values. So one input has a part in all outputs of its unit, "
            "of every sample: that will matter on the way back."
        ),
    ]


def cost(lesson: CostLesson) -> Page:
    trace = lesson.trace
    key = trace.cost.name, trace.cost.activation
    formula, slope = COSTS.get(key, (trace.cost.meaning, ""))
    shown = lesson.units.indices
    columns = (texts(q[list(shown)]) for q in (lesson.a, lesson.y, lesson.parts, lesson.upstream))
    rows = tuple(zip(map(str, shown), *columns, strict=True))
    count = len(trace.samples)
    weighed = []
    if lesson.weight is not None:
        formula = f"w · ({formula})"
        weighed = [
            Paragraph(
                f"The classes have weights: w = {n(lesson.weight)}, that of this sample's class, "
                "is a factor of its C_x, and so of every derivative below. The mean over the "
                "samples still divides by their number."
            )
        ]
    lines = [("C_x", f"{formula} = {n(lesson.cost_of_sample, 8)}")]
    if count > 1:
        lines.append(("C", f"the mean of C_x over {count} samples = {n(trace.cost_before, 8)}"))
    cut = cut_words(lesson.units, "output", "those with the largest ∂C/∂a")
    return [
        Paragraph("How does the cost of one sample change with each output? The way back begins."),
        aligned(*lines),
        Grid(("output", "a", "y", "part of C_x", "∂C_x/∂a"), rows, words=1),
        *note(cut),
        *([Paragraph(slope)] if slope else []),
        *weighed,
    ]


COSTS = {
    ("quadratic", None): (
        "½ Σ_j (a_j − y_j)²",
        "∂C_x/∂a_j = a_j − y_j: the derivative of the square brings down a 2, and the ½ is there "
        "to take it away again. Where an output is too large this is positive: a smaller one "
        "would cost less.",
    ),
    ("cross_entropy", "sigmoid"): (
        "−Σ_j [y_j ln a_j + (1 − y_j) ln(1 − a_j)]",
        "∂C_x/∂a_j = (a_j − y_j) / (a_j (1 − a_j)): the derivative of ln a is 1/a. The nearer an "
        "output is to the wrong end, the larger it is, without bound.",
    ),
    ("cross_entropy", "softmax"): (
        "−Σ_j y_j ln a_j",
        "∂C_x/∂a_j = −y_j/a_j, since the derivative of ln a is 1/a. Only the output of the right "
        "class is in the cost; that the others matter all the same comes by way of softmax, whose "
        "outputs add up to 1.",
    ),
}
