"""Matrices, filters and a comparison for the tests of correlations."""

from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from nncli.filtering.correlate import correlate
from nncli.filtering.options import CorrelationError, Options
from nncli.nn.arrays import Array, Shape


def integers(shape: Shape, seed: int = 0, dtype: npt.DTypeLike = np.int64) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def floats(shape: Shape, seed: int = 0, dtype: npt.DTypeLike = np.float64) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_close(got: Array, expected: Any, tolerance: float = 1e-12) -> None:
    """Within `tolerance` of the largest expected value."""
    assert got.shape == np.shape(expected)
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


def outer(rows: int, columns: int, seed: int = 1) -> Array:
    """A filter of rank 1."""
    return np.multiply.outer(integers((rows,), seed), integers((columns,), seed + 1))


def correlate_or_error(
    image: Array, filter: Array, **options: Unpack[Options]
) -> Array | CorrelationError:
    """The output, or why there is none."""
    try:
        return correlate(image, filter, **options)
    except CorrelationError as error:
        return error
