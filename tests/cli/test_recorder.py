"""nncli recorder: files that save the numbers of a step of one's own."""

import ast
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nncli as package
from nncli.exchange.recorders import RECORDERS, recorder
from tests.conftest import CONFIGS, Run

IRIS = CONFIGS / "iris.yaml"


@pytest.mark.parametrize("framework", RECORDERS)
def test_a_short_file_of_python(nncli: Run, framework: str) -> None:
    done = nncli("recorder", framework)
    assert (done.status, done.err) == (0, "")
    assert done.out == recorder(framework)
    assert len(done.out.splitlines()) <= 80
    assert max(map(len, done.out.splitlines())) <= 106
    ast.parse(done.out)


def test_it_is_written_where_it_is_asked_for(nncli: Run, tmp_path: Path) -> None:
    assert nncli("recorder", "numpy", "-o", "r.py").status == 0
    assert (tmp_path / "r.py").read_text(encoding="utf-8") == recorder("numpy")
    assert nncli("recorder", "numpy", "-o", "r.py").status == 2
    assert "numpy" in nncli("recorder", "numpi").err


def loaded(framework: str) -> Any:
    module = ModuleType("recorder")
    exec(compile(recorder(framework), f"{framework}.py", "exec"), module.__dict__)
    return module.Recorder


def student(path: Path, samples: tuple[int, ...], *, prime_of_a: bool) -> None:
    """A loop in NumPy that records itself, samples as columns as many write it."""
    trace = package.trace_step(package.load_spec(IRIS, ["dtype=float64"]), samples=samples)
    x, y, eta = trace.inputs.T, trace.targets.T, trace.eta
    weights = [np.array(layer.weight).T for layer in trace.layers]
    biases = [np.array(layer.bias)[:, None] for layer in trace.layers]
    record = loaded("numpy")(path)
    record(X=x.T, y=y.T)
    record.layers(W=weights, b=biases)
    z1 = weights[0] @ x + biases[0]
    a1 = np.tanh(z1)
    powers = np.exp(weights[1] @ a1 + biases[1])
    a2 = powers / powers.sum(axis=0)
    record(C=-(y * np.log(a2)).sum() / x.shape[1])
    delta2 = a2 - y
    delta1 = weights[1].T @ delta2 * (1 - np.tanh(a1 if prime_of_a else z1) ** 2)
    n = x.shape[1]
    gradients = [delta1 @ x.T / n, delta2 @ a1.T / n]
    record.layers(z=[z1.T, None], a=[a1.T, a2.T], delta=[delta1.T, delta2.T], dW=gradients)
    for weight, gradient, bias, delta in zip(
        weights, gradients, biases, (delta1, delta2), strict=True
    ):
        weight -= eta * gradient
        bias -= eta * delta.mean(axis=1, keepdims=True)
    record.layers(W_new=weights, b_new=biases)
    record.save()


@pytest.mark.parametrize("samples", [(0,), (3, 40, 77)], ids=["one", "three"])
def test_a_loop_in_numpy(nncli: Run, tmp_path: Path, samples: Any, capsys: Any) -> None:
    student(tmp_path / "step.npz", samples, prime_of_a=False)
    assert "step.npz: 18 arrays" in capsys.readouterr().out
    spec = (IRIS, "step.npz", "--set", "dtype=float64")
    done = nncli("check", *spec)
    assert (done.status, done.err) == (0, "")
    student(tmp_path / "step.npz", samples, prime_of_a=True)
    done = nncli("check", *spec)
    assert "dense1.delta is the first that is wrong: sigma_prime_of_a" in done.out


def test_what_is_no_number_is_left_out(tmp_path: Path, capsys: Any) -> None:
    record = loaded("numpy")(tmp_path / "step.npz")
    record(dW1=np.eye(2), who="me")
    record.save()
    assert "left out, no plain numbers: who" in capsys.readouterr().out
    assert list(np.load(tmp_path / "step.npz")) == ["dW1"]


class Variable:
    """What Keras' variables are, as far as the recorder knows."""

    def __init__(self, array: Any) -> None:
        self.array = np.array(array)
        self.shape = self.array.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.array


class Layer:
    def __init__(self, *variables: Variable) -> None:
        self.trainable_variables = list(variables)


class Model:
    def __init__(self, *layers: Layer) -> None:
        self.layers = list(layers)
        self.trainable_variables = [v for layer in layers for v in layer.trainable_variables]


def test_the_one_for_keras_with_what_stands_for_keras(nncli: Run, tmp_path: Path) -> None:
    trace = package.trace_step(IRIS, samples=(1, 2))
    layers = [Layer(Variable(layer.weight), Variable(layer.bias)) for layer in trace.layers]
    model = Model(layers[0], Layer(), layers[1])
    record = loaded("keras")(model)
    record(X=trace.inputs, C=trace.cost_before)
    record.gradients([g for x in trace.layers for g in (x.weight_gradient, x.bias_gradient)])
    for layer, own in zip(trace.layers, layers, strict=True):
        for key, variable in zip(("weight", "bias"), own.trainable_variables, strict=True):
            variable.array = getattr(layer, f"{key}_new")
    record.save(tmp_path / "step.npz")
    done = nncli("check", IRIS, "step.npz")
    assert (done.status, done.err) == (0, "")
    assert "W2_new" in done.out
    assert "tensorflow" not in sys.modules
