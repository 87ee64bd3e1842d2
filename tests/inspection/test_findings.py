"""What the numbers of a step mean: against numbers by hand."""

from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.inspection.findings import (
    Attenuation,
    Contribution,
    CostChange,
    Overflow,
    RelativeUpdate,
    Unchanged,
    Why,
    attenuation,
    cost_change,
    overflow,
    relative_updates,
    saturation,
    unchanged,
    why,
)
from nncli.inspection.record import inspect
from nncli.nn.layers import Dense
from nncli.nn.trace import Trace
from tests.conftest import CONFIGS
from tests.nn.cases import (
    ALL_CASES,
    LENET,
    Case,
    Setting,
    build_case,
    conv_cases,
    dense_cases,
    settle,
)

from .traces import spec_trace, trace_of

# --- What overflows ------------------------------------------------------------------------------


def with_infinity(trace: Trace, layer: int, quantity: str) -> Trace:
    """The record with one entry of one quantity set to infinity."""
    array = trace.layers[layer].quantity(quantity)
    assert array is not None
    array = array.copy()
    array.flat[-1] = np.inf
    layers = list(trace.layers)
    changed: dict[str, Any] = {quantity: array}
    layers[layer] = replace(layers[layer], **changed)
    return replace(trace, layers=tuple(layers))


IN_ORDER = [
    (0, "z"), (0, "a"), (1, "z"), (1, "a"),
    (1, "upstream"), (1, "delta"), (1, "weight_gradient"), (1, "bias_gradient"), (1, "downstream"),
    (0, "upstream"), (0, "delta"), (0, "weight_gradient"), (0, "bias_gradient"), (0, "downstream"),
    (0, "weight_update"), (0, "weight_new"), (0, "bias_update"), (0, "bias_new"),
    (1, "weight_update"), (1, "weight_new"), (1, "bias_update"), (1, "bias_new"),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(IN_ORDER)), ids=lambda k: "-".join(map(str, IN_ORDER[k])))
def test_the_first_quantity_that_is_not_finite_is_named(k: int) -> None:
    trace = spec_trace("two-two-two")
    assert overflow(trace) is None
    for later in IN_ORDER[k:]:
        trace = with_infinity(trace, *later)
    found = overflow(replace(trace, cost_after=np.nan))
    assert found is not None
    assert (found.layer, found.quantity) == (trace.layers[IN_ORDER[k][0]].name, IN_ORDER[k][1])


def test_a_cost_that_overflows_after_the_step() -> None:
    trace = replace(spec_trace("two-two-two"), cost_after=np.inf)
    assert overflow(trace) == Overflow(None, "cost_after")


def test_the_upstream_of_a_saturated_output_is_no_overflow() -> None:
    trace = spec_trace("xor")
    assert trace.cost.error_is_delta
    assert overflow(with_infinity(trace, len(trace.layers) - 1, "upstream")) is None


def test_norms_of_finite_numbers_are_finite() -> None:
    trace = spec_trace("two-two-two")
    update = np.full((2, 2), 1e300)
    layers = (replace(trace.layers[0], weight_update=update), *trace.layers[1:])
    assert relative_updates(replace(trace, layers=layers))[0].update == pytest.approx(2e300)


# --- What the cost did ---------------------------------------------------------------------------


def test_cost_change_of_the_worked_example() -> None:
    # ∂C/∂W by hand (M. Mazur's figures), squared and summed, biases included, times −η.
    output = [0.0821670406, -0.0226025405, 0.0826676278, -0.0227402422, 0.1384985616, -0.0380982365]
    hidden = [0.0004385677, 0.0004977127, 0.0008771355, 0.0009954255, 0.0087713547, 0.0099542547]
    change = cost_change(spec_trace("two-two-two"))
    assert change.predicted == pytest.approx(-0.5 * sum(x * x for x in output + hidden), rel=1e-8)
    assert change.actual == pytest.approx(0.2804714468 - 0.2983711088, abs=1e-10)
    assert change.ratio == pytest.approx(change.actual / change.predicted)
    assert change.verdict == "linear"


@pytest.mark.parametrize(
    ("eta", "verdict"), [(1e-6, "linear"), (0.05, "linear"), (0.5, "curved"), (1.9, "curved")]
)
def test_the_verdict_on_a_parabola(eta: float, verdict: str) -> None:
    # C = ½ (w x − y)² with x = 1: one step changes C by −η (1 − η/2) times its slope squared.
    change = cost_change(parabola(eta))
    assert change.ratio == pytest.approx(1 - eta / 2, rel=1e-6)
    assert change.verdict == verdict


@pytest.mark.parametrize("eta", [2.1, 10.0])
def test_too_large_a_step_overshoots(eta: float) -> None:
    change = cost_change(parabola(eta))
    assert change.actual > 0 > change.predicted
    assert change.verdict == "overshot"


def parabola(eta: float) -> Trace:
    case = Case("parabola", (Dense(units=1, activation="identity", bias=False),), (1,), n=1)
    return trace_of(Setting(case, np.array([3.0]), np.ones((1, 1)), np.ones((1, 1))), eta=eta)


def test_momentum_counts_in_the_promise() -> None:
    trace = trace_of(dense_cases()[2], steps=4, eta=0.05, momentum=0.9, weight_decay=0.01)
    by_hand = 0.0
    layer: Any  # whose arrays are all there
    for layer in trace.layers:
        by_hand += float((layer.weight_gradient * layer.weight_update).sum())
        by_hand += float((layer.bias_gradient * layer.bias_update).sum())
    change = cost_change(trace)
    assert change.predicted == pytest.approx(by_hand)
    gradients = [g for x in trace.layers for g in (x.weight_gradient, x.bias_gradient)]
    plain = sum(-0.05 * float((g**2).sum()) for g in gradients if g is not None)
    assert change.predicted != pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize(
    ("predicted", "actual", "ratio", "verdict"),
    [
        (-1.0, -1.0, 1.0, "linear"),
        (-1.0, -1.1, 1.1, "curved"),  # 1.1 − 1 is more than 0.1 in binary
        (-1.0, -1.09, 1.09, "linear"),
        (-1.0, -0.89, 0.89, "curved"),
        (-1.0, 0.0, 0.0, "curved"),
        (-1.0, 1e-9, -1e-9, "overshot"),
        (-1.0, np.nan, np.nan, "overshot"),
        (1.0, 0.9, 0.9, "uphill"),
        (0.0, 0.0, None, "none"),
    ],
)
def test_the_verdict_by_the_ratio(
    predicted: float, actual: float, ratio: Any, verdict: str
) -> None:
    change = CostChange(predicted, actual)
    assert change.ratio == (None if ratio is None else pytest.approx(ratio, nan_ok=True))
    assert change.verdict == verdict


# --- The way of the error signal -----------------------------------------------------------------


def test_attenuation_is_the_way_back_product_by_product() -> None:
    for case in ALL_CASES[::2]:
        trace = trace_of(case)
        rows = attenuation(trace)
        deltas = [layer.delta for layer in trace.layers if layer.delta is not None]
        first, last = np.linalg.norm(deltas[0]), np.linalg.norm(deltas[-1])
        if len(deltas) == 1:
            assert rows == []
            continue
        assert rows[0].norm_before == pytest.approx(last)
        assert rows[-1].norm_after == pytest.approx(first)
        assert all(a.norm_after == b.norm_before for a, b in pairwise(rows))
        factors = [row.factor for row in rows if row.factor is not None]
        if len(factors) == len(rows):
            assert prod(factors) == pytest.approx(first / last)


def test_the_causes_of_attenuation() -> None:
    rows = attenuation(trace_of(LENET))
    assert [(row.layer, row.cause) for row in rows] == [
        ("dense2", "weights"),
        ("dense1", "σ′"),
        ("dense1", "weights"),
        ("maxpool1", "pooling"),
        ("conv2", "σ′"),
        ("conv2", "weights"),
        ("avgpool1", "pooling"),
        ("conv1", "σ′"),
    ]


def test_the_factors_of_the_worked_example() -> None:
    weights, sigma_prime = attenuation(spec_trace("two-two-two"))
    assert weights.norm_before == pytest.approx(np.hypot(0.1384985616, -0.0380982365), rel=1e-9)
    assert weights.norm_after == pytest.approx(np.hypot(0.0363503064, 0.0413703226), rel=1e-8)
    assert sigma_prime.norm_after == pytest.approx(np.hypot(0.0087713547, 0.0099542547), rel=1e-8)


def test_a_signal_that_has_gone_has_no_factor() -> None:
    assert Attenuation("dense1", "σ′", 0.0, 0.0).factor is None


# --- Saturation ----------------------------------------------------------------------------------


def one_layer(activation: str, inputs: Any) -> Any:
    """A layer whose z is its input: unit weights, no bias."""
    inputs = np.array(inputs, float)
    units = inputs.shape[1]
    layer = Dense(units=units, activation=activation, bias=False)
    case = Case(activation, (layer,), (units,), n=len(inputs))
    return trace_of(Setting(case, np.eye(units).ravel(), inputs, np.ones_like(inputs))).layers[0]


def test_units_that_are_saturated_always_and_sometimes() -> None:
    found: Any = saturation(one_layer("sigmoid", [[0, 9, 9, -9], [0, 0, 9, -9], [1, 0, -9, -9]]))
    assert found.units == 4
    assert found.always == ((2,), (3,))
    assert found.sometimes == ((1,),)
    assert not found.dead


def test_the_limit_of_saturation() -> None:
    z = np.log((0.5 + np.sqrt(0.25 - 0.01)) / (0.5 - np.sqrt(0.25 - 0.01)))  # where σ' is 0.01
    found: Any = saturation(one_layer("sigmoid", [[z - 1e-6, z + 1e-6]]))
    assert found.always == ((1,),)


def test_units_of_relu_that_are_dead() -> None:
    found: Any = saturation(one_layer("relu", [[-1, -1, 2, 0], [-2, 3, 4, -1]]))
    assert found.dead
    assert found.always == ((0,), (3,))
    assert found.sometimes == ((1,),)


def test_units_of_a_conv_layer_have_three_indices() -> None:
    layer: Any = trace_of(conv_cases()[0]).layers[0]
    dead = np.ones_like(layer.sigma_prime)
    dead[:, 1, 2, 3] = 0
    found: Any = saturation(replace(layer, sigma_prime=dead))
    assert found.always == ((1, 2, 3),)
    assert found.units == dead[0].size


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_nothing_is_saturated(activation: str) -> None:
    found: Any = saturation(one_layer(activation, [[0.1, 0.2]]))
    assert found.always == found.sometimes == ()


def test_what_has_no_sigma_prime_is_not_saturated() -> None:
    layers = trace_of(LENET).layers
    found = {layer.name for layer in layers if saturation(layer) is None}
    assert found == {"avgpool1", "maxpool1", "flatten1", "dense2"}


# --- Updates -------------------------------------------------------------------------------------


def test_relative_updates() -> None:
    output = relative_updates(spec_trace("two-two-two"))[1]
    last: Any = spec_trace("two-two-two").layers[1]
    assert output.layer == "dense2"
    assert output.update == pytest.approx(np.linalg.norm(last.weight_update))
    assert output.weight == pytest.approx(np.sqrt(0.4**2 + 0.45**2 + 0.5**2 + 0.55**2))
    assert output.ratio == output.update / output.weight
    assert RelativeUpdate("dense1", 1.0, 0.0).ratio is None


SPECS = [path.stem for path in sorted(CONFIGS.glob("*.yaml"))]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("samples", [(0,), None], ids=["a sample", "a mini-batch"])
def test_a_healthy_network_is_not_warned_of(name: str, samples: Any) -> None:
    if samples is not None and "batchnorm" in name:
        pytest.skip("it takes several samples")
    trace = spec_trace(name, samples=samples)
    assert cost_change(trace).verdict in ("linear", "curved")
    assert unchanged(trace) == []


@pytest.mark.parametrize("name", ["digits-conv", "iris", "xor"])
def test_a_step_that_is_too_large_is_named(name: str) -> None:
    far = spec_trace(name, "train.eta=1e3", samples=None)
    assert far.cost_after > far.cost_before
    assert cost_change(far).verdict == "overshot"
    near = spec_trace(name, "train.eta=1e-3", samples=None)
    assert cost_change(near).verdict == "linear"


SICK = (Dense(units=3, activation="relu"), Dense(units=2))


def sick(weights: float, bias: float, dtype: Any = np.float64) -> Trace:
    """Two samples, a hidden layer whose weights and biases are all alike, and a layer above it."""
    case = Case("sick", SICK, (2,))
    parameters = np.concatenate([np.full(6, weights), np.full(3, bias), np.full(8, 0.5)])
    return trace_of(Setting(case, parameters, np.ones((2, 2)), np.eye(2)), dtype)


def test_a_dead_layer_is_named_though_the_step_is_linear() -> None:
    trace = sick(0.1, -100.0)
    assert cost_change(trace).verdict == "linear"  # the layer above has biases that learn
    assert unchanged(trace) == [Unchanged("dense1", "no error")]


def test_weights_of_0_let_no_error_through() -> None:
    case = Case("zeros", (Dense(units=3), Dense(units=2)), (2,))
    trace = trace_of(Setting(case, np.zeros(17), np.ones((2, 2)), np.eye(2)))
    assert unchanged(trace) == [Unchanged("dense1", "no error")]
    dead = Case(
        "dead", (Dense(units=3, activation="relu"), Dense(units=2, activation="relu")), (2,)
    )
    trace = trace_of(Setting(dead, np.zeros(17), np.ones((2, 2)), np.eye(2)))
    assert cost_change(trace).verdict == "none"
    assert [found.layer for found in unchanged(trace)] == ["dense1", "dense2"]


def test_an_update_below_the_rounding_of_the_weights_is_named() -> None:
    setting = settle(Case("tiny", (Dense(units=2),), (2,)))
    trace = trace_of(setting, np.float32, eta=1e-12)
    assert unchanged(trace) == [Unchanged("dense1", "rounding")]
    assert cost_change(trace).verdict == "rounded"


def test_an_input_of_0_is_no_fault_of_the_layer() -> None:
    setting = settle(Case("silent", (Dense(units=2),), (2,)))
    trace = trace_of(replace(setting, inputs=0 * setting.inputs))
    assert not np.any(np.asarray(trace.layers[0].weight_update))
    assert unchanged(trace) == []


# --- Who pushed a weight -------------------------------------------------------------------------


@pytest.mark.parametrize("case", [LENET, dense_cases()[3], *conv_cases()[-3:]], ids=str)
def test_the_contributions_sum_to_the_step_down_the_gradient(case: Case) -> None:
    trace = trace_of(case, eta=0.3)
    layer: Any
    c: Any
    for layer in trace.layers:
        if layer.weight is None:
            continue
        scale = 0.3 * np.abs(layer.weight_gradient).max()
        for index in np.ndindex(layer.weight.shape):
            found = why(trace, layer, index)
            step = -0.3 * layer.weight_gradient[index]
            assert found.total == pytest.approx(step, rel=0, abs=1e-13 * scale)
            pushes = [abs(c.push) for c in found.contributions]
            assert pushes == sorted(pushes, reverse=True)
            assert sorted(c.sample for c in found.contributions) == list(trace.samples)
            assert found.cancellation is not None
            assert 0 <= found.cancellation <= 1 + 1e-12
            for c in found.contributions:
                if layer.type == "dense":
                    assert c.push == pytest.approx(-0.3 / case.n * c.a * c.delta)
                else:
                    assert c.a is c.delta is None


def test_samples_are_named_by_their_number_in_the_data() -> None:
    trace = spec_trace("digits-mlp", samples=(7, 3, 11))
    found = why(trace, trace.layers[1], (0, 0))
    assert sorted(c.sample for c in found.contributions) == [3, 7, 11]
    strongest = found.contributions[0]
    at = trace.samples.index(strongest.sample)
    delta = trace.layers[1].delta
    assert delta is not None
    assert strongest.delta == float(delta[at, 0])


def test_cancellation() -> None:
    def of(*pushes: float) -> Why:
        contributions = tuple(Contribution(k, 1, 1, p) for k, p in enumerate(pushes))
        return Why("d", (0, 0), contributions, sum(pushes))

    assert of(1, 2, 3).cancellation == 1
    assert of(2, -2).cancellation == 0
    assert of(3, -1).cancellation == 0.5
    assert of(0, 0).cancellation is None


@pytest.mark.parametrize("index", [(2, 0), (0, 2), (-1, 0), (0,), (0, 0, 0)])
def test_no_such_weight(index: tuple[int, ...]) -> None:
    trace = spec_trace("two-two-two")
    given = ",".join(map(str, index))
    with pytest.raises(NncliError) as caught:
        why(trace, trace.layers[0], index)
    assert str(caught.value) == (
        f"dense1 has no weight [{given}]: its weights are 2 x 2, counted from 0"
    )


def test_a_layer_without_weights() -> None:
    trace = trace_of(LENET)
    with pytest.raises(NncliError, match=r"^avgpool1 has no weights$"):
        why(trace, trace.layers[1], (0, 0))


def test_no_such_layer() -> None:
    inspection = inspect(spec_trace("two-two-two"), checked=False)
    assert inspection.layer("dense2").name == "dense2"
    with pytest.raises(NncliError) as caught:
        inspection.layer("dense3")
    assert str(caught.value) == "there is no layer 'dense3'; the network has dense1, dense2"


def test_a_network_of_one_layer_has_no_way_back() -> None:
    case = dense_cases()[0]
    assert build_case(case).layers[0].name == "dense1"
    assert attenuation(trace_of(case)) == []
