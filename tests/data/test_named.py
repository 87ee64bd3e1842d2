"""Arrays by name, in every format that they may be saved in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.core import safetensors_format
from nncli.core.errors import NncliError
from nncli.data.readers.named import READERS, clean, read_named
from tests.soak import whole
from tests.soak.damage import ANY, NPZ

W, B = np.array([[1.5, -2.0, 0.25], [0.0, 1e-3, 7.0]]), np.array([0.5, 1.0, -1.0])


def saved(folder: Path, suffix: str) -> Path:
    """dW1 and db1 in a file of this suffix, or in a folder of tables."""
    path = folder / f"mine{suffix}"
    mine: dict[str, Any] = {"dW1": W, "db1": B}
    match suffix:
        case ".npz":
            np.savez(path, **mine)
        case ".safetensors":
            path.write_bytes(safetensors_format.pack(mine, {}))
        case ".json":
            path.write_text(json.dumps({key: array.tolist() for key, array in mine.items()}))
        case "":
            path.mkdir()
            for key, array in mine.items():
                np.savetxt(path / f"{key}.csv", np.atleast_2d(array), delimiter=",", fmt="%.17g")
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".json", ""])
def test_arrays_come_back(tmp_path: Path, suffix: str) -> None:
    found = read_named(saved(tmp_path, suffix))
    assert list(found) == ["dW1", "db1"]
    np.testing.assert_array_equal(found["dW1"], W)
    np.testing.assert_array_equal(found["db1"].ravel(), B)


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_a_single_array_is_named_after_its_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"dW1{suffix}"
    if suffix == ".npy":
        np.save(path, W)
    else:
        np.savetxt(path, W, delimiter=",", fmt="%.17g")
    np.testing.assert_array_equal(read_named(path)["dW1"], W)


def test_names_within_names_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"grads": {"W1": [[1]], "layer2": {"b": [2]}}, "loss": 3, "by": "hand"}')
    assert list(read_named(path)) == ["grads.W1", "grads.layer2.b", "loss"]


def test_a_trace_is_read_as_inspect_grad_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    layer = {"name": "dense1", "type": "dense", "delta": [[1.0]], "bias": None, "mask": "none"}
    record = {"schema": "nncli.trace/1", "inputs": [[1]], "targets": [[2]], "layers": [layer]}
    path.write_text(json.dumps({**record, "cost": {"name": "quadratic", "before": 0.5}}))
    assert list(read_named(path)) == ["inputs", "targets", "cost", "dense1.delta"]
    path.write_text(json.dumps({**record, "schema": "nncli.trace/9"}))
    with pytest.raises(NncliError, match=r"schema 'nncli.trace/9'; known is nncli.trace/1"):
        read_named(path)


def test_objects_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, dW1=np.array([{"a": 1}], dtype=object))
    with pytest.raises(NncliError, match="pickled Python objects, which are never read"):
        read_named(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.json", "[1, 2]", "must hold a JSON object"),
        ("mine.json", '{"a": [1, }', r"is no JSON \(line 1, character 11: Expecting value\)"),
        (
            "mine.json",
            "{'a': 1}",
            "1, character 2: Expecting property name enclosed in double",
        ),
        ("mine.json", '{"a": ' + "[" * 9000, "is no JSON that has an end: too many digits or"),
        ("mine.json", '{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is given twice; keep one"),
        ("mine.json", '{"dW1": 1' + "0" * 40 + "}", "'dW1' holds numbers beyond 64 bits, or"),
        ("mine.json", '{"dW1": [[1, 2], [3]]}', "'dW1' is no array: its rows are of different"),
        ("mine.json", '{"dW1": [1, null]}', "'dW1' holds null where a number belongs"),
        ("mine.json", '{"dW1": [1, NaN]}', r"'dW1' is nan at \[1\]: it must be finite"),
        ("mine.json", '{"dW1": ["a"]}', "'dW1' holds text where numbers belong"),
        ("mine.json", '{"dW1": []}', "'dW1' holds no numbers"),
        (
            "mine.pkl",
            "",
            r"read from .npz, .safetensors, .json, .trace, .npy or .csv, or from a folder",
        ),
        ("mine.safetensors", "none", "not a whole safetensors file"),
        ("mine.npz", "none", "is not an .npz file, or is damaged"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(NncliError, match=message):
        read_named(tmp_path / name)


def test_all_that_is_not_finite_is_told_at_once() -> None:
    arrays: dict[str, Any] = {"dW1": np.array([[1, np.inf]]), "db1": [np.nan]}
    with pytest.raises(NncliError, match=r"(?s)'dW1' is inf at \[0, 1\].*'db1' is nan at \[0\]"):
        clean(arrays)


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NncliError, match="no such file"):
        read_named(tmp_path / "none.npz")
    with pytest.raises(NncliError, match=r"the folder holds no .csv"):
        read_named(tmp_path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    (bomb,) = [damage for damage in NPZ if damage.refused]
    from random import Random

    path = tmp_path / "mine.npz"
    path.write_bytes(bomb.change(whole.npz({"dW1": W}), Random(1)))
    with pytest.raises(NncliError):
        read_named(path)


@pytest.mark.parametrize("suffix", [s for s in READERS if s not in (".npy", ".csv", ".trace")])
def test_no_damage_gets_past_the_messages(tmp_path: Path, suffix: str) -> None:
    from random import Random

    path, random = saved(tmp_path, suffix), Random(0)
    whole_file = path.read_bytes()
    for _ in range(60):
        path.write_bytes(random.choice(ANY).change(whole_file, random))
        try:
            read_named(path)
        except NncliError:
            continue
