"""A trial on a worker of a cluster, without one: what is sent, and what comes back."""

import pickle
from pathlib import Path
from typing import Any

import pytest

import nncli as api
from nncli.app.sweep import plan_sweep
from nncli.app.sweeping import remote
from nncli.app.sweeping.places import open_cluster
from nncli.app.sweeping.remote import Errand, Mark, read_files, run_errand, write_files
from nncli.app.sweeping.trial import Outcome, Task, anywhere, versions
from nncli.core.errors import NncliError
from nncli.training.run_files import PREVIOUS, is_run_folder
from tests.conftest import CONFIGS

XOR = CONFIGS / "xor.yaml"


def errand(folder: Path, *, spec: Path = XOR, is_seen: bool = True, **more: Any) -> Errand:
    """One trial of xor, whose run is in `folder`."""
    planned = plan_sweep(spec, ["train.epochs=30"], vary={"train.eta": [0.5]}, out=folder)
    (trial,) = planned.trials
    mark = Mark(folder / "mark", "seen")
    folder.mkdir(exist_ok=True)
    mark.path.write_text("seen" if is_seen else "another")
    sent = anywhere(Task(trial.id, planned.plan.spec, trial.values, folder / trial.id))
    bare: Any = sent._replace(spec=None)  # type: ignore[arg-type]
    own = versions()["nncli"]
    start: dict[str, Any] = {"sweep": "s", "version": own, "store": None, "files": {}}
    return Errand(bare, pickle.dumps(sent.spec), mark=mark, **{**start, **more})


def test_a_worker_that_sees_the_folder_trains_there(tmp_path: Path) -> None:
    given = errand(tmp_path)
    returned = run_errand(given)
    assert (returned.outcome.state, returned.files) == ("done", {})
    assert (given.task.folder / "checkpoint.safetensors").is_file()


def test_a_worker_that_runs_in_another_folder_finds_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    given = errand(tmp_path / "sweep", spec=Path("configs/xor.yaml"))
    monkeypatch.chdir(tmp_path)
    assert run_errand(given).outcome.state == "done"


def test_from_another_the_same_run_comes_back(tmp_path: Path) -> None:
    here, there = errand(tmp_path / "a"), errand(tmp_path / "b", is_seen=False)
    run_errand(here)
    returned = run_errand(there)
    assert not there.task.folder.exists()
    own = dict(read_files(here.task.folder))
    assert returned.files["checkpoint.safetensors"] == own["checkpoint.safetensors"]
    # A machine that is busy keeps a state on the way, of which this is the one before.
    assert {PREVIOUS, *returned.files} == {PREVIOUS, *own}
    write_files(there.task.folder, returned.files)
    assert dict(read_files(there.task.folder)) == returned.files


def test_a_run_that_was_begun_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = api.train(
        api.load_spec(XOR, ["train.epochs=10", "train.eta=0.5", "train.threads=1"]),
        out=tmp_path / "half",
    )
    assert half.folder is not None
    given = errand(tmp_path / "b", is_seen=False, files=dict(read_files(half.folder)))
    found: list[bool] = []

    def run_trial(task: Task, should_stop: Any) -> Outcome:
        found.append(is_run_folder(task.folder))
        return Outcome(task.id, "done")

    monkeypatch.setattr("nncli.app.sweeping.remote.run_trial", run_trial)
    run_errand(given)
    run_errand(given._replace(files={}))
    assert found == [True, False]


def test_another_version_is_refused(tmp_path: Path) -> None:
    outcome = run_errand(errand(tmp_path, version="9.9")).outcome
    assert (outcome.state, outcome.cause) == ("failed", "error")
    assert (
        outcome.error
        == f"this worker has nncli {versions()['nncli']}, and the sweep is one of nncli 9.9"
    )


def test_a_sweep_that_is_to_stop_begins_no_more(tmp_path: Path) -> None:
    remote.stop_sweep("stopped")
    assert run_errand(errand(tmp_path, sweep="stopped")).outcome.state == "waiting"


def test_what_a_worker_says_of_itself(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "mark", "seen")
    told = remote.about(mark, [str(XOR), "/nowhere/x.csv"])
    assert (told.sees_folder, told.missing) == (False, ("/nowhere/x.csv",))
    mark.path.write_text("seen")
    assert remote.about(mark, []).sees_folder


def test_two_places_to_train(tmp_path: Path) -> None:
    for more, told in (
        ({"on": "local", "executor": object()}, "two places to train"),
        ({"store": "x"}, "a store is for the workers of a cluster"),
    ):
        with pytest.raises(NncliError, match=told):
            api.sweep(XOR, seeds=2, out=tmp_path / "s", **more)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(NncliError, match=r"Dask is not installed: pip install 'nncli\[dask\]'"):
        open_cluster("local", 1)


class Bucket:
    """A file system of fsspec's kind, of which each write is remembered."""

    protocol = ("s3", "s3a")

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.written: list[str] = []

    def exists(self, path: str) -> bool:
        return any(name.startswith(f"{path}/") for name in self.files)

    def find(self, path: str) -> list[str]:
        return [name for name in self.files if name.startswith(f"{path}/")]

    def cat_file(self, path: str) -> bytes:
        return self.files[path]

    def pipe_file(self, path: str, content: bytes) -> None:
        self.files[path] = content
        self.written.append(path.rpartition("/")[2])


def test_what_a_store_has_already_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    monkeypatch.setattr(remote, "file_system", lambda url: (bucket, "sweeps"))
    files = {"checkpoint.safetensors": b"1", "spec.yaml": b"2", "breaks/step-3": b"4"}
    remote.write_files(tmp_path / "run", files)
    store = remote.Store("s3://sweeps", "a")
    store.write(tmp_path / "run")
    assert sorted(bucket.written) == ["checkpoint.safetensors", "spec.yaml", "step-3"]
    bucket.written.clear()
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(b"5")
    store.write(tmp_path / "run")
    assert bucket.written == ["checkpoint.safetensors"]
    other = remote.Store("s3://sweeps", "a")  # of the worker that takes the trial over
    assert other.read() == {**files, "checkpoint.safetensors": b"5"}
    bucket.written.clear()
    other.write(tmp_path / "run")
    assert not bucket.written
