"""A step in plain loops with a mistake in it, for what finds such mistakes.

Each place where something can go wrong asks whether it is to: `step(..., mistake="sign:error")`.
The parts of it that are right are those of `backprop`; nothing is shared with nncli's replays.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from tests.reference import backprop
from tests.reference.backprop import LEARNERS, OTHERS, SIGMA, WHOLE, each, mean, zeros

PLANTED = (  # a word of nncli's table, and in which way
    "sign:error",
    "sign:update",
    "factor:error 2",
    "factor:error 4/m",
    "factor:gradients 1.5",
    "missing_sigma_prime_output",
    "missing_sigma_prime_hidden",
    "sigma_prime_of_a",
    "sigma_prime_twice",
    "updated_weights",
    "untransposed",
    "pseudo_inverse",
    "sum_for_mean",
    "mean_for_sum:samples",
    "mean_for_sum:outputs",
    "bias_not_summed:last",
    "bias_not_summed:sum",
    "transposed",
    "z_for_a:gradient",
    "z_for_a:forward",
    "other_activation:both",
    "other_activation:slope",
    "wrong_cost_gradient",
    "softmax_diagonal",
    "missing_half",
    "missing_log",
    "softmax_axis",
    "filter_turned:back",
    "filter_turned:gradient",
    "stride_ignored",
    "padding_lost",
    "pool_gradient_spread:all",
    "pool_gradient_spread:last",
    "momentum:sign",
    "momentum:eta",
    "weight_decay:no bias",
    "weight_decay:twice",
    "nesterov",
    "adam_correction:none",
    "adam_correction:epoch",
    "adam_epsilon",
    "weight_decay:spared",
    "class_weights:error",
    "class_weights:all",
    "class_weights:normalised",
    "clipping:none",
    "clipping:each",
    "clipping:value",
    "l1:none",
    "l1:square",
    "dropout_mask:back",
    "dropout_mask:scale",
    "batchnorm_terms:constants",
    "batchnorm_terms:variance",
    "batchnorm_terms:scale",
)
OTHER_SIGMA = {  # what stands for an activation by mistake
    "sigmoid": SIGMA["tanh"],
    "tanh": SIGMA["sigmoid"],
    "relu": tuple(partial(function, 0.2) for function in SIGMA["leaky_relu"]),
}


def step(
    layers: Any,
    parameters: Any,
    inputs: Any,
    targets: Any,
    cost: Any,
    eta: float,
    mistake: str = "",
    optimizer: Any = None,
    state: Any = None,
    epoch: int = 1,
    weights: Any = None,
    draws: Any = None,
) -> dict[str, Any]:
    """One step, every quantity of it, with a mistake of PLANTED.

    Args:
        optimizer: settings as nncli's `chain_of` takes them.
        state: `dense1.weight_velocity` and the like as they were before the step, and `t`.
        epoch: what is taken for the number of the step by one of the mistakes.
        weights: of each sample, by its class; None: 1.
        draws: of dropout layers, as for `backprop.step`.
    """
    trace: dict[str, Any] = {}
    placed = backprop.named(layers, inputs[0])
    _forward(trace, placed, parameters, inputs, mistake, draws)
    last, _, output = placed[-1]
    a, n = trace[f"{last}.a"], len(inputs)
    w = weights or [1.0] * n
    of_cost = [1.0] * n if mistake == "class_weights:all" else w
    trace["cost"] = _cost(cost, output.activation, a, targets, mistake, of_cost)
    if mistake in ("class_weights:error", "class_weights:all"):
        w = [1.0] * n
    if mistake == "class_weights:normalised":
        w = [n / sum(w) * number for number in w]
    upstream = [
        [c * slope for slope in backprop.cost_slope(cost, output.activation, row, y)]
        for c, row, y in zip(w, a, targets, strict=True)
    ]
    factor = _error_factor(mistake, n, len(a[0]))
    fused = cost == "cross_entropy"
    chain, left = optimizer or {}, list[str]()  # whose update is left for later
    clip = chain.get("clip")
    for k, (name, kind, layer) in reversed(list(enumerate(placed))):
        if k == len(placed) - 1 and not fused:
            upstream = each(lambda u: factor * u, upstream)
        trace[f"{name}.upstream"] = upstream
        x = trace[f"{name}.input"]
        if kind not in LEARNERS:
            if kind in WHOLE:
                upstream = WHOLE[kind][1](trace, name, layer, parameters.get(name), upstream)
                upstream = _mistaken_whole(trace, name, parameters.get(name), upstream, mistake)
                if kind == "batchnorm":
                    left.append(name)
            elif kind == "maxpool":
                upstream = [
                    _maxpool_back(layer, i, u, mistake) for i, u in zip(x, upstream, strict=True)
                ]
            elif kind == "avgpool" and mistake == "pool_gradient_spread:all":
                upstream = [_to_all(layer, i, u) for i, u in zip(x, upstream, strict=True)]
            else:
                upstream = [OTHERS[kind][1](layer, i, u) for i, u in zip(x, upstream, strict=True)]
            trace[f"{name}.downstream"] = upstream
            continue
        is_last = k == len(placed) - 1
        if is_last and fused:
            delta = [
                [factor * c * (p - y) for p, y in zip(row, ys, strict=True)]
                for c, row, ys in zip(w, trace[f"{name}.a"], targets, strict=True)
            ]
            if mistake == "wrong_cost_gradient":
                delta = each(lambda d, p: d * p * (1 - p), delta, trace[f"{name}.a"])
            if mistake == "softmax_diagonal":
                pairs = zip(trace[f"{name}.a"], targets, strict=True)
                delta = [
                    [-y / p * p * (1 - p) for p, y in zip(*pair, strict=True)] for pair in pairs
                ]
            if mistake == "missing_sigma_prime_output":
                delta = upstream
        else:
            delta = _delta(trace, name, upstream, mistake, is_last=is_last)
        trace[f"{name}.delta"] = delta
        below = trace[f"{placed[k - 1][0]}.z"] if k and placed[k - 1][1] in LEARNERS else None
        for_gradient = below if mistake == "z_for_a:gradient" and below is not None else x
        parts = [
            _learner_back(layer, kind, parameters[name], i, d, mistake)
            for i, d in zip(for_gradient, delta, strict=True)
        ]
        _gradients(trace, name, parameters[name], parts, delta, mistake)
        if clip is None:
            _update(trace, name, parameters[name], eta, chain, state or {}, mistake, epoch)
        else:
            left.append(name)
        weights = parameters[name]
        if mistake == "updated_weights":
            weights = {key: trace[f"{name}.{key}_new"] for key in parameters[name]}
        if mistake == "z_for_a:gradient":  # which is a mistake of the gradient alone
            parts = [
                _learner_back(layer, kind, weights, i, d, mistake)
                for i, d in zip(x, delta, strict=True)
            ]
        elif mistake == "updated_weights":
            parts = [
                _learner_back(layer, kind, weights, i, d, "") for i, d in zip(x, delta, strict=True)
            ]
        upstream = [part[0] for part in parts]
        trace[f"{name}.downstream"] = upstream
    if clip is not None:
        _clip(trace, parameters, clip["norm"], mistake)
    for name in left:
        _update(trace, name, parameters[name], eta, chain, state or {}, mistake, epoch)
    return trace


def _clip(trace: Any, parameters: Any, most: float, mistake: str) -> None:
    names = [f"{layer}.{key}" for layer, own in parameters.items() for key in own]
    flat = {p: np.ravel(trace[f"{p}_gradient"]).tolist() for p in names}
    whole = math.sqrt(sum(g * g for numbers in flat.values() for g in numbers))
    for p in names:
        own = math.sqrt(sum(g * g for g in flat[p]))
        norm = own if mistake == "clipping:each" else whole
        factor = 1.0 if mistake == "clipping:none" else min(1.0, most / (norm + 1e-6))
        gradient = trace[f"{p}_gradient"]
        if mistake == "clipping:value":
            clipped = each(lambda g: max(-most, min(most, g)), gradient)
        else:
            clipped = each(lambda g, c=factor: c * g, gradient)
        trace[f"{p}_clipped"] = clipped


def _mistaken_whole(trace: Any, name: str, own: Any, right: Any, mistake: str) -> Any:
    """∂C_x/∂input of a dropout or batchnorm layer, with a mistake in it."""
    upstream = trace[f"{name}.upstream"]
    if f"{name}.mask" in trace:
        if mistake == "dropout_mask:back":
            return upstream
        if mistake == "dropout_mask:scale":
            return each(lambda u, m: u if m else 0.0, upstream, trace[f"{name}.mask"])
        return right
    direct, through = trace[f"{name}.direct"], trace[f"{name}.through_mean"]
    if mistake == "batchnorm_terms:constants":
        return direct
    if mistake == "batchnorm_terms:variance":
        return backprop.by_unit(lambda k, number: number + through[k], direct)
    if mistake == "batchnorm_terms:scale":  # all three terms have γ as a factor
        return backprop.by_unit(lambda k, number: number / own["weight"][k], right)
    return right


def _forward(
    trace: Any, placed: Any, parameters: Any, inputs: Any, mistake: str, draws: Any
) -> None:
    values = inputs
    for k, (name, kind, layer) in enumerate(placed):
        trace[f"{name}.input"] = values
        if kind in WHOLE:
            own, drawn = parameters.get(name), (draws or {}).get(name)
            values = WHOLE[kind][0](trace, name, layer, own, values, drawn)
        elif kind not in LEARNERS:
            values = [OTHERS[kind][0](layer, x) for x in values]
        else:
            z = [LEARNERS[kind][0](layer, parameters[name], x) for x in values]
            trace[f"{name}.z"] = z
            if layer.activation == "softmax":
                columns = list(zip(*z, strict=True))
                over_samples = [backprop.softmax(column) for column in columns]
                turned = [list(row) for row in zip(*over_samples, strict=True)]
                wrong = mistake == "softmax_axis"
                values = turned if wrong else [backprop.softmax(row) for row in z]
            else:
                sigma, sigma_prime = SIGMA[layer.activation]
                values = each(sigma, z)
                slope_of = values if mistake == "sigma_prime_of_a" else z
                trace[f"{name}.sigma_prime"] = each(sigma_prime, slope_of)
                is_first = layer.activation == next(
                    x.activation for _, t, x in placed if t in LEARNERS
                )
                if mistake.startswith("other_activation") and is_first and k < len(placed) - 1:
                    other, other_prime = OTHER_SIGMA[layer.activation]
                    trace[f"{name}.sigma_prime"] = each(other_prime, z)
                    values = each(other, z) if mistake.endswith("both") else values
                if mistake == "z_for_a:forward" and k < len(placed) - 1:
                    values = z
        trace[f"{name}.a"] = values


def _cost(cost: Any, activation: Any, a: Any, targets: Any, mistake: str, weights: Any) -> Any:
    pairs = list(zip(a, targets, strict=True))
    if mistake == "missing_log":
        return -sum(y * p for row, ys in pairs for p, y in zip(row, ys, strict=True)) / len(a)
    costs = [backprop.cost_of(cost, activation, row, y) for row, y in pairs]
    total = sum(w * c for w, c in zip(weights, costs, strict=True)) / len(a)
    return 2 * total if mistake == "missing_half" else total


def _error_factor(mistake: str, n: int, outputs: int) -> float:
    return {
        "sign:error": -1.0,
        "factor:error 2": 2.0,
        "missing_half": 2.0,
        "factor:error 4/m": 4 / n,
        "mean_for_sum:samples": 1 / n,
        "mean_for_sum:outputs": 1 / outputs,
    }.get(mistake, 1.0)


def _delta(trace: Any, name: str, upstream: Any, mistake: str, *, is_last: bool) -> Any:
    left_out = "missing_sigma_prime_output" if is_last else "missing_sigma_prime_hidden"
    if mistake == left_out:
        return upstream
    delta = each(lambda u, s: u * s, upstream, trace[f"{name}.sigma_prime"])
    if mistake == "sigma_prime_twice":
        delta = each(lambda d, s: d * s, delta, trace[f"{name}.sigma_prime"])
    return delta


def _learner_back(layer: Any, kind: str, parameters: Any, x: Any, delta: Any, mistake: str) -> Any:
    right = LEARNERS[kind][1](layer, parameters, x, delta)
    if kind == "dense":
        return (_dense_back(parameters["weight"], delta, right[0], mistake), *right[1:])
    downstream, gradient, bias = right
    if mistake == "filter_turned:back":
        turned = [
            [[row[::-1] for row in w[::-1]] for w in channels] for channels in parameters["weight"]
        ]
        downstream = LEARNERS[kind][1](layer, {**parameters, "weight": turned}, x, delta)[0]
    if mistake == "filter_turned:gradient":
        gradient = [[[row[::-1] for row in w[::-1]] for w in channels] for channels in gradient]
    if mistake == "stride_ignored":
        downstream = _without_gaps(layer, parameters["weight"], x, delta)
    if mistake == "padding_lost":
        downstream = _cut_at_one_end(layer, parameters["weight"], x, delta)
    return downstream, gradient, bias


def _dense_back(weight: Any, delta: Any, right: Any, mistake: str) -> Any:
    if mistake == "untransposed" and len(delta) == len(right):
        return [sum(weight[j][i] * delta[j] for j in range(len(delta))) for i in range(len(right))]
    if mistake == "pseudo_inverse":
        # The shortest x with W'x = δ: least squares, where nncli multiplies by an inverse.
        return np.linalg.lstsq(np.transpose(weight), np.array(delta), rcond=None)[0].tolist()
    return right


def _without_gaps(layer: Any, weight: Any, x: Any, delta: Any) -> Any:
    """δ put where its outputs would lie at stride 1."""
    padded, before = _room(layer, x)
    for f, image in enumerate(delta):
        for r, row in enumerate(image):
            for c, number in enumerate(row):
                _add(padded, weight[f], number, r, c, layer.dilation)
    return _cut(padded, x, before)


def _cut_at_one_end(layer: Any, weight: Any, x: Any, delta: Any) -> Any:
    padded, _ = _room(layer, x)
    for f, image in enumerate(delta):
        for r, row in enumerate(image):
            for c, number in enumerate(row):
                r0, c0 = r * layer.stride[0], c * layer.stride[1]
                _add(padded, weight[f], number, r0, c0, layer.dilation)
    return _cut(padded, x, (0, 0))


def _room(layer: Any, x: Any) -> Any:
    (above, under), (left, right) = backprop.padding_of(layer, (len(x[0]), len(x[0][0])))
    rows, columns = len(x[0]) + above + under, len(x[0][0]) + left + right
    return [[[0.0] * columns for _ in range(rows)] for _ in x], (above, left)


def _add(padded: Any, filter_: Any, number: float, r0: int, c0: int, dilation: Any) -> None:
    for k, channel in enumerate(filter_):
        for i, row in enumerate(channel):
            for j, w in enumerate(row):
                padded[k][r0 + i * dilation[0]][c0 + j * dilation[1]] += w * number


def _cut(padded: Any, x: Any, before: Any) -> Any:
    r, c = before
    return [[row[c : c + len(x[0][0])] for row in image[r : r + len(x[0])]] for image in padded]


def _maxpool_back(layer: Any, x: Any, upstream: Any, mistake: str) -> Any:
    if mistake == "pool_gradient_spread:all":
        return _to_all(layer, x, upstream)
    if mistake != "pool_gradient_spread:last":
        return OTHERS["maxpool"][1](layer, x, upstream)
    downstream = zeros(x)
    for k, channel in enumerate(x):
        for r, window_row in enumerate(backprop.window_grid(layer, x)):
            for c, window in enumerate(window_row):
                best = window[0]
                for tap in window[1:]:
                    if channel[tap[2]][tap[3]] >= channel[best[2]][best[3]]:
                        best = tap
                downstream[k][best[2]][best[3]] += upstream[k][r][c]
    return downstream


def _to_all(layer: Any, x: Any, upstream: Any) -> Any:
    downstream = zeros(x)
    for k in range(len(x)):
        for r, window_row in enumerate(backprop.window_grid(layer, x)):
            for c, window in enumerate(window_row):
                for _, _, row, column in window:
                    downstream[k][row][column] += upstream[k][r][c]
    return downstream


def _gradients(trace: Any, name: str, own: Any, parts: Any, delta: Any, mistake: str) -> None:
    n = len(parts)
    for k, key in enumerate(own, 1):
        gradient = mean([part[k] for part in parts])
        factor = {"sum_for_mean": n, "factor:gradients 1.5": 1.5}.get(mistake, 1)
        if key == "bias" and mistake == "bias_not_summed:sum":
            factor = n
        if key == "bias" and mistake == "bias_not_summed:last":
            gradient = parts[-1][k]
        if key == "weight" and mistake == "transposed" and len(gradient) == len(gradient[0]):
            gradient = [list(column) for column in zip(*gradient, strict=True)]
        trace[f"{name}.{key}_gradient"] = each(lambda g, f=factor: f * g, gradient)


def _update(
    trace: Any,
    name: str,
    own: Any,
    eta: float,
    optimizer: Any,
    state: Any,
    mistake: str,
    epoch: int,
) -> None:
    decay, mu = optimizer.get("weight_decay", 0.0), optimizer.get("momentum", 0.0)
    for key, weight in own.items():
        stem = f"{name}.{key}"
        rate = decay
        if mistake == "weight_decay:twice":
            rate = 2 * decay
        if mistake == "weight_decay:no bias" and key == "bias":
            rate = 0.0
        l1 = 0.0 if mistake == "l1:none" else optimizer.get("l1", 0.0)
        if key == "bias" and not optimizer.get("decay_biases", True):
            rate, l1 = rate if mistake == "weight_decay:spared" else 0.0, 0.0
        gradient = trace[f"{stem}_clipped"] if "clip" in optimizer else trace[f"{stem}_gradient"]
        g = each(lambda g, w, r=rate: g + r * w, gradient, weight)
        if l1:
            square = mistake == "l1:square"
            slope = each(lambda w, s=square: w if s else (w > 0) - (w < 0), weight)
            g = each(lambda g, d, c=l1: g + c * d, g, slope)
        if mu:
            sign = -1 if mistake == "momentum:sign" else 1
            scale = eta if mistake == "momentum:eta" else 1
            old = state[f"{stem}_velocity"]
            v = each(lambda v, g, c=scale, s=sign: s * mu * v + c * g, old, g)
            trace[f"{stem}_velocity"] = v
            if optimizer.get("nesterov") and mistake != "nesterov":
                v = each(lambda g, v: g + mu * v, g, v)
            g = v
        if optimizer.get("kind") == "adam":
            g = _adam(trace, stem, g, state, mistake, epoch)
        sign = 1 if mistake == "sign:update" else -1
        trace[f"{stem}_update"] = each(lambda d, s=sign: s * eta * d, g)
        trace[f"{stem}_new"] = each(lambda w, d: w + d, weight, trace[f"{stem}_update"])


def _adam(trace: Any, stem: str, g: Any, state: Any, mistake: str, epoch: int) -> Any:
    b1, b2, epsilon = 0.9, 0.999, 1e-8
    m = each(lambda m, g: b1 * m + (1 - b1) * g, state[f"{stem}_first_moment"], g)
    v = each(lambda v, g: b2 * v + (1 - b2) * g * g, state[f"{stem}_second_moment"], g)
    trace[f"{stem}_first_moment"], trace[f"{stem}_second_moment"] = m, v
    t = epoch if mistake == "adam_correction:epoch" else state["t"]
    c1, c2 = (1, 1) if mistake == "adam_correction:none" else (1 - b1**t, 1 - b2**t)
    if mistake == "adam_epsilon":
        return each(lambda m, v: m / c1 / math.sqrt(v / c2 + epsilon), m, v)
    return each(lambda m, v: m / c1 / (math.sqrt(v / c2) + epsilon), m, v)
