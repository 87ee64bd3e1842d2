"""The page's engine for "what if" computes what nncli computes, in float64.

Within a few ulps, see `traced`: a page's exp, log and tanh differ from NumPy's by one or two of
their own.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array
from nncli.nn.layers import LAYERS, Conv, Dense, Layer
from nncli.nn.optimizers import Adam, Momentum, ScaleByEta, WeightDecay
from nncli.nn.trace import Trace
from nncli.render.web.network import network_data
from nncli.render.web.record import plain
from nncli.render.web.scripts import asset, squeezed
from nncli.render.web.step import given, named_arrays
from tests.inspection.traces import trace_of
from tests.nn.cases import ALL_CASES, ENDINGS, Case, Setting, settle

MOST = 4.0  # ulps
DRAWS = 8
EPSILON, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
SCRIPTS = ("record", "mathematics", "numbers", "mathematics_more", "numbers_more")
CHAINS: tuple[dict[str, Any], ...] = (
    {},
    {"momentum": 0.9},
    {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"kind": "adam", "decoupled_weight_decay": 0.02},
    {"kind": "adam", "weight_decay": 0.03, "beta1": 0.5},
)


@pytest.fixture(scope="module")
def engine(browser: Any) -> Any:
    """A blank page in which the engine is called."""
    page = browser.new_page()
    yield lambda trace, change=None, eta=None: computed(page, trace, change, eta)
    page.close()


def code() -> str:
    return "\n".join(asset(f"{name}.js") for name in SCRIPTS)


def computed(page: Any, trace: Trace, change: Any = None, eta: float | None = None) -> Any:
    """What the engine makes of what a trace was given; `change` is of its source."""
    arrays = dict(named_arrays(trace))
    sent = {
        name: {"data": arrays[name].ravel().tolist(), "shape": list(arrays[name].shape)}
        for name in given(trace)
    }
    body = f"""([network, sent, eta]) => {{
        {code() if change is None else change(code())}
        for (const array of Object.values(sent)) array.data = Float64Array.from(array.data);
        const made = recompute(network, sent, {{eta}});
        return JSON.stringify(Object.fromEntries(Object.entries(made).map(
            ([name, array]) => [name, Array.from(array.data ?? [array], String)])));
    }}"""
    eta = trace.eta if eta is None else eta
    return json.loads(page.evaluate(body, [plain(network_data(trace)), sent, eta]))


def numbers(texts: Any) -> Array:
    return np.array([float(text.replace("Infinity", "inf")) for text in texts])


def named(trace: Trace) -> dict[str, Array]:
    """Every array of a step, and its costs."""
    arrays = {name: array for name, array in named_arrays(trace) if "_velocity" not in name}
    costs = {f"cost_{key}": getattr(trace, f"cost_{key}") for key in ("before", "after")}
    return arrays | {name: np.array([cost]) for name, cost in costs.items()}


def traced(source: Case | Setting, **how: Any) -> tuple[Trace, dict[str, float]]:
    """A step, and what an ulp is of each of its quantities.

    That of its largest entry; or, where more, how far it moves in nncli itself when all numbers
    that the step starts from are moved by an ulp: what cancels on its way has no more digits.
    """
    setting = settle(source) if isinstance(source, Case) else source
    trace, rng = trace_of(setting, **how), np.random.default_rng(0)
    exact = named(trace)
    sizes = {name: max(float(np.abs(a).max(initial=0)), TINY) for name, a in exact.items()}
    ulp = {name: float(np.spacing(size)) for name, size in sizes.items()}

    def moved(array: Array) -> Array:
        return array * (1 + EPSILON * rng.choice([-1, 1], array.shape))

    for _ in range(DRAWS):
        start = Setting(
            setting.case, moved(setting.parameters), moved(setting.inputs), moved(setting.targets)
        )
        for name, array in named(trace_of(start, **how)).items():
            ulp[name] = max(ulp[name], float(np.abs(array - exact[name]).max(initial=0)))
    return trace, ulp


def differences(trace: Trace, ulp: dict[str, float], made: Any) -> dict[str, float]:
    """By name, how far the engine is from every array of the step, in ulps."""
    return {
        name: float(np.abs(array.ravel() - numbers(made[name])).max(initial=0)) / ulp[name]
        for name, array in named(trace).items()
    }


def assert_close(trace: Trace, ulp: dict[str, float], made: Any) -> None:
    off = {name: x for name, x in differences(trace, ulp, made).items() if not x <= MOST}
    assert off == {}


@pytest.mark.parametrize("k", range(10))
def test_every_kind_of_network(engine: Any, k: int) -> None:
    for number, case in enumerate(ALL_CASES[k::10]):
        trace, ulp = traced(case, steps=1, **CHAINS[number % len(CHAINS)])
        assert_close(trace, ulp, engine(trace))


def random_case(seed: int) -> Case:
    """One to four layers of 1 to 16 units, on 1 to 8 samples."""
    rng = np.random.default_rng(seed)
    hidden = [name for name, row in ACTIVATIONS.items() if row.elementwise]
    cost, ending = ENDINGS[rng.integers(len(ENDINGS))]
    layers: list[Layer] = [
        Dense(units=int(rng.integers(1, 17)), activation=str(rng.choice(hidden)))
        for _ in range(rng.integers(0, 4))
    ]
    shape: tuple[int, ...] = (int(rng.integers(1, 13)),)
    if seed % 3 == 0:
        shape = (int(rng.integers(1, 4)), 6, 7)
        filters, stride = int(rng.integers(1, 4)), (int(rng.integers(1, 3)), 1)
        conv = Conv(filters=filters, kernel=(3, 2), stride=stride, padding=1, activation="tanh")
        layers.insert(0, conv)
    units = int(rng.integers(2 if ending == "softmax" else 1, 8))
    last = Dense(units=units, activation=ending)
    return Case(f"random-{seed}", (*layers, last), shape, cost, n=int(rng.integers(1, 9)))


@pytest.mark.parametrize("k", range(10))
def test_a_hundred_random_networks(engine: Any, k: int) -> None:
    for seed in range(10 * k, 10 * k + 10):
        chain = CHAINS[seed % len(CHAINS)]
        trace, ulp = traced(random_case(seed), steps=seed % 3, **chain)
        assert_close(trace, ulp, engine(trace))


def test_what_is_changed_is_computed(engine: Any) -> None:
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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a * (1 / (Math.exp(z) + 1))", "a * (1 / (Math.exp(z) + 1.0000001))"),
        ("upstream[k] * prime[k]", "upstream[k]"),
        ("delta[x * units + j]) / n", "delta[x * units + j])"),
        ("w[k % inputs * units + j]", "w[j * inputs % units + k % units]"),
        ("-eta * value", "eta * value"),
    ],
)
def test_a_planted_mistake_is_found(engine: Any, old: str, new: str) -> None:
    assert squeezed(old) in code()
    trace, ulp = traced(Case("planted", (Dense(units=4), Dense(units=2)), (3,), n=3))

    def planted(source: str) -> str:
        return source.replace(squeezed(old), new)

    made = engine(trace, planted)
    assert max(differences(trace, ulp, made).values()) > 1e3


def test_no_row_is_missing(browser: Any) -> None:
    page = browser.new_page()
    rows = page.evaluate(
        f"() => {{{code()}\nreturn [ACTIVATIONS, LAYERS, LINKS, MADE].map(Object.keys);}}"
    )
    page.close()
    activations, layers, links, made = (set(names) for names in rows)
    assert activations == set(ACTIVATIONS) - {"softmax"}  # which `activate` has
    assert layers == set(LAYERS)
    assert links == {link.name for link in (WeightDecay, Momentum, Adam, ScaleByEta)}
    assert made == {"every", *LAYERS}
