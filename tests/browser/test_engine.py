"""The page's engine for "what if" computes what nncli computes, in float64."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.costs import COSTS
from nncli.nn.layers import LAYERS, Dense
from nncli.nn.links import Link
from nncli.render.web.scripts import code
from nncli.render.web.step import named_arrays
from tests.browser.engine import ENGINE, assert_close, named, traced
from tests.browser.networks import random_setting
from tests.inspection.traces import trace_of
from tests.nn.cases import ALL_CASES, ENDINGS, Case, settle
from tests.nn.test_class_weights import trace_of as weighted_trace

Engine = Callable[..., Any]
CHAINS: tuple[dict[str, Any], ...] = (
    {},
    {"momentum": 0.9},
    {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"kind": "adam", "decoupled_weight_decay": 0.02},
    {"kind": "adam", "weight_decay": 0.03, "beta1": 0.5},
)


@pytest.mark.parametrize("k", range(10))
def test_every_kind_of_network(engine: Engine, k: int) -> None:
    for number, case in enumerate(ALL_CASES[k::20]):
        trace, ulp = traced(case, steps=1, **CHAINS[number % len(CHAINS)])
        assert_close(trace, ulp, engine(trace))


@pytest.mark.parametrize("k", range(10))
def test_a_hundred_random_networks(engine: Engine, k: int) -> None:
    for seed in range(10 * k, 10 * k + 10):
        setting, how = random_setting(seed)
        trace, ulp = traced(setting, **how)
        assert_close(trace, ulp, engine(trace))


def test_the_hundred_have_every_kind_of_everything() -> None:
    seen: set[object] = set()
    for seed in range(100):
        setting, how = random_setting(seed)
        trace = trace_of(setting, **how)
        seen.add((trace.cost.name, trace.layers[-1].placed.activation))
        seen.update(type(link) for link in trace.links)
        seen.update(layer.type for layer in trace.layers)
        seen.update(layer.placed.activation for layer in trace.layers)
    assert seen - {None} == {*ENDINGS, *links(), *LAYERS, *ACTIVATIONS}


def links(kind: type[Link] = Link) -> set[type[Link]]:
    """The engine's own; of kinds that have others below them, those."""
    below = [each for each in kind.__subclasses__() if each.__module__.startswith("nncli.nn.")]
    return {kind} if not below else {link for each in below for link in links(each)}


def test_what_is_changed_is_computed(engine: Engine) -> None:
    """An edited weight, input and η give what nncli gives for them."""
    setting = settle(Case("edited", (Dense(units=3), Dense(units=2)), (4,), n=3))
    parameters, inputs = setting.parameters.copy(), setting.inputs.copy()
    parameters[2] += 0.5
    inputs[1, 2] = -3
    edited = replace(setting, parameters=parameters, inputs=inputs)
    changed, ulp = traced(edited, eta=0.125)
    before = trace_of(setting, eta=0.5)
    arrays = dict(named_arrays(before))
    arrays["inputs"][1, 2] = -3
    arrays["dense1.weight"][...] = dict(named_arrays(changed))["dense1.weight"]
    assert_close(changed, ulp, engine(before, eta=0.125))


def test_no_row_is_missing(browser: Any) -> None:
    page = browser.new_page()
    rows = page.evaluate(
        f"() => {{{code(ENGINE)}\n"
        "return [ACTIVATIONS, LAYERS, LINKS, COSTS, MADE].map(Object.keys);}"
    )
    page.close()
    activations, layers, in_chains, costs, made = (set(names) for names in rows)
    assert activations == set(ACTIVATIONS) - {"softmax"}  # which `activate` has
    assert layers == set(LAYERS)
    assert in_chains == {link.name for link in links()}
    assert costs == {row.activation or row.name for row in COSTS}
    assert made == {"every", *LAYERS}


@pytest.mark.parametrize(
    ("cost", "activation", "outputs"),
    [("quadratic", "tanh", 3), ("cross_entropy", "softmax", 3), ("cross_entropy", "sigmoid", 1)],
)
def test_classes_with_weights(engine: Engine, cost: str, activation: str, outputs: int) -> None:
    """Those of nncli are tested against PyTorch."""
    trace = weighted_trace(cost, activation, outputs)
    sizes = {name: max(1.0, float(np.abs(array).max())) for name, array in named(trace).items()}
    assert_close(trace, {name: float(np.spacing(s)) for name, s in sizes.items()}, engine(trace))
