"""Trainings that the processes of an MPI job share, by the mpirun of pip's mpich."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import nncli as api
from nncli.core.launch import LAUNCHERS
from nncli.core.safetensors_format import unpack
from tests.cluster.processes import until
from tests.conftest import CONFIGS

pytest.importorskip("mpi4py", reason="MPI is not here: make cluster")

MPIRUN = Path(sys.executable).with_name("mpirun")
MLP, CONV = CONFIGS / "digits-mlp.yaml", CONFIGS / "digits-conv.yaml"
SHARED = ("--workers", "mpi", "--even-if-slower", "--tables", "none")
LIMIT = 60.0  # seconds until a process that hangs is killed


class Done(NamedTuple):
    status: int
    out: str
    err: str


def start(processes: int, *arguments: Any, folders: Sequence[Path] = ()) -> "subprocess.Popen[str]":
    """folders: where each process works, where they are not to share one."""
    command = [sys.executable, "-m", "nncli", *map(str, arguments)]
    jobs = ["-n", str(processes), *command]
    if folders:
        each = [["-n", "1", "-wdir", str(folder), *command] for folder in folders]
        jobs = [*each[0], *(word for job in each[1:] for word in (":", *job))]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100"}
    for names in LAUNCHERS:
        for name in names:
            environment.pop(name, None)
    return subprocess.Popen(
        [str(MPIRUN), *jobs],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def end(process: "subprocess.Popen[str]") -> Done:
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Done(process.returncode, out, err)


def run(processes: int, *arguments: Any, folders: Sequence[Path] = ()) -> Done:
    return end(start(processes, *arguments, folders=folders))


def ranks_of(process: "subprocess.Popen[str]") -> dict[int, int]:
    """The process number of each rank that runs."""
    found, parents = {}, {process.pid}
    processes = sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    for number in processes:
        try:
            stat = Path(f"/proc/{number}/stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) in parents:
                parents.add(number)
                environment = Path(f"/proc/{number}/environ").read_text()
                rank = re.search(r"\0PMI_RANK=(\d+)\0", f"\0{environment}")
                if rank is not None:
                    found[int(rank[1])] = number
        except (OSError, ValueError):  # it has ended
            continue
    return found


def history(run: Path) -> list[str]:
    """The metrics of a run but for the times."""
    return re.sub(r'"train_seconds": [^,]+, ', "", (run / "metrics.jsonl").read_text()).split("\n")


def alone(spec: Path, sets: list[str], out: Path) -> Path:
    api.train(api.load_spec(spec, sets), out=out)
    return out


def set_all(sets: list[str]) -> Iterator[str]:
    for each in sets:
        yield from ("--set", each)


def arrays(run: Path) -> dict[str, bytes]:
    """All that the checkpoint holds: weights and the optimizer's state."""
    found, _ = unpack((run / "checkpoint.safetensors").read_bytes())
    return {name: array.tobytes() for name, array in found.items()}


def assert_same(run: Path, other: Path) -> None:
    assert arrays(run) == arrays(other)
    assert history(run) == history(other)


@pytest.mark.parametrize(
    ("processes", "spec", "sets"),
    [
        (2, MLP, ["train.micro_batches=2", "train.momentum=0.9", "train.eta=0.3"]),
        (3, MLP, ["train.micro_batches=4", "dtype=float64", "train.optimizer=adam"]),
        (2, CONV, ["train.micro_batches=3", "train.optimizer=adam", "data.validation=0.6"]),
        (3, CONV, ["train.micro_batches=3", "dtype=float64", "train.momentum=0.5"]),
        (1, MLP, ["train.micro_batches=2"]),
    ],
    ids=str,
)
def test_any_number_of_processes_gives_the_bits_of_one(
    processes: int, spec: Path, sets: list[str], tmp_path: Path
) -> None:
    # The last mini-batch of an epoch is a short one.
    sets = [*sets, "train.epochs=2", "train.batch_size=31", "train.eta=0.05"]
    one = alone(spec, sets, tmp_path / "one")
    done = run(processes, "train", spec, *SHARED, *set_all(sets), "--out", tmp_path / "several")
    assert (done.status, "Traceback" in done.err) == (0, False), done.err
    assert_same(tmp_path / "several", one)


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    sets, folder = ["train.micro_batches=3", "train.batch_size=31"], tmp_path / "run"
    one = alone(MLP, [*sets, "train.epochs=3"], tmp_path / "one")
    first = run(3, "train", MLP, *SHARED, *set_all(sets), "--epochs", 1, "--out", folder)
    assert first.status == 0, first.err
    assert "3 processes: a step of 31 samples takes" in first.err
    second = run(2, "train", *SHARED, "--resume", folder, "--epochs", 2)
    assert second.status == 0, second.err
    assert "may differ" not in second.err
    api.resume(folder, overrides=["train.epochs=3"])
    assert_same(folder, one)


def test_a_step_shorter_than_its_exchange_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    sets = ["train.batch_size=8"]
    done = run(2, "train", MLP, "--workers", "mpi", *set_all(sets), "--out", tmp_path / "run")
    assert done.status == 2
    number = r"[0-9.]+ [µm]?s"
    assert re.fullmatch(
        rf"nncli: a step of 8 samples takes {number} in one process; shared among 2 it takes "
        rf"{number}, {number} to compute a share and {number} to exchange 9.04 kB of gradients: "
        "that is slower. Without mpirun and --workers it is trained in one process; larger "
        "mini-batches or a larger network would pay; --even-if-slower does it all the same\n",
        done.err,
    )
    assert done.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("processes", "arguments", "message"),
    [
        (2, [], "mpirun has started 2 processes, and each would train this network"),
        (
            4,
            SHARED,
            "4 processes, but a mini-batch of 10 samples makes at most 2 of at least 4: mpirun -n "
            "2 would do, or --set train.batch_size=16",
        ),
        (
            3,
            [*SHARED, "--set", "train.micro_batches=2"],
            "3 processes, but train.micro_batches is 2: 1 would have nothing to do",
        ),
        (2, [*SHARED, "--set", "network[0]={type: batchnorm}"], "since batchnorm takes its means"),
        (2, [*SHARED, "--set", "break=[cost > 9]"], "'cost > 9' is looked at after each step"),
        (2, [*SHARED, "--threads", "2"], "--threads goes with one process"),
        (2, [*SHARED, "--set", "train.etta=1"], "did you mean 'eta'?"),
    ],
    ids=str,
)
def test_what_cannot_be_shared_is_refused_once(
    processes: int, arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = run(processes, "train", MLP, *arguments, "--out", tmp_path / "run")
    assert (done.status, message in done.err) == (2, True), done
    assert done.err.count("nncli: ") == 1
    assert not (tmp_path / "run").exists()


def test_a_process_with_other_data_or_none_is_named(tmp_path: Path) -> None:
    spec, folders = tmp_path / "spec.yaml", [tmp_path / "a", tmp_path / "b"]
    spec.write_text(MLP.read_text().replace("../data/digits.csv", "/proc/self/cwd/digits.csv"))
    rows = (CONFIGS.parent / "data" / "digits.csv").read_text().splitlines(keepends=True)
    for folder in folders:
        folder.mkdir()
        (folder / "digits.csv").write_text("".join(rows))

    def trained() -> Done:
        out = tmp_path / "run"
        return run(2, "train", spec, *SHARED, "--epochs", "1", "--out", out, folders=folders)

    table = folders[1] / "digits.csv"
    table.unlink()
    done = trained()
    assert done.status == 2
    assert done.err.count("nncli: ") == 1
    assert done.err.startswith("nncli: process 1: ")
    assert "there is no file '/proc/self/cwd/digits.csv'; check the path" in done.err
    table.write_text("".join([*rows[:9], *rows[10:], rows[9]]))
    done = trained()
    assert done.status == 2
    assert done.err == (
        "nncli: process 1 has read other data than process 0: all need the same files under the "
        "same paths\n"
    )
    assert not (tmp_path / "run").exists()
    table.write_text("".join(rows))
    done = trained()
    assert (done.status, (tmp_path / "run").exists()) == (0, True), done.err


def test_a_divergence_ends_all(tmp_path: Path) -> None:
    sets = ["train.eta=1e9", "network[1].activation=identity"]
    done = run(2, "train", MLP, *SHARED, *set_all(sets), "--out", tmp_path / "run")
    assert done.status == 1
    assert done.err.count("the training diverged in epoch 1, at step 2") == 1
    assert "Abort" not in done.err


def begun(tmp_path: Path, processes: int = 2) -> "subprocess.Popen[str]":
    """A training that would take very long, once it has begun."""
    sets = set_all(["train.batch_size=31", "train.epochs=1000000", "train.micro_batches=2"])
    process = start(processes, "train", MLP, *SHARED, *sets, "--out", tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    until(lambda: metrics.exists() and metrics.stat().st_size > 0)
    return process


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_all_and_the_run_goes_on(rank: int, tmp_path: Path) -> None:
    process = begun(tmp_path)
    ranks = ranks_of(process)
    os.kill(ranks[rank], signal.SIGKILL)
    assert end(process).status != 0
    # mpirun does not wait for the end of those that it has killed in their turn.
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in ranks.values()))
    folder = tmp_path / "run"
    # The metrics may be ahead of the checkpoint.
    epochs = len((folder / "metrics.jsonl").read_text().splitlines()) + 1
    api.resume(folder, overrides=[f"train.epochs={epochs}"])
    sets = ["train.batch_size=31", f"train.epochs={epochs}", "train.micro_batches=2"]
    assert_same(folder, alone(MLP, sets, tmp_path / "one"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_saves_the_state(number: signal.Signals, tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.send_signal(number)
    done = end(process)
    assert done.status == 130, done.err
    assert done.err.count("nncli: interrupted; saved ") == 1
    assert f"to go on: nncli train --resume {tmp_path / 'run'}" in done.err


def test_a_process_that_is_asked_to_end_alone_ends_all(tmp_path: Path) -> None:
    process = begun(tmp_path)
    began = time.monotonic()
    os.kill(ranks_of(process)[1], signal.SIGTERM)
    done = end(process)
    assert done.status == 143
    assert 4 < time.monotonic() - began < 20


def test_without_mpirun_it_is_said_how(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nncli", "train", str(MLP), *SHARED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 2
    assert done.stderr == (
        "nncli: --workers mpi shares the work among the processes that mpirun starts: "
        "mpirun -n 4 nncli train SPEC --workers mpi\n"
    )
