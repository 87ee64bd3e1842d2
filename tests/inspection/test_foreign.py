"""Steps with a planted mistake, by plain loops: it is found where it was made, and named."""

from typing import Any

import numpy as np
import pytest

from nncli.inspection.foreign.checking import Named, check_step, in_our_conventions
from nncli.inspection.foreign.digits import digits_of
from nncli.inspection.foreign.names import name_arrays
from nncli.inspection.mistakes.rules import record_of
from nncli.inspection.mistakes.table import MISTAKES
from nncli.render.pages.checked import verdict
from tests.conftest import mostly_slow, present
from tests.inspection.planting import accused, checked, outcome, plant, rounded
from tests.inspection.test_mistakes import case_of
from tests.inspection.traces import spec_trace, trace_of
from tests.reference.mistaken import PLANTED
from tests.soak.mistakes import EVERY

SEED = 2  # of 17 digits; one that shows each of them


@pytest.mark.parametrize("mistake", mostly_slow(EVERY, 4))
def test_a_planted_mistake_is_named(mistake: str) -> None:
    found = next(o for s in range(SEED, 60, 3) if (o := outcome(mistake, s)).verdict != "invisible")
    assert found.verdict == "named", (found.how, found.checked and found.checked.mistakes)


def test_each_word_of_the_table_is_planted() -> None:
    assert {mistake.split(":")[0] for mistake in EVERY} == set(MISTAKES) - {"not_updated"}


def test_sound_steps_are_not_accused() -> None:
    assert [seed for seed in range(12) if accused(seed) is not None] == []


@pytest.mark.slow
@pytest.mark.parametrize("mistake", PLANTED)
def test_mistakes_are_named_in_few_digits_too(mistake: str) -> None:
    found = [outcome(mistake, seed).verdict for seed in range(10)]
    assert not {"wrong", "unknown"} & set(found)


def mine(values: Any, *names: str) -> list[Named]:
    return [Named(name, name, np.asarray(values[name])) for name in names]


def test_one_mistake_is_reported_once() -> None:
    planted = plant("missing_sigma_prime_hidden", 5)
    found = checked(planted, "all", 17)
    wrong = [one for one in found.compared if not one.right]
    assert wrong[0].name == found.first_wrong
    assert all(one.follows_from for one in wrong[1:])


def test_two_mistakes_together_are_both_named() -> None:
    planted = plant("missing_sigma_prime_hidden", 5)
    values = dict(planted.wrong)
    for name in values:
        if name.endswith(("bias_gradient", "bias_update")):
            values[name] = -values[name]
    given = mine(values, *(n for n in values if n.endswith(("delta", "_gradient"))))
    found = check_step(planted.trace, given)
    assert found.explanations
    assert found.together
    assert verdict(found).endswith("missing_sigma_prime_hidden and sign") or verdict(
        found
    ).endswith("sign and missing_sigma_prime_hidden")
    assert all(
        {made.word for made in one} == {"missing_sigma_prime_hidden", "sign"}
        for one in found.explanations
    )


def test_an_unknown_mistake_has_its_ratio_or_its_pattern() -> None:
    trace = trace_of(case_of("dense-many_samples"))
    record = record_of(trace)
    name = next(n for n in record if n.endswith("weight_gradient"))
    found = check_step(trace, [Named("dW", name, 1.7 * record[name])])
    assert found.mistakes == ("factor",)
    assert found.ratio == pytest.approx(1.7)
    one_row = record[name].copy()
    one_row[1] += np.arange(1, one_row[1].size + 1).reshape(one_row[1].shape)
    found = check_step(trace, [Named("dW", name, one_row)])
    assert (found.mistakes, found.ratio, found.pattern) == ((), None, "only row 1")


def test_what_flows_back_to_padding_that_repeats_is_not_to_be_cut_off() -> None:
    trace = trace_of(case_of("conv-inside-reflect"))
    record, layer = record_of(trace), trace.layers[1]
    weight, delta = present(layer.weight), present(layer.delta)
    cut = np.zeros_like(layer.input)  # of rows padded by 2, columns by 1
    height, width = cut.shape[2:]
    for x, f, r, c in np.ndindex(delta.shape):
        for k, i, j in np.ndindex(weight.shape[1:]):
            row, column = r + i - 2, c + j - 1
            if 0 <= row < height and 0 <= column < width:
                cut[x, k, row, column] += delta[x, f, r, c] * weight[f, k, i, j]
    found = check_step(trace, [Named("dX", "conv2.downstream", cut)])
    assert found.mistakes == ("padding_lost",)
    assert check_step(trace, mine(record, "conv2.downstream")).right


def test_biases_with_a_gradient_for_each_sample() -> None:
    """As in db = dZ, where the sum over the samples was forgotten."""
    trace = trace_of(case_of("dense-many_samples"))
    record = record_of(trace)
    for delta in (record["dense2.delta"], record["dense2.delta"] / len(trace.inputs)):
        naming = name_arrays(trace, {"db2": delta.T, "dW2": record["dense2.weight_gradient"]}, {})
        found = check_step(trace, naming.named)
        assert found.mistakes == ("bias_not_summed",)
        assert found.compared[-1].how == "not summed, transposed"


def test_what_would_explain_the_first_alone_is_a_hint() -> None:
    planted = plant("sigma_prime_of_a", 5)
    record = record_of(planted.trace)
    deltas = [name for name in record if name.endswith(".delta")]
    later = next(n for n in planted.wrong if n.endswith("bias_new"))
    values = {**planted.wrong, later: planted.wrong[later] + np.arange(3, 3 + record[later].size)}
    found = check_step(planted.trace, mine(values, deltas[0], later))
    assert found.explanations == ()
    assert {made.word for made in found.hints} == {"sigma_prime_of_a"}


def test_a_delta_of_the_mean_cost_is_no_mistake() -> None:
    trace = next(t for s in range(9) if len((t := plant("none:", s).trace).inputs) > 2)
    record, n = record_of(trace), len(trace.inputs)
    deltas = [name for name in record if name.endswith(".delta")]
    gradients = [name for name in record if name.endswith("weight_gradient")]
    values = record | {name: record[name] / n for name in deltas}
    given, notes = in_our_conventions(trace, mine(values, *deltas, *gradients))
    assert len(notes) == 1
    assert check_step(trace, given).right
    values |= {name: record[name] / n for name in gradients}  # and 1/n again is one
    given, notes = in_our_conventions(trace, mine(values, *deltas, *gradients))
    assert notes == []
    assert check_step(trace, given).mistakes == ("mean_for_sum",)


def test_a_velocity_with_eta_in_it_is_no_mistake() -> None:
    """v = μ v − η ∂C/∂W, W_new = W + v: another way to write the same step."""
    trace = trace_of(case_of("dense-many_samples"), steps=2, eta=0.3, momentum=0.9)
    record = record_of(trace)
    name = "dense1.weight_velocity"
    values = {**record, name: np.round(-0.3 * record[name], 5)}
    given, notes = in_our_conventions(trace, mine(values, name, "dense1.weight_new"))
    assert notes == [f"{name} was given with η in it; it is compared without"]
    assert check_step(trace, given).right


def test_adam_s_state_is_compared_too() -> None:
    planted = plant("adam_correction:none", 3)
    record = record_of(planted.trace)
    names = [name for name in planted.wrong if name.endswith(("_moment", "_update"))]
    found = check_step(planted.trace, mine(planted.wrong, *(n for n in names if n in record)))
    assert found.mistakes == ("adam_correction",)
    assert all(one.right for one in found.compared if one.name.endswith("_moment"))


# Digits


def judged(*arrays: Any) -> list[str]:
    own = digits_of({str(k): np.asarray(array) for k, array in enumerate(arrays)}).own
    return [digits.words() for digits in own.values()]


RANDOM = np.random.default_rng(0).normal(0, 0.1, 20)


def test_digits_are_told_from_the_values() -> None:
    assert judged(RANDOM) == ["float64"]
    assert judged(RANDOM.astype(np.float32)) == ["float32"]
    assert judged(RANDOM.astype(np.float32).astype(np.float64)) == ["float32"]
    assert judged(np.round(RANDOM, 4)) == ["4 decimals"]
    assert judged(rounded(RANDOM * 1e-4, 5, decimals=False)) == ["5 digits"]


def test_few_digits_tell_nothing_beside_others() -> None:
    assert judged([0.0, 1.0], np.round(RANDOM, 4)) == ["4 decimals", "4 decimals"]
    assert judged([0.0, 1.0], RANDOM) == ["float64", "float64"]
    assert judged([0.0, 0.5], np.round(RANDOM, 4), RANDOM) == [
        "4 decimals",
        "4 decimals",
        "float64",
    ]


def test_a_hand_calculation_that_rounds_at_each_step_is_right() -> None:
    """As on paper: what was rounded is what the next line is computed from."""
    trace = trace_of(case_of("dense-one_sample"))
    first, last = trace.layers
    assert first.weight is not None
    assert last.weight is not None

    def paper(x: Any) -> Any:
        return np.round(x, 3)

    a1 = paper(np.tanh(paper(trace.inputs @ first.weight + first.bias)))
    a2 = paper(1 / (1 + np.exp(-paper(a1 @ last.weight + last.bias))))
    delta2 = paper((a2 - trace.targets) * paper(a2 * (1 - a2)))
    delta1 = paper(paper(delta2 @ last.weight.T) * paper(1 - a1**2))
    values = {
        "dense1.a": a1,
        "dense2.a": a2,
        "dense2.delta": delta2,
        "dense1.delta": delta1,
        "dense1.weight_gradient": paper(trace.inputs.T @ delta1),
    }
    assert check_step(trace, mine(values, *values)).right
    values["dense1.delta"] = delta1 = paper(delta2 @ last.weight.T)
    values["dense1.weight_gradient"] = paper(trace.inputs.T @ delta1)
    found = check_step(trace, mine(values, *values))
    assert found.mistakes == ("missing_sigma_prime_hidden",)


GRADIENTS = [f"dense{k}.{p}_gradient" for k in (2, 1) for p in ("weight", "bias")]


@pytest.mark.parametrize("dtype", mostly_slow([np.float32, np.float64], 2))
def test_numbers_that_are_short_by_nature_allow_the_others_nothing(dtype: Any) -> None:
    """z of dense1 is [0.3775, 0.3925], all of it: it is not rounded to 4 decimals."""
    trace = spec_trace("two-two-two")
    names = ("dense1.z", "dense2.a", *GRADIENTS)
    right = {name: np.asarray(record_of(trace)[name], dtype) for name in names}
    found = check_step(trace, mine(right, *names))
    assert found.right
    assert {one.digits for one in found.compared} == {np.dtype(dtype).name}
    for name in GRADIENTS:
        for at in np.ndindex(right[name].shape):
            wrong = right[name].copy()
            wrong[at] *= dtype(1.1)
            found = check_step(trace, mine({**right, name: wrong}, *names))
            assert [one.name for one in found.compared if not one.right] == [name]
            assert not found.right


def test_beside_rounded_numbers_they_are_taken_as_rounded_too() -> None:
    record = record_of(spec_trace("two-two-two"))
    values = {name: np.round(record[name], 4) for name in ("dense1.z", "dense1.a", *GRADIENTS)}
    found = check_step(spec_trace("two-two-two"), mine(values, *values))
    assert found.right
    assert {one.digits for one in found.compared} == {"4 decimals"}


def test_numbers_of_all_digits_are_allowed_what_they_follow_from_and_no_more() -> None:
    trace = spec_trace("two-two-two")
    (x, y), (first, last) = (trace.inputs, trace.targets), trace.layers
    a1 = np.round(first.a, 4)
    a2 = 1 / (1 + np.exp(-(a1 @ present(last.weight) + present(last.bias))))
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = (delta2 @ present(last.weight).T) * a1 * (1 - a1)
    values = {
        "dense1.a": a1,
        "dense2.weight_gradient": a1.T @ delta2,
        "dense1.weight_gradient": x.T @ delta1,
    }
    found = check_step(trace, mine(values, *values))
    assert found.right
    assert [one.digits for one in found.compared] == ["4 decimals", "float64", "float64"]
    for name in GRADIENTS[::2]:
        wrong = values[name] * np.array([1, 1.1])
        assert check_step(trace, mine({**values, name: wrong}, *values)).first_wrong == name


def test_what_was_rounded_allows_nothing_to_what_does_not_follow_from_it() -> None:
    trace = spec_trace("two-two-two")
    record = record_of(trace)
    name = "dense2.weight_gradient"
    values = {"dense2.a": record["dense2.a"] + 1e-6, name: np.round(record[name], 4)}
    found = check_step(trace, mine(values, *values))
    assert found.first_wrong == "dense2.a"
