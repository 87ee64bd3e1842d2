"""Windows laid out in blocks against windows cut out one by one."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from nncli.nn import windows as windows_module
from nncli.nn.arrays import execute
from nncli.nn.windows import blocks, correlation, patch_numbers, place_windows
from tests.conftest import mostly_slow

WINDOWS = [
    place_windows((9, 7), kernel, stride, "valid", dilation)
    for kernel, stride, dilation in product(
        [(3, 2), (1, 1), (4, 3)], [(1, 1), (2, 3), (3, 1), (5, 2)], [(1, 1), (2, 1), (2, 2), (1, 3)]
    )
]
WINDOWS += [
    place_windows((40, 1), (4, 1), stride, "valid", dilation)
    for stride, dilation in product([(1, 1), (3, 1)], [(1, 1), (2, 2), (9, 1)])
]


def window_at(padded: Any, windows: Any, row: Any, column: Any) -> Any:
    """What the window of one output meets: rows x columns x channels x samples."""
    down = slice(row * windows.rows.stride, None, windows.rows.dilation)
    across = slice(column * windows.columns.stride, None, windows.columns.dilation)
    taps = padded[:, down, across][:, : windows.rows.kernel, : windows.columns.kernel]
    return taps.transpose(1, 2, 0, 3)


@pytest.mark.parametrize("windows", mostly_slow(WINDOWS, 3), ids=str)
@pytest.mark.parametrize("numbers", [1, 200, 700, 1 << 18])
@pytest.mark.parametrize("width", [1, 8, 16, 1000])
def test_each_output_is_worked_out_once_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, windows: Any, numbers: int, width: int
) -> None:
    monkeypatch.setattr(windows_module, "PATCH_NUMBERS", numbers)
    rng = np.random.default_rng(1)
    padded = rng.normal(size=(2, *windows.padded_shape, 4))
    weight = rng.normal(size=(5, 2 * windows.rows.kernel * windows.columns.kernel))
    outputs = np.full((5, *windows.output_shape, 4), np.nan)
    made = blocks(windows, padded, width, buffer=np.empty)
    execute(correlation(weight, made, outputs))
    for row, column in np.ndindex(windows.output_shape):
        taps = window_at(padded, windows, row, column).reshape(-1, 4)
        np.testing.assert_allclose(outputs[:, row, column], weight @ taps, rtol=1e-12, atol=1e-14)
    sizes = [block.matrices(outputs).size for block in made]
    assert sum(sizes) == outputs.size
    assert max(block.windows.shape[-1] for block in made) <= max(width, 4)
    assert patch_numbers(windows, 2, 4, width) == max(block.patches.size for block in made)


@pytest.mark.parametrize("size", range(12, 27))
def test_the_first_block_is_the_largest_whatever_rows_a_dilation_takes_apart(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    # Of 13 rows 7 are even and 6 odd; a block takes 6: two blocks of 4 and 3, and one of 6.
    monkeypatch.setattr(windows_module, "PATCH_NUMBERS", 8 * 3 * size)
    windows = place_windows((size, size), (3, 3), padding="same", dilation=(2, 2))
    found = blocks(windows, np.zeros((1, *windows.padded_shape, 1)), width=1000, buffer=np.empty)
    assert patch_numbers(windows, 1, 1, 1000) == max(block.patches.size for block in found)


def test_windows_share_the_lines_that_they_have_in_common() -> None:
    windows = place_windows((16, 16), (3, 3), padding="same")
    padded = np.zeros((8, *windows.padded_shape, 4))
    (block,) = blocks(windows, padded, width=1000, buffer=np.empty)
    assert block.patches.size == 3 * 8 * 18 * 16 * 4  # not 9 times the outputs
    assert block.windows.shape == (16, 9 * 8, 16 * 4)


def test_a_column_takes_one_product_where_a_row_does() -> None:
    windows = place_windows((1000, 1), (3, 1), dilation=(400, 1))
    (block,) = blocks(windows, np.zeros((8, 1000, 1, 4)), width=1000, buffer=np.empty)
    assert block.windows.shape == (1, 3 * 8, 200 * 4)
    outputs = np.zeros((5, 200, 1, 4))
    assert np.shares_memory(block.matrices(outputs), outputs)


def test_blocks_share_one_buffer() -> None:
    windows = place_windows((16, 16), (3, 3), padding="same")
    found = blocks(windows, np.zeros((8, *windows.padded_shape, 4)), width=16, buffer=np.empty)
    assert len(found) == 4
    assert all(np.shares_memory(block.patches, found[0].patches) for block in found)
