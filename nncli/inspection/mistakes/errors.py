"""Mistakes in the error on its way back through dense layers, and in their gradients."""

from collections.abc import Iterator

import numpy as np

from nncli.inspection.mistakes import formulas as f
from nncli.inspection.mistakes.costs import COSTS
from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.rules import sigma, weight_gradient_of
from nncli.inspection.mistakes.scene import Change, Mistake, Scene, flat_like
from nncli.nn.arrays import Array
from nncli.nn.clipping import Clip
from nncli.nn.trace import LayerTrace


def _sign(s: Scene) -> Iterator[Change]:
    yield Change("y − a was taken for a − y", "", s.times(-1, s.error))
    for keys in (("weight", "bias"), ("weight",), ("bias",)):
        which = "" if len(keys) == 2 else f" of each {keys[0]}"
        uphill = s.times(-1, *s.updates(*keys))
        yield Change(f"the update{which} goes uphill", "", uphill)
        yield Change(f"the gradient{which} is negated", "", s.times(-1, *s.gradients(*keys)))
    for layer in s.hidden:
        yield Change("δ is negated", layer.name, s.times(-1, f"{layer.name}.delta"))
    for name in s.parameters:
        for key in ("gradient", "update"):
            yield Change(f"its {key} is negated", name, s.times(-1, f"{name}_{key}"))


def _factor(s: Scene) -> Iterator[Change]:
    """Factors that are common; a check finds any other by its ratio."""
    n, k = s.n, s.output.a.shape[1]
    common = {2.0, 4 / n, *({2 / k} - {1 / n, float(n)})} - {1.0}
    for c in sorted(common):
        of_error = " (of a cost without its ½, or of nn.MSELoss?)" if c in (2.0, 2 / k) else ""
        times = f"times {c:.6g}"
        yield Change(f"the error of the outputs is {times}{of_error}", "", s.times(c, s.error), c)
        gradients = s.times(c, *s.gradients("weight", "bias"))
        yield Change(f"each gradient is {times}", "", gradients, c)
        updates = s.times(c, *s.updates("weight", "bias"))
        yield Change(f"each update is {times}: another η?", "", updates, c)


def _upstream_for_delta(layer: LayerTrace) -> dict[str, Rule]:
    return {f"{layer.name}.delta": lambda v: v[f"{layer.name}.upstream"]}


def _missing_at_output(s: Scene) -> Iterator[Change]:
    way = "" if s.fused else "δ = a − y is the shortcut of cross-entropy, not of this cost"
    yield Change(way, s.output.name, _upstream_for_delta(s.output))


def _missing_in_hidden(s: Scene) -> Iterator[Change]:
    for layer in s.hidden:
        yield Change("", layer.name, _upstream_for_delta(layer))


def _has_slope(s: Scene) -> Iterator[LayerTrace]:
    """The layers whose δ has σ′ as a factor."""
    return (x for x in s.learners if x.sigma_prime is not None and not (s.fused and x is s.output))


def _sigma_prime_of_a(s: Scene) -> Iterator[Change]:
    def rule(layer: LayerTrace) -> Rule:
        return lambda v: sigma(layer, v[f"{layer.name}.a"])[1]

    for layer in s.learners:
        if layer.sigma_prime is not None:
            yield Change("", layer.name, {f"{layer.name}.sigma_prime": rule(layer)})


def _sigma_prime_twice(s: Scene) -> Iterator[Change]:
    def rule(layer: LayerTrace) -> Rule:
        return lambda v: v[f"{layer.name}.upstream"] * v[f"{layer.name}.sigma_prime"] ** 2

    for layer in _has_slope(s):
        yield Change("", layer.name, {f"{layer.name}.delta": rule(layer)})


def _dense(s: Scene) -> Iterator[LayerTrace]:
    return (layer for layer in s.learners if layer.type == "dense")


def _updated_weights(s: Scene) -> Iterator[Change]:
    def rule(layer: LayerTrace) -> Rule:
        right, old = s.rules[f"{layer.name}.downstream"], f"{layer.name}.weight"

        def downstream(v: Values) -> Array:
            read = Values({}, {**v.start, old: v[f"{old}_new"]}, v.given)
            for name in ("delta", "input"):
                read.given[f"{layer.name}.{name}"] = v[f"{layer.name}.{name}"]
            return right(read)

        return downstream

    if any(isinstance(link, Clip) for link in s.trace.links):
        return  # no weight is updated before all gradients are known
    # Of the first layer too: nothing uses its ∂C/∂input, but a check may be given it.
    for layer in s.learners:
        yield Change("", layer.name, {f"{layer.name}.downstream": rule(layer)})


def _untransposed(s: Scene) -> Iterator[Change]:
    def rule(name: str) -> Rule:
        return lambda v: v[f"{name}.delta"] @ v[f"{name}.weight"]

    for layer in _dense(s):
        rows, columns = s.start[f"{layer.name}.weight"].shape
        if rows == columns and rows > 1:
            yield Change("", layer.name, {f"{layer.name}.downstream": rule(layer.name)})


def _pseudo_inverse(s: Scene) -> Iterator[Change]:
    def rule(name: str) -> Rule:
        return lambda v: v[f"{name}.delta"] @ np.linalg.pinv(v[f"{name}.weight"])

    for layer in _dense(s):
        yield Change("", layer.name, {f"{layer.name}.downstream": rule(layer.name)})


def _sum_for_mean(s: Scene) -> Iterator[Change]:
    if s.n == 1:
        return
    both = s.times(s.n, *s.gradients("weight", "bias"))
    yield Change("the gradients are summed over the samples", "", both, s.n)
    weights = s.times(s.n, *s.gradients("weight"))
    yield Change("the gradients of the weights are summed over the samples", "", weights, s.n)
    yield Change("δ is times n", "", s.times(s.n, s.error), s.n)
    for name in s.parameters:
        if name.endswith(".weight"):
            times = s.times(s.n, f"{name}_gradient")
            yield Change("its gradient is summed over the samples", name, times, s.n)
    yield Change("the cost is summed over the samples", "", s.times(s.n, "cost"), s.n)
    all_of_it = {**both, **s.times(s.n, "cost")}
    yield Change("cost and gradients are summed over the samples", "", all_of_it, s.n)


def _mean_for_sum(s: Scene) -> Iterator[Change]:
    n, k = s.n, s.output.a.shape[1]
    if n > 1:
        yield Change("1/n is taken twice", "", s.times(1 / n, s.error), 1 / n)
        gradients = s.times(1 / n, *s.gradients("weight", "bias"))
        yield Change("1/n is taken twice", "gradients", gradients, 1 / n)
    if k > 1:
        way = "the mean over the outputs is taken"
        yield Change(way, "", s.times(1 / k, s.error), 1 / k)
        yield Change(f"{way} for the cost", "", s.times(1 / k, "cost"), 1 / k)
        of_both = s.times(1 / k, "cost", s.error)
        yield Change(f"{way} for cost and gradient", "", of_both, 1 / k)
    for layer in s.learners:
        positions = int(np.prod(layer.delta.shape[2:])) if layer.delta is not None else 1
        if positions > 1:
            name = f"{layer.name}.weight_gradient"
            bias = f"{layer.name}.bias_gradient"
            for names in ((name, bias), (name,)):
                way = "the mean over the positions of the filter is taken" + (
                    "" if len(names) == 2 else " for the weights"
                )
                yield Change(way, layer.name, s.times(1 / positions, *names), 1 / positions)


NOT_SUMMED = "there is one for each sample"


def _bias_sums(s: Scene, layer: LayerTrace) -> Iterator[tuple[str, Rule]]:
    name = f"{layer.name}.delta"
    n, kinds = s.n, range(2, s.record[name].ndim)

    def of_one(k: int, factor: float) -> Rule:
        return lambda v: factor * v[name][k].sum(axis=tuple(a - 1 for a in kinds))

    def of_all(average: bool) -> Rule:
        def rule(v: Values) -> Array:
            found = v[name].mean() if average else v[name].sum()
            return np.full(v[name].shape[1], found)

        return rule

    right = s.rules[f"{layer.name}.bias_gradient"]
    if n > 1:
        yield "δ is summed over the samples and not divided by n", lambda v: n * right(v)
        yield "δ is divided by n once too often", lambda v: right(v) / n
        if s.record[name].shape == (n, n):  # of others the shape tells
            yield "δ is summed over the units, not over the samples", lambda v: v[name].sum(axis=1)
            way = "the mean of δ is taken over the units, not over the samples"
            yield way, lambda v: v[name].mean(axis=1)
        if s.record[name].ndim == 2:
            yield f"δ is not summed: {NOT_SUMMED}", lambda v: v[name]
            yield f"δ is divided by n and not summed: {NOT_SUMMED}", lambda v: v[name] / n
        yield "δ of the first sample only", of_one(0, 1)
        yield "δ of the last sample only", of_one(-1, 1)
        yield "δ of the first sample only, divided by n", of_one(0, 1 / n)
        yield "δ of the last sample only, divided by n", of_one(-1, 1 / n)
    positions = int(np.prod(s.record[name].shape[2:]))
    if positions > 1:
        yield "δ is averaged over the positions", lambda v: right(v) / positions
    if s.record[name].shape[1] > 1:
        yield "δ of all units is summed into one number", of_all(False)
        yield "δ of all units is averaged into one number", of_all(True)


def _bias_not_summed(s: Scene) -> Iterator[Change]:
    for layer in s.learners:
        if layer.bias is not None:
            for way, rule in _bias_sums(s, layer):
                yield Change(way, layer.name, {f"{layer.name}.bias_gradient": rule})


def _transposed(s: Scene) -> Iterator[Change]:
    def rule(name: str) -> Rule:
        right = s.rules[name]
        return lambda v: right(v).T

    for layer in _dense(s):
        rows, columns = s.start[f"{layer.name}.weight"].shape
        if rows == columns and rows > 1:  # of others the shape tells
            name = f"{layer.name}.weight_gradient"
            yield Change("", layer.name, {name: rule(name)})


def _z_for_a(s: Scene) -> Iterator[Change]:
    def gradient(layer: LayerTrace, below: str) -> Rule:
        def rule(v: Values) -> Array:
            x = flat_like(v[f"{below}.z"], v[f"{layer.name}.input"])
            return weight_gradient_of(layer, x, v[f"{layer.name}.delta"])

        return rule

    def passed_on(layer: LayerTrace, below: str) -> Rule:
        return lambda v: flat_like(v[f"{below}.z"], s.rules[f"{layer.name}.input"](v))

    def of_z(name: str) -> Rule:
        return lambda v: v[f"{name}.z"]

    def slope(layer: LayerTrace) -> Rule:
        by_a = f.SLOPE_BY_A[str(layer.activation)]
        return lambda v: np.asarray(by_a(v[f"{layer.name}.z"]))

    for layer in s.learners[1:]:
        below = s.below(layer)
        if below is not None:
            rule = gradient(layer, below.name)
            yield Change("in ∂C/∂W", layer.name, {f"{layer.name}.weight_gradient": rule})
            rules = {f"{layer.name}.input": passed_on(layer, below.name)}
            yield Change("it is handed to the next layer", below.name, rules)
    for layer in s.hidden:
        rules = {f"{layer.name}.a": of_z(layer.name)}
        yield Change("σ is left out on the way forward", layer.name, rules)
    for layer in _has_slope(s):
        if layer.activation in ("sigmoid", "tanh"):
            rules = {f"{layer.name}.sigma_prime": slope(layer)}
            yield Change("in σ′ as a function of a", layer.name, rules)


DELTA = "δ = (∂C/∂a) ⊙ σ′(z)"
ERRORS = (
    Mistake(
        "sign",
        "A sign is turned around.",
        "the error is a − y (∂C_x/∂a of the quadratic cost, δ of cross-entropy behind sigmoid or "
        "softmax); W_new = W − η ∂C/∂W",
        "where the error of the outputs is computed, and the sign of the update",
        _sign,
    ),
    Mistake(
        "missing_sigma_prime_output",
        "σ′(z) is left out of δ of the outputs.",
        DELTA,
        "the line that makes δ of the last layer",
        _missing_at_output,
    ),
    Mistake(
        "missing_sigma_prime_hidden",
        "σ′(z) is left out of δ of a hidden layer.",
        "δ = (δ_next W_nextᵀ) ⊙ σ′(z)",
        "the line that makes δ of the hidden layers",
        _missing_in_hidden,
    ),
    Mistake(
        "sigma_prime_of_a",
        "σ′ is taken of a, where it belongs to z.",
        "σ′(z), which for a sigmoid is a (1 − a)",
        "what the derivative of σ is called with: z, or σ(z) already",
        _sigma_prime_of_a,
    ),
    Mistake(
        "sigma_prime_twice",
        "σ′(z) is multiplied in twice.",
        DELTA,
        "whether the error has been multiplied by σ′(z) before",
        _sigma_prime_twice,
    ),
    Mistake(
        "updated_weights",
        "The error went back through weights that were updated already.",
        "δ = (δ_next W_nextᵀ) ⊙ σ′(z) with W_next as it was on the way forward",
        "the order: all δ first, then the updates",
        _updated_weights,
    ),
    Mistake(
        "untransposed",
        "The error went back through W as on the way forward, not transposed.",
        "δ_i = σ′(z_i) Σ_j w_ij δ_j: z sums over the inputs i, this over the units j",
        "the product that takes δ to the layer below",
        _untransposed,
    ),
    Mistake(
        "pseudo_inverse",
        "The error went back through the (pseudo-)inverse of W, not the transposed W.",
        "δ_i = σ′(z_i) Σ_j w_ij δ_j",
        "the product that takes δ to the layer below: a transpose is not an inverse",
        _pseudo_inverse,
    ),
    Mistake(
        "sum_for_mean",
        "The sum over the samples stands where their mean belongs.",
        "∂C/∂W = 1/n Σ_x a δᵀ and C = 1/n Σ_x C_x",
        "where gradients are divided by n",
        _sum_for_mean,
    ),
    Mistake(
        "mean_for_sum",
        "A mean stands where a sum belongs, or 1/n is taken twice.",
        "∂C/∂W = 1/n Σ_x a δᵀ: n counts samples, and divides once",
        "where gradients are divided, and by what",
        _mean_for_sum,
    ),
    Mistake(
        "bias_not_summed",
        "The gradient of the biases is not the mean of δ over the samples.",
        "∂C/∂b = 1/n Σ_x δ",
        "the sum over the samples, each unit for itself",
        _bias_not_summed,
    ),
    Mistake(
        "transposed",
        "The gradient of the weights is transposed: each entry stands where that of w_ji belongs.",
        "∂C/∂w_ij = 1/n Σ_x a_i δ_j, with i and j in the order in which w_ij has them",
        "the order of a and δ in the product: ∂C/∂W has the rows and columns of W",
        _transposed,
    ),
    Mistake(
        "z_for_a",
        "z stands where a = σ(z) belongs.",
        "∂C/∂W = 1/n Σ_x a δᵀ with a of the layer below",
        "what the layer below has handed on",
        _z_for_a,
    ),
    *COSTS,
    Mistake(
        "factor",
        "A factor is wrong.",
        "½ ‖a − y‖² has the derivative a − y; ∂C/∂W = 1/n Σ_x a δᵀ; ΔW = −η ∂C/∂W",
        "constants: ½, 1/n, η",
        _factor,
    ),
)
