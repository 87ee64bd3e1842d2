"""What must hold between the parts of a spec.

These checks look at plain data that may be wrong in other ways, so that all mistakes of a file can
be told at once. They pass over what the models complain about.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nncli.core.text import join_words
from nncli.nn.activations import ACTIVATIONS, DEFAULT, ELEMENTWISE, MIXING, PARAMETERS
from nncli.nn.costs import COSTS, activations_of
from nncli.spec.layers import LAYERS, LayerSpec, WeightedLayerSpec
from nncli.spec.nodes import Problem
from nncli.spec.training import OPTIMIZERS


def mistakes(data: dict[str, Any]) -> Iterator[Problem]:
    network = data.get("network")
    if not isinstance(network, list) or not network:
        return
    layers = [layer if isinstance(layer, dict) else {} for layer in network]
    yield from _order(layers)
    yield from _last(layers)
    yield from _mixing_inside(layers)
    yield from _activation_keys(layers)
    train = data.get("train")
    train = train if isinstance(train, dict) else {}
    yield from _cost(layers, train)
    yield from _optimizer(train)


def _kind(layer: dict[str, Any]) -> type[LayerSpec]:
    """The model of a layer; one that asks for nothing where its type is unknown."""
    kind = layer.get("type")
    return LAYERS.get(kind, LayerSpec) if isinstance(kind, str) else LayerSpec


def _a_layer(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} layer"


def _order(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    """Layers that need an image come before any that makes a vector."""
    kinds = [_kind(layer) for layer in layers]
    flat = next((i for i, kind in enumerate(kinds) if kind.makes_vector), len(kinds))
    for i in range(flat + 1, len(kinds)):
        if kinds[i].needs_image:
            first = f"the {layers[flat]['type']} layer network[{flat}]"
            message = f"{_a_layer(layers[i]['type'])} cannot follow {first}"
            yield Problem(("network", i), f"{message}; put it before")


def _last(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    kind = layers[-1].get("type")
    if isinstance(kind, str) and kind in LAYERS and not LAYERS[kind].is_output:
        message = f"the network ends in {_a_layer(kind)}; add a dense layer with a unit for each"
        path = ("network", len(layers) - 1)
        yield Problem(path, f"{message} output, such as {{type: dense, units: 10}}")


def _mixing_inside(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    for i, layer in enumerate(layers[:-1]):
        activation = layer.get("activation")
        if isinstance(activation, str) and activation in MIXING:
            message = f"{activation} belongs in the last layer; use {join_words(ELEMENTWISE)} here"
            yield Problem(("network", i, "activation"), message)


def _activation_keys(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    """A parameter of an activation that the layer does not have would go without effect."""
    for i, layer in enumerate(layers):
        activation = layer.get("activation", DEFAULT)
        if not issubclass(_kind(layer), WeightedLayerSpec):
            continue
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            continue
        own = [p.key for p in ACTIVATIONS[activation].parameters]
        for key in PARAMETERS.keys() & layer.keys() - set(own):
            owners = [r.name for r in ACTIVATIONS.values() if key in {p.key for p in r.parameters}]
            cure = f"its key is {join_words(own)}" if own else "leave it out"
            message = f"'{key}' belongs to {join_words(owners)}, and the activation is {activation}"
            yield Problem(("network", i, key), f"{message}; {cure}", at_key=True)


def _optimizer(train: dict[str, Any]) -> Iterator[Problem]:
    """Keys of the training that its optimizer does not know, or that need another key."""
    chosen = train.get("optimizer", "sgd")
    kind = chosen.get("type") if isinstance(chosen, dict) else chosen
    if kind != "sgd":
        for key in ("momentum", "nesterov"):
            if key in train and isinstance(kind, str) and kind in OPTIMIZERS:
                message = f"'{key}' belongs to sgd, and the optimizer is {kind}; leave it out"
                yield Problem(("train", key), message, at_key=True)
    elif train.get("nesterov") is True and not train.get("momentum"):
        message = "nesterov needs momentum; set train.momentum too, 0.9 say"
        yield Problem(("train", "nesterov"), message)


def _cost(layers: Sequence[dict[str, Any]], train: dict[str, Any]) -> Iterator[Problem]:
    last = layers[-1]
    if not _kind(last).is_output:
        return
    costs = dict.fromkeys(row.name for row in COSTS)
    cost, activation = train.get("cost", COSTS[0].name), last.get("activation", DEFAULT)
    if not isinstance(cost, str) or cost not in costs:
        return
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        return
    if activation in activations_of(cost):
        return
    if activation in MIXING:
        right = join_words(name for name in costs if activation in activations_of(name))
        message = f"{activation} goes with cost {right}, and cost is {cost}"
        path = ("network", len(layers) - 1, "activation")
        yield Problem(path, f"{message}; set train.cost to {right}, or use {DEFAULT} here")
    else:
        wanted = join_words(activations_of(cost))
        message = f"{cost} needs {wanted} in the last layer, not {activation}"
        yield Problem(("train", "cost"), f"{message}; change network[{len(layers) - 1}].activation")
