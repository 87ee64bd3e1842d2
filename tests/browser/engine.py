"""The page's engine for "what if", called in a browser, and how far it is from nncli.

Within a few ulps, see `traced`: a page's exp, log and tanh differ from NumPy's by one or two of
their own.
"""

import json
from typing import Any

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.trace import Trace
from nncli.render.web.network import network_data
from nncli.render.web.record import plain
from nncli.render.web.scripts import code
from nncli.render.web.step import MATHEMATICS, NUMBERS, given, named_arrays
from tests.inspection.traces import trace_of
from tests.nn.cases import Case, Setting, settle

MOST = 4.0  # ulps
DRAWS = 8
EPSILON, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
ENGINE = ("record", *MATHEMATICS, *NUMBERS)


def computed(page: Any, trace: Trace, change: Any = None, eta: float | None = None) -> Any:
    """What the engine makes of what a trace was given; `change` is of its source."""
    arrays = dict(named_arrays(trace))
    sent = {
        name: {"data": arrays[name].ravel().tolist(), "shape": list(arrays[name].shape)}
        for name in given(trace)
    }
    body = f"""([network, sent, eta]) => {{
        {code(ENGINE) if change is None else change(code(ENGINE))}
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


def traced(
    source: Case | Setting, *, draws: int = DRAWS, **how: Any
) -> tuple[Trace, dict[str, float]]:
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

    for _ in range(draws):
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
