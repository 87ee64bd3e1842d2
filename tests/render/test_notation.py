"""One list of quantities: nothing in a record goes without a symbol, in either script."""

import ast
from collections.abc import Sequence
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import nncli
from nncli.core.text import ASCII, in_ascii
from nncli.nn.layers import LAYERS
from nncli.nn.measures import LayerMeasures
from nncli.nn.optimizers import OPTIMIZERS, Optimizer, chain_of
from nncli.nn.trace import VELOCITIES, LayerTrace
from nncli.render.notation import LINK_SYMBOLS, MEASURES, SYMBOL, TERMS, Quantity
from nncli.render.pages.update import LINES
from tests.nn.cases import SOME_CASES, build_case


def missing(record: Any, quantities: Sequence[Quantity], named: set[str]) -> set[str]:
    return {field.name for field in fields(record)} - {q.key for q in quantities} - named


def test_every_term_of_a_trace_has_a_symbol() -> None:
    assert missing(LayerTrace, TERMS, {"placed", "recorded", "optimizer"}) == set()


def test_every_measure_has_a_symbol() -> None:
    assert missing(LayerMeasures, MEASURES, {"name", "activation"}) == set()


def test_every_symbol_is_of_something() -> None:
    assert all(hasattr(LayerMeasures, q.key) for q in MEASURES)
    of_kinds = {q.key for kind in LAYERS.values() for q in kind.quantities}
    own = {f.name for f in fields(LayerTrace)} - {"placed", "recorded", "optimizer"}
    assert list(VELOCITIES) == ["weight_velocity", "bias_velocity"]
    assert {q.key for q in TERMS} == own | of_kinds | VELOCITIES.keys()


def test_every_vector_of_an_optimizer_has_a_symbol() -> None:
    network = build_case(SOME_CASES[0])
    every: dict[str, dict[str, Any]] = {"sgd": {"momentum": 0.5, "nesterov": True}}
    for kind in OPTIMIZERS:
        settings = {"weight_decay": 0.1, "decoupled_weight_decay": 0.1, **every.get(kind, {})}
        links = chain_of(kind, **settings)
        counters = {name for link in links for name in link.counters}
        assert {*Optimizer(network, links).vectors, *counters} <= set(LINK_SYMBOLS)
        assert all(type(link) in LINES for link in links)


def test_every_term_has_a_symbol_in_both_scripts() -> None:
    for term in TERMS:
        assert term.symbol == SYMBOL[term.key] != ""
        assert term.tex != ""
        assert term.tex.isascii()


def test_no_two_quantities_share_a_key() -> None:
    keys = [q.key for q in (*MEASURES, *TERMS)]
    assert len(keys) == len(set(keys))


DRAWN = {"▀"}  # pictures are drawn otherwise without colour
OF_LATEX = {"★"}  # it may stand in a spec, no page writes it
READ = {  # of what is read; none of them is written
    "data/readers/separators.py": {"\xa0", "\u202f", "’"},
    "inspection/exercises/marking.py": {"≈"},
}


def written(file: Path) -> set[str]:
    """The letters beyond ASCII in the texts of a module, docstrings left out."""
    source = file.read_text(encoding="utf-8")
    if source.isascii() and "\\" not in source:  # no need to take it apart
        return set()
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    constants = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    )
    return {c for c in "".join(constants) if not c.isascii()}


ROOM = Path(nncli.__file__).parent
WRITERS = [
    file.relative_to(ROOM)
    for file in sorted(ROOM.rglob("*.py"))
    if file.parts[-2] != "spec"  # which has characters that YAML forbids
]


@pytest.mark.parametrize("module", WRITERS, ids=str)
def test_every_letter_that_is_written_can_be_spelled_out(module: Path) -> None:
    read = READ.get(module.as_posix(), set())
    assert written(ROOM / module) - ASCII.keys() - DRAWN - OF_LATEX - read == set()


def test_spellings_are_ascii_and_none_stands_for_two_symbols() -> None:
    dashes = {"−", "–"}
    lines = {"│", "┤", "─"}
    spelled = {glyph: text.strip() for glyph, text in ASCII.items() if glyph not in lines}
    assert all(text.isascii() and text for text in spelled.values())
    for one, two in combinations(spelled, 2):
        assert spelled[one] != spelled[two] or {one, two} == dashes


def test_no_two_symbols_become_one() -> None:
    kinds = LAYERS.values()
    own = {symbol for kind in kinds for symbol in kind.symbols.values()}
    symbols = {*SYMBOL.values(), *LINK_SYMBOLS.values(), *own}
    assert len({in_ascii(symbol) for symbol in symbols}) == len(symbols)
    assert not any("?" in in_ascii(symbol) for symbol in symbols)


def test_how_symbols_are_spelled_out() -> None:
    made = {text: in_ascii(text) for text in ("δ = ∂C/∂a ⊙ σ′(z)", "a ⊗ δ", "2×4 · 4×2", "m̂")}
    assert list(made.values()) == [
        "delta = dC/da (.) sigma'(z)",
        "a (x) delta",
        "2x4 . 4x2",
        "m_hat",
    ]
