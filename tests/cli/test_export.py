"""nncli export, from the shell."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import nncli as package
from nncli.core import safetensors_format
from tests.conftest import CONFIGS, Run, mostly_slow

FILES = {
    "onnx": ["iris.onnx"],
    "pytorch": ["iris.py", "iris.weights.safetensors", "iris.check.safetensors"],
    "safetensors": ["iris.safetensors"],
    "npz": ["iris.npz"],
}


@pytest.fixture
def run(nncli: Run) -> str:
    assert nncli("train", CONFIGS / "iris.yaml", "--set", "train.epochs=2").status == 0
    return "runs/iris"


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"runs"}


@pytest.mark.parametrize("to", FILES)
def test_each_format(nncli: Run, run: str, tmp_path: Path, to: str) -> None:
    done = nncli("export", run, "--to", to)
    assert (done.status, done.err) == (0, "")
    assert there(tmp_path) == set(FILES[to])
    assert all(name in done.out for name in FILES[to])
    assert "inputs of samples x 4" in done.out
    assert ("raw inputs" in done.out) == (to in ("onnx", "pytorch"))
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("to", FILES)
def test_as_json(nncli: Run, run: str, to: str) -> None:
    record = json.loads(nncli("export", run, "--to", to, "--format", "json").out)
    assert record["schema"] == "nncli.export/1"
    assert record["files"] == FILES[to]
    assert record["classes"] == ["setosa", "versicolor", "virginica"]
    assert record["scales_inputs"] == (to in ("onnx", "pytorch"))


@pytest.mark.parametrize("to", FILES)
def test_the_same_run_gives_the_same_bytes(nncli: Run, run: str, tmp_path: Path, to: str) -> None:
    contents = []
    for _ in range(2):
        assert nncli("export", run, "--to", to, "--overwrite").status == 0
        contents.append([(tmp_path / name).read_bytes() for name in FILES[to]])
    assert contents[0] == contents[1]


def test_the_weights_are_those_of_the_run(nncli: Run, run: str, tmp_path: Path) -> None:
    assert nncli("export", run, "--to", "npz", "--output", "w.npz").status == 0
    kept, _ = safetensors_format.read(tmp_path / run / "checkpoint.safetensors")
    with np.load(tmp_path / "w.npz") as arrays:
        for name in ("dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias"):
            np.testing.assert_array_equal(arrays[name], kept[name])


def test_what_is_there_is_kept(nncli: Run, run: str, tmp_path: Path) -> None:
    """One of the three files is enough to refuse, and then none of them is written."""
    (tmp_path / "iris.check.safetensors").write_text("precious")
    done = nncli("export", run, "--to", "pytorch")
    assert done.status == 2
    assert "iris.check.safetensors: is there already; --overwrite replaces it" in done.err
    assert there(tmp_path) == {"iris.check.safetensors"}
    assert nncli("export", run, "--to", "pytorch", "--overwrite").status == 0
    assert (tmp_path / "iris.check.safetensors").read_bytes() != b"precious"


def test_a_folder_that_is_not_there(nncli: Run, run: str, tmp_path: Path) -> None:
    done = nncli("export", run, "--to", "pytorch", "--output", "none/x.py")
    assert done.status == 2
    assert "cannot be written: no such file or directory" in done.err


def test_the_suffix_tells_the_format(nncli: Run, run: str, tmp_path: Path) -> None:
    done = nncli("export", run, "--to", "onnx", "--output", "x.npz")
    assert (done.status, there(tmp_path)) == (2, set())
    assert "--output x.npz: expected a name that ends in .onnx" in done.err


def test_without_the_extra(nncli_process: Run, run: str, tmp_path: Path) -> None:
    (tmp_path / "hidden/onnx").mkdir(parents=True)
    (tmp_path / "hidden/onnx/__init__.py").write_text("raise ImportError('not here')")
    done = nncli_process("export", run, "--to", "onnx", PYTHONPATH=str(tmp_path / "hidden"))
    assert done.status == 2
    assert done.err == "nncli: an ONNX export needs onnx: pip install 'nncli[onnx]'\n"
    assert there(tmp_path) == {"hidden"}


class TestWhatIsNoRun:
    def test_no_checkpoint(self, nncli: Run, run: str, tmp_path: Path) -> None:
        for checkpoint in (tmp_path / run).glob("checkpoint.*"):
            checkpoint.unlink()
        done = nncli("export", run, "--to", "npz")
        assert (done.status, there(tmp_path)) == (2, set())
        assert "checkpoint.safetensors: there is no such file" in done.err

    def test_a_spec(self, nncli: Run) -> None:
        done = nncli("export", CONFIGS / "iris.yaml", "--to", "npz")
        assert done.status == 2
        assert "iris.yaml: is a file; a run folder is needed" in done.err

    def test_nothing(self, nncli: Run) -> None:
        assert nncli("export", "runs/none", "--to", "npz").status == 2

    def test_no_such_format(self, nncli: Run, run: str) -> None:
        assert nncli("export", run, "--to", "keras").status == 2


@pytest.mark.parametrize(
    "name",
    mostly_slow(['""" + boom()', "a b; rm -rf ~", "v1.2", "ünï", "-x", "{boom}", "2", "torch"], 4),
)
def test_names_are_but_names(nncli: Run, tmp_path: Path, name: str) -> None:
    spec = ("train", CONFIGS / "two-two-two.yaml", "--set", f"name={json.dumps(name)}")
    assert nncli(*spec, "--out", "run").status == 0
    for to in FILES:
        assert nncli("export", "run", "--to", to).status == 0
    (module,) = tmp_path.glob("*.py")
    assert module.stem.isidentifier()
    assert module.stem != "torch"
    ast.parse(module.read_text())
    assert (tmp_path / f"{name}.onnx").is_file()


def test_from_python(nncli: Run, run: str, tmp_path: Path) -> None:
    done = package.export(tmp_path / run, "safetensors", output=tmp_path / "w.safetensors")
    assert done.files == (tmp_path / "w.safetensors",)
    with pytest.raises(package.NncliError, match="'keras' is no format to export to; known are"):
        package.export(tmp_path / run, "keras")


def test_outputs_of_scaled_targets_are_in_their_own_units(nncli: Run, tmp_path: Path) -> None:
    """Of what every format writes, those that `predict` gives for the same table."""
    sizes, kinds = np.linspace(40, 200, 40), ["flat", "house"] * 20
    both = [*zip(sizes, kinds, strict=True)]
    rows = [f"{s:.17g},{k},{2000 * s + 9000 * (k == 'flat'):g}" for s, k in both]
    (tmp_path / "t.csv").write_text("\n".join(["size,kind,price", *rows]))
    (tmp_path / "n.yaml").write_text(
        "data: {train: t.csv, target: price, classes: none, scale: standard,\n"
        "  target_scale: standard}\n"
        "network: [{type: dense, units: 3, activation: tanh}, {type: dense, units: 1, "
        "activation: identity}]\ntrain: {eta: 0.2, epochs: 8, batch_size: 40}\ndtype: float64\n"
    )
    assert nncli("train", "n.yaml").status == 0
    predicted = np.array([float(a) for a in nncli("predict", "runs/n", "t.csv").out.split()[1:]])
    text = {to: nncli("export", "runs/n", "--to", to).out for to in FILES}
    assert "outputs of samples x 1, in the targets' own units" in text["onnx"]
    assert "output * target_scaling.divisor + target_scaling.offset" in text["npz"]
    assert "the file does not make them: size, kind=flat, kind=house" in text["pytorch"]

    features = np.column_stack([sizes, [k == "flat" for k in kinds], [k == "house" for k in kinds]])
    with np.load(tmp_path / "n.npz") as held:
        file = dict(held)
    assert json.loads(str(file["metadata"]))["features"] == '["size", "kind=flat", "kind=house"]'
    x = (features - file["scaling.offset"]) / file["scaling.divisor"]
    x = np.tanh(x @ file["dense1.weight"] + file["dense1.bias"])
    x = x @ file["dense2.weight"] + file["dense2.bias"]
    outputs = x * file["target_scaling.divisor"] + file["target_scaling.offset"]
    np.testing.assert_allclose(outputs[:, 0], predicted, rtol=1e-6)  # which are printed so
    assert nncli("train", "n.yaml", "--init-from", "n.npz", "--out", "again").status == 0

    check = safetensors_format.read(tmp_path / "n.check.safetensors")[0]
    x = (check["inputs"] - file["scaling.offset"]) / file["scaling.divisor"]
    x = np.tanh(x @ file["dense1.weight"] + file["dense1.bias"])
    scaled = x @ file["dense2.weight"] + file["dense2.bias"]
    assert check["cost"] == pytest.approx(np.mean((scaled - check["targets"]) ** 2) / 2)
    own = scaled * file["target_scaling.divisor"] + file["target_scaling.offset"]
    np.testing.assert_allclose(check["outputs"], own, rtol=1e-12)

    onnx = pytest.importorskip("onnx.reference")
    evaluator = onnx.ReferenceEvaluator(str(tmp_path / "n.onnx"))
    (outputs,) = evaluator.run(None, {"input": features.astype(np.float32)})
    np.testing.assert_allclose(outputs[:, 0], predicted, rtol=1e-5)
