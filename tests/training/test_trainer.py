"""The loop: what it yields, in what order it takes the samples, what it leaves to go on from."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.app.pipeline import prepare
from nncli.app.records import Prepared
from nncli.data import Dataset
from nncli.nn.arrays import Array
from nncli.spec import parse_spec
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, Epoch, Progress
from nncli.training.steps import Rows
from nncli.training.trainer import Trainer
from tests.training.trainers import trainer_of

SPEC = """
seed: 3
dtype: float64
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2]]
    targets: [0, 1, 0, 1, 0, 1, 0]
  validation: 0.3
network:
  - {type: dense, units: 3}
  - {type: dense, units: 2}
train: {eta: 0.5, epochs: 4, batch_size: 2}
"""


def prepared(*overrides: str) -> Prepared:
    return prepare(parse_spec(SPEC, overrides=overrides))


def epochs_of(trainer: Trainer) -> list[Epoch]:
    return [event for event in trainer.events() if isinstance(event, Epoch)]


def test_an_epoch_is_an_event_with_every_measure() -> None:
    p = prepared()
    epochs = epochs_of(trainer_of(p))
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    last = epochs[-1]
    assert last.validation_cost is not None
    assert last.accuracy == last.validation_accuracy
    assert last.train_accuracy is None
    assert [layer.name for layer in last.layers] == ["dense1", "dense2"]
    assert all(value is not None for value in vars(last.layers[0]).values())


def test_without_validation_the_training_data_are_evaluated() -> None:
    p = prepared("data.validation=null")
    last = epochs_of(trainer_of(p))[-1]
    evaluation = Evaluator(p.network, p.data.train, reading="classes")()
    assert last.train_cost_after == evaluation.cost
    assert last.train_accuracy == evaluation.accuracy
    assert last.validation_cost is None


def test_vectors_have_no_accuracy() -> None:
    p = prepared("data.train.targets=[[1,0],[0,1],[1,0],[0,1],[1,0],[0,1],[1,0.5]]")
    assert epochs_of(trainer_of(p))[-1].accuracy is None


def test_the_train_cost_is_the_mean_over_samples_before_each_update() -> None:
    p = prepared("train.eta=1e-12")
    first = epochs_of(trainer_of(p))[0]
    evaluation = Evaluator(p.network, p.data.train, reading="classes")()
    assert first.train_cost == pytest.approx(evaluation.cost, rel=1e-9)


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_epoch_visits_every_sample_once(shuffle: bool) -> None:
    p = prepared(f"train.shuffle={str(shuffle).lower()}")
    seen: list[list[int]] = []
    train = p.data.train
    trainer = trainer_of(p, Spy(train, seen))
    seen.clear()
    for event in trainer.events():
        assert isinstance(event, Epoch)
        assert sorted(row for rows in seen for row in rows) == sorted(train.index.tolist())
        seen.clear()


class Spy:
    def __init__(self, part: Dataset, seen: list[list[int]]) -> None:
        self.part, self.seen = part, seen

    @property
    def index(self) -> Rows:
        return self.part.index

    @property
    def targets(self) -> Array:
        return self.part.targets

    def gather(self, rows: Rows, inputs: Array, targets: Array) -> None:
        self.seen.append(rows.tolist())
        self.part.gather(rows, inputs, targets)


def test_epochs_are_shuffled_differently_and_alike_for_a_seed() -> None:
    def orders(*overrides: str) -> list[list[list[int]]]:
        p = prepared("data.validation=null", *overrides)
        seen: list[list[int]] = []
        all_: list[list[list[int]]] = []
        trainer = trainer_of(p, Spy(p.data.train, seen))
        seen.clear()
        for _ in trainer.events():
            all_.append(seen.copy())
            seen.clear()
        return all_

    once = orders()
    assert once == orders()
    assert once[0] != once[1]
    assert once != orders("seed=4")


def test_the_same_seed_gives_the_same_bits() -> None:
    def train(seed: int) -> tuple[list[Epoch], bytes]:
        p = prepared(f"seed={seed}", "dtype=float32")
        epochs = [replace(epoch, train_seconds=0) for epoch in epochs_of(trainer_of(p))]
        return epochs, p.network.parameters.tobytes()

    assert train(0) == train(0)
    assert train(0) != train(1)


def test_eta_follows_the_schedule() -> None:
    p = prepared("train.schedule={type: exponential, gamma: 0.5}")
    assert [epoch.eta for epoch in epochs_of(trainer_of(p))] == [0.5, 0.25, 0.125, 0.0625]


def test_the_trace_is_the_last_step_of_the_epoch() -> None:
    p = prepared("train.momentum=0.9", "train.weight_decay=0.01")
    trainer = trainer_of(p)
    for epoch in trainer.events():
        assert isinstance(epoch, Epoch)
        trace = trainer.trace()
        views = p.network.views(p.network.parameters)
        layer: Any  # whose arrays are all there
        for layer, measures in zip(trace.layers, epoch.layers, strict=True):
            assert (layer.weight_new == views[layer.name]["weight"]).all()
            assert (layer.weight_new == layer.weight + layer.weight_update).all()
            assert (layer.bias_new == layer.bias + layer.bias_update).all()
            assert (layer.delta == layer.upstream * layer.sigma_prime).all()
            n = len(trace.samples)
            gradient = np.einsum("ni,nj->ij", layer.input, layer.delta) / n
            np.testing.assert_allclose(layer.weight_gradient, gradient, rtol=1e-13, atol=1e-16)
            assert measures.delta_norm == pytest.approx(np.linalg.norm(layer.delta))
            assert measures.weight_norm == pytest.approx(np.linalg.norm(layer.weight_new))
            assert measures.sigma_prime_mean == pytest.approx(layer.sigma_prime.mean())
            assert measures.saturated == (layer.sigma_prime < 0.01).mean()
        inputs = p.data.train.inputs[p.data.train.index[list(trace.samples)]]
        assert (trace.inputs == inputs).all()


def test_a_watcher_sees_progress_within_a_long_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncli.training.trainer.PROGRESS_INTERVAL", -1.0)
    p = prepared()
    trainer = trainer_of(p)
    samples = []
    for event in trainer.events():
        if isinstance(event, Progress):
            assert trainer.samples == event.samples
            assert event.cost > 0
            samples.append(event.samples)
    assert samples == [2, 4] * 4


def test_a_state_is_a_copy() -> None:
    trainer = trainer_of(prepared("train.momentum=0.5"))
    events = trainer.events()
    next(events)
    state = trainer.state()
    parameters, velocity = state.parameters.copy(), state.optimizer["velocity"].copy()
    next(events)
    assert (state.parameters == parameters).all()
    np.testing.assert_array_equal(state.optimizer["velocity"], velocity)
    assert (state.epoch, state.samples, state.steps_taken) == (1, 0, 3)


class TestDivergence:
    def diverge(self, *overrides: str) -> tuple[Divergence, Trainer]:
        trainer = trainer_of(prepared("data.validation=null", *overrides))
        event = list(trainer.events())[-1]
        assert isinstance(event, Divergence)
        return event, trainer

    def test_outputs_that_grow_without_end(self) -> None:
        linear = ("network[0].activation=identity", "network[1].activation=identity")
        event, trainer = self.diverge(*linear, "train.eta=1e100")
        assert not math.isfinite(event.cost)
        assert event.epoch == 1
        assert 1 < event.step <= 4
        assert event.layer in ("dense1", "dense2")
        assert trainer.epoch == 0

    def test_an_update_that_overflows_in_the_last_step(self) -> None:
        event, _ = self.diverge(
            "train.eta=1e39", "dtype=float32", "train.batch_size=7", "train.epochs=1"
        )
        assert (event.epoch, event.step) == (1, 1)
        assert event.layer == "dense2"
        assert event.quantity == "weight_update"
