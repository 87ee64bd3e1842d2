"""The pages of the worked networks, as a reader sees them; and that what they show is true.

`python -m tests.render.regenerate` writes them anew.
"""

import json
import re
from typing import Any

import numpy as np
import pytest

from .reading import equations_of, signs_of
from .regenerate import NAMES, SPECS, golden, page

ULP = 1e-14  # of numbers that another processor may round otherwise in the last places


def without_rounding(text: str) -> str:
    """A page without the errors of its check, which are nothing but rounding."""
    text = re.sub(r"(\d of [\d,]+).*", r"\1", text)
    text = re.sub(r"(view|most|matrix|hadamard|kronecker|index) \d[\d.]*", r"\1", text)
    return re.sub(r"error is [^;]*;", "error is", text)


@pytest.mark.parametrize(("spec", "format"), [name for name in NAMES if name[1] != "json"])
def test_a_page_is_what_it_was(spec: str, format: str) -> None:
    kept = golden(spec, format).read_text(encoding="utf-8")
    assert without_rounding(page(spec, format)) == without_rounding(kept)


def test_the_json_is_what_it_was() -> None:
    kept = json.loads(golden("two-two-two", "json").read_text(encoding="utf-8"))
    made = json.loads(page("two-two-two", "json"))
    for record in (kept, made):
        assert record["check"].pop("max_relative_error") < record["check"]["tolerance"]
        for tensor in record["check"]["gradients"]:
            assert tensor.pop("max_relative_error") < record["check"]["tolerance"]
            tensor.pop("at")
    assert_same(made, kept, "")


def assert_same(made: Any, kept: Any, where: str) -> None:
    if isinstance(kept, dict):
        assert list(made) == list(kept), where
        for key in kept:
            assert_same(made[key], kept[key], f"{where}.{key}")
    elif isinstance(kept, list):
        assert len(made) == len(kept), where
        for k, pair in enumerate(zip(made, kept, strict=True)):
            assert_same(*pair, f"{where}[{k}]")
    elif isinstance(kept, float):
        assert made == pytest.approx(kept, rel=ULP, abs=0), where
    else:
        assert made == kept, where


# --- What the pages show is true -----------------------------------------------------------------


def text_of(spec: str) -> str:
    return golden(spec, "table").read_text(encoding="utf-8")


SPEC = pytest.mark.parametrize("spec", SPECS)


@SPEC
def test_weights_and_their_updates_add_up_in_the_digits_shown(spec: str) -> None:
    sums = [e for e in equations_of(text_of(spec)) if signs_of(e) == "+="]
    assert len(sums) == {"two-two-two": 4, "seed-3-4-2": 2}[spec]
    for old, step, new in sums:
        assert new.symbol == f"{old.symbol} new"
        assert step.symbol == f"Δ{old.symbol} = −η ∂C/∂{old.symbol}"
        assert np.abs(old.values + step.values - new.values).max() < 1e-12
    assert "sums add up" in text_of(spec)


@SPEC
def test_the_forward_pass_comes_out_within_rounding(spec: str) -> None:
    seen = []
    for equation in equations_of(text_of(spec)):
        symbols = [term.symbol for term in equation]
        values = [term.values for term in equation]
        if symbols[:2] == ["a", "W"]:
            z = values[0] @ values[1] + (values[2] if "b" in symbols else 0)
            assert np.abs(z - values[-1]).max() < 3e-6
            seen.append("z")
        elif symbols == ["z", "sigmoid(z)"]:
            assert np.abs(1 / (1 + np.exp(-values[0])) - values[1]).max() < 1e-6
            seen.append("a")
    assert seen == ["z", "a", "z", "a"]


NUMBER = r"(-?\d[\d.]*(?:e-?\d+)?)"


@SPEC
def test_every_delta_is_the_product_beside_it(spec: str) -> None:
    rows = re.findall(rf"unit \d+ +{NUMBER} +{NUMBER} +{NUMBER}", text_of(spec))
    assert len(rows) == {"two-two-two": 4, "seed-3-4-2": 6}[spec]
    for row in rows:
        upstream, prime, delta = map(float, row)
        assert upstream * prime == pytest.approx(delta, rel=2e-9)


@SPEC
def test_every_gradient_is_the_product_of_its_row_and_column(spec: str) -> None:
    text = golden(spec, "markdown").read_text(encoding="utf-8")
    tables = re.findall(r"\| a ⊗ δ (.*?)\n\|[ :|-]+\n((?:\|.*\n)+)", text)
    assert len(tables) == 2
    for head, body in tables:
        deltas = [float(x) for x in head.strip("| ").split(" | ")]
        for line in body.splitlines():
            a, *gradients = (float(x) for x in line.strip("| ").split(" | "))
            assert gradients == pytest.approx([a * d for d in deltas], rel=2e-9)


@SPEC
def test_updates_are_the_gradients_times_eta(spec: str) -> None:
    text = text_of(spec)
    markdown = golden(spec, "markdown").read_text(encoding="utf-8")
    tables = re.findall(r"\| a ⊗ δ .*?\n\|[ :|-]+\n((?:\|.*\n)+)", markdown)
    gradients = [
        np.array([[float(x) for x in line.strip("| ").split(" | ")][1:] for line in t.splitlines()])
        for t in reversed(tables)
    ]
    steps = [e[1].values for e in equations_of(text) if signs_of(e) == "+=" and e[0].symbol == "W"]
    for gradient, step in zip(gradients, steps, strict=True):
        assert np.abs(-0.5 * gradient - step).max() < 0.6e-6


@SPEC
def test_the_way_of_the_error_signal_multiplies_up(spec: str) -> None:
    text = text_of(spec)
    factors = [float(f) for f in re.findall(r"^ *dense\d +(?:weights|σ′) +(\S+)", text, re.M)]
    (end,) = re.findall(r"the product of all +(\S+)", text)
    assert np.prod(factors) == pytest.approx(float(end), rel=5e-3)


def test_the_figures_of_the_worked_example_are_on_its_page() -> None:
    text = text_of("two-two-two")
    for figure in (
        *("0.2983711088", "0.2804714468", "0.7413650696", "0.1868156018", "0.1384985616"),
        *("-0.03809823652", "0.08216704056", "-0.02274024222", "0.008771354689"),
        *("0.358916", "0.511301", "0.408666", "0.561370", "0.149781", "0.249751", "0.299502"),
    ):
        assert figure in text
    assert "0.35891648" in f"{0.40 - 0.5 * 0.0821670406:.8f}"
