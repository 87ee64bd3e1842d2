"""Conditions while a training goes on, against one that takes its steps one by one."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

import numpy as np
import pytest

from nncli.app.pipeline import prepare, start_workers
from nncli.app.records import Prepared
from nncli.app.train import make_trainer
from nncli.nn.optimizers import Optimizer
from nncli.nn.recorder import record_trace
from nncli.nn.trace import Trace
from nncli.spec import parse_spec
from nncli.training import step_recorder
from nncli.training import trainer as trainer_module
from nncli.training import watch as watch_module
from nncli.training.conditions import Failure
from nncli.training.history import Divergence, Epoch
from nncli.training.steps import StepRunner
from nncli.training.trace_times import Traced, TraceTimes
from nncli.training.trainer import Trainer

DATA = """
seed: 3
data:
  train: {inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2]],
          targets: [0, 1, 0, 1, 0, 1, 0]}
"""
DENSE = f"""{DATA}
network:
  - {{type: dense, units: 5, activation: relu}}
  - {{type: dense, units: 2, activation: sigmoid}}
train: {{eta: 0.5, epochs: 9, batch_size: 2, momentum: 0.5}}
"""
IMAGES = """
seed: 1
data: {train: {inputs: [[1, 2, 3, 4], [2, 1, 4, 3], [4, 3, 2, 1], [3, 4, 1, 2], [1, 1, 2, 2]],
               targets: [0, 1, 0, 1, 0]}, shape: [1, 2, 2], scale: 4}
network:
  - {type: maxpool, size: 1}
  - {type: conv, filters: 2, kernel: 1, activation: relu}
  - {type: batchnorm}
  - {type: dropout, rate: 0.2}
  - {type: dense, units: 2, activation: softmax}
train: {eta: 0.2, epochs: 5, batch_size: 2, cost: cross_entropy}
"""


def prepared(text: str, *overrides: str, expect: str = "[]", stop_at: str = "[]") -> Prepared:
    more = [f"expect={expect}", f"break={stop_at}"]
    return prepare(parse_spec(text, overrides=[*overrides, *more]))


def run(p: Prepared) -> tuple[Trainer, list[Failure]]:
    with start_workers(p) as workers:
        trainer = make_trainer(p, workers)
        return trainer, [e for e in trainer.events() if isinstance(e, Failure)]


Measure = Callable[[Trace], float]


def one_by_one(p: Prepared) -> Iterator[tuple[int, Trace]]:
    """Every step's own record."""
    runner = StepRunner(p.network, Optimizer(p.network, p.links), p.plan, p.data.train)
    index = p.data.train.index
    last = p.plan.steps_left(len(index))
    for number, (eta, rows) in zip(count(1), p.plan.steps(index), strict=False):
        if number > last:
            return
        start = runner.start()
        step, cost = runner.run(rows, eta, number, full=True)
        samples = np.searchsorted(index, rows).tolist()
        yield number, record_trace(step, eta=eta, cost=cost, start=start, samples=samples)


@cache
def records(spec: str) -> dict[int, Trace]:
    return dict(one_by_one(prepared(spec)))


def layer(trace: Trace, name: str) -> Any:
    return next(x for x in trace.layers if x.name == name)


def root(array: Any) -> float:
    return math.sqrt(math.fsum(x * x for x in np.ravel(array).tolist()))


def dead(trace: Trace) -> float:
    slope = layer(trace, "dense1").sigma_prime
    return sum(bool((slope[:, unit] == 0).all()) for unit in range(slope.shape[1])) / 5


NUMBERS: dict[str, tuple[str, Measure]] = {
    "cost": (DENSE, lambda t: t.cost_before),
    "dense1.delta_norm": (DENSE, lambda t: root(layer(t, "dense1").delta)),
    "dense2.weight_gradient_norm": (DENSE, lambda t: root(layer(t, "dense2").weight_gradient)),
    "dense2.weight_norm": (DENSE, lambda t: root(layer(t, "dense2").weight_new)),
    "dense1.relative_update": (
        DENSE,
        lambda t: root(layer(t, "dense1").weight_update) / root(layer(t, "dense1").weight_new),
    ),
    "dense1.dead": (DENSE, dead),
    "max(abs(dense2.z))": (DENSE, lambda t: float(np.abs(layer(t, "dense2").z).max())),
    "min(dense1.delta)": (DENSE, lambda t: float(layer(t, "dense1").delta.min())),
    "norm(dense1.downstream)": (DENSE, lambda t: root(layer(t, "dense1").downstream)),
    "gradient_norm": (
        DENSE,
        lambda t: math.hypot(
            *(root(x) for y in t.layers for x in (y.weight_gradient, y.bias_gradient))
        ),
    ),
    "cost * dense1.delta_norm - mean(dense1.a)": (
        DENSE,
        lambda t: (
            t.cost_before * root(layer(t, "dense1").delta) - float(layer(t, "dense1").a.mean())
        ),
    ),
    "conv1.weight_update_norm": (IMAGES, lambda t: root(layer(t, "conv1").weight_update)),
    "sum(dropout1.mask)": (IMAGES, lambda t: float(layer(t, "dropout1").quantity("mask").sum())),
    "norm(batchnorm1.through_mean)": (
        IMAGES,
        lambda t: root(layer(t, "batchnorm1").quantity("through_mean")),
    ),
    "norm(maxpool1.downstream)": (IMAGES, lambda t: root(layer(t, "maxpool1").downstream)),
    "norm(maxpool1.upstream)": (IMAGES, lambda t: root(layer(t, "maxpool1").upstream)),
}


@pytest.mark.parametrize("block", [pytest.param(1, marks=pytest.mark.slow), 3, 512])
@pytest.mark.parametrize("text", NUMBERS)
def test_a_condition_fails_at_the_steps_at_which_it_does(
    text: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is kept at once; the last mini-batch of an epoch is smaller than the others."""
    monkeypatch.setattr(step_recorder, "BLOCK", block)
    spec, measure = NUMBERS[text]
    values = np.array([measure(trace) for trace in records(spec).values()])
    middle = float(np.median(values))
    threshold = (middle + float(values[values > middle].min())) / 2  # no value is near it
    trainer, found = run(prepared(spec, expect=f"['{text} < {threshold!r}']"))
    assert trainer.watch is not None
    (outcome,) = trainer.watch.outcomes()
    failed = np.flatnonzero(values >= threshold) + 1
    assert (outcome.checks, outcome.failures) == (len(values), len(failed))
    assert [failure.step for failure in found] == [failed[0]]
    assert found[0] == outcome.first
    if len(found[0].terms) == 1:
        assert found[0].terms[0].value == pytest.approx(values[failed[0] - 1], rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 700])
def test_arrays_are_read_in_parts(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a step, or of some of those that were kept, and the last part is shorter."""
    of_dense = {text: measure for text, (spec, measure) in NUMBERS.items() if spec is DENSE}
    middle = {
        text: float(np.median([measure(trace) for trace in records(DENSE).values()]))
        for text, measure in of_dense.items()
    }
    entries = json.dumps([f"{text} < {value!r}" for text, value in middle.items()])
    found = {}
    for size in (chunk, 2**20):
        monkeypatch.setattr(step_recorder, "CHUNK_BYTES", size)
        trainer, failures = run(prepared(DENSE, expect=entries))
        found[size] = (failures, trainer.outcomes())
    assert len(found[chunk][0]) == len(of_dense)
    assert found[chunk] == found[2**20]


@pytest.mark.parametrize("large", [0, 2**14])
def test_large_arrays_have_their_norms_taken_at_once(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_recorder, "LARGE", large)
    for key in ("weight_gradient", "weight_update"):
        for name in ("dense1", "dense2"):
            values = [root(getattr(layer(t, name), key)) for t in records(DENSE).values()]
            ordered = sorted(values)
            threshold = (ordered[9] + ordered[10]) / 2
            text = f"['{name}.{key}_norm < {threshold!r}']"
            trainer, _ = run(prepared(DENSE, expect=text))
            assert trainer.watch is not None
            assert trainer.watch.outcomes()[0].failures == len(values) - 10


@pytest.mark.parametrize("block", [2, 512])
def test_when_it_is_looked_at(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """after, for and every, of conditions that are looked at in one training."""
    monkeypatch.setattr(step_recorder, "BLOCK", block)
    costs = [trace.cost_before for trace in records(DENSE).values()]
    threshold = float(np.median(costs)) * 1.0001
    options = [(a, f, e) for a in (0, 7) for f in (1, 3) for e in (1, 2, 5)]
    entries = [
        f"{{that: 'cost < {threshold!r}', after: {a}, for: {f}, every: {e}}}" for a, f, e in options
    ]
    trainer, _ = run(prepared(DENSE, expect=f"[{', '.join(entries)}]"))
    assert trainer.watch is not None
    for (after, wanted, every), outcome in zip(options, trainer.watch.outcomes(), strict=True):
        in_a_row, failed = 0, []
        looks = [k for k in range(1, len(costs) + 1) if k > after and k % every == 0]
        for k in looks:
            in_a_row = in_a_row + 1 if not costs[k - 1] < threshold else 0
            if in_a_row >= wanted:
                failed.append(k)
        first = None if outcome.first is None else outcome.first.step
        assert (outcome.checks, outcome.failures, first) == (
            len(looks),
            len(failed),
            failed[0] if failed else None,
        )


def equal(a: Trace, b: Trace) -> None:
    """To the bit."""
    assert (a.samples, a.eta, a.cost_before, a.cost_after) == (
        b.samples,
        b.eta,
        b.cost_before,
        b.cost_after,
    )
    for x, y in zip(a.layers, b.layers, strict=True):
        for key in ("input", "z", "a", "upstream", "sigma_prime", "delta", "weight", "weight_new"):
            one, other = x.quantity(key), y.quantity(key)
            assert (one is None) == (other is None)
            assert one is None or one.tobytes() == other.tobytes(), (x.name, key)  # type: ignore[union-attr]
        for key, array in x.recorded.items():
            assert array.tobytes() == y.recorded[key].tobytes()


@pytest.mark.parametrize("spec", [DENSE, IMAGES], ids=["dense", "images"])
@pytest.mark.parametrize("block", [1, 4, 512])
def test_a_training_stops_where_it_is_to_with_the_record_of_that_step(
    spec: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_recorder, "BLOCK", block)
    trainer, found = run(prepared(spec, stop_at="[step >= 11]"))
    (failure,) = found
    assert failure.trace is not None
    assert (failure.step, failure.key, trainer.steps_taken) == (11, "break", 11)
    equal(failure.trace, records(spec)[11])
    one = prepared(spec)
    for number, _ in one_by_one(one):
        if number == 11:
            break
    assert trainer.network.parameters.tobytes() == one.network.parameters.tobytes()
    assert trainer.watch is not None
    assert trainer.watch.outcomes()[0].checks == 11  # those behind it are forgotten again


def test_a_step_that_is_kept_leaves_the_training_as_it_was() -> None:
    plain, _ = run(prepared(DENSE))
    entries = "[{that: step < 6, do: trace}, {that: step < 13, do: page}, {that: step < 30}]"
    trainer, found = run(prepared(DENSE, expect=entries))
    assert [failure.step for failure in found] == [6, 13, 30]
    assert found[0].trace is not None
    assert found[1].trace is not None
    assert found[2].trace is None
    equal(found[0].trace, records(DENSE)[6])
    equal(found[1].trace, records(DENSE)[13])
    assert trainer.network.parameters.tobytes() == plain.network.parameters.tobytes()
    assert trainer.watch is not None
    assert [o.failures for o in trainer.watch.outcomes()] == [31, 24, 7]


@pytest.mark.parametrize("spec", [DENSE, IMAGES], ids=["dense", "images"])
def test_what_is_read_of_other_steps_is_theirs_whatever_was_kept(spec: str) -> None:
    """The measures of an epoch, and steps that are to be recorded, behind one taken once more."""
    times = TraceTimes(every=5)
    plain, kept = (
        [*_recorded(prepared(spec, expect=expect), times)]
        for expect in ("[]", "[{that: step < 2, do: trace}, {that: step < 7, do: trace}]")
    )
    assert len(plain) == len(kept) > 5
    for one, other in zip(plain, kept, strict=True):
        if isinstance(one, Epoch):
            assert isinstance(other, Epoch)
            assert replace(one, train_seconds=0) == replace(other, train_seconds=0)
        else:
            assert not isinstance(other, Epoch)
            assert one[0] == other[0]
            equal(one[1], other[1])


def _recorded(p: Prepared, times: TraceTimes) -> Iterator[Epoch | tuple[int, Trace]]:
    trainer = make_trainer(p, start_workers(p))
    trainer.trace_times = times
    for event in trainer.events():
        if isinstance(event, Epoch):
            yield event
        elif isinstance(event, Traced):
            yield event.step, event.trace()


@pytest.mark.parametrize("kind", ["units", "samples"])
def test_several_threads(kind: str) -> None:
    """Their sums have other last bits; the steps are the same ones, and stop at the same place."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(150, 64)).round(2), rng.integers(0, 2, 150)
    first = "{type: dense, units: 64}" if kind == "units" else "{type: conv, filters: 2, kernel: 3}"
    spec = (
        f"data: {{train: {{inputs: {inputs.tolist()}, targets: {targets.tolist()}}}"
        f"{', shape: [1, 8, 8]' if kind == 'samples' else ''}}}\n"
        f"network: [{first}, {{type: dense, units: 2}}]\n"
        "train: {eta: 0.1, epochs: 3, batch_size: 64}\n"
    )
    name = "dense1" if kind == "units" else "conv1"
    entries = f"[{name}.delta_norm < 1e-9, '{name}.dead < 1', '{name}.weight_gradient_norm < 1e-9']"
    results = []
    for threads in (1, 2):
        p = prepared(spec, f"train.threads={threads}", expect=entries, stop_at="step == 5")
        trainer, found = run(p)
        assert trainer.steps_taken == 5
        (stop,) = [failure for failure in found if failure.key == "break"]
        assert stop.trace is not None
        assert trainer.watch is not None
        results.append((trainer.watch.outcomes(), stop.trace))
    (one, trace), (two, other) = results
    for a, b in zip(one, two, strict=True):
        assert (a.checks, a.failures, a.held) == (b.checks, b.failures, b.held)
        if a.first is not None and a.first.terms[0].value is not None:
            assert b.first is not None
            assert b.first.terms[0].value == pytest.approx(a.first.terms[0].value, rel=1e-4)
            assert b.first.terms[0].sample == a.first.terms[0].sample
    assert trace.samples == other.samples
    np.testing.assert_allclose(trace.layers[0].delta, other.layers[0].delta, rtol=1e-3, atol=1e-7)  # type: ignore[arg-type]


def test_the_unit_and_the_sample_of_what_failed() -> None:
    trace = records(DENSE)[1]
    delta = np.abs(layer(trace, "dense1").delta)
    place, unit = np.unravel_index(delta.argmax(), delta.shape)
    _, found = run(prepared(DENSE, expect="['max(abs(dense1.delta)) < 0', dense1.dead < 0]"))
    largest, count_dead = (failure.terms[0] for failure in found[:2])
    assert (largest.unit, largest.sample) == (unit, trace.samples[place])
    assert largest.value == pytest.approx(float(delta.max()))
    gone = np.flatnonzero((layer(trace, "dense1").sigma_prime == 0).all(axis=0)).tolist()
    assert [*count_dead.units] == gone[:3]
    assert count_dead.units_more == max(0, len(gone) - 3)


def test_only_what_decided_is_named() -> None:
    text = "['(cost < 0 or eta < 0) and epoch < 0', 'not (step > 0 and eta < 9)']"
    _, found = run(prepared(DENSE, expect=text))
    assert [[term.text for term in failure.terms] for failure in found] == [
        ["cost", "eta"],
        ["step", "eta"],
    ]


def test_numbers_that_are_none_fail() -> None:
    """0 / 0 is not below anything, and a break is not met by it."""
    text = "cost - cost < 0 / (cost - cost)"
    trainer, found = run(prepared(DENSE, expect=f"['{text}']", stop_at=f"['{text}']"))
    assert [failure.key for failure in found] == ["expect"]
    assert trainer.steps_taken == 36


def test_epochs_and_the_end() -> None:
    entries = (
        "[train_accuracy > 2, {that: train_cost < 0, at: end}, {that: epoch < 3, at: epoch}, "
        "{that: epoch < 0, at: epoch, every: 4, after: 4}, "
        "{that: train_cost_after < 0, for: 3}, {that: dense1.delta_norm < 0, at: end}]"
    )
    p = prepared(DENSE, expect=entries)
    trainer = Trainer(
        p.network,
        Optimizer(p.network, p.links),
        p.plan,
        p.data.train,
        None,
        None,
        None,
        p.conditions,
    )
    events = list(trainer.events())
    epochs = [event for event in events if isinstance(event, Epoch)]
    failures = [event for event in events if isinstance(event, Failure)]
    assert [(f.that, f.epoch, f.at) for f in failures] == [
        ("train_accuracy > 2", 1, "epoch"),
        ("epoch < 3", 3, "epoch"),
        ("train_cost_after < 0", 3, "epoch"),
        ("epoch < 0", 8, "epoch"),
        ("train_cost < 0", 9, "end"),
        ("dense1.delta_norm < 0", 9, "end"),
    ]
    assert failures[4].terms[0].value == epochs[-1].train_cost
    kept = epochs[-1].layers[0].delta_norm
    assert failures[5].terms[0].value == pytest.approx(kept, rel=1e-6)
    assert trainer.watch is not None
    assert [o.checks for o in trainer.watch.outcomes()] == [9, 1, 9, 1, 9, 1]


def test_a_break_at_an_epoch_has_its_last_step() -> None:
    trainer, (failure,) = run(prepared(DENSE, stop_at="[{that: epoch == 2, at: epoch}]"))
    assert failure.trace is not None
    assert (failure.step, trainer.epoch, trainer.samples) == (8, 2, 0)
    equal(failure.trace, records(DENSE)[8])


def test_a_divergence_is_told_as_ever_and_what_failed_before_it() -> None:
    sick = ("train.eta=1e9", "network[1].activation=identity")
    p = prepared(DENSE, *sick, expect="[step < 1]", stop_at="[step == 99]")
    trainer = make_trainer(p, start_workers(p))
    events = [e for e in trainer.events() if isinstance(e, Failure | Divergence)]
    assert [type(event) for event in events] == [Failure, Divergence]
    assert [outcome.held for outcome in trainer.outcomes()] == [False, True]
    plain = prepared(DENSE, *sick)
    last = [*make_trainer(plain, start_workers(plain)).events()][-1]
    assert last == events[-1]


def test_a_training_goes_on_with_its_counts() -> None:
    entries = "[{that: cost < 0, for: 20, after: 3}, {that: step < 12}, healthy]"
    whole, found = run(prepared(DENSE, expect=entries))
    assert whole.watch is not None
    assert found[0].step == 12
    first = prepared(DENSE, expect=entries)
    trainer = make_trainer(first, start_workers(first))
    for event in trainer.events():
        if isinstance(event, Epoch) and event.epoch == 5:
            state = trainer.state()
            break
    again = prepared(DENSE, expect=entries)
    rest = make_trainer(again, start_workers(again))
    rest.restore(state)
    failures = [event for event in rest.events() if isinstance(event, Failure)]
    assert [failure.step for failure in failures] == [23]  # 12 was told before
    assert rest.watch is not None
    assert rest.watch.outcomes() == whole.watch.outcomes()


def test_a_break_is_met_again_once_it_was_not() -> None:
    """It stops where it begins to hold: a training that goes on there would not get further."""
    costs = [trace.cost_before for trace in records(DENSE).values()]
    threshold = float(np.median(costs)) * 1.0001
    below = [cost < threshold for cost in costs]
    begins = [k + 1 for k in range(len(below)) if below[k] and not (k and below[k - 1])]
    assert len(begins) > 2
    p = prepared(DENSE, stop_at=f"['cost < {threshold!r}']")
    trainer = make_trainer(p, start_workers(p))
    stops = []
    while True:
        failures = [event for event in trainer.events() if isinstance(event, Failure)]
        if not failures:
            break
        stops.append(failures[0].step)
    assert stops == begins


@pytest.mark.parametrize("interval", [0.0, 9.0])
def test_states_that_are_saved_before_a_break_is_noticed(
    interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a checkpoint does between two steps: the break is met all the same, and where it is."""
    monkeypatch.setattr(watch_module, "LOOK_INTERVAL", interval)
    monkeypatch.setattr(trainer_module, "PROGRESS_INTERVAL", 0.0)
    p = prepared(DENSE, expect="[{that: step < 9, do: page}]", stop_at="step == 10")
    trainer = make_trainer(p, start_workers(p))
    found = []
    for event in trainer.events():
        if isinstance(event, Failure):
            found.append(event)
        else:
            trainer.sound_state()
    assert [failure.step for failure in found] == [9, 10]
    for failure in found:
        assert failure.trace is not None
        equal(failure.trace, records(DENSE)[failure.step])
    assert trainer.steps_taken == 10
    assert [outcome.checks for outcome in trainer.outcomes()] == [10, 10]


def test_a_training_that_is_left_between_two_looks_has_counted_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch_module, "LOOK_INTERVAL", 99.0)
    monkeypatch.setattr(trainer_module, "PROGRESS_INTERVAL", 0.0)
    p = prepared(DENSE, expect="[cost < 0]")
    trainer = make_trainer(p, start_workers(p))
    events = iter(trainer.events())
    for _ in range(3):
        next(events)
    assert trainer.outcomes()[0].failures == trainer.steps_taken == 3
    assert trainer.state().conditions[0]["failures"] == 3
