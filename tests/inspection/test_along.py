"""C along the direction of a step, against the step's own costs and its slope."""

import numpy as np
import pytest

from nncli.inspection.along import POINTS, REACH, cost_along
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import SOME_CASES, Case


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_its_ends_are_the_steps_costs_and_its_slope_the_gradient(case: Case) -> None:
    trace = trace_of(case)
    h = 1e-6
    before, after, ahead, behind = cost_along(trace, [0, 1, h, -h]).cost
    assert before == trace.cost_before
    assert after == trace.cost_after
    slope = sum(
        float((getattr(layer, f"{key}_gradient") * getattr(layer, f"{key}_update")).sum())
        for layer in trace.layers
        for key in ("weight", "bias")
        if getattr(layer, key) is not None
    )
    assert (ahead - behind) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_where_it_looks() -> None:
    along = cost_along(spec_trace("two-two-two"))
    assert len(along.t) == len(along.cost) == POINTS
    assert (along.t[0], along.t[-1]) == REACH
    assert {0.0, 1.0} <= set(np.round(along.t, 12))
