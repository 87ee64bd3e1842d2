"""A spec's way into training: layers -> data -> shapes -> network -> plan -> workers.

`prepare` goes all the way but for the workers, which are started with the training; the functions
that it calls are below it in the order in which it calls them, each after the stage whose
product it takes. The data are `load_data` of `sources`, plan and optimizer are those of `plan`.
Layers come first, since they need no data and their mistakes can be reported together with those of
the data.

Commands that need less call fewer stages: a run in use has its own weights and knows the shape of
its inputs (`build_run_network`), a summary needs the layers alone (`build_layers`, `place_layers`),
an evaluation the data. `with_defaults` is the spec as a run folder has it.

Mistakes that show only here, such as a layer that does not fit the data, are reported where the
spec's file has them, those of stages that do not depend on each other all at once.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from nncli.app.conditions import CONDITIONS, check_conditions, conditions_of
from nncli.app.plan import check_metric, make_plan, optimizer_links, plan_notes
from nncli.app.records import Prepared
from nncli.app.sources import check_keys, load_data
from nncli.app.weights import given_values, load_initial_weights
from nncli.core.errors import DataError, LayerError, NncliError, SpecError
from nncli.core.seeds import Stream, seed_of
from nncli.core.text import count_of, join_words, sizes
from nncli.data import Data
from nncli.data.samples import is_channels_last
from nncli.data.targets import MOST_COUNTED, is_integer
from nncli.nn import network as networks
from nncli.nn.activations import ACTIVATIONS, DEFAULT, PARAMETERS
from nncli.nn.costs import COSTS
from nncli.nn.initialisers import default_initialiser
from nncli.nn.layers import LAYERS, Layer, Placed
from nncli.nn.network import Network
from nncli.nn.parallel import worker_pool
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.spec import LayerSpec, Spec, WeightedLayerSpec

T = TypeVar("T")
Shape = tuple[int, ...]


def prepare(spec: Spec, *, weight_files: bool = True, data: Data | None = None) -> Prepared:
    """Reads the data and builds the network of a spec.

    Args:
        weight_files: whether the files that the spec names for its first weights are read. A run's
            weights are in its checkpoint, and those files need not be there any more.
        data: those of the spec, where they are read already.

    Raises:
        SpecError, DataError: something in the spec or its data does not fit; mistakes that do not
            depend on each other are reported together. NncliError: it is no Spec.
    """
    if not isinstance(spec, Spec):
        raise NncliError(
            f"prepare takes a Spec, as load_spec makes of a file, not a {type(spec).__name__}"
        )
    mistakes = _Mistakes(spec)
    unplaced = mistakes.of(lambda: build_layers(spec, weight_files=weight_files))
    data = data or mistakes.of(lambda: load_data(spec))
    if data is not None:
        mistakes.of(lambda: check_conditions(spec, classes=data.reading != "numbers"))
    if weight_files:  # a run that has begun goes on as it was
        mistakes.of(lambda: check_keys(spec))
    if data is not None:
        mistakes.of(lambda: check_metric(spec, data))
    input_shape = spec.data.shape if data is None else data.input_shape
    layers = network = None
    if unplaced is not None and input_shape is not None:
        samples = spec.train.batch_size if data is None else len(data.train)
        n = min(spec.train.batch_size, samples)
        layers = mistakes.of(lambda: place_layers(spec, unplaced, input_shape, n))
    if layers is not None and data is not None:
        weights = data.preprocessing.class_weights
        network = mistakes.of(lambda: build_network(spec, layers, weights))
    if network is not None and data is not None:
        mistakes.of(lambda: check_outputs(spec, network, data))
        mistakes.of(lambda: _check_batches(spec, network, len(data.train)))
        mistakes.of(lambda: _check_micro_batches(spec, network, len(data.train)))
    mistakes.raise_them(() if data is None else data.notes)
    assert data is not None
    assert layers is not None
    assert network is not None
    has_file = weight_files and spec.train.init_from is not None
    initial = load_initial_weights(spec, network) if has_file else None
    notes = (*data.notes, *shape_notes(spec, layers), *plan_notes(spec, layers))
    plan = make_plan(spec, reading=data.reading, input_shape=data.input_shape)
    links, conditions = optimizer_links(spec), conditions_of(spec)
    return Prepared(spec, data, network, plan, links, initial, notes, conditions)


def build_run_network(spec: Spec, input_shape: Shape) -> Network:
    """The network of a run's spec without its data; it is then given the weights of its checkpoint.

    Raises:
        SpecError: the layers do not fit each other, or this machine.
    """
    layers = build_layers(spec, weight_files=False)
    return build_network(spec, place_layers(spec, layers, input_shape, 1))


# 1. The layers


def build_layers(spec: Spec, *, weight_files: bool = True) -> list[Layer]:
    """The layers of a spec, with the weights that it gives them.

    Raises:
        SpecError: the weights of some layers cannot be read.
    """
    layers: list[Layer] = []
    problems: list[str] = []
    for index, layer in enumerate(spec.network):
        try:
            layers.append(_layer(spec, index, layer, weight_files=weight_files))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return layers


def _layer(spec: Spec, index: int, layer: LayerSpec, *, weight_files: bool) -> Layer:
    """The kind of the spec's name, its keys being the kind's hyperparameters.

    Where a spec gives `bias` by its values, the kind has them as `biases`.
    """
    hyperparameters = {key: getattr(layer, key) for key in type(layer).model_fields}
    kind = LAYERS[hyperparameters.pop("type")]
    hyperparameters.pop("freeze", None)  # that is the optimizer's
    if isinstance(layer, WeightedLayerSpec):
        weights = biases = None
        if layer.weights is not None or not isinstance(layer.bias, bool):
            weights, biases = given_values(spec, index, layer, files=weight_files)
        hyperparameters |= {"bias": layer.bias is not False, "weights": weights, "biases": biases}
        hyperparameters["activation_parameters"] = layer.activation_parameters
        for key in PARAMETERS:
            del hyperparameters[key]
    return kind(**hyperparameters)


# 2. Their shapes, by the data


def place_layers(
    spec: Spec, layers: list[Layer], input_shape: Shape, n: int | None = None
) -> tuple[Placed, ...]:
    """The layers with their names and shapes, as they follow from the shape of an input.

    Args:
        n: samples of a mini-batch that has to fit in memory; None: however much it would take.

    Raises:
        SpecError: they do not fit each other, or this machine.
    """
    with _located(spec):
        placed = networks.place_layers(layers, input_shape)
    if n is not None:
        _check_memory(spec, placed, n)
    return placed


def _check_memory(spec: Spec, placed: tuple[Placed, ...], n: int) -> None:
    """Raises SpecError where a step of `n` samples takes more memory than there is."""
    itemsize = np.dtype(spec.dtype).itemsize
    needed, there = networks.step_bytes(placed, n, itemsize), memory_of_machine()
    if needed > there:
        largest = max(placed, key=lambda p: p.workspace_size(n))
        raise spec.error_at(
            ("network", largest.index),
            f"a step of this network would take {needed / 2**30:,.1f} GiB of memory, most of it in "
            f"{largest.name}; this machine has {there / 2**30:,.1f} GiB",
        )


def memory_of_machine() -> int:
    """Its memory in bytes; if the system does not say, more than any machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**62


# 3. The network


def build_network(
    spec: Spec, placed: tuple[Placed, ...], class_weights: Sequence[float] | None = None
) -> Network:
    """The network of placed layers, its weights given by them or drawn from the spec's seed.

    Args:
        class_weights: for training, see `Network`.

    Raises:
        SpecError: weights do not fit their layer, or the cost does not go with the last layer.
    """
    rng = np.random.default_rng(seed_of(spec.seed, Stream.WEIGHTS))
    with _located(spec):
        buffers = worker_pool.buffers_for(spec.train.threads)
        network = networks.fill_layers(placed, spec.train.cost, spec.dtype, rng, buffers)
    if class_weights is not None:
        network.class_weights = np.array(class_weights)
    return network


def check_outputs(spec: Spec, network: Network, data: Data) -> None:
    """Raises SpecError where the network's outputs are not what the data and the cost call for."""
    (units,) = network.output_shape
    if units != data.outputs:
        noun = ("class", "classes") if data.classes else ("target a sample", "targets a sample")
        raise spec.error_at(
            ("network", len(spec.network) - 1, "units"),
            f"the data have {count_of(data.outputs, *noun)}, "
            f"got {count_of(units, 'unit')}; units: {data.outputs} would fit"
            f"{_other_targets(spec, data, units)}",
        )
    if network.cost.of_probabilities and data.classes is None:
        _check_probabilities(spec, data)


def _other_targets(spec: Spec, data: Data, units: int) -> str:
    """What else than other units would fit: to take integers for numbers, or numbers for classes.

    Integers among the targets are classes, in an array if its type is an integer one.
    """
    targets = data.train.targets
    if data.classes is not None and units == 1 and all(map(is_integer, data.classes)):
        return "; or, if these integers are plain numbers, classes: none (under data)"
    if data.classes is None and data.outputs == 1 and units > 1:
        low, high = targets.min(), targets.max()
        if (targets == np.rint(targets)).all() and low >= 0 and high < MOST_COUNTED:
            classes = max(units, int(high) + 1)
            instead = "not none" if spec.data.classes == "none" else "under data"
            return (
                f"; or, if the targets are classes counted from 0, classes: {classes} ({instead})"
            )
    return ""


def _check_probabilities(spec: Spec, data: Data) -> None:
    """Raises SpecError where targets are no probabilities; those of mixed units sum to 1."""
    unbounded = join_words(dict.fromkeys(row.name for row in COSTS if not row.of_probabilities))
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    last = spec.network[-1]
    assert isinstance(last, WeightedLayerSpec)
    is_mixing = not ACTIVATIONS[last.activation].elementwise
    for part in parts:
        targets = part.targets[part.index]
        if targets.min() < 0 or targets.max() > 1:
            raise spec.error_at(
                ("train", "cost"),
                f"{spec.train.cost} takes targets from 0 to 1, the data have "
                f"{targets.min():g} to {targets.max():g}; {unbounded} takes any",
            )
        sums = targets.sum(axis=1, dtype=np.float64)
        if is_mixing and np.abs(sums - 1).max() > 1e-5:
            worst = sums[np.abs(sums - 1).argmax()]
            raise spec.error_at(
                ("train", "cost"),
                f"{spec.train.cost} behind {last.activation} takes targets that sum to 1 in each "
                f"sample, the data have a sum of {worst:g}; use {DEFAULT} outputs",
            )


def _check_batches(spec: Spec, network: Network, samples: int) -> None:
    """Raises SpecError where a mini-batch of an epoch has too few samples for a layer."""
    size = spec.train.batch_size
    for n in sorted({min(size, samples), samples % size} - {0}):
        try:
            networks.check_batch(network.layers, n)
        except LayerError as error:
            raise spec.error_at(
                ("train", "batch_size"),
                f"{error.message}; {count_of(samples, 'sample')} in mini-batches of {size:,} make "
                f"one of {n}",
            ) from error


def _check_micro_batches(spec: Spec, network: Network, samples: int) -> None:
    """Raises SpecError where a mini-batch cannot be split into as many parts as the spec says."""
    count, n = spec.train.micro_batches, min(spec.train.batch_size, samples)
    if count == 1:
        return
    place = ("train", "micro_batches")
    whole = next((p.name for p in network.layers if not networks.splits_samples([p])), None)
    if whole is not None:
        raise spec.error_at(
            place,
            f"{count}, but {whole} takes its means and variances over the whole mini-batch, which "
            "so cannot be split; micro_batches: 1 would do",
        )
    most = worker_pool.most_shares(n, count)
    if most < count:
        raise spec.error_at(
            place,
            f"{count}, but a mini-batch of {count_of(n, 'sample')} makes at most {most} of at "
            f"least {worker_pool.SMALLEST_SHARE}; micro_batches: {most} would do, or train."
            f"batch_size: {count * worker_pool.SMALLEST_SHARE:,}",
        )


# 4. Notes


def shape_notes(spec: Spec, placed: tuple[Placed, ...]) -> Iterator[str]:
    """What there is to say where the first conv or pool layer meets what may be channels last."""
    first = next((p for p in placed if p.layer.has_windows), None)
    if first is None or not is_channels_last(first.input_shape):
        return
    if spec.data.shape is not None:
        key, to_do = ("data", "shape"), f"write [{first.input_shape[2]}, rows, columns]"
    else:
        key, to_do = ("data", "train"), "save the array as x.transpose(0, 3, 1, 2)"
    yield from spec.error_at(
        key,
        f"{first.name} takes its {sizes(first.input_shape)} inputs for channels x rows x columns; "
        f"if the last number is that of the channels, {to_do}",
    ).problems


# 5. The workers


def start_workers(prepared: Prepared, auto: int | None = None) -> WorkerPool:
    """The threads that its training shares the work among; to be closed.

    Args:
        auto: how many where the spec leaves it open; None: as many as are worth it.
    """
    threads = prepared.spec.train.threads
    n = min(prepared.plan.batch_size, len(prepared.data.train))
    count = (auto or threads) if threads == "auto" else threads
    split = prepared.spec.train.micro_batches
    return worker_pool.start_workers(prepared.network, n, count, split, prepared.ranks)


# Where mistakes are reported


class _Mistakes:
    """Runs stages, and collects what is wrong in them."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.found: list[NncliError] = []

    def of(self, stage: Callable[[], T]) -> T | None:
        """What a stage makes; None where it could not, which is then remembered."""
        try:
            return stage()
        except DataError as error:
            # Where a key of the spec is to blame, the message begins with its place.
            if error.key is None:
                self.found.append(error)
            else:
                place = ("data", error.key)
                self.found += [self.spec.error_at(place, problem) for problem in error.problems]
        except SpecError as error:
            self.found.append(error)
        return None

    def raise_them(self, notes: tuple[str, ...]) -> None:
        """Raises what was found, if anything; with `notes`, which may explain it."""
        if len(self.found) == 1 and not notes:
            raise self.found[0]
        if self.found:
            raise SpecError([*(str(mistake) for mistake in self.found), *notes])


@contextmanager
def _located(spec: Spec) -> Iterator[None]:
    """Within it, a layer that cannot be built is reported where the spec has it."""
    try:
        yield
    except LayerError as error:
        place = ("network", error.index)
        where = (*place, error.key) if error.key else place
        raise spec.error_at(where, error.message) from error


# The spec as a run has it


def with_defaults(spec: Spec) -> Spec:
    """The spec with what follows from other keys written out: how each layer's weights start."""

    def filled(layer: LayerSpec) -> LayerSpec:
        if isinstance(layer, WeightedLayerSpec) and layer.weights is None:
            init = layer.init or default_initialiser(layer.activation)
            return layer.model_copy(update={"init": init})
        return layer

    return spec.model_copy(update={"network": tuple(map(filled, spec.network))})


# The length and pace of a training; and the paths of the data, whose fingerprint is compared.
SETTINGS = tuple(("train", key) for key in ("epochs", "eta", "schedule", "threads", "early_stop"))
PLACES = (("data", "train"), ("data", "validation"), ("data", "test"))
MAY_CHANGE = (*SETTINGS, *PLACES)  # while a run goes on


def fixed_values(spec: Spec) -> dict[str, Any]:
    """What of a spec stays the same while its run goes on.

    The name and the conditions decide nothing, and what the weights began as is in the checkpoint.
    """
    return fixed_among(with_defaults(spec).absolute())


def fixed_among(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those, of all values of a spec `with_defaults`."""
    fixed = {key: value for key, value in values.items() if key not in ("name", *CONDITIONS)}
    for section in ("train", "data"):
        fixed[section] = dict(fixed[section])
    del fixed["train"]["init_from"]
    for section, key in MAY_CHANGE:
        del fixed[section][key]
    fixed["network"] = tuple(_without_weights(layer) for layer in fixed["network"])
    return fixed


def _without_weights(layer: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in layer.items() if key != "weights"}
    return kept | {"bias": kept["bias"] is not False} if "bias" in kept else kept
