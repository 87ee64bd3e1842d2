"""nncli train --resume, and what ends a training before its time, from the shell."""

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import LIMIT
from tests.conftest import CONFIGS, ROOT, Run, mostly_slow, present
from tests.soak.kills import ending

DATA = ROOT / "data/digits.csv"
DIGITS = CONFIGS / "digits-mlp.yaml"
RUN = Path("runs/digits-mlp")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts nncli, and waits until the run it trains has its first metrics."""
    processes = []

    def started(*arguments: str | Path, **options: Any) -> "subprocess.Popen[str]":
        metrics = tmp_path / RUN / "metrics.jsonl"
        before = metrics.stat().st_size if metrics.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-m", "nncli", *map(str, arguments)],
            **{
                "cwd": tmp_path,
                "stdout": subprocess.DEVNULL,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )
        processes.append(process)
        until(lambda: metrics.exists() and metrics.stat().st_size > before)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def after_the_end(text: str) -> str:
    """The words of a training's output that tell of its end, without how long it took.

    Without its lines: where they end depends on how many digits that has.
    """
    part = " ".join(text[text.index("epoch ") :].split())
    return re.sub(r"\([\d.]+ \w+ of steps\)", "", part).replace("whole", "digits-mlp")


def test_a_killed_training_ends_as_if_it_had_not_been(
    nncli: Run, start: Start, tmp_path: Path
) -> None:
    process = start("train", DIGITS, "--epochs", 100_000)
    process.kill()
    process.wait()
    epochs = len((tmp_path / RUN / "metrics.jsonl").read_bytes().splitlines()) + 5
    resumed = nncli("train", "--resume", RUN, "--epochs", epochs)
    assert resumed.status == 0
    assert re.fullmatch(
        rf"nncli: going on (after epoch \d+ of {epochs}|before the first epoch)\n", resumed.err
    )
    whole = nncli("train", DIGITS, "--epochs", epochs, "--out", "runs/whole")
    assert after_the_end(resumed.out) == after_the_end(whole.out)
    assert ending(tmp_path / RUN) == ending(tmp_path / "runs/whole")


@pytest.mark.parametrize("number", mostly_slow([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], 3))
def test_a_request_to_stop_saves_and_says_how_to_go_on(
    number: signal.Signals, nncli: Run, start: Start, tmp_path: Path
) -> None:
    process = start("train", DIGITS, "--epochs", 100_000)
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    said = re.fullmatch(
        r"nncli: interrupted; saved after epoch (\d+) of 100,000\n"
        r"nncli: to go on: nncli (train --resume runs/digits-mlp)\n",
        err,
    )
    assert said is not None
    epochs = int(said[1])
    assert len((tmp_path / RUN / "metrics.jsonl").read_bytes().splitlines()) == epochs
    resumed = nncli(*said[2].split(), "--epochs", epochs + 1)
    assert resumed.status == 0
    assert f"nncli: going on after epoch {epochs} of {epochs + 1}" in resumed.err


def test_a_terminal_that_goes_away(nncli: Run, start: Start, tmp_path: Path) -> None:
    """It is like SIGTERM, though nothing can be said any more; and nohup goes on."""
    master, terminal = pty.openpty()
    process = start(
        "train", DIGITS, "--epochs", 100_000,
        stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=own_terminal,
    )  # fmt: skip
    os.close(terminal)
    os.close(master)
    assert process.wait(LIMIT) == 130
    epochs = len((tmp_path / RUN / "metrics.jsonl").read_bytes().splitlines())
    assert nncli("train", "--resume", RUN, "--epochs", epochs).status == 0


def own_terminal() -> None:
    """Makes standard input the controlling terminal of a session of its own."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_under_nohup_it_goes_on(start: Start) -> None:
    process = start(
        "train", DIGITS, "--epochs", 100_000,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=LIMIT)
    assert "interrupted; saved after epoch" in err  # the SIGHUP was not the first request


@pytest.mark.parametrize("is_interrupted", [True, False], ids=["interrupted", "done"])
def test_a_folder_that_is_gone_is_not_to_go_on_with(
    tmp_path: Path, is_interrupted: bool, monkeypatch: pytest.MonkeyPatch, nncli: Run
) -> None:
    from nncli.render.pages.training import TrainingScreen

    own = TrainingScreen.on_event

    def remove(screen: TrainingScreen, *event: Any, **more: Any) -> None:
        own(screen, *event, **more)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        if is_interrupted:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TrainingScreen, "on_event", remove)
    done = nncli("train", CONFIGS / "iris.yaml", "--out", "run", "--tables", "none")
    assert done.status == 1
    assert "but its end is not saved" in done.err
    assert "to go on" not in done.err
    assert not (tmp_path / "run").exists()


def test_a_full_disk(nncli: Run, tmp_path: Path) -> None:
    """No file may grow beyond 12,000 bytes: the metrics of some 15 epochs."""

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    done = subprocess.run(
        [sys.executable, "-m", "nncli", "train", DIGITS, "--set", "network[0].units=2"],
        cwd=tmp_path, capture_output=True, text=True, preexec_fn=small, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "validation accuracy" in done.stdout
    assert "saved in" not in done.stdout
    trouble = f"nncli: {RUN}/metrics.jsonl: cannot be written: file too large"
    said = done.stderr.removeprefix(f"{trouble}; the training goes on, and tries again\n")
    assert said == (
        "nncli: the training is done, but its end is not saved\n"
        f"{trouble}\n"
        f"nncli: to go on: nncli train --resume {RUN}\n"
    )
    assert nncli("train", "--resume", RUN).status == 0
    nncli("train", DIGITS, "--set", "network[0].units=2", "--out", "whole")
    assert ending(tmp_path / RUN) == ending(tmp_path / "whole")


def test_a_second_training_refuses(nncli: Run, start: Start) -> None:
    start("train", DIGITS, "--epochs", 100_000)
    for again in (("--resume", RUN), (DIGITS, "--overwrite")):
        done = nncli("train", *again)
        assert done.status == 2
        assert done.err == (
            f"nncli: {RUN}: another training is writing there; wait for its end, or train "
            "anew in another folder, with --out DIR\n"
        )


def test_a_complete_run_of_one_epoch_says_so(nncli: Run) -> None:
    nncli("train", DIGITS, "--epochs", 1)
    again = nncli("train", "--resume", RUN)
    assert again.err == "nncli: the one epoch was done already; --epochs N would go further\n"


def test_a_complete_run_says_so(nncli: Run) -> None:
    first = nncli("train", DIGITS)
    again = nncli("train", "--resume", RUN)
    assert again.status == 0
    assert again.err == "nncli: all 30 epochs were done already; --epochs N would go further\n"
    assert again.out == first.out
    assert "‖δ‖" not in nncli("train", "--resume", RUN, "--tables", "none").out


def test_json_has_every_epoch(nncli: Run) -> None:
    nncli("train", DIGITS, "--epochs", 2)
    record = json.loads(nncli("train", "--resume", RUN, "--epochs", 4, "--format", "json").out)
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3, 4]
    assert record["outcome"] == "done"


def test_a_damaged_checkpoint_is_said(nncli: Run, tmp_path: Path) -> None:
    nncli("train", DIGITS, "--epochs", 2)
    nncli("train", "--resume", RUN, "--epochs", 3)
    checkpoint = tmp_path / RUN / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    for command in (("inspect-grad", RUN), ("evaluate", RUN), ("predict", RUN, DATA),
                    ("train", "--resume", RUN)):  # fmt: skip
        done = nncli(*command)
        assert done.status == 0
        assert f"{RUN}/checkpoint.safetensors: damaged: " in done.err
        assert "; the checkpoint before it is used\n" in done.err
    exported = nncli("export", RUN, "--to", "npz", "--format", "json")
    assert "; the checkpoint before it is used" not in exported.out  # the resume has mended it
    checkpoint.write_bytes(b"")
    exported = nncli("export", RUN, "--to", "npz", "--format", "json", "--overwrite")
    assert "; the checkpoint before it is used" in exported.out


class TestRefused:
    @pytest.fixture(autouse=True)
    def run(self, nncli: Run) -> None:
        nncli("train", DIGITS, "--epochs", 2)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (
                (DIGITS, "--resume", RUN),
                f": train.epochs: 30, but {RUN} was trained with 2",
            ),
            (
                ("--resume", RUN, "--set", "seed=1"),
                "--set seed=1: seed: 1, but the run was begun with 0",
            ),
            (
                ("--resume", RUN, "--epochs", "1"),
                "train.epochs: 1, but the run has begun epoch 2 already",
            ),
            (("--resume", "nowhere"), "nowhere: is no run folder: there is no such folder"),
            (("--resume", RUN, "--out", "x"), "--resume goes on in the run's own folder"),
            (("--resume", RUN, "--overwrite"), "--resume goes on in the run's own folder"),
            ((), "name a SPEC to train, or --resume RUN to go on with"),
            ((DIGITS,), "already holds a run; nncli train --resume goes on with it"),
        ],
    )  # fmt: skip
    def test_with_what_would_be_right(self, arguments: Any, said: str, nncli: Run) -> None:
        done = nncli("train", *arguments, COLUMNS="200")
        assert done.status == 2
        assert done.out == ""
        assert said in done.err


def test_epochs_is_short_for_a_key_of_the_spec(nncli: Run, tmp_path: Path) -> None:
    nncli("train", DIGITS, "--epochs", 1)
    assert "epochs: 1\n" in (tmp_path / RUN / "spec.yaml").read_text()
    err = nncli("train", DIGITS, "--epochs", 0).err
    assert "--epochs" in err


def test_a_divergence_shows_its_last_steps(nncli: Run) -> None:
    sets = (
        *("network[0].activation=relu", "network[1].activation=identity", "train.cost=quadratic"),
        *("dtype=float64", "train.batch_size=1", "train.eta=0.5"),
    )
    options = [option for value in sets for option in ("--set", value)]
    done = nncli("train", CONFIGS / "iris.yaml", *options)
    assert done.status == 1
    first, second, *_ = done.err.splitlines()
    step = int(present(re.search(r"at step (\d+): ", first))[1])
    table = done.out[done.out.index("the last steps") :]
    assert re.findall(r"^ +(\d+) +\S+ +dense2 ", table, re.M) == [
        str(k) for k in range(step - 4, step + 1)
    ]
    assert re.match(
        r"nncli: it began in dense2: z of unit \d has grown to \S+ for sample \d+", second
    )


@pytest.mark.parametrize("columns", [80, 140])
def test_sound_steps_before_validation_data_that_cost_too_much(nncli: Run, columns: int) -> None:
    iris = (CONFIGS / "iris.yaml", "--set", "train.batch_size=40")
    samples = "inputs: [[1, 1, 1, 1], [1e38, 0, 0, 0]], targets: [setosa, setosa]"
    held_back = f"data.validation={{{samples}}}"
    linear = ("--set", "network[1].activation=identity", "--set", "train.cost=quadratic")
    relu = ("--set", "network[0].activation=relu", "--set", "train.eta=0.001")
    options = (*linear, *relu, "--set", held_back)
    done = nncli("train", *iris, *options, COLUMNS=str(columns))
    assert done.status == 1
    assert ": the cost of the validation data is inf\n" in done.err
    assert " for sample 1 of the validation data\n" in done.err
    words = " ".join(done.out.split())
    assert "After the last one the validation data cost inf." in words
    again = nncli("train", *iris, *options, "--out", "again", "--format", "json")
    record = json.loads(again.out)["divergence"]
    assert (record["part"], record["sample"]) == ("validation", 1)


def test_a_divergence_after_some_epochs_says_how_to_go_on(nncli: Run, tmp_path: Path) -> None:
    nncli("train", CONFIGS / "iris.yaml", "--epochs", 3)
    done = nncli("train", "--resume", "runs/iris", "--epochs", 9, "--set", "train.eta=1e30")
    assert done.status == 1
    assert done.err.splitlines()[-1] == (
        "nncli: to go on: nncli train --resume runs/iris --set train.eta=..."
    )
    assert nncli("train", "--resume", "runs/iris", "--set", "train.eta=0.1").status == 0
    assert (tmp_path / "runs/iris/metrics.jsonl").read_text().count("\n") == 9


def test_the_help_says_how_often_it_is_saved(nncli: Run) -> None:
    assert "saved after each epoch" in " ".join(nncli("train", "--help", COLUMNS="200").out.split())
