"""nncli predict, from the shell."""

import csv
import gzip
import io
import json
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nncli as library
from nncli.core import safetensors_format
from nncli.data import inference_inputs as later
from nncli.render.pages.predictions import PREDICTION_FORMATS
from tests.commands import LIMIT
from tests.conftest import ROOT, Run

IRIS = ROOT / "data/iris.csv"
NNCLI = (sys.executable, "-m", "nncli")


def by_hand(run: Path) -> NDArray[Any]:
    """The outputs of the iris network on its table, in NumPy alone."""
    rows = [line.split(",") for line in IRIS.read_text().splitlines()[1:]]
    x = np.array([[float(cell) for cell in row[:4]] for row in rows])
    settled = json.loads((run / "data.json").read_text())
    x = (x - settled["offset"]) / settled["divisor"]
    p, _ = safetensors_format.read(run / "checkpoint.safetensors")
    z = np.tanh(x @ p["dense1.weight"] + p["dense1.bias"]) @ p["dense2.weight"] + p["dense2.bias"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    softmax: np.ndarray = e / e.sum(axis=1, keepdims=True)
    return softmax


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def piped(command: str, folder: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command.replace("NNCLI", f"'{sys.executable}' -m nncli"),
        shell=True, cwd=folder, capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


def test_a_table_with_its_target(nncli: Run, runs: Path) -> None:
    done = nncli("predict", runs / "iris", IRIS)
    assert done.status == 0
    assert done.err == f"nncli: {IRIS}: left out 'species', which the network predicts\n"
    header, *rows = table(done.out)
    assert header == ["class", "setosa", "versicolor", "virginica"]
    outputs = np.array([[float(cell) for cell in row[1:]] for row in rows])
    np.testing.assert_allclose(outputs, by_hand(runs / "iris"), rtol=1e-4, atol=1e-7)
    assert [row[0] for row in rows] == [header[1 + k] for k in outputs.argmax(axis=1)]


def test_names_in_csv_act_on_no_terminal(nncli: Run, tmp_path: Path) -> None:
    """Those of a file are what they are, and so are those of JSON, which has escapes of its own."""
    classes = ("go\xa0od\u202e", "bad\x1b[31m")
    rows = [f"{k % 3},{k % 2},{classes[k % 2]}" for k in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c", *rows]) + "\n")
    spec = "data: {train: t.csv}\nnetwork: [{type: dense, units: 2}]\ntrain: {eta: 1, epochs: 1}\n"
    (tmp_path / "s.yaml").write_text(spec)
    assert nncli("train", "s.yaml", "--out", "r").status == 0
    printed = nncli("predict", "r", "t.csv").out
    assert printed.splitlines()[0] == "class,bad\\x1b[31m,go\xa0od\\u202e"
    assert "\x1b" not in printed
    assert nncli("predict", "r", "t.csv", "--output", "o.csv").status == 0
    written = (tmp_path / "o.csv").read_text()
    assert written.splitlines()[0] == "class,bad\x1b[31m,go\xa0od\u202e"
    assert len(written.splitlines()) == len(printed.splitlines()) == 13
    lines = nncli("predict", "r", "t.csv", "--format", "jsonl").out
    assert "\x1b" not in lines
    assert {json.loads(line)["class"] for line in lines.splitlines()} <= set(classes)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("=cmd|' /C calc'!A0", "-1"), "\"=cmd|' /C calc'!A0\": a spreadsheet takes"),
        (("@SUM(1)", "+a"), "'+a', '@SUM(1)': a spreadsheet takes a name that begins with '+'"),
        (("-1", "x"), ""),
        (("a=b", "c"), ""),
    ],
)
def test_names_that_are_formulas_stay_and_are_warned_of(
    nncli: Run, tmp_path: Path, classes: tuple[str, str], said: str
) -> None:
    rows = [f"{k % 3},{k % 2},{classes[k % 2]}" for k in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c", *rows]) + "\n")
    spec = "data: {train: t.csv}\nnetwork: [{type: dense, units: 2}]\ntrain: {epochs: 1, eta: 1}"
    (tmp_path / "s.yaml").write_text(spec)
    assert nncli("train", "s.yaml", "--out", "r").status == 0
    done = nncli("predict", "r", "t.csv")
    assert {row[0] for row in table(done.out)[1:]} <= set(classes)
    assert set(table(done.out)[0][1:]) == set(classes)
    assert said in done.err
    assert ("spreadsheet" in done.err) is bool(said)
    assert "spreadsheet" not in nncli("predict", "r", "t.csv", "--format", "jsonl").err


def test_what_is_ended_leaves_nothing_half_written(runs: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [*NNCLI, "predict", runs / "iris", "-", "--output", "o.csv"]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"5,3,1,0\n")
    process.stdin.flush()
    until = time.monotonic() + LIMIT
    while not any(tmp_path.iterdir()):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.terminate()
    assert process.wait(LIMIT) == 128 + signal.SIGTERM
    process.stdin.close()
    assert list(tmp_path.iterdir()) == []


def test_every_format_says_the_same(nncli: Run, runs: Path, tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "npy"):
        done = nncli("predict", runs / "iris", IRIS, "--output", f"out.{suffix}")
        assert (done.status, done.out) == (0, "")
    array = np.load(tmp_path / "out.npy")
    assert (array.shape, array.dtype) == ((150, 3), np.float32)
    rows = table((tmp_path / "out.csv").read_text())[1:]
    assert (np.array([row[1:] for row in rows], np.float32) == array).all()
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (np.array([record["outputs"] for record in records], np.float32) == array).all()
    assert [record["class"] for record in records] == [row[0] for row in rows]
    assert (library.predict(runs / "iris", IRIS).outputs == array).all()
    # Beside the runs of other tests nothing else may lie there.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.jsonl", "out.npy"]


def test_a_format_goes_before_a_suffix(nncli: Run, runs: Path, tmp_path: Path) -> None:
    assert nncli("predict", runs / "iris", IRIS, "--output", "x", "--format", "jsonl").status == 0
    assert json.loads((tmp_path / "x").read_text().splitlines()[0])["class"] == "setosa"


def test_a_pipe_with_columns_in_another_order(nncli: Run, runs: Path) -> None:
    turned = "awk -F, -v OFS=, '{print $4, $2, $1, $3}'"
    done = piped(f"{turned} '{IRIS}' | NNCLI predict iris -", runs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == nncli("predict", runs / "iris", IRIS).out


def test_npy_through_a_pipe(runs: Path) -> None:
    read = "import numpy, sys, io; print(numpy.load(io.BytesIO(sys.stdin.buffer.read())).sum())"
    done = piped(f"NNCLI predict iris '{IRIS}' --format npy | '{sys.executable}' -c '{read}'", runs)
    assert float(done.stdout) == pytest.approx(150, rel=1e-5)


def test_rows_are_predicted_as_they_come(runs: Path) -> None:
    process = subprocess.Popen(
        [*NNCLI, "predict", "iris", "-"],
        cwd=runs, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for row in ("5.1,3.5,1.4,0.2", "6.2,2.9,5.0,1.8"):
        process.stdin.write(f"{row}\n")
        process.stdin.flush()
        first = process.stdout.readline()
        if first.startswith("class"):
            first = process.stdout.readline()
        assert first.split(",")[0] in ("setosa", "virginica")
    process.stdin.close()
    assert process.stdout.read() == ""
    process.stdout.close()
    assert process.wait() == 0


def test_a_reader_who_leaves_early_ends_it_quietly(runs: Path) -> None:
    # Endless input: it ends because its output is closed.
    done = piped("yes 5.1,3.5,1.4,0.2 | NNCLI predict iris - | head -2", runs, timeout=LIMIT)
    assert done.stderr == ""
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["class", "setosa"]


def test_images_from_idx_npy_and_arrays(nncli: Run, runs: Path, tmp_path: Path) -> None:
    digits = np.loadtxt(ROOT / "data/digits.csv", delimiter=",", skiprows=1)[:40, :64]
    images = digits.astype(np.uint8).reshape(-1, 8, 8)
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in images.shape)
    (tmp_path / "x-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes()))
    np.save(tmp_path / "x.npy", images)
    np.savez(tmp_path / "x.npz", x=digits)
    expected = library.predict(runs / "digits", images)
    assert expected.outputs.shape == (40, 10)
    for name in ("x-idx3-ubyte.gz", "x.npy", "x.npz"):
        assert (
            nncli("predict", runs / "digits", name, "--output", "out.npy", "--overwrite").status
            == 0
        )
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected.outputs)
    assert set(expected.labels or ()) <= set("0123456789")


def test_numbers_as_targets_have_their_names_and_no_class(nncli: Run, runs: Path) -> None:
    header, row = table(nncli("predict", runs / "plane", "-", stdin=b"3,4\n").out)
    assert header == ["sum", "difference"]
    assert [float(cell) for cell in row] == pytest.approx([7, -1], abs=0.5)
    done = nncli("predict", runs / "plane", "-", "--format", "jsonl", stdin=b"3,4\n")
    assert json.loads(done.out).keys() == {"outputs"}


def test_the_training_data_are_not_needed(nncli: Run, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "plane", tmp_path / "run")
    spec = (tmp_path / "run/spec.yaml").read_text()
    (tmp_path / "run/spec.yaml").write_text(spec.replace("plane.csv", "gone.csv"))
    (tmp_path / "x.csv").write_text("x,y\n3,4\n")
    assert nncli("predict", "run", "x.csv").out == nncli("predict", runs / "plane", "x.csv").out


def test_weights_that_came_from_a_file_are_not_needed(nncli: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.eye(2))
    (tmp_path / "t.yaml").write_text(
        "data: {train: {inputs: [[1, 2], [2, 1]], targets: [0, 1]}}\n"
        "network: [{type: dense, units: 2, weights: w.npy, bias: [0.5, 0.25]}]\ntrain: {eta: 1}\n"
    )
    assert nncli("train", "t.yaml").status == 0
    (tmp_path / "w.npy").unlink()
    (tmp_path / "x.csv").write_text("1,2\n")
    assert nncli("predict", "runs/t", "x.csv").status == 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rows"), [("csv", 15_000), ("npy", 15_000)])
def test_memory_does_not_grow_with_the_file(
    runs: Path, tmp_path: Path, kind: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later, "PIECE", 40_000)

    def peak(count: int) -> tuple[int, int]:
        """The most memory that was taken at once, and the size of the file."""
        x = np.arange(count * 4.0).reshape(count, 4) % 7
        path = tmp_path / f"x.{kind}"
        if kind == "csv":
            np.savetxt(path, x, fmt="%.17f", delimiter=",")
        else:
            np.save(path, x)
        with (tmp_path / "out").open("wb") as file:
            tracemalloc.start()
            PREDICTION_FORMATS["csv"].write(library.predict_blocks(runs / "iris", path), file)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert (tmp_path / "out").read_bytes().count(b"\n") == count + 1
        return most, path.stat().st_size

    peak(rows)  # what is loaded at first use is no part of it
    (few, small), (many, large) = peak(2 * rows), peak(10 * rows)
    assert many - few < (large - small) / 10


def test_it_loads_no_more_than_it_needs(runs: Path) -> None:
    others = ["app.train", "app.evaluate", "render.terminal", "inspection", "data.readers.images"]
    # A module that is not there would never be loaded.
    assert all(find_spec(f"nncli.{name}") for name in others)
    others = [f"nncli.{name}" for name in others] + ["rich.table", "rich.progress", "PIL"]
    code = (
        f"import sys; sys.argv = ['nncli', 'predict', {str(runs / 'iris')!r}, {str(IRIS)!r}];"
        f"from nncli.cli.app import run; run(); print(set({others}) & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


class TestWrong:
    """One line a mistake on standard error, status 2, nothing half-written."""

    def fails(self, nncli: Run, folder: Path, *arguments: str | Path) -> str:
        before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        done = nncli("predict", *arguments)
        assert (done.status, done.out) == (2, "")
        after = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        assert after == before
        return done.err

    def test_no_such_file(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, runs / "iris", "none.csv")
        assert err == "nncli: none.csv: no such file\n"

    def test_another_table(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, runs / "iris", runs / "plane.csv", "--output", "x.csv")
        assert "lacks the columns 'sepal_length', 'sepal_width', 'petal_length'" in err

    def test_a_mistake_in_the_last_of_many_rows(
        self, nncli: Run, runs: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "x.csv").write_text("1,2,3,4\n" * 50_000 + "1,2,x,4\n")
        (tmp_path / "old.csv").write_text("as it was")
        err = self.fails(
            nncli, tmp_path, runs / "iris", "x.csv", "--output", "old.csv", "--overwrite"
        )
        assert err == "nncli: x.csv: row 50001, column 3: 'x' is not a number\n"

    def test_numbers_too_large(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("1,2,3,4\n1,2,1e300,4\n")
        err = self.fails(nncli, tmp_path, runs / "iris", "x.csv")
        assert "x.csv: row 2, column 3: 1e+300 is too large for float32" in err

    def test_an_empty_pipe(self, runs: Path) -> None:
        done = piped("NNCLI predict iris - </dev/null", runs)
        assert (done.returncode, done.stdout) == (2, "")
        assert "standard input: is empty" in done.stderr

    def test_an_unknown_suffix(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, runs / "iris", IRIS, "--output", "x.txt")
        assert "--output x.txt: the suffix '.txt' is not known; known are .csv, .jsonl" in err

    def test_a_folder_that_is_not_there(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, runs / "iris", IRIS, "--output", "none/x.csv")
        assert "none/x.csv: cannot be written: no such file or directory" in err

    def test_no_checkpoint(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        shutil.copytree(runs / "iris", tmp_path / "run")
        for checkpoint in (tmp_path / "run").glob("checkpoint.*"):
            checkpoint.unlink()
        assert "there is no such file; a run folder holds one" in self.fails(
            nncli, tmp_path, "run", IRIS
        )
