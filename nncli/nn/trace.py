"""The record of one step, in the layouts of the project's border: the sample axis first.

A `Trace` holds all of it, `LayerMeasures` one number a quantity, as a training keeps of epochs.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.nn.activations import SATURATED
from nncli.nn.arrays import Array, Place, place_of
from nncli.nn.costs import Cost
from nncli.nn.layers import LayerStep, Placed
from nncli.nn.links import GRADIENT, UPDATE, VELOCITY, Link, before
from nncli.nn.network import Network, zero_network
from nncli.nn.optimizers import Optimizer
from nncli.nn.step import QUANTITIES, Step

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


def record_trace(
    step: Step,
    *,
    eta: float,
    cost: float,
    start: Start,
    samples: Sequence[int],
    name: str = "",
) -> Trace:
    """Copies the workspace of a step that `Step.run(eta, full=True)` has just filled.

    Args:
        cost: what the run returned.
        start: what the network and its optimizer were before it.
        samples: which samples of the data the mini-batch held.
    """
    recorder = TraceRecorder(step, start)
    return recorder.record(eta=eta, cost=cost, samples=[*map(int, samples)], name=name)


class TraceRecorder:
    """Copies a workspace again and again: where all is, is found but once.

    Arrays that are the same memory, as a layer's a is the next one's input, are so in the record.

    Attributes:
        step: of which the records are.
        start: before the step, to be updated before each.
        size: bytes of memory that a record takes.
    """

    def __init__(self, step: Step, start: Start) -> None:
        self.step, self.start = step, start
        optimizer = step.optimizer
        assert optimizer is not None
        self._after = Step(step.network, None, step.n)
        self._links = optimizer.links
        tallies = {name for link in optimizer.links for name in link.tallies}
        self._scalars = {n: s for n, s in optimizer.scalars.items() if n not in tallies}
        vectors = {n: v for n, v in optimizer.vectors.items() if n not in (GRADIENT, UPDATE)}
        vectors |= {before(n): v for n, v in start.state.items() if n in optimizer.vectors}
        old = step.network.views(start.parameters)
        views = {name: step.network.views(vector) for name, vector in vectors.items()}
        self._layers = [
            _sources(layer, old[layer.name], {n: of[layer.name] for n, of in views.items()})
            for layer in step.layers
        ]
        self._weights = (step.network.class_weights, step.sample_weights, step.difference)
        sources = {place_of(array): array for array in self._sources()}
        self._starts, self.size = dict[Place, int](), 0
        # The largest numbers first, so that all lie at multiples of their size without a gap.
        for place in sorted(sources, key=lambda place: -sources[place].itemsize):
            self._starts[place], self.size = self.size, self.size + sources[place].nbytes
        self._made: _Made | None = None

    def takes(self, step: Step, start: Start) -> bool:
        """Whether it copies this step; joined layers, of several passes, are copied anew."""
        return self.step is step and self.start is start and len(step.passes) == 1

    def record(
        self,
        *,
        eta: float,
        cost: float,
        samples: Sequence[int],
        name: str = "",
        room: Array | None = None,
    ) -> Trace:
        """The record of the step that was just taken in full; arguments as for `record_trace`.

        Args:
            room: memory for its arrays, of `size` bytes or more, which lie in it as in a file; the
                next record into it takes their place. None: memory of its own.
        """
        step, after = self.step, self._after
        after.inputs[...], after.targets[...] = step.inputs, step.targets
        if step.is_random:
            after.replay_random([layer.recorded for layer in step.layers])
        if room is None:
            room = np.empty(self.size, np.uint8)
        if (made := self._made) is None or made.room is not room:
            self._made = made = self._place(room)
        now = (step.network.class_weights, step.sample_weights, step.difference)
        for kept, array in zip(self._weights, now, strict=True):
            if kept is not None and array is not None:
                np.copyto(kept, array)
        for copy, source in made.copies:
            copy[...] = source
        return Trace(
            name=name,
            eta=eta,
            links=self._links,
            scalars=made.scalars,
            samples=tuple(samples),
            cost=step.network.cost,
            cost_before=cost,
            cost_after=after.forward(),
            inputs=made.inputs,
            targets=made.targets,
            layers=made.layers,
            class_weights=made.weights[0],
            sample_weights=made.weights[1],
            difference=made.weights[2],
        )

    def _sources(self) -> Iterator[Array]:
        yield from (self.step.inputs, self.step.targets)
        yield from (array for array in self._weights if array is not None)
        yield from self._scalars.values()
        for layer in self._layers:
            yield from layer.all()

    def _place(self, room: Array) -> "_Made":
        """Makes the arrays of a record, not yet filled."""
        copies = dict[Place, tuple[Array, Array]]()

        def made(source: Array) -> Array:
            place = place_of(source)
            array: Array = np.ndarray(source.shape, source.dtype, room, self._starts[place])
            copies.setdefault(place, (array, source))
            return array

        return _Made(
            room,
            made(self.step.inputs),
            made(self.step.targets),
            {name: made(scalar) for name, scalar in self._scalars.items()},
            tuple(layer.become(made) for layer in self._layers),
            tuple(None if array is None else made(array) for array in self._weights),
            tuple(copies.values()),
        )


class _Made(NamedTuple):
    """A record's arrays in the memory that they lie in, and the pairs of them and their sources."""

    room: Array
    inputs: Array
    targets: Array
    scalars: Mapping[str, Array]
    layers: tuple[LayerTrace, ...]
    weights: tuple[Array | None, ...]
    copies: tuple[tuple[Array, Array], ...]


class _Sources(NamedTuple):
    """Where the quantities of a layer are, as views with the samples' axis in front."""

    placed: Placed
    arrays: Mapping[str, Array | None]
    recorded: Mapping[str, Array]
    optimizer: Mapping[str, Mapping[str, Array]]

    def all(self) -> Iterator[Array]:
        """Its arrays, in the order that a file has them in."""
        yield from (array for array in self.arrays.values() if array is not None)
        yield from self.recorded.values()
        for kept in self.optimizer.values():
            yield from kept.values()

    def become(self, made: Callable[[Array], Array]) -> LayerTrace:
        """The record that has, for each array, what is made of it."""
        arrays: dict[str, Any] = {
            key: None if array is None else made(array) for key, array in self.arrays.items()
        }
        return LayerTrace(
            self.placed,
            **arrays,
            recorded={key: made(array) for key, array in self.recorded.items()},
            optimizer={
                key: {name: made(array) for name, array in kept.items()}
                for key, kept in self.optimizer.items()
            },
        )


def _sources(
    layer: LayerStep, old: dict[str, Array], optimizer: dict[str, dict[str, Array]]
) -> _Sources:
    arrays = {key: getattr(layer, key) for key in QUANTITIES}
    found = {key: None if array is None else _first(array) for key, array in arrays.items()}
    for key in ("weight", "bias"):
        found[key] = old.get(key)
        found[f"{key}_gradient"] = layer.gradients.get(key)
        found[f"{key}_update"] = layer.updates.get(key)
        found[f"{key}_new"] = layer.parameters.get(key)
    recorded = {
        quantity.key: (_first if quantity.by_sample else np.asarray)(layer.recorded[quantity.key])
        for quantity in layer.placed.layer.quantities
        if quantity.key in layer.recorded
    }
    kept = {key: {name: arrays[key] for name, arrays in optimizer.items()} for key in old}
    return _Sources(layer.placed, found, recorded, kept)


def _first(array: Array) -> Array:
    """A view with the samples' axis in front."""
    return np.moveaxis(array, -1, 0)


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
    flat = array.astype(np.float64).ravel("K")
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
        prime = layer.sigma_prime  # whose mean() comes to the same, 3 µs later
        mean = float(np.add.reduce(prime, axis=None, dtype=np.float64)) / prime.size
        saturated = np.count_nonzero(np.abs(prime) < SATURATED) / prime.size
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
