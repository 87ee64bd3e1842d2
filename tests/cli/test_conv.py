"""nncli conv, as it is called from a shell."""

import io
import json
import os
import re
import subprocess
import sys
import time
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nncli as api
from nncli.app import conv as work
from nncli.filtering.correlate import correlate
from nncli.filtering.options import Options
from tests.commands import LIMIT
from tests.conftest import ROOT, Run, mostly_slow

MATRIX, FILTER = ROOT / "data/conv/matrix.csv", ROOT / "data/conv/filter.csv"
RIGHT = [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
CUBE = "cube.npy"
CELLS = np.arange(30).reshape(5, 6) ** 2 % 17


@pytest.fixture
def conv(nncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command, in the folder in which the test is too."""
    monkeypatch.chdir(tmp_path)
    return partial(nncli, "conv")


@pytest.fixture
def page(conv: Any) -> Any:
    def call(*arguments: Any, **more: Any) -> str:
        done = conv(*arguments, **more)
        assert (done.status, done.err) == (0, "")
        return str(done.out)

    return call


@pytest.fixture
def record(page: Any) -> Any:
    return lambda *arguments, **more: json.loads(
        page(*arguments, "--format", "json", **more), parse_constant=pytest.fail
    )


@pytest.fixture
def refused(conv: Any, tmp_path: Path) -> Any:
    """The message for what is wrong: status 2, nothing on standard output, no file written."""

    def call(*arguments: Any, **more: Any) -> str:
        before = sorted(tmp_path.rglob("*"))
        done = conv(*arguments, **more)
        assert (done.status, done.out) == (2, "")
        assert sorted(tmp_path.rglob("*")) == before
        assert done.err.startswith("nncli: ")
        assert done.err.count("\n") == 1
        return str(done.err).strip()

    return call


# From the shell


def test_the_picture_book(nncli: Run) -> None:
    done = nncli("conv", MATRIX, FILTER)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("output  3×3\n 4  3  4 \n 2  4  3 \n 2  3  4 \n")
    done = nncli("conv", MATRIX, FILTER, "--format", "json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["output"] == RIGHT


def test_a_reader_who_leaves_early(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.random.default_rng(0).normal(size=(120, 120)))
    for more in ("--full", "--format json"):
        done = subprocess.run(
            f"{{ {sys.executable} -m nncli conv m.npy box {more}; echo $? >&2; }} | head -c 10",
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.stderr == "0\n"


def test_standard_input(page: Any, record: Any) -> None:
    rows = b"1 2 3\n4 5 6\n"
    assert "standard input (2×3)" in page("-", "1 1", stdin=rows)
    assert record("-", "1 1", stdin=rows)["output"] == [[3, 5], [9, 11]]
    assert record(MATRIX, "-", stdin=FILTER.read_bytes())["output"] == RIGHT
    npy = io.BytesIO()
    np.save(npy, CELLS)
    assert record("-", "identity", stdin=npy.getvalue())["output"] == CELLS[1:-1, 1:-1].tolist()


# JSON


def test_json_as_the_interface_has_it(record: Any) -> None:
    made = record(MATRIX, FILTER)
    assert list(made) == [
        *("schema", "matrix_shape", "filter_shape", "output_shape", "output", "windows")
    ]
    assert made["schema"] == "nncli.conv/1"
    shapes = [made[f"{name}_shape"] for name in ("matrix", "filter", "output")]
    assert shapes == [[5, 5], [3, 3], [3, 3]]
    assert made["windows"] == []


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        (["--at", "2,1"], [[2, 1]]),
        (["--steps", "4"], [[0, 0], [0, 1], [0, 2], [1, 0]]),
        (["--steps", "all"], [[r, c] for r in range(3) for c in range(3)]),
        (["--steps", "99"], [[r, c] for r in range(3) for c in range(3)]),
        (["--steps", "1", "--at", "1,1"], [[0, 0], [1, 1]]),
    ],
)
def test_windows(record: Any, asked: list[str], places: Any) -> None:
    windows = record(MATRIX, FILTER, *asked)["windows"]
    assert [window["at"] for window in windows] == places
    for window in windows:
        r, c = window["at"]
        assert list(window) == ["at", "window", "filter", "hadamard", "sum"]
        cells = np.loadtxt(MATRIX, int, delimiter=",")[r : r + 3, c : c + 3]
        np.testing.assert_array_equal(window["window"], cells)
        np.testing.assert_array_equal(cells * window["filter"], window["hadamard"])
        assert window["sum"] == np.sum(window["hadamard"]) == RIGHT[r][c]


def test_every_option_reaches_the_engine(record: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", CELLS)
    made = record(
        *("m.npy", "1 2; 3 4; 5 6", "--padding", "1", "--padding-mode", "reflect"),
        *("--stride", "2,1", "--dilation", "1,2", "--flip", "--steps", "all"),
    )
    how = Options(padding=1, padding_mode="reflect", stride=(2, 1), dilation=(1, 2), flip=True)
    right = correlate(CELLS, np.array([[1, 2], [3, 4], [5, 6]]), **how)
    assert made["output"] == right.tolist()
    assert [window["sum"] for window in made["windows"]] == right.ravel().tolist()
    assert made["windows"][0]["filter"] == [[6, 5], [4, 3], [2, 1]]


def test_nan_is_null(record: Any, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("1,nan\n2,3\n")
    made = record("m.csv", "1", "--allow-nan", "--at", "0,1", "--compare", "--upstream", "ones")
    assert made["output"] == [[1, None], [2, 3]]
    assert made["windows"][0]["sum"] is None
    assert made["backward"]["check"] == {"checked": 0, "max_relative_error": None, "passed": None}


# The page


def test_the_page(page: Any) -> None:
    text = page(MATRIX, FILTER, "--padding", "1", "--stride", "2", "--at", "0,0")
    assert f"{MATRIX.name} (5×5) with" in text.replace("\n", " ")
    assert "the filter is symmetric, so" in text
    assert "rows:    floor((5 + 2 − 1·(3 − 1) − 1)/2) + 1 = 3" in text
    assert "8 of 9 windows meet padding (zeros), with 32 cells of it in all." in text
    assert "(0)(0)(0)" in text
    assert "sum = 2" in text


def test_rows_that_no_window_reaches(page: Any) -> None:
    assert "No window reaches 2 rows and 2 columns" in page(MATRIX, FILTER, "--stride", "3")


def test_nothing_is_wider_than_the_screen(page: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.random.default_rng(0).normal(size=(24, 24)) * 1e4)
    text = page(
        *("m.npy", "gaussian", "--padding", "same", "--steps", "3", "--compare"),
        *("--upstream", "ones", "--full"),
    )
    lines = [line for line in text.splitlines() if "m.npy" not in line]
    assert max(map(len, lines)) <= 80
    assert "…" not in text


def test_compare(page: Any, record: Any) -> None:
    assert "correlation and convolution" in page(MATRIX, "sobel-x", "--compare")
    made = record(MATRIX, "sobel-x", "--compare")
    assert made["correlation"] == made["output"]
    np.testing.assert_array_equal(made["convolution"], -np.array(made["output"]))


def test_upstream(page: Any, record: Any, tmp_path: Path) -> None:
    text = page(MATRIX, FILTER, "--upstream", "ones")
    assert "PASSED: 34 entries" in text
    flow = np.arange(9).reshape(3, 3)
    np.savetxt(tmp_path / "flow.csv", flow, "%d", ",")
    back = record(MATRIX, FILTER, "--upstream", "flow.csv")["backward"]
    cells = np.loadtxt(MATRIX, int, delimiter=",")
    assert back["upstream"] == flow.tolist()
    np.testing.assert_array_equal(back["filter_gradient"], correlate(cells, flow))
    right = correlate(flow, np.loadtxt(FILTER, int, delimiter=","), padding="full", flip=True)
    np.testing.assert_array_equal(back["matrix_gradient"], right)
    assert back["check"]["passed"] is True


def test_a_check_that_fails(conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncli.filtering.record.TOLERANCE", -1)
    done = conv(MATRIX, FILTER, "--upstream", "ones")
    assert done.status == 1
    assert "FAILED: 34 entries" in done.out
    assert done.err == "nncli: a gradient differs from its difference; see the proof\n"


# Channels, and images


def test_three_dimensions(record: Any, page: Any, tmp_path: Path) -> None:
    cells, taps = np.arange(60).reshape(3, 4, 5) % 7, np.arange(12).reshape(3, 2, 2)
    np.save(tmp_path / "m.npy", cells)
    np.save(tmp_path / "f.npy", taps)
    made = record("m.npy", "f.npy", "--steps", "all")
    right = correlate(cells, taps, summed=True)
    assert made["output"] == right.tolist()
    assert [w["sum"] for w in made["windows"]] == right.ravel().tolist()
    assert np.shape(made["windows"][0]["hadamard"]) == (3, 2, 2)
    made = record("m.npy", "1 2; 3 4")
    assert made["output"] == correlate(cells, np.array([[1, 2], [3, 4]])).tolist()
    assert "PASSED" in page("m.npy", "f.npy", "--upstream", "ones", "--at", "0,0")
    assert "PASSED" in page("m.npy", "1 2; 3 4", "--upstream", "ones")


def test_a_filter_for_each_channel(record: Any, page: Any, tmp_path: Path) -> None:
    cells, taps = np.arange(60).reshape(3, 4, 5) % 7, np.arange(12).reshape(3, 2, 2)
    np.save(tmp_path / "m.npy", cells)
    np.save(tmp_path / "f.npy", taps)
    right = [correlate(c, t).tolist() for c, t in zip(cells, taps, strict=True)]
    made = record("m.npy", "f.npy", "--channels", "each", "--steps", "2", "--output", "out.npy")
    assert (made["output"], made["channels"]) == (right, "each")
    assert np.load(tmp_path / "out.npy").tolist() == right
    places = [(*w["at"], w["channel"]) for w in made["windows"]]
    assert places == [(0, c, k) for c in range(2) for k in range(3)]
    assert [w["sum"] for w in made["windows"]] == [right[k][r][c] for r, c, k in places]
    summed = record("m.npy", "f.npy", "--channels", "sum")
    assert (summed["output"], summed["channels"]) == (np.sum(right, axis=0).tolist(), "sum")
    assert summed == record("m.npy", "f.npy")
    alike = record("m.npy", "1 2; 3 4", "--channels", "sum")["output"]
    assert alike == correlate(cells.sum(0), np.array([[1, 2], [3, 4]])).tolist()
    assert "PASSED" in page("m.npy", "f.npy", "--channels", "each", "--upstream", "ones")


def test_a_place_of_every_channel_or_of_one(record: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.arange(60).reshape(3, 4, 5))
    every = record("m.npy", "1 1", "--at", "3,0")["windows"]
    assert [w["channel"] for w in every] == [0, 1, 2]
    assert [w["sum"] for w in every] == [31, 71, 111]
    assert record("m.npy", "1 1", "--at", "1,3,0")["windows"] == [every[1]]
    assert len(record("m.npy", "1 1", "--steps", "all")["windows"]) == 3 * 4 * 4


def test_a_colour_image_is_filtered_channel_by_channel(
    record: Any, page: Any, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    made = record("m.png", "sobel-x")
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    for k in range(3):
        assert made["output"][k] == correlate(pixels[..., k].astype(int), sobel).tolist()
    page("m.png", "identity", "--output", "out.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), pixels[1:-1, 1:-1])


# Files


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".npy", ".png", ".pgm", ".NPY"])
def test_output(page: Any, record: Any, tmp_path: Path, suffix: str) -> None:
    np.save(tmp_path / "m.npy", CELLS)
    page("m.npy", "identity", "--padding", "same", "--output", f"out{suffix}")
    assert record(f"out{suffix}", "1")["output"] == CELLS.tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.npy", f"out{suffix}"]


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".html", b"<!DOCTYPE html>"), (".md", b"# "), (".json", b"{"), (".npz", b"PK")],
)
def test_a_document_goes_to_its_file_alone(
    page: Any, refused: Any, tmp_path: Path, suffix: str, start: bytes
) -> None:
    assert page(MATRIX, FILTER, "-o", f"out{suffix}") == ""
    assert (tmp_path / f"out{suffix}").read_bytes().startswith(start)
    assert "--overwrite replaces it" in refused(MATRIX, FILTER, "-o", f"out{suffix}")


def test_too_large_a_page_is_refused_and_nothing_written(refused: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.zeros((1200, 1200)))
    message = refused("m.npy", "1", "-o", "out.html")
    assert "a page of a matrix of 1200 x 1200 would carry 23 MB of numbers" in message
    assert "a larger --stride" in message


def test_json_is_printed_beside_a_document(record: Any, tmp_path: Path) -> None:
    assert record(MATRIX, FILTER, "-o", "out.html")["output"] == RIGHT
    assert (tmp_path / "out.html").exists()


def test_a_note_on_the_output_goes_to_standard_error_beside_json(conv: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", CELLS * 100)
    done = conv("m.npy", "1", "--output", "out.png", "--format", "json")
    assert json.loads(done.out)["output"] == (CELLS * 100).tolist()
    assert done.status == 0
    assert done.err != ""


@pytest.mark.parametrize(("channels", "summed"), [("each", False), ("sum", True)])
def test_a_large_matrix_with_a_filter_for_each_channel(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: str, summed: bool
) -> None:
    monkeypatch.setattr(work, "LARGE", 1000)
    rng = np.random.default_rng(0)
    cells, taps = rng.normal(size=(3, 40, 50)).astype(np.float32), rng.normal(size=(3, 3, 2))
    np.save(tmp_path / "m.npy", cells)
    np.save(tmp_path / "f.npy", taps)
    text = page(
        *("m.npy", "f.npy", "--channels", channels, "--padding", "same", "--output", "out.npy"),
        *("--at", "7,9"),
    )
    right = correlate(cells, taps, padding="same", summed=summed)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), right)
    assert ("output [7,9] of channel 2" in text) is not summed


@pytest.mark.parametrize("shape", [(90, 70), (3, 40, 50)])
def test_a_large_matrix_goes_through_in_blocks(
    page: Any, refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(work, "LARGE", 1000)
    cells = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.save(tmp_path / "m.npy", cells)
    how = ("--padding", "same", "--padding-mode", "reflect", "--stride", "2,1")
    text = page("m.npy", "gaussian", *how, "--output", "out.npy")
    gaussian = np.outer([1, 2, 1], [1, 2, 1]) / 16
    right = correlate(cells, gaussian, padding="same", padding_mode="reflect", stride=(2, 1))
    made = np.load(tmp_path / "out.npy")
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, right)
    assert "…" in text
    page("m.npy", "gaussian", *how, "--output", "out.NPY")
    np.testing.assert_array_equal(np.load(tmp_path / "out.NPY"), right)
    assert "--output FILE.npy filters it in blocks" in refused("m.npy", "gaussian")
    assert "in blocks" in refused("m.npy", "gaussian", "--output", "out.csv")
    for more in (["--compare"], ["--format", "json"], ["--upstream", "ones"], ["--full"]):
        message = refused("m.npy", "gaussian", "--output", "new.npy", *more)
        assert f"for {' '.join(more[:2] if more[0] == '--format' else more[:1])}, which" in message


MOST_RESIDENT = """
import sys
from nncli.cli.app import run
status = run()
for line in open("/proc/self/status"):
    if line.startswith("VmHWM:"):
        print(line.split()[1], file=sys.stderr)
raise SystemExit(status)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="nothing tells the memory here")
def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """Of 270 MiB in and 270 MiB out, no more than parts, whatever looks at them: all by a map."""
    np.lib.format.open_memmap(tmp_path / "m.npy", "w+", np.float32, (8400, 8400)).flush()
    arguments = ("conv", "m.npy", "laplacian", "--padding", "same", "--output", "out.npy")
    done = subprocess.run(
        [sys.executable, "-c", MOST_RESIDENT, *arguments, "--at", "1,1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0
    assert "8400×8400, norm 0, from 0 to 0" in done.stdout
    assert int(done.stderr) < 250 * 1024


def test_what_is_there_stays_where_the_output_is_refused(conv: Any, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("as it was")
    assert conv(MATRIX, FILTER, "--at", "9,9", "--output", "out.csv").status == 2
    assert (tmp_path / "out.csv").read_text() == "as it was"


def test_a_comparison_that_cannot_be(refused: Any, tmp_path: Path) -> None:
    """The correlation fits into 64 bits, the convolution does not."""
    (tmp_path / "m.csv").write_text(f"{2**62},0,0\n")
    message = refused("m.csv", "1 0 4", "--compare", "--output", "out.csv")
    assert "the output at 0,0, about 1.845e+19, does not fit into 64 bits" in message


# What is wrong


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1,2\n3\n", ["m.csv: row 2", "2", "1"]),
        ("1,2\n3,x\n", ["m.csv: row 2, column 2", "'x'"]),
        ("", ["m.csv", "empty"]),
        ("1,2\n3,nan\n", ["m.csv: row 2, column 2", "nan"]),
    ],
)
def test_a_matrix_that_is_none(
    refused: Any, tmp_path: Path, content: str, words: list[str]
) -> None:
    (tmp_path / "m.csv").write_text(content)
    message = refused("m.csv", "1")
    assert all(word in message for word in words)
    assert all(word in refused(MATRIX, "m.csv") for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv", "box"], ["none.csv: no such file"]),
        ([MATRIX, "none.csv"], ["none.csv: no such file"]),
        ([MATRIX, "gausian"], ["'gausian' is not known; did you mean 'gaussian'?"]),
        ([MATRIX, "1 1; 1"], ["filter: row 2"]),
        ([MATRIX, "1 1 1 1 1 1"], ["1 x 6", "5 x 5"]),
        ([MATRIX, "1 1 1", "--dilation", "4", "--padding", "1"], ["1 x 3", "5 x 5", "7 x 7"]),
        ([MATRIX, "box", "--stride", "0"], ["--stride 0", "from 1"]),
        ([MATRIX, "box", "--stride", "1,-1"], ["--stride 1,-1"]),
        ([MATRIX, "box", "--dilation", "0,1"], ["--dilation 0,1"]),
        ([MATRIX, "box", "--padding", "some"], ["--padding some", "valid, same, full", "'same'?"]),
        (
            [MATRIX, "box", "--padding-mode", "Zero"],
            ["expected zeros, reflect, replicate, circular or symmetric; did you mean 'zeros'?"],
        ),
        ([MATRIX, "box", "--padding-mode", "?"], ["circular or symmetric"]),
        ([MATRIX, "box", "--strid", "2"], ["--strid: there is no such option", "'--stride'?"]),
        (["--strid", "2", MATRIX, "box"], ["--strid: there is no such option", "'--stride'?"]),
        ([MATRIX, "box", "-x"], ["-x: there is no such option"]),
        ([MATRIX, "1", "0", "1"], ["0: one matrix and one filter", "in quotes: "]),
        (
            [MATRIX, "box", "--padding", "5", "--padding-mode", "reflect"],
            ["reflect", "5 x 5", "at most 4", "3 x 3"],
        ),
        ([MATRIX, "box", "--at", "3,0"], ["no output at 3,0", "0 to 2"]),
        ([MATRIX, "box", "--at", "0,-1"], ["no output at 0,-1"]),
        ([MATRIX, "box", "--at", "1"], ["--at 1: expected a place such as 0,2 in an output of 3"]),
        ([MATRIX, "box", "--at", "0,1,1"], ["--at 0,1,1: expected a place such as 0,2 in"]),
        ([MATRIX, "box", "--at", "1,"], ["--at 1,: expected a place such as 0,2"]),
        ([CUBE, "box", "--at", "1,2,3,4"], ["expected a place such as 0,2, or 1,0,2 with its"]),
        ([CUBE, "1", "--at", "2,0,0"], ["channels count from 0 to 1, rows from 0 to 2, columns"]),
        ([CUBE, "1", "--at", "3,0"], ["no output at 0,3,0", "rows from 0 to 2"]),
        ([CUBE, "1", "--channels", "eech"], ["--channels eech: expected sum or each; did you"]),
        ([MATRIX, "box", "--channels", "each"], ["matrix.csv: is 5 x 5; it has no channels"]),
        ([MATRIX, CUBE], ["the matrix is 5 x 5, the filter 2 x 3 x 4"]),
        ([MATRIX, "box", "--steps", "0"], ["--steps 0: expected all, or how many, from 1"]),
        ([MATRIX, "box", "--steps", "some"], ["--steps some"]),
        ([MATRIX, "box", "--rows", "3:4"], ["--rows 3: the output has 3 rows"]),
        ([MATRIX, "box", "--animate"], ["not in a pipe"]),
        ([MATRIX, "box", "--animate", "--format", "json"], ["leave out --format json"]),
        (
            [MATRIX, "box", "--animate", "--compare", "--upstream", "ones"],
            ["--animate plays the windows alone; leave out --compare and --upstream"],
        ),
        ([MATRIX, "box", "--upstream", "none.csv"], ["none.csv: no such file"]),
        ([MATRIX, "box", "--upstream", MATRIX], ["upstream is 5 x 5, the output 3 x 3"]),
        (["-", "-"], ["standard input"]),
        (["-", "1", "--upstream", "-"], ["standard input can be one of"]),
    ],
)
def test_refused_and_nothing_is_written(
    refused: Any, tmp_path: Path, arguments: Any, words: list[str]
) -> None:
    np.save(tmp_path / CUBE, np.arange(24).reshape(2, 3, 4))
    message = refused(*arguments, "--output", "out.csv", stdin=b"1 2\n3 4\n")
    assert all(word in message for word in words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.cvs", ["'.cvs' is not a known format", ".csv"]),
        ("out.htm", ["'.htm' is not a known format", ".html"]),
        ("out", ["no suffix"]),
        ("none/out.csv", ["none/out.csv: cannot be written: no such file or directory"]),
        ("/proc/out.csv", ["/proc/out.csv: cannot be written"]),
    ],
)
def test_an_output_that_cannot_be(refused: Any, name: str, words: list[str]) -> None:
    message = refused(MATRIX, "box", "--output", name)
    assert all(word in message for word in words)


# In a terminal


@pytest.fixture
def terminal(open_terminal: Any) -> Any:
    return partial(open_terminal, "conv")


def test_the_heat_map_has_colour_in_a_terminal(terminal: Any) -> None:
    made = terminal(MATRIX, "laplacian")
    assert made.end() == 0
    assert re.search(r"\x1b\[[\d;]*48;2;\d+;\d+;\d+m", made.text)
    made = terminal(MATRIX, "laplacian", NO_COLOR="1")
    assert made.end() == 0
    assert "48;" not in made.text
    plain = re.sub(r"\x1b\[[\d;]*m", "", made.text).replace("\r", "")
    assert plain.endswith("output  3×3\n -2   0  -2 \n  2  -1   0 \n  2  -1  -2 \n")


@pytest.mark.parametrize("keys", mostly_slow([b"q", b"\x04", b"\x1b", b"x", b"\x03"], 3))
def test_a_key_or_an_interruption_ends_the_film(terminal: Any, keys: bytes) -> None:
    made = terminal(MATRIX, FILTER, "--animate")
    made.read_until("output [0,1]")
    made.type(keys)
    if keys == b"x":  # any other key goes unheard
        made.read_until("output [0,2]")
        made.type(b"q")
    assert made.end() == 0
    assert "sum = 4" in made.text


def test_keys_pause_and_step_the_film(terminal: Any) -> None:
    made = terminal(MATRIX, FILTER, "--animate")
    made.read_until("window 1 of 9")
    made.type(b" ")
    made.read_until("paused")
    for keys, where in (
        (b"\x1b[C", "window 2"),
        (b"nn", "window 4"),
        (b"\x1bOD", "window 3"),
        (b"b", "window 2"),
    ):
        shown = len(made.text)
        made.type(keys)
        made.read_until(f"{where} of 9, paused", after=shown)
    shown = len(made.text)
    made.type(b"\x1b")  # an arrow in two pieces, as a slow line has it
    time.sleep(0.02)
    made.type(b"[C")
    made.read_until("window 3 of 9, paused", after=shown)
    made.type(b"+ ")
    made.read_until("4.0 a second")
    made.type(b"\x1b[1;5Cq")  # Ctrl-arrow is no key of the film
    assert made.end() == 0


@pytest.mark.parametrize("rows", ["1 2; 3 4", "1, 2; 3, 4", "1 2\n3 4", "-1 2; 3 4", "1/2 1; 0 .5"])
def test_a_matrix_may_be_rows_written_out(nncli: Run, rows: str) -> None:
    made = nncli("conv", rows, "1 0; 0 1", "--format", "json")
    assert made.err == ""
    lines = [re.findall(r"[^, ]+", row) for row in re.split("[;\n]", rows)]
    cells = [[float(Fraction(x)) for x in line] for line in lines]
    record = json.loads(made.out)
    assert record["output"] == [[cells[0][0] + cells[1][1]]]
    assert record["matrix_shape"] == [2, 2]
    assert api.conv(rows, "1 0; 0 1").output.tolist() == record["output"]


def test_a_file_comes_before_rows(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "5").write_text("1 2\n3 4\n")
    made = nncli("conv", "5", "1 0; 0 1", "--format", "json")
    assert json.loads(made.out)["output"] == [[5]]


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ("1 2; 3 x", "matrix: row 2, column 2: 'x' is not a number"),
        ("1 2; 3 4 5", "matrix: row 2, column 3: expected 2 cells as in the first row, found 3"),
        ("m.csv", "m.csv: no such file"),
    ],
)
def test_a_matrix_that_is_neither_rows_nor_a_file(refused: Any, matrix: str, words: str) -> None:
    assert words in refused(matrix, "1")


def test_a_turned_filter_stands_beside_the_one_that_was_given(nncli: Run) -> None:
    made = nncli("conv", MATRIX, "1 2; 3 4", "--flip", "--at", "0,0")
    flat = " ".join(made.out.split())
    assert "filter 2×2 turned filter 2×2 [1 2] → [4 3] [3 4] [2 1]" in flat
    assert "⊙ [4 3]" in flat
    plain = nncli("conv", MATRIX, "1 2; 3 4", "--at", "0,0").out
    assert "turned" not in plain


def test_a_filter_written_out_may_begin_with_a_minus(nncli: Run) -> None:
    rows = "-1 0 1; -2 0 2; -1 0 1"
    done = nncli("conv", ROOT / "data/conv/matrix.csv", rows, "--format", "json")
    named = nncli("conv", ROOT / "data/conv/matrix.csv", "sobel-x", "--format", "json")
    assert done.status == 0
    assert done.out == named.out


def test_an_option_that_does_not_exist(nncli: Run) -> None:
    done = nncli("conv", ROOT / "data/conv/matrix.csv", "box", "--paddin", "same")
    assert done.status == 2
    assert "--paddin" in done.err


def test_what_pillow_logs_of_a_damaged_image_is_not_printed(nncli: Run, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "TIFF")
    content = picture.getvalue()
    tag = content.index(b"\x15\x01\x03\0\x01\0\0\0\x03\0")  # three samples a pixel
    (tmp_path / "m.tif").write_bytes(content[: tag + 8] + b"\x1f\x8b" + content[tag + 10 :])
    done = nncli("conv", "m.tif", "box")
    assert done.status == 2
    assert re.fullmatch(r"nncli: m\.tif: is damaged.*\n", done.err)


@pytest.mark.parametrize("padding", ["1000000000", "3000000"])
def test_padding_beyond_any_memory_is_refused_before_it_is_tried(
    refused: Any, padding: str
) -> None:
    message = refused(ROOT / "data/conv/matrix.csv", "sobel-x", "--padding", padding)
    size = 5 + 2 * int(padding)
    assert f"the matrix of 5 x 5 becomes {size} x {size}, more than any machine holds" in message
