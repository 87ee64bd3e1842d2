"""Networks of other programs as specs in files, and what is made of them."""

import re
from pathlib import Path

import numpy as np
import pytest

import nncli as package
from nncli.app.bring import from_onnx
from nncli.core.errors import NncliError, RunError
from tests.conftest import CONFIGS, Run
from tests.exchange.networks import LENET, trained
from tests.exchange.test_foreign_network import Tensor, linear, module, sequential

MODEL = sequential(linear(3, 4), module("ReLU"), linear(4, 2))


def test_a_spec_with_its_weights_beside_it(tmp_path: Path) -> None:
    spec = package.from_torch(MODEL, tmp_path / "net.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net.samples.npz",
        "net.weights.safetensors",
        "net.yaml",
    ]
    text = (tmp_path / "net.yaml").read_text()
    assert "  - {type: dense, units: 4, bias: false, activation: relu}\n" in text
    assert "The samples were made up" in text
    trace = package.trace_step(spec, samples=[0])
    weight = trace.layers[1].weight
    assert weight is not None
    assert weight.tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    a = np.maximum(trace.inputs @ np.arange(12, dtype=np.float32).reshape(4, 3).T, 0)
    assert np.allclose(trace.layers[1].a, a @ weight)
    assert package.inspect(trace).check is not None
    assert package.load_spec(tmp_path / "net.yaml") == spec
    with pytest.raises(RunError, match="is there already"):
        package.from_torch(MODEL, tmp_path / "net.yaml")
    package.from_torch(MODEL, tmp_path / "net.yaml", cost="cross_entropy", overwrite=True)
    text = (tmp_path / "net.yaml").read_text()
    assert "  - {type: dense, units: 2, bias: false, activation: softmax}\n" in text
    assert "data: {train: net.samples.npz}\n" in text


def test_samples_of_ones_own(tmp_path: Path) -> None:
    x, y = np.eye(3, dtype=np.float32), np.array([[1.0, 2], [3, 4], [5, 6]])
    spec = package.from_torch(MODEL, tmp_path / "a.yaml", inputs=Tensor(x), targets=Tensor(y))
    trace = package.trace_step(spec, samples=[0, 1, 2])
    assert (trace.inputs.tolist(), trace.targets.tolist()) == (x.tolist(), y.tolist())
    for given, message in (
        ({"inputs": x}, "inputs are given without targets"),
        ({"targets": y}, "targets are given without inputs"),
        ({"inputs": x, "targets": y[:2]}, "there are 3 inputs and 2 targets"),
        ({"inputs": np.eye(4), "targets": y}, "takes 3 numbers, and gets 4"),
        ({"inputs": x, "targets": y[:, :1]}, "units"),
        ({"input_shape": (3, 3)}, "expected one number, or channels, rows and columns"),
        ({"cost": "cross-entropy"}, "known are quadratic or cross_entropy; did you mean"),
    ):
        with pytest.raises(NncliError, match=re.escape(message)):
            package.from_torch(MODEL, tmp_path / "b.yaml", **given)
    assert not list(tmp_path.glob("b.*"))


def test_what_is_to_be_known_stands_in_the_spec(tmp_path: Path) -> None:
    model = sequential(linear(3, 4), module("ReLU"), module("ReLU"), module("LogSoftmax", dim=1))
    package.from_torch(model, tmp_path / "net.yaml")
    lines = (tmp_path / "net.yaml").read_text().splitlines()
    assert lines[1].startswith("# - 2 (ReLU) has no layer of its own in nncli: ")
    assert "# - 3 (LogSoftmax) is a softmax, and its logarithm is taken by the cost, " in lines[3]
    assert max(map(len, lines)) <= 100


def test_init_from_a_model(nncli: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not here: pip install 'nncli[onnx]'")
    from nncli.exchange.onnx_graph import to_onnx

    network = trained(LENET)
    (tmp_path / "lenet.onnx").write_bytes(to_onnx(network)[".onnx"])
    done = nncli("init", "--from", "lenet.onnx")
    assert (done.status, done.err) == (0, "")
    assert "wrote lenet.yaml, lenet.weights.safetensors, lenet.samples.npz" in done.out
    assert "next: nncli inspect-grad lenet.yaml" in done.out
    ours = package.prepare(package.load_spec(tmp_path / "lenet.yaml")).network
    assert np.array_equal(ours.parameters, network.network.parameters)
    assert nncli("inspect-grad", "lenet.yaml", "--check", "3").status == 0
    assert nncli("explain", "lenet.yaml").status == 0
    assert nncli("init", "--from", "lenet.onnx").status == 2
    done = nncli("init", "--from", "lenet.onnx", "other", "--data", CONFIGS / "iris.yaml")
    assert done.status == 2
    assert not (tmp_path / "other.yaml").exists()
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    for words, message in (
        (("--from", "junk.onnx"), "junk.onnx: is no valid ONNX model: "),
        (("--from", "none.onnx"), "none.onnx: cannot be read: no such file"),
        (("--from", "lenet.onnx", "--shape", "1,x"), "--shape 1,x: expected whole numbers"),
        (("--from", "lenet.onnx", "--quick"), "--from goes without --starter"),
        (("--shape", "1,28,28"), "--shape and --cost are of a model"),
    ):
        done = nncli("init", *words)
        assert (done.status, message in done.err) == (2, True), done.err


def test_data_for_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="onnx is not here: pip install 'nncli[onnx]'")
    from nncli.exchange.onnx_graph import to_onnx

    prepared = package.prepare(package.load_spec(CONFIGS / "iris.yaml"))
    from nncli.exchange.trained import Trained

    inputs = np.zeros((1, 4), np.float32)
    network = Trained("iris", prepared.network, None, None, inputs, np.zeros((1, 3), np.float32))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris.onnx").write_bytes(to_onnx(network)[".onnx"])
    (tmp_path / "specs").mkdir()
    table = CONFIGS.parent / "data" / "iris.csv"
    brought = from_onnx("iris.onnx", "specs/iris", data=table, target=["species"])
    assert [path.name for path in brought.files] == ["iris.yaml", "iris.weights.safetensors"]
    assert len(package.prepare(brought.spec).data.train) == 150
