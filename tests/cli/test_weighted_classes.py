"""data.class_weights, from the spec to every command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as library
from nncli.data.class_weights import fit_class_weights
from tests.conftest import Run

SPEC = """\
data: {train: t.csv, validation: 0.25, class_weights: {rare: 4, often: 0.5}}
network: [{type: dense, units: 3, activation: tanh}, {type: dense, units: 3, activation: softmax}]
train: {eta: 0.5, epochs: 4, batch_size: 10, cost: cross_entropy, momentum: 0.5}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)).round(3)
    names = ["rare" if a > 1 else "often" if b > 0 else "usual" for a, b in x]
    rows = (f"{a},{b},{name}" for (a, b), name in zip(x, names, strict=True))
    (tmp_path / "t.csv").write_text("\n".join(["a,b,class", *rows, ""]))
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    # https://scikit-learn.org/stable/modules/generated/sklearn.utils.class_weight.compute_class_weight.html
    # y = [1, 1, 1, 1, 0, 0] gives [1.5, 0.75].
    targets = np.array([[1], [1], [1], [1], [0], [0]])
    classes = ("0", "1")
    assert fit_class_weights("balanced", classes, targets, "t", "classes") == (1.5, 0.75)
    one_hot = np.eye(2)[targets[:, 0]]
    assert fit_class_weights("balanced", classes, one_hot, "t", "classes") == (1.5, 0.75)
    none = np.eye(3)[targets[:, 0]]
    weights = fit_class_weights("balanced", ("0", "1", "2"), none, "t", "classes")
    assert weights == (1, 0.5, 1)


def test_weights_by_name_are_in_the_run_and_said(nncli: Run, spec: Path) -> None:
    done = nncli("train", spec.name)
    words = " ".join(done.out.split())
    assert "weighted by class in training alone: often 0.5000, rare 4.000, usual 1.000" in words
    settled = json.loads((spec.parent / "runs/net/data.json").read_text())
    assert settled["class_weights"] == [0.5, 4, 1]


def test_what_is_measured_is_not_weighted(nncli: Run, spec: Path) -> None:
    nncli("train", spec.name)
    measured = nncli("evaluate", "runs/net", "--data", "t.csv", "--format", "json", "--worst", 99)
    cost = json.loads(measured.out)["cost"]["value"]
    outputs = library.predict(spec.parent / "runs/net", spec.parent / "t.csv").outputs
    names = [line.split(",")[2] for line in (spec.parent / "t.csv").read_text().splitlines()[1:]]
    index = [("often", "rare", "usual").index(name) for name in names]
    assert cost == pytest.approx(-np.log(outputs[np.arange(60), index]).mean(), rel=1e-5)
    done = nncli("export", "runs/net", "--to", "pytorch", "-o", "net.py")
    assert "its cost was weighted by class" in " ".join(done.out.split())


def test_a_weighted_run_resumes_to_the_bit(nncli: Run, spec: Path) -> None:
    nncli("train", spec.name, "--out", "whole")
    nncli("train", spec.name, "--out", "parts", "--set", "train.epochs=2")
    assert nncli("train", "--resume", "parts", "--epochs", 4).status == 0
    whole, parts = (
        (spec.parent / name / "metrics.jsonl").read_text().splitlines()
        for name in ("whole", "parts")
    )
    for a, b in zip(whole, parts, strict=True):
        left, right = json.loads(a), json.loads(b)
        del left["train_seconds"], right["train_seconds"]
        assert left == right
    # Other weights than the run was begun with are another training.
    (spec.parent / "parts/spec.yaml").write_text(
        (spec.parent / "parts/spec.yaml").read_text().replace("rare: 4", "rare: 3")
    )
    assert nncli("train", "--resume", "parts", "--epochs", 5).status == 2


def test_the_step_shows_one_more_factor(nncli: Run, spec: Path) -> None:
    samples = ("--samples", "0,1,2,3")
    record = json.loads(nncli("inspect-grad", spec.name, *samples, "--format", "json").out)
    classes = np.argmax(record["targets"], axis=1)
    weights = np.array([0.5, 4, 1])[classes]
    assert record["class_weights"] == [0.5, 4, 1]
    assert record["sample_weights"] == weights.tolist()
    last = record["layers"][-1]
    difference = np.subtract(last["a"], record["targets"])
    np.testing.assert_allclose(last["delta"], weights[:, None] * difference, rtol=1e-6)
    assert record["check"]["verdict"] == "passed"
    costs = -np.log(np.array(last["a"])[range(4), classes])
    assert record["cost"]["before"] == pytest.approx((weights * costs).mean(), rel=1e-6)
    page = nncli("inspect-grad", spec.name, *samples, "--full", "--view", "matrix").out
    assert "δ = w (a − y)" in page
    assert "Hadamard product" in page


def test_other_accounts_of_a_weighted_step(nncli: Run, spec: Path) -> None:
    assert "w (a − y)" in nncli("explain", spec.name).out
    assert "weight of its class" in nncli("inspect-grad", spec.name, "--convention", "torch").out
    assert nncli("inspect-grad", spec.name, "--save", "s.trace").status == 0
    assert "equal to the bit" in nncli("replay", "s.trace").out
    assert nncli("inspect-grad", spec.name, "-o", "s.npz").status == 0
    with np.load(spec.parent / "s.npz") as step:
        gradients = {key: step[key] for key in step if key.endswith("_gradient")}
    np.savez(spec.parent / "mine.npz", **gradients)
    assert nncli("check", spec.name, "mine.npz").status == 0
    np.savez(spec.parent / "mine.npz", **{key: 2 * g for key, g in gradients.items()})
    assert nncli("check", spec.name, "mine.npz").status == 1


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.class_weights=ballanced", "did you mean 'balanced'?"),
        ("data.class_weights.rare=0", "data.class_weights.rare: expected a number above 0, got 0"),
        (
            "data.class_weights.rrare=2",
            "the classes are 'often', 'rare', 'usual'; did you mean",
        ),
        ("data.class_weights={}", "expected balanced, or a mapping"),
    ],
)
def test_mistakes(nncli: Run, spec: Path, override: str, told: str) -> None:
    done = nncli("train", spec.name, "--set", override)
    assert done.status == 2
    assert told in done.err


def test_numbers_have_no_class_weights(nncli: Run, spec: Path) -> None:
    (spec.parent / "t.csv").write_text("a,b,y\n1,2,0.5\n2,3,0.25\n3,1,0.7\n")
    done = nncli("train", spec.name, "--set", "data.class_weights=balanced")
    assert "class_weights are for classes, and these targets are numbers; leave it out" in done.err


def test_a_damaged_run_is_told(nncli: Run, spec: Path) -> None:
    nncli("train", spec.name)
    path = spec.parent / "runs/net/data.json"
    plain: Any = json.loads(path.read_text())
    path.write_text(json.dumps(plain | {"class_weights": [0, "a"]}))
    assert 'class_weights is [0,"a"]' in nncli("evaluate", "runs/net").err.replace(", ", ",")
