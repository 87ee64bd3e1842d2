"""The last screens: which product was used where, and the questions that readers ask."""

from collections.abc import Callable

from nncli.inspection.derivation.base import Lesson
from nncli.inspection.derivation.lessons import (
    Answers,
    ConvBack,
    DenseBack,
    Products,
    Sigma,
    SoftmaxError,
    Use,
)
from nncli.nn.trace import LayerTrace
from nncli.render.document import Grid, Page, Paragraph
from nncli.render.pages.explain.words import n, product
from nncli.render.text import shape


def products(lesson: Products) -> Page:
    rows = tuple(_row(use) for use in lesson.uses)
    return [
        Paragraph(
            "All of the step, with the product that each line takes and an entry of it from this "
            "network:"
        ),
        Grid(("line", "product", "with these numbers"), rows, words=3),
        Paragraph(
            "In short: ⊙ (Hadamard) where each entry depends on its own entry alone, which is σ; "
            "⊗ (Kronecker, of a column and a row) where each entry depends on a pair, which is a "
            "weight; and a product of matrices where there is a sum: over inputs, over units, over "
            "samples."
        ),
    ]


def _row(use: Use) -> tuple[str, str, str]:
    line, kind, example = USES[use.what]
    if use.is_weighted:
        line = line.replace("a − y", "w (a − y)")
    return line, kind, example(use)


def _sizes(use: Use) -> str:
    layer = use.layer
    return f"{use.layer.name}: {shape(layer.placed.input_shape)} · {_weights(layer)}"


def _weights(layer: LayerTrace) -> str:
    return shape(layer.placed.parameter_shapes["weight"])


def _factors(use: Use) -> str:
    assert use.result is not None
    return f"{use.layer.name}: {product(*use.factors, digits=4)} = {n(use.result, 4)}"


def _difference(use: Use) -> str:
    assert use.result is not None
    *weights, a, y = use.factors
    difference = f"{n(a, 4)} − {n(y, 4)}"
    if weights:
        difference = f"{n(weights[0], 4)} ({difference})"
    return f"{use.layer.name}: {difference} = {n(use.result, 4)}"


def _transposed(use: Use) -> str:
    rows, columns = use.layer.placed.parameter_shapes["weight"]
    return f"{use.layer.name}: {columns} · {columns}×{rows}"


def _jacobian(use: Use) -> str:
    size = use.layer.placed.output_shape[0]
    return f"{use.layer.name}: {size} · {size}×{size}"


def _summed(use: Use) -> str:
    count, inputs = use.layer.input.shape
    return f"{use.layer.name}: {inputs}×{count} · {count}×{use.layer.placed.output_shape[0]}"


def _named(use: Use) -> str:
    return use.layer.name


USES: dict[str, tuple[str, str, Callable[[Use], str]]] = {
    "dense": ("z = a W + b", "of matrices", _sizes),
    "conv": ("z = window ⊙ filter, summed", "Hadamard, then a sum", _named),
    "fused": ("δ = a − y", "⊙, but σ′ cancels", _difference),
    "softmax": ("δ = ∂C/∂a · J = a − y", "of matrices: no ⊙", _jacobian),
    "sigma": ("δ = ∂C/∂a ⊙ σ′(z)", "Hadamard", _factors),
    "back": ("∂C/∂a = δ Wᵀ", "of matrices", _transposed),
    "mask": ("∂C/∂input = ∂C/∂a ⊙ mask", "Hadamard", _named),
    "norm": ("∂C/∂input, three terms", "none: sums over samples", _named),
    "conv_back": ("δ ⊙ filter turned, summed", "Hadamard, then a sum", _named),
    "outer": ("∂C_x/∂W = aᵀ ⊗ δ", "Kronecker (outer)", _factors),
    "samples": ("∂C/∂W = 1/n aᵀ δ", "of matrices", _summed),
    "conv_gradient": ("∂C/∂w = cells ⊙ δ, summed", "Hadamard, then a sum", _named),
}


def answers(lesson: Answers) -> Page:
    page: Page = []
    for word, source in lesson.questions:
        question, answer = QUESTIONS[word]
        page += [Paragraph(f"{question}"), Paragraph(answer(source))]
    return page


def _hadamard_or_kronecker(source: Lesson) -> str:
    assert isinstance(source, Sigma)
    assert source.ask is not None
    name = ",".join(map(str, source.ask.place))
    values = [value for _, value in source.ask.given]
    return (
        f"Hadamard: the way through σ, δ = ∂C/∂a ⊙ σ′(z), as {product(*values)} = "
        f"{n(source.ask.value)} for unit {name} of {source.of.name}. Kronecker: the way from δ to "
        "the weights, ∂C_x/∂W = aᵀ ⊗ δ, a column times a row. Between two layers neither: δ Wᵀ is "
        "a product of matrices, for there is a sum in it."
    )


def _how_hadamard(source: Lesson) -> str:
    return (
        "It is the chain rule's product with the Jacobian of σ, a product of matrices like any "
        f"other. Only, that Jacobian is diagonal: in {source.of.name}, a_j depends on z_j and on "
        "no other z. Row times diagonal matrix is entry times entry, and that is what ⊙ writes."
    )


def _transpose(source: Lesson) -> str:
    assert isinstance(source, DenseBack)
    i = source.input
    return (
        f"From the sum going the other way. Forward z_j adds up column j of W; back ∂C/∂a_{i} = "
        f"{n(source.downstream[i])} of {source.of.name} added up row {i}, since a_{i} is in every "
        "z_j. Rows written as columns are Wᵀ. It is no inverse: the error is not undone, it is "
        "shared out by the same weights."
    )


def _softmax(source: Lesson) -> str:
    assert isinstance(source, SoftmaxError)
    j = source.missed
    return (
        "Since each softmax output depends on all z: its Jacobian has −a_k a_j beside the "
        f"diagonal. ⊙ would make δ_{j} = {n(source.diagonal[j])}; all of the Jacobian makes "
        f"it a_{j} − y_{j} = {n(source.a[j])} − {n(source.y[j])} = {n(source.delta[j])}."
    )


def _old_or_new(source: Lesson) -> str:
    assert isinstance(source, DenseBack)
    assert source.ask is not None
    i = source.input
    new = dict(source.ask.wrongs).get("updated_weights")
    other = "" if new is None else f" With the new ones it would be {n(new)}."
    return (
        f"The old ones. ∂C/∂a_{i} = {n(source.downstream[i])} says how the C that was computed "
        f"depends on a_{i}, and it was computed with the old W.{other} So all errors come first, "
        "then all updates."
    )


def _turned_filter(source: Lesson) -> str:
    assert isinstance(source, ConvBack)
    return (
        f"A cell is under {source.windows} windows, each time under another tap: the further "
        "right the window, the further left the tap. So beside δ the filter lies turned by 180 "
        "degrees. Full, because cells at the edge have windows too, if fewer: zeros around δ make "
        f"up for those. The weights are added up as by Wᵀ; here the sum is {n(source.downstream)}."
    )


QUESTIONS: dict[str, tuple[str, Callable[[Lesson], str]]] = {
    "hadamard_or_kronecker": (
        "Which part uses the Hadamard product, which the Kronecker product?",
        _hadamard_or_kronecker,
    ),
    "how_hadamard": ("How does the Hadamard product creep in?", _how_hadamard),
    "transpose": ("Where does the transpose in δ Wᵀ come from?", _transpose),
    "softmax": ("Why is there no ⊙ behind softmax?", _softmax),
    "old_or_new": ("Old or updated weights for the hidden error?", _old_or_new),
    "turned_filter": (
        "Why is the way back of a conv layer a full convolution with the turned filter?",
        _turned_filter,
    ),
}
