"""The products behind one filter tap and behind one input cell, for every tap and every cell."""

from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.inspection.views import cell_products, conv_of, tap_products
from tests.conftest import mostly_slow
from tests.nn.cases import LENET, Case, conv_cases
from tests.reference.backprop import seen_by

from .traces import trace_of

CASES = [*conv_cases()[::4], *conv_cases()[-3:]]


def convs(case: Case, dtype: Any = np.float64) -> list[Any]:
    return [layer for layer in trace_of(case, dtype).layers if layer.type == "conv"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tap_products_sum_to_the_gradient(case: Case) -> None:
    for layer in convs(case):
        n = len(layer.input)
        scale = np.abs(layer.weight_gradient).max()
        for tap in np.ndindex(layer.weight.shape):
            products = list(tap_products(layer, tap))
            assert [p.sample for p in products] == list(range(n))
            for p in products:
                assert p.cells.shape == p.delta.shape == layer.z.shape[2:]
                assert np.array_equal(p.product, p.cells * p.delta)
            total = sum(p.product.sum() for p in products)
            assert total == pytest.approx(n * layer.weight_gradient[tap], rel=0, abs=1e-13 * scale)


@pytest.mark.parametrize("case", mostly_slow(CASES, 6), ids=str)
def test_cell_products_sum_to_what_flows_down(case: Case) -> None:
    for layer in convs(case):
        conv, n = conv_of(layer), len(layer.input)
        scale = np.abs(layer.downstream).max()
        for cell in np.ndindex(layer.input.shape[1:]):
            products = list(cell_products(layer, cell))
            places = [(p.sample, p.filter) for p in products]
            seen = {f: seen_by(conv, f, layer.input[0]) for f in range(conv.filters)}
            own = {f: seen[f].index(cell[0]) for f in seen if cell[0] in seen[f]}
            assert places == [(x, f) for x in range(n) for f in own]
            sums = np.zeros(len(layer.input))
            for p in products:
                assert np.array_equal(p.weights, layer.weight[p.filter, own[p.filter]])
                assert np.array_equal(p.product, p.delta * p.weights)
                sums[p.sample] += p.product.sum()
            there = layer.downstream[(slice(None), *cell)]
            np.testing.assert_allclose(sums, there, rtol=0, atol=1e-13 * scale)


def test_padding_is_zero() -> None:
    (case,) = (case for case in conv_cases() if case.name == "conv-inside-strided")
    layer = convs(case)[1]  # padded by (2, 1)
    made = conv_of(layer).padded(layer.input)
    assert made.shape[2:] == (layer.input.shape[2] + 4, layer.input.shape[3] + 2)
    assert np.array_equal(made[:, :, 2:-2, 1:-1], layer.input)
    assert np.count_nonzero(made) == np.count_nonzero(layer.input)


def test_the_arrays_keep_the_dtype() -> None:
    layer = convs(LENET, np.float32)[0]
    assert next(tap_products(layer, (0, 0, 0, 0))).product.dtype == np.float32
    assert next(cell_products(layer, (0, 0, 0))).product.dtype == np.float32


@pytest.mark.parametrize("tap", [(2, 0, 0, 0), (0, 1, 0, 0), (0, 0, 3, 0), (0, 0, 0, -1), (0, 0)])
def test_no_such_tap(tap: Any) -> None:
    layer = convs(LENET)[0]
    with pytest.raises(NncliError) as caught:
        list(tap_products(layer, tap))
    assert str(caught.value) == (
        f"there is no tap of conv1 at {','.join(map(str, tap))}: filter, channel, row, column "
        "count from 0 within 2 x 1 x 3 x 3"
    )


@pytest.mark.parametrize("cell", [(1, 0, 0), (0, 6, 0), (0, 0, -1), (0,)])
def test_no_such_cell(cell: Any) -> None:
    layer = convs(LENET)[0]
    with pytest.raises(NncliError) as caught:
        list(cell_products(layer, cell))
    assert str(caught.value) == (
        f"there is no cell of conv1's input at {','.join(map(str, cell))}: channel, row, column "
        "count from 0 within 1 x 6 x 6"
    )


@pytest.mark.parametrize("name", ["avgpool1", "flatten1", "dense1"])
def test_only_conv_layers_have_taps_and_cells(name: str) -> None:
    layer = next(layer for layer in trace_of(LENET).layers if layer.name == name)
    message = f"^{name} is not a conv layer: it has no taps and no cells$"
    with pytest.raises(NncliError, match=message):
        list(tap_products(layer, (0, 0, 0, 0)))
    with pytest.raises(NncliError, match=message):
        list(cell_products(layer, (0, 0, 0)))
