"""What the numbers of a step mean, in words."""

from dataclasses import replace

import numpy as np
import pytest

from nncli.inspection.check import check
from nncli.inspection.findings import CostChange, Saturation, cost_change
from nncli.nn.activations import ACTIVATIONS, SATURATING
from nncli.nn.layers import BatchNorm, Dense
from nncli.render.pages.proof import (
    cancellation_words,
    change_words,
    kinks,
    saturation_words,
    unverified,
    verdict,
)
from tests.inspection.test_check import on_kinks
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import Case


@pytest.mark.parametrize(
    ("always", "sometimes", "samples", "words"),
    [
        (
            ((0,),),
            (),
            1,
            "dense1: 1 of 30 units saturated (σ′ < 0.01) for this sample (unit 0).",
        ),
        (
            *(((0,), (4,)), ((1,),), 1797),
            "dense1: 2 of 30 units saturated (σ′ < 0.01) for all 1,797 samples (units 0, 4); "
            "1 unit saturated for some of them (unit 1).",
        ),
        (
            *((), ((1,), (2,)), 5),
            "dense1: 2 of 30 units saturated (σ′ < 0.01) for some samples (units 1, 2).",
        ),
    ],
    ids=["always", "both", "sometimes alone"],
)
def test_what_is_saturated_is_named_in_each_sentence(
    always: tuple[tuple[int, ...], ...],
    sometimes: tuple[tuple[int, ...], ...],
    samples: int,
    words: str,
) -> None:
    found = Saturation("dense1", 30, always, sometimes, SATURATING)
    assert saturation_words(found, samples) == words


def test_a_unit_that_is_off_at_one_sample_is_not_called_dead() -> None:
    relu = ACTIVATIONS["relu"].saturation
    one = saturation_words(Saturation("dense1", 3, ((0,),), (), relu), 1)
    assert one == "dense1: 1 of 3 units off (σ′ = 0) for this sample (unit 0)."
    many = saturation_words(Saturation("dense1", 3, ((0,),), ((1,), (2,)), relu), 20)
    assert many == (
        "dense1: 1 of 3 units dead (σ′ = 0) for all 20 samples (unit 0); "
        "2 units off for some of them (units 1, 2)."
    )
    some = saturation_words(Saturation("dense1", 3, (), ((1,),), relu), 20)
    assert some == "dense1: 1 of 3 units off (σ′ = 0) for some samples (unit 1)."


def test_a_step_that_overshoots_names_the_layer_that_moved_most() -> None:
    trace = spec_trace("two-two-two", "train.eta=1e4", "data.train.targets=[[0.5, 0.5]]")
    change = cost_change(trace)
    words = change_words(trace, change)
    assert change.verdict == "overshot"
    assert "overshot: the cost has grown, as it would not with a smaller η; dense" in words
    assert "‖ΔW‖/‖W‖ = " in words


def test_a_dead_network_is_not_called_linear() -> None:
    trace = spec_trace("two-two-two")
    assert "the step teaches nothing" in change_words(trace, CostChange(0.0, 0.0))
    right = replace(trace, cost_before=0.0)
    assert "the outputs are right" in change_words(right, CostChange(0.0, 0.0))


def test_entries_next_to_a_kink_are_named_with_what_has_the_kink() -> None:
    trace = trace_of(on_kinks())
    words = [block.text for block in kinks(check(trace), trace.layers)]  # type: ignore[union-attr]
    assert words[0] == (
        "conv1 ∂C/∂a: 2 entries are next to a kink of relu or maxpool, [0,0,0,2] [0,0,0,3]; their "
        "derivatives are those on this side of it."
    )
    assert words[2] == (
        "conv1 ∂C/∂b: 1 entry is next to a kink of relu or maxpool, [0]; its derivative is that on "
        "this side of it."
    )


def test_what_could_not_be_verified_is_counted() -> None:
    layers = (Dense(units=4, activation="tanh"), BatchNorm(), Dense(units=2))
    done = check(trace_of(Case("pair", layers, (3,), n=2), np.float32))
    short = done.unproven
    assert short is not None
    assert short.too_small == 1
    assert "1 entry is too small to tell from rounding" in unverified(short)
    count = f"only {short.verified} of {short.checked} entries tried could be verified"
    assert count in verdict(done)
    assert verdict(done).startswith("NOT PROVEN: nothing disagrees, but of ")


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.9, "; |sum| / sum of |.| = 90.0%: the samples agree"),
        (0.1, "; |sum| / sum of |.| = 10.0%: the samples mostly cancel"),
        (None, ""),
    ],
)
def test_nothing_is_said_of_samples_that_do_not_pull(share: float | None, words: str) -> None:
    assert cancellation_words(share) == words
