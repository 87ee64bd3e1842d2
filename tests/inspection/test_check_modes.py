"""The check of layers whose training mode is not their evaluation mode: errors planted in them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from nncli.inspection.check import check
from nncli.inspection.probe import Probe
from nncli.nn.layers import Dense, Dropout, DropoutStep
from tests.nn.cases import LAYER_CASES, Case

from .test_check import DTYPES, assert_passes, failed
from .traces import trace_of

Planted = Iterator[Callable[[], object]]  # operations of a backward pass with an error in it

HEAD = Dense(units=2)
DROPOUT = Case("dropout", (Dense(units=8, activation="tanh"), Dropout(rate=0.4), HEAD), (3,), n=4)
RELU = Case("relu", (Dense(units=8, activation="relu"), Dropout(rate=0.4), HEAD), (3,), n=4)


def no_mask(step: DropoutStep) -> Planted:
    yield partial(np.copyto, step.downstream, step.upstream)


def unscaled_mask(step: DropoutStep) -> Planted:
    yield partial(np.multiply, step.upstream, step.mask != 0, step.downstream)


def mask_of_another_sample(step: DropoutStep) -> Planted:
    yield partial(np.multiply, step.upstream, np.roll(step.mask, 1, axis=-1), step.downstream)


@DTYPES
@pytest.mark.parametrize("case", LAYER_CASES[Dropout], ids=str)
def test_what_is_right_passes(case: Case, dtype: Any) -> None:
    assert_passes(trace_of(case, dtype))
    if "inside" not in case.name:
        assert_passes(trace_of(case, dtype, steps=30, eta=0.1))


@DTYPES
@pytest.mark.parametrize("case", [DROPOUT, RELU], ids=str)
@pytest.mark.parametrize("wrong", [no_mask, unscaled_mask, mask_of_another_sample])
def test_an_error_in_dropout_is_found(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., Planted], case: Case, dtype: Any
) -> None:
    monkeypatch.setattr(DropoutStep, "send_down", wrong)
    done = check(trace_of(case, dtype))
    assert not done.passed
    assert (failed(done)[0].layer, failed(done)[0].quantity) == ("dense1", "upstream")


def test_the_probe_keeps_the_mask_of_the_trace() -> None:
    trace = trace_of(DROPOUT)
    (mask,) = (layer.recorded["mask"] for layer in trace.layers if layer.recorded)
    probe = Probe(trace)
    dropout = probe.step.layers[1]
    assert isinstance(dropout, DropoutStep)
    assert np.array_equal(dropout.mask, np.moveaxis(mask, 0, -1))
    assert probe.cost == pytest.approx(trace.cost_before * len(trace.samples), rel=1e-14)
    assert 0 < np.count_nonzero(mask == 0) < mask.size
