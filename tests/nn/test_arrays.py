"""The memory of a network: aligned, and shared with processes."""

import os
from typing import Any

import numpy as np
import pytest

from nncli.nn.arrays import CHUNK, LINE, AlignedBuffers, MemoryCopy, all_finite
from nncli.nn.parallel.process_worker import can_fork


@pytest.mark.parametrize("shared", [False, True])
def test_arrays_are_zeros_and_apart(shared: bool) -> None:
    zeros = AlignedBuffers(shared=shared).zeros
    shapes = [(3, 5), (), (7,), (2, CHUNK), (4, 1, 2), (0, 3), (CHUNK // 8 - 3,)]
    arrays = [zeros(shape, dtype) for shape in shapes for dtype in (np.float32, bool, complex)]
    for k, array in enumerate(arrays):
        assert not array.any()
        assert array.flags.c_contiguous
        assert array.flags.aligned
        assert not array.size or array.ctypes.data % LINE == 0
        array[...] = k % 2
    assert all((array == k % 2).all() for k, array in enumerate(arrays))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rows", [1 << 50, 1 << 70])
def test_what_does_not_fit_is_an_error_as_of_numpy(shared: bool, rows: int) -> None:
    with pytest.raises(MemoryError, match=r"Unable to allocate .* shape \(\d+, 7\)"):
        AlignedBuffers(shared=shared).zeros((rows, 7), np.float32)


@pytest.mark.serial
@pytest.mark.skipif(not can_fork(), reason="no processes are forked here")
@pytest.mark.parametrize("shared", [False, True])
def test_what_a_child_writes_is_there_where_it_is_shared(shared: bool) -> None:
    array = AlignedBuffers(shared=shared).zeros((2, 2))
    if not (pid := os.fork()):
        array[1, 0] = 7
        os._exit(0)
    os.waitpid(pid, 0)
    assert array.tolist() == [[0, 0], [7 * shared, 0]]


def test_a_copy_of_memory_has_every_array_as_it_lies() -> None:
    rng = np.random.default_rng(0)
    zeros = AlignedBuffers().zeros
    near, table, far = zeros(5), zeros((6, 7), np.float32), rng.random(40_000)
    near[...], table[...] = rng.random(5), rng.random((6, 7))
    arrays = [near, table, table.T[::-1, 1:], far.reshape(200, 200)[::2, ::-3], zeros((), np.int64)]
    memory = MemoryCopy(arrays)
    # What lies close together, or overlaps, is there once, and in one piece.
    assert far.nbytes * 0.99 < memory.size < far.nbytes + 1024
    room = np.empty(memory.size, np.uint8)
    memory.copy(room)
    wanted = [array.copy() for array in arrays]
    for array in arrays:
        array[...] = 0  # must not reach into the copy
    for array, want in zip(arrays, wanted, strict=True):
        found = memory.view(array, room)
        assert (found.dtype, found.strides) == (array.dtype, array.strides)
        assert np.array_equal(found, want)
    assert np.array_equal(memory.view(table[2:, 3], room), wanted[1][2:, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_whose_squares_are_too_large_are_finite(dtype: Any) -> None:
    largest = np.full((2, 3), np.finfo(dtype).max, dtype)
    assert all_finite([largest, np.array(7)])
    for wrong in (np.nan, np.inf, -np.inf):
        largest[1, 1] = wrong
        assert not all_finite([np.zeros(3), largest])
