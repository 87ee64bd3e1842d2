"""Layers that draw: what a training draws, its resumption, its inspection and its threads draw too,

and a trained network is evaluated in evaluation mode.
"""

from pathlib import Path

import numpy as np
import pytest

import nncli
from nncli.app.opening import open_spec_or_run
from nncli.core.errors import InterruptedTraining
from nncli.nn.arrays import Array
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from nncli.spec import Spec, parse_spec
from nncli.training.trainer import Trainer
from tests.soak.kills import ending

SPEC = """
name: little
seed: 3
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2]]
    targets: [0, 1, 0, 1, 0, 1, 0]
network:
  - {type: dense, units: 12, activation: tanh}
  - {type: dropout, rate: 0.4}
  - {type: dense, units: 2}
train: {eta: 0.5, epochs: 4, batch_size: 2, momentum: 0.5}
"""


def spec_of(*overrides: str) -> Spec:
    return parse_spec(SPEC, overrides=overrides)


def state_of(training: nncli.Training) -> bytes:
    return training.network.parameters.tobytes()


@pytest.mark.parametrize("at", [2, 3, 5, 8, 13])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_resumed_training_ends_as_an_undisturbed_one(
    at: int, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nncli.training.trainer.PROGRESS_INTERVAL", -1.0
    )  # an event after every step
    spec, left = spec_of(f"dtype={dtype}"), iter(range(at - 1, -1, -1))

    def interrupt(event: object, trainer: object) -> None:
        if next(left, None) == 0:
            raise InterruptedTraining("stop")

    whole = nncli.train(spec, out=tmp_path / "whole")
    with pytest.raises(InterruptedTraining):
        nncli.train(spec, out=tmp_path / "run", on_event=interrupt)
    resumed = nncli.resume(tmp_path / "run")
    assert state_of(resumed) == state_of(whole)
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


def test_the_seed_decides_what_is_drawn() -> None:
    one, again, other = (nncli.train(spec_of(*more)) for more in ((), (), ("seed=4",)))
    assert state_of(one) == state_of(again) != state_of(other)
    without = nncli.train(spec_of("network[1].rate=0"))
    assert state_of(without) != state_of(one)


@pytest.mark.parametrize("number", [1, 4, 6, 9])
def test_a_step_is_inspected_with_the_mask_that_training_drew(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nncli.training.trainer.PROGRESS_INTERVAL", -1.0)
    masks: list[Array] = []

    def keep(event: object, trainer: Trainer) -> None:
        step = trainer._runner.workspace(
            1 if trainer.steps_taken % 4 == 0 else 2
        )  # 7 samples, 2 at a time
        if len(masks) < trainer.steps_taken:
            masks.append(step.layers[1].recorded["mask"].T.copy())

    nncli.train(spec_of(), on_event=keep)
    trace = nncli.trace_step(spec_of(), samples=None, step=number)
    assert np.array_equal(trace.layers[1].recorded["mask"], masks[number - 1])
    assert len({mask.tobytes() for mask in masks}) > 8


def test_a_run_is_inspected_as_it_would_go_on(tmp_path: Path) -> None:
    nncli.train(spec_of("train.epochs=2"), out=tmp_path / "run")
    trace = nncli.trace_step(tmp_path / "run", samples=None, step=3)
    from_the_start = nncli.trace_step(spec_of(), samples=None, step=2 * 4 + 3)
    for ours, theirs in zip(trace.layers, from_the_start.layers, strict=True):
        assert np.array_equal(ours.a, theirs.a)
    assert np.array_equal(
        trace.layers[1].recorded["mask"], from_the_start.layers[1].recorded["mask"]
    )


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_draw_what_one_draws(threads: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.standard_normal((60, 5)), y=rng.integers(0, 2, 60))
    more = (f"data.train={tmp_path / 'a.npz'}", "train.batch_size=15", "dtype=float64")
    alone, shared = (nncli.train(spec_of(*more, f"train.threads={n}")) for n in (1, threads))
    difference = np.abs(alone.network.parameters - shared.network.parameters).max()
    assert difference < 1e-12, "nothing but the order of sums is another"


def test_what_is_evaluated_and_predicted_leaves_nothing_out(tmp_path: Path) -> None:
    training = nncli.train(spec_of("dtype=float64"), out=tmp_path / "run")
    opened = open_spec_or_run(tmp_path / "run")
    network, data = opened.prepared.network, opened.prepared.data.train
    by_hand = Step(network, sgd(network), 7, is_training=False)
    data.gather(data.index, by_hand.inputs, by_hand.targets)
    cost = by_hand.forward()
    assert training.history[-1].train_cost_after == pytest.approx(cost, rel=1e-14)
    assert nncli.evaluate(tmp_path / "run").assessment.cost == pytest.approx(cost, rel=1e-14)
    (tmp_path / "x.csv").write_text("0,1\n1,0\n")
    predicted = nncli.predict(tmp_path / "run", tmp_path / "x.csv")
    np.testing.assert_allclose(predicted.outputs, by_hand.outputs[:2], rtol=1e-14)
