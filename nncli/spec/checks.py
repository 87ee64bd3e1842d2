"""What must hold between the parts of a spec.

These checks look at plain data that may be wrong in other ways, so that all mistakes of a file can
be told at once. They pass over what the models complain about.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nncli.spec.layers import LAYERS, LayerSpec
from nncli.spec.nodes import Problem


def mistakes(data: dict[str, Any]) -> Iterator[Problem]:
    network = data.get("network")
    if not isinstance(network, list) or not network:
        return
    layers = [layer if isinstance(layer, dict) else {} for layer in network]
    yield from _order(layers)
    yield from _last(layers)
    yield from _softmax_inside(layers)
    train = data.get("train")
    yield from _cost(layers, train if isinstance(train, dict) else {})


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


def _softmax_inside(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    for i, layer in enumerate(layers[:-1]):
        if layer.get("activation") == "softmax":
            message = "softmax belongs in the last layer; use sigmoid, tanh, relu or identity here"
            yield Problem(("network", i, "activation"), message)


def _cost(layers: Sequence[dict[str, Any]], train: dict[str, Any]) -> Iterator[Problem]:
    last = layers[-1]
    if not _kind(last).is_output:
        return
    cost = train.get("cost", "quadratic")
    activation = last.get("activation", "sigmoid")
    if cost == "quadratic" and activation == "softmax":
        message = "softmax goes with cost cross_entropy, and cost is quadratic"
        path = ("network", len(layers) - 1, "activation")
        yield Problem(path, f"{message}; set train.cost to cross_entropy, or use sigmoid here")
    if cost == "cross_entropy" and activation in ("tanh", "relu", "identity"):
        message = f"cross_entropy needs sigmoid or softmax in the last layer, not {activation}"
        yield Problem(("train", "cost"), f"{message}; change network[{len(layers) - 1}].activation")
