"""The record of one step, in the layouts of the project's border: the sample axis first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.costs import Cost
from nncli.nn.layers import LayerStep, Placed
from nncli.nn.network import Network, zero_network
from nncli.nn.optimizers import Sgd
from nncli.nn.step import Step


@dataclass(frozen=True)
class LayerTrace:
    """One layer in one step. Arrays are samples x units or samples x channels x rows x columns;

    weights are inputs x units or filters x channels x rows x columns. None: the layer has no such
    term (σ' of a softmax, the bias of a layer without one, everything learned of a pool layer).
    `weight_velocity` is momentum's v before the step; None without momentum. `recorded` holds what
    the kind's `quantities` name, samples first.
    """

    placed: Placed
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
    weight_velocity: Array | None = None
    bias_velocity: Array | None = None
    recorded: Mapping[str, Array] = field(default_factory=dict)

    def quantity(self, key: str) -> Array | None:
        """A quantity by its name: one that every kind may have, or one of the kind's own."""
        array: Array | None = self.recorded.get(key, getattr(self, key, None))
        return array

    @property
    def name(self) -> str:
        return self.placed.name

    @property
    def type(self) -> str:
        return self.placed.layer.type

    @property
    def activation(self) -> str | None:
        return self.placed.activation


@dataclass(frozen=True)
class Trace:
    """One SGD step, and all that it computed.

    Attributes:
        samples: which samples of the training data the mini-batch held, counted from 0.
        cost: the row of the cost; cost_before, cost_after: C on these samples.
        inputs, targets: samples first, as the network took them (scaled, one-hot).
        layers: in forward order.
    """

    name: str
    eta: float
    momentum: float
    weight_decay: float
    samples: tuple[int, ...]
    cost: Cost
    cost_before: float
    cost_after: float
    inputs: Array
    targets: Array
    layers: tuple[LayerTrace, ...]

    def draws(self) -> list[dict[str, Array]]:
        """What the layers recorded, samples last, as `Step.repeat_draw` takes it."""
        return [
            {
                q.key: np.moveaxis(layer.recorded[q.key], 0, -1)
                for q in layer.placed.layer.quantities
                if q.by_sample
            }
            for layer in self.layers
        ]

    def network(self) -> Network:
        """The network as it was before the step, made anew from the record."""
        placed = tuple(layer.placed for layer in self.layers)
        network = zero_network(placed, self.cost, self.inputs.dtype)
        views = network.views(network.parameters)
        for layer in self.layers:
            for key, view in views[layer.name].items():
                view[...] = layer.weight if key == "weight" else layer.bias
        return network


def take_trace(
    step: Step,
    *,
    eta: float,
    cost: float,
    before: Array,
    velocity: Array | None = None,
    samples: Sequence[int],
    name: str = "",
) -> Trace:
    """Copies the workspace of a step that `Step.run(eta, full=True)` has just filled.

    Args:
        cost: what the run returned.
        before, velocity: the network's flat parameters and momentum's v as they were before it.
        samples: which samples of the data the mini-batch held.
    """
    network, sgd = step.network, step.sgd
    old = network.views(before)
    speeds = network.views(velocity) if velocity is not None else {}
    after = Step(network, Sgd(network), step.n)
    after.inputs[...], after.targets[...] = step.inputs, step.targets
    after.repeat_draw([layer.recorded for layer in step.layers])
    return Trace(
        name=name,
        eta=eta,
        momentum=sgd.momentum,
        weight_decay=sgd.weight_decay,
        samples=tuple(int(sample) for sample in samples),
        cost=network.cost,
        cost_before=cost,
        cost_after=after.forward(),
        inputs=step.inputs.copy(),
        targets=step.targets.copy(),
        layers=tuple(
            _layer_trace(layer, old[layer.name], speeds.get(layer.name, {}))
            for layer in step.layers
        ),
    )


def _layer_trace(layer: LayerStep, old: dict[str, Array], velocity: dict[str, Array]) -> LayerTrace:
    def first(array: Array) -> Array:
        """A copy with the samples' axis in front."""
        return np.array(np.moveaxis(array, -1, 0), order="C")

    def maybe(array: Array | None) -> Array | None:
        return None if array is None else first(array)

    def copy(arrays: dict[str, Array], key: str) -> Array | None:
        return arrays[key].copy() if key in arrays else None

    return LayerTrace(
        placed=layer.placed,
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
        weight_velocity=copy(velocity, "weight"),
        bias_velocity=copy(velocity, "bias"),
        recorded={
            quantity.key: first(layer.recorded[quantity.key])
            if quantity.by_sample
            else layer.recorded[quantity.key].copy()
            for quantity in layer.placed.layer.quantities
        },
    )
