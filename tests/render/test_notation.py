"""One list of quantities: nothing in a record goes without a symbol."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from nncli.nn.layers import LAYERS
from nncli.nn.optimizers import OPTIMIZERS, Optimizer, chain_of
from nncli.nn.trace import LayerMeasures, LayerTrace
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
    properties = {"weight_velocity", "bias_velocity"}
    assert {q.key for q in TERMS} == own | of_kinds | properties
    assert all(hasattr(LayerTrace, name) for name in properties)


def test_every_vector_of_an_optimizer_has_a_symbol() -> None:
    network = build_case(SOME_CASES[0])
    every: dict[str, dict[str, Any]] = {"sgd": {"momentum": 0.5, "nesterov": True}}
    for kind in OPTIMIZERS:
        settings = {"weight_decay": 0.1, "decoupled_weight_decay": 0.1, **every.get(kind, {})}
        links = chain_of(kind, **settings)
        assert set(Optimizer(network, links).vectors) <= set(LINK_SYMBOLS)
        assert all(type(link) in LINES for link in links)


def test_every_term_has_a_symbol_in_both_scripts() -> None:
    for term in TERMS:
        assert term.symbol == SYMBOL[term.key] != ""
        assert term.tex != ""
        assert term.tex.isascii()


def test_no_two_quantities_share_a_key() -> None:
    keys = [q.key for q in (*MEASURES, *TERMS)]
    assert len(keys) == len(set(keys))
