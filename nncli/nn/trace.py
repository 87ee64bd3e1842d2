"""The record of one step, in the layouts of the project's border: the sample axis first.

A `Trace` holds all of it, `LayerMeasures` one number a quantity, which a training keeps of its
epochs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.nn.activations import SATURATED
from nncli.nn.arrays import Array
from nncli.nn.costs import Cost
from nncli.nn.layers import LayerStep, Placed
from nncli.nn.links import GRADIENT, UPDATE, VELOCITY, Link, before
from nncli.nn.network import Network, zero_network
from nncli.nn.optimizers import Optimizer
from nncli.nn.step import Step

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


def record_trace(
    step: Step,
    *,
    eta: float,
    cost: float,
    start: Start,
    samples: Sequence[int],
    name: str = "",
    after: Step | None = None,
) -> Trace:
    """Copies the workspace of a step that `Step.run(eta, full=True)` has just filled.

    Args:
        cost: what the run returned.
        start: what the network and its optimizer were before it.
        samples: which samples of the data the mini-batch held.
        after: a workspace for the pass behind the update, of `evaluator_of(step)`; None: a new one.
    """
    network, optimizer = step.network, step.optimizer
    assert optimizer is not None
    old = network.views(start.parameters)
    after = after or evaluator_of(step)
    after.inputs[...], after.targets[...] = step.inputs, step.targets
    after.replay_random([layer.recorded for layer in step.layers])
    recorded = {name: v for name, v in optimizer.vectors.items() if name not in (GRADIENT, UPDATE)}
    recorded |= {
        before(name): vector for name, vector in start.state.items() if name in optimizer.vectors
    }
    views = {name: network.views(vector) for name, vector in recorded.items()}
    return Trace(
        name=name,
        eta=eta,
        links=optimizer.links,
        scalars={
            name: scalar.copy()
            for name, scalar in optimizer.scalars.items()
            if not any(name in link.tallies for link in optimizer.links)
        },
        samples=tuple(int(sample) for sample in samples),
        cost=network.cost,
        cost_before=cost,
        cost_after=after.forward(),
        inputs=step.inputs.copy(),
        targets=step.targets.copy(),
        layers=tuple(
            _layer_trace(
                layer,
                old[layer.name],
                {name: by_layer[layer.name] for name, by_layer in views.items()},
            )
            for layer in step.layers
        ),
    )


def evaluator_of(step: Step) -> Step:
    """A workspace in which `record_trace` evaluates the network as `step` leaves it."""
    return Step(step.network, None, step.n)


def _layer_trace(
    layer: LayerStep, old: dict[str, Array], optimizer: dict[str, dict[str, Array]]
) -> LayerTrace:
    def first(array: Array) -> Array:
        """A copy with the samples' axis in front; np.moveaxis takes longer than such a copy."""
        last = array.ndim - 1
        return array.transpose(last, *range(last)).copy(order="C")

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
        recorded={
            quantity.key: first(layer.recorded[quantity.key])
            if quantity.by_sample
            else layer.recorded[quantity.key].copy()
            for quantity in layer.placed.layer.quantities
            if quantity.key in layer.recorded
        },
        optimizer={
            key: {name: arrays[key].copy() for name, arrays in optimizer.items()} for key in old
        },
    )


@dataclass(frozen=True)
class LayerMeasures:
    """Norms are Frobenius norms over the whole mini-batch; None where a layer has no such quantity.

    Attributes:
        activation: σ, or None for a layer that has none.
        upstream_norm: ‖∂C_x/∂a‖, the error signal that arrives. None for outputs behind
            cross-entropy, where δ = a − y does not come from it.
        delta_norm: ‖δ‖ = ‖upstream ⊙ σ'(z)‖, what the Hadamard product leaves of it.
        sigma_prime_mean: the mean of σ'(z) over units and samples.
        saturated: the share of them where |σ'| is below SATURATED.
        weight_gradient_norm: ‖∂C/∂W‖.
        weight_update_norm: ‖ΔW‖, the step really taken.
        weight_norm: ‖W‖ after the step.
    """

    name: str
    activation: str | None = None
    upstream_norm: float | None = None
    delta_norm: float | None = None
    sigma_prime_mean: float | None = None
    saturated: float | None = None
    weight_gradient_norm: float | None = None
    weight_update_norm: float | None = None
    weight_norm: float | None = None

    @property
    def passed(self) -> float | None:
        """‖δ‖ / ‖∂C_x/∂a‖: the share of the error signal that the Hadamard product lets pass."""
        return ratio(self.delta_norm, self.upstream_norm)

    @property
    def relative_update(self) -> float | None:
        """‖ΔW‖ / ‖W‖."""
        return ratio(self.weight_update_norm, self.weight_norm)


def measure(step: Step) -> tuple[LayerMeasures, ...]:
    """The measures of every layer of a step that `Step.run(eta, full=True)` has just filled."""
    with np.errstate(all="ignore"):
        layers = step.layers
        fused = layers[-1] if step.network.cost.error_is_delta else None
        return tuple(_measure_layer(layer, layer is fused) for layer in layers)


def norm(array: Array) -> float:
    """The Frobenius norm, summed in float64 whatever the array's dtype."""
    flat = array.astype(np.float64).ravel(order="K")
    squares = float(flat.dot(flat))  # np.linalg.norm takes 2 µs more to come to the same
    if math.isinf(squares) and math.isfinite(largest := float(np.abs(flat).max())):
        return largest * norm(flat / largest)
    return math.sqrt(squares)


def ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _measure_layer(layer: LayerStep, fused: bool) -> LayerMeasures:
    activation = layer.placed.activation
    if layer.delta is None:
        return LayerMeasures(layer.name, activation, norm(layer.upstream), **_learned_norms(layer))
    mean = saturated = None
    if layer.sigma_prime is not None:
        mean = float(layer.sigma_prime.mean(dtype=np.float64))
        saturated = np.count_nonzero(np.abs(layer.sigma_prime) < SATURATED) / layer.sigma_prime.size
    return LayerMeasures(
        layer.name,
        activation,
        None if fused else norm(layer.upstream),
        norm(layer.delta),
        mean,
        saturated,
        **_learned_norms(layer),
    )


def _learned_norms(layer: LayerStep) -> dict[str, float]:
    if "weight" not in layer.gradients:
        return {}
    return {
        "weight_gradient_norm": norm(layer.gradients["weight"]),
        "weight_update_norm": norm(layer.updates["weight"]),
        "weight_norm": norm(layer.parameters["weight"]),
    }
