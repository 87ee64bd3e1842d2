"""Sweeps on a scheduler and two workers, which are processes on loopback, and are killed."""

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import nncli as api
from nncli.app.sweep import reopen_sweep
from nncli.app.sweep_records import SweepRecord
from nncli.app.sweeping import cluster as clusters
from nncli.app.sweeping.places import open_cluster
from nncli.app.sweeping.remote import Mark, read_files
from nncli.core.errors import NncliError, RunError
from nncli.spec import Spec
from tests.cluster.processes import Cluster, bits, until
from tests.conftest import CONFIGS

pytest.importorskip("distributed", reason="Dask is not here: make cluster")

# Dask leaves sockets and loops to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SPEC = CONFIGS / "digits-mlp.yaml"
SETS = ["train.epochs=40"]
VARY = {"train.eta": [0.3, 1.0, 3.0]}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The checkpoints of the sweep on this machine."""
    folder = tmp_path_factory.mktemp("alone") / "sweep"
    return bits(api.sweep(SPEC, SETS, vary=VARY, seeds=2, out=folder))


def swept(folder: Path, on: str, **more: Any) -> SweepRecord:
    return api.sweep(SPEC, SETS, vary=VARY, seeds=2, out=folder, on=on, **more)


def test_a_worker_that_dies_changes_no_bit(
    cluster: Cluster, alone: dict[str, bytes], tmp_path: Path
) -> None:
    victim = cluster.workers[0]
    ended: list[str] = []

    def on_trial(trial: Any) -> None:
        if trial.state == "done" and not ended:
            victim.send_signal(signal.SIGKILL)
        ended.extend([trial.id] * (trial.state == "done"))

    record = swept(tmp_path / "sweep", cluster.address, on_trial=on_trial)
    assert victim.wait(5) == -signal.SIGKILL
    assert bits(record) == alone
    assert sorted(ended) == sorted(trial.id for trial in record.trials)
    assert not (tmp_path / "sweep" / clusters.MARK).exists()
    cluster.workers.remove(victim)
    cluster.start_worker()
    cluster.wait()


@pytest.mark.parametrize("is_executor", [False, True], ids=["on", "executor"])
def test_paths_are_those_of_the_sweep_wherever_its_workers_run(
    is_executor: bool,
    cluster: Cluster,
    alone: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(CONFIGS)
    (tmp_path / "sweep").mkdir()
    out = Path(os.path.relpath(tmp_path / "sweep"))
    if is_executor:
        from distributed import Client

        with Client(cluster.address) as client:
            record = api.sweep(
                SPEC.name, SETS, vary=VARY, seeds=2, out=out, executor=client.get_executor()
            )
    else:
        record = api.sweep(SPEC.name, SETS, vary=VARY, seeds=2, out=out, on=cluster.address)
    assert bits(record) == alone


def test_runs_come_back_from_workers_that_do_not_see_the_folder(
    cluster: Cluster, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "Mark", lambda path, content: Mark(path, "another"))
    record = swept(tmp_path / "sweep", cluster.address, store=str(tmp_path / "store"))
    assert bits(record) == alone
    (note,) = (note for note in record.notes if "do not see" in note)
    assert note.startswith("2 of 2 workers do not see")
    assert note.endswith("one that dies costs what it did since it last kept its state")
    for trial in record.trials:
        kept = {p.name: p.read_bytes() for p in (tmp_path / "store" / trial.id).iterdir()}
        assert kept == dict(read_files(trial.folder))


def test_a_scheduler_that_went_is_met_again_by_resume(
    alone: dict[str, bytes], tmp_path: Path
) -> None:
    with Cluster(tmp_path, workers=1) as own:

        def on_trial(trial: Any) -> None:
            if trial.state == "done":
                assert own.scheduler is not None
                own.scheduler.kill()

        with pytest.raises(RunError, match=r"the scheduler is gone; what was done is kept.*--on"):
            swept(tmp_path / "sweep", own.address, on_trial=on_trial)
        own.workers[0].kill()
        own.start_scheduler()
        own.start_worker()
        own.wait()
        record = api.sweep(reopen_sweep(tmp_path / "sweep"), on=own.address)
        assert bits(record) == alone


def test_what_asks_to_stop_is_heard_by_workers(
    cluster: Cluster, alone: dict[str, bytes], tmp_path: Path
) -> None:
    began = time.monotonic()
    sets, states = ["train.epochs=100000"], list[str]()
    record = api.sweep(
        SPEC,
        sets,
        seeds=4,
        out=tmp_path / "sweep",
        on=cluster.address,
        on_trial=lambda trial: states.append(trial.state),
        should_stop=lambda: list((tmp_path / "sweep" / "trials").glob("*/metrics.jsonl")) != [],
    )
    assert time.monotonic() - began < 15
    assert record.count("stopped") in (1, 2)
    assert record.count("stopped") + record.count("waiting") == 4
    assert states.count("running") == 4


def test_a_worker_of_another_version_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "nncli-9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: nncli\nVersion: 9.9\n")
    stranger = cluster.start_worker({"PYTHONPATH": str(tmp_path)})
    try:
        cluster.wait(3)
        with pytest.raises(NncliError, match=r"worker tcp://127.*: has nncli 9.9, and this is"):
            swept(tmp_path / "sweep", cluster.address)
    finally:
        stranger.kill()
        cluster.workers.remove(stranger)
        until(lambda: _workers(cluster) == 2)


def _workers(cluster: Cluster) -> int:
    opened = open_cluster(cluster.address, 1)
    try:
        return len(opened.client.scheduler_info(n_workers=-1)["workers"])
    finally:
        opened.close()


def test_files_that_workers_do_not_see(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spec, "named_files", lambda self: [Path("/nowhere/digits.csv")])
    with pytest.raises(NncliError) as caught:
        swept(tmp_path / "sweep", cluster.address)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("worker tcp://127.0.0.1:") for line in lines)
    assert all(
        line.endswith("does not see /nowhere/digits.csv, which the spec names") for line in lines
    )
    assert not (tmp_path / "sweep" / clusters.MARK).exists()


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncli.app.sweeping.places.TRIED", 0.5)
    with pytest.raises(RunError) as caught:
        swept(tmp_path / "sweep", "tcp://127.0.0.1:1")
    where = "tcp://127.0.0.1:1: no scheduler answers there; it was tried for 0.5 seconds"
    assert str(caught.value).startswith(where)
    assert not (tmp_path / "sweep").exists()


def test_a_cluster_of_this_machine(alone: dict[str, bytes], tmp_path: Path) -> None:
    record = swept(tmp_path / "sweep", "local", jobs=2)
    assert bits(record) == alone
    assert any(note.startswith("dashboard: http://127.0.0.1:") for note in record.notes)


def test_jobs_of_a_queue(tmp_path: Path) -> None:
    """dask-jobqueue's jobs that are processes here: the way of those of Slurm, but for sbatch."""
    queue = tmp_path / "queue.yaml"
    queue.write_text("type: local\njobs: 1\ncores: 1\nmemory: 1GB\n")
    xor = ["train.epochs=5"]
    record = api.sweep(CONFIGS / "xor.yaml", xor, seeds=3, out=tmp_path / "a", on=str(queue))
    here = api.sweep(CONFIGS / "xor.yaml", xor, seeds=3, out=tmp_path / "b")
    assert bits(record) == bits(here)
    for text, told in (
        ("type: slurn", "type: 'slurn' is no queue; did you mean 'slurm'?"),
        ("jobs: 0", "jobs: expected a positive integer, got '0'"),
        ("type: slurm", "sbatch is not there; jobs of slurm are sent by it"),
        ("type: local", "the cluster does not start: You must specify"),
        ("- 1", "expected settings, as key: value"),
    ):
        queue.write_text(f"{text}\n")
        with pytest.raises(NncliError, match=re.escape(told)):
            api.sweep(CONFIGS / "xor.yaml", seeds=2, on=str(queue), out=tmp_path / "c")


@pytest.mark.parametrize("kind", [ProcessPoolExecutor, ThreadPoolExecutor])
def test_any_executor_trains_the_same(kind: Any, alone: dict[str, bytes], tmp_path: Path) -> None:
    with kind(2) as executor:
        folder = tmp_path / "sweep"
        record = api.sweep(SPEC, SETS, vary=VARY, seeds=2, out=folder, executor=executor)
    assert bits(record) == alone


def test_dask_s_own_executor_trains_the_same(
    cluster: Cluster, alone: dict[str, bytes], tmp_path: Path
) -> None:
    opened = open_cluster(cluster.address, 1)
    try:
        executor = opened.client.get_executor()
        folder = tmp_path / "sweep"
        record = api.sweep(SPEC, SETS, vary=VARY, seeds=2, out=folder, executor=executor)
    finally:
        opened.close()
    assert bits(record) == alone
