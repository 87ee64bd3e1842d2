"""nncli train --init-from, and weights: of files, from the shell."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli import NncliError, load_spec, prepare, start_from
from nncli.core import safetensors_format
from tests.conftest import CONFIGS, ROOT, Run

DIGITS = CONFIGS / "digits-mlp.yaml"
SHORT = ("--set", "train.epochs=1", "--tables", "none", "--overwrite")


def checkpoint(folder: Path) -> dict[str, NDArray[Any]]:
    return safetensors_format.read(folder / "checkpoint.safetensors")[0]


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, NDArray[Any]]:
    """Weights of the digits network, in PyTorch's layout and under names of one's own."""
    rng = np.random.default_rng(1)
    shapes: dict[str, Any] = {
        "hidden.weight": (30, 64),
        "hidden.bias": 30,
        "out.weight": (10, 30),
        "out.bias": 10,
    }
    arrays = {name: rng.normal(0, 0.1, shape).astype("f4") for name, shape in shapes.items()}
    np.savez(tmp_path / "w.npz", **arrays)
    (tmp_path / "w.safetensors").write_bytes(safetensors_format.pack(arrays, {"format": "pt"}))
    return arrays


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors"])
def test_from_pytorch(nncli: Run, tmp_path: Path, weights: dict[str, Any], name: str) -> None:
    done = nncli("train", DIGITS, "--init-from", name, "--from", "pytorch", *SHORT)
    assert done.status == 0
    said = " ".join(done.out.split())
    assert f"start {name}: hidden → dense1 (turned), out → dense2 (turned)" in said
    spec = (tmp_path / "runs/digits-mlp/spec.yaml").read_text()
    assert f"init_from: {tmp_path.resolve() / name}" in spec
    assert "weights_layout: pytorch" in spec
    # No step is so short that nothing moves: only the very first step tells where it began.
    trace = nncli("inspect-grad", "runs/digits-mlp/spec.yaml", "--format", "json")
    assert trace.status == 0
    prepared = prepare(load_spec(tmp_path / "runs/digits-mlp/spec.yaml"))
    views = prepared.network.views(prepared.network.parameters)
    np.testing.assert_array_equal(views["dense1"]["weight"], weights["hidden.weight"].T)
    np.testing.assert_array_equal(views["dense2"]["bias"], weights["out.bias"])


def test_the_spec_of_the_run_repeats_the_run(
    nncli: Run, tmp_path: Path, weights: dict[str, Any]
) -> None:
    assert nncli("train", DIGITS, "--init-from", "w.npz", "--from", "pytorch", *SHORT).status == 0
    assert nncli("train", "runs/digits-mlp/spec.yaml", "--out", "again", *SHORT).status == 0
    first, second = checkpoint(tmp_path / "runs/digits-mlp"), checkpoint(tmp_path / "again")
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_run_needs_its_first_weights_no_more(
    nncli: Run, tmp_path: Path, weights: dict[str, Any]
) -> None:
    assert nncli("train", DIGITS, "--init-from", "w.npz", "--from", "pytorch", *SHORT).status == 0
    before = nncli("inspect-grad", "runs/digits-mlp", "--format", "json")
    (tmp_path / "w.npz").unlink()
    assert nncli("inspect-grad", "runs/digits-mlp", "--format", "json").out == before.out


@pytest.mark.parametrize("to", ["safetensors", "npz", "pytorch"])
@pytest.mark.parametrize("spec", ["iris", "digits-conv"])
def test_what_was_exported_is_where_the_next_training_starts(
    nncli: Run, tmp_path: Path, spec: str, to: str
) -> None:
    path = CONFIGS / f"{spec}.yaml"
    assert nncli("train", path, "--out", "a", *SHORT).status == 0
    output = "w.py" if to == "pytorch" else f"w.{to}"
    assert nncli("export", "a", "--to", to, "--output", output).status == 0
    name = "w.weights.safetensors" if to == "pytorch" else output
    layout: Any = "pytorch" if to == "pytorch" else "nncli"
    started = prepare(start_from(load_spec(path), tmp_path / name, layout))
    for key, array in started.network.named(started.network.parameters).items():
        np.testing.assert_array_equal(array, checkpoint(tmp_path / "a")[key])


def test_a_run_folder_will_do(nncli: Run, tmp_path: Path) -> None:
    assert nncli("train", DIGITS, "--out", "a", *SHORT).status == 0
    done = nncli("train", DIGITS, "--init-from", "a", "--out", "b", *SHORT)
    assert done.status == 0
    assert "a/checkpoint.safetensors, layer by layer" in done.out


def test_a_run_whose_last_checkpoint_is_damaged(nncli: Run, tmp_path: Path) -> None:
    for epochs in ("1", "2"):
        goes_on = ["--resume", "a"] if epochs == "2" else [DIGITS, "--out", "a"]
        assert nncli("train", *goes_on, "--epochs", epochs).status == 0
    last = tmp_path / "a/checkpoint.safetensors"
    content = bytearray(last.read_bytes())
    content[-5] ^= 1
    last.write_bytes(content)
    done = nncli("train", DIGITS, "--init-from", "a", "--out", "b", *SHORT)
    assert done.status == 0
    assert "checkpoint.safetensors: damaged: its checksum is not that of its content; " in done.err
    assert "the checkpoint before it is used" in done.err
    assert "a/checkpoint.safetensors.before, layer by layer" in done.out
    (tmp_path / "a/checkpoint.safetensors.before").unlink()
    done = nncli("train", DIGITS, "--init-from", "a", "--out", "c", *SHORT)
    assert (done.status, done.err) == (
        2,
        "nncli: a/checkpoint.safetensors: damaged: its checksum is not that of its content\n",
    )


class TestRefusals:
    def fails(self, nncli: Run, tmp_path: Path, *arguments: str) -> str:
        done = nncli("train", DIGITS, *arguments)
        assert done.status == 2
        assert not (tmp_path / "runs").exists()
        return done.err

    def test_a_network_of_another_shape(
        self, nncli: Run, tmp_path: Path, weights: dict[str, Any]
    ) -> None:
        wide = ("--set", "network[0].units=31", "--from", "pytorch")
        err = self.fails(nncli, tmp_path, "--init-from", "w.npz", *wide)
        assert "nncli: w.npz: its modules do not fit the network's layers" in err
        assert "linear modules: hidden: 30 x 64 with biases" in err
        assert "linear layers:  dense1: 31 x 64 with biases" in err

    def test_pytorch_without_being_asked(
        self, nncli: Run, tmp_path: Path, weights: dict[str, Any]
    ) -> None:
        assert "--from pytorch" in self.fails(nncli, tmp_path, "--init-from", "w.safetensors")
        assert "--from pytorch" in self.fails(nncli, tmp_path, "--init-from", "w.npz")

    def test_from_without_a_file(self, nncli: Run, tmp_path: Path) -> None:
        err = self.fails(nncli, tmp_path, "--from", "pytorch")
        assert "--from pytorch says how weights lie in a file: it goes with --init-from" in err

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("x.pt", b"", "x.pt: is PyTorch's pickle, which is never read"),
            ("x.npz", b"PK\x05\x06", "x.npz: is not an .npz file, or is damaged"),
            ("x.safetensors", b"\xff" * 9, "x.safetensors: not a whole safetensors file"),
            ("x.h5", b"", "x.h5: expected an .npz or .safetensors file"),
            ("none.npz", None, "none.npz: no such file"),
        ],
    )
    def test_what_is_no_file_of_weights(
        self, nncli: Run, tmp_path: Path, name: str, content: bytes | None, message: str
    ) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert message in self.fails(nncli, tmp_path, "--init-from", name)

    def test_pickled_objects_are_never_read(self, nncli: Run, tmp_path: Path) -> None:
        arrays: dict[str, Any] = {"dense1.weight": np.array([{}], object)}
        np.savez(tmp_path / "x.npz", **arrays)
        err = self.fails(nncli, tmp_path, "--init-from", "x.npz")
        assert "holds pickled Python objects, which are never read" in err

    def test_a_mistake_in_the_spec_is_told_where_it_stands(
        self, nncli: Run, tmp_path: Path
    ) -> None:
        text = DIGITS.read_text().replace("../data", f"{ROOT}/data")
        lines = [*text.rstrip().splitlines(), "  init_from: none.npz"]
        (tmp_path / "s.yaml").write_text("\n".join(lines))
        done = nncli("train", "s.yaml")
        assert done.status == 2
        assert (
            done.err == f"nncli: s.yaml:{len(lines)}:14: train.init_from: none.npz: no such file\n"
        )


class TestWeightsOfALayer:
    def network(self, tmp_path: Path, *sets: str) -> Any:
        shutil.copy(CONFIGS / "two-two-two.yaml", tmp_path / "s.yaml")
        spec = load_spec(tmp_path / "s.yaml", sets)
        network = prepare(spec).network
        return network.views(network.parameters)

    @pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
    def test_by_the_layers_name_by_another_and_turned(self, tmp_path: Path, suffix: str) -> None:
        arrays: dict[str, Any] = {
            "dense1.weight": np.array([[1.0, 2], [3, 4]]),
            "dense2.bias": np.array([5.0, 6]),
        }
        arrays["dense2.weight"] = arrays["dense1.weight"] + 10
        path = tmp_path / f"w{suffix}"
        path.write_bytes(safetensors_format.pack(arrays, {}))
        if suffix == ".npz":
            np.savez(path, **arrays)
        here = f"network[0].weights=w{suffix}"
        assert self.network(tmp_path, here)["dense1"]["weight"].tolist() == [[1, 2], [3, 4]]
        views = self.network(tmp_path, here, f"network[1].bias=w{suffix}",
                             f"network[1].weights=w{suffix}#dense1.weight")  # fmt: skip
        assert views["dense2"]["weight"].tolist() == [[1, 2], [3, 4]]
        assert views["dense2"]["bias"].tolist() == [5, 6]
        turned = self.network(tmp_path, here, "train.weights_layout=pytorch")
        assert turned["dense1"]["weight"].tolist() == [[1, 3], [2, 4]]

    def test_the_only_array_of_a_file_needs_no_name(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "w.npz", anything=np.eye(2))
        views = self.network(tmp_path, "network[0].weights=w.npz")
        assert views["dense1"]["weight"].tolist() == [[1, 0], [0, 1]]

    def test_names_that_are_not_there(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "w.npz", a=np.eye(2), b=np.eye(2))
        with pytest.raises(NncliError, match=r"holds no dense1\.weight, but a, b; name one of"):
            self.network(tmp_path, "network[0].weights=w.npz")
        with pytest.raises(NncliError, match=r"network\[0\]\.weights: .*holds no c, but a, b$"):
            self.network(tmp_path, "network[0].weights=w.npz#c")

    def test_the_run_remembers_which_array(self, nncli: Run, tmp_path: Path) -> None:
        np.savez(tmp_path / "w.npz", a=np.eye(2), b=np.eye(2))
        shutil.copy(CONFIGS / "two-two-two.yaml", tmp_path / "s.yaml")
        assert nncli("train", "s.yaml", "--set", "network[0].weights=w.npz#b").status == 0
        spec = load_spec(tmp_path / "runs/two-two-two/spec.yaml")
        layer: Any = spec.network[0]
        assert layer.weights == f"{tmp_path.resolve()}/w.npz#b"

    def test_pytorchs_npy_is_turned_too(self, tmp_path: Path) -> None:
        np.save(tmp_path / "w.npy", np.array([[1.0, 2], [3, 4]]))
        sets = ("network[0].weights=w.npy", "train.weights_layout=pytorch")
        assert self.network(tmp_path, *sets)["dense1"]["weight"].tolist() == [[1, 3], [2, 4]]
