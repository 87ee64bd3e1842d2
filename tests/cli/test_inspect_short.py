"""The short page of inspect-grad, parts of it, and --brief."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nncli.cli.inspect_grad import WITHOUT_PAGE, inspect_grad
from nncli.render.pages.breakdown import SECTIONS
from tests.conftest import CONFIGS, Run, mostly_slow

TWO, MLP, CONV = (CONFIGS / f"{name}.yaml" for name in ("two-two-two", "digits-mlp", "digits-conv"))
HEADINGS = {
    "forward": "FORWARD",
    "backward": "BACKWARD (HADAMARD VIEW)",
    "update": "UPDATE",
    "products": "WHICH PRODUCT IS USED WHERE",
    "proof": "PROOF",
    "meaning": "WHAT THE NUMBERS MEAN",
}


def headings(text: str) -> list[str]:
    return re.findall(r"^[A-Z][A-Z ():,-]+$", text, re.MULTILINE)


@pytest.fixture
def page(nncli: Run) -> Any:
    def run(*arguments: Any) -> str:
        done = nncli("inspect-grad", *arguments, COLUMNS="80")
        assert (done.status, done.err) == (0, "")
        return done.out

    return run


@pytest.mark.parametrize(
    ("spec", "most"),
    [("digits-mlp", 60), ("iris", 60), ("digits-batchnorm", 70), ("digits-conv", 70),
     ("mnist-lenet", 80), ("two-two-two", 130)],
)  # fmt: skip
def test_the_page_is_short(page: Any, spec: str, most: int) -> None:
    lines = page(CONFIGS / f"{spec}.yaml", "--check", "30").splitlines()
    assert len(lines) <= most
    assert max(map(len, lines)) <= 80
    assert lines[0] == f"{spec}: one step, taken apart"
    assert any(line.startswith("PASSED: ") for line in lines[:8])
    assert "--full the whole" in " ".join(lines[-2:])


def test_an_excerpt_shows_numbers_of_the_record(page: Any) -> None:
    text = page(MLP, "--check", "off")
    layer = json.loads(page(MLP, "--check", "off", "--format", "json"))["layers"][0]
    i, j = map(int, re.search(r"∂C/∂W\[(\d+),(\d+)\] = a", text).groups())  # type: ignore[union-attr]
    gradient = layer["weight_gradient"]
    assert abs(gradient[i][j]) == max(abs(x) for row in gradient for x in row)
    old, step, new = (layer[key][i][j] for key in ("weight", "weight_update", "weight_new"))
    row = re.search(rf"dense1  W\[{i},{j}\] +(\S+) +(\S+) +(\S+) ", text)
    assert row is not None
    for shown, value in zip(row.groups(), (old, step, new), strict=True):
        assert float(shown) == pytest.approx(value, rel=5e-6)
    (at,) = re.findall(r"^dense1  z = a W \+ b +matrix +\S+ +(\d+)$", text, re.MULTILINE)
    z = layer["z"][0]
    assert abs(z[int(at)]) == max(map(abs, z))


def test_the_whole_page_is_still_there(page: Any) -> None:
    text = page(MLP, "--full", "--check", "9")
    assert headings(text) == list(HEADINGS.values())
    assert "…" not in text[text.index("\nUPDATE") : text.index("\nWHICH")]
    assert "An excerpt" not in text


def test_a_document_is_whole(page: Any) -> None:
    text = page(MLP, "--check", "9", "--format", "markdown")
    assert text.count("\n## ") == len(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section(page: Any, section: str) -> None:
    assert headings(page(TWO, "--section", section, "--check", "5")) == [HEADINGS[section]]


def test_sections_stand_in_the_order_of_the_page(page: Any) -> None:
    arguments = ("--section", "meaning", "--section", "update", "--layer", "dense2")
    text = page(MLP, *arguments, "--check", "off")
    assert headings(text) == ["UPDATE", "WHAT THE NUMBERS MEAN"]
    assert "dense1\n" not in text
    assert "W  30×10" in text


def test_a_section_as_a_page_for_a_browser(page: Any, tmp_path: Path) -> None:
    page(TWO, "--section", "proof", "--check", "5", "-o", "proof.html")
    made = (tmp_path / "proof.html").read_text()
    assert "complex-step" in made
    assert "<h2>forward</h2>" not in made.lower()


def test_the_help_names_every_section() -> None:
    section = inspect_grad.__annotations__["section"].__metadata__[0]
    assert all(name in section.help for name in SECTIONS)


@pytest.mark.parametrize(
    "spec", mostly_slow(sorted(CONFIGS.glob("*.yaml")), 3), ids=lambda path: path.stem
)
def test_brief_fits_a_screen(page: Any, spec: Path) -> None:
    lines = page(spec, "--brief", "--check", "20").splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    kinds = [
        kind
        for line in lines
        for kind in ("PASSED", "C = ", "diagnosis: ", "error signal", "1. ", "2. ", "3. ")
        if line.startswith(kind)
    ]
    assert kinds == ["PASSED", "C = ", "diagnosis: ", "error signal", "1. ", "2. ", "3. "]


def test_brief_fits_however_deep_a_network_is(page: Any) -> None:
    deep = ", ".join(["{type: dense, units: 8, activation: sigmoid}"] * 30)
    network = f"network=[{deep}, {{type: dense, units: 10, activation: sigmoid}}]"
    lines = page(MLP, "--brief", "--check", "2", "--set", network).splitlines()
    assert len(lines) < 24
    assert any(line.startswith("…  ") and line.split()[2:4] == ["more", "layers"] for line in lines)
    assert any("a vanishing signal" in line for line in lines)


def test_brief_of_a_run_says_how_its_training_went(nncli: Run, page: Any) -> None:
    assert nncli("train", CONFIGS / "iris.yaml", "--epochs", "1", "--out", "run").status == 0
    assert "nncli diagnose run" in page("run", "--brief", "--check", "off")
    assert "nothing found before training" not in page("run", "--brief", "--check", "off")


def test_brief_as_a_document(page: Any, tmp_path: Path) -> None:
    page(TWO, "--brief", "-o", "brief.md")
    assert (tmp_path / "brief.md").read_text().startswith("# two-two-two: one step in brief\n")


WRONG = [
    (("--section", "backwards"), "--section backwards: expected", "did you mean 'backward'"),
    (("--section", ""), "--section : expected", ""),
    (("--brief", "--section", "proof"), "--brief is one screen of the whole step", "--section"),
    (("--brief", "--full"), "--brief is one screen of the whole step", "--full"),
    *(((("--brief", "--format", kind)), "--brief: is of pages", kind) for kind in WITHOUT_PAGE),
    *(
        (("--section", "proof", "--format", kind), "--section: is of pages", kind)
        for kind in WITHOUT_PAGE
    ),
]


@pytest.mark.parametrize(("arguments", "message", "more"), WRONG)
def test_what_does_not_fit(nncli: Run, arguments: tuple[str, ...], message: str, more: str) -> None:
    done = nncli("inspect-grad", TWO, *arguments)
    assert (done.status, done.out) == (2, "")
    err = " ".join(done.err.split())
    assert message in err
    assert more in err
