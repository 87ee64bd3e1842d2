"""The networks of the engine's tests as networks to be exported."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nncli.exchange.foreign_network import ForeignNetwork
from nncli.exchange.trained import Affine, Trained
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.layers import LAYERS
from nncli.nn.network import Network, cost_row, place_layers, zero_network
from nncli.nn.step import Step
from tests.nn.cases import ALL_CASES, LAYER_CASES, LENET, Case, settle


def trained(
    case: Case,
    dtype: Any = np.float32,
    scaling: str = "none",
    classes: tuple[str, ...] | None = None,
) -> Trained:
    """`case` with its numbers; what it takes is raw, and scales to what the case was settled on."""
    setting = settle(case)
    affine = AFFINE[scaling](case.input_shape)
    inputs = setting.inputs
    if affine is not None:
        inputs = inputs * affine.divisor + affine.offset
    network = setting.network(dtype)
    rng = np.random.default_rng(1)
    for array in network.state.values():  # as if it had been trained
        array[...] = rng.uniform(0.5, 2, array.shape) if array.ndim else 12
    return Trained(str(case), network, affine, classes, inputs.astype(dtype), setting.targets)


AFFINE: dict[str, Callable[[Any], Affine | None]] = {
    "none": lambda shape: None,
    "number": lambda shape: Affine(np.zeros(()), np.array(16.0)),
    "standard": lambda shape: Affine(
        np.full(shape, 0.3), np.linspace(0.5, 2, np.prod(shape)).reshape(shape)
    ),
    # Raw numbers of which float32 keeps two digits behind the point.
    "far": lambda shape: Affine(np.full(shape, 1e5), np.full(shape, 7.0)),
}


def difference(outputs: Any, expected: Any) -> float:
    """The largest difference, relative to the largest output where that is above 1."""
    assert outputs.shape == expected.shape
    return float(np.abs(outputs - expected).max() / max(1, np.abs(expected).max()))


def built(foreign: ForeignNetwork, dtype: Any = np.float32) -> Network:
    """The network, without a file."""
    layers = []
    for given in foreign.layers:
        keys = {key: value for key, value in given.items() if key not in ("type", "freeze")}
        if "activation" in keys:
            parameters = ACTIVATIONS[keys["activation"]].parameters
            values = tuple(keys.pop(p.key) for p in parameters if p.key in keys)
            keys["activation_parameters"] = values
        layers.append(LAYERS[given["type"]](**keys))
    placed = place_layers(layers, foreign.input_shape)
    cost = "cross_entropy" if foreign.activation == "softmax" else "quadratic"
    network = zero_network(placed, cost_row(cost, placed[-1]), np.dtype(dtype))
    for name, view in network.arrays().items():
        view[...] = foreign.arrays[name]
    return network


def forward(network: Network, inputs: Any) -> Any:
    """What it gives in evaluation mode."""
    step = Step(network, None, len(inputs), is_training=False)
    step.inputs[...] = inputs
    step.forward()
    return step.outputs.copy()


SCALINGS = list(AFFINE)
FEW = [LENET, *(cases[-1] for cases in LAYER_CASES.values())]
FEW += [case for case in ALL_CASES if case.name in ("batchnorm-behind_conv", "batchnorm-first")]
__all__ = ["ALL_CASES", "FEW", "LENET", "SCALINGS", "built", "difference", "forward", "trained"]
