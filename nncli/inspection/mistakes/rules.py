"""The rules of one step: each quantity of a trace as a function of earlier ones, samples first."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from nncli.inspection.mistakes import formulas as f
from nncli.inspection.mistakes.graph import Rule, Values
from nncli.nn.arrays import Array
from nncli.nn.clipping import Clip
from nncli.nn.layers import BatchNorm, Conv, Layer, Pool
from nncli.nn.layers.weighted import WeightedLayer
from nncli.nn.links import GRADIENT, PARAMETERS, UPDATE, Link, before
from nncli.nn.step import QUANTITIES
from nncli.nn.trace import LayerTrace, Trace

KEYS = ("weight", "bias")


def start_of(trace: Trace) -> dict[str, Array]:
    """What a step starts from, by name: all that has no rule; in float64."""
    start: dict[str, Array] = {"inputs": trace.inputs, "targets": trace.targets}
    for layer in trace.layers:
        for key in KEYS:
            if (array := getattr(layer, key)) is not None:
                start[f"{layer.name}.{key}"] = array
        if "mask" in layer.recorded:
            start[f"{layer.name}.mask"] = layer.recorded["mask"]
        for key, arrays in layer.optimizer.items():
            for link in trace.links:
                for state in link.state:
                    start[f"{layer.name}.{key}_{before(state)}"] = arrays[before(state)]
    return {name: np.asarray(array, np.float64) for name, array in start.items()}


def record_of(trace: Trace) -> dict[str, Array]:
    """What the trace has recorded for each rule, by its name."""
    found: dict[str, Array] = {"cost": np.asarray(trace.cost_before)}
    for layer in trace.layers:
        for key in QUANTITIES:
            if (array := getattr(layer, key)) is not None:
                found[f"{layer.name}.{key}"] = array
        for key, arrays in layer.optimizer.items():
            for key_of in ("gradient", "update", "new"):
                found[f"{layer.name}.{key}_{key_of}"] = getattr(layer, f"{key}_{key_of}")
            for link in trace.links:
                for name in (*link.state, *link.terms):
                    if name in arrays:
                        found[f"{layer.name}.{key}_{name}"] = arrays[name]
    return found


def rules_of(trace: Trace) -> dict[str, Rule]:
    """The rules of a step, in order of computation: forward, cost, backward, update."""
    rules: dict[str, Rule] = {}
    coming = "inputs"
    for layer in trace.layers:
        name = layer.name
        rules[f"{name}.input"] = _copy_of(coming)
        rules |= FORWARD[_kind(layer)](layer)
        coming = f"{name}.a"
    rules |= _cost_rules(trace)
    going = None
    for layer in reversed(trace.layers):
        if going is not None:
            rules[f"{layer.name}.upstream"] = _copy_of(going)
        rules |= BACKWARD[_kind(layer)](layer, trace)
        going = f"{layer.name}.downstream"
    for layer in trace.layers:
        for key in layer.optimizer:
            rules |= update_rules(trace, layer, key, trace.links)
    return rules


def _kind(layer: LayerTrace) -> str:
    return "weighted" if isinstance(layer.placed.layer, WeightedLayer) else layer.type


def _copy_of(name: str) -> Rule:
    return lambda v: v[name]


# --- Forward


def taps_of(layer: Layer, input_shape: tuple[int, ...]) -> f.Taps:
    assert isinstance(layer, Conv | Pool)
    if isinstance(layer, Conv):
        return f.Taps(layer.windows(input_shape), layer.groups, layer.padding_mode)
    return f.Taps(layer.windows(input_shape))


def share_of(layer: LayerTrace) -> Array:
    """Of a pool: 1 by how many cells of each window count, rows x columns."""
    assert isinstance(layer.placed.layer, Pool)
    return np.asarray(1 / np.outer(*layer.placed.layer.counts(layer.placed.input_shape)))


def z_of(layer: LayerTrace, x: Array, weight: Array, bias: Array | None) -> Array:
    if layer.type == "dense":
        return f.dense_z(x, weight, bias)
    return f.conv_z(taps_of(layer.placed.layer, layer.placed.input_shape), x, weight, bias)


def sigma(layer: LayerTrace, z: Array) -> tuple[Array, Array]:
    """σ and σ′ of the layer's activation, of any z."""
    kind = layer.placed.layer
    assert isinstance(kind, WeightedLayer)
    return f.activate(kind.activation, z, kind.activation_values)


def _weighted_forward(layer: LayerTrace) -> dict[str, Rule]:
    name = layer.name

    def z(v: Values) -> Array:
        bias = v[f"{name}.bias"] if layer.bias is not None else None
        return z_of(layer, v[f"{name}.input"], v[f"{name}.weight"], bias)

    def sigma_prime(v: Values) -> Array:
        by_a = f.SLOPE_BY_A.get(str(layer.activation))
        if by_a and f"{name}.a" in v.given and f"{name}.z" not in v.given:
            return np.asarray(by_a(v[f"{name}.a"]))  # the user's own
        return sigma(layer, v[f"{name}.z"])[1]

    rules: dict[str, Rule] = {
        f"{name}.z": z,
        f"{name}.a": lambda v: sigma(layer, v[f"{name}.z"])[0],
    }
    return rules if layer.sigma_prime is None else {**rules, f"{name}.sigma_prime": sigma_prime}


def _of_input(layer: LayerTrace, function: Callable[[Array], Array]) -> dict[str, Rule]:
    return {f"{layer.name}.a": lambda v: function(v[f"{layer.name}.input"])}


def _pool_forward(layer: LayerTrace) -> dict[str, Rule]:
    kind, taps = layer.placed.layer, taps_of(layer.placed.layer, layer.placed.input_shape)
    if isinstance(kind, Pool) and kind.is_mean:
        return _of_input(layer, partial(f.avgpool_a, taps, share=share_of(layer)))
    return _of_input(layer, partial(f.maxpool_a, taps))


def _batchnorm_forward(layer: LayerTrace) -> dict[str, Rule]:
    name, kind = layer.name, layer.placed.layer
    assert isinstance(kind, BatchNorm)

    def a(v: Values) -> Array:
        x = f.normalise(v[f"{name}.input"], kind.epsilon)[0]
        return f.by_unit(v[f"{name}.weight"], x) * x + f.by_unit(v[f"{name}.bias"], x)

    return {f"{name}.a": a}


FORWARD: dict[str, Callable[[LayerTrace], dict[str, Rule]]] = {
    "weighted": _weighted_forward,
    "maxpool": _pool_forward,
    "avgpool": _pool_forward,
    "global_avgpool": _pool_forward,
    "flatten": lambda layer: _of_input(layer, lambda x: x.reshape(len(x), -1)),
    "dropout": lambda layer: {
        f"{layer.name}.a": lambda v: v[f"{layer.name}.input"] * v[f"{layer.name}.mask"]
    },
    "batchnorm": _batchnorm_forward,
}


# --- Cost and backward


def _cost_rules(trace: Trace) -> dict[str, Rule]:
    last = trace.layers[-1].name

    def arrays(v: Values) -> tuple[Array, Array, Array]:
        return v[f"{last}.z"], v[f"{last}.a"], v["targets"]

    return {
        "cost": lambda v: f.cost_mean(trace.cost, *arrays(v), trace.sample_weights),
        f"{last}.upstream": lambda v: weighted(trace, f.cost_upstream(trace.cost, *arrays(v))),
    }


def weight_gradient_of(layer: LayerTrace, x: Array, delta: Array) -> Array:
    if layer.type == "dense":
        return f.dense_weight_gradient(x, delta)
    taps = taps_of(layer.placed.layer, layer.placed.input_shape)
    return f.conv_weight_gradient(taps, x, delta)


def downstream_of(layer: LayerTrace, shape: tuple[int, ...], weight: Array, delta: Array) -> Array:
    if layer.type == "dense":
        return f.dense_downstream(weight, delta)
    taps = taps_of(layer.placed.layer, layer.placed.input_shape)
    return f.conv_downstream(taps, shape, weight, delta)


def _weighted_backward(layer: LayerTrace, trace: Trace) -> dict[str, Rule]:
    name = layer.name

    def delta(v: Values) -> Array:
        if layer is trace.layers[-1] and trace.cost.error_is_delta:
            return weighted(trace, v[f"{name}.a"] - v["targets"])
        return v[f"{name}.upstream"] * v[f"{name}.sigma_prime"]

    def weight_gradient(v: Values) -> Array:
        return weight_gradient_of(layer, v[f"{name}.input"], v[f"{name}.delta"])

    def downstream(v: Values) -> Array:
        shape = v[f"{name}.input"].shape
        return downstream_of(layer, shape, v[f"{name}.weight"], v[f"{name}.delta"])

    rules: dict[str, Rule] = {f"{name}.delta": delta, f"{name}.weight_gradient": weight_gradient}
    if layer.bias is not None:
        rules[f"{name}.bias_gradient"] = lambda v: f.bias_gradient(v[f"{name}.delta"])
    return {**rules, f"{name}.downstream": downstream}


def weighted(trace: Trace, error: Array) -> Array:
    """What is of each sample, times the weight of its class."""
    weights = trace.sample_weights
    return error if weights is None else weights[:, None] * error


def to_input(layer: LayerTrace, function: Callable[[Array, Array], Array]) -> dict[str, Rule]:
    """The rule of ∂C_x/∂input as a function of the input and of ∂C_x/∂a."""
    name = layer.name
    return {f"{name}.downstream": lambda v: function(v[f"{name}.input"], v[f"{name}.upstream"])}


def _pool_backward(layer: LayerTrace, trace: Trace) -> dict[str, Rule]:
    kind = layer.placed.layer
    assert isinstance(kind, Pool)
    taps = taps_of(kind, layer.placed.input_shape)
    if kind.is_mean:
        return to_input(layer, partial(f.spread_downstream, taps, share=share_of(layer)))
    return to_input(layer, partial(f.maxpool_downstream, taps))


def _batchnorm_backward(layer: LayerTrace, trace: Trace) -> dict[str, Rule]:
    name, kind = layer.name, layer.placed.layer
    assert isinstance(kind, BatchNorm)

    def weight_gradient(v: Values) -> Array:
        normalised = f.normalise(v[f"{name}.input"], kind.epsilon)[0]
        return f.bias_gradient(v[f"{name}.upstream"] * normalised)

    def downstream(v: Values) -> Array:
        x, weight, upstream = (v[f"{name}.{key}"] for key in ("input", "weight", "upstream"))
        return f.batchnorm_downstream(x, weight, kind.epsilon, upstream)

    return {
        f"{name}.weight_gradient": weight_gradient,
        f"{name}.bias_gradient": lambda v: f.bias_gradient(v[f"{name}.upstream"]),
        f"{name}.downstream": downstream,
    }


BACKWARD: dict[str, Callable[[LayerTrace, Trace], dict[str, Rule]]] = {
    "weighted": _weighted_backward,
    "maxpool": _pool_backward,
    "avgpool": _pool_backward,
    "global_avgpool": _pool_backward,
    "flatten": lambda layer, _: to_input(layer, lambda x, u: u.reshape(x.shape)),
    "dropout": lambda layer, _: {
        f"{layer.name}.downstream": lambda v: v[f"{layer.name}.upstream"] * v[f"{layer.name}.mask"]
    },
    "batchnorm": _batchnorm_backward,
}


# --- Update


def _clipping(trace: Trace, link: Clip, v: Values, incoming: str) -> dict[str, Array]:
    """The numbers that a clip settles from all gradients, which may be others than the trace's."""
    names = [f"{layer.name}.{key}" for layer in trace.layers for key in layer.optimizer]
    measured = link.measure(
        incoming, [{incoming: v[f"{name}_{incoming}"].ravel()} for name in names]
    )
    settled = {name: np.zeros(()) for name in link.scalars}
    link.settle([measured], settled, counts=False)
    return settled


def update_rules(
    trace: Trace,
    layer: LayerTrace,
    key: str,
    links: tuple[Link, ...],
    scalars: Mapping[str, Array] | None = None,
) -> dict[str, Rule]:
    """The rules of ΔW and of what an optimizer of these links keeps, for a `weight` or `bias`.

    Args:
        scalars: the numbers that the links use; None: those of the trace.
    """
    stem, rules = f"{layer.name}.{key}", dict[str, Rule]()
    numbers = trace.scalars if scalars is None else scalars
    incoming = GRADIENT
    for link in links:
        for name in (*link.state, *link.terms):

            def rule(
                v: Values, link: Link = link, incoming: str = incoming, name: str = name
            ) -> Array:
                values = {PARAMETERS: v[stem], **numbers}
                if isinstance(link, Clip):
                    values |= _clipping(trace, link, v, incoming)
                values |= {before(s): v[f"{stem}_{before(s)}"] for s in link.state}
                with np.errstate(all="ignore"):
                    own = link.on(stem)
                    return np.asarray(own.formula(v[f"{stem}_{incoming}"], values)[name])

            rules[f"{stem}_{name}"] = rule
        incoming = link.outgoing
    assert incoming == UPDATE
    rules[f"{stem}_new"] = lambda v: v[stem] + v[f"{stem}_{UPDATE}"]
    return rules
