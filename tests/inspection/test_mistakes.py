"""The known mistakes: the rules that they change are right, and each row changes something."""

from typing import Any

import numpy as np
import pytest

from nncli.inspection.mistakes.errors import NOT_SUMMED
from nncli.inspection.mistakes.graph import Values
from nncli.inspection.mistakes.rules import record_of, rules_of, start_of
from nncli.inspection.mistakes.scene import Scene, everywhere
from nncli.inspection.mistakes.table import MISTAKES, OTHERS, replay
from tests.inspection.traces import trace_of
from tests.nn.cases import ALL_CASES, SOME_CASES, Case, relative_error

OPTIMIZERS: list[dict[str, Any]] = [
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True, "decoupled_weight_decay": 0.1},
    {"kind": "adam"},
    {"clip": {"norm": 0.1}, "weight_decay": 0.1, "decay_biases": False, "l1": 0.01},
]


def case_of(name: str) -> Case:
    (found,) = (case for case in ALL_CASES if str(case) == name)
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.get("kind", "sgd"))
def test_the_rules_make_what_the_engine_has_recorded(optimizer: Any) -> None:
    for case in SOME_CASES:
        trace = trace_of(case, steps=2, **optimizer)
        made, record = Values(rules_of(trace), start_of(trace)).make_all(), record_of(trace)
        assert set(made) == set(record)
        for name, expected in record.items():
            assert relative_error(made[name], expected) < 1e-10, f"{case} {name}"


WAYS = [  # a network where each mistake of the table can be made
    ("dense-deep", OPTIMIZERS[0]),
    ("dense-deep", OPTIMIZERS[1]),
    ("dense-sigmoid-cross_entropy-softmax", OPTIMIZERS[2]),
    ("conv-inside-strided", {}),
    ("maxpool-inside-overlapping", {}),
    ("dense-deep", OPTIMIZERS[3]),
    ("batchnorm-and_dropout", {"clip": {"value": 0.01}, "l1": 0.01}),
    ("dense-sigmoid-cross_entropy-softmax", {"class_weights": np.array([0.5, 2.0, 1.5])}),
]


def test_each_mistake_changes_what_follows_from_it_and_nothing_else() -> None:
    seen = set()
    for name, optimizer in WAYS:
        scene = Scene(trace_of(case_of(name), steps=2, **optimizer))
        right = scene.right.make_all()
        for mistake in MISTAKES.values():
            for change in everywhere(mistake.changes(scene)):
                values = scene.right.changed(change.rules)
                made = values.make_all()
                changed = {q for q in right if not np.array_equal(made[q], right[q])}
                assert changed <= values.following(change.rules)
                same = all(made[q].shape == right[q].shape for q in right)
                assert same or NOT_SUMMED in change.way, (mistake.word, change)
                if changed:
                    seen.add(mistake.word)
    assert seen == set(MISTAKES) - {mistake.word for mistake in OTHERS}


def test_what_is_given_is_read_in_place_of_what_is_made() -> None:
    scene = Scene(trace_of(case_of("dense-one_sample")))
    name = scene.learners[-1].name
    delta = 3 * scene.record[f"{name}.delta"]
    values = Values(scene.rules, scene.start, {f"{name}.delta": delta})
    values.make_all()
    right = scene.record[f"{name}.weight_gradient"]
    assert values.made(f"{name}.weight_gradient") == pytest.approx(3 * right)
    assert values.made(f"{name}.delta") == pytest.approx(delta / 3)
    assert f"{name}.delta" in values.sources(f"{name}.weight_gradient")


def test_a_replay_is_the_step_with_the_mistake_in_it() -> None:
    trace = trace_of(case_of("dense-deep"), steps=1)
    made = replay(trace, "missing_sigma_prime_hidden")
    for layer in trace.layers[:-1]:
        assert np.array_equal(made[f"{layer.name}.delta"], made[f"{layer.name}.upstream"])
    last = trace.layers[-1]
    assert made[f"{last.name}.delta"] == pytest.approx(last.delta)
    with pytest.raises(KeyError):
        replay(trace, "unheard_of")
