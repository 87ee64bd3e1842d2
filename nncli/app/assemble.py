"""From a checked spec to what it describes: data, a network, a plan. The one place that knows both.

Mistakes that show only here (a layer that does not fit the data) are reported where the spec's file
has them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from nncli import data as datasets
from nncli.app.initial import Initial, fill_from_file, given_values, without_files
from nncli.core.errors import DataError, LayerError, NncliError, SpecError
from nncli.core.seeds import Stream, seed_of
from nncli.nn import layers as nn
from nncli.nn import optimizers
from nncli.nn.activations import ACTIVATIONS, DEFAULT, PARAMETERS
from nncli.nn.initialisers import default_initialiser
from nncli.nn.network import Network, build_network, place_layers, step_bytes
from nncli.nn.parallel.worker_count import buffers_for, start_workers
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.spec import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LayerSpec,
    PairSpec,
    Schedule,
    Spec,
    StepSchedule,
    WeightedLayerSpec,
)
from nncli.training.fingerprint import Fingerprint, fingerprint
from nncli.training.order import Plan

T = TypeVar("T")


class Prepared(NamedTuple):
    """Everything a training needs, read and checked; no step is taken yet.

    `initial` says where the network's weights were read from; None: they are the spec's own.
    """

    spec: Spec
    data: datasets.Data
    network: Network
    plan: Plan
    initial: Initial | None = None

    def start_workers(self, auto: int | None = None) -> WorkerPool:
        """The threads that its training shares the work among; to be closed.

        auto: how many where the spec leaves it open; None: as many as are worth it.
        """
        n = min(self.plan.batch_size, len(self.data.train))
        threads = self.spec.train.threads
        return start_workers(self.network, n, (auto or threads) if threads == "auto" else threads)

    def fingerprint(self) -> Fingerprint:
        """What tells whether a run goes on with its own data."""
        return fingerprint(self.data.train, self.data.validation, self.data.input_shape)


def prepare(spec: Spec) -> Prepared:
    """Reads the data and builds the network of a spec.

    Raises:
        SpecError, DataError: something in the spec or its data does not fit; all that can be told
            at once is.
    """
    mistakes: list[NncliError] = []

    def attempt(make: Callable[[], T]) -> T | None:
        try:
            return make()
        except DataError as error:
            # Where a key of the spec is to blame, its place is told too.
            if error.key is None:
                mistakes.append(error)
            else:
                place = ("data", error.key)
                mistakes.extend(spec.error_at(place, problem) for problem in error.problems)
        except SpecError as error:
            mistakes.append(error)
        return None

    given = [attempt(partial(_layer, spec, k, layer)) for k, layer in enumerate(spec.network)]
    layers = [layer for layer in given if layer is not None]
    data = attempt(lambda: load_data(spec))
    shape = data.input_shape if data is not None else spec.data.shape
    network = None
    if shape is not None and len(layers) == len(given):
        samples = len(data.train) if data is not None else spec.train.batch_size
        n = min(spec.train.batch_size, samples)
        before = len(mistakes)
        attempt(lambda: _place(spec, layers, shape, n))
        if data is not None and len(mistakes) == before:
            network = attempt(lambda: _network(spec, layers, shape))
    if network is not None and data is not None:
        attempt(lambda: _check_outputs(spec, network, data))
    initial = None
    if network is not None and not mistakes:
        initial = fill_from_file(spec, network)
    if mistakes:
        raise mistakes[0] if len(mistakes) == 1 else SpecError([str(m) for m in mistakes])
    assert data is not None
    assert network is not None
    return Prepared(spec, data, network, plan_of(spec, classes=data.classes is not None), initial)


def bare_network(spec: Spec, input_shape: tuple[int, ...]) -> Network:
    """The network of a spec for inputs of a shape; no file that its weights start from is read.

    Raises:
        SpecError: the layers do not fit each other, or this machine.
    """
    spec = without_files(spec)
    layers = [_layer(spec, k, layer) for k, layer in enumerate(spec.network)]
    _place(spec, layers, input_shape, 1)
    return _network(spec, layers, input_shape)


def placed_layers(spec: Spec, input_shape: tuple[int, ...]) -> tuple[nn.Placed, ...]:
    """The layers of a spec for inputs of a shape, however much memory they would take.

    Raises:
        SpecError: they do not fit each other.
    """
    spec = without_files(spec)
    with _told_at_layer(spec):
        layers = [_layer(spec, k, layer) for k, layer in enumerate(spec.network)]
        return place_layers(layers, input_shape)


def with_defaults(spec: Spec) -> Spec:
    """The spec with what follows from other keys written out: how each layer's weights start."""

    def filled(layer: LayerSpec) -> LayerSpec:
        if isinstance(layer, WeightedLayerSpec) and layer.weights is None:
            init = layer.init or default_initialiser(layer.activation)
            return layer.model_copy(update={"init": init})
        return layer

    return spec.model_copy(update={"network": tuple(map(filled, spec.network))})


def load_data(spec: Spec) -> datasets.Data:
    """The data of a spec, split and scaled.

    Raises:
        SpecError: a file is not there. DataError: what is in it does not fit.
    """
    d = spec.data
    _check_files(spec)
    validation = d.validation
    return datasets.load(
        train=source_of(spec, d.train),
        validation=validation if isinstance(validation, float) else _maybe(spec, validation),
        test=_maybe(spec, d.test),
        target=d.target,
        classes=d.classes,
        header=d.header,
        scale=d.scale,
        shape=d.shape,
        dtype=np.dtype(spec.dtype),
        seed=seed_of(spec.seed, Stream.SPLIT),
    )


def _check_files(spec: Spec) -> None:
    """Whether the files that `data` names are there; told where the spec names them."""
    problems: list[str] = []
    for key in ("train", "validation", "test"):
        table = getattr(spec.data, key)
        names: dict[tuple[str, ...], object] = {(): table}
        if isinstance(table, PairSpec):
            names = {("inputs",): table.inputs, ("targets",): table.targets}
        for place, name in names.items():
            # Unlike those of Path, these know no path that is too long to ask for.
            if isinstance(name, str) and not os.path.isfile(spec.resolve(name)):
                there = os.path.exists(spec.resolve(name))
                what = "this is no file:" if there else "there is no file"
                message = f"{what} {str(spec.resolve(name))!r}; check the path"
                problems += spec.error_at(("data", key, *place), message).problems
    if problems:
        raise SpecError(problems)


def _check_outputs(spec: Spec, network: Network, data: datasets.Data) -> None:
    """Whether the network's outputs are what the data and the cost call for."""
    if network.output_shape != (data.outputs,):
        wanted = f"{data.outputs} classes" if data.classes else f"{data.outputs} targets a sample"
        raise spec.error_at(
            ("network", len(spec.network) - 1, "units"),
            f"the data have {wanted}, got {network.output_shape[0]} units; "
            f"units: {data.outputs} would fit",
        )
    if spec.train.cost == "cross_entropy" and data.classes is None:
        _check_probabilities(spec, data)


def plan_of(spec: Spec, *, classes: bool) -> Plan:
    """How a spec wants to be trained."""
    t = spec.train
    return Plan(
        eta=t.eta,
        schedule=_schedule(t.schedule, t.epochs),
        epochs=t.epochs,
        batch_size=t.batch_size,
        shuffle=t.shuffle,
        seed=spec.seed,
        classes=classes,
    )


def _place(spec: Spec, layers: list[nn.Layer], input_shape: tuple[int, ...], n: int) -> None:
    """Whether the layers fit each other and this machine, at `n` samples a mini-batch."""
    with _told_at_layer(spec):
        placed = place_layers(layers, input_shape)
    itemsize = np.dtype(spec.dtype).itemsize
    needed, there = step_bytes(placed, n, itemsize), memory_of_machine()
    if needed > there:
        largest = max(placed, key=lambda p: p.workspace_size(n))
        raise spec.error_at(
            ("network", largest.index),
            f"a step of this network would take {needed / 2**30:,.1f} GiB of memory, most of it in "
            f"{largest.name}; this machine has {there / 2**30:,.1f} GiB",
        )


def memory_of_machine() -> int:
    """Its memory in bytes; where the system does not tell, more than any machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**62


@contextmanager
def _told_at_layer(spec: Spec) -> Iterator[None]:
    """Within it, a layer that cannot be built is told where the spec has it."""
    try:
        yield
    except LayerError as error:
        place = ("network", error.index)
        where = (*place, error.key) if error.key else place
        raise spec.error_at(where, error.message) from error


def _network(spec: Spec, layers: list[nn.Layer], input_shape: tuple[int, ...]) -> Network:
    rng = np.random.default_rng(seed_of(spec.seed, Stream.WEIGHTS))
    with _told_at_layer(spec):
        buffers = buffers_for(spec.train.threads)
        return build_network(layers, input_shape, spec.train.cost, spec.dtype, rng, buffers)


def _layer(spec: Spec, index: int, layer: LayerSpec) -> nn.Layer:
    """The kind of the spec's name, its keys being the kind's hyperparameters.

    Where a spec gives `bias` by its values, the kind has them as `biases`.
    """
    hyperparameters = {key: getattr(layer, key) for key in type(layer).model_fields}
    kind = nn.LAYERS[hyperparameters.pop("type")]
    if isinstance(layer, WeightedLayerSpec):
        weights, biases = given_values(spec, index, layer)
        hyperparameters |= {"bias": layer.bias is not False, "weights": weights, "biases": biases}
        hyperparameters["activation_parameters"] = layer.activation_parameters
        for key in PARAMETERS:
            del hyperparameters[key]
    return kind(**hyperparameters)


def _schedule(schedule: Schedule, epochs: int) -> optimizers.Schedule:
    match schedule:
        case ConstantSchedule():
            return optimizers.Constant()
        case StepSchedule():
            return optimizers.StepDecay(schedule.step_size, schedule.gamma)
        case ExponentialSchedule():
            return optimizers.Exponential(schedule.gamma)
        case CosineSchedule():
            return optimizers.Cosine(schedule.t_max or epochs, schedule.eta_min)


def _maybe(spec: Spec, table: str | PairSpec | None) -> datasets.Source | None:
    return None if table is None else source_of(spec, table)


def source_of(spec: Spec, table: str | PairSpec) -> datasets.Source:
    """What a key under the spec's `data` names, as seen from the current folder."""

    def half(value: object) -> Path | list[object]:
        return spec.resolve(value) if isinstance(value, str) else _lists(value)

    if isinstance(table, str):
        return spec.resolve(table)
    return datasets.Pair(half(table.inputs), half(table.targets))


def _lists(value: object) -> list[object]:
    """Nested tuples as nested lists."""
    assert isinstance(value, tuple)
    return [_lists(item) if isinstance(item, tuple) else item for item in value]


def _check_probabilities(spec: Spec, data: datasets.Data) -> None:
    """Cross-entropy compares probabilities; those of mixed units sum to 1."""
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    last = spec.network[-1]
    assert isinstance(last, WeightedLayerSpec)
    is_mixing = not ACTIVATIONS[last.activation].elementwise
    for part in parts:
        targets = part.targets[part.index]
        if targets.min() < 0 or targets.max() > 1:
            raise spec.error_at(
                ("train", "cost"),
                "cross_entropy takes targets from 0 to 1, the data have "
                f"{targets.min():g} to {targets.max():g}; quadratic takes any",
            )
        sums = targets.sum(axis=1, dtype=np.float64)
        if is_mixing and np.abs(sums - 1).max() > 1e-5:
            worst = sums[np.abs(sums - 1).argmax()]
            raise spec.error_at(
                ("train", "cost"),
                f"cross_entropy behind {last.activation} takes targets that sum to 1 in each "
                f"sample, the data have a sum of {worst:g}; use {DEFAULT} outputs",
            )
