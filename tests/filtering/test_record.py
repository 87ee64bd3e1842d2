"""A filter over a matrix, explained."""

import itertools
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.filtering.options import PADDING_MODES, Options
from nncli.filtering.record import (
    Backward,
    apply_filter,
    backward_pass,
    coverage,
    derivative,
    is_symmetric,
    output_indices,
    padding_counts,
    window,
    with_opposite_flip,
)
from nncli.nn.windows import Axis
from tests.conftest import mostly_slow
from tests.reference import correlate as loops

PADDINGS = ["valid", "same", "full", 2]
STEPS = [((1, 1), (1, 1)), ((2, 1), (1, 2)), ((3, 2), (2, 1))]


def all_windows(made: Any) -> Any:
    return (window(made, *index) for index in output_indices(made.output.shape))


def summed(made: Any) -> Any:
    return np.array([each.sum for each in all_windows(made)]).reshape(made.windows.output_shape)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", mostly_slow(PADDING_MODES, 2))
@pytest.mark.parametrize(("stride", "dilation"), STEPS)
def test_the_products_of_every_window_add_up_to_the_output(
    padding: Any, mode: Any, stride: Any, dilation: Any
) -> None:
    rng = np.random.default_rng(0)
    matrix, filter = rng.integers(-9, 10, (6, 7)), rng.integers(-3, 4, (2, 3))
    for flip in (False, True):
        how = Options(
            padding=padding, padding_mode=mode, stride=stride, dilation=dilation, flip=flip
        )
        made = apply_filter(matrix, filter, how)
        np.testing.assert_array_equal(
            made.output, loops.correlate(matrix.tolist(), filter.tolist(), **dict[str, Any](how))
        )
        np.testing.assert_array_equal(summed(made), made.output)
        for each in all_windows(made):
            np.testing.assert_array_equal(each.cells * each.filter, each.hadamard)
            assert each.hadamard.sum() == each.sum
            np.testing.assert_array_equal(each.filter, filter[::-1, ::-1] if flip else filter)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_channels_that_are_summed(mode: Any) -> None:
    rng = np.random.default_rng(0)
    matrix, filter = rng.integers(-9, 10, (3, 5, 4)), rng.integers(-3, 4, (3, 3, 2))
    how = Options(padding=1, padding_mode=mode, flip=True, stride=(2, 1), summed=True)
    made = apply_filter(matrix, filter, how)
    np.testing.assert_array_equal(summed(made), made.output)
    assert window(made, 0, 0).hadamard.shape == (3, 3, 2)


@pytest.mark.parametrize("own", [True, False])
def test_channels_with_an_output_each(own: bool) -> None:
    rng = np.random.default_rng(0)
    matrix, filter = rng.integers(-9, 10, (3, 5, 4)), rng.integers(-3, 4, (3, 3, 2))
    made = apply_filter(matrix, filter if own else filter[1], Options(flip=True))
    windows = list(all_windows(made))
    assert [(*each.at, each.channel) for each in windows] == [
        (r, c, k) for r in range(3) for c in range(3) for k in range(3)
    ]
    for each in windows:
        (r, c), k = each.at, each.channel
        taps = (filter[k] if own else filter[1])[::-1, ::-1]
        np.testing.assert_array_equal(each.cells, matrix[k, r : r + 3, c : c + 2])
        np.testing.assert_array_equal(each.filter, taps)
        assert each.sum == (each.cells * taps).sum() == made.output[k, r, c]


def test_channels_that_are_summed_under_one_filter() -> None:
    rng = np.random.default_rng(0)
    matrix, filter = rng.integers(-9, 10, (3, 5, 4)), rng.integers(-3, 4, (3, 2))
    made = apply_filter(matrix, filter, Options(summed=True))
    np.testing.assert_array_equal(summed(made), made.output)
    each = window(made, 1, 2)
    assert each.channel is None
    np.testing.assert_array_equal(each.filter, [filter] * 3)
    np.testing.assert_array_equal(each.hadamard, matrix[:, 1:4, 2:4] * filter)


@pytest.mark.parametrize(
    ("matrix", "filter"), list(itertools.product(["u1", "i1", "f2", "f4", "i8", "f8"], repeat=2))
)
def test_products_do_not_wrap_or_round(matrix: Any, filter: Any) -> None:
    """200 · 100 is too much for 8 bits, and for floats of 16."""
    cells = np.full((3, 3), 100).astype(matrix)
    taps = np.array([[100, 3], [7, 100]]).astype(filter)
    each = window(apply_filter(cells, taps, Options()), 0, 0)
    np.testing.assert_array_equal(each.hadamard, [[10000, 300], [700, 10000]])
    assert each.hadamard.sum() == 21000


def test_integers_beyond_64_bits_within_a_window() -> None:
    """The products do not fit, their sum does."""
    made = apply_filter(np.array([[2**62, -(2**62)]]), np.array([[4, 4]]), Options())
    each = window(made, 0, 0)
    assert each.sum == made.output[0, 0] == 0
    np.testing.assert_array_equal(each.hadamard, [[2.0**64, -(2.0**64)]])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("algorithm", ["direct", "im2col", "separable", "toeplitz", "fft"])
def test_the_sum_of_a_window_is_the_output(dtype: Any, algorithm: str) -> None:
    matrix = np.random.default_rng(0).normal(size=(9, 9)).astype(dtype)
    how = Options(padding="same", algorithm=algorithm)
    made = apply_filter(matrix, np.outer([1.0, 0.3, 1], [0.1, 1, 1]), how)
    np.testing.assert_array_equal(summed(made).astype(dtype), made.output)


def test_infinity_and_nan_are_answers() -> None:
    each = window(apply_filter(np.array([[np.inf, 1.0]]), np.array([[0, 1]]), Options()), 0, 0)
    assert np.isnan(each.sum)


def test_which_cells_are_padding() -> None:
    matrix = np.arange(1, 10).reshape(3, 3)
    for mode, corner in [
        ("zeros", [[0, 0], [0, 1]]),
        ("reflect", [[5, 4], [2, 1]]),
        ("replicate", [[1, 1], [1, 1]]),
        ("circular", [[9, 7], [3, 1]]),
        ("symmetric", [[1, 1], [1, 1]]),
    ]:
        each = window(
            apply_filter(matrix, np.ones((2, 2), int), Options(padding=1, padding_mode=mode)), 0, 0
        )
        np.testing.assert_array_equal(each.cells, corner)
        np.testing.assert_array_equal(each.is_padding, [[True, True], [True, False]])


@pytest.mark.parametrize("place", [(3, 0), (0, 3), (-1, 0)])
def test_no_such_output(place: tuple[int, int]) -> None:
    made = apply_filter(np.ones((5, 5)), np.ones((3, 3)), Options())
    with pytest.raises(NncliError, match="rows count from 0 to 2, columns from 0 to 2"):
        window(made, *place)


@pytest.mark.parametrize("place", [(3, 0, 0), (0, 3, 0), (0, 0, -1), (0, 0)])
def test_no_such_output_of_a_channel(place: tuple[int, ...]) -> None:
    made = apply_filter(np.ones((3, 5, 5)), np.ones((3, 3)), Options())
    told = "channels count from 0 to 2, rows from 0 to 2, columns from 0 to 2"
    with pytest.raises(NncliError, match=told):
        window(made, *place)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("stride", "dilation"), STEPS)
def test_padding_that_is_met_is_counted(padding: Any, stride: Any, dilation: Any) -> None:
    how = Options(padding=padding, stride=stride, dilation=dilation)
    made = apply_filter(np.ones((6, 7)), np.ones((2, 3)), how)
    cells = [int(each.is_padding.sum()) for each in all_windows(made)]
    assert padding_counts(made.windows) == (sum(map(bool, cells)), sum(cells))


@pytest.mark.parametrize(
    ("axis", "unreached"),
    [
        (Axis(5, 3), 0),
        (Axis(5, 3, stride=3), 2),
        (Axis(6, 1, stride=2), 3),
        (Axis(5, 2, stride=2), 1),
        (Axis(6, 2, stride=4, dilation=2), 4),
        (Axis(5, 2, stride=3, before=1, after=1), 2),
    ],
)
def test_cells_that_no_window_reaches(axis: Any, unreached: int) -> None:
    taps = {
        o * axis.stride + i * axis.dilation - axis.before
        for o in range(axis.outputs)
        for i in range(axis.kernel)
    }
    assert coverage(axis).unreached == len(set(range(axis.size)) - taps) == unreached


def test_correlation_and_convolution() -> None:
    assert is_symmetric(np.array([[1, 2], [2, 1]]))
    assert is_symmetric(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]))
    filter = np.array([[0, 1], [2, 0]])
    assert not is_symmetric(filter)
    matrix = np.arange(9).reshape(3, 3)
    made = apply_filter(matrix, filter, Options())
    turned = loops.correlate(matrix.tolist(), filter.tolist(), flip=True)
    np.testing.assert_array_equal(with_opposite_flip(matrix, filter, Options()), turned)
    np.testing.assert_array_equal(
        with_opposite_flip(matrix, filter, Options(flip=True)), made.output
    )


# Backward


@pytest.mark.parametrize("mode", mostly_slow(PADDING_MODES, 3))
def test_backward_agrees_with_differences(mode: Any) -> None:
    rng = np.random.default_rng(0)
    for flip, channels, own in itertools.product((False, True), (None, "sum", "each"), (0, 1)):
        matrix = rng.normal(size=(5, 4) if channels is None else (3, 5, 4))
        filter = rng.normal(size=(3, 3, 2) if channels and own else (3, 2))
        how = Options(
            padding=1, padding_mode=mode, flip=flip, stride=(2, 1), summed=channels == "sum"
        )
        made = apply_filter(matrix, filter, how)
        back = backward_pass(made, rng.normal(size=made.output.shape))
        assert back.passed
        assert back.checked == back.entries == matrix.size + filter.size
        assert back.max_relative_error < 1e-13


def test_a_wrong_gradient_fails() -> None:
    made = apply_filter(np.ones((4, 4)), np.ones((2, 2)), Options())
    right = backward_pass(made, np.ones((3, 3)))
    assert right.passed
    wrong = Backward(right.upstream, right.filter_gradient, right.matrix_gradient, 20, 1e-6)
    assert not wrong.passed


def test_terms_that_cancel_do_not_fail() -> None:
    """0.1 + 0.2 − 0.3 leaves 5.6e-17, which is no gradient to be relative to."""
    made = apply_filter(
        np.ones((5, 5)),
        np.array([[0.1, 0.2, -0.3]]),
        Options(padding=(0, 1), padding_mode="circular"),
    )
    assert backward_pass(made, np.ones(made.output.shape)).passed


def test_what_is_not_finite_is_not_checked() -> None:
    matrix = np.ones((4, 4))
    matrix[1, 2] = np.nan
    back = backward_pass(apply_filter(matrix, np.ones((2, 2)), Options()), np.ones((3, 3)))
    assert back.checked == 0
    assert np.isnan(back.max_relative_error)
    assert np.isfinite(back.matrix_gradient).all()


def test_of_a_large_matrix_a_part_is_checked() -> None:
    made = apply_filter(np.ones((600, 500)), np.ones((3, 3)), Options())
    back = backward_pass(made, np.ones(made.output.shape))
    assert 20 <= back.checked < 300
    assert back.passed


def test_an_upstream_of_another_shape() -> None:
    made = apply_filter(np.ones((4, 4)), np.ones((2, 2)), Options())
    with pytest.raises(NncliError, match="the upstream is 2x2, the output 3x3"):
        backward_pass(made, np.ones((2, 2)))


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_derivatives_multiplied_with_the_upstream_are_the_gradients(mode: Any) -> None:
    rng = np.random.default_rng(0)
    matrix, filter = rng.integers(-9, 10, (2, 4, 5)), rng.integers(-3, 4, (2, 2, 3))
    for summed in (True, False):
        how = Options(padding=1, padding_mode=mode, stride=(1, 2), flip=True, summed=summed)
        made = apply_filter(matrix, filter, how)
        upstream = rng.integers(-4, 5, made.output.shape)
        back = backward_pass(made, upstream)
        for of, gradient in (("matrix", back.matrix_gradient), ("filter", back.filter_gradient)):
            for place in np.ndindex(gradient.shape):
                assert (derivative(made, of, place) * upstream).sum() == gradient[place]
