"""A filter over a matrix: against plain loops, PyTorch, SciPy and the conv layer."""

import json
import tracemalloc
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.filtering import correlate as module
from nncli.filtering.correlate import (
    WAYS,
    CorrelationError,
    Fft,
    Separable,
    banded,
    correlate,
    correlate_blocks,
    output_like,
    rank_one,
)
from nncli.filtering.padding import PADDING_MODES
from nncli.nn.layers import Conv, Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from nncli.nn.windows import Axis, place_windows
from tests.reference.correlate import correlate as plain

RECORDED = Path(__file__).parents[1] / "reference" / "conv.npz"
PADDINGS = ("valid", "same", "full", 2, (1, 3))
STEPS = ((1, 1), (2, 1), (1, 3), (3, 2))
FILTERS = ((1, 1), (2, 2), (3, 3), (2, 5), (4, 1), (1, 4), (8, 9))
HEIGHT, WIDTH = 8, 9


def integers(shape, seed=0, dtype=np.int64):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def floats(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_close(got, expected, tolerance=1e-12):
    assert got.shape == np.shape(expected)
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


def outer(rows, columns, seed=1):
    return np.multiply.outer(integers(rows, seed), integers(columns, seed + 1))


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
def test_every_combination_is_what_plain_loops_make_of_it(padding, mode):
    image, inexact, tried = integers((HEIGHT, WIDTH)), floats((HEIGHT, WIDTH)), 0
    for stride, dilation, shape, flip in product(STEPS, STEPS, FILTERS, (False, True)):
        how = {"stride": stride, "dilation": dilation, "flip": flip}
        how |= {"padding": padding, "padding_mode": mode}
        filter = integers(shape, 1)
        try:
            output_like(image, filter, **how)
        except CorrelationError:
            continue
        tried += 1
        got = correlate(image, filter, **how)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, plain(image.tolist(), filter.tolist(), **how))
        weights = floats(shape, 1)
        expected = plain(inexact.tolist(), weights.tolist(), **how)
        assert_close(correlate(inexact, weights, **how), expected)
    assert tried >= 2 * 4 * len(FILTERS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_each_way_gives_the_same(way, dtype, monkeypatch):
    monkeypatch.setattr(module.Shifts, "tile", (7, 13))
    tolerance = {np.float64: 1e-12, np.float32: 1e-7, np.int16: 0}[dtype]
    image = integers((90, 81), dtype=dtype) if dtype == np.int16 else floats((90, 81), dtype=dtype)
    for shape, stride, dilation, padding in product(
        ((2, 2), (5, 3), (7, 12), (3, 20)), ((1, 1), (2, 3)), ((1, 1), (3, 2)), ("valid", "same")
    ):
        how = {
            "stride": stride,
            "dilation": dilation,
            "padding": padding,
            "padding_mode": "reflect",
        }
        filter = outer(*shape)
        expected = plain_by_numpy(image, filter, **how)
        got = correlate(image, filter, way=way, **how)
        assert got.dtype == (np.int64 if dtype == np.int16 else dtype)
        assert_close(got, expected, tolerance)


def plain_by_numpy(image, filter, *, stride, dilation, padding, padding_mode):
    """As the plain loops, with a whole matrix for each tap; for matrices of some size."""
    windows = place_windows(image.shape, filter.shape, stride, padding, dilation)
    around = [(axis.before, axis.after) for axis in (windows.rows, windows.columns)]
    padded = np.pad(image.astype(np.float64), around, padding_mode)
    return sum(
        filter[i, j] * padded[windows.rows.tap(i), windows.columns.tap(j)]
        for i, j in np.ndindex(filter.shape)
    )


@pytest.mark.parametrize("way", ["patches", "shifts", "banded", "fft"])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (33, 31), (95, 101)])
def test_each_way_with_a_large_filter_that_has_no_factors(way, shape):
    image, filter = floats((95, 101)), floats(shape, 1)
    how = {"stride": (1, 1), "dilation": (1, 1), "padding": "valid", "padding_mode": "reflect"}
    got = correlate(image, filter, way=way, padding="valid")
    assert_close(got, plain_by_numpy(image, filter, **how))


def test_many_tiles_and_threads_give_the_same_bits():
    image, filter = floats((700, 900)), floats((9, 9), 1)
    for way, weights in (("fft", filter), ("shifts", filter), ("banded", filter), (None, filter)):
        one, three = (correlate(image, weights, way=way, threads=n) for n in (1, 3))
        np.testing.assert_array_equal(one, three)
        assert_close(one, correlate(image, weights, way="shifts"))


# PyTorch, SciPy, and the conv layer


def recorded():
    with np.load(RECORDED) as file:
        arrays = dict(file)
    return json.loads(str(arrays["cases"])), arrays


def test_against_pytorch_and_scipy():
    cases, arrays = recorded()
    assert {case["source"] for case in cases} == {"torch", "scipy"}
    for k, case in enumerate(cases):
        image, filter = arrays[case["image"]], arrays[case["filter"]]
        how = {key: tuple(v) if isinstance(v, list) else v for key, v in case["how"].items()}
        for way in (None, "patches", "shifts", "banded", "fft"):
            assert_close(correlate(image, filter, way=way, **how), arrays[f"output{k}"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", ["valid", "same", (2, 1)])
@pytest.mark.parametrize("steps", [((1, 1), (1, 1)), ((2, 3), (1, 2))])
def test_against_the_conv_layer(dtype, padding, steps):
    images, weights = floats((5, 3, 11, 12), 0, dtype), floats((4, 3, 3, 2), 1, dtype)
    how = {"stride": steps[0], "dilation": steps[1], "padding": padding}
    conv = Conv(filters=4, kernel=(3, 2), bias=False, activation="identity", weights=weights, **how)
    z = conv_layer(conv, images)
    for x, f in np.ndindex(5, 4):
        got = correlate(images[x], weights[f], summed=True, **how)
        assert got.dtype == dtype
        assert_close(got, z[f, ..., x], 5e-7 if dtype == np.float32 else 1e-14)


def conv_layer(conv, images):
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


def test_channels_each_with_their_filter_or_with_the_same_or_summed():
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


@pytest.mark.parametrize("way", WAYS)
def test_summed_channels_by_each_way(way):
    image, filters = floats((3, 40, 50)), np.stack([outer(3, 4, seed) for seed in (1, 3, 5)])
    each = [correlate(c, f, way="shifts") for c, f in zip(image, filters, strict=True)]
    assert_close(correlate(image, filters, way=way, summed=True), sum(each))


def test_an_image_with_its_channels_last_and_other_strides():
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
def test_the_dtype_of_the_output(image, filter, output):
    x, f = np.arange(12).reshape(3, 4).astype(image), np.ones((2, 2), filter)
    got = correlate(x, f)
    assert got.dtype == output
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, correlate(x.astype(int), f.astype(int)))
    assert output_like(x, f) == (got.shape, got.dtype)


def test_float32_is_rounded_once():
    image, filter = floats((300, 300), dtype=np.float32), floats((9, 9), 1, np.float32)
    exact = correlate(image.astype(np.float64), filter.astype(np.float64), way="shifts")
    for way in ("patches", "shifts", "banded", "fft"):
        got = correlate(image, filter, way=way)
        assert np.abs(got - exact).max() <= 2.0**-24 * np.abs(exact).max() * 1.0001


def or_error(*what, **how):
    """The output, or why there is none."""
    try:
        return correlate(*what, **how)
    except CorrelationError as error:
        return error


big = st.one_of(
    st.integers(-20, 20),
    st.integers(-(2**31), 2**31),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(big, min_size=6, max_size=6), st.lists(big, min_size=4, max_size=4))
def test_large_integers_are_exact_or_refused(image, filter):
    x, f = np.array(image).reshape(2, 3), np.array(filter).reshape(2, 2)
    expected = plain(x.tolist(), f.tolist())
    sizes = plain(np.abs(x.astype(object)).tolist(), np.abs(f.astype(object)).tolist())
    fits = all(-(2**63) <= y < 2**63 for row in expected for y in row)
    got = or_error(x, f)
    if isinstance(got, CorrelationError):
        assert "64 bits" in str(got)
        assert not fits or max(map(max, sizes)) > 2**110  # which no float64 can tell apart
    else:
        assert got.tolist() == expected


@pytest.mark.parametrize("size", [3, 15, 40])
@pytest.mark.parametrize("peak", [2**8, 2**20, 2**34, 2**45, 2**50])
def test_integers_of_every_size_are_exact(size, peak):
    rng = np.random.default_rng(size)
    image, filter = rng.integers(-peak, peak, (70, 60)), rng.integers(-99, 99, (size, size))
    exact = sum(  # modulo 2^64, and everything here fits
        filter[i, j] * image[i : i + 71 - size, j : j + 61 - size]
        for i, j in np.ndindex(filter.shape)
    )
    np.testing.assert_array_equal(correlate(image, filter), exact)
    for way in ("patches", "shifts", "banded", "fft"):
        got = or_error(image, filter, way=way)
        if isinstance(got, CorrelationError):
            assert got.key == "way"
        else:
            np.testing.assert_array_equal(got, exact)


def test_a_sum_that_fits_though_its_terms_do_not():
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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("way", WAYS)
def test_an_infinity_stays_in_its_windows(value, way):
    image, filter = floats((40, 40)), outer(3, 3)
    image[20, 20] = value
    got, shifts = (correlate(image, filter, way=w) for w in (way, "shifts"))
    touched = np.zeros((38, 38), bool)
    touched[18:21, 18:21] = True
    np.testing.assert_allclose(got, shifts, rtol=1e-12, atol=1e-11)
    if value != 1e308:
        assert np.isfinite(got[~touched]).all()
        assert not np.isfinite(got[touched]).any()


def test_a_filter_that_is_not_finite():
    image, filter = np.ones((9, 9)), np.array([[1, np.inf], [0, 1]])
    assert (correlate(image, filter) == np.inf).all()
    assert np.isnan(correlate(np.zeros((9, 9)), filter)).all()


# Parts


def test_the_matrix_of_a_band():
    got = banded(np.array([1.0, 2, 3]), Axis(0, 3, stride=2, dilation=2), 2)
    np.testing.assert_array_equal(got.T, [[1, 0, 2, 0, 3, 0, 0], [0, 0, 1, 0, 2, 0, 3]])


@pytest.mark.parametrize(
    "filter",
    [
        [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
        [[4, 6], [6, 9]],
        [[0, 0], [0, 5]],
        [[1.0 / 9] * 3] * 3,
        np.multiply.outer(*floats((2, 9))).tolist(),
        np.exp(-np.add.outer(np.arange(-3, 4) ** 2, np.arange(-3, 4) ** 2) / 3).tolist(),
    ],
)
def test_the_factors_of_a_filter_of_rank_one(filter):
    filter = np.array(filter, float)
    column, row = rank_one(filter)
    difference = np.abs(np.multiply.outer(column, row) - filter)
    assert difference.max() <= 2e-15 * np.abs(filter).max()
    if (filter == np.rint(filter)).all():
        assert (column == np.rint(column)).all()
        assert (row == np.rint(row)).all()
        assert not difference.any()


@pytest.mark.parametrize(
    "filter", [[[0, 1, 0], [1, -4, 1], [0, 1, 0]], [[1, 2], [3, 4]], [[1, 0], [0, 1e-9]], [[0, 0]]]
)
def test_a_filter_without_factors(filter):
    assert rank_one(np.array(filter, float)) is None
    assert correlate(np.ones((9, 9)), np.array(filter)).shape == (
        10 - len(filter),
        10 - len(filter[0]),
    )


def test_a_large_filter_is_laid_out_a_piece_at_a_time():
    image, filter = np.ones((115, 1124)), np.ones((100, 100))
    tracemalloc.start()
    correlate(image, filter, way="patches", threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_what_takes_least_is_chosen():
    def chosen(*size, factors=False, matrix=2048, **steps):
        filter = outer(*size).astype(float) if factors else floats(size)
        windows = place_windows((matrix, matrix), filter.shape, **steps)
        possible = module._possible(filter[None], windows, None, 0)
        return module._choose(None, possible, windows).__name__

    assert [chosen(k, k) for k in (1, 2)] == ["Shifts"] * 2
    assert [chosen(k, k) for k in (3, 7, 15, 63)] == ["Patches"] * 2 + ["Fft"] * 2
    assert [chosen(k, k, factors=True) for k in (9, 15, 31)] == ["Separable"] * 3
    assert [chosen(k, k, matrix=40) for k in (3, 5)] == ["Shifts"] * 2
    assert [chosen(k, k, matrix=k) for k in (40, 400, 2048)] == ["Patches"] * 3
    assert [chosen(k, k, dilation=(2, 2)) for k in (3, 5, 15)] == ["Patches"] * 2 + ["Fft"]
    assert [chosen(k, k, stride=(2, 2)) for k in (3, 7)] == ["Patches"] * 2
    assert [chosen(9, 1), chosen(1, 9), chosen(3, 17)] == ["Patches", "Shifts", "Banded"]


def test_integers_take_the_transform_only_where_rounding_is_proven():
    image, filter = integers((200, 200), dtype=np.int64), integers((15, 15), 1)
    windows = place_windows(image.shape, filter.shape)
    norm = np.sqrt(np.square(filter).sum())
    assert Fft.error(windows, 9, norm) < 1e-6
    assert Fft.error(windows, 2.0**40, norm) > 0.25
    with pytest.raises(CorrelationError, match="fft does not serve"):
        correlate(image * 2**36, filter, way="fft")


def test_tiles_of_separable_products_stay_below_what_blas_would_share_out():
    for size in (3, 31, 63, 90):
        windows = place_windows((2048, 2048), (size, size))
        way = Separable(np.ones((size, size)), windows)
        assert way.down.size * way.tile[1] <= module.ALONE
        assert way.across.size * windows.rows.span(way.tile[0]) <= module.ALONE


# Blocks


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
@pytest.mark.parametrize("mode", ["zeros", "circular", "symmetric"])
@pytest.mark.parametrize("size", [3, 25])
def test_blocks_of_mapped_files_equal_the_whole_to_the_bit(tmp_path, dtype, mode, size):
    image = (floats((700, 300)) * 50).astype(dtype)
    np.save(tmp_path / "x.npy", image)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    filter = floats((size, size), 1) if dtype == np.float32 else integers((size, size), 1)
    how = {"padding": "same", "padding_mode": mode, "stride": (1, 2)}
    whole = correlate(image, filter, **how)
    shape, dtype = output_like(mapped, filter, **how)
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", dtype, shape)
    correlate_blocks(mapped, filter, out, budget=200_000, **how)
    np.testing.assert_array_equal(out, whole)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), whole)


def test_blocks_of_arrays_in_memory_with_channels():
    image, filter = floats((3, 200, 90)), floats((3, 5, 5), 1)
    for summed in (False, True):
        whole = correlate(image, filter, summed=summed)
        out = np.empty_like(whole)
        told = []
        correlate_blocks(
            *(image, filter, out),
            budget=1,
            progress=lambda *done, told=told: told.append(done),
            summed=summed,
        )
        np.testing.assert_array_equal(out, whole)
        assert len(told) > 1
        assert [done for done, _ in told] == sorted({done for done, _ in told})
        assert {total for _, total in told} == {told[-1][0]}


def test_pages_of_a_private_mapping_are_kept(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((50, 50)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="c")
    mapped[...] = 1
    out = np.empty((48, 48))
    correlate_blocks(mapped[1:-1, 1:-1], np.ones((1, 1)), out)
    assert (mapped == 1).all()
    assert (out == 1).all()


# What does not fit


@pytest.mark.parametrize(
    ("image", "filter", "how", "key", "message"),
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
        ((3, 4), (2, 2), {"way": "slow"}, "way", "'slow' is no way"),
        ((3, 4), (2, 2), {"way": "separable"}, "way", "separable does not serve"),
        ((3, 4), (2,), {}, "filter", "the matrix is 3 x 4, the filter 2"),
        ((3, 4), (1, 2, 2), {}, "filter", "the matrix is 3 x 4, the filter 1 x 2 x 2"),
        ((2, 3, 4), (3, 2, 2), {}, "filter", "filter 3 x 2 x 2; they differ in their channels"),
        ((3, 4), (2, 2), {"summed": True}, "summed", "there are no channels to be summed"),
        ((0, 4), (1, 1), {}, "filter", "the matrix is 0 x 4, the filter 1 x 1; neither may be"),
    ],
)
def test_what_does_not_fit_is_said(image, filter, how, key, message):
    with pytest.raises(CorrelationError) as caught:
        correlate(floats(image), floats(filter, 1), **how)
    assert message in str(caught.value)
    assert caught.value.key == key


@pytest.mark.parametrize("dtype", [complex, object, str, np.longdouble])
def test_what_is_no_number_is_said(dtype):
    if np.dtype(dtype).itemsize == 8 and np.dtype(dtype).kind == "f":
        pytest.skip("long double is a double here")
    image = np.ones((3, 3)).astype(dtype)
    with pytest.raises(CorrelationError, match="a matrix of"):
        correlate(image, np.ones((2, 2)))


def test_an_output_of_another_shape_or_dtype_is_refused():
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
    way=st.sampled_from([None, "patches", "shifts", "banded", "fft"]),
    factors=st.booleans(),
)
def test_any_of_them(image, filter, stride, dilation, padding, mode, way, factors):
    how = {"stride": stride, "dilation": dilation, "padding": padding, "padding_mode": mode}
    x, f = integers(image), outer(*filter) if factors else integers(filter, 1)
    if factors and way is None and min(filter) > 1 and f.any():
        way = "separable"
    try:
        shape, _ = output_like(x, f, **how)
    except CorrelationError:
        return
    got = correlate(x, f, way=way, **how)
    assert got.shape == shape
    np.testing.assert_array_equal(got, plain(x.tolist(), f.tolist(), **how))
    halves = correlate(x * 0.5, f, way=way, **how)
    assert np.abs(halves - got * 0.5).max() <= 1e-12 * np.abs(f).sum()
