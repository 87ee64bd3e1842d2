"""The numbers and the rules of a diagnosis, each against something independent."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.inspection.diagnosis import course, samples, start
from nncli.inspection.diagnosis.baselines import (
    baselines,
    brief_baselines,
    fit_linear,
    relation,
)
from nncli.inspection.diagnosis.causes import CAUSES
from nncli.inspection.diagnosis.measures import data_facts, layer_states, result_of
from nncli.inspection.diagnosis.ranking import Trial, findings, suspects
from nncli.inspection.diagnosis.record import (
    Baselines,
    Course,
    Cure,
    DataFacts,
    Evidence,
    Giveaway,
    Held,
    LayerFacts,
    LayerState,
    Outlier,
    Result,
    Settings,
    Suspicion,
)
from nncli.nn.layers import Dense
from nncli.nn.network import build_network
from nncli.nn.step import Step

WORDS = {
    *("vanishing_signal", "exploding_signal", "dead_units", "saturated_units", "eta_too_large"),
    *("eta_too_small", "input_scale", "constant_inputs", "output_range", "cost_mismatch"),
    *("labels_unrelated", "class_imbalance", "overfitting", "underfitting", "symmetric_start"),
    *("diverged", "constant_targets", "unseen_class", "giveaway", "seen_samples"),
    *("unread_inputs", "frozen_layers", "schedule", "early_stop", "clipping", "weight_decay"),
    *(
        "heavy_target",
        "other_inputs",
        "contrary_targets",
        "dropout",
        "class_weights",
        "small_batch",
        "target_scale",
    ),
}


def test_the_table_has_the_words_that_scripts_rely_on() -> None:
    assert {cause.word for cause in CAUSES} == WORDS


# Measures


def test_facts_of_the_samples() -> None:
    x = np.array([[1.0, 300.0, 7.0], [3.0, 300.0, 7.0], [-1.0, 300.0, 8.0]])
    facts = data_facts(x, np.eye(3)[[0, 0, 1]], classes=True)
    assert (facts.samples, facts.inputs, facts.constant, facts.outlier) == (3, 3, 1, None)
    assert facts.class_shares == pytest.approx((2 / 3, 1 / 3, 0))
    assert facts.smallest_rms == pytest.approx(np.sqrt(11 / 3))
    assert facts.largest_rms == pytest.approx(np.sqrt((49 + 49 + 64) / 3))
    assert facts.offset == pytest.approx(np.mean([7, 7, 8]) / np.std([7, 7, 8]))


@pytest.mark.parametrize(("value", "is_one"), [(1e9, True), (-1e9, True), (1e3, False)])
def test_a_number_beyond_all_others(value: float, is_one: bool) -> None:
    y = np.linspace(-1, 1, 9).reshape(-1, 1)
    y[4] = value
    found = data_facts(np.ones((9, 2)), y, classes=False).outlier
    assert (found is not None) == is_one
    if found is not None:
        assert found == (4, "target", value, 1.0)


def step_of(layers: list[Dense], x: Any, y: Any, cost: str = "quadratic") -> Step:
    network = build_network(layers, x.shape[1:], cost, np.float64, np.random.default_rng(1))
    step = Step(network, None, len(x), differentiable=True)
    step.inputs[...], step.targets[...] = x, y
    step.differentiate(full=True)
    return step


def test_layers_of_a_step() -> None:
    """Against the same network in plain NumPy."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 1))
    step = step_of([Dense(units=4, activation="tanh"), Dense(units=1, activation="identity")], x, y)
    first, last = layer_states(step, classes=False)
    w, v = (layer.parameters["weight"] for layer in step.layers)
    z = x @ w
    a = np.tanh(z)
    error = a @ v - y
    delta = error @ v.T * (1 - a**2)
    assert first.z_rms == pytest.approx(np.sqrt(np.mean(z**2)))
    assert first.spread == pytest.approx(a.std(axis=0).mean())
    assert first.delta_norm == pytest.approx(np.linalg.norm(delta) / np.sqrt(20))
    assert last.delta_norm == pytest.approx(np.linalg.norm(error) / np.sqrt(20))
    assert first.gradient_norm == pytest.approx(np.linalg.norm(x.T @ delta / 20))
    wrong = np.abs(error[:, 0]) > 0.5 * y.std()
    assert first.saturated == pytest.approx(np.mean(1 - a[wrong] ** 2 < 0.01))
    assert not first.identical
    assert not last.identical  # a single unit has none to be equal to


def test_dead_units_are_those_off_for_every_sample() -> None:
    x = np.abs(np.random.default_rng(0).standard_normal((12, 2)))
    weights = np.array([[-1.0, 1.0, -1.0, 0.5], [-2.0, 1.0, -0.5, -0.5]])
    dense = Dense(units=4, activation="relu", weights=weights)
    step = step_of([dense, Dense(units=1, activation="identity")], x, np.ones((12, 1)))
    assert layer_states(step, classes=False)[0].dead == 0.5


def test_right_answers_are_no_saturation() -> None:
    """Sigmoid outputs at 20 and -20: saturated, and right for one half of the samples."""
    x = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    y = np.array([[1.0, 0.0]] * 4)
    dense = Dense(units=2, activation="sigmoid", weights=np.array([[20.0, -20.0]]))
    assert layer_states(step_of([dense], x, y), classes=True)[0].saturated == 1
    assert layer_states(step_of([dense], x[:2], y[:2]), classes=True)[0].saturated == 0


def test_results() -> None:
    y = np.eye(2)[[0, 0, 0, 1]]
    right = result_of(y, y, classes=True)
    assert (right.skill, right.mse, right.accuracy, right.recalls) == (1, 0, 1, (1, 1))
    majority = result_of(np.eye(2)[[0, 0, 0, 0]], y, classes=True)
    assert (majority.accuracy, majority.recalls, majority.balanced) == (0.75, (1, 0), 0.5)
    mean = result_of(np.broadcast_to(y.mean(axis=0), y.shape), y, classes=True)
    assert mean.skill == pytest.approx(0)


# Baselines


@pytest.mark.parametrize("shape", [(50, 4), (12, 30)])
def test_the_linear_model_is_that_of_least_squares(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    x = 3 + 5 * rng.standard_normal(shape)
    y = rng.standard_normal((shape[0], 2))
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    ridge = np.sqrt(1e-3 * len(x)) * np.eye(shape[1])
    stacked = (
        np.concatenate([standard, ridge]),
        np.concatenate([y - y.mean(axis=0), 0 * ridge[:, :2]]),
    )
    w = np.linalg.lstsq(*stacked, rcond=None)[0]
    assert fit_linear(x, y)(x) == pytest.approx(standard @ w + y.mean(axis=0))


def test_baselines_of_classes() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200, 3))
    y = np.eye(2)[(x[:, 0] > 0.8).astype(int)]
    found = baselines((x[:150], y[:150]), (x[150:], y[150:]), classes=True, cost="cross_entropy")
    assert found.chance == 0.5
    assert found.majority == y[150:, 0].mean()
    assert found.mean is None
    assert found.chance_cost == pytest.approx(np.log(2))
    assert found.linear is not None
    assert found.linear > y[150:, 0].mean()


def test_two_classes_of_one_output_are_judged_as_those_of_two() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200, 3))
    second = x[:, 0] > 0.8
    one, two = second[:, None].astype(float), np.eye(2)[second.astype(int)]
    facts = [data_facts(x, y, classes=True).class_shares for y in (one, two)]
    assert facts[0] == pytest.approx((1 - second.mean(), second.mean()))
    assert facts[0] == pytest.approx(facts[1])
    given = rng.uniform(size=200)
    results = [
        result_of(a, y, classes=True)
        for a, y in ((given[:, None], one), (np.stack([1 - given, given], axis=1), two))
    ]
    assert results[0].accuracy == ((given > 0.5) == second).mean()
    assert results[0][:3] == pytest.approx(results[1][:3])
    assert results[0].recalls == pytest.approx(results[1].recalls)
    found = [
        baselines((x[:150], y[:150]), (x[150:], y[150:]), classes=True, cost="cross_entropy")
        for y in (one, two)
    ]
    assert found[0].majority == 1 - second[150:].mean()
    for each in ("chance", "majority", "linear", "chance_cost"):
        assert getattr(found[0], each) == pytest.approx(getattr(found[1], each))


def test_the_error_of_several_outputs_is_the_mean_of_theirs() -> None:
    rng = np.random.default_rng(4)
    a, y = rng.standard_normal((2, 50, 3))
    each = [result_of(a[:, [k]], y[:, [k]], classes=False).mse for k in range(3)]
    assert result_of(a, y, classes=False).mse == pytest.approx(np.mean(each))


def test_the_majority_class_is_counted_among_the_samples_that_are_judged() -> None:
    """It is that of the samples trained on; how often it is right, those held back say."""
    train, held = np.eye(3)[[0, 0, 0, 1, 2]], np.eye(3)[[0, 1, 1, 2]]
    assert brief_baselines(train, held, classes=True).majority == 0.25


def test_the_cost_that_fits_two_classes_of_one_output_is_of_a_sigmoid() -> None:
    output = layer("dense1", 0, "tanh", is_output=True)._replace(width=1)
    states = (STATE._replace(saturated=0.5),)
    found = start.cost_mismatch(changed(cost="quadratic", layers=(output,), start=states))
    assert found is not None
    assert [dict(cure.set) for cure in found.cures] == [
        {"network[0].activation": "sigmoid", "train.cost": "cross_entropy"}
    ]
    output = output._replace(activation="sigmoid")
    found = start.cost_mismatch(changed(cost="quadratic", layers=(output,), start=states))
    assert found is not None
    assert [dict(cure.set) for cure in found.cures] == [{"train.cost": "cross_entropy"}]
    assert "below 0.01 for 50% of the outputs" in found.says
    found = start.cost_mismatch(
        changed(cost="quadratic", layers=(output,), start=(STATE._replace(saturated=0.0),))
    )
    assert found is not None
    assert "0%" not in found.says


def test_inputs_that_tell_nothing_are_known_and_no_others() -> None:
    rng = np.random.default_rng(4)
    chances = []
    for _ in range(20):
        x = rng.standard_normal((150, 4))
        ring = (np.square(x[:, :2]).sum(axis=1) > 1.4).astype(int)  # no line tells it
        told = relation(x, np.eye(2)[ring])
        assert told is not None
        assert told > 3
        chance = relation(x, np.eye(2)[rng.permutation(ring)])
        assert chance is not None
        chances.append(chance)
    assert max(chances) < 3
    assert relation(x[:10], np.eye(2)[ring[:10]]) is None
    many = rng.standard_normal((150, 160))  # inputs, of which too few samples tell
    assert relation(many, np.eye(2)[ring]) is None


# Rules: one healthy network, in which one number is changed


def layer(name: str, place: int, activation: str, *, is_output: bool = False) -> LayerFacts:
    return LayerFacts(name, place, activation, 8, "units", None, False, False, is_output)


PLAIN = (layer("dense1", 0, "identity", is_output=True),)
STATE = LayerState("dense1", 1.0, 0.5, 0.0, 0.0, 0.3, False, False, 0.1, 2.0)
HEALTHY = Evidence(
    Settings(
        *(0.1, 0.0, 10, 5, "cross_entropy", "none", 0.0, "sgd", None),
        (layer("dense1", 0, "tanh"), layer("dense2", 1, "softmax", is_output=True)),
    ),
    DataFacts(100, 4, 0, 1.0, 1.1, 0.9, 0.1, (0.0, 1.0), (0.5, 0.5), None),
    (STATE, STATE._replace(name="dense2", delta_norm=0.7)),
    Course((0.7, 0.5, 0.3), (0.7, 0.5, 0.4), Result(0.9, 0.1, 0.95, (0.9, 1.0)), None),
    Baselines(0.5, 0.5, None, 0.8, 0.69, 9.0),
)


def changed(**fields: Any) -> Evidence:
    """HEALTHY with fields of its parts set, each by its name."""
    settings, data, base = HEALTHY.settings, HEALTHY.data, HEALTHY.base
    assert base is not None
    return replace(
        HEALTHY,
        settings=settings._replace(**{k: v for k, v in fields.items() if k in settings._fields}),
        data=data._replace(**{k: v for k, v in fields.items() if k in data._fields}),
        base=replace(base, **{k: v for k, v in fields.items() if k in vars(base)}),
        start=fields.get("start", HEALTHY.start),
    )


def test_nothing_is_certain_of_a_healthy_network() -> None:
    certain = {s.cause.word for s in suspects(HEALTHY) if s.suspicion.severity >= 0.5}
    assert certain == set()
    assert findings(HEALTHY, suspects(HEALTHY)) == ()


Suspect = Callable[[Evidence], Suspicion | None]


@pytest.mark.parametrize(
    ("suspect", "sick"),
    [
        (start.constant_inputs, {"constant": 4}),
        (start.mostly_constant_inputs, {"constant": 3, "rms": 50.0}),
        (samples.constant_targets, {"same_targets": True}),
        (samples.target_scale, {"targets": (-80.0, 300.0), "class_shares": (), "layers": PLAIN}),
        (samples.target_scale, {"targets": (0.0, 0.01), "class_shares": (), "layers": PLAIN}),
        (samples.heavy_target, {"heavy": Outlier(3, "target", 9e3, 1.0)}),
        (samples.heavy_target, {"held_back": Held(heavy=Outlier(3, "target", 9e3, 1.0))}),
        (samples.unseen_class, {"held_back": Held(unseen_classes=(1,), unseen_share=0.3)}),
        (samples.other_inputs, {"held_back": Held(shift=2.0)}),
        (samples.other_inputs, {"held_back": Held(stretch=1000.0)}),
        (samples.contrary_targets, {"held_back": Held(agreement=-8.0)}),
        (samples.giveaway, {"giveaways": (Giveaway(2, None),)}),
        (samples.seen_samples, {"held_back": Held(seen=0.5)}),
        (start.input_scale, {"rms": 300.0}),
        (start.input_scale, {"rms": 0.001}),
        (start.input_scale, {"offset": 50.0}),
        (start.dead_units, {"start": (STATE._replace(dead=0.8),)}),
        (start.saturated_units, {"start": (STATE._replace(saturated=0.8),)}),
        (
            start.symmetric_start,
            {"start": (STATE._replace(identical=True), STATE._replace(alike=True))},
        ),
        (start.exploding_signal, {"start": (STATE._replace(delta_norm=90.0), STATE)}),
        (start.vanishing_signal, {"start": (STATE._replace(delta_norm=1e-4), STATE, STATE)}),
        (start.cost_mismatch, {"cost": "quadratic", "layers": (layer("dense1", 0, "sigmoid"),)}),
        (
            start.output_range,
            {"layers": (layer("dense1", 0, "tanh"),), "targets": (-4.0, 4.0), "class_shares": ()},
        ),
        (course.large_batch, {"batch_size": 100}),
        (course.dead_units, {"end": (STATE._replace(dead=1.0),)}),
        (course.overfitting, {"train": Result(0.99, 0.0), "held": Result(0.2, 0.1)}),
        (
            course.class_imbalance,
            {"class_shares": (0.95, 0.05), "train": Result(0.1, 0.1, 0.95, (1.0, 0.0))},
        ),
    ],
)
def test_each_rule_sees_its_sign_and_nothing_in_a_healthy_network(
    suspect: Suspect, sick: dict[str, Any]
) -> None:
    assert suspect(HEALTHY) is None
    found = suspect(changed(**sick))
    assert found is not None
    assert found.cures
    assert found.says


@pytest.mark.parametrize("suspect", [course.eta_too_large, course.eta_too_small])
def test_the_size_of_the_first_step_is_said_where_it_is_known(suspect: Suspect) -> None:
    """Not of a resumed run, whose start is gone, nor of Adam's step, which is not η ∂C/∂W."""
    known = suspect(HEALTHY)
    assert known is not None
    assert "the first step changes weights by 0.005 times their size" in known.says
    for unknown in (changed(start=()), changed(optimizer="adam")):
        found = suspect(unknown)
        assert found is not None
        assert "first step" not in found.says
        assert "at η = 0.1 " in found.says
        assert found.evidence["relative_updates"] == {}


@pytest.mark.parametrize(
    ("quantity", "symbol"), [("cost", "z"), ("weight_gradient", "∂C/∂W"), ("z", "z")]
)
def test_a_divergence_is_said_to_begin_where_the_training_says(quantity: str, symbol: str) -> None:
    """A cost that has grown did so by the z that grew."""
    origin = {"step": 2, "layer": "dense2", "quantity": quantity, "unit": 1, "sample": 7}
    found = course.diverged(changed(diverged=True, origin=origin))
    assert found is not None
    assert found.says.endswith(f"at step 2; it began in {symbol} of dense2, unit 1, sample 7")


def test_far_smaller_steps_are_looked_for_only_where_the_range_test_ends_too_high() -> None:
    near = course.eta_too_large(HEALTHY)
    far = course.eta_too_large(changed(eta=1e7))
    assert near is not None
    assert near.further == ()
    assert far is not None
    # ‖W‖ is 20 times ‖∂C/∂W‖: a step of W's size is that of η = 20.
    assert [cure.set["train.eta"] for cure in far.further] == [200, 20, 2, 0.2, 0.02]
    for start_norm in (0.0, float("inf"), float("nan")):
        states = (STATE._replace(gradient_norm=start_norm),)
        none = course.eta_too_large(changed(eta=1e7, start=states))
        assert none is not None
        assert none.further == ()


def test_targets_within_reach_and_zeros_in_one_layer_are_no_signs() -> None:
    layers = (layer("dense1", 0, "sigmoid"),)
    assert start.output_range(changed(layers=layers, class_shares=())) is None
    # Zeros behind units of different weights part in the first step.
    one, other = STATE._replace(identical=True), STATE
    assert start.symmetric_start(changed(start=(other, one))) is None


# Ranking


def with_results(skills: dict[str, float], rms: float = 100.0) -> tuple[str, ...]:
    """The causes found where HEALTHY is bad, and the first cure of each cause does this."""
    base = Course((1.0, 1.0), (), Result(0.1, 1.0), None)
    evidence = replace(changed(rms=rms), base=base)
    tried = []
    for suspect in suspects(evidence):
        skill = skills.get(suspect.cause.word, 0.1)
        after = Course((1.0, 0.1), (), Result(skill, 0.1), None)
        trials = [Trial(cure, after) for cure in suspect.suspicion.cures]
        tried.append(suspect._replace(trials=trials))
    return tuple(finding.cause for finding in findings(evidence, tried))


@pytest.mark.parametrize(
    ("skills", "causes"),
    [
        ({"input_scale": 0.9, "eta_too_small": 0.9}, ("input_scale", "eta_too_small")),
        ({"input_scale": 0.5, "eta_too_small": 0.9}, ("eta_too_small", "input_scale")),
        ({"eta_too_large": 0.9}, ("eta_too_large",)),
        ({}, ("input_scale",)),  # no cure helps, and the evidence is strong
    ],
    ids=["root-first", "what-helps-first", "one", "evidence-alone"],
)
def test_the_order_of_causes(skills: dict[str, float], causes: tuple[str, ...]) -> None:
    assert with_results(skills) == causes


def test_the_root_is_first_where_each_cure_does_a_little_too() -> None:
    """The network stays bad: two things are wrong with it, and each cure mends one."""
    skills = {"eta_too_large": 0.24, "underfitting": 0.25}
    assert with_results(skills, rms=1.0) == ("eta_too_large", "underfitting")


def test_a_dead_layer_is_found_in_a_bad_network_alone() -> None:
    dead = (STATE._replace(dead=1.0),)
    good, bad = changed(end=dead), changed(end=dead, train=Result(0.0, 0.7))
    assert findings(good, suspects(good)) == ()
    assert findings(bad, suspects(bad))[-1].cause == "dead_units"


def test_what_is_wrong_with_the_samples_is_told_of_a_good_network_too() -> None:
    names = ("a", "b", "c", "d")
    evidence = changed(giveaways=(Giveaway(2, 1),), held_back=Held(seen=0.4), input_names=names)
    found = findings(evidence, suspects(evidence))
    assert [f.cause for f in found] == ["giveaway", "seen_samples"]
    assert "the input c alone tells whether it is output 1 without an error" in found[0].says


def test_one_cure_is_one_finding() -> None:
    evidence = changed(start=(STATE._replace(dead=1.0, saturated=1.0), STATE))
    evidence = replace(evidence, base=Course((1.0,), (), Result(0.0, 1.0), None))
    good = Course((1.0,), (), Result(0.9, 0.1), None)
    both = [s for s in suspects(evidence) if s.cause.word in ("dead_units", "saturated_units")]
    tried = [s._replace(trials=(Trial(Cure({"a": 1}, ""), good),)) for s in both]
    assert [f.cause for f in findings(evidence, tried)] == ["dead_units"]
