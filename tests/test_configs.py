"""Every shipped spec runs as it stands and reaches what it is there to show."""

from pathlib import Path

import numpy as np
import pytest

import nncli
from nncli.spec import load_spec
from tests.conftest import CONFIGS, mostly_slow

ALL = sorted(CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_can_be_prepared_and_is_named_for_its_file(path: Path) -> None:
    prepared = nncli.prepare(nncli.load_spec(path))
    assert prepared.spec.name == path.stem
    assert prepared.network.parameters.size > 0


def accuracy(name: str, *overrides: str) -> float:
    history = nncli.train(load_spec(CONFIGS / f"{name}.yaml", overrides)).history
    assert history[-1].accuracy is not None
    return history[-1].accuracy


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("xor", 1.0),
        ("iris", 0.93),
        ("digits-mlp", 0.95),
        ("digits-conv", 0.96),
        ("digits-batchnorm", 0.96),
        ("mnist-mlp", 0.89),
        pytest.param("mnist-lenet", 0.95, marks=pytest.mark.slow),
    ],
)
def test_it_learns(name: str, least: float) -> None:
    assert accuracy(name) >= least


@pytest.mark.parametrize("seed", mostly_slow(range(1, 6), 5))
def test_digits_learn_from_other_seeds(seed: int) -> None:
    assert accuracy("digits-mlp", f"seed={seed}") >= 0.94


def test_the_worked_example_as_published() -> None:
    (epoch,) = nncli.train(CONFIGS / "two-two-two.yaml").history
    assert epoch.train_cost == pytest.approx(0.2983711088, abs=5e-11)
    assert epoch.train_cost_after == pytest.approx(0.2804714468, abs=5e-11)


def test_what_the_worked_example_says_of_a_step_that_leaves_biases_alone() -> None:
    trace = nncli.trace_step(CONFIGS / "two-two-two.yaml")
    a = trace.inputs
    for layer in trace.layers:
        a = 1 / (1 + np.exp(-(a @ np.asarray(layer.weight_new) + layer.bias)))
    cost = float(((a - trace.targets) ** 2).sum() / 2)
    said = (CONFIGS / "two-two-two.yaml").read_text(encoding="utf-8")
    assert f"a cost of {cost:.8f}".replace("0.", ".") in said
    assert f"it is {trace.cost_after:.8f}".replace("0.", ".") in said
