"""The page of one step: its parts, its views, and that it fits."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nncli.app.inspect import trace_step
from nncli.core.errors import NncliError
from nncli.inspection.findings import Overflow, why
from nncli.inspection.record import inspect
from nncli.nn.arrays import Array, Operations, bind
from nncli.nn.links import Link
from nncli.nn.optimizers import OPTIMIZERS, Kind
from nncli.nn.trace import Trace
from nncli.render import formats
from nncli.render.document import Equation, Grid, Heading, Lines, Page, Paragraph
from nncli.render.pages.update import overflow_words
from nncli.render.text import Extent, number
from nncli.spec import load_spec
from tests.conftest import CONFIGS, mostly_slow
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import LENET, SOME_CASES, Case
from tests.render.reading import (
    VIEWS,
    checked_lenet,
    checked_step,
    document_of,
    equations_of,
    on_screen,
    page_of,
    signs_of,
)


def headings(page: Page, level: int) -> list[str]:
    return [b.text for b in page if isinstance(b, Heading) and b.level == level]


@pytest.mark.parametrize("view", VIEWS)
def test_the_parts_of_a_page(view: str) -> None:
    page = page_of(checked_lenet(), view=view)
    assert headings(page, 1) == [
        "forward",
        f"backward ({view} view)",
        "update",
        "which product is used where",
        "proof",
        "what the numbers mean",
    ]
    names = [layer.name for layer in trace_of(LENET).layers]
    starts = [text.split(":")[0] for text in headings(page, 2)]
    learners = ["conv1", "conv2", "dense1", "dense2"]
    assert starts == [*names, *reversed(names), *learners]


@pytest.mark.parametrize("name", ["two-two-two", "seed-3-4-2", "xor", "iris", "digits-mlp"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [80, 100])
def test_a_page_of_dense_layers_fits(name: str, view: str, width: int) -> None:
    text = on_screen(page_of(checked_step(name), view=view), width)
    assert max(map(len, text.splitlines())) <= width


def test_one_layer_alone() -> None:
    page = page_of(trace_of(LENET), layer="conv2")
    assert {text.split(":")[0] for text in headings(page, 2)} == {"conv2"}
    with pytest.raises(NncliError, match="there is no layer 'conv3'; the network has conv1, "):
        page_of(trace_of(LENET), layer="conv3")


def shown_equations(trace: Trace, **choices: Any) -> list[Equation]:
    page = page_of(trace, **choices)
    return [block for block in page if isinstance(block, Equation)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", mostly_slow(SOME_CASES, 2), ids=str)
def test_every_equation_on_a_page_holds(view: str, case: Case) -> None:
    """Numbers as they are recorded, by what stands between them."""
    trace = trace_of(case, steps=2, eta=0.1, momentum=0.9, weight_decay=0.01)
    for equation in shown_equations(trace, view=view, extent=Extent(full=True)):
        *parts, result = (term.array for term in equation.terms)
        signs = equation.signs
        where = " ".join(term.symbol for term in equation.terms) + signs
        if not signs or signs[-1] != "=":
            continue
        if signs == "−=":
            made = parts[0] - parts[1]
        elif signs == "⊙=":
            made = parts[0] * parts[1]
        elif signs == "⊙+=":
            made = parts[0] * parts[1] + parts[2]
        elif signs == "⊗=":
            made = np.kron(parts[0], parts[1])
        elif signs[0] == "·":
            made = parts[0] @ parts[1] + (parts[2] if len(parts) > 2 else 0)
        else:
            assert set(signs) == {"+", "="}
            made = reduce(np.add, parts)
        scale = max(np.abs(part).max(initial=1e-300) for part in parts)
        np.testing.assert_allclose(made, result, rtol=1e-11, atol=1e-12 * scale, err_msg=where)


def test_the_terms_of_an_update_with_momentum_and_decay() -> None:
    trace = trace_of(SOME_CASES[1], steps=2, eta=0.1, momentum=0.9, weight_decay=0.01)
    symbols = [[t.symbol for t in e.terms] for e in shown_equations(trace)]
    assert ["∂C/∂W", "λ W", "g"] in symbols
    assert ["μ v", "g", "v new"] in symbols
    assert ["W", "ΔW = −η v new", "W new"] in symbols


def test_the_equations_of_each_view() -> None:
    trace = spec_trace("two-two-two")
    signs = {
        view: {signs_of(e) for e in equations_of(on_screen(page_of(trace, view=view), 100))}
        for view in VIEWS
    }
    assert "·=" in signs["matrix"]
    assert {"⊗=", "·="} <= signs["kronecker"]
    assert "⊙=" in signs["index"]
    assert "⊙=" not in signs["hadamard"]  # there the factors stand in a table


def test_the_index_view_substitutes_the_numbers() -> None:
    text = on_screen(page_of(spec_trace("two-two-two"), view="index"), 100)
    assert "∂C/∂w[0,1] = a[0] δ[1] = 0.59326999 · -0.038098237 = -0.022602540" in text


def test_what_holds_a_unit_back_is_named() -> None:
    trace = spec_trace("digits-conv", samples=(0, 1))
    layer = trace.layers[0]
    grid = next(
        b for b in page_of(trace, layer=layer.name) if isinstance(b, Grid) and len(b.headings) == 5
    )
    assert grid.headings == ("sample: unit", "∂C/∂a", "⊙ σ′(z)", "= δ", "held back by")
    assert layer.delta is not None
    assert len(grid.rows) == min(7, layer.delta.size)
    assert {row[-1] for row in grid.rows} >= {"off", ""}


def test_the_column_of_what_holds_back_is_left_out_where_nothing_does() -> None:
    trace = spec_trace("two-two-two")
    tables = [b for b in page_of(trace) if isinstance(b, Grid) and "= δ" in b.headings]
    assert len(tables) == 2
    for table in tables:
        assert table.headings == ("", "∂C/∂a", "⊙ σ′(z)", "= δ")
        assert {len(row) for row in table.rows} == {4}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("samples", [(0,), (0, 1), (0, 1, 2, 3)])
def test_what_flows_back_stands_with_its_factors(view: str, samples: Any) -> None:
    trace = spec_trace("xor", samples=samples)
    terms = [tuple(t.symbol for t in e.terms) for e in shown_equations(trace, view=view)]
    assert terms.count(("δ", "Wᵀ", "∂C/∂input")) == len(trace.layers)
    shown = [e for e in shown_equations(trace, view=view) if e.terms[-1].symbol == "∂C/∂input"]
    for e, layer in zip(shown, reversed(trace.layers), strict=True):
        factors = layer.delta, np.asarray(layer.weight).T, layer.downstream
        for term, array in zip(e.terms, factors, strict=True):
            np.testing.assert_array_equal(term.array, array)


def test_what_flows_back_is_substituted_in_the_index_view() -> None:
    text = on_screen(page_of(spec_trace("two-two-two"), view="index"), 100)
    assert (
        "∂C/∂input[0,1] = 0.13849856 · 0.45000000 + -0.038098237 · 0.55000000 = 0.041370323" in text
    )


@pytest.mark.parametrize("view", VIEWS)
def test_of_a_conv_layer_the_products_behind_one_cell_are_shown(view: str) -> None:
    trace = spec_trace("digits-conv")
    found = [
        [t.array for t in e.terms]
        for e in shown_equations(trace, view=view, layer="conv1", extent=Extent(full=True))
        if e.terms[0].symbol == "δ" and e.terms[1].symbol.startswith("filter")
    ]
    layer = trace.layers[0]
    assert len(found) == len(np.asarray(layer.weight))
    total = sum(products.sum(dtype=np.float64) for *_, products in found)
    assert total == pytest.approx(layer.downstream[0, 0, 4, 4], rel=1e-5)
    words = on_screen(page_of(trace, view=view, layer="conv1"), 200)
    assert f"those of 6 other filters, = {number(float(layer.downstream[0, 0, 4, 4]), 8)}" in words


def test_of_a_conv_layer_the_products_behind_one_tap_are_shown() -> None:
    trace = spec_trace("digits-conv", samples=(0, 1))
    equation = next(e for e in shown_equations(trace) if e.terms[0].symbol == "cells")
    first = equation.terms[2].array.sum(dtype=np.float64)
    layer = trace.layers[0]
    assert layer.weight_gradient is not None
    image = np.pad(layer.input[1, 0], 1)[1:-1, 1:-1]
    other = (image * np.asarray(layer.delta)[1, 0]).sum(dtype=np.float64)
    assert (first + other) / 2 == pytest.approx(layer.weight_gradient[0, 0, 1, 1], rel=1e-4)


def test_the_outer_product_of_each_sample_then_their_sum() -> None:
    trace = spec_trace("xor", samples=(1, 2))
    for layer in trace.layers:
        page = page_of(trace, layer=layer.name)
        a, delta = layer.input, np.asarray(layer.delta)
        tables = [b for b in page if isinstance(b, Grid) and b.headings[0] == "a ⊗ δ"]
        assert len(tables) == 2
        for k, table in enumerate(tables):
            assert table.headings[1:] == tuple(number(float(d), 10) for d in delta[k])
            for i, row in enumerate(table.rows):
                made = [number(float(x), 10) for x in (a[k, i], *(a[k, i] * delta[k]))]
                assert list(row) == made
            before = page[page.index(table) - 1]
            assert isinstance(before, Paragraph)
            assert before.text == f"sample {trace.samples[k]}:"
        (total,) = (b for b in page if isinstance(b, Equation) and "Σ" in b.terms[0].symbol)
        np.testing.assert_allclose(total.terms[0].array, a.T @ delta, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(total.terms[1].array, layer.weight_gradient)


def test_the_kronecker_product_of_each_sample_then_their_sum() -> None:
    trace = spec_trace("xor", samples=(1, 2))
    found = [e for e in shown_equations(trace, view="kronecker") if e.signs == "⊗="]
    assert len(found) == 4
    sums = [e for e in shown_equations(trace, view="kronecker") if "Σ" in e.terms[0].symbol]
    for layer, total, parts in zip(
        reversed(trace.layers), sums, (found[:2], found[2:]), strict=True
    ):
        summed = sum(part.terms[-1].array for part in parts)
        np.testing.assert_allclose(total.terms[0].array, summed, rtol=1e-6, atol=1e-9)
        gradient = np.asarray(layer.weight_gradient).reshape(-1, 1)
        np.testing.assert_array_equal(total.terms[1].array, gradient)


def test_of_many_samples_the_outer_products_are_not_written_out() -> None:
    page = page_of(spec_trace("xor", samples=(0, 1, 2, 3)))
    assert not [b for b in page if isinstance(b, Grid) and b.headings[0] == "a ⊗ δ"]


def test_a_wide_outer_product_stands_with_its_factors() -> None:
    trace = spec_trace("digits-mlp")
    terms = [tuple(t.symbol for t in e.terms) for e in shown_equations(trace)]
    assert terms.count(("a", "δ", "∂C/∂W")) == len(trace.layers)


@pytest.mark.parametrize("view", ["hadamard", "kronecker"])
def test_no_paragraph_stands_twice_in_a_row(view: str) -> None:
    page = page_of(spec_trace("digits-mlp", samples=(0, 1)), view=view)
    assert not any(one == two for one, two in pairwise(page))


def test_the_table_of_products_is_in_the_order_of_the_step() -> None:
    trace = checked_lenet().trace
    page = page_of(checked_lenet())
    start = next(
        k for k, b in enumerate(page) if isinstance(b, Heading) and b.text.startswith("which")
    )
    forward, backward, update = (b for b in page[start : start + 7] if isinstance(b, Grid))
    names = [layer.name for layer in trace.layers]
    learners = [layer for layer in trace.layers if layer.weight is not None]
    assert list(dict.fromkeys(row[0] for row in forward.rows)) == names
    back = [row[0] for row in backward.rows]
    assert list(dict.fromkeys(back)) == [n for n in reversed(names) if n in back]
    for layer in learners:
        lines = [row[1] for row in forward.rows if row[0] == layer.name]
        assert lines[0].startswith("z = ")
        assert lines[1:] == [f"a = {layer.activation}(z)"]
        assert [row[1] for row in update.rows if row[0] == layer.name] == [
            "W new = W + ΔW", "b new = b + Δb",
        ]  # fmt: skip
        steps = [row[1].split(" = ")[0] for row in backward.rows if row[0] == layer.name]
        assert [s for s in steps if s != "∂C/∂a"] == ["δ", "∂C/∂W", "∂C/∂b", "∂C/∂input"]


def test_tap_and_cell() -> None:
    trace = trace_of(LENET)
    page = page_of(trace, layer="conv2", tap=(1, 0, 1, 1), cell=(0, 1, 2))
    conv = next(layer for layer in trace.layers if layer.name == "conv2")
    words = " ".join(block.text for block in page if isinstance(block, Paragraph))
    assert conv.weight_gradient is not None
    value, n = conv.weight_gradient[1, 0, 1, 1], len(trace.samples)
    assert f"Together ∂C/∂W[1,0,1,1] = {number(float(value), 10)}" in words
    for k, sample in enumerate(trace.samples):
        there = number(float(conv.downstream[k, 0, 1, 2]), 10)
        assert f"sample {sample}: together ∂C/∂input[0,1,2] = {there}" in words
    # What one record has is not computed again: no sum of the products beside it.
    assert ("the mean of the" in words) == (n > 1)
    assert headings(page, 3) == [
        "what summed to ∂C/∂W[1,0,1,1]: the cells that the tap met ⊙ δ",
        "what flows back to input cell 0,1,2: δ ⊙ filter",
    ]


def test_the_extent_of_what_is_shown() -> None:
    trace = spec_trace("digits-mlp")
    for extent, size in (
        (Extent(), 6),
        (Extent(full=True), 30),
        (Extent(columns=range(4, 9)), 5),
        (Extent(rows=range(1), columns=range(2)), 2),
    ):
        sums = [e for e in shown_equations(trace, extent=extent) if e.signs == "+="]
        hidden = next(e for e in sums if e.terms[0].array.shape == (64, 30))
        assert hidden.terms[0].shown_values().shape[1] == size


def test_a_failed_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from nncli.nn.layers import DenseStep

    original = DenseStep.backward

    def wrong(self: DenseStep) -> Iterator[Callable[[], object]]:
        yield from original(self)
        yield lambda: np.multiply(self.gradients["bias"], 2, self.gradients["bias"])

    monkeypatch.setattr(DenseStep, "backward", wrong)
    page = page_of(inspect(spec_trace("two-two-two")))
    words = [block.text for block in page if isinstance(block, Paragraph)]
    assert any(word.startswith("FAILED: ") and "∂C/∂b" in word for word in words)
    assert not any(word.startswith("PASSED") for word in words)


@pytest.mark.parametrize(
    ("name", "view"),
    [
        (name, view)
        for name in ("two-two-two", "seed-3-4-2", "xor", "iris", "digits-mlp", "digits-conv")
        for view in VIEWS
    ],
)
def test_no_cell_of_a_table_is_cut(name: str, view: str) -> None:
    page = page_of(checked_step(name), view=view)
    text = on_screen(page, 80)
    for grid in (block for block in page if isinstance(block, Grid)):
        for cell in (cell for row in grid.rows for cell in row):
            assert cell in text


def test_a_layer_without_bias_has_no_b_on_its_page() -> None:
    text = on_screen(page_of(spec_trace("seed-3-4-2")), 80)
    assert "+ b" not in text
    assert "∂C/∂b" not in text


def test_the_ledger_of_the_error_signal_ends_with_the_signal() -> None:
    page = page_of(spec_trace("two-two-two"))
    grid = next(b for b in page if isinstance(b, Grid) and "‖signal‖" in b.headings)
    assert grid.rows[-1][-1] in ("", grid.rows[-2][-1])


def test_a_failed_check_names_the_first_gradient_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nncli.nn.layers import WeightedStep

    monkeypatch.setattr(
        WeightedStep,
        "multiply_hadamard",
        lambda s: [partial(np.copyto, s.delta, s.upstream)],
    )
    page = page_of(inspect(spec_trace("two-two-two")))
    words = " ".join(block.text for block in page if isinstance(block, Paragraph))
    assert "FAILED: the first to be wrong is dense2 δ" in words


def test_samples_bear_their_numbers_in_the_training_data_everywhere() -> None:
    text = on_screen(page_of(spec_trace("digits-conv", samples=(3, 7))), 80)
    assert "sample 7, channel 0:" in text
    assert "sample 0" not in text
    assert re.search(r"^7: 7,7,7 ", text, re.M)


@pytest.mark.parametrize("rows", [range(3, 4), range(100, 200)])
def test_a_range_that_misses_a_matrix_says_so(rows: Any) -> None:
    page = page_of(spec_trace("digits-mlp"), extent=Extent(rows=rows))
    assert "outside the rows or columns asked for" in on_screen(page, 80)


@pytest.mark.parametrize("view", VIEWS)
def test_no_line_loses_its_end(view: str) -> None:
    page = page_of(spec_trace("xor", samples=(0, 1, 2, 3)), view=view)
    text = on_screen(page, 80)
    for block in page:
        if isinstance(block, Lines):
            for line in block.lines:
                assert line.split()[-1] in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_conv_layer_is_shown_forward_with_one_window_and_its_sum() -> None:
    text = on_screen(page_of(spec_trace("digits-conv")), 80)
    found = re.search(r"Σ (\S+) \+ b (\S+) = z (\S+)", text)
    assert found is not None
    sum_, bias, z = map(float, found.groups())
    assert z == pytest.approx(sum_ + bias, rel=1e-6)


HUGE = {  # at the ends of what float64 holds
    "inputs": ("data.train.inputs=[[1e300, -1e300], [1e300, 1]]",),
    "weights": ("network[0].weights=[[1e200, 1], [1, 1e200]]",),
    "eta": ("train.eta=1e300",),
    "inputs and eta": ("data.train.inputs=[[1e150, 1e150], [1, 1]]", "train.eta=1e250"),
    "relu": ("network[0].activation=relu", "data.train.inputs=[[1e150, 1], [1e150, 1]]"),
    "linear": ("network[1].activation=identity", "train.eta=1e250"),
}


@pytest.mark.parametrize("case", HUGE)
@pytest.mark.parametrize("view", VIEWS)
def test_no_sentence_of_a_step_with_huge_numbers_has_a_nan(case: str, view: str) -> None:
    """And none of it warns: warnings are errors here."""
    data = ("data.train.inputs=[[0.1, 0.2], [1, 2]]", "data.train.targets=[[0.01, 0.99], [1, 0]]")
    spec = load_spec(CONFIGS / "two-two-two.yaml", (*data, *HUGE[case]))
    inspection = inspect(trace_step(spec, samples=(0, 1)))
    pushed = why(inspection.trace, inspection.trace.layers[0], (0, 0))
    page = document_of(inspection, why=pushed, view=view).page
    words = [block.text for block in page if isinstance(block, Paragraph)]
    cells = [cell for b in page if isinstance(b, Grid) for row in b.rows for cell in row]
    assert not any(re.search(r"\bnan\b", text) for text in (*words, *cells))


@dataclass(frozen=True)
class Sign(Link):
    """The sign of what it is given, and how often that has been nowhere 0."""

    name = "sign"

    @property
    def state(self) -> tuple[str, ...]:
        return ("last_direction",)

    @property
    def counters(self) -> tuple[str, ...]:
        return ("signs_taken",)

    @property
    def terms(self) -> tuple[str, ...]:
        return ("sign_of_gradient",)

    def begin(self, scalars: Any) -> None:
        scalars["signs_taken"][()] += 1

    def rule(self, incoming: str, vectors: Any) -> Operations:
        yield bind(np.copyto, vectors["last_direction"], vectors[incoming])
        yield bind(np.sign, vectors[incoming], vectors["sign_of_gradient"])

    def formula(self, incoming: Array, values: Any) -> dict[str, Array]:
        return {"last_direction": incoming, "sign_of_gradient": np.sign(incoming)}


def test_a_link_that_no_page_knows_is_shown_by_its_names(monkeypatch: Any) -> None:
    monkeypatch.setitem(OPTIMIZERS, "sign", Kind("Sign", lambda **settings: [Sign()]))
    trace = trace_of(LENET, kind="sign", steps=2)
    text = on_screen(page_of(trace), 100)
    shown = [term for terms in equations_of(text) for term in terms]
    for key in ("last direction before", "last direction", "sign of gradient"):
        assert any(term.symbol == key for term in shown), key
    assert "signs taken: 3." in text
    assert "sign 0, learning rate 0" in text
    beyond = Overflow("dense1", "sign_of_gradient", "weight")
    assert "sign of gradient of W is not finite" in overflow_words(trace, beyond)
    for write in formats.FORMATS.values():
        assert write.write(document_of(trace))
