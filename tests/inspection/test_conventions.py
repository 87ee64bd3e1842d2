"""One step in every convention: against plain NumPy as it would write it, and with the others."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nncli.inspection.conventions import CONVENTIONS, WrittenStep, written
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace
from tests.nn.cases import SOME_CASES, Case

from .traces import spec_trace, trace_of

Arrays = dict[str, Array]  # of all layers: the record's names with the layer's index before them
Start = list[tuple[Array, Array]]  # weights inputs x units, biases


def sigma(z: Array) -> Array:
    made: Array = 1 / (1 + np.exp(-z))
    return made


# --- A step of sigmoid layers and the quadratic cost, as each text writes it ---------------------


def rows(start: Start, x: Array, y: Array, eta: float) -> Arrays:
    n, seen, a = len(x), {}, [x]
    for k, (w, b) in enumerate(start):
        seen[f"{k}.z"] = a[-1] @ w + b
        a.append(sigma(seen[f"{k}.z"]))
    upstream = a[-1] - y
    for k in reversed(range(len(start))):
        w, b = start[k]
        delta = upstream * a[k + 1] * (1 - a[k + 1])
        seen |= {f"{k}.upstream": upstream, f"{k}.delta": delta, f"{k}.downstream": delta @ w.T}
        seen |= {f"{k}.weight_gradient": a[k].T @ delta / n, f"{k}.bias_gradient": delta.mean(0)}
        seen[f"{k}.weight_new"] = w - eta * seen[f"{k}.weight_gradient"]
        seen[f"{k}.bias_new"] = b - eta * seen[f"{k}.bias_gradient"]
        upstream = seen[f"{k}.downstream"]
    return seen


def columns(start: Start, x: Array, y: Array, eta: float) -> Arrays:
    weights, biases = [w.T for w, _ in start], [b[:, None] for _, b in start]
    n, seen, a = len(x), {}, [x.T]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        seen[f"{k}.z"] = w @ a[-1] + b
        a.append(sigma(seen[f"{k}.z"]))
    upstream = a[-1] - y.T
    for k in reversed(range(len(start))):
        delta = upstream * a[k + 1] * (1 - a[k + 1])
        seen |= {f"{k}.upstream": upstream, f"{k}.delta": delta}
        seen[f"{k}.weight_gradient"] = delta @ a[k].T / n
        seen[f"{k}.bias_gradient"] = delta.mean(axis=1, keepdims=True)
        seen[f"{k}.weight_new"] = weights[k] - eta * seen[f"{k}.weight_gradient"]
        seen[f"{k}.bias_new"] = biases[k] - eta * seen[f"{k}.bias_gradient"]
        upstream = seen[f"{k}.downstream"] = weights[k].T @ delta
    return seen


def nielsen(start: Start, x: Array, y: Array, eta: float) -> Arrays:
    """Sample by sample, column vectors; nabla_w and nabla_b are sums over the mini-batch."""
    weights, biases = [w.T for w, _ in start], [b[:, None] for _, b in start]
    nabla_w, nabla_b = [np.zeros_like(w) for w in weights], [np.zeros_like(b) for b in biases]
    parts: dict[str, list[Array]] = {}
    for one, target in zip(x, y, strict=True):
        activations, zs = [one[:, None]], []
        for w, b in zip(weights, biases, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigma(zs[-1]))
        error = activations[-1] - target[:, None]
        for k in reversed(range(len(weights))):
            delta = error * sigma(zs[k]) * (1 - sigma(zs[k]))
            nabla_w[k] += np.dot(delta, activations[k].transpose())
            nabla_b[k] += delta
            below = np.dot(weights[k].transpose(), delta)
            for key, array in zip(
                ("z", "upstream", "delta", "downstream"), (zs[k], error, delta, below), strict=True
            ):
                parts.setdefault(f"{k}.{key}", []).append(array)
            error = below
    seen = {key: np.hstack(each) for key, each in parts.items()}
    for k in range(len(weights)):
        seen |= {f"{k}.weight_gradient": nabla_w[k], f"{k}.bias_gradient": nabla_b[k]}
        seen[f"{k}.weight_new"] = weights[k] - (eta / len(x)) * nabla_w[k]
        seen[f"{k}.bias_new"] = biases[k] - (eta / len(x)) * nabla_b[k]
    return seen


def cs231n(start: Start, x: Array, y: Array, eta: float) -> Arrays:
    """The loss has no ½, so its gradients are twice ours, and half the step size does."""
    n, seen, h = len(x), {}, [x]
    for k, (w, b) in enumerate(start):
        seen[f"{k}.z"] = h[-1].dot(w) + b
        h.append(sigma(seen[f"{k}.z"]))
    dout = 2 * (h[-1] - y)
    dout /= n
    step_size = eta / 2
    for k in reversed(range(len(start))):
        w, b = start[k]
        dz = dout * h[k + 1] * (1 - h[k + 1])
        dw, db, dx = h[k].T.dot(dz), np.sum(dz, axis=0), dz.dot(w.T)
        seen |= {f"{k}.upstream": dout, f"{k}.delta": dz, f"{k}.downstream": dx}
        seen |= {f"{k}.weight_gradient": dw, f"{k}.bias_gradient": db}
        seen |= {f"{k}.weight_new": w + -step_size * dw, f"{k}.bias_new": b + -step_size * db}
        dout = dx
    return seen


def torch(start: Start, x: Array, y: Array, eta: float) -> Arrays:
    """Of 0.5 * (a - y).square().sum() / len(x); weights are (out_features, in_features)."""
    weights = [w.T for w, _ in start]
    seen, a = {}, [x]
    for k, w in enumerate(weights):
        seen[f"{k}.z"] = a[-1] @ w.T + start[k][1]
        a.append(sigma(seen[f"{k}.z"]))
    grad = (a[-1] - y) / len(x)
    for k in reversed(range(len(weights))):
        z_grad = grad * a[k + 1] * (1 - a[k + 1])
        seen |= {
            f"{k}.upstream": grad,
            f"{k}.delta": z_grad,
            f"{k}.downstream": z_grad @ weights[k],
        }
        seen |= {f"{k}.weight_gradient": z_grad.T @ a[k], f"{k}.bias_gradient": z_grad.sum(0)}
        seen[f"{k}.weight_new"] = weights[k] - eta * seen[f"{k}.weight_gradient"]
        seen[f"{k}.bias_new"] = start[k][1] - eta * seen[f"{k}.bias_gradient"]
        grad = seen[f"{k}.downstream"]
    return seen


Literal = Callable[[Start, Array, Array, float], Arrays]
LITERALLY: dict[str, Literal] = {
    "rows": rows, "columns": columns, "nielsen": nielsen, "cs231n": cs231n, "torch": torch,
}  # fmt: skip
NAMES = pytest.mark.parametrize("name", CONVENTIONS)


def test_every_convention_is_written_out_here() -> None:
    assert LITERALLY.keys() == CONVENTIONS.keys()


def sigmoids(samples: tuple[int, ...]) -> Trace:
    return spec_trace("digits-mlp", "dtype=float64", samples=samples)


@NAMES
@pytest.mark.parametrize("step", ["two-two-two", "1 sample", "3 samples", "4 samples"])
def test_the_step_is_what_plain_numpy_makes_of_it(name: str, step: str) -> None:
    trace = spec_trace(step) if "-" in step else sigmoids(tuple(range(int(step[0]))))
    start: Any = [(layer.weight, layer.bias) for layer in trace.layers]
    expected = LITERALLY[name](start, trace.inputs, trace.targets, trace.eta)
    made = written(trace, CONVENTIONS[name])
    for k, layer in enumerate(made.layers):
        for key in ("z", "upstream", "delta", "downstream", *(
            f"{of}_{part}" for of in ("weight", "bias") for part in ("gradient", "new")
        )):  # fmt: skip
            there = expected[f"{k}.{key}"]
            assert layer.arrays[key].shape == there.shape, key
            scale = np.abs(there).max()
            assert np.abs(layer.arrays[key] - there).max() <= 1e-14 * max(scale, 1e-3), key


# --- With one another ----------------------------------------------------------------------------

FACTORS: dict[str, dict[str, Callable[[int], float]]] = {
    "nielsen": {"gradient": lambda n: n},
    "cs231n": {"error": lambda n: 1 / n},
    "torch": {"error": lambda n: 1 / n},
}
ERRORS = ("upstream", "delta", "downstream")


def ours(made: WrittenStep, name: str) -> Arrays:
    """What is shown, taken back to the record's layout and scale."""
    arrays: Arrays = {}
    n = len(made.trace.samples)
    for written_layer in made.layers:
        for key, array in written_layer.arrays.items():
            is_matrix = array.ndim == 2 and not key.startswith("bias")
            turned = name in ("columns", "nielsen") or (name == "torch" and "weight" in key)
            back = array.T if is_matrix and turned else array
            if key.startswith("bias") and name in ("columns", "nielsen"):
                back = back[:, 0]
            kind = "error" if key in ERRORS else "gradient" if "gradient" in key else ""
            if kind and name == "cs231n":
                back = back / made.cost_factor
            factor = FACTORS.get(name, {}).get(kind)
            if factor is not None and n > 1:
                back = back / factor(n)
            arrays[f"{written_layer.layer.name}.{key}"] = back
    return arrays


@NAMES
@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_all_conventions_agree_to_the_last_digit(name: str, case: Case) -> None:
    trace = trace_of(case)
    made = written(trace, CONVENTIONS[name])
    for place, array in ours(made, name).items():
        layer, _, key = place.partition(".")
        record = next(x for x in trace.layers if x.name == layer).quantity(key)
        assert record is not None
        is_scaled = key in ERRORS or "gradient" in key
        n = len(trace.samples)
        if not is_scaled or n & (n - 1) == 0 or name in ("rows", "columns"):
            assert np.array_equal(array, record), place
        else:
            assert np.abs(array - record).max() <= 4e-16 * np.abs(record).max(), place
    assert made.off <= (0 if len(trace.samples) & (len(trace.samples) - 1) == 0 else 1)


@NAMES
def test_what_was_recorded_in_float32_is_exact_where_sums_are_wider(name: str) -> None:
    made = written(spec_trace("digits-mlp", samples=(0, 1, 2)), CONVENTIONS[name])
    assert (made.off == 0) == (not CONVENTIONS[name].error_is_mean)


@NAMES
def test_the_step_is_the_same(name: str) -> None:
    """By the learning rate that the convention names, from its own gradient."""
    trace = sigmoids((0, 1, 2, 3))
    convention = CONVENTIONS[name]
    made = written(trace, convention)
    eta = made.eta / len(trace.samples) if convention.gradient_is_sum else made.eta
    for layer in made.layers:
        for key in ("weight", "bias"):
            update = -eta * layer.arrays[f"{key}_gradient"]
            assert np.array_equal(update, layer.arrays[f"{key}_update"])
            after = layer.arrays[key] + layer.arrays[f"{key}_update"]
            assert np.array_equal(after, layer.arrays[f"{key}_new"])


# --- Names ---------------------------------------------------------------------------------------


@NAMES
@pytest.mark.parametrize("spec", ["two-two-two", "digits-conv", "digits-batchnorm", "seed-3-4-2"])
def test_names_are_filled_in_and_tell_layers_apart(name: str, spec: str) -> None:
    samples = None if spec == "digits-batchnorm" else (0,)
    made = written(spec_trace(spec, samples=samples), CONVENTIONS[name])
    for layer in made.layers:
        for text in (*layer.symbols.values(), *layer.formulas.values()):
            assert "{" not in text
        if layer.layer.bias is None:
            assert "b" not in layer.formulas["z"].replace("dropout", "")
    if name in ("nielsen", "cs231n", "torch"):
        weights = [w.symbols["weight"] for w in made.layers if w.layer.weight is not None]
        assert len(set(weights)) == len(weights)
        for below, above in pairwise(made.layers):
            if below.layer.delta is not None and above.layer.delta is not None:
                assert above.symbols["input"] == below.symbols["a"]
                assert above.symbols["downstream"] == below.symbols["upstream"]


def test_without_the_half_half_of_eta_takes_the_same_step() -> None:
    made = written(spec_trace("two-two-two"), CONVENTIONS["cs231n"])
    assert (made.eta, made.cost_factor) == (0.25, 2)
    assert written(spec_trace("iris"), CONVENTIONS["cs231n"]).cost_factor == 1
