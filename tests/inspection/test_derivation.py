"""The lessons of a derivation: each number against plain loops, differences or definitions."""

import math
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.inspection.derivation import backward, forward, gradients
from nncli.inspection.derivation import lessons as of
from nncli.inspection.derivation.base import Derivation, Excerpt, largest
from nncli.inspection.derivation.derive import derive
from nncli.nn.layers import LAYERS
from tests.conftest import present
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import LAYER_CASES, activation_cases
from tests.reference import backprop

SPECS = ("two-two-two", "xor", "iris", "digits-conv", "digits-batchnorm", "digits-mlp")
H = 1e-5  # of central differences


@cache
def derived(name: str) -> Derivation:
    """Of a shipped spec in float64, its first mini-batch."""
    return derive(spec_trace(name, "dtype=float64", samples=None))


@cache
def of_cases() -> tuple[Derivation, ...]:
    chosen = [*activation_cases()[::3], *(c for cases in LAYER_CASES.values() for c in cases[::2])]
    return tuple(derive(trace_of(case)) for case in chosen)


def all_lessons(kind: type[Any]) -> Iterator[tuple[Derivation, Any]]:
    """The lessons of a kind, of the shipped specs and of other networks."""
    made = [*(derived(name) for name in SPECS), *of_cases()]
    found = [(one, lesson) for one in made for lesson in one.lessons if isinstance(lesson, kind)]
    assert found, kind
    yield from found


def close(value: Any) -> Any:
    return pytest.approx(value, rel=1e-8, abs=1e-12)


def sigma_of(lesson: Any) -> Any:
    """σ of a lesson's layer as plain functions of a number."""
    layer = lesson.layer.placed.layer
    values = layer.activation_values
    function, slope = backprop.SIGMA[layer.activation]
    return (lambda z: function(*values, z)), (lambda z: slope(*values, z))


# Forward


def test_a_dense_sum_is_its_products_and_its_bias() -> None:
    for one, lesson in all_lessons(of.DenseForward):
        j, layer = lesson.unit, lesson.layer
        x, w = layer.input[one.at], layer.weight
        terms = [x[i] * w[i, j] for i in range(len(x))]
        assert lesson.products.tolist() == close(terms)
        bias = 0.0 if layer.bias is None else layer.bias[j]
        assert math.fsum(terms) + bias == pytest.approx(lesson.z[j], rel=1e-9, abs=1e-9)
        if layer.sigma_prime is not None:
            assert sigma_of(lesson)[0](lesson.z[j]) == close(lesson.a[j])


def window_cells(lesson: Any, image: Any, row: int, column: int) -> dict[tuple[int, int], Any]:
    """The cells of a window by their taps, in each channel; 0 on the padding."""
    grid = backprop.window_grid(lesson.layer.placed.layer, image)
    return {(i, j): (r, c) for i, j, r, c in grid[row][column]}


def test_a_window_is_the_cells_under_the_filter() -> None:
    for one, lesson in all_lessons(of.ConvForward):
        image = lesson.layer.input[one.at].tolist()
        k, row, column = lesson.place
        cells = window_cells(lesson, image, row, column)
        seen = backprop.seen_by(lesson.layer.placed.layer, k, image)
        assert len(seen) == len(lesson.window)
        total = 0.0 if lesson.bias is None else lesson.bias
        for c, i, j in np.ndindex(lesson.window.shape):
            r_c = cells.get((i, j))
            expected = 0.0 if r_c is None else image[seen[c]][r_c[0]][r_c[1]]
            assert lesson.window[c, i, j] == expected
            assert lesson.filter[c, i, j] == lesson.layer.weight[k, c, i, j]
            total += expected * lesson.filter[c, i, j]
        assert total == pytest.approx(lesson.z, rel=1e-9, abs=1e-9)
        assert sigma_of(lesson)[0](lesson.z) == close(lesson.a)


def test_a_pool_takes_the_mean_or_the_maximum_of_its_window() -> None:
    for one, lesson in all_lessons(of.PoolForward):
        c, row, column = lesson.place
        image = lesson.layer.input[one.at].tolist()
        cells = window_cells(lesson, image, row, column)
        values = [image[c][r][k] for r, k in cells.values()]
        assert lesson.window.ravel().tolist() == values
        pool = lesson.layer.placed.layer
        assert lesson.count == backprop.counted(pool, image, row, column, values)
        expected = max(values) if lesson.layer.type == "maxpool" else sum(values) / lesson.count
        assert lesson.a == close(expected)


def test_the_parts_of_the_cost_add_up_and_their_slopes_are_differences() -> None:
    for one, lesson in all_lessons(of.CostLesson):
        cost = one.trace.cost
        assert lesson.parts.sum() == close(lesson.cost_of_sample)

        def part(a: float, y: float, cost: Any = cost) -> float:
            if cost.name == "quadratic":
                return 0.5 * (a - y) ** 2
            terms = -y * math.log(a)
            return terms if cost.activation == "softmax" else terms - (1 - y) * math.log(1 - a)

        for j in lesson.units.indices:
            a, y = float(lesson.a[j]), float(lesson.y[j])
            h = min(H, a / 100, (1 - a) / 100) if cost.name == "cross_entropy" else H
            slope = (part(a + h, y) - part(a - h, y)) / (2 * h)
            assert lesson.upstream[j] == pytest.approx(slope, rel=1e-3, abs=1e-8)


# Back


def test_the_jacobian_of_sigma_is_diagonal_with_the_slopes_of_its_units() -> None:
    for one, lesson in all_lessons(of.Sigma):
        sigma, slope = sigma_of(lesson)
        z = lesson.layer.z[one.at].ravel()
        assert lesson.shape == lesson.layer.z.shape[1:]
        for row, k in enumerate(lesson.units.indices):
            for column, j in enumerate(lesson.units.indices):
                found = lesson.jacobian[row, column]
                assert found == (close(slope(z[j])) if k == j else 0)
            if abs(z[k]) > 10 * H:  # away from a kink
                difference = (sigma(z[k] + H) - sigma(z[k] - H)) / (2 * H)
                assert lesson.jacobian[row, row] == pytest.approx(difference, rel=1e-4, abs=1e-8)
            if not lesson.fused:
                assert lesson.delta[k] == close(lesson.upstream[k] * slope(z[k]))
            else:
                assert lesson.delta[k] == close(lesson.a[k] - lesson.y[k])
                assert lesson.upstream[k] * slope(z[k]) == pytest.approx(lesson.delta[k], rel=1e-6)


def softmax(z: list[float]) -> list[float]:
    powers = [math.exp(value - max(z)) for value in z]
    return [power / sum(powers) for power in powers]


def test_the_jacobian_of_softmax_is_that_of_differences_and_not_diagonal() -> None:
    for one, lesson in all_lessons(of.SoftmaxJacobian):
        z = lesson.layer.z[one.at].tolist()
        for k, j in product(range(len(z)), repeat=2):
            high, low = ([v + s * H * (c == j) for c, v in enumerate(z)] for s in (1, -1))
            slope = (softmax(high)[k] - softmax(low)[k]) / (2 * H)
            assert lesson.jacobian[k, j] == pytest.approx(slope, rel=1e-4, abs=1e-9)
        assert np.count_nonzero(lesson.jacobian) == lesson.jacobian.size
        assert lesson.jacobian.sum(axis=1) == pytest.approx(np.zeros(len(z)), abs=1e-12)


def test_the_error_times_the_jacobian_of_softmax_is_a_minus_y() -> None:
    for _, lesson in all_lessons(of.SoftmaxError):
        for j in range(len(lesson.a)):
            total = math.fsum(
                lesson.upstream[k] * lesson.jacobian[k, j] for k in range(len(lesson.a))
            )
            assert total == pytest.approx(lesson.a[j] - lesson.y[j], rel=1e-8, abs=1e-10)
            assert lesson.delta[j] == close(lesson.a[j] - lesson.y[j])
            assert lesson.diagonal[j] == close(lesson.upstream[j] * lesson.jacobian[j, j])
        k = lesson.missed
        assert abs(lesson.diagonal[k] - lesson.delta[k]) == max(abs(lesson.diagonal - lesson.delta))


def test_the_error_goes_back_along_the_rows_of_the_weights() -> None:
    for one, lesson in all_lessons(of.DenseBack):
        w, delta = lesson.layer.weight, lesson.layer.delta[one.at]
        for i in range(len(w)):
            total = math.fsum(w[i, j] * delta[j] for j in range(len(delta)))
            assert lesson.downstream[i] == pytest.approx(total, rel=1e-8, abs=1e-10)
        i = lesson.input
        assert lesson.products.tolist() == close([w[i, j] * delta[j] for j in range(len(delta))])
        if w.shape[0] == w.shape[1]:
            column = math.fsum(w[j, i] * delta[j] for j in range(len(delta)))
            assert dict(lesson.ask.wrongs)["untransposed"] == close(column)


def test_a_conv_layer_sends_back_what_its_windows_took() -> None:
    for one, lesson in all_lessons(of.ConvBack):
        layer, (channel, row, column) = lesson.layer, lesson.cell
        image = layer.input[one.at].tolist()
        grid = backprop.window_grid(layer.placed.layer, image)
        conv = layer.placed.layer
        seen = {f: backprop.seen_by(conv, f, image) for f in range(len(layer.weight))}
        own = {f: channels.index(channel) for f, channels in seen.items() if channel in channels}
        totals = dict.fromkeys(own, 0.0)
        windows = 0
        for r, line in enumerate(grid):
            for c, taps in enumerate(line):
                for i, j, at_row, at_column in taps:
                    if (at_row, at_column) == (row, column):
                        windows += 1
                        for f, k in own.items():
                            totals[f] += layer.delta[one.at, f, r, c] * layer.weight[f, k, i, j]
        assert lesson.sums.tolist() == close([*totals.values()])
        assert sum(totals.values()) == pytest.approx(lesson.downstream, rel=1e-8, abs=1e-10)
        assert lesson.windows == windows
        taps = layer.weight[lesson.filter, own[lesson.filter]].tolist()
        assert lesson.turned.tolist() == [row[::-1] for row in taps[::-1]]
        assert lesson.untouched.tolist() == taps
        assert np.allclose(lesson.around * lesson.turned, lesson.products, rtol=1e-12)
        assert lesson.products.sum() == pytest.approx(totals[lesson.filter], rel=1e-8, abs=1e-12)


def test_what_lies_around_a_cell_is_delta_as_it_lies_in_the_output() -> None:
    lesson = next(x for x in derived("digits-conv").lessons if isinstance(x, of.ConvBack))
    _, row, column = lesson.cell
    delta = present(lesson.of.delta)[0, lesson.filter]
    padded = np.pad(delta, 1)  # the padding is same, the kernel 3
    assert lesson.around.tolist() == padded[row : row + 3, column : column + 3].tolist()


def test_a_pool_hands_on_its_error() -> None:
    for one, lesson in all_lessons(of.PoolBack):
        c, row, column = lesson.place
        assert lesson.upstream == lesson.layer.upstream[one.at, c, row, column]
        cells = lesson.window.ravel().tolist()
        if lesson.layer.type == "maxpool":
            winner = cells.index(max(cells))
            expected = [lesson.upstream * (k == winner) for k in range(len(cells))]
        else:
            image = lesson.layer.input[one.at].tolist()
            pool = lesson.layer.placed.layer
            count = backprop.counted(pool, image, row, column, cells)
            expected = [lesson.upstream / count] * len(cells)
        assert lesson.share.ravel().tolist() == close(expected)


def test_batchnorm_mixes_the_samples() -> None:
    for _, lesson in all_lessons(of.NormBack):
        layer, unit = lesson.layer, lesson.unit
        x = layer.input[:, unit].ravel().tolist()
        gamma, beta = float(layer.weight[unit]), float(layer.bias[unit])
        epsilon = layer.placed.layer.epsilon

        def outputs(
            values: list[float], g: float = gamma, b: float = beta, e: float = epsilon
        ) -> Any:
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
            return [g * (v - mean) / math.sqrt(variance + e) + b for v in values]

        for column, y in enumerate(lesson.entries.indices):
            high, low = ([v + s * H * (k == y) for k, v in enumerate(x)] for s in (1, -1))
            differences = [
                (a - b) / (2 * H) for a, b in zip(outputs(high), outputs(low), strict=True)
            ]
            for row, k in enumerate(lesson.entries.indices):
                assert lesson.jacobian[row, column] == pytest.approx(
                    differences[k], rel=1e-4, abs=1e-7
                )
            total = math.fsum(d * u for d, u in zip(differences, lesson.upstream, strict=True))
            assert lesson.downstream[y] == pytest.approx(total, rel=1e-4, abs=1e-7)
            terms = lesson.direct[y] + lesson.through_mean + lesson.through_variance[y]
            assert terms == pytest.approx(lesson.downstream[y], rel=1e-8, abs=1e-10)


def test_a_mask_lets_pass_what_took_part() -> None:
    for one, lesson in all_lessons(of.MaskBack):
        mask = lesson.layer.recorded["mask"][one.at].ravel()
        assert lesson.jacobian.tolist() == np.diag(mask[list(lesson.units.indices)]).tolist()
        for k in range(len(mask)):
            assert lesson.downstream[k] == close(lesson.upstream[k] * mask[k])
        if 0 in mask:
            assert any(mask[k] == 0 for k in lesson.units.indices)


# The gradients


def test_the_outer_product_is_the_kronecker_product_of_a_column_and_a_row() -> None:
    for one, lesson in all_lessons(of.Outer):
        a, delta = lesson.layer.input[one.at], lesson.layer.delta[one.at]
        assert lesson.product.tolist() == [[x * d for d in delta] for x in a]
        assert np.array_equal(lesson.product, np.kron(a.reshape(-1, 1), delta.reshape(1, -1)))
        i, j = lesson.weight
        assert lesson.ask.value == a[i] * delta[j]


def test_several_samples_are_added_up_by_a_product_of_matrices() -> None:
    for one, lesson in all_lessons(of.Samples):
        a, delta = lesson.layer.input, lesson.layer.delta
        i, j = lesson.weight
        products = [a[x, i] * delta[x, j] for x in range(len(a))]
        assert lesson.products.tolist() == close(products)
        assert lesson.summed[i, j] == pytest.approx(math.fsum(products), rel=1e-8, abs=1e-10)
        mean = math.fsum(products) / len(a)
        assert lesson.gradient[i, j] == pytest.approx(mean, rel=1e-8, abs=1e-10)
        assert one.at in lesson.samples.indices


def test_a_tap_adds_up_over_its_windows() -> None:
    for one, lesson in all_lessons(of.ConvGradient):
        layer, (k, c, i, j) = lesson.layer, lesson.tap
        totals = []
        for x in range(len(layer.input)):
            grid = backprop.window_grid(layer.placed.layer, layer.input[x].tolist())
            at = backprop.seen_by(layer.placed.layer, k, layer.input[x])[c]
            total = 0.0
            for r, line in enumerate(grid):
                for column, taps in enumerate(line):
                    for ti, tj, at_row, at_column in taps:
                        if (ti, tj) == (i, j):
                            part = (
                                layer.input[x, at, at_row, at_column] * layer.delta[x, k, r, column]
                            )
                            total += part
            totals.append(total)
        assert lesson.sums.tolist() == close(totals)
        assert lesson.gradient == pytest.approx(sum(totals) / len(totals), rel=1e-8, abs=1e-10)
        assert lesson.products.sum() == close(totals[one.at])


def test_gamma_and_beta_add_up_over_their_values() -> None:
    for _, lesson in all_lessons(of.NormGradient):
        n = len(lesson.layer.input)
        pairs = zip(lesson.upstream, lesson.normalised, strict=True)
        assert lesson.gamma_gradient == close(math.fsum(u * x for u, x in pairs) / n)
        assert lesson.beta_gradient == close(math.fsum(lesson.upstream) / n)


def test_the_step_is_that_of_the_trace() -> None:
    for one, lesson in all_lessons(of.Update):
        for step in lesson.steps:
            layer = step.layer
            assert step.weight == present(layer.weight)[step.place]
            assert step.gradient == present(layer.weight_gradient)[step.place]
            assert step.weight + step.update == pytest.approx(step.new, rel=1e-12)
            if len(one.trace.links) == 1:
                assert step.update == pytest.approx(-one.trace.eta * step.gradient, rel=1e-9)


# The whole


def kinds(one: Derivation) -> list[str]:
    return [type(lesson).__name__ for lesson in one.lessons]


def test_the_order_is_forward_cost_back_gradients_step() -> None:
    assert kinds(derived("two-two-two")) == [
        *("Question", "DenseForward", "DenseForward", "CostLesson"),
        *("Sigma", "DenseBack", "Sigma"),
        *("Outer", "Outer", "Update", "Products", "Answers", "Answers"),
    ]
    assert kinds(derived("digits-conv"))[6:14] == [
        *("Sigma", "DenseBack", "Sigma", "DenseBack", "Reshaped", "PoolBack", "Sigma", "ConvBack")
    ]


def test_every_kind_of_layer_has_its_lessons() -> None:
    assert set(forward.FORWARD) == set(LAYERS) - {"flatten"}
    assert set(backward.BACK) == set(LAYERS)
    layers = (layer for one in of_cases() for layer in one.trace.layers)
    assert set(gradients.GRADIENTS) == {x.type for x in layers if x.weight is not None}


def test_what_was_derived_before_says_where() -> None:
    sigmas = [x for x in derived("digits-conv").lessons if isinstance(x, of.Sigma)]
    found = [(x.of.name, x.fused, x.again) for x in sigmas]
    assert found == [("dense2", True, None), ("dense1", False, None), ("conv1", False, "dense1")]


def test_the_identity_is_no_example_of_a_hadamard_product() -> None:
    network = "[{type: dense, units: 3}, {type: dense, units: 2, activation: identity}]"
    one = derive(spec_trace("two-two-two", f"network={network}"))
    sigmas = [x for x in one.lessons if isinstance(x, of.Sigma)]
    assert [(x.of.name, x.is_telling, x.again) for x in sigmas] == [
        ("dense2", False, None),
        ("dense1", True, None),
    ]
    uses = next(x for x in one.lessons if isinstance(x, of.Products)).uses
    assert [use.layer.name for use in uses if use.what == "sigma"] == ["dense1"]


def test_only_one_layer() -> None:
    one = derive(spec_trace("digits-conv", samples=None), layer="conv1")
    layers = {x.layer.name for x in one.lessons if x.layer is not None}
    assert layers == {"conv1"}
    assert "CostLesson" not in kinds(one)
    assert "CostLesson" in kinds(derive(one.trace, layer="dense2"))


def test_another_convention_stands_before_the_step() -> None:
    one = derive(spec_trace("two-two-two"), convention="nielsen")
    found = kinds(one)
    assert found[:2] == ["Question", "Written"]
    assert found[found.index("Update") - 2 :][:2] == ["WrittenLine", "WrittenLine"]
    line = next(x for x in one.lessons if isinstance(x, of.WrittenLine))
    own = next(w for w in line.written.layers if w.layer is line.layer)
    assert own.arrays["weight"].tolist() == present(line.of.weight).T.tolist()
    with pytest.raises(NncliError, match=r"no convention nielson.*did you mean 'nielsen'"):
        derive(one.trace, convention="nielson")


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(NncliError, match="the network has dense1, dense2; did you mean 'dense2'"):
        derive(spec_trace("two-two-two"), layer="dense22")


def test_another_sample_of_the_mini_batch_is_followed() -> None:
    trace = spec_trace("xor", samples=None)
    one = derive(trace, at=2)
    question = one.lessons[0]
    assert isinstance(question, of.Question)
    assert question.inputs.tolist() == trace.inputs[2].tolist()
    assert one.sample == trace.samples[2] == question.sample


@pytest.mark.parametrize("name", SPECS)
def test_what_is_shown_of_a_layer_has_the_largest_error(name: str) -> None:
    one = derived(name)
    for lesson in one.lessons:
        if isinstance(lesson, of.Sigma) and lesson.has_off:
            off = [k for k in lesson.units.indices if lesson.sigma_prime[k] == 0]
            assert len(off) == 1
            assert lesson.delta[off[0]] == 0
        elif isinstance(lesson, of.Sigma):
            sizes = sorted(map(abs, lesson.delta), reverse=True)
            shown = sorted((abs(lesson.delta[k]) for k in lesson.units.indices), reverse=True)
            assert shown == sizes[: len(shown)]
            assert len(shown) == (len(sizes) if len(sizes) <= 4 else 3)


def test_the_largest_of_equal_ones_are_the_first() -> None:
    assert largest(np.array([1.0, -3, 3, 2, 3, 0]), 3).indices == (1, 2, 4)
    assert largest(np.array([1.0, 2])) == ((0, 1), 2)
    cut = largest(np.arange(9.0), 2, always=(0,))
    assert cut.with_gap == (0, 8, None)
    assert Excerpt((3, 4), 9).with_gap == (None, 3, 4, None)
    assert Excerpt((7, 8), 9).with_gap == (None, 7, 8)
    assert Excerpt((0, 1), 9).with_gap == (0, 1, None)
    assert Excerpt((0, 1), 2).with_gap == (0, 1)
    assert not cut.is_all


@pytest.mark.parametrize("name", SPECS)
def test_questions_only_where_they_apply(name: str) -> None:
    asked = {
        word for x in derived(name).lessons if isinstance(x, of.Answers) for word, _ in x.questions
    }
    expected = {"hadamard_or_kronecker", "how_hadamard", "transpose", "old_or_new"}
    if name in ("xor", "iris", "digits-batchnorm"):
        expected.add("softmax")
    if name == "digits-conv":
        expected.add("turned_filter")
    assert asked == expected
