"""The screens of a classic mistake: beside what is right, and what it does to the step."""

import numpy as np

from nncli.inspection.derivation.base import largest
from nncli.inspection.derivation.lessons import Mistaken, MistakenStep
from nncli.inspection.derivation.wrong import Wrong
from nncli.inspection.mistakes.table import MISTAKES
from nncli.nn.arrays import Array
from nncli.render.document import Grid, Page, Paragraph
from nncli.render.notation import SYMBOL
from nncli.render.pages.explain.words import listed, n, texts
from nncli.render.text import number

NAMES = {
    "sigma_prime_of_a": "σ′ of a for σ′ of z",
    "missing_sigma_prime_hidden": "a hidden error without σ′",
    "updated_weights": "W after its update",
    "untransposed": "W for Wᵀ",
    "sum_for_mean": "the sum for the mean",
    "missing_half": "2 for ½",
}

WHY = {  # how it comes about, and why it is wrong
    "sigma_prime_of_a": (
        "σ′ is taken at a, because a is at hand and the function for σ′ takes any number. But a_j "
        "= σ(z_j) is differentiated at z_j, where the unit is. Or a(1 − a) was meant, which is "
        "σ′(z) written with a, and is put into σ′ once more."
    ),
    "missing_sigma_prime_hidden": (
        "δ Wᵀ is taken for the δ of the layer below. It is only ∂C/∂a: how C depends on what the "
        "unit puts out. On the way to its weights the signal still has to pass σ, which multiplies "
        "by σ′(z)."
    ),
    "updated_weights": (
        "Each layer is updated as soon as its own gradient is known, and the error then goes back "
        "through weights that are new. But the C that is differentiated was computed with the old "
        "ones."
    ),
    "untransposed": (
        "W is square, so δ W is as possible as δ Wᵀ, and nothing complains. But it adds up column "
        "i of W for a_i, the weights into unit i, where those out of a_i are along row i."
    ),
    "sum_for_mean": (
        "The gradients of the samples are added up, and not divided by n. C is the mean, so its "
        "gradient is. The direction is right; the step is n times as long, and η means another "
        "thing for every size of a mini-batch."
    ),
    "missing_half": (
        "C = ½ ‖a − y‖² is differentiated as if it were ‖a − y‖²: the 2 that the square brings "
        "down stays. All gradients are those of a cost twice as large: the direction is right, and "
        "the step is twice as long."
    ),
}

WITHOUT_EFFECT = {
    "no_sigma": "no layer's error is multiplied by σ′ here: a − y is δ at once.",
    "no_hidden": "there is no hidden layer with a σ of its own here.",
    "nothing_below": "no layer that learns is below one with weights, so no error goes back "
    "through weights.",
    "not_square": "no W on the way back is square, and then δ W does not exist: the shapes do not "
    "fit, and NumPy says so (matmul: mismatch in its core dimension). An error that stops the "
    "program is the good case. It goes wrong in silence where a layer has as many units as inputs.",
    "one_sample": "the mini-batch is one sample, and the sum of one is its mean. Take several, "
    "where the data have them: --sample 0,1.",
    "no_half": "the cost is not the quadratic one, and has no ½.",
    "equal": "all numbers are the same to the last digits.",
    "cost_only": "only C itself is wrong by it. Its gradient is right, and so is the step: the "
    "figures of C are all that it spoils.",
    "unused": "all that it changes is a ∂C/∂input below which no layer learns, so it goes into no "
    "gradient. In a layer with others that learn below it, it would make a difference.",
    "nowhere": "there is no place for it in this network.",
}
EQUAL = {
    "sigma_prime_of_a": "σ′ is the same at a as at z here: of relu, a is above 0 just where z is, "
    "and a straight σ has the same slope everywhere.",
    "missing_sigma_prime_hidden": "σ′ is 1 wherever the error passes here.",
}


def title_of(mistake: Wrong) -> str:
    name = NAMES.get(mistake.kind, mistake.kind.replace("_", " "))
    return f"a classic mistake: {name}"


def why(mistake: Wrong) -> str:
    """How a mistake comes about; of one that has no words here, those of its row."""
    row = MISTAKES[mistake.kind]
    return WHY.get(mistake.kind, f"{row.says} Right is {row.right}. To look at: {row.look}.")


def mistaken(lesson: Mistaken) -> Page:
    mistake = lesson.mistake
    if mistake.without_effect is not None:
        reason = WITHOUT_EFFECT[mistake.without_effect]
        if mistake.without_effect == "equal":
            reason = EQUAL.get(mistake.kind, reason)
        return [
            Paragraph(why(mistake)),
            Paragraph(f"In this step it makes no difference, or cannot be made: {reason}"),
        ]
    assert mistake.right is not None
    assert mistake.wrong is not None
    rows = _rows(lesson, mistake.right, mistake.wrong)
    symbol = _symbol(mistake)
    headings = ["entry", f"{symbol} right", f"{symbol} wrong", "wrong / right"]
    if mistake.wrong_factor is not None:
        headings[1:1] = ["σ′ right", "σ′ wrong"]
    elif mistake.right_factor is not None:
        headings.insert(1, "σ′(z)")
    total = mistake.right.size // (len(mistake.right) if _by_sample(mistake) else 1)
    shown = "" if len(rows) == total else ", where it differs most"
    of_sample = ", of the sample that is followed" if _by_sample(mistake) else ""
    also = f" It is made in {listed(mistake.others)} too." if mistake.others else ""
    after = (
        f"The errors δ are right; what is made of them is not.{also}"
        if not _by_sample(mistake)
        else f"From here on all that follows is wrong with it.{also}"
    )
    return [
        Paragraph(why(mistake)),
        Paragraph(f"In {mistake.layer}{of_sample}{shown}:"),
        Grid(tuple(headings), rows, words=1),
        Paragraph(after),
    ]


def _symbol(mistake: Wrong) -> str:
    if mistake.quantity == "downstream":
        return "∂C/∂a below"
    return SYMBOL.get(mistake.quantity, mistake.quantity.replace("_", " "))


def _by_sample(mistake: Wrong) -> bool:
    return not mistake.quantity.startswith(("weight", "bias"))


def _rows(lesson: Mistaken, right: Array, wrong: Array) -> tuple[tuple[str, ...], ...]:
    """The entries with the largest differences: of one sample, where they are by sample."""
    mistake, at = lesson.mistake, lesson.at
    by_sample = _by_sample(mistake)
    some_right, some_wrong = (right[at], wrong[at]) if by_sample else (right, wrong)
    with np.errstate(all="ignore"):
        shown = largest(some_wrong - some_right, 6)
    places = [np.unravel_index(k, some_right.shape) for k in shown.indices]
    arrays = [some_right, some_wrong]
    factors = mistake.right_factor, mistake.wrong_factor
    arrays = [*(f[at] for f in factors if f is not None), *arrays]
    columns = [texts(array[list(shown.indices)]) for array in (a.ravel() for a in arrays)]
    names = [",".join(map(str, place)) for place in places]
    ratios = [_ratio(float(some_wrong[p]), float(some_right[p])) for p in places]
    return tuple(zip(names, *columns, ratios, strict=True))


def _ratio(wrong: float, right: float) -> str:
    return n(wrong / right, 3) if right else "–"


def mistaken_step(lesson: MistakenStep) -> Page:
    mistake, trace = lesson.mistake, lesson.trace
    assert mistake.cost_after is not None
    before = trace.cost_before
    rows = (
        ("right", "1", "1", n(trace.cost_after, 8), n(trace.cost_after - before)),
        (
            "wrong",
            number(mistake.length_ratio, 4),
            "–" if mistake.cosine is None else f"{mistake.cosine:.6f}",
            n(mistake.cost_after, 8),
            n(mistake.cost_after - before),
        ),
    )
    return [
        Paragraph(
            "Both steps were really taken, from the same weights with the same optimizer, and C "
            f"computed after each, on the same samples. Before, C = {n(before, 8)}."
        ),
        Grid(
            (
                "update" if mistake.of_update else "gradient",
                "its length",
                "cosine with the right one",
                "C after",
                "change",
            ),
            rows,
        ),
        Paragraph(_verdict(mistake, trace.cost_after)),
    ]


def _verdict(mistake: Wrong, right_after: float) -> str:
    assert mistake.cost_after is not None
    cosine, ratio = mistake.cosine, mistake.length_ratio
    if cosine is None or ratio is None:
        return "One of the two is 0, or not finite: there is no angle between them."
    if cosine > 1 - 1e-6:
        step = mistake.step_ratio
        text = "The direction is the same, only the length is not. " + (
            f"It is as if η were {number(ratio, 3)} times as large: a training may go well with "
            "it, or diverge, and the figures of a book come out only with another η."
            if step is None or abs(step / ratio - 1) < 0.01
            else f"But the optimizer makes a step of it that is {number(step, 3)} times as long."
        )
    elif cosine > 0.99:
        text = (
            "The two point nearly the same way. That is what makes this mistake hard to find: the "
            "network still learns. Only a comparison with a derivative, digit by digit, shows it: "
            "nncli inspect-grad does it."
        )
    elif cosine > 0:
        text = (
            "The wrong direction is still downhill, but no longer the steepest one, and what it "
            "misses grows with every layer that the error passes."
        )
    else:
        text = "The wrong gradient points away from the right one: its step goes uphill."
    if mistake.cost_after < right_after:
        text += (
            " That C is lower after the wrong step proves nothing: the right gradient says which "
            "way is steepest from here, not which step of some length ends lowest."
        )
    return text
