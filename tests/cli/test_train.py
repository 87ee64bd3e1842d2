"""nncli train, from the shell."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.commands import LIMIT
from tests.conftest import CONFIGS, ROOT, Run, mostly_slow

TWO = CONFIGS / "two-two-two.yaml"
TREE = {"checkpoint.safetensors", "data.json", "metrics.jsonl", "spec.yaml"}
BEFORE = "checkpoint.safetensors.before"  # of a run that has lasted


def test_it_shows_what_it_built_did_and_saved(nncli: Run, tmp_path: Path) -> None:
    done = nncli("train", CONFIGS / "iris.yaml")
    assert done.status == 0
    assert done.err == ""
    assert "120 samples of 4 inputs, 3 classes, 30 held back for validation" in done.out
    assert re.search(r"dense1 +tanh +4 +8 +4×8 +40", done.out)
    assert "epoch 60/60" in done.out
    assert "‖ΔW‖/‖W‖" in done.out
    assert "saved in runs/iris" in done.out
    assert {p.name for p in (tmp_path / "runs/iris").iterdir()} - {BEFORE} == TREE


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal(nncli: Run, width: int) -> None:
    done = nncli("train", CONFIGS / "digits-mlp.yaml", COLUMNS=str(width))
    assert max(map(len, done.out.splitlines())) <= width
    assert "…" not in done.out or width < 80


def test_a_pipe_gets_no_colour_and_no_bar(nncli: Run) -> None:
    done = nncli("train", CONFIGS / "iris.yaml")
    assert "\x1b" not in done.out + done.err


def in_a_terminal(folder: Path, *arguments: str | Path, **environment: str) -> str:
    """What a terminal shows of it, standard output and error together."""
    shown, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nncli", *map(str, arguments)],
        cwd=folder,
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment},
    )
    os.close(child)
    chunks = []
    while True:
        try:
            chunk = os.read(shown, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(shown)
    assert process.wait() == 0
    return b"".join(chunks).decode()


def test_a_terminal_gets_colour_and_a_bar(tmp_path: Path) -> None:
    shown = in_a_terminal(tmp_path, "train", CONFIGS / "digits-conv.yaml")
    assert "\x1b[1m" in shown
    assert "samples/s" in shown
    assert re.search(r"epoch \d+/30", shown)
    table = shown.index("‖ΔW‖/‖W‖")
    bar = shown.rindex("samples/s", 0, table)
    assert "\x1b[2K" in shown[bar:table]  # it leaves nothing behind


def test_no_color_means_no_colour(tmp_path: Path) -> None:
    shown = in_a_terminal(tmp_path, "train", CONFIGS / "iris.yaml", NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3\dm", shown)


def test_tables_every_few_epochs(nncli: Run) -> None:
    done = nncli("train", CONFIGS / "iris.yaml", "--tables", "every", "--every", 25)
    assert re.findall(r"^epoch (\d+)/60", done.out, re.M) == ["25", "50", "60"]


def test_tables_none(nncli: Run) -> None:
    done = nncli("train", CONFIGS / "iris.yaml", "--tables", "none")
    assert "‖ΔW‖" not in done.out
    assert "accuracy" in done.out


def test_full_shows_matrices_that_add_up(nncli: Run) -> None:
    done = nncli("train", CONFIGS / "seed-3-4-2.yaml", "--full")
    row = re.search(r"^  \[ 0\.2 -0\.4\] \+ \[(\S+) (\S+)\] = \[ (\S+) (\S+)\]$", done.out, re.M)
    assert row is not None
    update, after = [float(x) for x in row.groups()[:2]], [float(x) for x in row.groups()[2:]]
    for old, step, new in zip((0.2, -0.4), update, after, strict=True):
        assert new == pytest.approx(old + step, abs=1e-12)
    assert "Numbers are rounded for reading; sums add up." in done.out


def test_json_is_pure_and_has_every_digit(nncli: Run) -> None:
    done = nncli("train", TWO, "--format", "json")
    record = json.loads(done.out)
    assert record["epochs"][0]["train_cost"] == pytest.approx(0.2983711088, abs=5e-11)
    assert record["epochs"][0]["train_cost_after"] == pytest.approx(0.2804714468, abs=5e-11)
    assert record["run"] == "runs/two-two-two"
    assert record["diagnosis"]["schema"] == "nncli.diagnosis/1"


def test_the_same_spec_gives_the_same_run(nncli: Run, tmp_path: Path) -> None:
    for out in ("a", "b"):
        assert nncli("train", CONFIGS / "digits-mlp.yaml", "--out", out).status == 0
    checkpoints = [(tmp_path / out / "checkpoint.safetensors").read_bytes() for out in "ab"]
    assert checkpoints[0] == checkpoints[1]
    metrics = [
        [
            {k: v for k, v in json.loads(line).items() if k != "train_seconds"}
            for line in (tmp_path / out / "metrics.jsonl").read_text().splitlines()
        ]
        for out in "ab"
    ]
    assert metrics[0] == metrics[1]


def test_set_overrides(nncli: Run, tmp_path: Path) -> None:
    done = nncli("train", TWO, "--set", "train.eta=0.25", "--set", "train.epochs=2")
    assert "η = 0.25" in done.out
    assert "eta: 0.25" in (tmp_path / "runs/two-two-two/spec.yaml").read_text()


def test_output_that_cannot_be_encoded_is_spelled_out(nncli_process: Run) -> None:
    encoding = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = nncli_process("train", TWO, "--full", **encoding, COLUMNS="100")
    assert done.status == 0
    assert "mean sigma'" in done.out
    assert "?" not in done.out
    assert done.out.isascii()


def test_columns_that_do_not_fit_are_named_with_the_width_that_has_room(nncli: Run) -> None:
    iris = ("train", CONFIGS / "iris.yaml", "--set", "train.epochs=1", "--overwrite")
    narrow = nncli(*iris, COLUMNS="70").out
    (names, width) = re.findall(r"Too narrow for (.*): COLUMNS=(\d+) would show all", narrow)[0]
    assert "‖ΔW‖" in names.split(", ")
    wide = nncli(*iris, COLUMNS=width).out
    assert "Too narrow" not in wide
    assert all(name in wide for name in names.split(", "))


def test_markup_in_a_name_is_only_text(nncli: Run) -> None:
    done = nncli("train", TWO, "--set", "name='[red]x[bold]'", "--out", "run")
    assert "[red]x[bold]" in done.out


def test_a_reader_who_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m nncli train '{CONFIGS / 'iris.yaml'}' | head -1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert len((tmp_path / "runs/iris/metrics.jsonl").read_text().splitlines()) == 60


def test_tables_keep_the_layers_names_however_narrow(nncli: Run) -> None:
    deep = "network=[" + "{type: dense, units: 4}, " * 11 + "{type: dense, units: 3}]"
    for width in (40, 60, 80):
        done = nncli("train", CONFIGS / "iris.yaml", "--set", deep, "--out", f"run{width}",
                     "--set", "train.cost=quadratic", "--set", "train.epochs=1",
                     COLUMNS=str(width))  # fmt: skip
        assert done.status == 0
        assert done.out.count("dense12 ") == 2
        assert max(map(len, done.out.splitlines())) <= width


def test_test_data_are_used_at_the_end(nncli: Run) -> None:
    table = str(ROOT / "data/iris.csv")
    done = nncli("train", CONFIGS / "iris.yaml", "--set", f"data.test={table}")
    assert "150 samples, at the end" in done.out
    assert re.search(r"^test: cost 0\.\d+, accuracy \d+\.\d\d%$", done.out, re.M)


def test_options_that_contradict_each_other(nncli: Run) -> None:
    for options in (("--every", 5, "--tables", "last"), ("--full", "--tables", "none")):
        assert nncli("train", TWO, *options).status == 2
    assert nncli("train", CONFIGS / "iris.yaml", "--every", 30).out.count("epoch 30/60") == 1


class TestWrong:
    """One line a mistake on standard error, status 2, nothing written."""

    def fails(self, nncli: Run, tmp_path: Path, *arguments: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        done = nncli("train", *arguments)
        assert done.status == 2
        assert done.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return done.err

    def test_a_missing_file(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, "none.yaml")
        assert err == "nncli: none.yaml: there is no such file; check the path\n"

    def test_units_that_do_not_fit_the_classes(self, nncli: Run, tmp_path: Path) -> None:
        spec = tmp_path / "iris.yaml"
        text = (CONFIGS / "iris.yaml").read_text().replace("../data", str(ROOT / "data"))
        spec.write_text(text.replace("units: 3", "units: 4"))
        assert self.fails(nncli, tmp_path, spec) == (
            f"nncli: {spec}:14:26: network[1].units: the data have 3 classes, got 4 units; "
            "units: 3 would fit\n"
        )

    def test_a_kernel_larger_than_its_input(self, nncli: Run, tmp_path: Path) -> None:
        spec = CONFIGS / "digits-conv.yaml"
        err = self.fails(nncli, tmp_path, spec, "--set", "network[0].kernel=9",
                         "--set", "network[0].padding=valid")  # fmt: skip
        assert err == (
            "nncli: --set network[0].kernel=9: network[0].kernel: a window of 9 x 9 is larger "
            "than its input of 8 x 8\n"
        )

    def test_an_image_for_a_conv_layer_that_is_a_vector(self, nncli: Run, tmp_path: Path) -> None:
        spec = CONFIGS / "digits-conv.yaml"
        err = self.fails(nncli, tmp_path, spec, "--set", "data.shape=null")
        assert "a conv layer takes an image of channels x rows x columns" in err
        assert "its input is a vector of 64" in err

    def test_weights_of_the_wrong_shape(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(
            nncli, tmp_path, TWO, "--set", "network[0].weights=[[1, 2], [3, 4], [5, 6]]"
        )
        assert "weights of 3 x 2 were given, dense1 takes 2 x 2" in err

    def test_weights_from_a_file_that_is_missing(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, TWO, "--set", "network[0].weights=w.npy")
        assert "network[0].weights" in err
        assert "w.npy" in err

    def test_cross_entropy_of_targets_that_are_no_probabilities(
        self, nncli: Run, tmp_path: Path
    ) -> None:
        err = self.fails(nncli, tmp_path, TWO, "--set", "train.cost=cross_entropy",
                         "--set", "data.train.targets=[[1.5, 0]]")  # fmt: skip
        assert "cross_entropy takes targets from 0 to 1, the data have 0 to 1.5" in err

    def test_softmax_of_targets_that_do_not_sum_to_1(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, TWO, "--set", "train.cost=cross_entropy",
                         "--set", "network[1].activation=softmax",
                         "--set", "data.train.targets=[[0.5, 0]]")  # fmt: skip
        assert "take" in err
        assert "a sum of 0.5" in err

    def test_several_mistakes_are_told_at_once(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, TWO, "--set", "train.eta=0", "--set", "train.epoch=3")
        assert len(err.splitlines()) == 2

    def test_an_unwritable_folder(self, nncli: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        done = nncli("train", TWO, "--out", "file/run")
        assert done.status == 2
        assert done.err == "nncli: file/run: cannot be made a run folder: not a directory\n"

    def test_mistakes_in_layers_and_files_are_told_at_once(
        self, nncli: Run, tmp_path: Path
    ) -> None:
        spec = CONFIGS / "digits-conv.yaml"
        err = self.fails(nncli, tmp_path, spec, "--set", "network[0].weights=w.npy",
                         "--set", "data.test=none.csv")  # fmt: skip
        assert [line.split(": ")[2] for line in err.splitlines()] == [
            "network[0].weights",
            "data.test",
        ]

    def test_a_run_that_is_there(self, nncli: Run) -> None:
        assert nncli("train", TWO).status == 0
        done = nncli("train", TWO)
        assert done.status == 2
        assert done.out == ""
        assert "--overwrite replaces it" in done.err

    def test_a_network_that_no_machine_holds(self, nncli: Run) -> None:
        done = nncli("train", TWO, "--set", "network[0]={type: dense, units: 1000000000}",
                     "--set", "network[1]={type: dense, units: 1000000000}")  # fmt: skip
        assert done.status == 2
        assert re.search(r"network\[1\]: a step of this network would take .* in dense2", done.err)
        assert done.out == ""

    def test_weights_too_large_for_the_dtype(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, TWO, "--set", "dtype=float32",
                         "--set", "network[0].weights=[[1, 2], [3, 1e300]]")  # fmt: skip
        assert "network[0].weights: a number among them is too large for float32" in err

    def test_sizes_beyond_all_bounds(self, nncli: Run, tmp_path: Path) -> None:
        conv = "network=[{type: conv, filters: 2, kernel: 1, padding: 1000000000}, "
        conv += "{type: dense, units: 2}]"
        err = self.fails(nncli, tmp_path, TWO, "--set", conv, "--set", "data.shape=[1, 1, 2]")
        assert "GiB of memory, most of it in" in err


def test_json_tells_of_a_divergence(nncli: Run) -> None:
    linear = ("--set", "network[1].activation=identity", "--set", "train.cost=quadratic")
    spec = CONFIGS / "iris.yaml"
    done = nncli("train", spec, "--set", "train.eta=1e30", *linear, "--format", "json")
    assert done.status == 1
    record = json.loads(done.out)
    assert record["outcome"] == "diverged"
    cause = record["diagnosis"]["causes"][0]
    assert cause.keys() >= {"cause", "layers", "evidence", "cure", "tried"}
    assert cause["cause"] in ("diverged", "eta_too_large")


def test_divergence_is_status_1(nncli: Run, tmp_path: Path) -> None:
    linear = ("--set", "network[1].activation=identity", "--set", "train.cost=quadratic")
    done = nncli("train", CONFIGS / "iris.yaml", "--set", "train.eta=1e30", *linear)
    assert done.status == 1
    assert "the training diverged in epoch 1, at step 2" in done.err
    assert "it began in dense2" in done.err
    assert "to try: a smaller train.eta" in done.err
    assert (tmp_path / "runs/iris/checkpoint.safetensors").is_file()


def test_an_infinite_cost_at_the_end_is_a_divergence(nncli: Run) -> None:
    linear = ("--set", "network[1].activation=identity", "--set", "train.cost=quadratic")
    last = ("--set", "train.epochs=1", "--set", "train.batch_size=120", "--set", "train.eta=1e19")
    done = nncli("train", CONFIGS / "iris.yaml", *linear, *last)
    assert done.status == 1
    assert "the training diverged in epoch 1" in done.err


def test_a_full_disk_behind_standard_output(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m nncli train '{TWO}' >/dev/full"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        "nncli: standard output: No space left on device\n",
    )


def test_a_terminal_that_claims_no_width(nncli: Run) -> None:
    assert "dense1" in nncli("train", TWO, COLUMNS="0").out


@pytest.mark.parametrize("pause", mostly_slow([0.0, 0.05], 2))
def test_a_second_ctrl_c_does_no_damage(nncli: Run, tmp_path: Path, pause: float) -> None:
    process = start_long_training(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert err.startswith("nncli: interrupted; saved ")
    assert {p.name for p in (tmp_path / "runs/digits-mlp").iterdir()} >= TREE
    epochs = len((tmp_path / "runs/digits-mlp/metrics.jsonl").read_bytes().splitlines()) + 1
    assert nncli("train", "--resume", "runs/digits-mlp", "--epochs", epochs).status == 0


def start_long_training(folder: Path) -> "subprocess.Popen[str]":
    """A training that runs on until it is stopped; its first epochs are saved."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nncli", "train", str(CONFIGS / "digits-mlp.yaml"),
         "--set", "train.epochs=100000"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics = folder / "runs/digits-mlp/metrics.jsonl"
    end = time.monotonic() + LIMIT
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < end, "it has no metrics yet"
        time.sleep(0.02)
    return process


def test_ctrl_c_saves_and_is_status_130(tmp_path: Path) -> None:
    process = start_long_training(tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    metrics = tmp_path / "runs/digits-mlp/metrics.jsonl"
    epochs = len(metrics.read_text().splitlines())
    assert err == (
        f"nncli: interrupted; saved after epoch {epochs} of 100,000\n"
        "nncli: to go on: nncli train --resume runs/digits-mlp\n"
    )
    assert (tmp_path / "runs/digits-mlp/checkpoint.safetensors").is_file()


def test_the_same_number_of_threads_gives_the_same_run(nncli: Run, tmp_path: Path) -> None:
    def checkpoint(threads: int, folder: str) -> bytes:
        train = ("train", CONFIGS / "digits-conv.yaml", "--set", "train.epochs=1")
        done = nncli(*train, "--threads", str(threads), "--out", folder)
        assert done.status == 0
        assert f"  threads: {threads}\n" in (tmp_path / folder / "spec.yaml").read_text()
        return (tmp_path / folder / "checkpoint.safetensors").read_bytes()

    assert checkpoint(2, "a") == checkpoint(2, "b")
    assert checkpoint(1, "c") != checkpoint(2, "d"), "sums are taken in another order"
    costs = [
        json.loads((tmp_path / run / "metrics.jsonl").read_text())["train_cost"] for run in "ac"
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)
    assert nncli("inspect-grad", "a", "--batch", "--check", "20").status == 0


def test_it_trains_on_arrays_of_a_file_by_their_names(nncli: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", pixels=rng.normal(size=(20, 3)), kinds=rng.integers(0, 2, 20))
    text = (
        "data: {train: {inputs: d.npz#pixels, targets: d.npz#kinds}}\n"
        "network: [{type: dense, units: 2, activation: softmax}]\n"
        "train: {eta: 0.1, epochs: 1, batch_size: 5, cost: cross_entropy}\n"
    )
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    assert nncli("train", "net.yaml").status == 0
    (tmp_path / "net.yaml").write_text(text.replace("d.npz", "e.npz"), encoding="utf-8")
    done = nncli("train", "net.yaml")
    assert f"data.train.inputs: there is no file '{tmp_path.resolve()}/e.npz'" in done.err or (
        "data.train.inputs: there is no file 'e.npz'" in done.err
    )
