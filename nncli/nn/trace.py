"""The record of one step, in the layouts of the project's border: the sample axis first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.step import LayerStep, Step


@dataclass(frozen=True)
class LayerTrace:
    """One layer in one step. Arrays are samples x units or samples x channels x rows x columns;

    weights are inputs x units or filters x channels x rows x columns. None: the layer has no such
    term (σ' of a softmax, the bias of a layer without one, everything learned of a pool layer).
    """

    name: str
    type: str
    activation: str | None
    input: Array
    z: Array | None
    a: Array
    upstream: Array
    sigma_prime: Array | None
    delta: Array | None
    downstream: Array
    weight: Array | None
    weight_gradient: Array | None
    weight_update: Array | None
    weight_new: Array | None
    bias: Array | None
    bias_gradient: Array | None
    bias_update: Array | None
    bias_new: Array | None


@dataclass(frozen=True)
class Trace:
    """One SGD step: C before it at `eta`, on `samples` (indices), and all that it computed."""

    eta: float
    samples: tuple[int, ...]
    cost_name: str
    cost_before: float
    inputs: Array
    targets: Array
    layers: tuple[LayerTrace, ...]


def take_trace(
    step: Step, *, eta: float, cost: float, before: Array, samples: Sequence[int]
) -> Trace:
    """Copies the workspace of a step that `Step.run(eta, full=True)` has just filled.

    Args:
        cost: what the run returned.
        before: the network's flat parameters as they were before it.
        samples: which samples of the data the mini-batch held.
    """
    old = step.network.views(before)
    return Trace(
        eta=eta,
        samples=tuple(int(sample) for sample in samples),
        cost_name=step.network.cost.name,
        cost_before=cost,
        inputs=step.inputs.copy(),
        targets=step.targets.copy(),
        layers=tuple(_layer_trace(layer, old[layer.name]) for layer in step.layers),
    )


def _layer_trace(layer: LayerStep, old: dict[str, Array]) -> LayerTrace:
    def first(array: Array) -> Array:
        """A copy with the samples' axis in front."""
        return np.array(np.moveaxis(array, -1, 0), order="C")

    def maybe(array: Array | None) -> Array | None:
        return None if array is None else first(array)

    def copy(arrays: dict[str, Array], key: str) -> Array | None:
        return arrays[key].copy() if key in arrays else None

    return LayerTrace(
        name=layer.name,
        type=layer.placed.layer.type,
        activation=layer.placed.activation,
        input=first(layer.input),
        z=maybe(layer.z),
        a=first(layer.a),
        upstream=first(layer.upstream),
        sigma_prime=maybe(layer.sigma_prime),
        delta=maybe(layer.delta),
        downstream=first(layer.downstream),
        weight=copy(old, "weight"),
        weight_gradient=copy(layer.gradients, "weight"),
        weight_update=copy(layer.updates, "weight"),
        weight_new=copy(layer.parameters, "weight"),
        bias=copy(old, "bias"),
        bias_gradient=copy(layer.gradients, "bias"),
        bias_update=copy(layer.updates, "bias"),
        bias_new=copy(layer.parameters, "bias"),
    )
