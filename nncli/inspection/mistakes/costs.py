"""Mistakes in the cost, in its gradient, and in softmax."""

from collections.abc import Iterator

import numpy as np

from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.scene import Change, Mistake, Scene
from nncli.nn.arrays import Array


def _wrong_cost_gradient(s: Scene) -> Iterator[Change]:
    out = s.output.name
    error = f"{out}.upstream"

    def difference(v: Values) -> Array:
        return np.asarray(v[f"{out}.a"] - v["targets"])

    if not s.fused:
        way = "sign(a − y) is that of |a − y|"
        yield Change(way, "", {error: lambda v: np.sign(difference(v))})
        yield Change("a was taken for a − y", "", {error: lambda v: v[f"{out}.a"]})
        return
    delta = f"{out}.delta"

    by_a, slope = _of_logarithm(out), _own_slope(out)
    quadratic = {delta: lambda v: difference(v) * slope(v)}
    way = "(a − y) ⊙ σ′(z) is δ of the quadratic cost"
    yield Change(way, "", quadratic)
    yield Change(way, "∂C/∂a too", {**quadratic, error: difference})

    rules: dict[str, Rule] = {delta: lambda v: by_a(v) * slope(v)}
    if s.output.activation == "sigmoid":
        way = "(1 − y)/(1 − a) is left out of ∂C/∂a"
        yield Change(way, "∂C/∂a too", {**rules, error: by_a})
        yield Change(way, "", rules)
    yield Change("a was taken for a − y", "", {delta: lambda v: v[f"{out}.a"]})


def _of_logarithm(out: str) -> Rule:
    """∂C_x/∂a of −Σ y ln a."""

    def rule(v: Values) -> Array:
        a, y = v[f"{out}.a"], v["targets"]
        return np.where(y != 0, -y / np.where(a == 0, 1, a), 0)

    return rule


def _own_slope(out: str) -> Rule:
    """The derivative of each output by its own z, of sigmoid and of softmax."""
    return lambda v: np.asarray(v[f"{out}.a"] * (1 - v[f"{out}.a"]))


def _softmax_diagonal(s: Scene) -> Iterator[Change]:
    if s.output.activation != "softmax":
        return
    out = s.output.name
    by_a, slope = _of_logarithm(out), _own_slope(out)
    yield Change("", "", {f"{out}.delta": lambda v: by_a(v) * slope(v)})


def _missing_half(s: Scene) -> Iterator[Change]:
    if not s.fused:
        yield Change("", "", s.times(2, "cost"), 2)
        yield Change("and so in its gradient", "", s.times(2, "cost", s.error), 2)


def _missing_log(s: Scene) -> Iterator[Change]:
    if not s.fused:
        return
    out = s.output.name

    def plain(v: Values) -> Array:
        a, y = v[f"{out}.a"], v["targets"]
        terms: Array = y * a
        if s.output.activation == "sigmoid":
            terms += (1 - y) * (1 - a)
        return np.asarray(-terms.sum() / len(a))

    def first_plain(v: Values) -> Array:
        return np.asarray(-(v["targets"] * v[f"{out}.a"]).sum() / s.n)

    def first_only(v: Values) -> Array:
        a, y = v[f"{out}.a"], v["targets"]
        return np.asarray(-(y * np.log(np.where(y != 0, a, 1))).sum() / len(a))

    yield Change("", "", {"cost": plain})
    yield Change("with the other sign", "", {"cost": lambda v: -plain(v)})
    if s.output.activation == "sigmoid":
        yield Change("(1 − y) ln(1 − a) is left out", "", {"cost": first_only})
        yield Change("the logarithm and 1 − y with it", "", {"cost": first_plain})


def _softmax_axis(s: Scene) -> Iterator[Change]:
    if s.output.activation != "softmax":
        return
    z = f"{s.output.name}.z"

    def over_samples(v: Values) -> Array:
        powers = np.exp(v[z] - v[z].max(axis=0))
        return np.asarray(powers / powers.sum(axis=0))

    def over_all(v: Values) -> Array:
        powers = np.exp(v[z] - v[z].max())
        return np.asarray(powers / powers.sum())

    if s.n > 1:
        yield Change("over the samples", "", {f"{s.output.name}.a": over_samples})
        yield Change("over all of the mini-batch", "", {f"{s.output.name}.a": over_all})


COSTS = (
    Mistake(
        "wrong_cost_gradient",
        "δ of the outputs is that of another cost.",
        "quadratic: (a − y) ⊙ σ′(z); cross-entropy behind sigmoid or softmax: a − y",
        "the derivative of the cost",
        _wrong_cost_gradient,
    ),
    Mistake(
        "softmax_diagonal",
        "Of softmax the derivative of each output by its own z only was taken.",
        "δ_j = Σ_k ∂C_x/∂a_k ∂a_k/∂z_j, with ∂a_j/∂z_j = a_j (1 − a_j) and ∂a_k/∂z_j = −a_k a_j "
        "for the others; of −Σ_k y_k ln a_k that is a − y",
        "the derivative of softmax: each z moves all outputs, not only its own",
        _softmax_diagonal,
    ),
    Mistake(
        "missing_half",
        "½ is left out of the cost.",
        "C_x = ½ ‖a − y‖²",
        "the cost and its gradient together",
        _missing_half,
    ),
    Mistake(
        "missing_log",
        "The cost is no cross-entropy: a logarithm or a term is left out.",
        "−Σ_j y_j ln a_j behind softmax; with −(1 − y_j) ln(1 − a_j) too behind sigmoid",
        "the line of the cost",
        _missing_log,
    ),
    Mistake(
        "softmax_axis",
        "softmax is taken over the wrong axis.",
        "a_j = exp(z_j) / Σ_k exp(z_k): the sum is over the outputs of one sample",
        "the axis of the sum: the sum of each sample's a is 1",
        _softmax_axis,
    ),
)
