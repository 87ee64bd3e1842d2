"""Where windows stand, against the formula of the interface and against what it must mean."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nncli.nn.windows import Axis, place_windows

sizes = st.integers(1, 12)
kernels = st.integers(1, 5)
steps = st.integers(1, 4)
widths = st.integers(0, 3)


def pairs(numbers: Any) -> Any:
    return st.tuples(numbers, numbers)


paddings = st.one_of(st.just("valid"), widths, pairs(widths))


def widths_of(padding: Any) -> Any:
    if padding == "valid":
        return 0, 0
    return (padding, padding) if isinstance(padding, int) else padding


@given(pairs(sizes), pairs(kernels), pairs(steps), paddings, pairs(steps))
def test_output_size_is_the_formula(
    image: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> None:
    p = widths_of(padding)
    windows = place_windows(image, kernel, stride, padding, dilation)
    assert windows.output_shape == tuple(
        (image[k] + 2 * p[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1 for k in range(2)
    )
    assert windows.padded_shape == (image[0] + 2 * p[0], image[1] + 2 * p[1])
    assert windows.is_padded == (p != (0, 0))


@given(pairs(sizes), pairs(kernels), pairs(steps))
def test_same_keeps_the_size_and_puts_the_odd_one_after(
    image: Any, kernel: Any, dilation: Any
) -> None:
    windows = place_windows(image, kernel, (1, 1), "same", dilation)
    assert windows.output_shape == image
    for axis in (windows.rows, windows.columns):
        assert axis.before + axis.after == axis.reach - 1
        assert axis.after - axis.before == (axis.reach - 1) % 2


@given(pairs(sizes), pairs(kernels), pairs(steps), pairs(steps))
def test_same_with_a_stride_takes_every_strideth_window(
    image: Any, kernel: Any, stride: Any, dilation: Any
) -> None:
    windows = place_windows(image, kernel, stride, "same", dilation)
    assert windows.output_shape == tuple(-(-image[k] // stride[k]) for k in range(2))


@given(sizes, kernels, steps, steps, widths, widths)
def test_windows_lie_on_the_padded_image_and_no_more_would_fit(
    size: Any, kernel: Any, stride: Any, dilation: Any, before: Any, after: Any
) -> None:
    axis = Axis(size, kernel, stride, dilation, before, after)
    assume(axis.outputs >= 1)
    cells = range(axis.padded)
    taps = [cells[axis.tap(i)] for i in range(kernel)]
    assert {len(tap) for tap in taps} == {axis.outputs}
    windows = list(zip(*taps, strict=True))
    assert windows[0][0] == 0
    assert all(b - a == dilation for w in windows for a, b in pairwise(w))
    assert all(b[0] - a[0] == stride for a, b in pairwise(windows))
    assert windows[-1][-1] < axis.padded <= windows[-1][-1] + stride
    assert len(cells[axis.interior]) == size


@given(sizes, kernels, steps, steps)
def test_a_window_that_does_not_fit_has_no_outputs(
    size: Any, kernel: Any, stride: Any, dilation: Any
) -> None:
    axis = Axis(size, kernel, stride, dilation)
    assert (axis.outputs >= 1) == (axis.reach <= size)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(5, 3, 2), (6, 3, 2), (7, 2, 3), (4, 5, 1)])
def test_same_upper_gives_as_many_outputs_as_tensorflow(
    size: int, kernel: int, stride: int
) -> None:
    windows = place_windows((size, size), (kernel, kernel), (stride, stride), "same_upper")
    assert windows.output_shape == (-(-size // stride),) * 2
    axis = windows.rows
    assert 0 <= axis.after - axis.before <= 1


def test_where_same_and_same_upper_differ() -> None:
    upper, same = (
        place_windows((4, 4), (3, 3), (2, 2), way).rows for way in ("same_upper", "same")
    )
    assert (upper.before, upper.after) == (0, 1)
    assert (same.before, same.after) == (1, 1)
