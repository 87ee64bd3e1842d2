"""The best weights of a training, and its end for want of better ones."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import nncli
from nncli.app.opening import open_run, open_spec_or_run
from nncli.core import safetensors_format
from nncli.core.errors import InterruptedTraining, RunError, SpecError
from nncli.spec import parse_spec
from nncli.spec.train import Metric
from nncli.training.best import METRICS, EarlyStop, Patience, metric_of
from nncli.training.checkpoint import pack_checkpoint
from nncli.training.history import Epoch, Progress
from nncli.training.run_files import CHECKPOINT
from nncli.training.run_reader import last_state
from nncli.training.trainer import Trainer
from tests.soak.kills import ending

# Few samples: the validation cost goes up and down.
SPEC = """
name: little
seed: 6
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2], [0, 2], [3, 1], [1, 3]]
    targets: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
  validation: 0.3
network:
  - {type: dense, units: 4}
  - {type: batchnorm}
  - {type: dense, units: 2}
train: {eta: 0.5, epochs: 12, batch_size: 4, momentum: 0.5}
"""
STOP = "train.early_stop={patience: 3}"


def train(*overrides: str, **more: Any) -> nncli.Training:
    return nncli.train(parse_spec(SPEC, overrides=overrides), **more)


class Recorder:
    """Copies of the parameters after each epoch."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.parameters: list[Any] = []
        self.interrupt_at = interrupt_at

    def __call__(self, event: Epoch | Progress, trainer: Trainer) -> None:
        if isinstance(event, Epoch):
            self.parameters.append(trainer.network.parameters.copy())
            if event.epoch == self.interrupt_at:
                raise InterruptedTraining("stop")


def first_best(values: Sequence[float | None], larger: bool) -> int:
    """The number of the first epoch with the best value."""
    known = [value for value in values if value is not None]
    return values.index((max if larger else min)(known)) + 1


@pytest.mark.parametrize("metric", [None, *METRICS], ids=["default", *METRICS])
def test_the_best_weights_are_those_after_the_best_epoch(
    metric: str | None, tmp_path: Path
) -> None:
    recorder = Recorder()
    more = [f"train.early_stop={{metric: {metric}, patience: 100}}"] if metric else []
    training = train(*more, out=tmp_path / "run", on_event=recorder)
    column = metric or "validation_cost"
    values = training.history.column(column)
    best = first_best(values, larger=column == "validation_accuracy")
    used = training.used
    assert used is not None
    assert (used.which, used.epoch, used.metric) == ("best", best, column)
    assert used.value == values[best - 1]
    run = open_run(tmp_path / "run")
    assert run.network.parameters.tobytes() == recorder.parameters[best - 1].tobytes()
    assert run.used == used
    last = open_run(tmp_path / "run", "last")
    assert last.network.parameters.tobytes() == recorder.parameters[-1].tobytes()
    assert last.network.parameters.tobytes() == training.network.parameters.tobytes()
    assert (last.used.which, last.used.epoch) == ("last", 12)


def test_the_default_differs_from_the_last_here() -> None:
    """Else the tests above and below would compare a thing with itself."""
    used = train().used
    assert used is not None
    assert used.epoch < used.last_epoch


def test_the_state_of_layers_is_kept_too(tmp_path: Path) -> None:
    train(out=tmp_path / "run")
    best, last = open_run(tmp_path / "run").network, open_run(tmp_path / "run", "last").network
    name = "batchnorm1.running_mean"
    assert not np.array_equal(best.state[name], last.state[name])
    # As a shorter training has it, which ends after the best epoch.
    used = open_run(tmp_path / "run").used
    shorter = train(f"train.epochs={used.epoch}").network
    assert best.state[name].tobytes() == shorter.state[name].tobytes()


def test_without_validation_there_are_no_best_weights(tmp_path: Path) -> None:
    training = train("data.validation=null", out=tmp_path / "run")
    assert training.used is not None
    assert (training.used.which, training.used.best_epoch) == ("last", None)
    assert "best" not in safetensors_format.read(tmp_path / "run" / CHECKPOINT)[1]
    assert open_run(tmp_path / "run").used.which == "last"
    with pytest.raises(RunError, match="keeps no best weights, only the last"):
        open_run(tmp_path / "run", "best")


def test_the_test_data_are_measured_with_the_best_weights(tmp_path: Path) -> None:
    test = "data.test={inputs: [[0, 1], [2, 0]], targets: [0, 1]}"
    training = train(test, out=tmp_path / "run")
    assert training.test is not None
    assert training.test.cost == nncli.evaluate(tmp_path / "run").assessment.cost
    assert training.test.cost != nncli.evaluate(tmp_path / "run", weights="last").assessment.cost


# Patience


def waited_by_hand(values: Sequence[float], larger: bool, min_delta: float) -> list[int]:
    """How long was waited after each epoch, as Keras' EarlyStopping counts it."""
    best, wait, found = None, 0, []
    for value in values:
        better = best is None or (value - min_delta > best if larger else value + min_delta < best)
        best, wait = (value, 0) if better else (best, wait + 1)
        found.append(wait)
    return found


@pytest.mark.parametrize("min_delta", [0.0, 0.25])
@pytest.mark.parametrize("metric", METRICS)
def test_patience_counts_epochs_without_an_improvement(metric: str, min_delta: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = (rng.integers(0, 8, 15) / 8).tolist()
        patience = Patience(EarlyStop(4, metric, min_delta))
        counted = []
        for value in values:
            patience.see([value])
            counted.append(patience.waited)
            assert patience.is_over == (patience.waited >= 4)
        assert counted == waited_by_hand(values, metric == "validation_accuracy", min_delta)


def test_a_training_ends_early() -> None:
    recorder = Recorder()
    whole, short = train(on_event=recorder), train(STOP)
    costs = [cost for cost in whole.history.column("validation_cost") if cost is not None]
    ended = waited_by_hand(costs, False, 0.0).index(3) + 1
    assert len(short.history) == ended < 12
    assert short.has_stopped_early
    assert not whole.has_stopped_early
    assert [e.train_cost for e in short.history] == [e.train_cost for e in whole.history[:ended]]
    assert short.network.parameters.tobytes() == recorder.parameters[ended - 1].tobytes()


@pytest.mark.parametrize("at", [1, 3, 5])
def test_it_goes_on_as_if_not_interrupted(at: int, tmp_path: Path) -> None:
    whole = train(STOP, out=tmp_path / "whole")
    assert at < len(whole.history)
    with pytest.raises(InterruptedTraining):
        train(STOP, out=tmp_path / "run", on_event=Recorder(at))
    done = nncli.resume(tmp_path / "run")
    assert done.has_stopped_early
    assert done.used == whole.used
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


def test_what_has_ended_early_is_done(tmp_path: Path) -> None:
    first = train(STOP, out=tmp_path / "run")
    again = nncli.resume(tmp_path / "run")
    assert len(again.history) == len(first.history)
    assert again.has_stopped_early


@pytest.mark.parametrize("change", ["null", "{patience: 100}"])
def test_it_can_go_on_with_more_patience(change: str, tmp_path: Path) -> None:
    whole = train()
    train(STOP, out=tmp_path / "run")
    done = nncli.resume(tmp_path / "run", overrides=[f"train.early_stop={change}"])
    assert done.network.parameters.tobytes() == whole.network.parameters.tobytes()
    assert done.used == whole.used
    assert not done.has_stopped_early


def test_another_metric_judges_what_is_kept(tmp_path: Path) -> None:
    train(STOP, out=tmp_path / "run")
    change = "train.early_stop={patience: 100, metric: train_cost}"
    done = nncli.resume(tmp_path / "run", overrides=[change])
    assert done.used is not None
    costs = done.history.column("train_cost")
    assert done.used.value == costs[done.used.epoch - 1] == min(c for c in costs if c is not None)


# What the training cannot be judged by


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.validation=null", STOP], "validation_cost needs data to validate on; "),
        (
            ["data.classes=none", "network[2].units=1", "train.early_stop.metric="
             "validation_accuracy"],
            "validation_accuracy needs classes, and the targets are numbers",
        ),
        (["train.early_stop={metric: validation_acuracy}"], "did you mean 'validation_accuracy'?"),
        (["train.early_stop={patients: 3}"], "unknown key 'patients'; did you mean 'patience'?"),
        (["train.early_stop=5"], "expected a mapping of keys (patience, metric, min_delta), got 5"),
    ],
)  # fmt: skip
def test_mistakes(overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        train(*overrides)
    assert message in str(caught.value)
    assert "early_stop" in str(caught.value)


def test_the_spec_knows_every_metric() -> None:
    assert set(get_args(Metric)) == set(METRICS)
    epoch = train("train.epochs=1").history[0]
    assert all(metric_of(epoch, metric) is not None for metric in METRICS)


# In the run folder


def changed(run: Path, change: Callable[[Any], Any]) -> None:
    """The checkpoint's best epoch replaced."""
    opened = open_spec_or_run(run)
    network = opened.prepared.network
    state, identity, _ = last_state(run, network)
    content = pack_checkpoint(network, state._replace(best=change(state.best)), identity)
    (run / CHECKPOINT).write_bytes(content)
    (run / f"{CHECKPOINT}.before").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "wrong",
    [{"epoch": 0}, {"epoch": 13}, {"metric": "x"}, {"value": math.nan}, {"steps_taken": 99}],
)
def test_a_damaged_mark_of_the_best_epoch(wrong: dict[str, Any], tmp_path: Path) -> None:
    train(out=tmp_path / "run")
    changed(tmp_path / "run", lambda best: best._replace(**wrong))
    with pytest.raises(RunError, match=f"damaged: .*{next(iter(wrong))} of its best epoch is "):
        open_run(tmp_path / "run")


def test_a_run_of_an_older_version_begins_to_keep_them(tmp_path: Path) -> None:
    with pytest.raises(InterruptedTraining):
        train(out=tmp_path / "run", on_event=Recorder(6))
    changed(tmp_path / "run", lambda best: None)
    assert open_run(tmp_path / "run").used.which == "last"
    done = nncli.resume(tmp_path / "run")
    assert done.used is not None
    costs = done.history.column("validation_cost")[6:]
    assert done.used.epoch == 6 + first_best(costs, larger=False)


def test_a_step_from_the_best_weights_begins_its_optimizer_anew(tmp_path: Path) -> None:
    train(out=tmp_path / "run")
    opened = open_spec_or_run(tmp_path / "run", weights="best")
    assert opened.used is not None
    trace = nncli.trace_step(opened)
    best = open_run(tmp_path / "run").network
    assert trace.layers[0].weight is not None
    assert trace.layers[0].weight.tobytes() == best.arrays()["dense1.weight"].tobytes()
    assert any("the optimizer begins anew" in note for note in opened.all_notes)
    velocity = trace.layers[0].optimizer
    assert velocity


# η by what epochs come to


PLATEAU = "train.schedule={type: plateau, patience: 1, factor: 0.5}"


def test_a_plateau_lowers_eta_and_is_the_same_after_interruptions(tmp_path: Path) -> None:
    whole = train(PLATEAU, out=tmp_path / "whole")
    etas = whole.history.column("eta")
    assert len(set(etas)) > 2
    for at in (3, 8):
        with pytest.raises(InterruptedTraining):
            train(PLATEAU, out=tmp_path / f"run{at}", on_event=Recorder(at))
        opened = open_spec_or_run(tmp_path / f"run{at}")
        assert nncli.trace_step(opened, samples=None).eta == etas[at]
        done = nncli.resume(tmp_path / f"run{at}")
        assert done.history.column("eta") == etas
        assert ending(tmp_path / f"run{at}") == ending(tmp_path / "whole")


def test_two_trainings_of_one_plan_do_not_share_what_they_have_seen() -> None:
    prepared = nncli.prepare(parse_spec(SPEC, overrides=[PLATEAU]))
    start = prepared.network.parameters.copy()
    first = nncli.train(prepared).history.column("eta")
    prepared.network.parameters[...] = start
    for name, array in prepared.network.state.items():
        array[...] = 1 if "variance" in name else 0
    assert nncli.train(prepared).history.column("eta") == first


def test_a_plateau_needs_what_it_goes_by() -> None:
    with pytest.raises(SpecError, match=r"schedule.metric: validation_cost needs data to validate"):
        train("data.validation=null", PLATEAU)


@pytest.mark.parametrize("kind", ["one_cycle", "linear"])
def test_a_rise_that_was_planned_is_not_told(kind: str, tmp_path: Path) -> None:
    schedule = f"train.schedule={{type: {kind}}}"
    with pytest.raises(InterruptedTraining):
        train(schedule, out=tmp_path / "run", on_event=Recorder(2))
    notes: list[str] = []
    nncli.resume(tmp_path / "run", on_warning=notes.append)
    assert notes == []
