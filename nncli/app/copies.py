"""Copies of a training: the same network and samples, with a few keys of the spec changed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from nncli.app.pipeline import build_layers, build_network, place_layers
from nncli.app.plan import make_plan, optimizer_links
from nncli.app.records import Prepared
from nncli.app.sources import load_data
from nncli.app.weights import load_initial_weights
from nncli.data import Data, Dataset
from nncli.inspection.diagnosis.measures import layer_states, result_of
from nncli.inspection.diagnosis.record import Course, Cure, LayerState, Result
from nncli.nn.arrays import Array
from nncli.nn.network import Network, smallest_batch, step_bytes
from nncli.nn.optimizers import Optimizer
from nncli.nn.reading import class_indices
from nncli.nn.step import Step
from nncli.spec import Spec, override_spec
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, Epoch
from nncli.training.steps import Rows
from nncli.training.trainer import Trainer

MOST_SAMPLES, FEWEST_SAMPLES, MOST_HELD = 4000, 600, 500
SECONDS = 3.0  # of steps, for a copy
HELD_SHARE, FEWEST_TO_SHARE = 0.25, 40  # held back of samples of which the spec holds back none
MEASURED = 256  # samples that a layer's state is measured on
FEWEST_EPOCHS = 3
MOST_LOOKED_AT = 20_000  # samples
MOST_BYTES = 1 << 28  # that those measured may take


class Extent(NamedTuple):
    """Which samples copies are trained on, and judged by, and for how many epochs.

    Attributes:
        held: None: of data with too few samples none are held back.
        is_own_held: whether the spec itself holds back none.
        is_sample: whether samples or epochs are fewer than the spec's.
    """

    train: Rows
    held: Rows | None
    epochs: int
    is_own_held: bool
    is_sample: bool


class Copies:
    """Makes and trains them."""

    def __init__(self, prepared: Prepared, *, weight_files: bool) -> None:
        """weight_files: whether the files that the spec names for its first weights are there."""
        self.prepared = prepared
        self.weight_files = weight_files
        self.classes = prepared.has_classes
        self.extent = self._extent()

    def _extent(self) -> Extent:
        data, plan = self.prepared.data, self.prepared.plan
        rng = np.random.default_rng(0)
        train, own = data.train.index, data.validation is None
        held = None if data.validation is None else _some(data.validation.index, MOST_HELD, rng)
        if own and len(train) >= FEWEST_TO_SHARE:
            mixed = rng.permutation(train)
            count = int(HELD_SHARE * len(train))
            train, held = np.sort(mixed[count:]), _some(np.sort(mixed[:count]), MOST_HELD, rng)
        each = self._step_seconds(min(plan.batch_size, len(train)))
        budget = max(1, int(SECONDS / each))
        epochs = plan.epochs
        most = min(MOST_SAMPLES, budget // epochs * plan.batch_size)
        rows = _some(train, max(most, FEWEST_SAMPLES), rng)
        steps = -(-len(rows) // plan.batch_size)
        epochs = min(epochs, max(FEWEST_EPOCHS, budget // steps))
        is_sample = len(rows) < len(train) or epochs < plan.epochs
        return Extent(rows, held, epochs, own, is_sample)

    def _step_seconds(self, n: int) -> float:
        network = self._network(self.prepared.spec)
        step = Step(
            network,
            Optimizer(network, self.prepared.links),
            max(n, smallest_batch(network.layers)),
        )
        times = []
        for _ in range(3):
            began = perf_counter()
            step.run(0.0)
            times.append(perf_counter() - began)
        return min(times)

    def _network(self, spec: Spec, data: Data | None = None) -> Network:
        """data: what the spec's keys made of them, where they are others than the training's."""
        data = data or self.prepared.data
        layers = build_layers(spec, weight_files=self.weight_files)
        network = build_network(
            spec,
            place_layers(spec, layers, data.input_shape),
            data.preprocessing.class_weights,
        )
        if spec.train.init_from is not None and self.weight_files:
            load_initial_weights(spec, network)
        return network

    def train_set(self) -> Dataset:
        return replace(self.prepared.data.train, index=self.extent.train)

    def facts_set(self) -> tuple[Rows, Dataset]:
        """Training data that facts are taken of: which of them, and they."""
        train = self.prepared.data.train
        chosen = _some(np.arange(len(train)), MOST_LOOKED_AT, np.random.default_rng(0))
        return chosen, replace(train, index=train.index[chosen])

    def held_set(self) -> Dataset | None:
        data, held = self.prepared.data, self.extent.held
        source = data.train if data.validation is None else data.validation
        return None if held is None else replace(source, index=held)

    def changed(self, sets: Mapping[str, Any]) -> Spec:
        """The spec with some keys set.

        Raises:
            SpecError: they do not fit it.
        """
        spec = self.prepared.spec
        if not sets:
            return spec
        given = spec.train.init_from
        kept = {} if given is None else {"train.init_from": str(spec.resolve(given))}
        # JSON is YAML.
        values = {**kept, **sets}.items()
        return override_spec(spec, [f"{key}={json.dumps(value)}" for key, value in values])

    def train(self, cure: Cure | None = None) -> Course:
        """Trains a copy with a cure, or one as the spec has it."""
        sets = {} if cure is None else cure.set
        spec = self.changed(sets)
        train, held, data = self.train_set(), self.held_set(), None
        if any(key.startswith("data.") for key in sets):
            data = load_data(spec)
            train = replace(data.train, index=train.index)
            if held is not None:
                held = replace(data.validation or data.train, index=held.index)
        network = self._network(spec, data)
        if cure is not None:
            train = replace(train, index=self._rows(cure, train))
            if held is not None and self.extent.is_own_held and cure.remedy == "leave_out":
                held = replace(held, index=self._rows(cure, held))
        plan = make_plan(
            spec,
            reading=self.prepared.plan.reading,
            input_shape=self.prepared.data.input_shape,
        )
        plan = plan._replace(epochs=min(plan.epochs, self.extent.epochs))
        train = _without_rest(train, plan.batch_size, smallest_batch(network.layers))
        trainer = Trainer(network, Optimizer(network, optimizer_links(spec)), plan, train, held)
        course = self._run(trainer, train, held)
        if cure is not None or course.diverged:
            return course
        return replace(course, end=states_of(network, train, classes=self.classes))

    def _rows(self, cure: Cure, train: Dataset) -> Rows:
        rows = train.index
        if cure.remedy == "leave_out":
            assert cure.sample is not None
            kept: Rows = rows[rows != self.prepared.data.train.index[cure.sample]]
            return kept
        if cure.remedy == "balance":
            true = class_indices(train.targets[rows])
            counts = np.bincount(true)
            return np.repeat(rows, np.rint(counts.max() / counts[true]).astype(np.int64))
        return rows

    def _run(self, trainer: Trainer, train: Dataset, held: Dataset | None) -> Course:
        costs: list[float] = []
        held_costs: list[float] = []
        for event in trainer.events():
            if isinstance(event, Divergence):
                origin = origin_of(vars(event))
                return Course(tuple(costs), tuple(held_costs), None, None, True, origin)
            if isinstance(event, Epoch):
                costs.append(event.train_cost)
                if event.validation_cost is not None:
                    held_costs.append(event.validation_cost)
        network = trainer.network
        return Course(
            tuple(costs),
            tuple(held_costs),
            result_on(network, train, classes=self.classes),
            None if held is None else result_on(network, held, classes=self.classes),
            stopped_early=trainer.has_stopped_early,
        )

    def states(self) -> tuple[LayerState, ...]:
        """The layers before the first step, on some samples."""
        network = self._network(self.prepared.spec)
        return states_of(network, self.train_set(), classes=self.classes)


def states_of(
    network: Network, train: Dataset, *, classes: bool, most: int = MEASURED
) -> tuple[LayerState, ...]:
    """The layers of a network on some samples of its training data, which leaves it as it was."""
    each = step_bytes(network.layers, 1, network.dtype.itemsize)
    n = min(len(train), most, MOST_BYTES // each)
    if n < smallest_batch(network.layers):
        return ()
    rows = train.index[np.linspace(0, len(train) - 1, n).astype(np.int64)]
    kept = network.copy_state()
    step = Step(network, None, len(rows), source=train, differentiable=True)
    step.load(rows)
    if step.is_random:
        step.randomise(np.random.SeedSequence(0))
    step.differentiate(full=True)
    states = layer_states(step, classes=classes)
    network.restore_state(kept)
    return states


def result_on(network: Network, samples: Dataset, *, classes: bool) -> Result:
    evaluator = Evaluator(network, samples, reading="numbers")
    outputs = [step.outputs.copy() for _, step, _ in evaluator.blocks()]
    return result_of(np.concatenate(outputs), samples.targets[samples.index], classes=classes)


def _without_rest(train: Dataset, batch_size: int, least: int) -> Dataset:
    """Without the last samples where they make a mini-batch too small for a layer."""
    rest = len(train) % batch_size
    return replace(train, index=train.index[:-rest]) if 0 < rest < least else train


def origin_of(divergence: Mapping[str, Any]) -> dict[str, Any]:
    """Where a divergence began, of its record."""
    keys = ("step", "layer", "quantity", "unit", "sample", "part", "largest")
    return {key: divergence.get(key) for key in keys}


def some_of(samples: Dataset, most: int) -> Dataset:
    """The same ones of them each time."""
    return replace(samples, index=_some(samples.index, most, np.random.default_rng(0)))


def inputs_of(samples: Dataset) -> tuple[Array, Array]:
    """Inputs and targets as a network takes them."""
    n, dtype = len(samples), samples.targets.dtype
    inputs = np.empty((n, *samples.inputs.shape[1:]), dtype)
    targets = np.empty((n, samples.targets.shape[1]), dtype)
    samples.gather(samples.index, inputs, targets)
    return inputs, targets


def _some(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, most, replace=False))
