"""inspect-grad --convention: one step as others write it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.cli.inspect_grad import OF_OUR_CONVENTION, inspect_grad
from nncli.inspection.conventions import CONVENTIONS
from tests.conftest import CONFIGS, Run, mostly_slow
from tests.render.reading import Term, equations_of, signs_of

TWO, MLP, CONV = (CONFIGS / f"{name}.yaml" for name in ("two-two-two", "digits-mlp", "digits-conv"))
NAMES = pytest.mark.parametrize("name", CONVENTIONS)


@pytest.fixture
def page(nncli: Run) -> Any:
    def run(*arguments: Any) -> str:
        done = nncli("inspect-grad", *arguments, "--check", "5", COLUMNS="120")
        assert (done.status, done.err) == (0, "")
        return done.out

    return run


def product(equation: list[Term]) -> Any:
    """What the terms of an equation make, but for its last one."""
    signs = signs_of(equation)
    value = equation[0].values
    for sign, term in zip(signs, equation[1:-1], strict=False):
        match sign:
            case "·":
                value = value @ term.values
            case "+":
                value = value + term.values
            case "−":
                value = value - term.values
            case "⊙":
                value = value * term.values
    return value


@NAMES
def test_every_equation_comes_out_as_it_reads(page: Any, name: str) -> None:
    text = page(TWO, "--convention", name)
    assert CONVENTIONS[name].title in text.replace("\n", " ")
    assert "0 units in the last place off it" in text
    checked = 0
    for equation in equations_of(text):
        if signs_of(equation).endswith("="):
            assert np.abs(product(equation) - equation[-1].values).max() < 3e-6
            checked += 1
    assert checked == {"cs231n": 12}.get(name, 13)  # its 2 (h - y) stands in words


def test_the_worked_example_in_columns(page: Any) -> None:
    text = page(TWO, "--convention", "columns", "--section", "update")
    new = [e[-1] for e in equations_of(text) if e[-1].symbol == "W new"]
    assert new[1].values.tolist() == [[0.358916, 0.408666], [0.511301, 0.561370]]
    assert "FORWARD" not in text


@NAMES
def test_the_arrays_are_the_same_in_every_format(page: Any, name: str, tmp_path: Path) -> None:
    record = json.loads(page(MLP, "--samples", "0,1,2", "--convention", name, "--format", "json"))
    assert (record["schema"], record["convention"]) == ("nncli.convention/1", name)
    page(MLP, "--samples", "0,1,2", "--convention", name, "-o", "step.npz")
    shapes = {"nielsen": (30, 64), "columns": (30, 64), "torch": (30, 64)}
    with np.load(tmp_path / "step.npz", allow_pickle=False) as arrays:
        for layer in record["layers"]:
            for key, symbol in layer["symbols"].items():
                assert symbol
                assert np.array_equal(arrays[f"{layer['name']}.{key}"], layer[key])
        assert arrays["dense1.weight_gradient"].shape == shapes.get(name, (64, 30))
        assert arrays["dense1.z"].shape == ((30, 3) if name in ("nielsen", "columns") else (3, 30))


@NAMES
@pytest.mark.parametrize("spec", mostly_slow(["digits-conv", "digits-batchnorm", "seed-3-4-2"], 3))
def test_layers_of_all_kinds(page: Any, name: str, spec: str) -> None:
    text = page(CONFIGS / f"{spec}.yaml", "--convention", name)
    assert "nan" not in text
    assert "None" not in text


@pytest.mark.parametrize("suffix", mostly_slow([".md", ".tex", ".html", ".txt"], 2))
def test_documents(page: Any, suffix: str, tmp_path: Path) -> None:
    for name in CONVENTIONS:
        page(TWO, "--convention", name, "-o", f"{name}{suffix}")
        assert "Nielsen" in (tmp_path / f"{name}{suffix}").read_text() or name != "nielsen"


def test_the_loss_of_pytorch_is_a_call(page: Any) -> None:
    text = " ".join(page(TWO, "--convention", "torch", "--section", "update").split())
    assert "0.5 * (model(x) - y).square().sum() / len(x)" in text
    assert "is 2/2 of it" in text


def test_what_an_optimizer_adds_is_not_called_the_gradient(page: Any) -> None:
    momentum = ("--set", "train.momentum=0.9", "--convention", "nielsen", "--section", "update")
    text = page(TWO, *momentum)
    assert "Δw^2" in text
    assert "(η/m)" not in text


def test_the_help_names_every_convention() -> None:
    option = inspect_grad.__annotations__["convention"].__metadata__[0]
    assert all(name in option.help for name in CONVENTIONS)


WRONG = [
    (("--convention", "nielson"), "--convention nielson: expected", "did you mean 'nielsen'"),
    (("--convention", "torch", "--format", "svg"), "--convention: there is no drawing", ""),
    (("--convention", "torch", "--section", "proof"), "--section proof: expected", "forward"),
    (("--convention", "torch", "--layer", "dense9"), "there is no layer 'dense9'", ""),
    (("--convention", "torch", "--brief"), "--brief is one screen", "--convention"),
]
VALUES = {"--view": ("matrix",), "--why": ("dense1[0,0]",), "--h-sweep": ()}


@pytest.mark.parametrize(
    ("arguments", "message", "more"),
    [
        *WRONG,
        *(
            (("--convention", "torch", option, *VALUES.get(option, ("0,0,0",))), option, "own")
            for option in OF_OUR_CONVENTION
        ),
    ],
)
def test_what_does_not_fit(nncli: Run, arguments: tuple[str, ...], message: str, more: str) -> None:
    done = nncli("inspect-grad", TWO, *arguments)
    assert (done.status, done.out) == (2, "")
    err = " ".join(done.err.replace("│", " ").split())
    assert message in err
    assert more in err


def test_the_factor_of_a_cost_without_its_half_is_named(page: Any) -> None:
    """What the sentence says of the errors holds for the numbers."""
    text = " ".join(page(TWO, "--convention", "cs231n").split())
    assert "Error signals and gradients have the factor 2, too" in text
    assert "Apart from the factor 2 all numbers are those of nncli's record" in text
    ours = json.loads(page(TWO, "--format", "json"))["layers"]
    theirs = equations_of(page(TWO, "--convention", "cs231n", "--section", "backward"))
    (delta,) = [
        e[-1].values for e in theirs if e[-1].symbol == "dz2" and e[-1].values.shape == (1, 2)
    ]
    assert delta == pytest.approx(2 * np.array(ours[1]["delta"]), abs=1e-6)
    assert "the factor 2" not in page(TWO, "--convention", "torch")
