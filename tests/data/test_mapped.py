"""Rows read from files that are not to be in memory as a whole, against the arrays themselves."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.data import Pair
from nncli.data.readers import arrays
from nncli.data.readers.arrays import RowFile
from nncli.data.scaling import Scaling
from tests.data.conftest import FLOAT32, load, problems

RANDOM = np.random.default_rng(5)
LABELS = np.arange(300) % 3
BYTES = RANDOM.integers(0, 256, (300, 2, 3)).astype(np.uint8)
ORDERS = {
    "shuffled": RANDOM.permutation(300)[:40],
    "consecutive": np.arange(20, 60),
    "one": np.array([299]),
    "all": np.arange(300),
    "with its ends a stretch apart": np.array([5, 9, 2, 8]),
}


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "SMALL", 0)


def large(inputs: NDArray[Any], **options: Any) -> Any:
    np.save("x.npy", inputs)
    np.save("y.npy", LABELS)
    return load(Pair(Path("x.npy"), Path("y.npy")), **options)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", ["none", 255, 0.1, "minmax", "standard"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, bool])
def test_rows_are_those_of_the_array(order: Any, scale: Any, dtype: Any) -> None:
    inputs = BYTES > 100 if dtype is bool else BYTES.astype(dtype)
    data = large(inputs, scale=scale, dtype=FLOAT32)
    rows = ORDERS[order]
    assert data.train._file is not None
    found, targets = np.empty((len(rows), 1, 2, 3), FLOAT32), np.empty((len(rows), 3), FLOAT32)
    data.train.gather(rows, found, targets)
    expected = inputs[rows][:, None].astype(np.float64)
    scaling = data.preprocessing.scaling
    expected = (expected - scaling.offset) / scaling.divisor
    np.testing.assert_array_equal(found, expected.astype(FLOAT32))
    np.testing.assert_array_equal(targets, np.eye(3)[LABELS[rows]])


def test_a_small_file_is_mapped_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "SMALL", BYTES.nbytes)
    assert large(BYTES).train._file is None


def test_a_part_of_a_file_is_not_read_as_if_it_were_the_whole() -> None:
    np.save("x.npy", BYTES)
    array = np.load("x.npy", mmap_mode="r")
    assert RowFile.of(array) is not None
    assert RowFile.of(array[10:]) is None
    assert RowFile.of(array[:, :1]) is None
    assert RowFile.of(np.array(array)) is None


def test_a_file_that_was_cut_short_since() -> None:
    data = large(BYTES)
    os.truncate("x.npy", 1000)
    inputs, targets = np.empty((2, 1, 2, 3)), np.empty((2, 3))
    (told,) = problems(data.train.gather, np.array([299, 0]), inputs, targets)
    assert told.endswith("x.npy: has become shorter while it was being read")


def test_a_file_that_is_gone_by_the_time_it_is_to_be_read() -> None:
    np.save("x.npy", BYTES)
    array = np.load("x.npy", mmap_mode="r")
    os.remove("x.npy")
    with pytest.raises(DataError, match=r"x\.npy: cannot be read: no such file"):
        RowFile.of(array)


@given(
    st.floats(2**-10, 2**20, width=32) | st.integers(-999, 999).filter(bool),
    st.sampled_from(["u1", "i1", "u2", "i2"]),
)
def test_one_division_gives_the_numbers_of_float64(divisor: Any, kind: Any) -> None:
    raw = np.arange(-300, 300).astype(kind)
    scaling = Scaling(0.0, float(divisor))
    assert scaling.is_exact_in(FLOAT32, raw.dtype)
    out = np.empty(raw.shape, FLOAT32)
    scaling.apply(raw, out)
    np.testing.assert_array_equal(out, (raw.astype(np.float64) / float(divisor)).astype(FLOAT32))


def test_a_division_that_would_round_otherwise_is_taken_in_float64() -> None:
    assert not Scaling(0.0, 0.1).is_exact_in(FLOAT32, np.dtype("u1"))
    assert not Scaling(0.0, 255.0).is_exact_in(FLOAT32, np.dtype("i4"))
    assert not Scaling(1.0, 255.0).is_exact_in(FLOAT32, np.dtype("u1"))
    assert not Scaling(0.0, 255.0).is_exact_in(FLOAT32, FLOAT32)  # it may have tiny numbers
