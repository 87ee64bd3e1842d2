"""Matrices written to files, and read back."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nncli.core.errors import RunError
from nncli.data.readers import matrices
from nncli.data.readers.matrices import open_npy_for_writing, read_matrix, write_matrix
from tests.data.conftest import problems, write
from tests.data.matrices import (
    COLOUR,
    FLOATS,
    GREY,
    HERE_IS_SAFE,
    INTEGERS,
    KNOWN,
    MUST_BE,
    SIDES,
    npy,
    piped,
    read,
)


@HERE_IS_SAFE
@given(
    hnp.arrays(np.float64, SIDES, elements=FLOATS)
    | hnp.arrays(np.int64, SIDES, elements=INTEGERS)
    | hnp.arrays(
        np.float32, SIDES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
    | hnp.arrays(np.uint8, SIDES),
    st.sampled_from(["m.csv", "m.tsv", "m.txt", "m.npy"]),
)
def test_what_was_written_comes_back_equal(array: Any, name: Any) -> None:
    assert write_matrix(name, array) == ()
    back = read_matrix(name).array
    assert np.array_equal(back, array)
    kept = array.dtype if name == "m.npy" else np.float64 if array.dtype.kind == "f" else np.int64
    assert back.dtype == kept


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.csv", "0.1,-2.0\n1e-05,3e+22\n"), ("m.tsv", "0.1\t-2.0\n1e-05\t3e+22\n"),
     ("m.txt", "0.1 -2.0\n1e-05 3e+22\n")],
)  # fmt: skip
def test_numbers_are_written_as_short_as_they_can_be(name: str, text: str) -> None:
    write_matrix(name, np.array([[0.1, -2], [1e-5, 3e22]]))
    assert Path(name).read_text() == text


def test_nan_and_bool_are_written() -> None:
    write_matrix("m.csv", np.array([[np.nan, np.inf, -np.inf]]))
    assert Path("m.csv").read_text() == "nan,inf,-inf\n"
    write_matrix("m.csv", np.array([[True, False]]))
    assert Path("m.csv").read_text() == "1,0\n"


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "f2", ">f8", "?"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_and_keeps_its_type(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
    np.save("m.npy", array)
    matrix = read_matrix("m.npy")
    assert isinstance(matrix.array, np.memmap)
    assert matrix.array.dtype == (np.uint8 if dtype == "?" else dtype)
    assert np.array_equal(matrix.array, array)
    for other in (piped(npy(array)), read("m.npy.gz", npy(array)), read("m.unknown", npy(array))):
        assert other.kind == "npy"
        assert np.array_equal(other.array, array)
    write_matrix("m.npy", array)
    assert np.array_equal(np.load("m.npy"), array)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(npy(np.arange(5)), f"{MUST_BE} 1 dimension (5)", id="1-D"),
        pytest.param(
            npy(np.zeros((1, 2, 3, 4))), f"{MUST_BE} 4 dimensions (1 x 2 x 3 x 4)", id="4-D"
        ),
        pytest.param(
            npy(np.float64(5)), "is a single number; a matrix has rows and columns", id="0-D"
        ),
        pytest.param(npy(np.zeros((0, 3))), "holds no numbers (its shape is 0 x 3)", id="no rows"),
        pytest.param(
            npy(np.zeros((2, 2), complex)),
            "holds '<c16'; it must be plain numbers or text",
            id="complex",
        ),
        pytest.param(npy(np.array([["a"]])), "must hold numbers, not text", id="text"),
        pytest.param(
            npy(np.array([[None]])),
            "holds pickled Python objects, which are never read",
            id="objects",
        ),
        pytest.param(
            npy(np.zeros((2, 2)))[:-1],
            "its header promises 32 bytes of data (2 x 2, float64), but it holds 31",
            id="cut short",
        ),
        pytest.param(
            b"\x93NUMPY\x01\x00\x10\x00{broken}........",
            "is damaged: its header cannot be read",
            id="header",
        ),
    ],
)
def test_mistakes_in_npy(content: Any, told: str) -> None:
    assert problems(read, "m.npy", content) == [f"m.npy: {told}"]
    assert problems(piped, content) == [f"standard input: {told}"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_nan_in_npy_has_its_place(order: Any) -> None:
    array = np.zeros((2, 3, 40_000), order=order)
    array[1, 2, 30_000] = np.nan
    array[0, 1, 5] = np.inf
    told = [
        "m.npy: channel 1, row 2, column 6 (element [0, 1, 5]): inf is not a finite number",
        "m.npy: channel 2, row 3, column 30001 (element [1, 2, 30000]): nan is not a finite number",
    ]
    assert sorted(problems(read, "m.npy", npy(array))) == told
    assert np.array_equal(read_matrix("m.npy", allow_nan=True).array, array, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        pytest.param(
            "m.cvs",
            GREY,
            f"'.cvs' is not a known format; did you mean '.csv'? Known are {KNOWN}",
            id="near",
        ),
        pytest.param(
            "m.xlsx1", GREY, f"'.xlsx1' is not a known format; known are {KNOWN}", id="unknown"
        ),
        pytest.param("m", GREY, f"no suffix tells its format; known are {KNOWN}", id="no suffix"),
        pytest.param(
            "m.csv",
            COLOUR,
            "text holds rows x columns, not 3 x 4 x 6; write .npy instead",
            id="3-D text",
        ),
        pytest.param("m.csv", GREY[0], f"{MUST_BE} 1 dimension (6)", id="1-D"),
        pytest.param("m.csv", GREY[:0], "holds no numbers (its shape is 0 x 6)", id="empty"),
        pytest.param(
            "m.npy",
            GREY * 1j,
            "cannot hold complex128; a matrix is written as plain numbers",
            id="complex",
        ),
        pytest.param(
            "m.png",
            COLOUR[:2],
            "an image has 1 channel or 3, not 2 (2 x 4 x 6); write .npy instead",
            id="2 channels",
        ),
        pytest.param(
            "m.pgm",
            COLOUR,
            "an image has 1 channel, not 3 (3 x 4 x 6); write .ppm or .npy instead",
            id="colour as pgm",
        ),
        pytest.param(
            "m.png",
            np.array([[1, np.nan]]),
            "row 1, column 2 (element [0, 1]): nan cannot be a pixel",
            id="nan",
        ),
    ],
)
def test_what_cannot_be_written(name: str, array: Any, told: str) -> None:
    assert problems(write_matrix, name, array) == [f"{name}: {told}"]
    assert os.listdir() == []


def test_an_image_too_long_for_its_format() -> None:
    told = problems(write_matrix, "m.jpg", np.zeros((1, 70_000), np.uint8))
    assert len(told) == 1
    assert "pixels cannot be written as JPEG" in told[0]


@pytest.mark.parametrize("name", ["none/m.csv", "none/m.npy", "none/m.png"])
def test_where_nothing_can_be_written(name: str) -> None:
    with pytest.raises(RunError, match=rf"^{name}: cannot be written: no such file or directory$"):
        write_matrix(name, GREY)


def test_a_file_is_replaced_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.csv").write_text("old")
    calls = []

    def full(*_: Any) -> bytes:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return b"1\n"

    monkeypatch.setattr(matrices, "as_text", full)
    with pytest.raises(RunError, match=r"^m\.csv: cannot be written: no space left on device$"):
        write_matrix("m.csv", np.zeros((10_000, 10)))
    assert Path("m.csv").read_text() == "old"
    assert os.listdir() == ["m.csv"]


def test_npy_filled_through_a_mapping() -> None:
    with open_npy_for_writing("m.npy", (3, 4), np.float32) as out:
        assert not Path("m.npy").exists()
        out[:] = np.arange(12).reshape(3, 4)
    assert np.load("m.npy").tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert np.load("m.npy").dtype == np.float32
    with pytest.raises(ZeroDivisionError), open_npy_for_writing("m.npy", (1, 1), np.int64) as out:
        raise ZeroDivisionError
    assert np.load("m.npy").shape == (3, 4)
    assert os.listdir() == ["m.npy"]


def test_a_disk_too_small_is_told_before_the_mapping_is_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    told = r"^m\.npy: cannot be written: no space left on device$"
    with pytest.raises(RunError, match=told), open_npy_for_writing("m.npy", (9, 9), np.int8):
        pytest.fail("there was no room")
    assert os.listdir() == []


def test_a_file_system_that_cannot_take_room_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with open_npy_for_writing("m.npy", (2, 2), np.int8) as out:
        out[:] = 7
    assert np.load("m.npy").tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.npy"])
def test_progress_rises_to_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "SECONDS_BETWEEN", 0)
    write_matrix("m.csv", np.random.default_rng(0).random((300, 300)))
    if name == "m.npy":
        write_matrix(name, np.ones((3000, 300)))
    elif name == "m.csv.gz":
        write(name, Path("m.csv").read_bytes())
    seen = []
    read_matrix(name, progress=lambda done, total: seen.append((done, total)))
    size = Path(name).stat().st_size
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    assert {total for _, total in seen} == {size}


def test_progress_of_writing_and_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "SECONDS_BETWEEN", 0)
    seen = []
    write_matrix("m.csv", np.ones((9000, 3)), progress=lambda *done: seen.append(done))
    assert len(seen) > 2
    assert seen[-1] == (9000, 9000)
    assert seen == sorted(seen)
    seen = []
    piped("1 2\n" * 100_000, progress=lambda *done: seen.append(done))
    assert seen[-1] == (400_000, None)


def test_progress_is_told_a_few_times_a_second_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = [], 5.0
    monkeypatch.setattr(matrices, "time", SimpleNamespace(monotonic=lambda: now))
    tick = matrices.Ticker(lambda *done: seen.append(done), 10)
    for _ in range(60):
        now += 0.01
        tick(1)
    assert len(seen) == 2


def test_an_archive_that_is_called_npy_is_known_by_its_bytes() -> None:
    np.savez("x.npz", y=np.eye(3))
    Path("x.npz").rename("x.npy")
    told = "x.npy: is an .npz archive; save the array that is needed as .npy"
    assert problems(read_matrix, "x.npy") == [told]


def test_a_first_row_that_counts_its_columns_is_told() -> None:
    told = (
        "m.csv: row 1, 0 to 1, was taken for a row of the matrix; if it is a header, leave it out"
    )
    assert read_matrix(write("m.csv", "0,1\n5,3\n4,1\n")).notes == (told,)
    assert read_matrix(write("m.csv", "0,1\n2,3\n4,5\n")).notes == ()
    assert read_matrix(write("m.csv", "1,0\n5,3\n")).notes == ()
