"""The check of layers whose training mode is not their evaluation mode: errors planted in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from nncli.inspection.check import check
from nncli.inspection.probe import Probe
from nncli.nn.arrays import after_complex_step
from nncli.nn.layers import (
    BatchNorm,
    BatchNormStep,
    Conv,
    Dense,
    Dropout,
    DropoutStep,
    Layer,
    LayerStep,
    Placed,
    Workspace,
)
from nncli.nn.recorder import record_trace
from nncli.nn.trace import Start
from tests.conftest import mostly_slow
from tests.nn.cases import LAYER_CASES, Case, Setting, build_case, settle

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
    monkeypatch.setattr(DropoutStep, "backward_input", wrong)
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


# --- Batchnorm -----------------------------------------------------------------------------------

NORM = Case("batchnorm", (Dense(units=4, activation="tanh"), BatchNorm(), HEAD), (3,), n=5)
NORM_RELU = Case("relu", (Dense(units=4, activation="relu"), BatchNorm(), HEAD), (3,), n=5)
NORM_IMAGE = Case(
    "image", (Conv(filters=2, kernel=(2, 2), activation="tanh"), BatchNorm(), HEAD), (1, 4, 4), n=3
)
NORMS = pytest.mark.parametrize("case", [NORM, NORM_RELU, NORM_IMAGE], ids=str)


def by_unit(step: Any, array: Any) -> Any:
    return array.reshape(-1, *(1 for _ in step.axes))


def statistics_as_constants(step: Any) -> Iterator[Any]:
    """∂C_x/∂input as in evaluation: what frameworks do whose statistics are detached."""
    yield partial(np.copyto, step.downstream, step.direct)


def without_the_mean(step: Any) -> Iterator[Any]:
    yield partial(np.add, step.direct, step.through_variance, step.downstream)


def without_the_variance(step: Any) -> Iterator[Any]:
    yield partial(np.add, step.direct, by_unit(step, step.through_mean), step.downstream)


def unbiased_in_between(step: Any) -> Iterator[Any]:
    unbiased = (step.count - 1) / step.count
    yield partial(np.multiply, step.downstream, np.sqrt(unbiased), step.downstream)


def after_backward_input(patch: pytest.MonkeyPatch, wrong: Any) -> None:
    original = BatchNormStep.backward_input

    def backward_input(self: Any) -> Iterator[Any]:
        yield from original(self)
        yield from wrong(self)

    patch.setattr(BatchNormStep, "backward_input", backward_input)


@DTYPES
@pytest.mark.parametrize("case", mostly_slow(LAYER_CASES[BatchNorm], 2), ids=str)
def test_a_right_batchnorm_passes(case: Any, dtype: Any) -> None:
    assert_passes(trace_of(case, dtype))
    if dtype == np.float64:
        assert_passes(trace_of(case, dtype, steps=30, eta=0.1))


@NORMS
@DTYPES
@pytest.mark.parametrize(
    "wrong",
    [statistics_as_constants, without_the_mean, without_the_variance, unbiased_in_between],
)
def test_an_error_on_the_way_back_is_found(
    monkeypatch: pytest.MonkeyPatch, wrong: Any, case: Any, dtype: Any
) -> None:
    after_backward_input(monkeypatch, wrong)
    done = check(trace_of(case, dtype))
    assert not done.passed
    below = trace_of(case, dtype).layers[0].name
    assert (failed(done)[0].layer, failed(done)[0].quantity) == (below, "upstream")


@NORMS
@DTYPES
@pytest.mark.parametrize("key", ["weight", "bias"])
def test_a_sum_for_the_mean_is_found(
    monkeypatch: pytest.MonkeyPatch, key: str, case: Any, dtype: Any
) -> None:
    original = BatchNormStep.backward

    def backward(self: Any) -> Iterator[Any]:
        yield from original(self)
        gradient = self.gradients[key]
        yield partial(np.multiply, gradient, len(self.a.T), gradient)

    monkeypatch.setattr(BatchNormStep, "backward", backward)
    done = check(trace_of(case, dtype))
    assert (failed(done)[0].layer, failed(done)[0].quantity) == ("batchnorm1", f"{key}_gradient")


def test_neither_the_check_nor_the_record_moves_the_running_statistics() -> None:
    setting = settle(NORM)
    step = setting.step()
    step.run(0.5, full=True)
    before = step.network.copy_state()
    assert step.optimizer is not None
    start = Start.of(step.network, step.optimizer)
    samples = range(len(setting.inputs))
    trace = record_trace(step, eta=0.5, cost=step.run(0.5), start=start, samples=samples)
    after = step.network.copy_state()
    check(trace)
    assert after["batchnorm1.batches"] == before["batchnorm1.batches"] + 1 == 2
    assert all(np.array_equal(step.network.state[key], after[key]) for key in after)


@NORMS
def test_the_three_terms_sum_to_what_flows_on(case: Any) -> None:
    layer = trace_of(case).layers[1]
    shape = (1, -1, *(1 for _ in layer.a.shape[2:]))
    quantity = layer.recorded
    total = quantity["direct"] + quantity["through_mean"].reshape(shape)
    np.testing.assert_allclose(
        total + quantity["through_variance"], layer.downstream, rtol=1e-12, atol=1e-15
    )
    axes = (0, *range(2, layer.a.ndim))
    normalised = quantity["normalised"]
    np.testing.assert_allclose(normalised.mean(axis=axes), 0, atol=1e-14)
    spread = quantity["variance"] / (quantity["variance"] + 1e-5)
    np.testing.assert_allclose(normalised.var(axis=axes), spread, rtol=1e-12)
    # Neither a shift nor, but for ε, a scaling of the input changes anything.
    size = np.abs(layer.downstream).sum()
    assert np.abs(layer.downstream.sum(axis=axes)).max() < 1e-13 * size


# --- A kind that nothing in the room knows -------------------------------------------------------


@dataclass(frozen=True)
class Absolute(Layer):
    """a = |input|, which has a kink at 0."""

    type: ClassVar[str] = "absolute"
    has_kinks = True

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def step(self, placed: Placed, input: Any, workspace: Workspace) -> "AbsoluteStep":
        return AbsoluteStep(placed, input, workspace)


class AbsoluteStep(LayerStep):
    def __init__(self, placed: Placed, input: Any, workspace: Workspace) -> None:
        super().__init__(placed, input)
        self.a, self.side, self.downstream = (np.zeros_like(input) for _ in range(3))

    def forward(self) -> Planted:
        yield lambda: np.copyto(self.side, np.sign(self.input.real))
        yield partial(np.multiply, self.input, self.side, self.a)

    def piece(self, steps: float = 0.0) -> Any:
        return np.sign(after_complex_step(self.input, steps))

    def evaluate_pieces(self, piece: Any) -> Planted:
        yield partial(np.copyto, self.side, piece)
        yield partial(np.multiply, self.input, self.side, self.a)

    def backward_input(self) -> Planted:
        yield partial(np.multiply, self.upstream, self.side, self.downstream)


UNKNOWN = Case("unknown", (Dense(units=4, activation="tanh"), Absolute(), HEAD), (3,), n=3)


@DTYPES
def test_a_new_kind_of_layer_is_proven_without_being_known(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    size = build_case(UNKNOWN).parameters.size
    inputs, targets = rng.normal(0, 1, (3, 3)), rng.normal(0, 1, (3, 2))
    setting = Setting(UNKNOWN, rng.normal(0, 1, size), inputs, targets)
    trace = trace_of(setting, dtype)
    done = assert_passes(trace)
    assert [t.kinks for t in done.tensors if t.kinks] == []
    dense = trace.layers[0]
    wrong = replace(dense, upstream=np.abs(dense.upstream))
    failure = check(replace(trace, layers=(wrong, *trace.layers[1:]))).failure
    assert failure is not None
    assert (failure.layer, failure.quantity) == ("dense1", "upstream")


def test_a_kink_of_a_new_kind_is_seen() -> None:
    setting = Setting(UNKNOWN, np.zeros(26), np.ones((3, 3)), np.ones((3, 2)))
    parameters = np.linspace(-1, 1, 26)
    parameters[:12], parameters[12:16] = 0, (0, 0.1, -0.1, 0.2)  # z of the first unit is 0
    done = check(trace_of(replace(setting, parameters=parameters)))
    (upstream,) = (t for t in done.tensors if (t.layer, t.quantity) == ("dense1", "upstream"))
    assert upstream.kinks == ((0, 0), (1, 0), (2, 0))
