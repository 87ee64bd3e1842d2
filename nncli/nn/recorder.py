"""Copies the workspace of a step into its record, in the layouts of the project's border."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from nncli.nn.arrays import Array, MemoryCopy, Place, place_of
from nncli.nn.layers import LayerStep
from nncli.nn.links import GRADIENT, UPDATE, before
from nncli.nn.network import zero_network
from nncli.nn.step import QUANTITIES, Step
from nncli.nn.trace import LayerTrace, Start, Trace

WEIGHTS = ("class_weights", "sample_weights", "difference")  # of a trace; None or arrays
OF_LAYERS = tuple(
    field.name
    for field in fields(LayerTrace)
    if field.name not in ("placed", "recorded", "optimizer")
)


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
    return TraceRecorder(step, start).record(eta=eta, cost=cost, samples=samples, name=name)


def named_arrays(trace: Trace) -> Iterator[tuple[str, Array]]:
    """The arrays of a record by name, in the order that a file has them in."""
    yield "inputs", trace.inputs
    yield "targets", trace.targets
    for key in WEIGHTS:
        if (array := getattr(trace, key)) is not None:
            yield key, array
    for name, scalar in trace.scalars.items():
        yield f"scalars.{name}", scalar
    for layer in trace.layers:
        for key in OF_LAYERS:
            if (array := getattr(layer, key)) is not None:
                yield f"{layer.name}.{key}", array
        for key, array in layer.recorded.items():
            yield f"{layer.name}.recorded.{key}", array
        for key, arrays in layer.optimizer.items():
            for name, array in arrays.items():
                yield f"{layer.name}.optimizer.{key}.{name}", array


class TraceRecorder:
    """Records a step again and again: where all is, is found but once.

    Arrays that are the same memory, as a layer's a is the next one's input, are so in the record.
    A record is made at once, or, by another process and later, of a copy of the memory: to copy
    that takes a tenth of the time.

    Attributes:
        step: of which the records are.
        start: before the step, to be updated before each.
    """

    def __init__(self, step: Step, start: Start) -> None:
        self.step, self.start = step, start
        self._joins = [*_weight_joins(step)]
        weights = [join.whole for join in self._joins]
        layers = step.layers
        if len(step.passes) > 1:
            self._joins += _layer_joins(layers, [part.layers for part in step.passes])
        self._workspace = _workspace(step, start, layers, weights)

    @property
    def size(self) -> int:
        """Bytes of a copy of the memory."""
        return self._memory.size

    def record(self, *, eta: float, cost: float, samples: Sequence[int], name: str = "") -> Trace:
        """The record of the step that was just taken in full; arguments as for `record_trace`."""
        self._join()
        maker = _Maker(self._workspace, self._after)
        return maker.make(eta=eta, cost=cost, samples=samples, name=name)

    def copy(self, room: Array) -> None:
        """Copies the memory of the step that was just taken in full, for `reader`.

        Args:
            room: memory for it, of `size` bytes or more.
        """
        self._join()
        self._memory.copy(room)

    def reader(self, room: Array) -> "TraceReader":
        """Makes records of what is copied into `room`, without a look at the step itself."""
        return TraceReader(self.step, self._workspace, self._memory, room)

    @cached_property
    def _memory(self) -> MemoryCopy:
        arrays = (array for _, array in named_arrays(self._workspace))
        return MemoryCopy(chain(arrays, [self.step.network.parameters]))

    @cached_property
    def _after(self) -> Step:
        return Step(self.step.network, None, self.step.n)

    def _join(self) -> None:
        for whole, parts, axis in self._joins:
            np.concatenate(parts, axis, whole)


class TraceReader:
    """Makes records of a copy of a step's memory.

    Each takes the place of the one before: their arrays are the same.
    """

    def __init__(self, step: Step, workspace: Trace, memory: MemoryCopy, room: Array) -> None:
        network = step.network
        self._parameters = memory.view(network.parameters, room)
        self._network = zero_network(network.layers, network.cost, network.dtype)
        self._network.class_weights = network.class_weights
        copied = _with_arrays(workspace, lambda array: memory.view(array, room))
        self._maker = _Maker(copied, Step(self._network, None, step.n))

    def record(self, *, eta: float, cost: float, samples: Sequence[int], name: str = "") -> Trace:
        """The record of the step whose memory is in the room; arguments as for `record_trace`."""
        np.copyto(self._network.parameters, self._parameters)
        return self._maker.make(eta=eta, cost=cost, samples=samples, name=name)


class _Maker:
    """Copies arrays into those of a record, which lie one behind the other as in a file.

    Args:
        source: a trace of which the arrays are copied.
        after: a step of the same network, for C behind the update.
    """

    def __init__(self, source: Trace, after: Step) -> None:
        self._source, self._after = source, after
        places: dict[Place, Array] = {}
        for _, array in named_arrays(source):
            places.setdefault(place_of(array), array)
        starts, size = dict[Place, int](), 0
        # The largest numbers first, so that all lie at multiples of their size without a gap.
        for place in sorted(places, key=lambda place: -places[place].itemsize):
            starts[place], size = size, size + places[place].nbytes
        room = np.empty(size, np.uint8)
        self._copies: dict[Place, tuple[Array, Array]] = {}

        def made(array: Array) -> Array:
            place = place_of(array)
            copy: Array = np.ndarray(array.shape, array.dtype, room, starts[place])
            self._copies.setdefault(place, (copy, array))
            return copy

        self._made = _with_arrays(source, made)

    def make(self, *, eta: float, cost: float, samples: Sequence[int], name: str) -> Trace:
        after, source = self._after, self._source
        after.inputs[...], after.targets[...] = source.inputs, source.targets
        if after.is_random:
            after.replay_random(source.recorded_by_sample())
        for copy, array in self._copies.values():
            copy[...] = array
        return replace(
            self._made,
            name=name,
            eta=eta,
            samples=tuple(map(int, samples)),
            cost_before=cost,
            cost_after=after.forward(),
        )


class _Join(NamedTuple):
    """An array of all samples, and those of the passes, which each have some."""

    whole: Array
    parts: Sequence[Array]
    axis: int


def _weight_joins(step: Step) -> Iterator[_Join]:
    """Of the weights of samples and of a − y, where classes have weights."""
    weights = [p.sample_weights.values for p in step.passes if p.sample_weights is not None]
    if weights:
        parts = [p.difference.T for p in step.passes]
        yield from (_Join(np.concatenate(of), of, 0) for of in (weights, parts))


def _layer_joins(
    layers: Sequence[LayerStep], passes: Sequence[Sequence[LayerStep]]
) -> Iterator[_Join]:
    for layer, *parts in zip(layers, *passes, strict=True):
        for key in QUANTITIES:
            if (whole := getattr(layer, key)) is not None:
                yield _Join(whole, [getattr(part, key) for part in parts], -1)
        for key, whole in layer.recorded.items():
            yield _Join(whole, [part.recorded[key] for part in parts], -1)


def _workspace(
    step: Step,
    start: Start,
    layers: Sequence[LayerStep],
    weights: Sequence[Array],
) -> Trace:
    """A trace whose arrays are views of the workspace; it has no numbers yet."""
    optimizer = step.optimizer
    assert optimizer is not None
    sample_weights, difference = weights or (None, None)
    tallies = {name for link in optimizer.links for name in link.tallies}
    vectors = {n: v for n, v in optimizer.vectors.items() if n not in (GRADIENT, UPDATE)}
    vectors |= {before(n): v for n, v in start.state.items() if n in optimizer.vectors}
    old = step.network.views(start.parameters)
    views = {name: step.network.views(vector) for name, vector in vectors.items()}
    return Trace(
        name="",
        eta=math.nan,
        links=optimizer.links,
        scalars={n: s for n, s in optimizer.scalars.items() if n not in tallies},
        samples=(),
        cost=step.network.cost,
        cost_before=math.nan,
        cost_after=math.nan,
        inputs=step.inputs,
        targets=step.targets,
        layers=tuple(
            _layer(layer, old[layer.name], {n: of[layer.name] for n, of in views.items()})
            for layer in layers
        ),
        class_weights=step.network.class_weights,
        sample_weights=sample_weights,
        difference=difference,
    )


def _layer(
    layer: LayerStep, old: Mapping[str, Array], optimizer: Mapping[str, Mapping[str, Array]]
) -> LayerTrace:
    quantities = {key: getattr(layer, key) for key in QUANTITIES}
    arrays: dict[str, Any] = {
        key: None if array is None else _first(array) for key, array in quantities.items()
    }
    for key in ("weight", "bias"):
        arrays[key] = old.get(key)
        arrays[f"{key}_gradient"] = layer.gradients.get(key)
        arrays[f"{key}_update"] = layer.updates.get(key)
        arrays[f"{key}_new"] = layer.parameters.get(key)
    recorded = {
        quantity.key: (_first if quantity.by_sample else np.asarray)(layer.recorded[quantity.key])
        for quantity in layer.placed.layer.quantities
        if quantity.key in layer.recorded
    }
    kept = {key: {name: of[key] for name, of in optimizer.items()} for key in old}
    return LayerTrace(layer.placed, **arrays, recorded=recorded, optimizer=kept)


def _first(array: Array) -> Array:
    """A view with the samples' axis in front."""
    return np.moveaxis(array, -1, 0)


def _with_arrays(trace: Trace, made: Callable[[Array], Array]) -> Trace:
    """The same with what is made of each array in its place."""

    def of(whole: Trace | LayerTrace, keys: Sequence[str]) -> dict[str, Any]:
        found = ((key, getattr(whole, key)) for key in keys)
        return {key: None if array is None else made(array) for key, array in found}

    def of_all(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {key: made(array) for key, array in arrays.items()}

    layers = (
        replace(
            layer,
            **of(layer, OF_LAYERS),
            recorded=of_all(layer.recorded),
            optimizer={key: of_all(arrays) for key, arrays in layer.optimizer.items()},
        )
        for layer in trace.layers
    )
    return replace(
        trace,
        **of(trace, ("inputs", "targets", *WEIGHTS)),
        scalars=of_all(trace.scalars),
        layers=tuple(layers),
    )
