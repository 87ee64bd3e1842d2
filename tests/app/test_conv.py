"""nncli.conv: the command as one call."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.app.conv import explain
from nncli.core.errors import NncliError
from nncli.filtering.correlate import correlate
from nncli.filtering.options import CorrelationError, Options

CELLS, TAPS = np.arange(60).reshape(3, 4, 5) % 7, np.arange(12).reshape(3, 2, 2)


def test_of_files_names_rows_and_arrays(tmp_path: Path) -> None:
    matrix = CELLS[0]
    np.savetxt(tmp_path / "m.csv", matrix, "%d", ",")
    np.save(tmp_path / "f.npy", TAPS[1])
    right = correlate(matrix, TAPS[1]).tolist()
    for m in (matrix, matrix.tolist(), tmp_path / "m.csv", str(tmp_path / "m.csv")):
        for f in (TAPS[1], tmp_path / "f.npy", "4 5; 6 7"):
            assert nncli.conv(m, f).output.tolist() == right
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    assert nncli.conv(matrix, "sobel-x").output.tolist() == correlate(matrix, sobel).tolist()
    assert matrix.flags.writeable


def test_every_argument_reaches_the_engine(tmp_path: Path) -> None:
    made = nncli.conv(
        *(CELLS, TAPS),
        padding=(2, 1),
        padding_mode="reflect",
        stride=2,
        dilation=(1, 2),
        flip=True,
        channels="each",
        output=tmp_path / "out.npy",
    )
    how: dict[str, Any] = {
        "padding": (2, 1),
        "padding_mode": "reflect",
        "stride": (2, 2),
        "dilation": (1, 2),
    }
    right = correlate(CELLS, TAPS, flip=True, **how)
    np.testing.assert_array_equal(made.output, right)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), right)
    assert made.window(2, 1, 0).sum == right[2, 1, 0]


def test_what_becomes_of_channels() -> None:
    assert nncli.conv(CELLS, TAPS).output.shape == (3, 4)
    assert nncli.conv(CELLS, TAPS[0]).output.shape == (3, 3, 4)
    summed = nncli.conv(CELLS, TAPS[0], channels="sum").output
    np.testing.assert_array_equal(summed, correlate(CELLS, TAPS[0]).sum(0))


def test_what_is_wrong() -> None:
    with pytest.raises(nncli.NncliError, match="channels: 'all' is not known; there are sum and"):
        nncli.conv(CELLS, TAPS, channels="all")
    with pytest.raises(nncli.NncliError, match="matrix: is 4 x 5; it has no channels"):
        nncli.conv(CELLS[0], TAPS[0], channels="sum")
    with pytest.raises(CorrelationError, match="'some' is no padding"):
        nncli.conv(CELLS, TAPS, padding="some")
    with pytest.raises(nncli.NncliError, match=r"none\.csv: no such file"):
        nncli.conv("none.csv", TAPS)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (range(4, 6), None, "--rows 4: the output has 3 rows, from 0 to 2"),
        (None, range(3, 4), "--columns 3: the output has 3 columns"),
        (range(2, 9), range(1), ""),
    ],
)
def test_rows_that_there_are_not_are_refused_before_anything_is_written(
    rows: range | None, columns: range | None, message: str, tmp_path: Path
) -> None:
    np.savetxt(tmp_path / "m.csv", np.ones((5, 5)), "%d", ",")
    matrix, filter, options = str(tmp_path / "m.csv"), "box", Options()
    output = tmp_path / "out.csv"
    if not message:
        explain(matrix, filter, options, rows=rows, columns=columns, output=output)
        assert output.exists()
        return
    with pytest.raises(NncliError, match=message):
        explain(matrix, filter, options, rows=rows, columns=columns, output=output)
    assert not output.exists()


@pytest.mark.parametrize("padding", ["valid", 0])
def test_a_padding_mode_without_padding_is_refused(padding: Any) -> None:
    image, filter = np.eye(4), np.ones((2, 2))
    with pytest.raises(nncli.NncliError, match=r"nothing is padded; .*--padding"):
        nncli.conv(image, filter, padding=padding, padding_mode="reflect")
    assert nncli.conv(image, filter, padding=padding, padding_mode="zeros").output.shape == (3, 3)
    assert nncli.conv(image, filter, padding=1, padding_mode="reflect").output.shape == (5, 5)
