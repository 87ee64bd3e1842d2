"""The most telling facts of a step: of sick networks the first is what is wrong with them."""

from math import prod
from typing import Any

import numpy as np
import pytest

from nncli.inspection.facts import FACTS, Fact, largest, signals, telling
from nncli.inspection.findings import attenuation
from nncli.nn.measures import norm
from nncli.nn.trace import Trace
from nncli.render.pages.brief import WORDS, fact_lines
from tests.nn.cases import SOME_CASES

from .traces import spec_trace, trace_of


def deep(activation: str, init: str = "") -> str:
    hidden = f"{{type: dense, units: 20, activation: {activation}{init}}}"
    return f"network=[{', '.join([hidden] * 6)}, {{type: dense, units: 10}}]"


DEAD = (
    "network=[{type: dense, units: 9, activation: relu, bias: "
    "[-99, -99, -99, -99, -99, -99, -99, -99, -99]}, {type: dense, units: 10}]"
)
HALF_DEAD = DEAD.replace("-99]", "0]")
SICK: dict[str, tuple[str, tuple[str, ...], str]] = {
    "vanishing": ("digits-mlp", (deep("sigmoid"),), "signal"),
    "exploding": (
        "digits-mlp",
        (deep("identity", ", init: normal"), "network[6].activation=identity", "train.eta=1e-20"),
        "signal",
    ),
    "all dead": ("digits-mlp", (DEAD,), "unmoved"),
    "most dead": ("digits-mlp", (HALF_DEAD, "train.eta=0.01"), "off_units"),
    "saturated": ("digits-mlp", ("data.scale=0.05", "train.eta=0.01"), "off_units"),
    "saturated and wrong": (
        "digits-mlp",
        ("network[1].bias=[60, 60, 60, 60, 60, 60, 60, 60, 60, 60]",),
        "wrong_and_saturated",
    ),
    "overshot": ("iris", ("train.eta=50",), "change"),
    "symmetric": ("iris", ("network[0].init=zeros",), "symmetric"),
    "large inputs": (
        "digits-mlp",
        ("data.scale=0.1", "network=[{type: dense, units: 10, activation: identity}]",
         "train.eta=1e-9"),
        "input_size",
    ),
    "eta that moves too much": ("digits-mlp", ("train.eta=30",), "moved"),
}  # fmt: skip


@pytest.mark.parametrize("case", SICK)
def test_what_is_wrong_comes_first(case: str) -> None:
    name, overrides, kind = SICK[case]
    found = telling(spec_trace(name, *overrides, samples=None), most=9)
    assert found[0].kind == kind, [(fact.kind, fact.weight) for fact in found]
    assert found[0].weight > 0.35


@pytest.mark.parametrize("name", ["two-two-two", "iris", "mnist-mlp", "digits-conv"])
def test_of_a_healthy_network_nothing_weighs_much(name: str) -> None:
    assert telling(spec_trace(name, "train.eta=0.01"))[0].weight < 0.35


def test_a_healthy_step_has_three_facts_too() -> None:
    assert len(telling(spec_trace("two-two-two"))) == 3


def test_every_kind_has_words_and_a_network_that_shows_it() -> None:
    assert FACTS.keys() == WORDS.keys()
    shown: dict[str, tuple[Trace, Fact]] = {}
    for name, overrides, _ in SICK.values():
        trace = spec_trace(name, *overrides, samples=None)
        shown |= {fact.kind: (trace, fact) for fact in telling(trace, most=99)}
    assert shown.keys() == FACTS.keys()
    for kind, (trace, fact) in shown.items():
        assert WORDS[kind](trace, fact).endswith((".", ". "))
        assert 0 <= fact.weight <= 1


def test_facts_are_of_each_kind_once_and_in_order() -> None:
    trace = spec_trace("digits-conv", samples=None)
    found = telling(trace, most=99)
    assert len({fact.kind for fact in found}) == len(found)
    weights = [fact.weight for fact in found]
    assert weights == sorted(weights, reverse=True)
    assert [line[:3] for line in fact_lines(trace)] == ["1. ", "2. ", "3. "]


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_signals_are_the_attenuation_layer_by_layer(case: Any) -> None:
    trace = trace_of(case)
    found = signals(trace)
    assert [s.layer for s in found] == [
        layer.name for layer in reversed(trace.layers) if layer.delta is not None
    ]
    for signal in found:
        layer = next(layer for layer in trace.layers if layer.name == signal.layer)
        assert layer.delta is not None
        assert signal.delta_norm == norm(layer.delta)
    rows = attenuation(trace)
    factors = [f for s in found[1:] for f in (s.on_the_way, s.sigma_prime)]
    if None not in factors and all(row.factor is not None for row in rows):
        ours = prod(f for f in factors if f is not None)
        assert ours == pytest.approx(prod(row.factor or 0 for row in rows), rel=1e-9)


def test_the_largest_entry() -> None:
    assert largest(np.array([[1.0, -3.0], [2.0, 0.0]])) == ((0, 1), -3.0)
