"""A network as plain data, for the scripts that say how its numbers are made or make them anew."""

from typing import Any

import numpy as np

from nncli.nn.gelu import powers
from nncli.nn.layers import Placed
from nncli.nn.trace import Trace
from nncli.nn.windows import Axis


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
        "windows": None,
    }
    if layer.has_windows:
        windows = layer.windows(placed.input_shape)  # type: ignore[attr-defined]
        data["windows"] = {"rows": _axis(windows.rows), "columns": _axis(windows.columns)}
    return data


def _series(activation: str | None) -> dict[str, list[float]]:
    """The coefficients that an activation is computed with, beside what the spec says."""
    if activation != "gelu":
        return {}
    return {"series": [float(c) for c in powers(np.dtype(np.float64))]}


def _axis(axis: Axis) -> dict[str, int]:
    return {**axis._asdict(), "outputs": axis.outputs}
