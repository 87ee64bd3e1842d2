"""Data that the processes of a sweep share."""

import gc
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import nncli
from nncli.app.sources import load_data
from nncli.app.sweeping import shared as sharing
from nncli.app.sweeping import trial
from nncli.app.sweeping.shared import FOLDER, make_folder, shared
from nncli.app.sweeping.trial import data_key
from nncli.data import Data
from nncli.spec import load_spec
from nncli.training.run_data import fingerprint
from tests.app.test_sweep import Here
from tests.conftest import CONFIGS

SPEC = CONFIGS / "digits-mlp.yaml"


@pytest.fixture(autouse=True)
def _worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "WORTH", 2**16)


def unread() -> Data:
    raise AssertionError("it was read again")


def test_the_first_reads_and_the_others_map_the_same_data(tmp_path: Path) -> None:
    own = load_data(load_spec(SPEC))
    remove = make_folder(tmp_path / FOLDER)
    first = shared(tmp_path / FOLDER, "digits", lambda: own)
    other = shared(tmp_path / FOLDER, "digits", unread)
    for data in (first, other):
        assert data.validation is not None
        assert data.train.inputs is data.validation.inputs
        assert not data.train.inputs.flags.writeable
        np.testing.assert_array_equal(data.train.inputs, own.train.inputs)
        np.testing.assert_array_equal(data.train.index, own.train.index)
        np.testing.assert_array_equal(data.train.targets, own.train.targets)
        assert data.preprocessing.as_plain() == own.preprocessing.as_plain()
        assert data.train.checksum is not None
        assert own.train.checksum is not None
        assert data.train.checksum() == own.train.checksum()
        shape = own.input_shape
        of_own = fingerprint(own.train, own.validation, shape)
        assert fingerprint(data.train, data.validation, shape) == of_own
    remove()
    assert not (tmp_path / FOLDER).exists()
    del first
    gc.collect()
    assert float(other.train.inputs.sum()) == float(own.train.inputs.sum())  # mapped all the same


def test_data_that_differ_by_their_split_share_arrays(tmp_path: Path) -> None:
    make_folder(tmp_path / FOLDER)
    specs = [load_spec(SPEC, [f"seed={seed}", "data.validation=0.2"]) for seed in range(3)]
    keys = [data_key(spec) for spec in specs]
    assert len(set(keys)) == 3
    found = [
        shared(tmp_path / FOLDER, key, partial(load_data, spec))
        for key, spec in zip(keys, specs, strict=True)
    ]
    assert len({data.train.index.tobytes() for data in found}) == 3
    large = [file for file in (tmp_path / FOLDER).iterdir() if file.stat().st_size >= 2**17]
    assert len({file.stat().st_size for file in large}) == len(large), "an array is there twice"
    assert found[0].train.inputs.nbytes in {file.stat().st_size for file in large}


def test_little_is_read_by_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "WORTH", 2**30)
    make_folder(tmp_path / FOLDER)
    own = load_data(load_spec(SPEC))
    assert shared(tmp_path / FOLDER, "digits", lambda: own) is own
    assert shared(tmp_path / "elsewhere", "digits", lambda: own) is own


def test_a_sweep_of_shared_data_has_the_bits_of_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bits(name: str) -> dict[str, bytes]:
        monkeypatch.setattr(trial, "_CACHE", trial.DataCache())
        sets, vary = ["train.epochs=1"], {"train.eta": [0.3, 1.0]}
        made = nncli.sweep(SPEC, sets, vary=vary, executor=Here(), out=tmp_path / name)
        return {t.id: (t.folder / "checkpoint.safetensors").read_bytes() for t in made.trials}

    of_shared = bits("shared")
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == [
        "journal.jsonl",
        "trials",
    ]
    monkeypatch.setattr(sharing, "WORTH", 2**30)
    alone = bits("alone")
    assert of_shared == alone
