"""The check passes whatever is right, in every dtype and at every stage of a training, and fails
whatever is wrong: each error here is planted in the engine's way back, one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from nncli.inspection.check import Check, TensorCheck, check, sweep
from nncli.inspection.probe import Probe, textbook_cost
from nncli.inspection.record import inspect
from nncli.inspection.rounding import rounding
from nncli.nn.arrays import Array
from nncli.nn.layers import (
    AvgPoolStep,
    BatchNorm,
    Conv,
    ConvStep,
    Dense,
    DenseStep,
    MaxPool,
    MaxPoolStep,
    WeightedStep,
)
from nncli.nn.passes import Pass
from nncli.nn.trace import Trace
from tests.conftest import mostly_slow
from tests.nn.cases import (
    ALL_CASES,
    ENDINGS,
    LENET,
    SOME_CASES,
    Case,
    Setting,
    build_case,
    dense_cases,
    settle,
)
from tests.soak.wrong_gradients import negated_at_kinks

from .traces import spec_trace, trace_of

FLOATS = (np.float64, np.float32)
DTYPES = pytest.mark.parametrize("dtype", FLOATS)


def failed(done: Check) -> list[TensorCheck]:
    """What is wrong, in the order of the backward pass."""
    return [t for t in done.tensors if t.max_relative_error > done.tolerance]


def assert_passes(trace: Trace) -> Check:
    done = check(trace)
    assert failed(done) == []
    assert done.passed
    assert done.failure is None
    return done


# --- What is right passes ------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("case", mostly_slow(ALL_CASES, 12), ids=str)
def test_every_case_passes(case: Case, dtype: Any) -> None:
    assert failed(check(trace_of(case, dtype))) == []


TRAINED = [*SOME_CASES, *dense_cases(), Case("narrow", (Dense(units=2),), (2,), n=4)]


@pytest.mark.parametrize("dtype", mostly_slow(FLOATS, 2))
@pytest.mark.parametrize(
    ("steps", "eta"),
    [
        (30, 0.3),
        *(pytest.param(*long, marks=pytest.mark.slow) for long in ((300, 0.05), (3000, 0.2))),
    ],
)
def test_trained_networks_pass(dtype: Any, steps: int, eta: float) -> None:
    nearest = 1.0
    for case in TRAINED:
        trace = trace_of(case, dtype, steps=steps, eta=eta)
        if np.isfinite(trace.cost_before):
            assert failed(check(trace)) == [], case
            error = np.abs(trace.layers[-1].a - trace.targets).max()
            nearest = min(nearest, error)
    if steps == 3000:
        assert nearest < 1e-5  # some of them are all but right: their gradients are mostly rounding


@DTYPES
def test_outputs_that_are_exactly_right_pass(dtype: Any) -> None:
    case = Case("right", (Dense(units=3, activation="identity"),), (2,))
    setting = settle(case)
    step = setting.step(dtype)
    step.forward()
    trace = trace_of(replace(setting, targets=step.outputs.astype(np.float64)), dtype)
    assert_passes(trace)


@pytest.mark.parametrize("dtype", mostly_slow(FLOATS, 2))
@pytest.mark.parametrize("scale", mostly_slow([1e4, 10, 100], 3))
@pytest.mark.parametrize("what", ["parameters", "inputs"])
def test_saturated_networks_pass(dtype: Any, scale: float, what: str) -> None:
    for hidden in ("sigmoid", "tanh", "relu"):
        for cost, output in ENDINGS:
            layers = (Dense(units=4, activation=hidden), Dense(units=3, activation=output))
            setting = settle(Case(f"{hidden}-{cost}-{output}", layers, (3,), cost, n=3))
            setting = replace(setting, **{what: scale * getattr(setting, what)})
            with np.errstate(all="ignore"):
                trace = trace_of(setting, dtype)
                if np.isfinite(trace.cost_before):
                    assert failed(check(trace)) == [], f"{hidden}, {cost}, {output}"


def test_a_network_with_kinks_is_proven_to_as_many_digits_as_one_without() -> None:
    for case in (dense_cases()[0], LENET):
        done = assert_passes(trace_of(case))
        assert done.method == "complex step"
        assert done.max_relative_error < 1e-12


def test_softplus_far_to_the_left_is_proven() -> None:
    """Its a is e^z there, which a logarithm of 1 + e^z by complex numbers would lose."""
    layers = (Dense(units=3, activation="softplus"), Dense(units=2, activation="identity"))
    setting = settle(Case("softplus", layers, (2,), n=3))
    for scale in (20, -20, 50, -50):
        trace = trace_of(replace(setting, inputs=scale * setting.inputs))
        assert_passes(trace)


def test_momentum_and_decay_do_not_matter() -> None:
    trace = trace_of(LENET, steps=3, eta=0.1, momentum=0.9, weight_decay=0.01)
    first: Any = trace.layers[0]
    assert not np.allclose(first.weight_update, -0.1 * first.weight_gradient)
    assert_passes(trace)


@pytest.mark.parametrize("case", [LENET, dense_cases()[3]], ids=str)
def test_rounding_is_measured(case: Case) -> None:
    """It covers what float32 does to a gradient, and is small beside a gradient that is large."""
    for steps in (0, 3000):
        rounded = trace_of(case, np.float32, steps=steps, eta=0.2)
        same = Setting(case, np.concatenate([*flat(rounded)]), rounded.inputs, rounded.targets)
        exact = trace_of(same, eta=0.2)
        assert all(np.isfinite(most).all() for most in rounding(rounded).values())
        for (layer, quantity), most in rounding(rounded).items():
            pair = [next(x for x in t.layers if x.name == layer) for t in (exact, rounded)]
            right, wrong = (getattr(x, quantity).astype(np.float64) for x in pair)
            assert (np.abs(right - wrong) <= most).all()
            if steps == 0:
                assert most.max() < 1e-4 * np.abs(right).max()


@pytest.mark.parametrize("units", [1, 2, 4])
def test_a_unit_within_an_ulp_of_its_kink_hides_no_wrong_gradient(units: int) -> None:
    verdicts = negated_at_kinks(units, seeds=20)
    assert set(verdicts) == {"failed"}
    assert verdicts["failed"] > 10


def test_rounding_is_of_each_entry() -> None:
    """Entries of a tensor may differ by orders of magnitude, as the inputs do that they come by."""
    setting = settle(Case("scales", (Dense(units=2), Dense(units=2)), (3,), n=4))
    trace = trace_of(replace(setting, inputs=setting.inputs * [1e4, 1, 1e-4] * 1e-4))
    noise = rounding(trace)["dense1", "weight_gradient"]
    assert (noise[0] > 1e2 * noise[1]).all()
    assert (noise[1] > 1e2 * noise[2]).all()
    first = trace.layers[0]
    wrong = np.array(first.weight_gradient)
    wrong[2] *= 1.001
    done = check(replace(trace, layers=(replace(first, weight_gradient=wrong), trace.layers[1])))
    assert [(t.layer, t.quantity) for t in failed(done)] == [("dense1", "weight_gradient")]


def flat(trace: Trace) -> Iterator[Array]:
    for layer in trace.layers:
        for array in (layer.weight, layer.bias):
            if array is not None:
                yield array.ravel()


# --- Kinks ---------------------------------------------------------------------------------------


def on_kinks() -> Setting:
    """A relu whose z is 0 in one unit of one sample, a maxpool with a tie."""
    layers = (
        Conv(filters=1, kernel=(1, 1), activation="relu"),
        MaxPool(size=(1, 2)),
        Dense(units=2),
    )
    case = Case("kinks", layers, (1, 1, 4), n=2)
    parameters = np.random.default_rng(1).normal(0, 1, build_case(case).parameters.size)
    parameters[:2] = 0.5, 0.0  # the filter, its bias
    inputs = np.array([[0.0, 1.0, 0.7, 0.7], [0.3, 0.8, -1.0, 0.4]]).reshape(2, 1, 1, 4)
    return Setting(case, parameters, inputs, np.array([[0.0, 1.0], [1.0, 0.0]]))


@DTYPES
def test_kinks_are_counted_and_named(dtype: Any) -> None:
    done = assert_passes(trace_of(on_kinks(), dtype))
    kinks = {(t.layer, t.quantity): t.kinks for t in done.tensors if t.kinks}
    assert kinks == {
        ("conv1", "upstream"): ((0, 0, 0, 2), (0, 0, 0, 3)),  # the tie
        ("conv1", "delta"): ((0, 0, 0, 0), (0, 0, 0, 2), (0, 0, 0, 3)),
        ("conv1", "bias_gradient"): ((0,),),
        ("conv1", "downstream"): ((0, 0, 0, 0), (0, 0, 0, 2), (0, 0, 0, 3)),
    }


def test_what_lies_on_a_kink_is_checked_on_its_own_side(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ConvStep.backward

    def wrong(self: Any) -> Any:
        yield from original(self)
        yield lambda: np.multiply(self.gradients["bias"], self.n, self.gradients["bias"])

    monkeypatch.setattr(ConvStep, "backward", wrong)
    done = check(trace_of(on_kinks()))
    assert [(t.layer, t.quantity) for t in failed(done)] == [("conv1", "bias_gradient")]
    assert failed(done)[0].kinks == ((0,),)


def test_the_first_of_several_maxima_is_the_one() -> None:
    trace = trace_of(on_kinks())
    conv = trace.layers[0]
    assert conv.upstream[0, 0, 0, 2] != 0 == conv.upstream[0, 0, 0, 3]
    wrong = conv.upstream.copy()
    wrong[0, 0, 0, 2:] = wrong[0, 0, 0, :1:-1]
    done = check(replace(trace, layers=(replace(conv, upstream=wrong), *trace.layers[1:])))
    assert [(t.layer, t.quantity) for t in failed(done)] == [("conv1", "upstream")]


# --- Planted errors ------------------------------------------------------------------------------

Planted = pytest.MonkeyPatch


def after(patch: Planted, kind: type[Any], method: str, action: Callable[..., None]) -> None:
    original = getattr(kind, method)

    def changed(self: Any) -> Any:
        yield from original(self)
        yield partial(action, self)

    patch.setattr(kind, method, changed)


def times_n(step: Any, key: str) -> None:
    step.gradients[key] *= step.n


def no_sigma_prime(patch: Planted) -> None:
    patch.setattr(
        WeightedStep,
        "multiply_hadamard",
        lambda s: [partial(np.copyto, s.delta, s.upstream)],
    )


def transposed_weight(patch: Planted) -> None:
    def backward_input(self: Any) -> Any:
        transposed = self.weight.reshape(self.weight.shape[::-1]).T
        yield partial(np.matmul, transposed, self.delta, self.downstream)

    patch.setattr(DenseStep, "backward_input", backward_input)


def no_mean_in_dense(patch: Planted) -> None:
    after(patch, DenseStep, "backward", lambda s: times_n(s, "weight"))


def no_mean_in_conv(patch: Planted) -> None:
    after(patch, ConvStep, "backward", lambda s: times_n(s, "weight"))


def no_mean_in_bias(kind: type[Any]) -> Callable[[Planted], None]:
    def plant(patch: Planted) -> None:
        after(patch, kind, "backward", lambda s: times_n(s, "bias"))

    return plant


def windows_off_by_one(patch: Planted) -> None:
    def shift(patches: Array) -> None:
        patches[...] = np.roll(patches, 1, axis=-2)

    def backward(self: Any) -> Any:
        one: Any  # a partial
        for one in original(self):
            yield one
            if one.func is np.copyto:
                yield partial(shift, one.args[0])

    original = ConvStep.backward
    patch.setattr(ConvStep, "backward", backward)


def flipped_filter(patch: Planted) -> None:
    def backward_input(self: Any) -> Any:
        def flip() -> None:
            self.weight[...] = self.weight[:, :, ::-1, ::-1].copy()

        yield flip
        yield from original(self)
        yield flip

    original = ConvStep.backward_input
    patch.setattr(ConvStep, "backward_input", backward_input)


def whole_instead_of_share(patch: Planted) -> None:
    def action(s: Any) -> None:
        s.downstream *= len(s.cells)

    after(patch, AvgPoolStep, "backward_input", action)


def next_to_the_maximum(patch: Planted) -> None:
    def backward_input(self: Any) -> Any:
        def shift(by: int) -> None:
            self.first[...] = (self.first + by) % len(self.cells)

        yield partial(shift, 1)
        yield from original(self)
        yield partial(shift, -1)

    original = MaxPoolStep.backward_input
    patch.setattr(MaxPoolStep, "backward_input", backward_input)


def wrong_sign_of_the_cost(patch: Planted) -> None:
    original = Pass._order_operations

    def order(self: Any) -> None:
        original(self)
        self.backward_operations.insert(0, partial(np.negative, self.error, self.error))

    patch.setattr(Pass, "_order_operations", order)


def wrong_sign_behind_cross_entropy(patch: Planted) -> None:
    def action(s: Any) -> None:
        s.last.upstream *= -1

    original = Pass.fill_unused

    def fill_unused(self: Any) -> Any:
        original(self)
        action(self)

    patch.setattr(Pass, "fill_unused", fill_unused)


CONV, LENET5, MLP, TWO = "digits-conv", "mnist-lenet", "digits-mlp", "two-two-two"
MAXPOOL = ("network[1].type=maxpool",)
FEW = ("train.batch_size=4",)
TWO_SAMPLES = (
    "data.train.inputs=[[0.05, 0.1], [0.3, -0.2]]",
    "data.train.targets=[[0.01, 0.99], [0.5, 0.5]]",
    "train.batch_size=2",
)

# The error, a spec and overrides, and where the check must first see it in the backward pass.
PLANTED = [
    (no_sigma_prime, MLP, (), ("dense2", "delta")),
    (no_sigma_prime, TWO, (), ("dense2", "delta")),
    (no_sigma_prime, CONV, (), ("dense1", "delta")),
    (no_sigma_prime, LENET5, FEW, ("dense2", "delta")),
    (transposed_weight, MLP, (), ("dense1", "upstream")),
    (transposed_weight, TWO, (), ("dense1", "upstream")),
    (transposed_weight, LENET5, FEW, ("dense2", "upstream")),
    (no_mean_in_dense, MLP, (), ("dense2", "weight_gradient")),
    (no_mean_in_dense, TWO, TWO_SAMPLES, ("dense2", "weight_gradient")),
    (no_mean_in_conv, CONV, (), ("conv1", "weight_gradient")),
    (no_mean_in_conv, LENET5, FEW, ("conv2", "weight_gradient")),
    (no_mean_in_bias(DenseStep), MLP, (), ("dense2", "bias_gradient")),
    (no_mean_in_bias(DenseStep), TWO, TWO_SAMPLES, ("dense2", "bias_gradient")),
    (no_mean_in_bias(ConvStep), CONV, (), ("conv1", "bias_gradient")),
    (no_mean_in_bias(ConvStep), LENET5, FEW, ("conv2", "bias_gradient")),
    (windows_off_by_one, CONV, (), ("conv1", "weight_gradient")),
    (windows_off_by_one, LENET5, FEW, ("conv2", "weight_gradient")),
    (flipped_filter, CONV, (), ("conv1", "downstream")),
    (flipped_filter, LENET5, FEW, ("avgpool1", "upstream")),
    (whole_instead_of_share, CONV, (), ("conv1", "upstream")),
    (whole_instead_of_share, LENET5, FEW, ("conv2", "upstream")),
    (next_to_the_maximum, CONV, MAXPOOL, ("conv1", "upstream")),
    (wrong_sign_of_the_cost, MLP, (), ("dense2", "upstream")),
    (wrong_sign_of_the_cost, TWO, (), ("dense2", "upstream")),
    (wrong_sign_of_the_cost, CONV, (), ("dense2", "delta")),
    (wrong_sign_of_the_cost, LENET5, FEW, ("dense3", "delta")),
    (wrong_sign_behind_cross_entropy, CONV, (), ("dense2", "upstream")),
    (wrong_sign_behind_cross_entropy, LENET5, FEW, ("dense3", "upstream")),
]


@pytest.fixture(scope="module")
def small_images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Images for mnist-lenet that a quarter of a second is enough for."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "small.npz"
    images = rng.integers(0, 256, (60, 1, 16, 16)).astype(np.float32)
    np.savez(path, x=images, y=np.arange(60) % 10)
    return f"data.train={path}"


@pytest.fixture
def planted_trace(small_images: str) -> Callable[..., Trace]:
    def take(spec: str, overrides: tuple[str, ...], samples: Sequence[int] | None = None) -> Trace:
        more = (small_images,) if spec == LENET5 else ()
        return spec_trace(spec, *overrides, *more, samples=samples)

    return take


@pytest.mark.parametrize(
    ("plant", "spec", "overrides", "where"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] if LENET5 in case or index % 3 else [])
        for index, case in enumerate(PLANTED)
    ],
)
def test_a_planted_error_is_found_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
    planted_trace: Callable[..., Trace],
    plant: Callable[[pytest.MonkeyPatch], None],
    spec: str,
    overrides: tuple[str, ...],
    where: Any,
) -> None:
    plant(monkeypatch)
    done = check(planted_trace(spec, overrides))
    assert not done.passed
    assert (failed(done)[0].layer, failed(done)[0].quantity) == where
    assert failed(done)[0].max_relative_error > 10 * done.tolerance
    assert done.failure == failed(done)[0]  # though the error may be larger farther down


SPECS = [(MLP, ()), (TWO, ()), (TWO, TWO_SAMPLES), (CONV, ()), (CONV, MAXPOOL), (LENET5, FEW)]


@pytest.mark.parametrize(
    ("spec", "overrides"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] if k not in (0, 2) else [])
        for k, case in enumerate(SPECS)
    ],
)
def test_the_same_specs_pass_without_one(
    planted_trace: Callable[..., Trace], spec: str, overrides: tuple[str, ...]
) -> None:
    assert_passes(planted_trace(spec, overrides))
    assert_passes(planted_trace(spec, overrides, (0,)))


def test_mnist_lenet_passes_as_it_is_shipped() -> None:
    assert_passes(spec_trace(LENET5))


@pytest.mark.parametrize("plant", [no_sigma_prime, transposed_weight, no_mean_in_dense])
def test_a_planted_error_is_found_late_in_a_training_too(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    assert_passes(spec_trace(MLP, samples=None, step=300))
    plant(monkeypatch)
    assert not check(spec_trace(MLP, samples=None, step=30)).passed


def test_a_record_that_was_changed_is_found() -> None:
    trace = spec_trace(MLP)
    for layer_at, layer in enumerate(trace.layers):
        for quantity in ("upstream", "delta", "weight_gradient", "bias_gradient"):
            array = getattr(layer, quantity).copy()
            array.flat[np.abs(array).argmax()] *= 1.01
            layers = list(trace.layers)
            layers[layer_at] = replace(layer, **{quantity: array})
            done = check(replace(trace, layers=tuple(layers)))
            assert [(t.layer, t.quantity) for t in failed(done)] == [(layer.name, quantity)]


# --- Which entries -------------------------------------------------------------------------------


def test_every_gradient_is_checked_once() -> None:
    trace = trace_of(LENET)
    names = [(t.layer, t.quantity) for t in check(trace).tensors]
    expected = [("conv1", "downstream")]
    for layer in trace.layers:
        expected.append((layer.name, "upstream"))
        if layer.delta is not None:
            quantities = ("delta", "weight_gradient", "bias_gradient")
            expected += [(layer.name, quantity) for quantity in quantities]
    assert sorted(names) == sorted(expected)


@pytest.mark.parametrize("entries", [1, 7, 10**12])
def test_at_most_so_many_entries_and_the_largest_among_them(
    monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    asked: dict[tuple[str, str], list[Any]] = {}
    original = Probe.derivatives

    def spy(self: Any, layer: str, key: str, chosen: Sequence[tuple[int, ...]]) -> Any:
        asked[layer, key] = list(chosen)
        return original(self, layer, key, chosen)

    monkeypatch.setattr(Probe, "derivatives", spy)
    trace = spec_trace(MLP)
    done = check(trace, entries)
    first = dict(asked)
    for tensor in done.tensors:
        assert min(entries, tensor.size) - 1 <= tensor.checked <= min(entries, tensor.size)
    for layer in trace.layers:
        gradient: Any = layer.weight_gradient
        largest = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        assert tuple(map(int, largest)) in first[layer.name, "weight"]
        assert len(set(first[layer.name, "weight"])) == len(first[layer.name, "weight"]) > 0
    check(trace, entries)
    assert asked == first  # a seeded choice


@pytest.mark.parametrize("spec", mostly_slow(SPECS[:-1], 3))
def test_the_default_checks_some_of_every_gradient(spec: tuple[str, tuple[str, ...]]) -> None:
    name, overrides = spec
    for tensor in check(spec_trace(name, *overrides, samples=None)).tensors:
        assert tensor.checked >= min(10, tensor.size)


def test_the_order_in_which_numbers_are_nudged_does_not_matter() -> None:
    for case in (LENET, dense_cases()[0], SOME_CASES[1]):
        trace = trace_of(case)
        probe = Probe(trace)
        places = [
            (layer.name, key, tuple(0 for _ in array.shape))
            for layer in trace.layers
            for key, array in (("a", layer.a), ("z", layer.z), ("weight", layer.weight))
            if array is not None
        ]
        places.append((trace.layers[0].name, "input", tuple(0 for _ in trace.inputs.shape)))
        fresh = {p: Probe(trace).derivatives(p[0], p[1], [p[2]]).values[0] for p in places}
        order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(places)), 8))
        for k in order:
            layer, key, entry = places[k]
            found = probe.derivatives(layer, key, [entry]).values[0]
            assert found == fresh[places[k]], places[k]


# --- The sweep and the definitions of the costs --------------------------------------------------


@pytest.mark.parametrize("spec", [TWO, MLP])
def test_the_sweep_is_u_shaped(spec: str) -> None:
    trace = spec_trace(spec)
    done = sweep(trace)
    gradient: Any = trace.layers[0].weight_gradient
    assert (done.layer, done.quantity) == ("dense1", "weight_gradient")
    assert done.value == gradient[done.entry]
    assert abs(done.value) == np.abs(gradient).max()
    steps, errors = map(np.array, zip(*done.errors, strict=True))
    assert steps[0] == 1
    assert steps[-1] == pytest.approx(1e-15)
    best = errors.argmin()
    assert 1e-7 < steps[best] < 1e-3
    assert errors[best] < 1e-8
    assert errors[0] > 1e5 * errors[best]
    assert errors[-1] > 1e5 * errors[best]
    # Truncation falls as h²: two decimal digits for each of h, while nothing else matters.
    falling = (steps <= 0.1) & (steps >= 1e-2)
    slope = np.polyfit(np.log10(steps[falling]), np.log10(errors[falling]), 1)[0]
    assert slope == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("cost", "output"),
    [("quadratic", "sigmoid"), ("cross_entropy", "sigmoid"), ("cross_entropy", "softmax")],
)
def test_textbook_costs(cost: str, output: str) -> None:
    case = Case(f"{cost}-{output}", (Dense(units=3, activation=output),), (2,), cost)
    setting = settle(case)
    step = setting.step()
    mean = step.forward()
    total = textbook_cost(step.network, step.last.a, step.targets.T)
    assert total.real == pytest.approx(mean * case.n, rel=1e-13)
    reference = setting.reference(setting.network())
    assert total.real == pytest.approx(reference["cost"] * case.n, rel=1e-13)


def test_textbook_costs_at_the_ends() -> None:
    network = build_case(Case("c", (Dense(units=2),), (1,), "cross_entropy"))
    right = np.array([[1.0], [0.0]])
    assert textbook_cost(network, right, right) == 0  # 0 ln 0 counts as 0


# --- The record ----------------------------------------------------------------------------------


def test_no_check_where_none_is_asked_for() -> None:
    assert inspect(trace_of(LENET), checked=False).check is None


def test_the_engine_is_left_as_it_was() -> None:
    trace = trace_of(LENET)
    copies = [layer.weight.copy() for layer in trace.layers if layer.weight is not None]
    check(trace)
    now = [layer.weight for layer in trace.layers if layer.weight is not None]
    assert all(map(np.array_equal, copies, now))


SATURATED = (Dense(units=2), Dense(units=2))


def thousands(inputs: float, dtype: Any = np.float64) -> Trace:
    """A sigmoid network whose z are in the hundreds: its σ′ are below any rounding, or 0."""
    setting = settle(Case("thousands", SATURATED, (2,)))
    return trace_of(replace(setting, inputs=np.full_like(setting.inputs, inputs)), dtype)


@pytest.mark.parametrize("inputs", [700.0, 5000.0])
def test_what_was_not_verified_is_not_passed(inputs: float) -> None:
    done = check(thousands(inputs))
    for tensor in done.tensors:
        agree = tensor.verified + tensor.too_small + tensor.unknown
        assert agree == tensor.checked
        assert tensor.proven == (tensor.verified >= 0.9 * tensor.checked)
    assert done.failure is None
    assert done.verdict == ("passed" if all(t.proven for t in done.tensors) else "not_proven")


def test_gradients_that_rounding_could_make_are_not_proven() -> None:
    """Two samples are 1 and −1 once they are normalised, but for ε, whatever the weights are."""
    layers = (Dense(units=4, activation="tanh"), BatchNorm(), Dense(units=2))
    trace = trace_of(Case("pair", layers, (3,), n=2), np.float32)
    done = check(trace)
    assert done.verdict == "not_proven"
    assert not done.passed
    short = done.unproven
    assert short is not None
    assert short.too_small > 0
    first = trace.layers[0]
    assert first.weight_gradient is not None
    negated = replace(first, weight_gradient=-first.weight_gradient)
    assert not check(replace(trace, layers=(negated, *trace.layers[1:]))).passed


def test_the_derivative_of_a_saturated_sigmoid_is_computed() -> None:
    """e^z of z = 720 is infinite; the complex step must not depend on it."""
    done = check(thousands(-720.0))
    assert sum(tensor.unknown for tensor in done.tensors) == 0


def test_nan_in_a_network_that_is_finite_is_wrong() -> None:
    trace = trace_of(dense_cases()[3])
    first = trace.layers[0]
    wrong = np.array(first.weight_gradient)
    wrong[0, 0] = np.nan
    done = check(replace(trace, layers=(replace(first, weight_gradient=wrong), *trace.layers[1:])))
    assert [(t.layer, t.quantity) for t in failed(done)] == [("dense1", "weight_gradient")]


@DTYPES
def test_a_bias_before_a_batchnorm_is_proven_though_its_gradient_is_rounding(dtype: Any) -> None:
    """Its derivative is 0: the mean that is taken off takes the bias with it."""
    layers = (Dense(units=4, activation="identity"), BatchNorm(), Dense(units=3))
    done = check(trace_of(settle(Case("bias-batchnorm", layers, (3,), n=6)), dtype))
    assert done.verdict == "passed", done.unproven
    (bias,) = (t for t in done.tensors if (t.layer, t.quantity) == ("dense1", "bias_gradient"))
    assert bias.verified == bias.checked
    assert bias.largest < 1e-6


def test_small_entries_of_a_trained_network_are_verified_by_their_own_digits() -> None:
    """As `make demo` shows it: outputs that are right have δ far below the largest."""
    done = check(spec_trace("digits-mlp", step=4320))
    assert done.verdict == "passed", done.unproven
    assert all(tensor.verified >= 0.9 * tensor.checked for tensor in done.tensors)
