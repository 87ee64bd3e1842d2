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


@pytest.mark.parametrize("kind", [int, np.int64, np.int8, np.uint16])
def test_integers_are_integers_whoever_made_them(kind: Any) -> None:
    wanted = nncli.conv(CELLS, TAPS, stride=2, dilation=(1, 1), padding=1).output.tolist()
    one, two = kind(1), kind(2)
    assert nncli.conv(CELLS, TAPS, stride=two, dilation=one, padding=one).output.tolist() == wanted
    both: Any = [two, two]
    assert nncli.conv(CELLS, TAPS, stride=both, padding=(one, one)).output.tolist() == wanted
    array: Any = np.array([2, 2])
    assert nncli.conv(CELLS, TAPS, stride=array, padding=1).output.tolist() == wanted


@pytest.mark.parametrize("wrong", [1.0, "2", None, (1, 2, 3), (1.5, 2), [], {}, np.array([1.0, 2])])
@pytest.mark.parametrize("key", ["stride", "dilation", "padding"])
def test_what_is_no_integer_is_told(key: str, wrong: Any) -> None:
    with pytest.raises(NncliError) as caught:
        nncli.conv(CELLS, TAPS, **{key: wrong})
    is_word = key == "padding" and isinstance(wrong, str)
    words = "'2' is no padding" if is_word else f"{key}: expected an integer or (rows, columns)"
    assert words in str(caught.value)


def test_an_upstream_flows_back(tmp_path: Path) -> None:
    forward = nncli.conv(CELLS, TAPS)
    assert forward.backward is None
    rng = np.random.default_rng(0)
    upstream = rng.standard_normal(forward.output.shape)
    done = nncli.conv(CELLS, TAPS, upstream=upstream)
    assert done.backward is not None
    assert done.output.tolist() == forward.output.tolist()
    # Each tap's gradient is the sum of what it meets, each weighed by the output's.
    rows, columns = forward.output.shape
    for at in np.ndindex(TAPS.shape):
        c, r, k = at
        met = sum(
            float(CELLS[c, r + i, k + j]) * float(upstream[i, j])
            for i in range(rows)
            for j in range(columns)
        )
        assert done.backward.filter_gradient[at] == pytest.approx(met, rel=1e-12, abs=1e-12)
    np.savetxt(tmp_path / "up.csv", np.ones_like(upstream), delimiter=",")
    read, ones = (nncli.conv(CELLS, TAPS, upstream=x) for x in (tmp_path / "up.csv", "ones"))
    assert read.backward is not None
    assert ones.backward is not None
    assert read.backward.filter_gradient.tolist() == ones.backward.filter_gradient.tolist()
    with pytest.raises(NncliError, match="upstream: the upstream is 2 x 2, the output 3 x 4"):
        nncli.conv(CELLS, TAPS, upstream=np.ones((2, 2)))
