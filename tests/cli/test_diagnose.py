"""nncli diagnose: what it prints, and its exit status."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nncli.inspection.diagnosis.record import Course, Tried
from nncli.render.pages.diagnosis import cost_words, skill_words, tried_words
from tests.commands import Outcome

Run = Callable[..., Outcome]

X = [[k / 20 - 1, (k * 7 % 40) / 20 - 1] for k in range(40)]
Y = [[0.8 * a - 0.4 * b] for a, b in X]


def spec(folder: Path, eta: float = 0.1, activation: str = "tanh", size: float = 1.0) -> Path:
    path = folder / "one.yaml"
    targets = [[size * y] for (y,) in Y]
    layers = [{"type": "dense", "units": 6, "activation": "tanh"}]
    layers.append({"type": "dense", "units": 1, "activation": activation})
    made = {
        "data": {"train": {"inputs": X, "targets": targets}},
        "network": layers,
        "train": {"eta": eta, "epochs": 40, "batch_size": 5},
    }
    path.write_text(json.dumps(made))
    return path


def test_healthy(nncli: Run, tmp_path: Path) -> None:
    done = nncli("diagnose", spec(tmp_path), folder=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("one: healthy\n")
    assert "the mean of the targets" in done.out
    assert "a linear model" in done.out


def test_something_found(nncli: Run, tmp_path: Path) -> None:
    done = nncli("diagnose", spec(tmp_path, eta=30), folder=tmp_path)
    assert done.status == 1
    assert "1. η too large" in done.out
    assert "--set train.eta=" in done.out
    assert "→ η        30" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.err == "nncli: found: η too large, and 1 more\n" or "η too large" in done.err


def test_json(nncli: Run, tmp_path: Path) -> None:
    path = spec(tmp_path, activation="sigmoid", size=9.0)
    done = nncli("diagnose", path, "--format", "json", folder=tmp_path)
    record: dict[str, Any] = json.loads(done.out)
    assert done.status == 1
    assert record["schema"] == "nncli.diagnosis/1"
    assert record["healthy"] is False
    first = record["causes"][0]
    assert set(first) == {"cause", "layers", "evidence", "cure", "tried"}
    assert (first["cause"], first["layers"]) == ("output_range", ["dense2"])
    assert first["cure"]["set"] == {"network[1].activation": "identity"}
    assert set(first["tried"]) == {"before", "after", "metric"}
    assert set(record["baselines"]) == {"chance", "majority", "mean", "linear"}
    assert record["baselines"]["mean"] > record["baselines"]["linear"]


def test_set_changes_what_is_diagnosed(nncli: Run, tmp_path: Path) -> None:
    path = spec(tmp_path, eta=30)
    assert nncli("diagnose", path, "--set", "train.eta=0.1", folder=tmp_path).status == 0


def test_quick(nncli: Run, tmp_path: Path) -> None:
    done = nncli("diagnose", spec(tmp_path, eta=30), "--quick", folder=tmp_path)
    assert done.status == 0
    assert "Nothing was trained" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nosuch.yaml",), "nncli: nosuch.yaml: there is no such file; check the path\n"),
        (("one.yaml", "--set", "train.eta=-1"), "train.eta: expected a positive number, got -1"),
    ],
)
def test_bad_input(nncli: Run, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    spec(tmp_path)
    done = nncli("diagnose", *words, folder=tmp_path)
    assert done.status == 2
    assert message in done.err
    assert done.out == ""


def test_a_training_ends_with_a_verdict(nncli: Run, tmp_path: Path) -> None:
    done = nncli("train", spec(tmp_path), folder=tmp_path)
    last = done.out.splitlines()[-1]
    assert last.startswith("diagnosis: healthy: mean squared error ")


@pytest.mark.parametrize("eta", [30, 1e-7])
def test_the_verdict_of_a_bad_training_is_short_and_says_how_to_go_on(
    eta: float, nncli: Run, tmp_path: Path
) -> None:
    done = nncli("train", spec(tmp_path, eta=eta, activation="sigmoid", size=9), folder=tmp_path)
    lines = done.out.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("diagnosis: "))
    assert lines[-1] == "cures are tried by nncli diagnose runs/one"
    assert len(lines[start:]) <= 4
    assert max(map(len, lines[start:])) <= 80
    assert "outputs that cannot reach the targets" in lines[start]


def test_a_diverged_training_ends_with_a_verdict_too(nncli: Run, tmp_path: Path) -> None:
    done = nncli("train", spec(tmp_path, eta=1e4, activation="identity"), folder=tmp_path)
    assert done.status == 1
    assert "diagnosis: η too large" in done.out


def test_the_verdict_of_a_resumed_run(nncli: Run, tmp_path: Path) -> None:
    assert nncli("train", spec(tmp_path), "--epochs", "20", folder=tmp_path).status == 0
    done = nncli("train", "--resume", "runs/one", "--epochs", "40", folder=tmp_path)
    assert done.out.splitlines()[-1].startswith("diagnosis: ")


def test_what_has_learnt_little_is_not_called_healthy(nncli: Run, tmp_path: Path) -> None:
    """Nothing plain is wrong with it: only a copy with a larger η would tell."""
    path = spec(tmp_path, eta=0.0005)
    done = nncli("train", path, folder=tmp_path)
    assert "healthy" not in done.out
    assert done.out.splitlines()[-1] == "cures are tried by nncli diagnose runs/one"
    quick = nncli("diagnose", "runs/one", "--quick", folder=tmp_path)
    assert "healthy" not in quick.out
    assert "η too small" in nncli("diagnose", path, folder=tmp_path).out


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (1.114, "That is close to ln(3) = 1.099, what equal outputs cost."),
        (math.log(3), "That is ln(3) = 1.099, what equal outputs cost."),
        (9.5, "That is more than ln(3) = 1.099, what equal outputs cost: wrong answers are given"),
        (0.9, "to 0.9000 in the last."),
    ],
)
def test_a_cost_is_called_equal_only_where_its_digits_are(last: float, said: str) -> None:
    (words,) = cost_words(Course((1.3, last), (), None, None), math.log(3))
    assert said in str(words)
    assert ("ln(3)" in str(words)) == ("ln(3)" in said)


@pytest.mark.parametrize(
    ("skill", "words"), [(2.2e-16, "0"), (-1e-4, "0"), (-0.0169, "-0.0169"), (0.9666, "0.967")]
)
def test_what_rounding_leaves_of_a_skill_is_0(skill: float, words: str) -> None:
    assert skill_words(skill) == words
    assert tried_words(Tried(skill, 0.5, "train_skill")) == f"train skill {words} → 0.500"
