"""A trace is the workspace, copied: against plain loops, in the layouts of the border."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nncli.nn.measures import measure
from nncli.nn.recorder import record_trace
from nncli.nn.trace import LayerTrace, Start, Trace

from .cases import SOME_CASES, as_lists, relative_error, settle

ETA = 0.5


def trace_of(setting: Any) -> tuple[Trace, dict[str, Any]]:
    step = setting.step()
    reference = setting.reference(step.network, ETA)
    start = Start.of(step.network, step.optimizer)
    parameters = as_lists(step.network.views(start.parameters))
    for name, arrays in parameters.items():
        reference |= {f"{name}.{key}": array for key, array in arrays.items()}
    cost = step.run(ETA, full=True)
    samples = range(len(setting.inputs))
    trace = record_trace(step, eta=ETA, cost=cost, start=start, samples=samples)
    step.inputs[...] = step.network.parameters[...] = 7
    step.run(ETA, full=True)  # must not reach into the trace
    return trace, reference


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_every_field_is_the_reference_or_none(case: Any) -> None:
    setting = settle(case)
    trace, reference = trace_of(setting)
    assert trace.cost_before == pytest.approx(reference["cost"], rel=1e-12)
    assert np.array_equal(trace.inputs, setting.inputs)
    assert np.array_equal(trace.targets, setting.targets)
    for layer in trace.layers:
        own = [q.key for q in layer.placed.layer.quantities]
        shared = [field.name for field in fields(LayerTrace)]
        for field in [*shared, *own]:
            if field in ("placed", "recorded", "optimizer"):
                continue
            expected = reference.get(f"{layer.name}.{field}")
            actual = layer.quantity(field)
            assert (actual is None) == (expected is None), f"{layer.name}.{field}"
            if expected is not None:
                assert relative_error(actual, expected) < 1e-12, f"{layer.name}.{field}"


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_measures(case: Any) -> None:
    setting = settle(case)
    step = setting.step()
    reference = setting.reference(step.network, ETA)
    step.run(ETA, full=True)
    sources = {
        "upstream_norm": "upstream",
        "delta_norm": "delta",
        "weight_gradient_norm": "weight_gradient",
        "weight_update_norm": "weight_update",
        "weight_norm": "weight_new",
    }
    fused = step.network.cost.error_is_delta
    for measures in measure(step):
        for field, source in sources.items():
            if fused and field == "upstream_norm" and measures.name == step.last.name:
                assert measures.upstream_norm is measures.passed is None
                continue
            values = reference.get(f"{measures.name}.{source}")
            norm = None if values is None else np.sqrt(np.square(values).sum())
            assert getattr(measures, field) == (norm if norm is None else pytest.approx(norm))
        primes = reference[f"{measures.name}.sigma_prime"]
        if primes is None:
            assert measures.sigma_prime_mean is measures.saturated is None
        else:
            assert measures.sigma_prime_mean == pytest.approx(np.mean(primes))
            assert measures.saturated == np.mean(np.abs(primes) < 0.01)
