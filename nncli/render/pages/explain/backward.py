"""The screens of the way back: how the error passes σ, weights, windows and what else there is."""

import numpy as np

from nncli.inspection.derivation.base import Excerpt, largest
from nncli.inspection.derivation.lessons import DenseBack, Sigma, SoftmaxError, SoftmaxJacobian
from nncli.nn.arrays import Array
from nncli.render.document import Block, Page, Paragraph
from nncli.render.pages.explain.words import (
    aligned,
    cut_words,
    factor,
    matrices,
    n,
    note,
    product,
    row,
    some,
    sum_of,
    table,
    unit_name,
)

LARGEST = "those with the largest |δ|"

SLOPES = {  # what σ′ is of an activation, and what follows from it
    "sigmoid": "σ′(z) = a(1 − a), at most 1/4, next to 0 where a is near 0 or 1",
    "tanh": "σ′(z) = 1 − a², at most 1, next to 0 where a is near −1 or 1",
    "relu": "σ′(z) = 1 where z is above 0, else 0: the error passes whole, or not at all",
    "leaky_relu": "σ′(z) = 1 where z is above 0, else the small slope",
    "elu": "σ′(z) = 1 where z is above 0, else α e^z",
    "softplus": "σ′(z) = 1/(1 + e^−z), the sigmoid",
    "gelu": "σ′(z) = Φ(z) + z φ(z)",
    "identity": "σ′(z) = 1: the error passes unchanged",
}


def sigma(lesson: Sigma) -> Page:
    if lesson.fused:
        return _fused(lesson)
    if not lesson.is_telling:
        return _identity(lesson)
    layer, units = lesson.of, lesson.units
    why = f"{LARGEST}, and one that is off" if lesson.has_off else LARGEST
    cut = cut_words(units, "unit", why, lesson.shape)
    hadamard = matrices(
        "⊙=",
        row("∂C/∂a", some(lesson.upstream, units)),
        row("σ′(z)", some(lesson.sigma_prime, units)),
        row("δ", some(lesson.delta, units)),
    )
    words = SLOPES.get(layer.activation or "")
    slope = "" if words is None else f"Here {words}. "
    if lesson.again is not None:
        return [
            Paragraph(
                f"As in {lesson.again}: the Jacobian of σ is diagonal, because unit j's a depends "
                "on z_j alone, so the chain rule multiplies entry by entry. The error that has "
                "come back meets σ′ at this layer's own z:"
            ),
            hadamard,
            *note(cut),
            aligned(*_written_out(lesson)),
            Paragraph(f"{slope}{_passed(lesson)}"),
        ]
    whole = "" if units.is_all else f" (the whole of it is {units.total:,}×{units.total:,})"
    return [
        Paragraph(
            "We know ∂C/∂a and want δ_j = ∂C/∂z_j. The chain rule adds up over every a_k that "
            "z_j could act on: δ_j = Σ_k ∂C/∂a_k ∂a_k/∂z_j. That is a row times a matrix, the "
            f"Jacobian of σ{whole}:"
        ),
        matrices(
            "·=",
            row("∂C/∂a", some(lesson.upstream, units)),
            table("∂a/∂z", lesson.jacobian),
            row("δ", some(lesson.delta, units)),
        ),
        *note(cut),
        Paragraph(
            "It is diagonal, because unit j's a depends on z_j alone: to move another z does "
            "nothing to it. So one term of the sum is left, δ_j = ∂C/∂a_j σ′(z_j). To multiply by "
            "a diagonal matrix is to multiply entry by entry. That is how the Hadamard product ⊙ "
            "creeps in:"
        ),
        hadamard,
        Paragraph(f"{slope}{_passed(lesson)}"),
    ]


def _identity(lesson: Sigma) -> Page:
    units = lesson.units
    return [
        Paragraph(
            "σ is the identity here, a = z, and ∂a/∂z the identity matrix: to multiply by it, or "
            "by σ′ = 1 entry by entry, changes nothing. δ is the error as it came:"
        ),
        matrices(
            "⊙=",
            row("∂C/∂a", some(lesson.upstream, units)),
            row("σ′(z)", some(lesson.sigma_prime, units)),
            row("δ", some(lesson.delta, units)),
        ),
        *note(cut_words(units, "unit", LARGEST, lesson.shape)),
    ]


def _passed(lesson: Sigma) -> str:
    size = abs(np.nan_to_num(lesson.delta))
    j = max(lesson.units.indices, key=lambda k: float(size[k]))
    name = unit_name(j, lesson.shape)
    share = float(lesson.sigma_prime[j])
    before, after = n(lesson.upstream[j]), n(lesson.delta[j])
    words = f"Of unit {name}'s error {before}, σ′ = {n(share)} leaves {after}."
    if lesson.has_off:
        off = next(k for k in lesson.units.indices if lesson.sigma_prime[k] == 0)
        named = unit_name(off, lesson.shape)
        words += f" Unit {named} is off: of {n(lesson.upstream[off])} nothing is left."
    return words


def _written_out(lesson: Sigma) -> list[tuple[str, str]]:
    assert lesson.ask is not None
    name = ",".join(map(str, lesson.ask.place))
    upstream, prime = (value for _, value in lesson.ask.given)
    return [(f"δ_{name}", f"∂C/∂a_{name} σ′(z_{name}) = {product(upstream, prime)} = "
                          f"{n(lesson.ask.value)}")]  # fmt: skip


def _fused(lesson: Sigma) -> Page:
    units = lesson.units
    assert lesson.a is not None
    assert lesson.y is not None
    assert lesson.ask is not None
    (j,) = lesson.ask.place
    a, y = float(lesson.a[j]), float(lesson.y[j])
    w, left = "", "a − y"
    written = (f"a_{j} − y_{j}", f"{factor(a)} − {factor(y)}")
    if lesson.weight is not None:
        w, left = "w ", "w (a − y)"
        written = (f"w ({written[0]})", f"{factor(lesson.weight)} ({written[1]})")
    page: Page = [
        Paragraph(
            "δ_j = ∂C/∂z_j. The chain rule adds up over every a_k that z_j could act on: δ_j = "
            "Σ_k ∂C/∂a_k ∂a_k/∂z_j, a row times the Jacobian of σ. It is diagonal, because unit "
            "j's a depends on z_j alone, so the product is entry by entry, ⊙."
        ),
        _error_times_jacobian(lesson, units, lesson.jacobian),
        *note(cut_words(units, "unit", LARGEST, lesson.shape)),
        Paragraph(
            f"But look what meets here: ∂C/∂a_j = {w}(a_j − y_j)/(a_j(1 − a_j)), and σ′(z_j) = "
            "a_j(1 − a_j). The same factor stands in the denominator and in the numerator, and "
            f"δ = {left} is left: the ⊙ is there, and its factor has cancelled."
        ),
        aligned((f"δ_{j}", f"{' = '.join(written)} = {n(lesson.delta[j])}")),
        Paragraph(
            "That is why this cost goes with the sigmoid: an output that is certain and wrong "
            "still has its whole error, where behind the quadratic cost σ′ would take it away. "
            f"The step takes {left} at once, and never divides by a."
        ),
    ]
    return page


def _error_times_jacobian(lesson: Sigma | SoftmaxError, units: Excerpt, part: Array) -> Block:
    """∂C/∂a times a Jacobian; in words where one is infinite and the other 0."""
    upstream = some(lesson.upstream, units)
    if not np.isfinite(upstream).all():
        return Paragraph(
            "In numbers it is not to be had here: an output is 0 or 1 to the last digit, so the "
            "Jacobian is 0 there and ∂C/∂a infinite. In the formulas they cancel before either is "
            "computed.",
            note=True,
        )
    delta = row("δ", some(lesson.delta, units))
    return matrices("·=", row("∂C/∂a", upstream), table("∂a/∂z", part), delta)


def softmax_jacobian(lesson: SoftmaxJacobian) -> Page:
    units = lesson.units
    assert lesson.ask is not None
    k, j = lesson.ask.place
    part = lesson.jacobian[np.ix_(units.indices, units.indices)]
    is_full = np.count_nonzero(lesson.jacobian) == lesson.jacobian.size
    seen = "" if is_full else ", though some of it is too small to be seen here"
    total = len(lesson.a)
    whole = "in full" if units.is_all else f"of {len(units.indices)} of {total} classes"
    cut = cut_words(units, "class", LARGEST)
    return [
        Paragraph(
            "a_k = e^z_k / Σ_l e^z_l: every z is in the denominator, so every output answers to "
            f"every z, not to its own alone. The Jacobian {whole}, ∂a_k/∂z_j, k down and j across:"
        ),
        matrices("", row("a", some(lesson.a, units)), width=76),
        matrices("", table("∂a/∂z", part), width=76),
        *note(cut),
        aligned(
            ("on the diagonal", f"a_j(1 − a_j), so ∂a_{j}/∂z_{j} = {n(lesson.jacobian[j, j])}"),
            (
                "elsewhere",
                f"−a_k a_j, so ∂a_{k}/∂z_{j} = −{product(lesson.a[k], lesson.a[j])} = "
                f"{n(lesson.jacobian[k, j])}",
            ),
        ),
        Paragraph(
            f"Nothing is 0 beside the diagonal{seen}: what one output gains, the others lose, and "
            "each row adds up to 0. A Hadamard product can only multiply an entry by a number of "
            "its own, so it has no place for these terms. It takes the whole matrix."
        ),
    ]


def softmax_error(lesson: SoftmaxError) -> Page:
    units = lesson.units
    k = lesson.missed
    shown = units if len(units.indices) <= 4 else largest(
        lesson.delta, 3, always=(*tuple(c for c in units.indices if lesson.y[c])[:1], k)
    )  # fmt: skip
    cut = cut_words(shown, "class", LARGEST)
    product_ = _error_times_jacobian(
        lesson, shown, lesson.jacobian[np.ix_(shown.indices, shown.indices)]
    )
    delta = row("δ", some(lesson.delta, shown))
    outputs = row("a", some(lesson.a, shown)), row("y", some(lesson.y, shown))
    w, left = "", "a − y"
    differences: Page = [matrices("−=", *outputs, delta)]
    if lesson.weight is not None and lesson.difference is not None:
        w, left = "w ", "w (a − y)"
        words = f"Times w = {n(lesson.weight)}, the weight of this sample's class:"
        difference = row("a − y", some(lesson.difference, shown))
        differences = [matrices("−=", *outputs, difference), Paragraph(words), matrices("", delta)]
    return [
        Paragraph(
            f"δ_j = Σ_k ∂C/∂a_k ∂a_k/∂z_j, and ∂C/∂a_k = −{w}y_k/a_k. Row times matrix, every term "
            "of the sum counts."
        ),
        product_,
        *note(cut),
        aligned(
            (
                f"δ_j{' / w' if w else ''}",
                "−y_j/a_j · a_j(1 − a_j) + Σ_k y_k/a_k · a_k a_j over the other k",
            ),
            ("", "−y_j + a_j Σ_k y_k over all k = a_j − y_j, for the y add up to 1"),
        ),
        Paragraph(
            f"Each a_k in a denominator meets one in a numerator, and all that is left is {left}:"
        ),
        *differences,
        Paragraph(
            f"⊙ with the diagonal alone would make δ_{k} = {n(lesson.diagonal[k])} of it instead "
            f"of {n(lesson.delta[k])}: it hears of the right class only, and not that the outputs "
            "of the others are too large."
        ),
    ]


def dense_back(lesson: DenseBack) -> Page:
    layer, i = lesson.of, lesson.input
    terms = largest(lesson.products)
    factors = [(float(lesson.weight[i, j]), float(lesson.delta[j])) for j in terms.indices]
    written = sum_of(lesson.products, terms, factors)
    name = f"∂C/∂a_{i}"
    equation = matrices(
        "·=",
        row("δ", lesson.delta, lesson.units),
        table("Wᵀ", lesson.weight.T, lesson.units, lesson.inputs),
        row("∂C/∂a", lesson.downstream, lesson.inputs),
    )
    below = "the layer below" if lesson.below is None else lesson.below
    cut = cut_words(lesson.units, "unit", LARGEST) + cut_words(
        lesson.inputs, "input", "those that the way back follows"
    )
    if lesson.again is not None:
        return [
            Paragraph(
                f"As in {lesson.again}: a_i is in every z_j of {layer.name}, with weight w_ij, so "
                "the error goes back along row i of W, over the same weights on which the signal "
                "came:"
            ),
            aligned((name, f"Σ_j w_{i}j δ_j = {written} = {n(lesson.downstream[i])}")),
            equation,
            *note(cut),
        ]
    return [
        Paragraph(
            f"What has a_i of {below} to do with C? It is in every z_j of {layer.name}, each time "
            f"with a weight of its own: z_j = … + a_i w_ij + …, so ∂z_j/∂a_i = w_ij. The chain "
            f"rule adds up all the ways from a_i to C, here for i = {i}:"
        ),
        aligned((name, f"Σ_j w_{i}j δ_j = {written} = {n(lesson.downstream[i])}")),
        Paragraph(
            "Where the transpose comes from: forward, z_j sums over i, down column j of W. Back, "
            "∂C/∂a_i sums over j, along row i. A product of matrices δ · M sums down the columns "
            "of M, so the rows of W have to stand as columns. That is Wᵀ, and all that it is: the "
            "same weights, added up the other way. Nothing is inverted."
        ),
        equation,
        *note(cut),
        Paragraph(
            "δ is a row here, as a is in z = a W + b. In books with columns, z = W a + b with W "
            "the other way round, the same line reads Wᵀ δ.",
            note=True,
        ),
    ]
