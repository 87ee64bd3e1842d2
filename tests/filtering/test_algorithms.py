"""The five algorithms: each against a plain sum over taps, what they are made of, the choice."""

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest

from nncli.filtering.correlate import correlate
from nncli.filtering.direct import Direct
from nncli.filtering.fft import Fft
from nncli.filtering.options import CorrelationError
from nncli.filtering.plan import ALGORITHMS, applicable, choose
from nncli.filtering.separable import Separable, rank_one_factors
from nncli.filtering.toeplitz import SINGLE_THREAD_PRODUCT, toeplitz_matrix
from nncli.nn.windows import Axis, place_windows
from tests.conftest import mostly_slow
from tests.filtering.arrays import assert_close, correlate_or_error, floats, integers, outer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", mostly_slow([np.float64, np.float32, np.int16], 2))
def test_each_algorithm_gives_the_same(
    algorithm: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Direct, "tile", (7, 13))
    tolerance = {np.float64: 1e-12, np.float32: 1e-7, np.int16: 0}[dtype]
    image = integers((90, 81), dtype=dtype) if dtype == np.int16 else floats((90, 81), dtype=dtype)
    for shape, stride, dilation, padding in product(
        ((2, 2), (5, 3), (7, 12), (3, 20)), ((1, 1), (2, 3)), ((1, 1), (3, 2)), ("valid", "same")
    ):
        options: dict[str, Any] = {
            "stride": stride,
            "dilation": dilation,
            "padding": padding,
            "padding_mode": "reflect",
        }
        filter = outer(*shape)
        expected = plain_by_numpy(image, filter, **options)
        got = correlate(image, filter, algorithm=algorithm, **options)
        assert got.dtype == (np.int64 if dtype == np.int16 else dtype)
        assert_close(got, expected, tolerance)


def plain_by_numpy(
    image: Any, filter: Any, *, stride: Any, dilation: Any, padding: Any, padding_mode: Any
) -> Any:
    """As the plain loops, with a whole matrix for each tap; for matrices of some size."""
    windows = place_windows(image.shape, filter.shape, stride, padding, dilation)
    around = [(axis.before, axis.after) for axis in (windows.rows, windows.columns)]
    padded = np.pad(image.astype(np.float64), around, padding_mode)
    return sum(
        filter[i, j] * padded[windows.rows.tap(i), windows.columns.tap(j)]
        for i, j in np.ndindex(filter.shape)
    )


@pytest.mark.parametrize("algorithm", ["im2col", "direct", "toeplitz", "fft"])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (33, 31), (95, 101)])
def test_each_algorithm_with_a_large_filter_that_has_no_factors(
    algorithm: str, shape: tuple[int, int]
) -> None:
    image, filter = floats((95, 101)), floats(shape, 1)
    options = {"stride": (1, 1), "dilation": (1, 1), "padding": "valid", "padding_mode": "reflect"}
    got = correlate(image, filter, algorithm=algorithm, padding="valid")
    assert_close(got, plain_by_numpy(image, filter, **options))


def test_many_tiles_and_threads_give_the_same_bits() -> None:
    image, filter = floats((700, 900)), floats((9, 9), 1)
    for algorithm, weights in (
        ("fft", filter),
        ("direct", filter),
        ("toeplitz", filter),
        (None, filter),
    ):
        one, three = (correlate(image, weights, algorithm=algorithm, threads=n) for n in (1, 3))
        np.testing.assert_array_equal(one, three)
        assert_close(one, correlate(image, weights, algorithm="direct"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_summed_channels_by_each_algorithm(algorithm: Any) -> None:
    image, filters = floats((3, 40, 50)), np.stack([outer(3, 4, seed) for seed in (1, 3, 5)])
    each = [correlate(c, f, algorithm="direct") for c, f in zip(image, filters, strict=True)]
    assert_close(correlate(image, filters, algorithm=algorithm, summed=True), sum(each))


def test_float32_is_rounded_once() -> None:
    image, filter = floats((300, 300), dtype=np.float32), floats((9, 9), 1, np.float32)
    exact = correlate(image.astype(np.float64), filter.astype(np.float64), algorithm="direct")
    for algorithm in ("im2col", "direct", "toeplitz", "fft"):
        got = correlate(image, filter, algorithm=algorithm)
        assert np.abs(got - exact).max() <= 2.0**-24 * np.abs(exact).max() * 1.0001


@pytest.mark.parametrize("size", [3, 15, 40])
@pytest.mark.parametrize("peak", [2**8, 2**20, 2**34, 2**45, 2**50])
def test_integers_of_every_size_are_exact(size: int, peak: int) -> None:
    rng = np.random.default_rng(size)
    image, filter = rng.integers(-peak, peak, (70, 60)), rng.integers(-99, 99, (size, size))
    exact = sum(  # modulo 2^64, and everything here fits
        filter[i, j] * image[i : i + 71 - size, j : j + 61 - size]
        for i, j in np.ndindex(filter.shape)
    )
    np.testing.assert_array_equal(correlate(image, filter), exact)
    for algorithm in ("im2col", "direct", "toeplitz", "fft"):
        got = correlate_or_error(image, filter, algorithm=algorithm)
        if isinstance(got, CorrelationError):
            assert got.key == "algorithm"
        else:
            np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_infinity_stays_in_its_windows(value: Any, algorithm: Any) -> None:
    image, filter = floats((40, 40)), outer(3, 3)
    image[20, 20] = value
    got, direct = (correlate(image, filter, algorithm=a) for a in (algorithm, "direct"))
    touched = np.zeros((38, 38), bool)
    touched[18:21, 18:21] = True
    np.testing.assert_allclose(got, direct, rtol=1e-12, atol=1e-11)
    if value != 1e308:
        assert np.isfinite(got[~touched]).all()
        assert not np.isfinite(got[touched]).any()


def test_a_toeplitz_matrix_with_stride_and_dilation() -> None:
    got = toeplitz_matrix(np.array([1.0, 2, 3]), Axis(0, 3, stride=2, dilation=2), 2)
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
def test_the_factors_of_a_filter_of_rank_one_factors(filter: Any) -> None:
    filter = np.array(filter, float)
    factors = rank_one_factors(filter)
    assert factors is not None
    column, row = factors
    difference = np.abs(np.multiply.outer(column, row) - filter)
    assert difference.max() <= 2e-15 * np.abs(filter).max()
    if (filter == np.rint(filter)).all():
        assert (column == np.rint(column)).all()
        assert (row == np.rint(row)).all()
        assert not difference.any()


@pytest.mark.parametrize(
    "filter", [[[0, 1, 0], [1, -4, 1], [0, 1, 0]], [[1, 2], [3, 4]], [[1, 0], [0, 1e-9]], [[0, 0]]]
)
def test_a_filter_without_factors(filter: Any) -> None:
    assert rank_one_factors(np.array(filter, float)) is None
    assert correlate(np.ones((9, 9)), np.array(filter)).shape == (
        10 - len(filter),
        10 - len(filter[0]),
    )


def test_im2col_of_a_large_filter_takes_few_patches_at_a_time() -> None:
    image, filter = np.ones((115, 1124)), np.ones((100, 100))
    tracemalloc.start()
    correlate(image, filter, algorithm="im2col", threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_fastest_by_estimate_is_chosen() -> None:
    def chosen(*size: Any, factors: bool = False, matrix: int = 2048, **steps: Any) -> Any:
        filter = outer(*size).astype(float) if factors else floats(size)
        windows = place_windows((matrix, matrix), filter.shape, **steps)
        possible = applicable(filter[None], windows, None, 0)
        return choose(None, possible, windows).__name__

    assert [chosen(k, k) for k in (1, 2)] == ["Direct"] * 2
    assert [chosen(k, k) for k in (3, 7, 15, 63)] == ["Im2col"] * 2 + ["Fft"] * 2
    assert [chosen(k, k, factors=True) for k in (9, 15, 31)] == ["Separable"] * 3
    assert [chosen(k, k, matrix=40) for k in (3, 5)] == ["Direct"] * 2
    assert [chosen(k, k, matrix=k) for k in (40, 400, 2048)] == ["Im2col"] * 3
    assert [chosen(k, k, dilation=(2, 2)) for k in (3, 5, 15)] == ["Im2col"] * 2 + ["Fft"]
    assert [chosen(k, k, stride=(2, 2)) for k in (3, 7)] == ["Im2col"] * 2
    assert [chosen(9, 1), chosen(1, 9), chosen(3, 17)] == ["Im2col", "Direct", "Toeplitz"]


def test_integers_take_the_transform_only_where_rounding_is_proven() -> None:
    image, filter = integers((200, 200), dtype=np.int64), integers((15, 15), 1)
    windows = place_windows(image.shape, filter.shape)
    norm = np.sqrt(np.square(filter).sum())
    assert Fft.error(windows, 9, norm) < 1e-6
    assert Fft.error(windows, 2.0**40, norm) > 0.25
    with pytest.raises(CorrelationError, match="fft does not serve"):
        correlate(image * 2**36, filter, algorithm="fft")


def test_tiles_of_separable_products_stay_below_what_blas_would_share_out() -> None:
    for size in (3, 31, 63, 90):
        windows = place_windows((2048, 2048), (size, size))
        separable = Separable(np.ones((size, size)), windows)
        assert separable.column_matrix.size * separable.tile[1] <= SINGLE_THREAD_PRODUCT
        assert (
            separable.row_matrix.size * windows.rows.span(separable.tile[0])
            <= SINGLE_THREAD_PRODUCT
        )
