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
    done = nncli("init", "--quick", "--data", "x.npy", "--targets", "y.npy", "--stdout")
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
    done = nncli("init", "--quick", "--data", "t.csv", "--stdout")
    assert "4 samples of 3 inputs, 2 classes" in done.out
    assert "was taken for a header" in done.out


def test_a_header_behind_a_hash(nncli: Run, write: Any) -> None:
    write(t_csv="# a,b,y\n1,2,0\n3,4,1\n5,6,1\n")
    net = write(net_yaml="data: {train: t.csv, target: b}\n" + NET)
    assert nncli("train", net, "--set", "network[0].units=3", "--out", "run").status == 0
    done = nncli("predict", "run", "t.csv")
    assert done.err == "nncli: t.csv: left out 'b', which the network predicts\n"
    done = nncli("conv", "t.csv", "1 1", "--format", "json")
    assert json.loads(done.out)["output"] == [[3, 2], [7, 5], [11, 7]]


def test_a_comma_at_the_end_of_each_row(nncli: Run, write: Any) -> None:
    write(t_csv="a,b,y,\n1,2,u,\n3,4,v,\n")
    net = write(net_yaml="data: {train: t.csv, target: y}\n" + NET)
    left_out = "t.csv: left out column 4, empty and without a name"
    done = nncli("train", net, "--out", "run")
    assert (done.status, done.err) == (0, f"nncli: {left_out}\n")
    assert (
        f"# Careful: {left_out}.\n" in nncli("init", "--quick", "--data", "t.csv", "--stdout").out
    )
    assert nncli("predict", "run", "t.csv").status == 0


def test_labels_of_digits_and_letters(nncli: Run, write: Any) -> None:
    write(t_csv="a,b,y\n1,2,x\n3,4,1\n5,6,2\n7,8,x\n1,1,1\n2,2,2\n")
    net = write(net_yaml="data: {train: t.csv}\n" + NET.replace("2}]", "3}]"))
    told = (
        "nncli: t.csv: row 2, column 3 (y): 'x' is not a number; if these are classes, name them: "
        'classes: ["1", "2", "x"]; the same in row 5\n'
    )
    assert nncli("train", net).err == told
    assert nncli("init", "--quick", "--data", "t.csv", "--stdout").err == told
    done = nncli("train", net, "--set", 'data.classes=["1", "2", "x"]', "--tables", "none")
    assert "data     6 samples of 2 inputs, 3 classes\n" in done.out


def test_integers_to_be_learnt_as_numbers(nncli: Run, write: Any) -> None:
    write(t_csv="a,b,age\n1,2,23\n3,4,31\n5,6,44\n")
    net = write(net_yaml="data: {train: t.csv}\n" + NET.replace("2}]", "1}]"))
    assert nncli("train", net).err == (
        "nncli: net.yaml:2:32: network[0].units: the data have 3 classes, got 1 unit; units: 3 "
        "would fit; or, if these integers are plain numbers, classes: none (under data)\n"
    )
    assert nncli("train", net, "--set", "data.classes=none").status == 0


def test_labels_saved_as_floats(nncli: Run, write: Any) -> None:
    write(x_npy=np.arange(24.0).reshape(12, 2), y_npy=np.arange(12.0) % 3)
    pair = "data: {train: {inputs: x.npy, targets: y.npy}}\n"
    net = write(net_yaml=pair + NET.replace("2}]", "3}]"))
    told = (
        "nncli: net.yaml:2:32: network[0].units: the data have 1 target a sample, got 3 units; "
        "units: 1 would fit; or, if the targets are classes counted from 0, classes: 3 "
    )
    assert nncli("train", net).err == told + "(under data)\n"
    assert nncli("train", net, "--set", "data.classes=none").err == told + "(not none)\n"
    assert nncli("train", net, "--set", "data.classes=3", "--out", "r").status == 0
    made = nncli("init", "net2", "--quick", "--data", "x.npy", "--targets", "y.npy")
    assert "12 samples of 2 inputs, 3 classes (0, 1, 2)" in made.out
    assert nncli("train", "net2.yaml").status == 0


def test_other_units_that_nothing_else_explains(nncli: Run, write: Any) -> None:
    write(t_csv="a,y\n1,0.5\n3,0.25\n")
    net = write(net_yaml="data: {train: t.csv}\n" + NET)
    assert nncli("train", net).err.endswith("; units: 1 would fit\n")
    write(t_csv="a,y\n1,u\n3,v\n5,w\n")
    assert nncli("train", net, "--set", "network[0].units=1").err.endswith("units: 3 would fit\n")


def test_integers_beyond_those_of_floats(nncli: Run, write: Any) -> None:
    write(t_csv="a,b,y\n1,2,9007199254740993\n3,4,9007199254740992\n5,6,9007199254740993\n")
    net = write(net_yaml="data: {train: t.csv}\n" + NET)
    assert nncli("train", net, "--out", "run").status == 0
    assert nncli("predict", "run", "t.csv").out.startswith(
        "class,9007199254740992,9007199254740993\n"
    )
    assert "2 classes (9007199254740992, 9007199254740993)" in " ".join(
        nncli("init", "--quick", "--data", "t.csv", "--stdout").out.replace("# ", "").split()
    )


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ("{inputs: [[1, 2], [3, 4]], targets: [u, v]}", ["target", "header"]),
        ("{inputs: x.npy, targets: y.npy}", ["target", "header"]),
        ("d.npz", ["target", "header"]),
        ("{inputs: x.npy, targets: y.csv}", ["target"]),
        ("{inputs: x.csv, targets: y.npy}", ["target"]),
        ("t.csv", []),
    ],
)
def test_a_key_without_effect_is_refused(
    nncli: Run, write: Any, tmp_path: Path, train: str, told: list[str]
) -> None:
    x, y = np.array([[1.0, 2], [3, 4]]), np.array([0, 1])
    write(x_npy=x, y_npy=y, x_csv="a,b\n1,2\n3,4\n", y_csv="y\n0\n1\n", t_csv="a,b\n1,0\n3,1\n")
    np.savez(tmp_path / "d.npz", x=x, y=y)
    net = write(net_yaml=f"data:\n  train: {train}\n  target: -1\n  header: true\n{NET}")
    done = nncli("train", net)
    assert done.status == (2 if told else 0)
    messages = {
        "target": "nncli: net.yaml:3:11: data.target: chooses columns of a table, and these data "
        "have their targets apart from the inputs; leave target out",
        "header": "nncli: net.yaml:4:11: data.header: is about the first line of a table, and "
        "these data have none; leave header out",
    }
    assert done.err.splitlines() == [messages[key] for key in told]


def test_a_key_without_effect_keeps_no_run_from_being_used(
    nncli: Run, write: Any, tmp_path: Path
) -> None:
    pair = "data: {train: {inputs: [[1, 2], [3, 4]], targets: [u, v]}}\n"
    assert nncli("train", write(net_yaml=pair + NET), "--out", "run").status == 0
    spec = tmp_path / "run" / "spec.yaml"
    before = spec.read_text()
    spec.write_text(before.replace("  header: null", "  header: true"))
    assert spec.read_text() != before
    assert nncli("evaluate", "run").status == 0


def test_a_path_that_yaml_has_changed(nncli: Run, write: Any) -> None:
    net = write(net_yaml='data: {train: "data\\test.csv"}\n' + NET)
    assert nncli("train", net).err == (
        "nncli: net.yaml:1:15: data.train: there is no file 'data\\test.csv'; within double quotes "
        "\\t makes a tab; use single quotes for a path with backslashes\n"
    )
    for path in ("C:\\users\\new.csv", "C:\\data\\x.csv"):
        net = write(net_yaml=f'data: {{train: "{path}"}}\n' + NET)
        assert "use single quotes" in nncli("show", net).err
    net = write(net_yaml="data: {train: 'data\\test.csv'}\n" + NET)
    assert nncli("train", net).err.endswith("; check the path\n")


def test_overrides_that_are_nearly_right(nncli: Run, write: Any) -> None:
    net = write(net_yaml="data: {train: t.csv}\n" + NET)
    for override, told in (
        ("network.0.units=3", "network is a list; write network[0].units"),
        ("network.units=3", "network is a list; write network[0].units for its first entry"),
        ("eta=0.1", "eta: unknown key 'eta'; did you mean train.eta?"),
        ("scale=16", "scale: unknown key 'scale'; did you mean data.scale?"),
    ):
        assert nncli("show", net, "--set", override).err == f"nncli: --set {override}: {told}\n"
    net = write(net_yaml="eta: 3\ndata: {train: t.csv}\n" + NET)
    assert "1:1: eta: unknown key 'eta'; did you mean train.eta?" in nncli("show", net).err


def test_a_table_with_its_labels_first(nncli: Run, write: Any) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 9))
    rows = [[i % 3, *row, 0] for i, row in enumerate(pixels.tolist())]
    write(t_csv="".join(",".join(map(str, row)) + "\n" for row in rows))
    made = nncli("init", "--quick", "--data", "t.csv", "--stdout")
    assert "60 samples of 9 inputs, 3 classes (0, 1, 2)" in made.out
    assert "target: 0" in made.out
    assert "the first column, as the last is always the same" in made.out
    net = write(net_yaml="data: {train: t.csv}\n" + NET)
    assert nncli("train", net).err == (
        "nncli: net.yaml:1:7: data.target: t.csv: all 60 labels are '0': one class cannot be "
        "learnt to tell from others; for plain numbers set classes: none; if another column holds "
        "the labels, name it, as in "
        "target: 0\n"
    )


def test_cells_between_semicolons(nncli: Run, write: Any) -> None:
    for text, by in (
        ('"acid";"score"\n7.1;5\n7.6;6\n', "';'"),
        ("a;y\n1,5;0\n2,5;1\n", "';', its decimals marked by commas"),
        ("a\ty\n1\t0\n2\t1\n", "tabs"),
    ):
        write(t_csv=text)
        done = nncli("init", "--quick", "--data", "t.csv", "--stdout")
        assert done.status == 0
        assert f"Careful: t.csv: its cells are separated by {by}." in (
            " ".join(done.out.replace("\n# ", " ").split())
        )


def test_a_cosine_that_is_extended_says_that_the_rate_rises(nncli: Run, write: Any) -> None:
    write(t_csv="a,y\n0.1,0.7\n0.2,0.4\n0.3,0.1\n")
    net = write(
        net_yaml="data: {train: t.csv}\nnetwork: [{type: dense, units: 1}]\n"
        "train: {eta: 0.4, epochs: 3, schedule: {type: cosine}}\n"
    )
    assert nncli("train", net, "--out", "run").status == 0
    keep = ["--set", "train.schedule=constant", "--set", "train.eta=0.1"]
    done = nncli("train", "--resume", "run", "--epochs", "6", "--tables", "none")
    assert (
        "nncli: η rises again, from 0.1 to 0.2: the cosine schedule spans 6 epochs now; "
        f"{' '.join(keep)} keeps it\n"
    ) in done.err
    assert nncli("train", net, "--out", "run2").status == 0
    done = nncli("train", "--resume", "run2", "--epochs", "6", *keep, "--format", "json")
    assert "rises" not in done.err
    etas = [epoch["eta"] for epoch in json.loads(done.out)["epochs"]]
    assert etas[3:] == [0.1] * 3


def test_a_cosine_shorter_than_the_training_says_that_the_rate_rises(
    nncli: Run, write: Any
) -> None:
    write(t_csv="a,y\n0.1,0.7\n0.2,0.4\n0.3,0.1\n")
    net = write(
        net_yaml="data: {train: t.csv}\nnetwork: [{type: dense, units: 1}]\n"
        "train: {eta: 0.4, epochs: 6, schedule: {type: cosine, t_max: 3}}\n"
    )
    note = (
        "nncli: net.yaml:3:62: train.schedule.t_max: after 3 epochs η has come to 0, and then it "
        "rises again; the training has 6\n"
    )
    assert nncli("train", net, "--out", "run").err == note
    assert nncli("train", net, "--epochs", "4", "--out", "run4").err == ""
    done = nncli("train", "--resume", "run4", "--epochs", "6")
    assert "after 3 epochs η has come to 0, and then it rises again" in done.err
    assert "spans" not in done.err


def test_how_given_weights_would_be_drawn_is_refused(nncli: Run, write: Any) -> None:
    write(t_csv="a,b,y\n1,2,u\n3,4,v\n")
    layer = "{type: dense, units: 2, weights: [[1, 2], [3, 4]], init: zeros}"
    net = write(net_yaml=f"data: {{train: t.csv}}\nnetwork: [{layer}]\ntrain: {{eta: 1}}\n")
    assert nncli("train", net).err == (
        "nncli: net.yaml:2:68: network[0].init: its weights are given, so that none are drawn; "
        "leave init out\n"
    )
