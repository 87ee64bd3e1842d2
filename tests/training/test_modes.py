"""Layers with two modes, and those that keep a state.

What a training draws and keeps, its resumption, its inspection and its threads draw and keep too,
and a trained network is evaluated in evaluation mode.
"""

from pathlib import Path

import numpy as np
import pytest

import nncli
from nncli.app.opening import open_spec_or_run
from nncli.core.errors import DivergedError, InterruptedTraining, NncliError, RunError, SpecError
from nncli.inspection.findings import why
from nncli.nn.arrays import Array
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from nncli.spec import Spec, parse_spec
from nncli.training.checkpoint import pack_checkpoint, read_checkpoint
from nncli.training.run_files import CHECKPOINT
from nncli.training.trainer import Trainer
from tests.conftest import mostly_slow
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


NORM = (
    "network=[{type: dense, units: 5, activation: tanh}, {type: batchnorm}, "
    "{type: dense, units: 2}]"
)
EIGHT = (
    "data.train={inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2], [3, 1]], "
    "targets: [0, 1, 0, 1, 0, 1, 0, 1]}"
)
BATCHNORM = (NORM, EIGHT, "train.batch_size=4")
KINDS = pytest.mark.parametrize("kind", [(), BATCHNORM], ids=["dropout", "batchnorm"])


def spec_of(*overrides: str) -> Spec:
    return parse_spec(SPEC, overrides=overrides)


def state_of(training: nncli.Training) -> bytes:
    """All that a trained network is, its layers' state included."""
    network = training.network
    return b"".join(array.tobytes() for array in (network.parameters, *network.state.values()))


@KINDS
@pytest.mark.parametrize("at", mostly_slow([2, 3, 5, 7], 2))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_resumed_training_ends_as_an_undisturbed_one(
    at: int, dtype: str, kind: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nncli.training.trainer.PROGRESS_INTERVAL", -1.0
    )  # an event after every step
    spec, left = spec_of(f"dtype={dtype}", *kind), iter(range(at - 1, -1, -1))

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
    longer = "train.epochs=3"
    going_on = open_spec_or_run(tmp_path / "run", [longer])
    trace = nncli.trace_step(going_on, samples=None, step=3)
    from_the_start = nncli.trace_step(spec_of(longer), samples=None, step=2 * 4 + 3)
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


# --- What layers keep ----------------------------------------------------------------------------


def test_a_run_folder_holds_what_layers_keep(tmp_path: Path) -> None:
    training = nncli.train(spec_of(*BATCHNORM), out=tmp_path / "run")
    state = training.network.state
    assert state["batchnorm1.batches"] == 4 * 2
    opened = open_spec_or_run(tmp_path / "run")
    assert opened.prepared.network.copy_state().keys() == state.keys()
    for name, array in opened.prepared.network.state.items():
        assert array.dtype == state[name].dtype
        assert np.array_equal(array, state[name])


@pytest.mark.parametrize("format", ["safetensors", "npz", "run"])
def test_a_training_begins_with_the_state_of_a_file(format: str, tmp_path: Path) -> None:
    trained = nncli.train(spec_of(*BATCHNORM), out=tmp_path / "run")
    source = tmp_path / "run"
    if format != "run":
        source = tmp_path / f"w.{format}"
        nncli.export(tmp_path / "run", format, output=source)
    begun = nncli.train(spec_of(*BATCHNORM, f"train.init_from={source}", "train.epochs=1"))
    assert begun.network.state["batchnorm1.batches"] == 4 * 2 + 2
    again = nncli.train(spec_of(*BATCHNORM, "train.epochs=1"))
    assert state_of(again) != state_of(begun) != state_of(trained)


def test_a_run_is_evaluated_and_predicts_by_what_it_has_kept(tmp_path: Path) -> None:
    training = nncli.train(spec_of(*BATCHNORM, "dtype=float64"), out=tmp_path / "run")
    network = training.network
    weights = network.named(network.parameters)
    x = np.array([[0.0, 1.0], [5.0, -2.0]])
    hidden = np.tanh(x @ weights["dense1.weight"] + weights["dense1.bias"])
    state = network.state_of("batchnorm1")
    normalised = (hidden - state["running_mean"]) / np.sqrt(state["running_variance"] + 1e-5)
    scaled = normalised * weights["batchnorm1.weight"] + weights["batchnorm1.bias"]
    z = scaled @ weights["dense2.weight"] + weights["dense2.bias"]
    (tmp_path / "x.csv").write_text("0,1\n5,-2\n")
    predicted = nncli.predict(tmp_path / "run", tmp_path / "x.csv")
    np.testing.assert_allclose(predicted.outputs, 1 / (1 + np.exp(-z)), rtol=1e-12)
    cost = nncli.evaluate(tmp_path / "run").assessment.cost
    assert cost == pytest.approx(training.history[-1].train_cost_after, rel=1e-12)


@pytest.mark.parametrize(
    "override", ["train.batch_size=1", "train.batch_size=7"], ids=["all", "the last"]
)
def test_a_mini_batch_of_one_is_refused(override: str) -> None:
    with pytest.raises(SpecError) as caught:
        nncli.train(spec_of(*BATCHNORM, override))
    (message,) = caught.value.problems
    assert "train.batch_size: batchnorm1 normalises each unit by its variance" in message
    assert "make one of 1" in message


def test_one_sample_is_refused_for_inspection() -> None:
    with pytest.raises(NncliError, match="choose several, as --samples 0,1,2"):
        nncli.trace_step(spec_of(*BATCHNORM), samples=(0,))
    assert len(nncli.trace_step(spec_of(*BATCHNORM)).samples) > 1  # the mini-batch, unasked
    assert nncli.trace_step(spec_of()).samples == (0,)
    trace = nncli.trace_step(spec_of(*BATCHNORM), samples=(0, 3))
    assert trace.layers[1].recorded["mean"].shape == (5,)


@KINDS
def test_a_divergence_is_replayed_with_what_was_drawn_and_kept(kind: tuple[str, ...]) -> None:
    spec = spec_of(*kind, "train.eta=1.5", "network[2].activation=identity", "dtype=float64")
    with pytest.raises(DivergedError) as caught:
        nncli.train(spec)
    divergence = caught.value.divergence
    assert len(divergence.last_steps) > 2
    for step in divergence.last_steps:
        trace = nncli.trace_step(spec, samples=None, step=step.step)
        assert step.cost == trace.cost_before


def test_a_checkpoint_without_the_state_is_refused(tmp_path: Path) -> None:
    training = nncli.train(spec_of(*BATCHNORM), out=tmp_path / "run")
    state, identity = read_checkpoint(tmp_path / "run" / CHECKPOINT, training.network)
    content = pack_checkpoint(training.network, state._replace(network_state={}), identity)
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(RunError, match=r"holds no batchnorm1\.running_mean"):
        read_checkpoint(tmp_path / "other", training.network)


def test_the_summary_counts_parameters_and_state() -> None:
    made = nncli.summary(spec_of(*BATCHNORM))
    norm = made.layers[1]
    assert (norm.name, norm.parameters) == ("batchnorm1", 2 * 5)
    assert norm.state_shapes == {"running_mean": (5,), "running_variance": (5,), "batches": ()}
    assert made.layers[0].state_shapes == {}
    assert made.parameters == 2 * 5 + 5 + 2 * 5 + 5 * 2 + 2


def test_samples_that_pushed_a_scale() -> None:
    trace = nncli.trace_step(spec_of(*BATCHNORM, "dtype=float64"), samples=None)
    layer = trace.layers[1]
    found = why(trace, layer, (3,))
    assert layer.weight_gradient is not None
    assert found.total == pytest.approx(-trace.eta * layer.weight_gradient[3], rel=1e-12)
    assert len(found.contributions) == 4
