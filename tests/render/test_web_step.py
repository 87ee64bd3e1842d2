"""What the page of a step carries: each number of the step, once, and by rules that lose no bit."""

import re
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.core.errors import NncliError
from nncli.inspection.record import Inspection, inspect
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace
from nncli.render.document import Heading, Page, Paragraph
from nncli.render.web import step as web_step
from nncli.render.web.network import Flow, flow_of
from nncli.render.web.operations import operations
from nncli.render.web.scripts import code
from nncli.render.web.step import Carried, carry, named_arrays, step_data, step_page
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import SOME_CASES
from tests.render.test_web_page import unpacked

PAGE: Page = [Heading("title", 0), Paragraph("summary")]


def resolved(carried: Carried, name: str) -> Array:
    """An array as the page's script finds it."""
    if name in carried.arrays:
        return carried.arrays[name]
    if name in carried.aliases:
        other, shape = carried.aliases[name]
        return carried.arrays[other].reshape(shape)
    rule, first, second = carried.rules[name]
    left = resolved(carried, first)
    if rule == "scale":
        return np.array([left.dtype.type(second) * x for x in left.ravel()]).reshape(left.shape)
    right = resolved(carried, second)
    assert rule == "sum"
    return np.array([x + y for x, y in zip(left.flat, right.flat, strict=True)]).reshape(left.shape)


def assert_all_carried(trace: Trace) -> None:
    carried = carry(trace)
    for name, array in named_arrays(trace):
        found = resolved(carried, name)
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert found.tobytes() == np.ascontiguousarray(array).tobytes(), name


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_array_is_carried_to_the_bit(case: Any, dtype: Any) -> None:
    assert_all_carried(trace_of(case, dtype, steps=1, momentum=0.9))


@pytest.mark.parametrize("name", ["digits-conv", "digits-mlp", "digits-batchnorm"])
def test_every_array_of_a_spec_is_carried_and_large_ones_by_rules(name: str) -> None:
    trace = spec_trace(name, samples=None)
    assert_all_carried(trace)
    assert "dense1.weight_new" in carry(trace).rules


def test_a_rule_that_loses_a_bit_is_not_used() -> None:
    trace = spec_trace("digits-mlp")
    update = trace.layers[0].weight_update
    assert update is not None
    update[0, 0] += np.spacing(np.abs(update).max())
    carried = carry(trace)
    assert "dense1.weight_update" in carried.arrays
    assert_all_carried(trace)


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_every_quantity_is_made_by_one_operation(case: Any) -> None:
    trace = trace_of(case, momentum=0.9)
    there = {name for name, _ in named_arrays(trace)}
    lines = operations(trace)
    makes = [line.makes for line in lines]
    assert len(makes) == len(set(makes))
    phases = [line.phase for line in lines]
    assert phases == sorted(phases, key=["forward", "backward", "update"].index)
    for line in lines:
        assert line.views
        for view in line.views.values():
            names = [term.name for term in view.terms]
            outer = f"{line.layer}.outer"
            assert {name for name in names if name != outer} <= there
            assert len(view.signs) in (0, len(view.terms) - 1)
    shared = {f"{layer.name}.upstream" for layer in trace.layers[:-1]}
    inputs = {f"{layer.name}.input" for layer in trace.layers} | shared
    given = {f"{layer.name}.{key}" for layer in trace.layers for key in ("weight", "bias")}
    optimizer = {name for name in there if name.count(".") == 2 or name.endswith("_velocity")}
    fused = {f"{trace.layers[-1].name}.{key}" for key in ("upstream", "sigma_prime")}
    pools = {f"{layer.name}.upstream" for layer in trace.layers}
    states = {f"{x.name}.{q.key}" for x in trace.layers for q in x.placed.layer.quantities}
    rest = there - {"inputs", "targets"} - inputs - given - optimizer - fused - pools - states
    assert rest <= set(makes)


def test_the_page_reads_back() -> None:
    inspection = inspect(spec_trace("two-two-two"))
    page = step_page(inspection, PAGE).document().decode()
    (text,) = re.findall('class="record">([^<]+)<', page)
    record, arrays = unpacked(text)
    carried = carry(inspection.trace)
    for name, array in carried.arrays.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert record["cost"]["before"] == inspection.trace.cost_before
    assert record["check"]["dense1.delta"]["verdict"] == "passed"
    assert "PASSED" in page


def test_a_page_that_is_too_large_says_what_to_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    inspection = inspect(spec_trace("digits-mlp"), checked=False)
    monkeypatch.setattr(web_step, "LARGEST", 8_000)
    with pytest.raises(NncliError, match=r"--samples 0 or --layer dense2"):
        step_page(inspection, PAGE)
    assert step_page(inspection, PAGE, "dense2")


def test_one_layer_carries_its_own_arrays_only() -> None:
    trace = spec_trace("digits-mlp")
    names = {name for name, _ in named_arrays(trace, "dense2")}
    assert {name.partition(".")[0] for name in names} == {"inputs", "targets", "dense2"}
    lines = step_data(Inspection(trace, None, ()), "dense2")["operations"]
    assert {line["layer"] for line in lines} == {"dense2"}


def test_infinities_are_carried() -> None:
    trace = spec_trace("two-two-two", "train.eta=1e300")
    assert not np.isfinite(trace.cost_after) or trace.cost_after >= 0
    assert step_page(nncli.inspect(trace), PAGE)


def test_behind_cross_entropy_nothing_has_held_the_error_back() -> None:
    """There δ = a − y: it is no share of ∂C/∂a."""
    fused = flows("digits-conv")
    assert fused[-1].passed is None
    assert fused[-1].upstream is None
    assert fused[-2].passed is not None
    assert 0 < fused[-2].passed < 1
    plain = flows("two-two-two")
    assert plain[-1].passed is not None
    assert 0 < plain[-1].passed < 1


def flows(name: str) -> list[Flow]:
    trace = spec_trace(name)
    return [flow_of(trace, layer) for layer in trace.layers]


def test_each_gradient_of_the_record_has_its_verdict() -> None:
    """Also where two layers share one: ∂C/∂input of a layer is ∂C/∂a of that below it."""
    inspection = inspect(spec_trace("digits-conv"))
    assert inspection.check is not None
    verdicts = step_data(inspection)["check"]
    gradients = re.compile(r"\.(upstream|delta|downstream|weight_gradient|bias_gradient)$")
    names = {name for name, _ in named_arrays(inspection.trace) if gradients.search(name)}
    assert set(verdicts) == names
    assert verdicts["dense2.downstream"] is verdicts["dense1.upstream"]
    assert {row["verdict"] for row in verdicts.values()} <= {"passed", "not_proven"}


# What the whole script of a page may be, and without the engine of "what if"; UTF-8 bytes.
LARGEST_SCRIPT = {"two-two-two": 36_500, "digits-mlp": 38_500, "digits-conv": 57_000}
LARGEST_WITHOUT_MATHEMATICS = 50_000


@pytest.mark.parametrize("name", LARGEST_SCRIPT)
def test_the_script_is_small(name: str) -> None:
    page = step_page(inspect(spec_trace(name), checked=False), PAGE)
    assert len(code(page.scripts).encode()) <= LARGEST_SCRIPT[name]


def test_with_layers_of_all_kinds_it_is_not_larger_than_it_may_be() -> None:
    shown = [name for name in web_step.SCRIPTS if name not in web_step.MATHEMATICS]
    assert len(code(shown).encode()) <= LARGEST_WITHOUT_MATHEMATICS
