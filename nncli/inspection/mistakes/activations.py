"""Mistakes in the activation: another function than the spec's, or its derivative."""

from collections.abc import Iterator

import numpy as np

from nncli.inspection.mistakes import formulas as f
from nncli.inspection.mistakes.graph import Rule
from nncli.inspection.mistakes.scene import Change, Mistake, Scene
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.layers.weighted import WeightedLayer
from nncli.nn.trace import LayerTrace

SLOPES = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3)  # of leaky_relu, in books and programs


def _others(layer: LayerTrace) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """What may stand for the layer's activation: in words, its name and its parameters."""
    kind = layer.placed.layer
    assert isinstance(kind, WeightedLayer)
    for name, row in ACTIVATIONS.items():
        if not row.elementwise:
            continue
        choices = [row.defaults]
        if name == "leaky_relu":
            choices = [(slope,) for slope in SLOPES]
        for values in choices:
            if (name, values) != (kind.activation, tuple(kind.activation_values)):
                named = "".join(f" of {key} {value:g}" for key, value in row.named(values).items())
                yield f"{name}{named}", name, values


def _by(z: str, name: str, values: tuple[float, ...], which: int) -> Rule:
    return lambda v: f.activate(name, v[z], values)[which]


def _other_activation(s: Scene) -> Iterator[Change]:
    for layer in s.learners:
        if layer.sigma_prime is None or (s.fused and layer is s.output):
            continue
        z, a, prime = (f"{layer.name}.{key}" for key in ("z", "a", "sigma_prime"))
        for words, name, values in _others(layer):
            slope = {prime: _by(z, name, values, 1)}
            forward = {a: _by(z, name, values, 0)}
            if name != "identity" and np.array_equal(slope[prime](s.right), s.right[z] * 0 + 1):
                continue  # on these samples it is the identity
            yield Change(f"it is {words}, forward and back", layer.name, forward | slope)
            if name != "identity":  # σ′ = 1 is another mistake: it is left out
                yield Change(f"its derivative is that of {words}", layer.name, slope)
                yield Change(f"it is {words} on the way forward alone", layer.name, forward)


ACTIVATION_MISTAKES = (
    Mistake(
        "other_activation",
        "The activation of a layer is not the one that the spec has.",
        "a = σ(z) and σ′(z) with the activation of the layer, and its slope where it has one",
        "the activation and its derivative, and whether the spec names the same one",
        _other_activation,
    ),
)
