"""Backpropagation in plain loops over floats: slow, and plain to see.

Written from the conventions alone (section 1 of the interface) as the twin that the engine is held
against. It shares no code with nncli; it only reads the hyperparameters of the layers it is given.
A vector is a list of floats, an image a list of channels, each a list of rows. Samples come first.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

SIGMA: dict[str, Any] = {  # σ and σ', side by side, of an activation's parameters and z
    "sigmoid": (
        lambda z: 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z)),
        lambda z: math.exp(-abs(z)) / (1 + math.exp(-abs(z))) ** 2,
    ),
    "tanh": (math.tanh, lambda z: 1 / math.cosh(z) ** 2),
    "relu": (lambda z: z if z > 0 else 0.0, lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (
        lambda slope, z: z if z > 0 else slope * z,
        lambda slope, z: 1.0 if z > 0 else slope,
    ),
    "elu": (
        lambda alpha, z: z if z > 0 else alpha * math.expm1(z),
        lambda alpha, z: 1.0 if z > 0 else alpha * math.exp(z),
    ),
    "softplus": (
        lambda z: max(z, 0.0) + math.log1p(math.exp(-abs(z))),
        lambda z: 1 / (1 + math.exp(-z)),
    ),
    "gelu": (
        lambda z: z * math.erfc(-z / math.sqrt(2)) / 2,
        lambda z: (
            math.erfc(-z / math.sqrt(2)) / 2 + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        ),
    ),
    "identity": (lambda z: z, lambda z: 1.0),
}


def each(function: Any, first: Any, *rest: Any) -> Any:
    """`function` of every number in nested lists of one form."""
    if isinstance(first, list):
        return [each(function, *items) for items in zip(first, *rest, strict=True)]
    return function(first, *rest)


def mean(values: Any) -> Any:
    """The mean of several nested lists of one form."""
    return each(lambda *numbers: sum(numbers) / len(values), *values)


def zeros(like: Any) -> Any:
    return each(lambda _: 0.0, like)


# --- One layer, one sample: z from its input, and back ------------------------------------------


def dense_forward(layer: Any, parameters: Any, x: Any) -> Any:
    z = []
    for j in range(layer.units):
        z.append(parameters["bias"][j] if "bias" in parameters else 0.0)
        for i in range(len(x)):
            z[j] += x[i] * parameters["weight"][i][j]
    return z


def dense_backward(layer: Any, parameters: Any, x: Any, delta: Any) -> Any:
    """∂C_x/∂input, ∂C_x/∂W and ∂C_x/∂b."""
    weight = parameters["weight"]
    downstream, weight_gradient = zeros(x), zeros(weight)
    for i in range(len(x)):
        for j in range(len(delta)):
            downstream[i] += weight[i][j] * delta[j]
            weight_gradient[i][j] = x[i] * delta[j]
    return downstream, weight_gradient, delta


def padding_of(layer: Any, size: Any = None) -> Any:
    """(before, after) for rows and for columns."""
    padding = getattr(layer, "padding", "valid")
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        kernel = layer.kernel if hasattr(layer, "kernel") else layer.size
        dilation = getattr(layer, "dilation", (1, 1))
        totals = [dilation[k] * (kernel[k] - 1) for k in range(2)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if padding == "same_upper":
        return tuple(tensorflow_same(layer, k, size[k]) for k in range(2))
    if isinstance(padding, int):
        padding = (padding, padding)
    if isinstance(padding[0], tuple):
        return padding
    return (padding[0], padding[0]), (padding[1], padding[1])


def tensorflow_same(layer: Any, k: int, size: int) -> tuple[int, int]:
    """As TensorFlow's documentation of SAME has it."""
    reach = layer.dilation[k] * (layer.kernel[k] - 1) + 1
    if size % layer.stride[k] == 0:
        total = max(reach - layer.stride[k], 0)
    else:
        total = max(reach - size % layer.stride[k], 0)
    return total // 2, total - total // 2


def starts(
    size: Any, kernel: Any, stride: Any, dilation: Any, before: Any, after: Any
) -> Iterator[Any]:
    """Where a window fits along one axis, counted from the first cell that is not padding."""
    start = -before
    while start + dilation * (kernel - 1) + 1 <= size + after:
        yield start
        start += stride


def repeated(cell: Any, size: Any, mode: Any) -> Any:
    """The cell of the image that a cell of padding repeats; itself where that is zeros."""
    while mode == "reflect" and not 0 <= cell < size:
        cell = -cell if cell < 0 else 2 * (size - 1) - cell
    if mode == "replicate":
        return 0 if cell < 0 else size - 1 if cell >= size else cell
    return cell % size if mode == "circular" else cell


def window_grid(layer: Any, image: Any) -> Any:
    """For each output row and column, its window: (i, j, row, column) of each tap on the image.

    Taps that fall on the padding are left out: they would multiply a zero.
    """
    sizes = len(image[0]), len(image[0][0])
    if layer.type == "global_avgpool":
        return [[[(i, j, i, j) for i in range(sizes[0]) for j in range(sizes[1])]]]
    kernel = layer.kernel if hasattr(layer, "kernel") else layer.size
    stride = layer.stride or kernel
    dilation = getattr(layer, "dilation", (1, 1))
    padding, mode = padding_of(layer, sizes), getattr(layer, "padding_mode", "zeros")
    row_starts, column_starts = (
        list(starts(sizes[k], kernel[k], stride[k], dilation[k], *padding[k])) for k in range(2)
    )
    if getattr(layer, "ceil_mode", False):
        for k, found in enumerate((row_starts, column_starts)):
            following = found[-1] + stride[k] if found else -padding[k][0]
            reach = dilation[k] * (kernel[k] - 1) + 1
            left_over = found[-1] + reach < sizes[k] + padding[k][1] if found else True
            if left_over and following < sizes[k]:
                found.append(following)

    def window(first_row: Any, first_column: Any) -> Any:
        taps = []
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                row, column = first_row + i * dilation[0], first_column + j * dilation[1]
                row, column = repeated(row, sizes[0], mode), repeated(column, sizes[1], mode)
                if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
                    taps.append((i, j, row, column))
        return taps

    return [[window(row, column) for column in column_starts] for row in row_starts]


def seen_by(layer: Any, f: Any, x: Any) -> Any:
    """Which channels filter f sees, in the order of its weights."""
    channels, filters = len(x) // layer.groups, layer.filters // layer.groups
    return [k for k in range(len(x)) if k // channels == f // filters]


def conv_forward(layer: Any, parameters: Any, x: Any) -> Any:
    z: list[Any] = []
    for f in range(layer.filters):
        bias = parameters["bias"][f] if "bias" in parameters else 0.0
        z.append([])
        for window_row in window_grid(layer, x):
            z[f].append([])
            for window in window_row:
                number = bias
                for own, k in enumerate(seen_by(layer, f, x)):
                    for i, j, row, column in window:
                        number += parameters["weight"][f][own][i][j] * x[k][row][column]
                z[f][-1].append(number)
    return z


def conv_backward(layer: Any, parameters: Any, x: Any, delta: Any) -> Any:
    weight = parameters["weight"]
    downstream, weight_gradient, bias_gradient = zeros(x), zeros(weight), [0.0] * layer.filters
    for f in range(layer.filters):
        for r, window_row in enumerate(window_grid(layer, x)):
            for c, window in enumerate(window_row):
                bias_gradient[f] += delta[f][r][c]
                for own, k in enumerate(seen_by(layer, f, x)):
                    for i, j, row, column in window:
                        downstream[k][row][column] += weight[f][own][i][j] * delta[f][r][c]
                        weight_gradient[f][own][i][j] += x[k][row][column] * delta[f][r][c]
    return downstream, weight_gradient, bias_gradient


def first_maximum(channel: Any, window: Any) -> Any:
    best = window[0]
    for tap in window[1:]:
        if channel[tap[2]][tap[3]] > channel[best[2]][best[3]]:
            best = tap
    return best[2], best[3]


def maxpool_forward(layer: Any, x: Any) -> Any:
    a: list[Any] = []
    for channel in x:
        a.append([])
        for window_row in window_grid(layer, x):
            a[-1].append([])
            for window in window_row:
                row, column = first_maximum(channel, window)
                a[-1][-1].append(channel[row][column])
    return a


def maxpool_backward(layer: Any, x: Any, upstream: Any) -> Any:
    downstream = zeros(x)
    for k, channel in enumerate(x):
        for r, window_row in enumerate(window_grid(layer, x)):
            for c, window in enumerate(window_row):
                row, column = first_maximum(channel, window)
                downstream[k][row][column] += upstream[k][r][c]
    return downstream


def counted(layer: Any, x: Any, r: int, c: int, window: Any) -> int:
    """How many cells the mean of a window is of: with padding, but not with what is beyond it."""
    if not getattr(layer, "count_include_pad", False):
        return len(window)
    count = 1
    for k, at in enumerate((r, c)):
        size = len(x[0]) if k == 0 else len(x[0][0])
        before, after = padding_of(layer, (len(x[0]), len(x[0][0])))[k]
        start = at * (layer.stride or layer.size)[k] - before
        count *= sum(start + i < size + after for i in range(layer.size[k]))
    return count


def avgpool_forward(layer: Any, x: Any) -> Any:
    a: list[Any] = []
    for channel in x:
        a.append([])
        for r, window_row in enumerate(window_grid(layer, x)):
            a[-1].append([])
            for c, window in enumerate(window_row):
                total = sum(channel[row][column] for _, _, row, column in window)
                a[-1][-1].append(total / counted(layer, x, r, c, window))
    return a


def avgpool_backward(layer: Any, x: Any, upstream: Any) -> Any:
    downstream = zeros(x)
    for k in range(len(x)):
        for r, window_row in enumerate(window_grid(layer, x)):
            for c, window in enumerate(window_row):
                for _, _, row, column in window:
                    count = counted(layer, x, r, c, window)
                    downstream[k][row][column] += upstream[k][r][c] / count
    return downstream


def flatten_forward(layer: Any, x: Any) -> Any:
    if not isinstance(x[0], list):
        return list(x)
    return [number for channel in x for row in channel for number in row]


def flatten_backward(layer: Any, x: Any, upstream: Any) -> Any:
    numbers = iter(upstream)
    return each(lambda _: next(numbers), x)


LEARNERS = {"dense": (dense_forward, dense_backward), "conv": (conv_forward, conv_backward)}
OTHERS = {
    "maxpool": (maxpool_forward, maxpool_backward),
    "avgpool": (avgpool_forward, avgpool_backward),
    "global_avgpool": (avgpool_forward, avgpool_backward),
    "flatten": (flatten_forward, flatten_backward),
}


# --- Layers of a mini-batch as a whole -----------------------------------------------------------


def dropout_forward(
    trace: Any, name: Any, layer: Any, parameters: Any, values: Any, uniform: Any
) -> Any:
    """`uniform`: a number from 0 to 1 for each of `values`; below the rate it is left out."""
    kept = 1 / (1 - layer.rate)
    mask = each(lambda number: 0.0 if number < layer.rate else kept, uniform)
    trace[f"{name}.mask"] = mask
    return each(lambda x, m: x * m, values, mask)


def dropout_backward(trace: Any, name: Any, layer: Any, parameters: Any, upstream: Any) -> Any:
    return each(lambda u, m: u * m, upstream, trace[f"{name}.mask"])


def units_of(values: Any) -> Any:
    """The numbers of each unit or channel, over samples and, of an image, rows and columns."""
    if not isinstance(values[0][0], list):
        return [[x[k] for x in values] for k in range(len(values[0]))]
    return [
        [number for x in values for row in x[k] for number in row] for k in range(len(values[0]))
    ]


def by_unit(function: Any, values: Any) -> Any:
    """`function(k, number)` of every number of unit or channel k."""
    return [[each(lambda v, k=k: function(k, v), part) for k, part in enumerate(x)] for x in values]


def batchnorm_forward(
    trace: Any, name: Any, layer: Any, parameters: Any, values: Any, uniform: Any
) -> Any:
    units = units_of(values)
    mean = [sum(numbers) / len(numbers) for numbers in units]
    variance = [
        sum((number - m) ** 2 for number in numbers) / len(numbers)
        for numbers, m in zip(units, mean, strict=True)
    ]
    deviation = [math.sqrt(v + layer.epsilon) for v in variance]
    normalised = by_unit(lambda k, x: (x - mean[k]) / deviation[k], values)
    trace |= {f"{name}.mean": mean, f"{name}.variance": variance, f"{name}.normalised": normalised}
    weight, bias = parameters["weight"], parameters["bias"]
    return by_unit(lambda k, x: weight[k] * x + bias[k], normalised)


def batchnorm_backward(trace: Any, name: Any, layer: Any, parameters: Any, upstream: Any) -> Any:
    """By the three ways that an input acts on the cost: itself, the mean and the variance.

    ∂x̂_i/∂x_i = 1/σ directly; ∂μ/∂x_i = 1/m and every x̂_j falls by it/σ; ∂s²/∂x_i = 2 (x_i − μ)/m
    and every x̂_j falls by x̂_j/(2 σ²) of it; σ = √(s² + ε).
    """
    normalised, n = trace[f"{name}.normalised"], len(upstream)
    pairs = [units_of(upstream), units_of(normalised)]
    trace[f"{name}.weight_gradient"] = [
        sum(u * x for u, x in zip(*two, strict=True)) / n for two in zip(*pairs, strict=True)
    ]
    trace[f"{name}.bias_gradient"] = [sum(numbers) / n for numbers in pairs[0]]
    gradient = by_unit(lambda k, u: u * parameters["weight"][k], upstream)
    trace[f"{name}.normalised_gradient"] = gradient
    counts = [len(numbers) for numbers in pairs[0]]
    deviation = [math.sqrt(v + layer.epsilon) for v in trace[f"{name}.variance"]]
    to_mean, to_variance = [], []  # ∂ΣC/∂μ and ∂ΣC/∂s²
    for g, x, s in zip(units_of(gradient), pairs[1], deviation, strict=True):
        to_mean.append(sum(-number / s for number in g))
        to_variance.append(sum(-a * b / (2 * s**2) for a, b in zip(g, x, strict=True)))
    direct = by_unit(lambda k, g: g / deviation[k], gradient)
    through_mean = [t / m for t, m in zip(to_mean, counts, strict=True)]
    through_variance = by_unit(
        lambda k, x: to_variance[k] * 2 * x * deviation[k] / counts[k], normalised
    )
    trace[f"{name}.direct"] = direct
    trace[f"{name}.through_mean"] = through_mean
    trace[f"{name}.through_variance"] = through_variance
    both = each(lambda d, v: d + v, direct, through_variance)
    return by_unit(lambda k, number: number + through_mean[k], both)


WHOLE = {
    "dropout": (dropout_forward, dropout_backward),
    "batchnorm": (batchnorm_forward, batchnorm_backward),
}


# --- Activations and costs, one sample -----------------------------------------------------------


def softmax(z: Any) -> Any:
    powers = [math.exp(number - max(z)) for number in z]
    return [power / sum(powers) for power in powers]


def softmax_delta(a: Any, upstream: Any) -> Any:
    """δ_j = Σ_k ∂C_x/∂a_k ∂a_k/∂z_j, where ∂a_k/∂z_j = a_k ([j = k] − a_j)."""
    return [
        sum(upstream[k] * a[k] * ((j == k) - a[j]) for k in range(len(a))) for j in range(len(a))
    ]


def cost_of(cost: Any, activation: Any, a: Any, y: Any) -> Any:
    """C_x."""
    pairs = list(zip(a, y, strict=True))
    if cost == "quadratic":
        return sum((a_j - y_j) ** 2 for a_j, y_j in pairs) / 2
    if activation == "softmax":
        return -sum(y_j * math.log(a_j) for a_j, y_j in pairs)
    assert (cost, activation) == ("cross_entropy", "sigmoid"), "the reference lacks this cost"
    return -sum(y_j * math.log(a_j) + (1 - y_j) * math.log(1 - a_j) for a_j, y_j in pairs)


def cost_slope(cost: Any, activation: Any, a: Any, y: Any) -> Any:
    """∂C_x/∂a."""
    pairs = list(zip(a, y, strict=True))
    if cost == "quadratic":
        return [a_j - y_j for a_j, y_j in pairs]
    if activation == "softmax":
        return [-y_j / a_j for a_j, y_j in pairs]
    return [(1 - y_j) / (1 - a_j) - y_j / a_j for a_j, y_j in pairs]


# --- The whole step ------------------------------------------------------------------------------


def named(layers: Any, x: Any) -> Any:
    """(name, layer) for each layer; a flatten layer is put where a dense layer follows an image."""
    placed: list[Any] = []
    counts: dict[str, int] = {}
    is_image = isinstance(x[0], list)

    def place(kind: Any, layer: Any) -> None:
        counts[kind] = counts.get(kind, 0) + 1
        placed.append((f"{kind}{counts[kind]}", kind, layer))

    for layer in layers:
        if layer.type == "dense" and is_image:
            place("flatten", None)
        place(layer.type, layer)
        is_image = is_image and layer.type not in ("dense", "flatten")
    return placed


def step(
    layers: Any,
    parameters: Any,
    inputs: Any,
    targets: Any,
    cost: Any,
    eta: Any,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    velocities: Any = None,
    draws: Any = None,
) -> Any:
    """One step of SGD, every quantity of it.

    Args:
        parameters: {"dense1": {"weight": ..., "bias": ...}, ...}.
        velocities: v of the step before under the names that this function returns them by; None
            before the first step.
        draws: {"dropout1": one number for each of its outputs, samples first, ...}.

    Returns:
        {"dense1.input": ..., "dense1.z": ..., ...} in the order in which they are computed; None
        for a term that the layer does not have.
    """
    trace: dict[str, Any] = {}
    placed = named(layers, inputs[0])
    forward(trace, placed, parameters, inputs, draws)
    last, _, output_layer = placed[-1]
    outputs, activation = trace[f"{last}.a"], output_layer.activation
    trace["cost"] = sum(
        cost_of(cost, activation, a, y) for a, y in zip(outputs, targets, strict=True)
    ) / len(inputs)
    upstream = [cost_slope(cost, activation, a, y) for a, y in zip(outputs, targets, strict=True)]
    backward(trace, placed, parameters, upstream)
    update(trace, placed, parameters, eta, momentum, weight_decay, velocities)
    return trace


def forward(trace: Any, placed: Any, parameters: Any, inputs: Any, draws: Any = None) -> None:
    values = inputs
    for name, kind, layer in placed:
        trace[f"{name}.input"] = values
        if kind in LEARNERS:
            z = [LEARNERS[kind][0](layer, parameters[name], x) for x in values]
            trace[f"{name}.z"] = z
            if layer.activation == "softmax":
                values = [softmax(row) for row in z]
                trace[f"{name}.sigma_prime"] = None
            else:
                rules, own = SIGMA[layer.activation], layer.activation_values
                sigma: Any = partial(rules[0], *own)
                sigma_prime: Any = partial(rules[1], *own)
                values = each(sigma, z)
                trace[f"{name}.sigma_prime"] = each(sigma_prime, z)
        else:
            trace[f"{name}.z"] = trace[f"{name}.sigma_prime"] = trace[f"{name}.delta"] = None
            if kind in WHOLE:
                own, drawn = parameters.get(name), (draws or {}).get(name)
                values = WHOLE[kind][0](trace, name, layer, own, values, drawn)
            else:
                values = [OTHERS[kind][0](layer, x) for x in values]
        trace[f"{name}.a"] = values


def backward(trace: Any, placed: Any, parameters: Any, upstream: Any) -> None:
    for name, kind, layer in reversed(placed):
        trace[f"{name}.upstream"] = upstream
        inputs = trace[f"{name}.input"]
        if kind in LEARNERS:
            if layer.activation == "softmax":
                outputs = trace[f"{name}.a"]
                delta = [softmax_delta(a, u) for a, u in zip(outputs, upstream, strict=True)]
            else:
                delta = each(lambda u, s: u * s, upstream, trace[f"{name}.sigma_prime"])
            trace[f"{name}.delta"] = delta
            parts = [
                LEARNERS[kind][1](layer, parameters[name], x, d)
                for x, d in zip(inputs, delta, strict=True)
            ]
            for k, key in enumerate(parameters[name], 1):
                trace[f"{name}.{key}_gradient"] = mean([part[k] for part in parts])
            upstream = [part[0] for part in parts]
        elif kind in WHOLE:
            upstream = WHOLE[kind][1](trace, name, layer, parameters.get(name), upstream)
        else:
            upstream = [OTHERS[kind][1](layer, x, u) for x, u in zip(inputs, upstream, strict=True)]
        trace[f"{name}.downstream"] = upstream


def update(
    trace: Any,
    placed: Any,
    parameters: Any,
    eta: Any,
    momentum: Any,
    weight_decay: Any,
    velocities: Any,
) -> None:
    """g = ∂C/∂W + weight_decay W; v = g at first, then momentum v + g; ΔW = −η v."""
    for name, _, _ in placed:
        for key, weight in parameters.get(name, {}).items():
            field = f"{name}.{key}"
            v = each(lambda g, w: g + weight_decay * w, trace[f"{field}_gradient"], weight)
            if momentum:
                if velocities is not None:
                    v = each(lambda v, g: momentum * v + g, velocities[f"{field}_velocity"], v)
                trace[f"{field}_velocity"] = v
            trace[f"{field}_update"] = each(lambda v: -eta * v, v)
            trace[f"{field}_new"] = each(lambda w, d: w + d, weight, trace[f"{field}_update"])
