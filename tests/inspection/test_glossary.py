"""The glossary of any network's step: its numbers are the record's, and their products add up."""

from pathlib import Path

import numpy as np
import pytest

from nncli.app.explain import explain
from nncli.inspection.glossary import WORDS, glossary
from nncli.nn.trace import Trace
from nncli.render.formats import write
from nncli.render.pages.explain.screens import document
from tests.conftest import CONFIGS, Run
from tests.inspection.test_exercises import FUNCTIONS, value_of
from tests.nn.cases import ALL_CASES, SOME_CASES, Case

from .traces import spec_trace, trace_of


def by_symbol(trace: Trace) -> dict[str, float]:
    return {entry.symbol: entry.number.value for entry in glossary(trace)}


def test_the_numbers_of_the_worked_example() -> None:
    """As they are printed in books: of the output unit 0, whose error is the largest."""
    found = by_symbol(spec_trace("two-two-two"))
    expected = {"z": 1.105906, "a": 0.751365, "C": 0.298371, "∂C/∂a": 0.741365, "δ": 0.138499}
    expected |= {"σ′(z)": 0.186816, "η": 0.5, "n": 1, "∂C/∂W": 0.082668, "W new": 0.408666}
    assert {symbol: found[symbol] for symbol in expected} == pytest.approx(expected, abs=1e-6)
    assert found["⊙"] == found["δ"]
    assert found["⊗"] == found["∂C/∂W"]


@pytest.mark.slow
def test_all_networks_have_one() -> None:
    for case in ALL_CASES:
        test_every_network_has_one(case)


@pytest.mark.parametrize("case", SOME_CASES[::2], ids=str)
def test_every_network_has_one(case: Case) -> None:
    entries = glossary(trace_of(case, np.float64))
    assert {"x", "y", "W", "z", "a", "C", "δ", "∂C/∂W", "η"} <= {entry.symbol for entry in entries}
    for entry in entries:
        working = entry.number.working
        if working is not None and working.function in FUNCTIONS:
            assert value_of(working) == pytest.approx(entry.number.value, rel=1e-9, abs=1e-12)


def test_of_a_weighted_class_the_weight_is_a_factor() -> None:
    (delta,) = [
        entry.number
        for entry in glossary(
            spec_trace(
                "iris",
                "data.class_weights={setosa: 1, versicolor: 2, virginica: 3}",
                samples=(100,),
            )
        )
        if entry.symbol == "δ"
    ]
    assert delta.working is not None
    assert value_of(delta.working) == pytest.approx(delta.value, rel=1e-6)
    assert [term[0] for term in delta.working.terms] in ([3, -3], [2, -2])


def test_every_symbol_is_that_of_some_network() -> None:
    seen = set[str]()
    for name in ("two-two-two", "digits-conv"):
        seen |= by_symbol(spec_trace(name)).keys()
    assert {word.symbol for word in WORDS} - seen == {"λ", "μ", "β₁", "β₂"}


def test_the_command(nncli: Run) -> None:
    alone = nncli("explain", "--glossary")
    assert alone.status == 0
    assert "δ_0 = 0.7414 ⊙ 0.1868 = 0.1385" in " ".join(alone.out.split())
    assert all(len(line) <= 80 for line in alone.out.splitlines())
    assert nncli("explain", CONFIGS / "two-two-two.yaml", "--glossary").out == alone.out
    sets = ("--set", "train.momentum=0.9", "--set", "train.weight_decay=0.01")
    text = nncli("explain", CONFIGS / "xor.yaml", "--glossary", *sets).out
    assert "μ = 0.9" in text
    assert "λ = 0.01" in text


def test_what_the_command_refuses(nncli: Run) -> None:
    done = nncli("explain")
    assert (done.status, done.out) == (2, "")
    assert "SPEC or RUN is missing" in done.err
    done = nncli("explain", "--glossary", "--ask")
    assert done.status == 2
    assert "--glossary has the symbols alone" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two-two-two", "iris"])
def test_the_page_of_a_step_has_it(nncli: Run, tmp_path: Path, name: str) -> None:
    spec = CONFIGS / f"{name}.yaml"
    assert nncli("inspect-grad", spec, "--check", "9", "-o", f"{name}.html").status == 0
    assert "<summary>The symbols" in (tmp_path / f"{name}.html").read_text()


def test_the_page_of_a_derivation_has_it() -> None:
    made = write("html", document(explain(spec_trace("two-two-two")))).decode()
    assert "the symbols" in made
    assert "<td>δ_0 = 0.7414 ⊙ 0.1868 = 0.1385 (dense2)" in made
