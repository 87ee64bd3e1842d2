"""A filter over a matrix: against plain loops, PyTorch, SciPy and the conv layer."""

import json
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.filtering.correlate import correlate, correlate_blocks
from nncli.filtering.options import PADDING_MODES, CorrelationError, output_like
from nncli.nn.layers import Conv, Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from tests.conftest import mostly_slow
from tests.filtering.arrays import assert_close, correlate_or_error, floats, integers, outer
from tests.reference.correlate import correlate as plain

RECORDED = Path(__file__).parents[1] / "reference" / "conv.npz"
PADDINGS = ("valid", "same", "full", 2, (1, 3))
STEPS = ((1, 1), (2, 1), (1, 3), (3, 2))
FILTERS = ((1, 1), (2, 2), (3, 3), (2, 5), (4, 1), (1, 4), (8, 9))
HEIGHT, WIDTH = 8, 9


@pytest.mark.parametrize("mode", mostly_slow(PADDING_MODES, 2))
@pytest.mark.parametrize("padding", mostly_slow(PADDINGS, 4), ids=str)
def test_every_combination_is_what_plain_loops_make_of_it(padding: Any, mode: Any) -> None:
    image, inexact, tried = integers((HEIGHT, WIDTH)), floats((HEIGHT, WIDTH)), 0
    for stride, dilation, shape, flip in product(STEPS, STEPS, FILTERS, (False, True)):
        options: dict[str, Any] = {"stride": stride, "dilation": dilation, "flip": flip}
        options |= {"padding": padding, "padding_mode": mode}
        filter = integers(shape, 1)
        try:
            output_like(image, filter, **options)
        except CorrelationError:
            continue
        tried += 1
        got = correlate(image, filter, **options)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, plain(image.tolist(), filter.tolist(), **options))
        weights = floats(shape, 1)
        expected = plain(inexact.tolist(), weights.tolist(), **options)
        assert_close(correlate(inexact, weights, **options), expected)
    assert tried >= 2 * 4 * len(FILTERS)


# PyTorch, SciPy, and the conv layer


def recorded() -> Any:
    with np.load(RECORDED) as file:
        arrays = dict(file)
    return json.loads(str(arrays["cases"])), arrays


def test_against_pytorch_and_scipy() -> None:
    cases, arrays = recorded()
    assert {case["source"] for case in cases} == {"torch", "scipy"}
    for k, case in enumerate(cases):
        image, filter = arrays[case["image"]], arrays[case["filter"]]
        options: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in case["how"].items()
        }
        for algorithm in (None, "im2col", "direct", "toeplitz", "fft"):
            assert_close(
                correlate(image, filter, algorithm=algorithm, **options), arrays[f"output{k}"]
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", ["valid", "same", (2, 1)])
@pytest.mark.parametrize("steps", [((1, 1), (1, 1)), ((2, 3), (1, 2))])
def test_against_the_conv_layer(
    dtype: Any, padding: Any, steps: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    images, weights = floats((5, 3, 11, 12), 0, dtype), floats((4, 3, 3, 2), 1, dtype)
    options: dict[str, Any] = {"stride": steps[0], "dilation": steps[1], "padding": padding}
    conv = Conv(
        filters=4, kernel=(3, 2), bias=False, activation="identity", weights=weights, **options
    )
    z = conv_layer(conv, images)
    for x, f in np.ndindex(5, 4):
        got = correlate(images[x], weights[f], summed=True, **options)
        assert got.dtype == dtype
        assert_close(got, z[f, ..., x], 5e-7 if dtype == np.float32 else 1e-14)


def conv_layer(conv: Any, images: Any) -> Any:
    """z of a network of this one layer, filters x rows x columns x samples."""
    rng = np.random.default_rng(0)
    network = build_network(
        [conv, Dense(units=1)], images.shape[1:], "quadratic", images.dtype, rng
    )
    step = Step(network, sgd(network), len(images))
    step.inputs[...] = images
    step.forward()
    return step.layers[0].z


# Channels


def test_channels_each_with_their_filter_or_with_the_same_or_summed() -> None:
    image, filters = integers((3, 8, 9)), integers((3, 2, 3), 1)
    own = correlate(image, filters, padding="same")
    same = correlate(image, filters[0], padding="same")
    for c in range(3):
        one = partial(correlate, image[c], padding="same")
        np.testing.assert_array_equal(own[c], one(filters[c]))
        np.testing.assert_array_equal(same[c], one(filters[0]))
    for filter, each in ((filters, own), (filters[0], same)):
        total = correlate(image, filter, padding="same", summed=True)
        np.testing.assert_array_equal(total, each.sum(0))


def test_an_image_with_its_channels_last_and_other_strides() -> None:
    image = integers((8, 9, 3), dtype=np.uint8)
    for view in (np.moveaxis(image, -1, 0), np.moveaxis(image, -1, 0)[:, ::-2, ::3]):
        got = correlate(view, np.ones((2, 2), int))
        np.testing.assert_array_equal(got, correlate(view.copy(), np.ones((2, 2), int)))


# Dtypes


@pytest.mark.parametrize(
    ("image", "filter", "output"),
    [
        ("bool", "bool", "int64"),
        ("uint8", "int8", "int64"),
        ("uint64", "int64", "int64"),
        ("int32", "float64", "float64"),
        ("uint8", "float32", "float32"),
        ("int64", "float32", "float64"),
        ("float16", "float64", "float16"),
        ("float32", "float64", "float32"),
        ("float32", "int64", "float32"),
        ("float64", "float32", "float64"),
        (">f4", "float32", "float32"),
        (">i2", "int64", "int64"),
    ],
)
def test_the_dtype_of_the_output(image: str, filter: str, output: str) -> None:
    x, f = np.arange(12).reshape(3, 4).astype(image), np.ones((2, 2), filter)
    got = correlate(x, f)
    assert got.dtype == output
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, correlate(x.astype(int), f.astype(int)))
    assert output_like(x, f) == (got.shape, got.dtype)


big = st.one_of(
    st.integers(-20, 20),
    st.integers(-(2**31), 2**31),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(big, min_size=6, max_size=6), st.lists(big, min_size=4, max_size=4))
def test_large_integers_are_exact_or_refused(image: Any, filter: Any) -> None:
    x, f = np.array(image).reshape(2, 3), np.array(filter).reshape(2, 2)
    expected = plain(x.tolist(), f.tolist())
    sizes = plain(np.abs(x.astype(object)).tolist(), np.abs(f.astype(object)).tolist())
    fits = all(-(2**63) <= y < 2**63 for row in expected for y in row)
    got = correlate_or_error(x, f)
    if isinstance(got, CorrelationError):
        assert "64 bits" in str(got)
        assert not fits or max(map(max, sizes)) > 2**110  # which no float64 can tell apart
    else:
        assert got.tolist() == expected


def test_a_sum_that_fits_though_its_terms_do_not() -> None:
    image = np.array([[2**62, 2**62, 2**62]])
    np.testing.assert_array_equal(correlate(image, np.array([[2, -2, 1]])), [[2**62]])
    with pytest.raises(CorrelationError, match=r"the output at 0,0, about 9\.223e\+18"):
        correlate(image, np.array([[1, 1, 0]]))
    with pytest.raises(CorrelationError, match=r"the output at 0,0 of channel 1, about 9\.223e"):
        correlate(np.stack([image // 4, image]), np.array([[1, 1, 0]]))
    unsigned = np.array([[2**64 - 1, 2**64 - 2]], np.uint64)
    np.testing.assert_array_equal(correlate(unsigned, np.array([[1, -1]])), [[1]])
    with pytest.raises(CorrelationError, match="a tap of 18446744073709551615"):
        correlate(unsigned, unsigned)


def test_a_filter_that_is_not_finite() -> None:
    image, filter = np.ones((9, 9)), np.array([[1, np.inf], [0, 1]])
    assert (correlate(image, filter) == np.inf).all()
    assert np.isnan(correlate(np.zeros((9, 9)), filter)).all()


# Blocks


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
@pytest.mark.parametrize("mode", ["zeros", "circular", "symmetric"])
@pytest.mark.parametrize("size", [3, 25])
def test_blocks_of_mapped_files_equal_the_whole_to_the_bit(
    tmp_path: Path, dtype: Any, mode: str, size: int
) -> None:
    image = (floats((700, 300)) * 50).astype(dtype)
    np.save(tmp_path / "x.npy", image)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    filter = floats((size, size), 1) if dtype == np.float32 else integers((size, size), 1)
    options: dict[str, Any] = {"padding": "same", "padding_mode": mode, "stride": (1, 2)}
    whole = correlate(image, filter, **options)
    shape, dtype = output_like(mapped, filter, **options)
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", dtype, shape)
    correlate_blocks(mapped, filter, out, budget=200_000, **options)
    np.testing.assert_array_equal(out, whole)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), whole)


def test_blocks_of_arrays_in_memory_with_channels() -> None:
    image, filter = floats((3, 200, 90)), floats((3, 5, 5), 1)
    for summed in (False, True):
        whole = correlate(image, filter, summed=summed)
        out = np.empty_like(whole)
        calls: list[Any] = []
        correlate_blocks(
            *(image, filter, out),
            budget=1,
            progress=lambda *done, calls=calls: calls.append(done),
            summed=summed,
        )
        np.testing.assert_array_equal(out, whole)
        assert len(calls) > 1
        assert [done for done, _ in calls] == sorted({done for done, _ in calls})
        assert {total for _, total in calls} == {calls[-1][0]}


def test_pages_of_a_private_mapping_are_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((50, 50)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="c")
    mapped[...] = 1
    out = np.empty((48, 48))
    correlate_blocks(mapped[1:-1, 1:-1], np.ones((1, 1)), out)
    assert (mapped == 1).all()
    assert (out == 1).all()


# What does not fit


@pytest.mark.parametrize(
    ("image", "filter", "options", "key", "message"),
    [
        ((3, 4), (4, 2), {}, "filter", "a filter of 4 x 2 is larger than the matrix of 3 x 4"),
        (
            *((3, 4), (2, 3), {"dilation": (1, 3), "padding": (0, 1)}, "filter"),
            "a filter of 2 x 3 (reaching over 2 x 7) is larger than the matrix of 3 x 4, "
            "3 x 6 with its padding",
        ),
        (
            *((3, 4), (7, 1), {"padding": "same", "padding_mode": "reflect"}, "padding"),
            "reflect can pad a matrix of 3 x 4 by at most 2 rows on a side, "
            "not by 3 for a filter of 7 x 1",
        ),
        (
            *((3, 4), (1, 6), {"padding": "full", "padding_mode": "circular"}, "padding"),
            "circular can pad a matrix of 3 x 4 by at most 4 columns on a side, "
            "not by 5 for a filter of 1 x 6",
        ),
        ((3, 4), (2, 2), {"stride": (0, 1)}, "stride", "stride must be at least 1, not 0 x 1"),
        ((3, 4), (2, 2), {"dilation": (1, -1)}, "dilation", "dilation must be at least 1"),
        ((3, 4), (2, 2), {"padding": -1}, "padding", "padding must be at least 0, not -1"),
        ((3, 4), (2, 2), {"padding": (0, -1)}, "padding", "padding must be at least 0"),
        ((3, 4), (2, 2), {"padding": "some"}, "padding", "'some' is no padding"),
        ((3, 4), (2, 2), {"padding_mode": "wrap"}, "padding_mode", "'wrap' is no padding mode"),
        ((3, 4), (2, 2), {"algorithm": "slow"}, "algorithm", "'slow' is no algorithm"),
        ((3, 4), (2, 2), {"algorithm": "separable"}, "algorithm", "separable does not serve"),
        ((3, 4), (2,), {}, "filter", "the matrix is 3 x 4, the filter 2"),
        ((3, 4), (1, 2, 2), {}, "filter", "the matrix is 3 x 4, the filter 1 x 2 x 2"),
        ((2, 3, 4), (3, 2, 2), {}, "filter", "filter 3 x 2 x 2; they differ in their channels"),
        ((3, 4), (2, 2), {"summed": True}, "summed", "there are no channels to be summed"),
        ((0, 4), (1, 1), {}, "filter", "the matrix is 0 x 4, the filter 1 x 1; neither may be"),
    ],
)
def test_what_does_not_fit_is_said(
    image: Any, filter: Any, options: Any, key: Any, message: Any
) -> None:
    with pytest.raises(CorrelationError) as caught:
        correlate(floats(image), floats(filter, 1), **options)
    assert message in str(caught.value)
    assert caught.value.key == key


@pytest.mark.parametrize("dtype", [complex, object, str, np.longdouble])
def test_what_is_no_number_is_said(dtype: Any) -> None:
    if np.dtype(dtype).itemsize == 8 and np.dtype(dtype).kind == "f":
        pytest.skip("long double is a double here")
    image = np.ones((3, 3)).astype(dtype)
    with pytest.raises(CorrelationError, match="a matrix of"):
        correlate(image, np.ones((2, 2)))


def test_an_output_of_another_shape_or_dtype_is_refused() -> None:
    image, filter = np.ones((5, 5)), np.ones((2, 2))
    for out in (np.empty((5, 5)), np.empty((4, 4), np.float32)):
        with pytest.raises(CorrelationError, match="the output is 4 x 4 of float64, not"):
            correlate_blocks(image, filter, out)


sizes = st.integers(1, 14)
steps = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=150)
@given(
    image=st.tuples(sizes, sizes),
    filter=st.tuples(st.integers(1, 6), st.integers(1, 15)),
    stride=steps,
    dilation=steps,
    padding=st.sampled_from(PADDINGS),
    mode=st.sampled_from(PADDING_MODES),
    algorithm=st.sampled_from([None, "im2col", "direct", "toeplitz", "fft"]),
    factors=st.booleans(),
)
def test_any_of_them(
    image: Any,
    filter: Any,
    stride: Any,
    dilation: Any,
    padding: Any,
    mode: Any,
    algorithm: Any,
    factors: Any,
) -> None:
    options = {"stride": stride, "dilation": dilation, "padding": padding, "padding_mode": mode}
    x, f = integers(image), outer(*filter) if factors else integers(filter, 1)
    if factors and algorithm is None and min(filter) > 1 and f.any():
        algorithm = "separable"
    try:
        shape, _ = output_like(x, f, **options)
    except CorrelationError:
        return
    got = correlate(x, f, algorithm=algorithm, **options)
    assert got.shape == shape
    np.testing.assert_array_equal(got, plain(x.tolist(), f.tolist(), **options))
    halves = correlate(x * 0.5, f, algorithm=algorithm, **options)
    assert np.abs(halves - got * 0.5).max() <= 1e-12 * np.abs(f).sum()
