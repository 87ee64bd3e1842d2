"""The screens of the gradients and of the step."""

import numpy as np

from nncli.inspection.derivation.base import indexed, largest
from nncli.inspection.derivation.lessons import (
    ConvGradient,
    NormGradient,
    Outer,
    Samples,
    Update,
    WeightStep,
)
from nncli.nn.links import Link
from nncli.render.document import Grid, Page, Paragraph
from nncli.render.pages.explain.words import (
    aligned,
    column,
    cut_words,
    listed,
    matrices,
    n,
    note,
    product,
    row,
    table,
    texts,
)


def outer(lesson: Outer) -> Page:
    i, j = lesson.weight
    name = indexed("w", i, j)
    line = (
        f"∂C/∂{name}",
        f"a_{i} δ_{j} = {product(lesson.input[i], lesson.delta[j])} = {n(lesson.product[i, j])}",
    )
    equation = matrices(
        "⊗=",
        column("a, a column", lesson.input, lesson.inputs),
        row("δ", lesson.delta, lesson.units),
        table("∂C_x/∂W", lesson.product, lesson.inputs, lesson.units),
    )
    cut = cut_words(lesson.inputs, "input", "those that the way back follows") + cut_words(
        lesson.units, "unit", "those with the largest |δ|"
    )
    alone = (
        "The mini-batch has no other sample, so this is ∂C/∂W, and ∂C/∂b is δ. Of several each "
        "would make such a product, and one product of matrices, aᵀ δ, adds all of them up."
        if lesson.samples == 1
        else ""
    )
    if lesson.again is not None:
        return [
            Paragraph(
                f"As in {lesson.again}: w_ij is in z_j alone, beside a_i, the layer's input. Each "
                "pair of an input and a unit makes one entry:"
            ),
            aligned(line),
            equation,
            *note(cut),
            *([Paragraph(alone)] if alone else []),
        ]
    return [
        Paragraph(
            "Now the other way through W: to the weights. w_ij is in z_j and in no other, and "
            "there it stands beside a_i: z_j = … + a_i w_ij + …, so ∂z_j/∂w_ij = a_i. The sum of "
            "the chain rule has one term:"
        ),
        aligned(line),
        Paragraph(
            "Each pair of an input i and a unit j makes one product, and all of them are the outer "
            "product: every entry of the column a times every entry of the row δ. That is the "
            "Kronecker product of a column and a row, written ⊗:"
        ),
        equation,
        *note(cut),
        Paragraph(f"The bias is in z_j with the factor 1, so ∂C/∂b_j = δ_j. {alone}".strip()),
    ]


def samples(lesson: Samples) -> Page:
    i, j = lesson.weight
    count = len(lesson.sample_numbers)
    shown = lesson.samples.indices
    with np.errstate(all="ignore"):
        total = lesson.products.sum()
        rest = total - lesson.products[list(shown)].sum()
    last = [rest, total] if count > len(shown) else [total]
    *products, total_text = texts(np.array([*lesson.products[list(shown)], *last]))
    a, delta = texts(lesson.input[shown, i]), texts(lesson.delta[shown, j])
    numbers = (str(lesson.sample_numbers[x]) for x in shown)
    rows = tuple(zip(numbers, a, delta, products, strict=False))
    if count > len(shown):
        rows += ((f"{count - len(shown)} more", "", "", products[-1]),)
    rows += (("sum", "", "", total_text),)
    name = indexed("w", i, j)
    mean = aligned(
        (
            f"∂C/∂{name}",
            f"1/n Σ_x a_x{i} δ_x{j} = {n(float(total))} / {count} = {n(lesson.gradient[i, j])}",
        )
    )
    if lesson.again is not None:
        return [
            Paragraph(f"As in {lesson.again}, the sum over the samples is aᵀ δ:"),
            Grid(("sample", f"a_{i}", f"δ_{j}", f"a_{i} δ_{j}"), rows, words=1),
            mean,
        ]
    few = largest(lesson.products)
    inputs, units = lesson.inputs, lesson.units
    some = list(inputs.indices[:3]), list(units.indices[:3])
    return [
        Paragraph(
            f"C is the mean of C_x over n = {count} samples, so ∂C/∂W is the mean of their outer "
            f"products. Of {name}:"
        ),
        Grid(("sample", f"a_{i}", f"δ_{j}", f"a_{i} δ_{j}"), rows, words=1),
        mean,
        Paragraph(
            f"To sum a_xi δ_xj over x is to go down column {i} of a (a row a sample) and column "
            f"{j} of δ together: row {i} of aᵀ times column {j} of δ. So one product of matrices "
            f"makes and adds up all {count} outer products: ∂C/∂W = 1/n aᵀ δ, and Kronecker is "
            "no longer to be seen in it. ∂C/∂b is the mean of the rows of δ."
        ),
        matrices(
            "·=",
            table("aᵀ", lesson.input.T[some[0]], None, few),
            table("δ", lesson.delta[:, some[1]], few, None),
            table("n ∂C/∂W", lesson.summed[np.ix_(*some)]),
        ),
    ]


def conv_gradient(lesson: ConvGradient) -> Page:
    k, c, i, j = lesson.tap
    count = len(lesson.sums)
    cells, delta, products = (
        array[np.ix_(lesson.rows.indices, lesson.columns.indices)]
        for array in (lesson.cells, lesson.delta, lesson.products)
    )
    windows = lesson.products.size
    with np.errstate(all="ignore"):
        own = float(lesson.products.sum())
        total = float(lesson.sums.sum())
    name = f"w_{k},{c},{i},{j}"
    cut = "" if cells.size == windows else (
        f"Shown are {cells.size} of the {windows:,} windows, around the largest product."
    )  # fmt: skip
    mean = (
        [(f"∂C/∂{name}", f"the mean over {count} samples: {n(total)} / {count} = "
                         f"{n(lesson.gradient)}")]
        if count > 1
        else []
    )  # fmt: skip
    return [
        Paragraph(
            f"A tap of a filter is one weight, but it is in every z of its filter: tap ({i}, {j}) "
            f"of channel {c} of filter {k} meets another cell in each window. ∂z/∂w is that cell, "
            f"as ∂z_j/∂w_ij = a_i was, and the chain rule adds up over all {windows:,} windows: "
            "the cells under the tap ⊙ δ, summed."
        ),
        matrices(
            "⊙=",
            table("cells under the tap", cells),
            table("δ", delta),
            table("products", products),
        ),
        *note(cut),
        aligned((f"∂C_x/∂{name}", f"their sum = {n(own)}"), *mean),
        Paragraph(
            "So windows are to a filter what samples are to a dense weight: each adds an outer "
            "product, of the window as a column and the δ of all filters as a row, and one product "
            "of matrices adds them up. Seen as a picture, δ slides over the input as a filter "
            "would: a correlation."
        ),
    ]


def norm_gradient(lesson: NormGradient) -> Page:
    shown = lesson.entries.indices
    columns = (texts(q[list(shown)]) for q in (lesson.upstream, lesson.normalised, lesson.products))
    rows = tuple(zip(map(str, shown), *columns, strict=True))
    total = lesson.entries.total
    return [
        Paragraph(
            f"a = γ x̂ + β, and unit {lesson.unit} has one γ and one β for all its {total:,} "
            "values. So ∂a/∂γ = x̂ and ∂a/∂β = 1, and the chain rule adds up over the values; "
            "per sample, as C is a mean:"
        ),
        Grid(("value", "∂C/∂a", "x̂", "∂C/∂a ⊙ x̂"), rows, words=1),
        *note("" if len(rows) == total else f"Shown are {len(rows)} of {total:,} values."),
        aligned(
            ("∂C/∂γ", f"1/n Σ ∂C/∂a ⊙ x̂ = {n(lesson.gamma_gradient)}"),
            ("∂C/∂β", f"1/n Σ ∂C/∂a = {n(lesson.beta_gradient)}"),
        ),
    ]


def update(lesson: Update) -> Page:
    trace = lesson.trace
    is_plain = len(trace.links) == 1
    rows = tuple(
        (
            step.layer.name,
            weight_name(step),
            n(step.weight, 7),
            n(step.gradient),
            n(step.update),
            n(step.new, 7),
        )
        for step in lesson.steps
    )
    how = (
        f"Each weight goes against its own entry of the gradient, by η = {trace.eta:g} times it: "
        "ΔW = −η ∂C/∂W. Of each layer one weight:"
        if is_plain
        else "Each weight goes against the gradient, by way of "
        f"{listed(map(_link_words, trace.links[:-1]))}, with η = {trace.eta:g} "
        "(inspect-grad shows each). Of each layer one weight:"
    )
    count = sum(step.layer.placed.parameters for step in lesson.steps)
    change = trace.cost_after - trace.cost_before
    return [
        Paragraph(how),
        Grid(("layer", "weight", "W", "∂C/∂W", "ΔW", "W new"), rows, words=2),
        aligned(
            ("C before the step", n(trace.cost_before, 8)),
            ("C after it", n(trace.cost_after, 8)),
            ("change", n(change)),
            ("the gradient said", n(lesson.predicted)),
        ),
        Paragraph(_verdict(change, lesson.predicted)),
        Paragraph(
            f"All {count:,} weights and biases move at once, and each δ above was made with the "
            "weights as they were: first all of the way back, then the step. Weights that have "
            "moved belong to the next step."
        ),
    ]


def _link_words(link: Link) -> str:
    words = link.words()
    return words if link.name in words else f"{link.name} ({words})"


def weight_name(step: WeightStep) -> str:
    symbol = step.layer.placed.layer.symbols.get("weight", "w")
    if len(step.place) == 2:
        return indexed(symbol, *step.place)
    return f"{symbol}_{','.join(map(str, step.place))}"


def _verdict(change: float, predicted: float) -> str:
    if not np.isfinite(change):
        return "After the step the cost is not finite: the step was far too long."
    if predicted == 0:
        return "The gradient is 0, so nothing moves."
    if change > 0 and predicted < 0:
        return (
            "The cost has grown: the gradient says what happens next to where the weights are, and "
            "the step went too far for that. A smaller η would go less far."
        )
    if abs(change / predicted - 1) <= 0.1:
        return (
            "The cost did nearly what the gradient said (the sum of ∂C/∂w Δw over all weights). "
            "It is exact only for steps so short that C is a plane; this one was short enough."
        )
    return (
        "The gradient said ∂C/∂w Δw, summed over all weights: right for steps so short that C is a "
        "plane. C is curved, and this step was long enough to notice."
    )
