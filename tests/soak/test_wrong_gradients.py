"""The campaign of planted errors in short: other steps than the first of the long one."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from nncli.inspection.check import check
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.layers import LAYERS
from tests.soak import wrong_gradients
from tests.soak.wrong_gradients import ERRORS, is_error, planted, random_step, run, trace_of

FIRST = 1_000_000  # seed
TRIALS = 12


@pytest.mark.slow
def test_no_planted_error_passes_and_no_right_step_fails() -> None:
    counts = run(trials=TRIALS, first=FIRST)
    assert counts.lost == []
    assert counts.sound.total() == counts.wrong.total() == TRIALS
    assert counts.sound["passed"] >= 0.95 * TRIALS
    assert counts.wrong["failed"] >= 0.95 * TRIALS


def test_a_check_that_passes_everything_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    done = check(trace_of(random_step(np.random.default_rng(0), on_kinks=False)))
    assert done.passed
    monkeypatch.setattr(wrong_gradients, "check", lambda *_: done)
    counts = run(trials=5, first=FIRST)
    assert len(counts.lost) == 5


@pytest.mark.slow
def test_the_campaign_has_every_kind_of_layer_activation_and_error() -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + 150):
        rng = np.random.default_rng(seed)
        trace = trace_of(random_step(rng, on_kinks=seed % 2 == 1))
        seen.update(layer.type for layer in trace.layers)
        seen.update(str(layer.activation) for layer in trace.layers)
        seen[str(trace.inputs.dtype)] += 1
        seen.update(case.error for case in planted(trace, rng))
    wanted = {*LAYERS, *ACTIVATIONS, *ERRORS, "float32", "float64"}
    assert {name for name in wanted if seen[name] < 5} == set()


def test_what_changes_nothing_is_no_error() -> None:
    trace = trace_of(random_step(np.random.default_rng(0), on_kinks=False))
    last = trace.layers[-1]
    array = np.asarray(last.upstream)
    assert is_error(trace, last, "upstream", array, -array)
    assert not is_error(trace, last, "upstream", array, array.copy())
    assert not is_error(trace, last, "upstream", array, array * (1 + 1e-6))
    zeros = replace(last, upstream=0 * array)
    assert not is_error(trace, zeros, "upstream", 0 * array, 2 * zeros.upstream)


@pytest.mark.parametrize("seed", [4827, 70167])
def test_a_network_that_has_diverged_is_not_called_wrong(seed: int) -> None:
    """Rounding decides its outputs; 0 times the infinity of a gradient is NaN: nothing is told."""
    trace = trace_of(random_step(np.random.default_rng(seed), on_kinks=True))
    assert max(float(np.abs(layer.a).max()) for layer in trace.layers) > 1e11
    assert check(trace).verdict == "not_proven"
