"""Traces to look at: of the engine's test cases, and of the shipped specs."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from nncli.app.inspect import trace_step
from nncli.app.opening import SpecOrRun
from nncli.app.pipeline import prepare
from nncli.nn.arrays import Array
from nncli.nn.recorder import record_trace
from nncli.nn.trace import Start, Trace
from nncli.spec import load_spec
from tests.conftest import CONFIGS
from tests.nn.cases import Case, Setting, settle


def trace_of(
    source: Case | Setting,
    dtype: Any = np.float64,
    *,
    steps: int = 0,
    eta: float = 0.5,
    class_weights: Array | None = None,
    **optimizer: Any,
) -> Trace:
    """The step after `steps` others, on the same samples."""
    setting = settle(source) if isinstance(source, Case) else source
    step = setting.step(dtype, class_weights=class_weights, **optimizer)
    for _ in range(steps):
        step.run(eta)
    assert step.optimizer is not None
    start = Start.of(step.network, step.optimizer)
    cost = step.run(eta, full=True)
    samples = range(len(setting.inputs))
    return record_trace(step, eta=eta, cost=cost, start=start, samples=samples, name="case")


@cache
def _opened(name: str, overrides: tuple[str, ...]) -> tuple[SpecOrRun, Array]:
    opened = SpecOrRun(prepare(load_spec(CONFIGS / f"{name}.yaml", overrides)), None)
    return opened, opened.prepared.network.parameters.copy()


def spec_trace(
    name: str, *overrides: str, samples: Sequence[int] | None = (0,), step: int = 1
) -> Trace:
    """A step of a shipped spec; its data are read once."""
    opened, start = _opened(name, overrides)
    opened.prepared.network.parameters[...] = start
    return trace_step(opened, samples=samples, step=step)
