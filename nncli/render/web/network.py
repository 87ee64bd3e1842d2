"""A network as plain data, for the scripts that say how its numbers are made or make them anew."""

from typing import Any

import numpy as np

from nncli.nn.gelu import powers
from nncli.nn.layers import Conv, Placed
from nncli.nn.layers.pool import Pool
from nncli.nn.trace import Trace
from nncli.nn.windows import Axis, Windows

# σ and σ′ as formulas, and the quantity that σ′ is written with.
WRITTEN = {
    "sigmoid": ("1 / (1 + exp(−z))", "a (1 − a)", "a"),
    "tanh": ("tanh(z)", "1 − a²", "a"),
    "relu": ("max(z, 0)", "1 where z > 0, else 0", "z"),
    "leaky_relu": ("z, or the slope times z where z ≤ 0", "1 where z > 0, else the slope", "z"),
    "elu": ("z, or α (exp(z) − 1) where z ≤ 0", "1 where z > 0, else α exp(z)", "z"),
    "softplus": ("ln(1 + exp(z))", "1 / (1 + exp(−z))", "z"),
    "gelu": ("z Φ(z)", "Φ(z) + z φ(z)", "z"),
    "identity": ("z", "1", "z"),
}
UNWRITTEN = ("σ(z)", "the slope of σ at z", "z")


def network_data(trace: Trace) -> dict[str, Any]:
    """Layers with their hyperparameters, shapes and windows, the cost and the optimizer."""
    return {
        "dtype": str(trace.inputs.dtype),
        "eta": trace.eta,
        "cost": {"name": trace.cost.name, "fused": trace.cost.error_is_delta},
        "layers": [_layer(layer.placed) for layer in trace.layers],
        "links": [{"name": link.name, **link.settings()} for link in trace.links],
        "scalars": {name: scalar.item() for name, scalar in trace.scalars.items()},
    }


def _layer(placed: Placed) -> dict[str, Any]:
    layer = placed.layer
    data: dict[str, Any] = {
        "name": placed.name,
        "type": layer.type,
        "activation": placed.activation,
        "settings": dict(layer.settings()) | _series(placed.activation),
        "input_shape": list(placed.input_shape),
        "output_shape": list(placed.output_shape),
        "written": WRITTEN.get(placed.activation or "", UNWRITTEN),
        "windows": None,
    }
    if layer.has_windows:
        windows = windows_of(placed)
        data["windows"] = {"rows": _axis(windows.rows), "columns": _axis(windows.columns)}
    return data


def windows_of(placed: Placed) -> Windows:
    """The windows of a layer that has them."""
    assert isinstance(placed.layer, Conv | Pool)
    return placed.layer.windows(placed.input_shape)


def _series(activation: str | None) -> dict[str, list[float]]:
    """The coefficients that an activation is computed with, beside what the spec says."""
    if activation != "gelu":
        return {}
    return {"series": [float(c) for c in powers(np.dtype(np.float64))]}


def _axis(axis: Axis) -> dict[str, int]:
    return {**axis._asdict(), "outputs": axis.outputs}
