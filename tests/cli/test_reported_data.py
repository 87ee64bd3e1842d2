"""Data that went wrong in tools of this kind, run as their owners would run them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Run

NET = "network: [{type: dense, units: 2}]\ntrain: {eta: 0.5, epochs: 2, batch_size: 2}\n"
CONV = (
    "network: [{type: conv, filters: 4, kernel: 3, activation: relu}, {type: dense, units: 3}]\n"
    "train: {eta: 0.1, epochs: 1}\n"
)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a file, or some, and gives the last one's name."""

    def write(**files: Any) -> str:
        for name, content in files.items():
            path = tmp_path / name.replace("_", ".")
            if isinstance(content, str):
                path.write_text(content)
            else:
                np.save(path, content)
        return path.name

    return write


def images(*shape: int) -> Any:
    return np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)


def test_images_with_channels_last_are_noted_wherever_a_conv_layer_meets_them(
    nncli: Run, write: Any
) -> None:
    write(x_npy=images(6, 8, 8, 3), y_npy=np.array([0, 1, 2, 0, 1, 2]))
    net = write(net_yaml="data: {train: {inputs: x.npy, targets: y.npy}, scale: 255}\n" + CONV)
    note = (
        "nncli: net.yaml:1:15: data.train: conv1 takes its 8 x 8 x 3 inputs for channels x rows x "
        "columns; if the last number is that of the channels, save the array as "
        "x.transpose(0, 3, 1, 2)\n"
    )
    for command in (["summary"], ["train", "--out", "run"], ["inspect-grad"]):
        done = nncli(command[0], net, *command[1:])
        assert (done.status, done.err) == (0, note), command
    assert nncli("evaluate", "run").status == 0
    done = nncli("init", "--data", "x.npy", "--targets", "y.npy", "--stdout")
    assert "Careful: images are channels x rows x columns here" in done.out
    given = write(net_yaml="data: {train: t.csv, shape: [8, 8, 3]}\n" + CONV)
    assert nncli("summary", given).err.endswith("channels, write [3, rows, columns]\n")


@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (6, 4, 8, 1), (6, 8, 4, 3), (6, 8, 8)])
def test_other_images_are_not(nncli: Run, write: Any, shape: Any) -> None:
    write(x_npy=images(*shape), y_npy=np.array([0, 1, 2, 0, 1, 2]))
    kernel = CONV.replace("kernel: 3", "kernel: [3, 1]")
    net = write(net_yaml="data: {train: {inputs: x.npy, targets: y.npy}}\n" + kernel)
    assert nncli("summary", net).err == ""


def test_a_matrix_with_channels_last_is_noted(nncli: Run, write: Any) -> None:
    note = (
        "m.npy: its 8 x 8 x 3 are taken for channels x rows x columns; if the last number is that "
        "of the channels, save the array as x.transpose(2, 0, 1)"
    )
    write(m_npy=images(8, 8, 3))
    assert note in " ".join(nncli("conv", "m.npy", "1 1").out.split())
    assert note in " ".join(nncli("conv", "m.npy", "1 1", "--format", "json").err.split())
    write(m_npy=images(3, 8, 8))
    assert "taken for" not in nncli("conv", "m.npy", "1 1").out


def test_predicting_from_channels_last_is_refused(nncli: Run, write: Any) -> None:
    write(x_npy=images(6, 3, 6, 6), y_npy=np.array([0, 1, 2, 0, 1, 2]))
    write(last_npy=images(6, 6, 6, 3))
    net = write(net_yaml="data: {train: {inputs: x.npy, targets: y.npy}, scale: 255}\n" + CONV)
    assert nncli("train", net, "--out", "run").status == 0
    told = (
        "nncli: last.npy: has an image of 6 x 6 x 3 a sample, but the network takes an image of "
        "3 x 6 x 6; save the array as x.transpose(0, 3, 1, 2)\n"
    )
    for command in (["predict", "run", "last.npy"], ["evaluate", "run", "--data", "last.npy"]):
        targets = ["--targets", "y.npy"] if command[0] == "evaluate" else []
        done = nncli(*command, *targets)
        assert (done.status, done.out, done.err) == (2, "", told)


def test_a_header_of_numbers(nncli: Run, write: Any) -> None:
    write(t_csv="0,1,2,3\n0.7,0.5,0.3,1\n0.3,0.1,0.6,0\n0.1,0.2,0.2,1\n0.9,0.4,0.5,0\n")
    note = "t.csv: the first row, 0 to 3, was taken for a header; if it is a sample, set header: "
    done = nncli("train", write(net_yaml="data: {train: t.csv}\n" + NET), "--tables", "none")
    assert "data     4 samples of 3 inputs, 2 classes\n" in done.out
    assert f"nncli: {note}false\n" in done.err
    done = nncli("train", "net.yaml", "--out", "r", "--set", "data.header=false")
    assert "the data have 3 classes" in done.err
    assert "taken for a header" not in done.err
    done = nncli("train", "net.yaml", "--out", "r", "--set", "network[0].units=3")
    assert done.err.splitlines()[1:] == [f"nncli: {note}false"]
    done = nncli("init", "--data", "t.csv", "--stdout")
    assert "4 samples of 3 inputs, 2 classes" in done.out
    assert "was taken for a header" in done.out


def test_a_header_behind_a_hash(nncli: Run, write: Any) -> None:
    write(t_csv="# a,b,y\n1,2,0\n3,4,1\n5,6,1\n")
    net = write(net_yaml="data: {train: t.csv, target: b}\n" + NET)
    assert nncli("train", net, "--set", "network[0].units=3", "--out", "run").status == 0
    done = nncli("predict", "run", "t.csv")
    assert done.err == "t.csv: left out 'b', which the network predicts\n"
    done = nncli("conv", "t.csv", "1 1", "--format", "json")
    assert json.loads(done.out)["output"] == [[3, 2], [7, 5], [11, 7]]


def test_a_comma_at_the_end_of_each_row(nncli: Run, write: Any) -> None:
    write(t_csv="a,b,y,\n1,2,u,\n3,4,v,\n")
    net = write(net_yaml="data: {train: t.csv, target: y}\n" + NET)
    left_out = "t.csv: left out column 4, empty and without a name"
    done = nncli("train", net, "--out", "run")
    assert (done.status, done.err) == (0, f"nncli: {left_out}\n")
    assert f"# Careful: {left_out}.\n" in nncli("init", "--data", "t.csv", "--stdout").out
    assert nncli("predict", "run", "t.csv").status == 0
