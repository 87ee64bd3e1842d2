"""σ and σ' by themselves: every row against differences, and where floats run out."""

import json
import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.nn.activations import ACTIVATIONS, Activation
from nncli.nn.arrays import execute
from nncli.nn.gelu import CHUNK
from nncli.nn.layers import Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from tests.conftest import present

from .cases import ELEMENTWISE

REFERENCE = Path(__file__).parents[1] / "reference"
SMOOTH = [name for name in ELEMENTWISE if not ACTIVATIONS[name].kinks]
FALLING = {"gelu"}  # all others only rise
Z = np.linspace(-6, 6, 241) + 0.013  # relu's kink lies between two of them


def apply(name: str, z: NDArray[Any], *values: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """σ(z) and σ'(z) by the rule alone; `values` are its parameters, else its defaults."""
    a, sigma_prime = np.zeros_like(z), np.zeros_like(z)
    row = ACTIVATIONS[name]
    constants = [np.array(value, z.dtype) for value in values or row.defaults]
    with np.errstate(all="ignore"):
        execute(row.rule(z, a, sigma_prime, np.array(1, z.dtype), *constants))
    return a, sigma_prime


def values_of(row: Activation) -> list[tuple[float, ...]]:
    """Values of a row's parameters to try: the defaults, others, and the ends of their ranges."""
    if not row.parameters:
        return [()]
    (parameter,) = row.parameters
    ends = [end for end in (parameter.least, parameter.most) if math.isfinite(end)]
    return [(value,) for value in dict.fromkeys([parameter.default, 0.3, *ends])]


def units_at(activation: str, z: Any, dtype: Any, cost: str = "quadratic") -> Step:
    """A step, not yet run, whose one layer has `z` for its weighted input."""
    z = np.asarray(z, dtype)
    layer = Dense(units=len(z), activation=activation, bias=False, weights=np.diag(z))
    rng = np.random.default_rng(0)
    network = build_network([layer], z.shape, cost, dtype, rng)
    step = Step(network, sgd(network), 1)
    step.inputs[...] = 1
    return step


def exact_sigmoid(z: float) -> tuple[Decimal, Decimal]:
    """σ(z) = 1/(1 + e^−z) and σ'(z) = e^−|z|/(1 + e^−|z|)², to 60 digits."""
    with localcontext() as context:
        context.prec = 60
        power = (-abs(Decimal(z))).exp()
        a = (1 if z >= 0 else power) / (1 + power)
        return a, power / (1 + power) ** 2


def ulps(actual: NDArray[Any], exact: list[Decimal]) -> float:
    """The largest error in units in the last place, over the exact values that are normal."""
    tiny = Decimal(float(np.finfo(actual.dtype).tiny))
    return max(
        float(abs(Decimal(float(x)) - e) / Decimal(float(np.spacing(actual.dtype.type(float(e))))))
        for x, e in zip(actual, exact, strict=True)
        if e >= tiny
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sigma_prime_against_central_differences(name: Any) -> None:
    h = 1e-5
    for values in values_of(ACTIVATIONS[name]):
        slopes = (apply(name, Z + h, *values)[0] - apply(name, Z - h, *values)[0]) / (2 * h)
        np.testing.assert_allclose(apply(name, Z, *values)[1], slopes, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_sigma_prime_against_complex_steps(name: Any) -> None:
    slopes = apply(name, Z + 1e-30j)[0].imag / 1e-30
    np.testing.assert_allclose(apply(name, Z)[1], slopes, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if ACTIVATIONS[n].kinks])
def test_pieces_against_complex_steps(name: Any) -> None:
    """Each smooth piece continues over its kink, which is what the proof differentiates."""
    row = ACTIVATIONS[name]
    for values in values_of(row):
        at = row.piece_at(Z)
        for k, piece in enumerate(row.pieces):
            slopes = np.imag(piece(Z + 1e-30j, *values)) / 1e-30
            sigma_prime = apply(name, Z, *values)[1]
            np.testing.assert_allclose(sigma_prime[at == k], slopes[at == k], rtol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sigma_prime_is_bounded_and_sigma_is_finite(name: Any) -> None:
    for dtype in (np.float32, np.float64):
        z = [-1e4, -1e2, -40, -1, 0, 1, 40, 1e2, 1e4]
        step = units_at(name, z, dtype)
        step.forward()
        layer: Any = step.layers[0]
        assert np.isfinite(layer.a).all()
        assert np.isfinite(layer.sigma_prime).all()
        assert (layer.sigma_prime >= (-0.13 if name in FALLING else 0)).all()
        assert (layer.sigma_prime <= 1.13).all()


def test_relu_has_slope_0_at_its_kink() -> None:
    a, sigma_prime = apply("relu", np.array([-1.0, -0.0, 0.0, 1.0]))
    assert a.tolist() == [0, 0, 0, 1]
    assert sigma_prime.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_far_out(dtype: Any) -> None:
    z = np.array([-1e4, -1e2, -40, 0, 40, 1e2, 1e4], dtype)
    step = units_at("sigmoid", z, dtype)
    step.forward()
    layer = step.layers[0]
    exact = [exact_sigmoid(float(number)) for number in z]
    for actual, expected in ((layer.a, [a for a, _ in exact]), (layer.sigma_prime, exact)):
        expected = [e if isinstance(e, Decimal) else e[1] for e in expected]
        assert ulps(present(actual)[:, 0], expected) < 8
    # e^−1e4, and in float32 e^−100 too, is below every number there is, or below the normal ones.
    assert layer.a[[0, -1], 0].tolist() == [0, 1]
    assert present(layer.sigma_prime)[[0, -1], 0].tolist() == [0, 0]
    assert 0 <= present(layer.sigma_prime)[1, 0] < 1e-43
    assert 0 <= present(layer.sigma_prime)[-2, 0] < 1e-43


@pytest.mark.parametrize(("dtype", "reach"), [(np.float32, 87.3), (np.float64, 708.3)])
def test_sigmoid_keeps_its_digits_wherever_numbers_are_normal(dtype: Any, reach: float) -> None:
    z = np.concatenate([np.linspace(-reach, reach, 801), np.linspace(-4, 4, 801)]).astype(dtype)
    step = units_at("sigmoid", z, dtype)
    step.forward()
    layer = step.layers[0]
    exact = [exact_sigmoid(float(number)) for number in z]
    assert ulps(layer.a[:, 0], [a for a, _ in exact]) < 8
    assert ulps(present(layer.sigma_prime)[:, 0], [sigma_prime for _, sigma_prime in exact]) < 8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_far_out(dtype: Any) -> None:
    step = units_at("softmax", [1e4, -1e4, 0], dtype, "cross_entropy")
    step.targets[...] = [[0, 0, 1]]
    cost = step.run(0.5, full=True)
    layer = step.layers[0]
    assert cost == 1e4
    assert layer.a[:, 0].tolist() == [1, 0, 0]
    assert present(layer.delta)[:, 0].tolist() == [1, 0, -1]
    assert layer.sigma_prime is None
    assert np.isfinite(step.network.parameters).all()


def test_softmax_sums_to_1_and_ignores_a_shift() -> None:
    z = np.random.default_rng(0).normal(0, 3, 5)
    steps = [units_at("softmax", z + shift, np.float64, "cross_entropy") for shift in (0, 800)]
    for step in steps:
        step.forward()
        assert step.outputs.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(steps[0].outputs, steps[1].outputs, rtol=1e-12)


# --- Known values, see tests/reference/make_activations.py ----------------------------------------

KNOWN = json.loads((REFERENCE / "activations.json").read_text(encoding="utf-8"))


def errors_in_ulps(actual: NDArray[Any], exact: Sequence[str], least: float) -> NDArray[Any]:
    """Errors in units in the last place of the value, or of `least` where that is larger.

    Where the value is below every normal number, 0 for any that is too.
    """
    tiny = float(np.finfo(actual.dtype).tiny)
    found = []
    for x, e in zip(actual.tolist(), exact, strict=True):
        spacing = float(np.spacing(actual.dtype.type(max(abs(float(e)), tiny, least))))
        is_normal = max(abs(x), abs(float(e))) >= tiny
        found.append(float(abs(Decimal(x) - Decimal(e)) / Decimal(spacing)) if is_normal else 0)
    return np.array(found)


def test_every_elementwise_row_has_known_values() -> None:
    assert {name.split()[0] for name in KNOWN} == set(ELEMENTWISE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KNOWN)
def test_known_values(name: Any, dtype: Any) -> None:
    """To 8 ulps, in the tails as well.

    Where σ' passes through 0, as gelu's does, an ulp of z is many of σ', so that it is judged there
    on the scale of the terms that it is a difference of.
    """
    activation, *values = name.split()
    z, a, sigma_prime = zip(*KNOWN[name], strict=True)
    found = apply(activation, np.array(z, dtype), *map(float, values))
    through_0 = [activation in FALLING and -1 < x < -0.5 for x in z]
    assert errors_in_ulps(found[0], a, 0).max() < 8
    exact = [e for e, near in zip(sigma_prime, through_0, strict=True) if not near]
    assert errors_in_ulps(found[1][~np.array(through_0)], exact, 0).max() < 8
    assert errors_in_ulps(found[1], sigma_prime, 0.25 if any(through_0) else 0).max() < 8


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_what_is_not_finite_stays_so_or_goes_to_its_limit(name: Any) -> None:
    a, sigma_prime = apply(name, np.array([-np.inf, np.inf, np.nan]))
    assert a[1] in (1, np.inf)
    assert not np.isnan(a[0])
    assert np.isnan(a[2])
    assert np.isnan(sigma_prime[2]) or name == "identity"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_in_several_chunks_and_in_other_layouts(dtype: Any) -> None:
    z = np.random.default_rng(0).normal(0, 3, (3, CHUNK - 100)).astype(dtype)
    a, sigma_prime = apply("gelu", z)
    for k in range(0, z.size, 997):
        assert apply("gelu", z.flat[k : k + 1])[0] == a.flat[k]
    turned = apply("gelu", z.T)
    np.testing.assert_array_equal(turned, (a.T, sigma_prime.T))
    strided = np.zeros((3, 2 * z.shape[1]), dtype)[:, ::2]
    row = ACTIVATIONS["gelu"]
    with np.errstate(all="ignore"):
        execute(row.rule(z, strided, sigma_prime, np.array(1, dtype)))
    np.testing.assert_array_equal(strided, a)
