"""Mistakes in what only a training has: class weights, dropout masks, a mini-batch's statistics."""

from collections.abc import Callable, Iterator

import numpy as np

from nncli.inspection.mistakes import formulas as f
from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.scene import Change, Mistake, Scene
from nncli.nn.arrays import Array
from nncli.nn.layers import BatchNorm


def _class_weights(s: Scene) -> Iterator[Change]:
    given = s.trace.sample_weights
    if given is None:
        return
    weights, out = np.asarray(given, np.float64), s.output.name

    def upstream(v: Values) -> Array:
        return f.cost_upstream(s.trace.cost, v[f"{out}.z"], v[f"{out}.a"], v["targets"])

    def cost(v: Values) -> Array:
        return f.cost_mean(s.trace.cost, v[f"{out}.z"], v[f"{out}.a"], v["targets"])

    def twice(v: Values) -> Array:
        return weights[:, None] * s.rules[s.error](v)

    def delta(v: Values) -> Array:
        return np.asarray(v[f"{out}.a"] - v["targets"])

    # Of cross-entropy δ does not come from ∂C_x/∂a, which may have been computed besides.
    errors = [{f"{out}.upstream": upstream}]
    if s.fused:
        errors = [{f"{out}.delta": delta}, {f"{out}.delta": delta, f"{out}.upstream": upstream}]
    for error in errors:
        yield Change("they are left out of the error, not of C", "", error)
        yield Change("they are left out of C and of the error", "", {**error, "cost": cost})
    yield Change("they are left out of C, not of the error", "", {"cost": cost})
    yield Change("they are multiplied in twice", "", {s.error: twice})
    ratio = s.n / float(weights.sum()) if weights.any() else 1.0
    if ratio != 1:
        way = "the sum is divided by that of the weights, as nn.CrossEntropyLoss(weight=…) does"
        for error in errors:
            times = s.times(ratio, *error)
            yield Change(way, "", times, ratio)
            yield Change(f"{way}, C too", "", {**times, **s.times(ratio, "cost")}, ratio)


def _dropout(s: Scene) -> Iterator[Change]:
    def product(name: str, of: str, made: Callable[[Array], Array]) -> Rule:
        return lambda v: np.asarray(v[f"{name}.{of}"] * made(v[f"{name}.mask"]))

    def kept(mask: Array) -> Array:
        return np.asarray(mask != 0, mask.dtype)

    for layer in s.trace.layers:
        if layer.type != "dropout":
            continue
        name = layer.name
        for made, what in (
            (np.ones_like, "the mask is left out"),
            (kept, "what is kept is not divided by 1 − p"),
        ):
            forward = {f"{name}.a": product(name, "input", made)}
            back = {f"{name}.downstream": product(name, "upstream", made)}
            yield Change(f"{what} on the way back", name, back)
            yield Change(f"{what} on the way forward", name, forward)
            yield Change(f"{what}, both ways", name, forward | back)


def _batchnorm(s: Scene) -> Iterator[Change]:
    for layer in s.trace.layers:
        kind, name = layer.placed.layer, layer.name
        if not isinstance(kind, BatchNorm):
            continue
        for way, terms in (
            ("μ and s² were taken as constants on the way back", (0, 0, 1)),
            ("s² was taken as a constant on the way back", (1, 0, 1)),
            ("μ was taken as a constant on the way back", (0, 1, 1)),
            ("γ is left out on the way back", (1, 1, 0)),
        ):
            yield Change(way, name, {f"{name}.downstream": _back(name, kind.epsilon, *terms)})
        gradient = {f"{name}.weight_gradient": _of_input(name)}
        yield Change("x stands for x̂ in ∂C/∂γ", name, gradient)
        count = layer.input.size // layer.input.shape[1]
        if count > 1:
            unbiased = {f"{name}.a": _unbiased(name, kind.epsilon, count)}
            yield Change("s² is divided by one less than the numbers there are", name, unbiased)


def _back(name: str, epsilon: float, mean: int, variance: int, scale: int) -> Rule:
    """∂C_x/∂input with some of its terms, each 1 or 0 times."""

    def rule(v: Values) -> Array:
        x, g = v[f"{name}.input"], v[f"{name}.upstream"]
        normalised, root = f.normalise(x, epsilon)
        g = g * f.by_unit(v[f"{name}.weight"], x) if scale else g
        through_mean = mean * f.by_unit(f.mean_over(g), x)
        through_variance = variance * normalised * f.by_unit(f.mean_over(g * normalised), x)
        return np.asarray((g - through_mean - through_variance) / root)

    return rule


def _of_input(name: str) -> Rule:
    return lambda v: f.bias_gradient(v[f"{name}.upstream"] * v[f"{name}.input"])


def _unbiased(name: str, epsilon: float, count: int) -> Rule:
    def rule(v: Values) -> Array:
        x = v[f"{name}.input"]
        centred = x - f.by_unit(f.mean_over(x), x)
        variance = f.mean_over(centred**2) * count / (count - 1)
        normalised = centred / f.by_unit(np.sqrt(variance + epsilon), x)
        weight, bias = (f.by_unit(v[f"{name}.{key}"], x) for key in ("weight", "bias"))
        return np.asarray(weight * normalised + bias)

    return rule


BATCHES = (
    Mistake(
        "class_weights",
        "The weights of the classes are taken otherwise.",
        "C = 1/n Σ_x w_x C_x and δ = w_x (a − y), of a quadratic cost ∂C_x/∂a = w_x (a − y)",
        "where each sample's error and cost are multiplied by the weight of its class",
        _class_weights,
    ),
    Mistake(
        "dropout_mask",
        "A dropout layer's mask is left out, or what it keeps is not scaled.",
        "a = m ⊙ input and ∂C/∂input = m ⊙ ∂C/∂a, with m = 0 or 1/(1 − p)",
        "whether the mask of the way forward is kept for the way back",
        _dropout,
    ),
    Mistake(
        "batchnorm_terms",
        "A batch normalisation is computed otherwise.",
        "∂C/∂input = (g − mean(g) − x̂ mean(g ⊙ x̂)) / √(s² + ε), g = γ ∂C/∂a; ∂C/∂γ = Σ x̂ ∂C/∂a",
        "the three ways in which x acts on a: itself, μ and s²",
        _batchnorm,
    ),
)
