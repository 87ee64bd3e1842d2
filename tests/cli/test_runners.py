"""The two ways in which tests run nncli give the same: every byte, every status, every file."""

import gc
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from nncli.core.errors import NncliError
from tests.commands import Outcome, in_a_process, in_this_process
from tests.conftest import CONFIGS, ROOT, mostly_slow

COMMANDS: dict[str, list[str]] = {
    "help": ["--help"],
    "nothing": [],
    "version": ["--version"],
    "no such command": ["tran"],
    "no such option": ["train", "x.yaml", "--epoch", "3"],
    "help of a command": ["conv", "-h"],
    "train": ["train", str(CONFIGS / "xor.yaml"), "--epochs", "20"],
    "train, as JSON": ["train", str(CONFIGS / "iris.yaml"), "--epochs", "2", "--format", "json"],
    "train on two": ["train", str(CONFIGS / "iris.yaml"), "--epochs", "2", "--threads", "2"],
    "diverged": ["train", str(CONFIGS / "iris.yaml"), "--set", "train.eta=1e30"],
    "go on": ["train", "--resume", "runs/iris", "--epochs", "3"],
    "two mistakes": ["train", "bad.yaml"],
    "no spec": ["train", "none.yaml"],
    "a run": ["inspect-grad", "runs/iris"],
    "a run, as LaTeX": ["inspect-grad", "runs/iris", "--format", "latex"],
    "a run, as npz": ["inspect-grad", "runs/iris", "--format", "npz"],
    "a page": ["inspect-grad", "runs/iris", "--output", "page.html"],
    "a matrix": ["conv", "-", "1 1"],
    "a matrix that is none": ["conv", "none.csv", "box"],
    "evaluate": ["evaluate", "runs/iris"],
    "predict": ["predict", "runs/iris", "samples.csv"],
    "summary": ["summary", "runs/iris"],
    "export": ["export", "runs/iris", "--to", "onnx"],
    "compare": ["compare", "runs/iris", "runs/iris"],
    "show": ["show", "runs/iris"],
    "schema": ["schema"],
    "init": ["init", "xor"],
    "a name that would act": ["conv", "x.csv", "box", "--padding", "\x1b[31m"],
}
TIME = re.compile(rb"[\d.,]+ (ns|\xc2\xb5s|ms|s|min|h)\b|\"\w*(seconds|time)\w*\": [\d.e-]+")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    spec = CONFIGS / "iris.yaml"
    assert in_a_process("train", spec, "--epochs", "2", folder=folder).status == 0
    (folder / "samples.csv").write_text("5.1,3.5,1.4,0.2\n6.7,3.1,4.7,1.5\n")
    (folder / "bad.yaml").write_text("data: {train: none.csv}\nnetwork: []\ntrain: {eta: -1}\n")
    return folder


def told(outcome: Outcome) -> tuple[int, bytes, bytes]:
    """What came of it, without how long it took and the spaces that make up for that."""
    return outcome.status, _timeless(outcome.stdout), _timeless(outcome.stderr)


def _timeless(text: bytes) -> bytes:
    return re.sub(rb" +", b" ", TIME.sub(b"TIME", text)) if TIME.search(text) else text


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): _timeless(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", mostly_slow(COMMANDS, 12))
def test_both_give_the_same(name: str, prepared: Path, tmp_path: Path) -> None:
    came = []
    for run in (in_this_process, in_a_process):
        folder = tmp_path / run.__name__ / "it"
        shutil.copytree(prepared, folder)
        outcome = run(*COMMANDS[name], folder=folder, stdin=b"1,2,3\n4,5,6\n")
        came.append((told(outcome), files(folder)))
    (here, here_files), (there, there_files) = came
    assert here == there
    assert here_files == there_files
    assert here[1] or here[2] or here_files != files(prepared)


def state() -> tuple[object, ...]:
    handlers = [signal.getsignal(number) for number in range(1, 32)]
    streams = (sys.stdin, sys.stdout, sys.stderr)
    handles = sorted(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else []
    main = sys.modules["__main__"]
    return (
        *(os.getcwd(), dict(os.environ), sys.argv, handlers, streams, handles, main),
        *(np.geterr(), gc.isenabled()),
    )


@pytest.mark.parametrize("name", ["train", "train on two", "diverged", "two mistakes", "a matrix"])
def test_nothing_of_a_command_stays(name: str, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "it")
    before = state()
    in_this_process(*COMMANDS[name], folder=tmp_path / "it", stdin=b"1,2\n", COLUMNS="60")
    assert state() == before


def test_an_error_that_is_not_ours_comes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("nncli.spec.schema.schema_text", wrong)
    before = state()
    with pytest.raises(ZeroDivisionError):
        in_this_process("schema", folder=tmp_path)
    assert state() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), NncliError("no"), MemoryError(), OSError()])
def test_errors_end_in_their_status(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("nncli.spec.schema.schema_text", fail)
    expected = {KeyboardInterrupt: 130, NncliError: 2, MemoryError: 2, OSError: 1}[type(error)]
    assert in_this_process("schema", folder=tmp_path).status == expected


def test_more_than_a_pipe_holds(tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{i % 5},{i % 3}\n" for i in range(40_000)).encode()
    outcome = in_this_process("conv", "-", "1 1", "--format", "json", folder=tmp_path, stdin=rows)
    assert outcome.status == 0
    assert len(outcome.stdout) > 1 << 18


def test_a_variable_that_only_a_process_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="use nncli_process"):
        in_this_process("--version", folder=tmp_path, PYTHONPATH=str(ROOT))
