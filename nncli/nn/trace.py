"""The record of one step, in the layouts of the project's border: the sample axis first.

It is copied by `nncli.nn.recorder`; `nncli.nn.measures` keeps one number of each quantity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.nn.arrays import Array
from nncli.nn.costs import Cost
from nncli.nn.layers import Placed
from nncli.nn.links import VELOCITY, Link, before
from nncli.nn.network import Network, zero_network
from nncli.nn.optimizers import Optimizer

# Names that a record had before it had all of an optimizer's state, kept for those who read them.
VELOCITIES = {f"{key}_{VELOCITY}": key for key in ("weight", "bias")}


@dataclass(frozen=True)
class LayerTrace:
    """One layer in one step.

    Arrays are samples x units or samples x channels x rows x columns, weights inputs x units or
    filters x channels x rows x columns. None: the layer has no such term (σ' of a softmax, the bias
    of a layer without one, everything learned of a pool layer).

    `recorded` holds what the kind's `quantities` name, samples first. `optimizer` has, for `weight`
    and `bias`, what every link of the optimizer wrote for it, by name, and its state as it was
    before the step (`velocity_before`).
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
    recorded: Mapping[str, Array] = field(default_factory=dict)
    optimizer: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)

    def quantity(self, key: str) -> Array | None:
        """A quantity by its name: one that every kind may have, or one of the kind's own.

        A name of `VELOCITIES` is that of momentum's v before the step; None without momentum.
        """
        if key in VELOCITIES:
            return self.optimizer.get(VELOCITIES[key], {}).get(before(VELOCITY))
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
    """One step of an optimizer, and all that it computed.

    Attributes:
        links: the optimizer, see `nncli.nn.optimizers`.
        scalars: the numbers without axes that its links used, by name.
        samples: which samples of the training data the mini-batch held, counted from 0.
        cost: the row of the cost; cost_before, cost_after: C on these samples.
        inputs, targets: samples first, as the network took them (scaled, one-hot).
        layers: in forward order.
        class_weights: of the classes; sample_weights: w_x, that of each sample's class, which its
            C_x, ∂C_x/∂a and δ are multiplied by; difference: a − y of the outputs, before that.
            None where classes have no weights.
    """

    name: str
    eta: float
    links: tuple[Link, ...]
    scalars: Mapping[str, Array]
    samples: tuple[int, ...]
    cost: Cost
    cost_before: float
    cost_after: float
    inputs: Array
    targets: Array
    layers: tuple[LayerTrace, ...]
    class_weights: Array | None = None
    sample_weights: Array | None = None
    difference: Array | None = None

    def recorded_by_sample(self) -> list[dict[str, Array]]:
        """What the layers recorded, samples last, as `Step.replay_random` takes it."""
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
        network.class_weights = self.class_weights
        views = network.views(network.parameters)
        for layer in self.layers:
            for key, view in views[layer.name].items():
                view[...] = layer.weight if key == "weight" else layer.bias
        return network

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


class Start(NamedTuple):
    """What a step starts from, as copies.

    Attributes:
        parameters: the network's, flat.
        state: the optimizer's.
        network_state: what the network's layers keep from step to step.
    """

    parameters: Array
    state: Mapping[str, Array]
    network_state: Mapping[str, Array]

    @classmethod
    def of(cls, network: Network, optimizer: Optimizer) -> "Start":
        return cls(network.parameters.copy(), optimizer.copy_state(), network.copy_state())

    def update(self, network: Network, optimizer: Optimizer) -> None:
        """Copies once more, into the arrays that are there."""
        np.copyto(self.parameters, network.parameters)
        for name, array in optimizer.state.items():
            np.copyto(self.state[name], array)
        for name, array in network.state.items():
            np.copyto(self.network_state[name], array)
