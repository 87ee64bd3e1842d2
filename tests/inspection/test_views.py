"""Four formulas, one gradient."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.inspection import views
from nncli.inspection.record import inspect
from nncli.inspection.views import VIEWS, agreement, ulps_of_largest
from nncli.nn.layers import Dense
from nncli.nn.trace import LayerTrace, Trace
from tests.conftest import mostly_slow
from tests.nn.cases import ALL_CASES, LENET, SOME_CASES, Case, build_case, conv_cases, dense_cases

from .traces import spec_trace, trace_of

VIEW = pytest.mark.parametrize("view", VIEWS)


def learners(trace: Trace) -> list[Any]:
    return [layer for layer in trace.layers if layer.delta is not None]


def without_cancelling(layer: LayerTrace) -> LayerTrace:
    """The layer as it would be if no two terms of a gradient cancelled: how large sums are."""
    sizes = {key: np.abs(getattr(layer, key)) for key in ("input", "delta", "upstream")}
    return replace(layer, **sizes)


@pytest.mark.parametrize("view", mostly_slow(VIEWS, 4))
def test_each_view_is_the_record_to_four_units_in_the_last_place(view: str) -> None:
    for case in [*dense_cases(), *conv_cases(), LENET]:
        for layer in learners(trace_of(case)):
            sizes = VIEWS["index"](without_cancelling(layer))
            for key, array in VIEWS[view](layer).items():
                recorded = getattr(layer, key)
                assert array.shape == recorded.shape
                assert array.dtype == recorded.dtype
                largest = sizes.get(key, np.abs(recorded)).max()
                off = np.abs(array - recorded).max()
                assert off <= 4 * np.spacing(largest), f"{case}: {layer.name}.{key}"


@VIEW
def test_dense_layers_of_few_samples_agree_to_four_units_of_the_largest_entry(view: str) -> None:
    for name in ("two-two-two", "seed-3-4-2"):
        for layer in learners(spec_trace(name)):
            assert agreement(view, layer).ulps <= 4
    for case in dense_cases():
        if case.n <= 3:
            assert all(agreement(view, layer).ulps <= 4 for layer in learners(trace_of(case)))


@VIEW
def test_float32_is_taken_as_it_is(view: str) -> None:
    for case in SOME_CASES:
        for layer in learners(trace_of(case, np.float32)):
            for key, array in VIEWS[view](layer).items():
                assert array.dtype == np.float32
                assert ulps_of_largest(array, getattr(layer, key)) < 100


def test_a_bias_appears_where_there_is_one() -> None:
    for case in dense_cases():
        for layer in learners(trace_of(case)):
            for view in VIEWS.values():
                assert ("bias_gradient" in view(layer)) == (layer.bias is not None)


def test_delta_is_computed_anew_where_it_is_a_hadamard_product() -> None:
    trace = trace_of(LENET)
    for layer in learners(trace):
        has_prime = layer.sigma_prime is not None  # a softmax has none
        assert ("delta" in VIEWS["hadamard"](layer)) == has_prime
        assert ("delta" in VIEWS["kronecker"](layer)) == has_prime
    assert trace.layers[-1].sigma_prime is None


@VIEW
@pytest.mark.parametrize("case", [LENET, dense_cases()[2], conv_cases()[-1]], ids=str)
@pytest.mark.parametrize("key", ["weight_gradient", "bias_gradient"])
def test_a_wrong_record_is_noticed(view: str, case: Case, key: str) -> None:
    for layer in learners(trace_of(case)):
        wrong = getattr(layer, key).copy()
        wrong.flat[-1] += 1e-6
        assert agreement(view, replace(layer, **{key: wrong})).ulps > 1e6


@pytest.mark.parametrize("view", ["hadamard", "kronecker"])
@pytest.mark.parametrize("key", ["sigma_prime", "delta"])
def test_a_wrong_factor_is_noticed(view: str, key: str) -> None:
    for layer in learners(trace_of(dense_cases()[3])):
        wrong = getattr(layer, key).copy()
        wrong.flat[np.abs(layer.upstream).argmax()] *= 1.001
        assert agreement(view, replace(layer, **{key: wrong})).ulps > 1e6


def test_the_views_do_not_share_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees another error: what breaks one of NumPy's products breaks one view."""
    layer = learners(trace_of(dense_cases()[3]))[0]
    for product, seen in (("kron", {"kronecker"}), ("einsum", {"index"}), ("repeat", {"hadamard"})):
        original = getattr(np, product)
        with monkeypatch.context() as patch:
            patch.setattr(np, product, lambda *a, f=original, **k: 2 * f(*a, **k))
            assert {view for view in VIEWS if agreement(view, layer).ulps > 1e6} == seen


def test_the_diagonal_is_written_out_only_where_it_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = learners(trace_of(dense_cases()[3]))[0]
    assert isinstance(layer.placed.layer, Dense)
    monkeypatch.setattr(views, "DIAGONAL", layer.sigma_prime[0].size - 1)
    assert "delta" not in VIEWS["kronecker"](layer)


def test_patches_are_the_windows_in_their_order() -> None:
    for case in conv_cases()[::7]:
        layer: Any = trace_of(case).layers[0]
        rows = views.patches(layer)
        filters = layer.weight.reshape(len(layer.weight), -1)
        z = filters @ rows + (0 if layer.bias is None else layer.bias[:, None])
        expected = np.moveaxis(layer.z, 1, 0).reshape(len(filters), -1)
        np.testing.assert_allclose(z, expected, rtol=0, atol=1e-13)
        assert views.deltas(layer).shape == z.shape


def test_patches_of_a_group_are_those_of_its_channels() -> None:
    (case,) = (case for case in conv_cases() if case.name == "conv-groups-of_two")
    layer: Any = trace_of(case).layers[1]
    for group in range(3):
        filters = slice(2 * group, 2 * group + 2)
        z = layer.weight[filters].reshape(2, -1) @ views.patches(layer, group)
        z += layer.bias[filters, None]
        expected = np.moveaxis(layer.z, 1, 0)[filters].reshape(2, -1)
        np.testing.assert_allclose(z, expected, rtol=0, atol=1e-13)
        delta = np.moveaxis(layer.delta, 1, 0)[filters].reshape(2, -1)
        assert np.array_equal(views.deltas(layer, group), delta)


def test_the_window_under_a_filter_of_a_group_makes_its_z() -> None:
    (case,) = (case for case in conv_cases() if case.name == "conv-groups-of_two")
    layer: Any = trace_of(case).layers[1]
    assert layer.placed.layer.groups > 1
    for sample, k, row, column in np.ndindex(layer.z.shape):
        window = views.window_under(layer, sample, k, (row, column))
        z = (window * layer.weight[k]).sum() + layer.bias[k]
        assert z == pytest.approx(layer.z[sample, k, row, column])


def test_the_record_compares_every_view_of_every_layer_that_learns() -> None:
    trace = trace_of(LENET)
    found = {(a.view, a.layer) for a in inspect(trace, checked=False).agreements}
    assert found == {(view, layer.name) for view in VIEWS for layer in learners(trace)}


@pytest.mark.parametrize("first", mostly_slow([0, 3], 2))
def test_no_view_is_far_off_in_any_case(first: int) -> None:
    for case in ALL_CASES[first::6]:
        names = [placed.name for placed in build_case(case).layers]
        for layer in learners(trace_of(case)):
            above = names[names.index(layer.name) + 1 :][:1]
            # What reaches a layer through batchnorm has no mean over the mini-batch: sums of it
            # cancel, and keep the rounding of their terms.
            bound = 1024 if above and above[0].startswith("batchnorm") else 32
            worst = max(agreement(view, layer).ulps for view in VIEWS)
            assert worst < bound, (case, layer.name)


def test_ulps() -> None:
    ones = np.ones(3)
    assert ulps_of_largest(ones, ones) == 0
    assert ulps_of_largest(ones + np.array([0, 0, 2 * np.spacing(1)]), ones) == 2
    assert ulps_of_largest(np.zeros(2), np.zeros(2)) == 0
    assert ulps_of_largest(np.array([1, 2], np.float32), np.array([1, 2 + 2**-22], np.float32)) == 1
