"""nncli check of loops as people write them: their layouts, their names, their mistakes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Run

SPEC = """
name: loop
dtype: float64
data:
  train: {{inputs: {inputs}, targets: {targets}}}
  classes: none
network:
  - {{type: dense, units: 4, activation: {activation}}}
  - {{type: dense, units: 3, activation: {activation}}}
  - {{type: dense, units: 2, activation: softmax}}
train: {{eta: 0.5, epochs: 5, batch_size: 4, shuffle: false, cost: cross_entropy}}
"""
RNG = np.random.default_rng(5)
X = np.round(RNG.normal(size=(4, 5)), 2)
Y = np.array([0, 1, 1, 0])
WEIGHTS = [RNG.normal(0, 0.8, size) for size in ((5, 4), (4, 3), (3, 2))]
BIASES = [RNG.normal(0, 0.3, size) for size in (4, 3, 2)]
SIGMA: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {  # σ by z, σ′ by a
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0) * 1.0),
    "leaky": (lambda z: np.where(z > 0, z, 0.2 * z), lambda a: np.where(a > 0, 1, 0.2)),
}


def loop(activation: str, prime: str = "", *, updated: bool = False) -> dict[str, Any]:
    """A step in the manner of cs231n: δ is written over ∂C/∂a, and is called dh."""
    sigma, slope = SIGMA[activation][0], SIGMA[prime or activation][1]
    (w1, w2, w3), (b1, b2, b3), n = WEIGHTS, BIASES, len(X)
    h1 = sigma(X @ w1 + b1)
    h2 = sigma(h1 @ w2 + b2)
    powers = np.exp(h2 @ w3 + b3)
    probs = powers / powers.sum(axis=1, keepdims=True)
    dscores = (probs - np.eye(2)[Y]) / n
    dw3 = h2.T @ dscores
    dh2 = dscores @ (w3 - 0.5 * dw3 if updated else w3).T
    dh2 *= slope(h2)
    dw2 = h1.T @ dh2
    dh1 = dh2 @ (w2 - 0.5 * dw2 if updated else w2).T
    dh1 *= slope(h1)
    mine = {"W1": w1, "W2": w2, "W3": w3, "b1": b1, "b2": b2, "b3": b3, "X": X, "y": Y}
    mine |= {"h1": h1, "h2": h2, "probs": probs, "dscores": dscores, "dh2": dh2, "dh1": dh1}
    mine |= {"dW1": X.T @ dh1, "dW2": dw2, "dW3": dw3}
    return mine | {f"db{k}": d.sum(axis=0) for k, d in ((1, dh1), (2, dh2), (3, dscores))}


@pytest.fixture
def check(nncli: Run, tmp_path: Path) -> Callable[..., Any]:
    def run(mine: dict[str, Any], activation: str = "relu", *options: str) -> Any:
        text = SPEC.format(inputs=X.tolist(), targets=np.eye(2)[Y].tolist(), activation=activation)
        (tmp_path / "loop.yaml").write_text(text, encoding="utf-8")
        np.savez(tmp_path / "mine.npz", **mine)
        return nncli("check", "loop.yaml", "mine.npz", *options)

    return run


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_delta_written_over_the_gradient_by_a_is_delta(check: Any, activation: str) -> None:
    done = check(loop(activation), activation)
    assert (done.status, done.err) == (0, "")
    assert "dh2      dense2.delta  " in done.out


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_it_is_so_beside_a_mistake_too(check: Any, activation: str) -> None:
    done = check(loop(activation, updated=True), activation)
    assert "dense2.delta is the first that is wrong: updated_weights" in done.out
    mine = loop(activation)
    mine["dW2"] = 4 * mine["dW2"]
    done = check(mine, activation)
    assert "dense2.weight_gradient is the first that is wrong: sum_for_mean" in done.out


def test_a_gradient_by_a_beside_its_delta_stays_one(check: Any) -> None:
    mine = loop("sigmoid")
    mine["dZ2"] = mine.pop("dh2")
    mine["dA2"] = mine["dscores"] @ WEIGHTS[2].T
    done = check(mine, "sigmoid")
    assert done.status == 0
    assert "dA2      dense2.upstream  " in done.out


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4)])
def test_targets_as_numbers_of_classes(check: Any, first: int, shape: Any) -> None:
    done = check(loop("relu") | {"y": (Y + first).reshape(shape)})
    assert (done.status, done.err) == (0, "")


def test_targets_of_other_classes_are_refused(check: Any) -> None:
    done = check(loop("relu") | {"y": 1 - Y})
    assert done.status == 2
    assert "'y' is not what this step is on" in done.err
    done = check(loop("relu") | {"y": Y * 7})
    assert "'y' is 4, but targets is 4 x 2" in done.err


def test_samples_as_columns(check: Any) -> None:
    """As in courses that write Z = W X + b; four units and four samples, so that a1 is square."""
    mine = {name: array.T for name, array in loop("relu").items()}
    mine |= {name: mine[name][:, None] for name in ("b1", "b2", "b3", "db1", "db2", "db3")}
    done = check(mine)
    assert (done.status, done.err) == (0, "")
    assert "dh1      dense1.delta ᵀ  " in done.out
    mine["X"] = mine["X"][:, [2]]
    done = check({name: mine[name] for name in ("X", "W1", "b1")} | {"h1": mine["h1"][:, [2]]})
    assert "on sample 2 of the" in done.out


def test_samples_that_are_given_are_those_of_any_step(check: Any) -> None:
    mine = {"X": X[[1, 3]], "h1": np.zeros((2, 4))}
    assert "on samples 1, 3 of" in check(mine, "relu", "--step", "3").out


def test_a_name_that_says_nothing_takes_nothing_from_one_that_does(check: Any) -> None:
    mine = {"vel1": np.zeros(4), "foo": BIASES[1]} | loop("relu")
    done = check(mine)
    assert done.status == 0
    assert "Left out, for the name says nothing: 'vel1', 'foo'." in done.out


def test_the_bias_gradient_over_the_other_axis(check: Any) -> None:
    mine = loop("relu")
    for db1 in (mine["dh1"].sum(axis=1), mine["dh1"].sum(axis=1) * 4):
        done = check(mine | {"db1": db1})
        assert "dense1.bias_gradient is the first that is wrong: bias_not_summed" in done.out
        assert "over the units, not over the samples" in " ".join(done.out.split())
    done = check(mine | {"db2": mine["dh2"].sum(axis=1)})
    assert "'db2' is 4, but dense2.bias_gradient is 3; it has a number for each" in done.err
    assert "was δ summed over the units?" in done.err


def test_biases_alone_that_go_uphill(check: Any) -> None:
    mine = loop("relu")
    for k in (1, 2, 3):
        mine[f"W{k}_new"] = WEIGHTS[k - 1] - 0.5 * mine[f"dW{k}"]
        mine[f"b{k}_new"] = BIASES[k - 1] + 0.5 * mine[f"db{k}"]
    done = check(mine)
    assert "dense1.bias_new is the first that is wrong: sign" in done.out
    assert "The update of each bias goes uphill." in done.out


def test_another_activation_than_the_spec_has(check: Any) -> None:
    done = check(loop("leaky"), "leaky_relu")
    assert "dense1.a is the first that is wrong: other_activation" in done.out
    assert "It is leaky_relu of negative_slope 0.2, forward and back." in " ".join(done.out.split())
    done = check(loop("leaky", "relu"), "leaky_relu", "--set", "network[0].negative_slope=0.2",
                 "--set", "network[1].negative_slope=0.2")  # fmt: skip
    assert "dense2.delta is the first that is wrong: other_activation" in done.out
    assert "Its derivative is that of relu." in " ".join(done.out.split())


def test_a_hint_says_which_mistake_it_would_be(check: Any) -> None:
    mine = loop("leaky")
    done = check(mine | {"dW1": mine["dW1"] + RNG.normal(size=(5, 4))}, "leaky_relu")
    words = " ".join(done.out.split())
    assert "No known mistake explains all of it" in words
    assert "would come of other_activation (it is leaky_relu of negative_slope 0.2" in words


def test_notes_keep_their_symbols_and_say_what_the_step_starts_from(check: Any) -> None:
    mine = loop("relu")
    assert "\nδ was given of the mean C" in check(mine).out
    for name in ("W1", "W2", "W3", "b1", "b2", "b3"):
        del mine[name]
    done = check(mine)
    words = " ".join(done.out.split())
    assert "No weights were given, so the step starts from those that the spec draws." in words
