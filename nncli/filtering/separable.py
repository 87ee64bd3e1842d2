"""Separable filters, those of rank 1: along the rows of the tile, then along its columns."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nncli.filtering.algorithm import Algorithm, Scratch, output_count
from nncli.filtering.toeplitz import SINGLE_THREAD_PRODUCT, STRIP, toeplitz_matrix
from nncli.nn.arrays import Array
from nncli.nn.windows import Axis, Pair, Windows


def rank_one_factors(filter: Array) -> tuple[Array, Array] | None:
    """Column and row whose outer product is `filter` to 2·10⁻¹⁵ of its largest tap; else None.

    They are a column and a row of the filter itself, through its largest tap. Singular vectors
    would be as near, but take longer, and turn the small integers of a known filter into fractions.
    """
    i, j = np.unravel_index(np.argmax(np.abs(filter)), filter.shape)
    largest = filter[i, j]
    if largest == 0 or not np.isfinite(largest):
        return None
    row, column = filter[i], filter[:, j] / largest
    if _has_integers_only(filter):  # divided by their gcd, so that the products are integers too
        divisor = np.gcd.reduce(row.astype(np.int64))
        row, column = row / divisor, filter[:, j] / (largest / divisor)
    difference = np.abs(np.multiply.outer(column, row) - filter).max()
    return (column, row) if difference <= 2e-15 * abs(largest) else None


def _has_integers_only(filter: Array) -> bool:
    return bool((np.abs(filter) < 2**53).all() and (filter == np.rint(filter)).all())


class Separable(Algorithm):
    """Two correlations in one dimension, each by products with a banded Toeplitz matrix.

    Attributes:
        column_matrix, row_matrix: STRIP x span, of the filter's factors.
    """

    def __init__(self, filter: Array, windows: Windows) -> None:
        super().__init__(filter, windows)
        factors = rank_one_factors(filter)
        assert factors is not None
        self.axes = windows.rows, windows.columns
        self.column_matrix, self.row_matrix = (
            toeplitz_matrix(taps, axis, STRIP).T
            for taps, axis in zip(factors, self.axes, strict=True)
        )
        cells = min(256, SINGLE_THREAD_PRODUCT // self.row_matrix.size)
        rows = (cells - windows.rows.reach) // windows.rows.stride
        columns = min(256, SINGLE_THREAD_PRODUCT // self.column_matrix.size)
        self.tile = max(STRIP, rows), max(STRIP, columns)

    @classmethod
    def seconds(cls, windows: Windows) -> float:
        flops = sum(2 * axis.span(STRIP) for axis in (windows.rows, windows.columns))
        return output_count(windows) * (1.2e-9 + flops * windows.rows.stride / 36e9) + 1e-4

    def __call__(self, cells: Array, shape: Pair, scratch: Scratch) -> Array:
        rows, columns = self.axes
        between = scratch("between", (len(cells), shape[1]))
        multiply_strips(self.row_matrix, columns, cells.T, between.T)
        sums = scratch("sums", shape)
        multiply_strips(self.column_matrix, rows, between, sums)
        return sums


def multiply_strips(matrix: Array, axis: Axis, cells: Array, out: Array) -> None:
    """Correlates along the first axis of `cells`, by one product for each strip of outputs.

    Args:
        matrix: strip x span, a transposed `toeplitz_matrix`.
        out: outputs x anything; written.
    """
    strip, span = matrix.shape
    step = strip * axis.stride
    whole, rest = divmod(len(out), strip)
    if whole:
        row_stride, column_stride = cells.strides
        shape = (whole, span, cells.shape[1])
        strips = as_strided(cells, shape, (step * row_stride, row_stride, column_stride))
        np.matmul(matrix, strips, out[: whole * strip].reshape(whole, strip, -1))
    if rest:
        span = axis.span(rest)
        np.matmul(matrix[:rest, :span], cells[whole * step :][:span], out[whole * strip :])
