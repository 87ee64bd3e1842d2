"""Run folders: whole files, nothing overwritten unasked, a checkpoint that reads back."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import nncli
from nncli.core import safetensors_format
from nncli.core.errors import DivergedError, InterruptedTraining, RunError, SpecError
from nncli.core.files import write_whole
from nncli.spec import load_spec, parse_spec
from nncli.training.history import Epoch, Progress
from nncli.training.run_files import PREVIOUS
from nncli.training.trainer import Trainer

SPEC = """
data:
  train: {inputs: [[0, 1], [1, 0], [1, 1], [0, 0]], targets: [1, 1, 0, 0]}
network: [{type: dense, units: 3}, {type: dense, units: 2}]
train: {eta: 0.5, epochs: 3, batch_size: 3, momentum: 0.5}
"""


def test_a_run_holds_spec_metrics_and_checkpoint(tmp_path: Path) -> None:
    done = nncli.train(parse_spec(SPEC), out=tmp_path / "run")
    names = {p.name for p in (tmp_path / "run").iterdir()}
    files = {"checkpoint.safetensors", "data.json", "metrics.jsonl", "spec.yaml"}
    assert names - {PREVIOUS} == files
    lines = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["train_cost"] == done.history[-1].train_cost
    assert {"validation_cost", "validation_accuracy", "train_seconds"} <= lines[0].keys()
    assert {"delta_norm", "weight_gradient_norm", "weight_update_norm", "weight_norm"} <= lines[0][
        "layers"
    ][0].keys()
    arrays, metadata = safetensors_format.read(tmp_path / "run/checkpoint.safetensors")
    for name, array in done.network.named(done.network.parameters).items():
        assert (arrays[name] == array).all()
    assert "velocity.dense2.bias" in arrays
    assert json.loads(metadata["place"])["epoch"] == 3


def test_the_spec_in_a_run_gives_the_same_run(tmp_path: Path) -> None:
    first = nncli.train(parse_spec(SPEC), out=tmp_path / "run")
    second = nncli.train(load_spec(tmp_path / "run/spec.yaml"))
    assert (first.network.parameters == second.network.parameters).all()


def test_nothing_is_written_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nncli.train(parse_spec(SPEC)).folder is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    nncli.train(parse_spec(SPEC), out=tmp_path / "run")
    before = (tmp_path / "run/checkpoint.safetensors").read_bytes()
    with pytest.raises(RunError, match="already holds a run; nncli train --resume goes on with it"):
        nncli.train(parse_spec(SPEC, overrides=["seed=1"]), out=tmp_path / "run")
    assert (tmp_path / "run/checkpoint.safetensors").read_bytes() == before
    nncli.train(parse_spec(SPEC, overrides=["seed=1"]), out=tmp_path / "run", overwrite=True)
    assert (tmp_path / "run/checkpoint.safetensors").read_bytes() != before


def test_a_folder_of_other_files_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="holds files, but no run"):
        nncli.train(parse_spec(SPEC), out=tmp_path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_spec_of_the_users_own_does_not_make_a_run(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("# mine")
    with pytest.raises(RunError, match="holds files, but no run"):
        nncli.train(parse_spec(SPEC), out=tmp_path, overwrite=True)
    assert (tmp_path / "spec.yaml").read_text() == "# mine"


def test_what_does_not_fit_in_memory_writes_nothing(tmp_path: Path) -> None:
    huge = ["data.shape=[1, 1, 2]", "network=[{type: conv, filters: 2, kernel: 3, padding: same, "
            "dilation: 1000000000}, {type: dense, units: 2}]"]  # fmt: skip
    with pytest.raises(SpecError, match=r"would take [\d,.]+ GiB of memory, most of it in conv1"):
        nncli.train(parse_spec(SPEC, overrides=huge), out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(RunError, match="cannot be made a run folder: file exists"):
        nncli.train(parse_spec(SPEC), out=tmp_path / "run")


def test_an_interrupted_training_saves_where_it_stood(tmp_path: Path) -> None:
    def stop(event: Epoch | Progress, trainer: Trainer) -> None:
        if isinstance(event, Epoch) and event.epoch == 2:
            raise InterruptedTraining("stop")

    with pytest.raises(InterruptedTraining):
        nncli.train(parse_spec(SPEC), out=tmp_path / "run", on_event=stop)
    _, metadata = safetensors_format.read(tmp_path / "run/checkpoint.safetensors")
    assert json.loads(metadata["place"]) == {
        "epoch": 2,
        "samples": 0,
        "cost_sum": 0.0,
        "steps_taken": 4,
        "seconds": 0.0,
    }
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2


def test_a_diverged_training_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    spec = parse_spec(
        SPEC,
        overrides=[
            "network[1].activation=identity",
            "network[0].activation=identity",
            "train.eta=1",
            "train.epochs=500",
        ],
    )
    with pytest.raises(DivergedError, match=r"the training diverged in epoch \d+, at step \d+"):
        nncli.train(spec, out=tmp_path / "run")
    arrays, metadata = safetensors_format.read(tmp_path / "run/checkpoint.safetensors")
    assert all(np.isfinite(array).all() for array in arrays.values())
    epochs = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(metadata["place"])["epoch"] == len(epochs) > 0


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="file: cannot be written: no space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RunError, match="pipe: is a device or a pipe, which no file may replace"):
        write_whole(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_for_the_file_before_that_cannot_be_given_leaves_nothing(tmp_path: Path) -> None:
    path, keep = tmp_path / "file", tmp_path / "before"
    write_whole(path, b"old")
    keep.mkdir()
    with pytest.raises(RunError, match="file: cannot be written: is a directory"):
        write_whole(path, b"new", keep=keep)
    assert {p.name for p in tmp_path.iterdir()} == {"file", "before"}


def test_a_file_that_is_the_one_before_already_leaves_no_third_name(tmp_path: Path) -> None:
    path, keep = tmp_path / "file", tmp_path / "before"
    write_whole(path, b"old")
    os.link(path, keep)  # as a process leaves it that was killed between two renames
    write_whole(path, b"new", keep=keep)
    assert (path.read_bytes(), keep.read_bytes()) == (b"new", b"old")
    assert {p.name for p in tmp_path.iterdir()} == {"file", "before"}
