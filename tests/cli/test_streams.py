"""What becomes of a command whose standard output or standard error takes nothing more."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from nncli.cli.app import COMMANDS
from tests.cli.test_completion import SCRIPT
from tests.commands import LIMIT
from tests.conftest import CONFIGS, ROOT, Run, mostly_slow

IRIS = ROOT / "data/iris.csv"
# Every command, with what it is given.
CALLS: dict[str, tuple[str | Path, ...]] = {
    "--help": (),
    "--version": (),
    "init": ("xor", "--stdout"),
    "train": (CONFIGS / "xor.yaml", "--epochs", "2"),
    "sweep": (CONFIGS / "xor.yaml", "--vary", "train.eta=0.1,1", "--dry-run"),
    "inspect-grad": (CONFIGS / "two-two-two.yaml",),
    "explain": (CONFIGS / "two-two-two.yaml",),
    "exercise": ("--topic", "conv", "--level", "3"),
    "grade": (ROOT / "data/exercises/key.json", ROOT / "data/exercises"),
    "check": (
        CONFIGS / "two-two-two.yaml",
        ROOT / "data/two-two-two-mine.json",
        *(word for wrong in ("delta1", "dW1", "db1") for word in ("--name", f"{wrong}=-")),
    ),
    "recorder": ("numpy",),
    "replay": ("TRACE",),
    "diff": ("TRACE", "TRACE"),
    "diagnose": ("RUN", "--quick"),
    "conv": (ROOT / "data/conv/matrix.csv", "sobel-x"),
    "evaluate": ("RUN",),
    "predict": ("RUN", IRIS),
    "summary": ("RUN",),
    "export": ("RUN", "--to", "npz"),
    "compare": ("RUN", "RUN"),
    "report": ("RUN",),
    "show": ("RUN",),
    "schema": (),
}


def test_every_command_is_tried() -> None:
    assert set(CALLS) == {*COMMANDS, "--help", "--version"}


def called(name: str, runs: Path, *more: str) -> list[str]:
    made = {"RUN": str(runs / "iris"), "TRACE": str(runs / "iris.trace")}
    given = [made.get(str(word), str(word)) for word in CALLS[name]]
    return [str(SCRIPT), name, *given, *more]


def run(
    command: list[str], folder: Path, stdout: int, stderr: int = subprocess.PIPE
) -> tuple[int, bytes, bytes]:
    process = subprocess.Popen(command, cwd=folder, stdout=stdout, stderr=stderr)
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out or b"", err or b""


@pytest.mark.parametrize("name", mostly_slow(CALLS, 8))
@pytest.mark.parametrize("more", mostly_slow([(), ("--help",)], 2), ids=["", "help"])
def test_a_reader_that_has_left_is_no_failure(
    runs: Path, tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    """As in `nncli --help | true`."""
    reader, writer = os.pipe()
    os.close(reader)
    status, _, err = run(called(name, runs, *more), tmp_path, writer)
    os.close(writer)
    assert status == 0
    assert b"Broken" not in err
    assert b"Traceback" not in err


def test_a_training_goes_on_without_its_reader(runs: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert run(called("train", runs, "--out", "run"), tmp_path, writer)[0] == 0
    os.close(writer)
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
class TestFull:
    @pytest.fixture
    def full(self) -> int:
        return os.open("/dev/full", os.O_WRONLY)

    @pytest.mark.parametrize("name", mostly_slow(CALLS, 8))
    def test_no_result_is_lost_for_what_is_said_beside_it(
        self, runs: Path, tmp_path: Path, full: int, name: str
    ) -> None:
        command = called(name, runs)
        status, out, _ = run(command, tmp_path, subprocess.PIPE, full)
        assert status == 0
        if name == "predict":  # says what it left out
            assert len(out.splitlines()) == 151
            assert out == run(command, tmp_path, subprocess.PIPE)[1]
        assert out

    def test_an_error_keeps_its_status(self, tmp_path: Path, full: int) -> None:
        for words in (["train", "none.yaml"], ["nosuch"], ["train", "--nosuch"]):
            status, out, _ = run([str(SCRIPT), *words], tmp_path, subprocess.PIPE, full)
            assert (status, out) == (2, b"")

    @pytest.mark.parametrize("name", mostly_slow(["predict", "--help", "summary", "schema"], 2))
    def test_results_that_are_lost_are_a_failure(
        self, runs: Path, tmp_path: Path, full: int, name: str
    ) -> None:
        status, _, err = run(called(name, runs), tmp_path, full)
        assert status == 1
        assert err.decode().splitlines()[-1].startswith("nncli: standard output: ")


RED = "\x1b[31mRED"
SPEC = """\
data: {train: "t\\e[31mRED.csv", validation: 0.2}
network: [{type: dense, units: 2}]
train: {eta: 0.1, epochs: 1}
"""
SOUND = (
    *(("train", "n", "--out", "new"), ("train", "n", "--out", "new", "--full", "--overwrite")),
    *(("evaluate", "r"), ("evaluate", "r", "--format", "json"), ("predict", "r", "t")),
    *(("predict", "r", "t", "--format", "jsonl"), ("summary", "n"), ("show", "n"), ("show", "r")),
    *(("show", "n", "--format", "json"), ("compare", "r", "r"), ("inspect-grad", "n")),
    *(("inspect-grad", "r", "--format", x) for x in ("markdown", "latex", "html", "svg", "json")),
    *(("explain", "n"), ("explain", "r", "--format", "html"), ("explain", "n", "--wrong", "sign")),
    *(("inspect-grad", "n", "--save", "s"), ("recorder", "keras")),
    *(("conv", "m", "1"), ("conv", "m", "1", "--format", "json")),
    *(("export", "r", "--to", x, "--overwrite") for x in ("pytorch", "onnx", "npz")),
    *(
        ("init", "new", "--quick", "--data", "t", "--overwrite"),
        ("init", "--quick", "--data", "t", "new", "--stdout"),
    ),
)
WRONG = (
    *((RED,), ("train", f"--{RED}"), ("train", "--format", RED), ("train", RED), ("show", RED)),
    *(("train", "n", RED), ("train", "n", "--set", f"{RED}=3"), ("show", "n", "--set", f"a={RED}")),
    *(("init", RED), ("init", "--starter", RED), ("evaluate", RED)),
    *(("conv", RED, "box"), ("conv", "m", RED), ("conv", "m", "box", f"--{RED}")),
    *(("conv", "m", "1", option, RED) for option in ("--padding", "--stride", "--at", "--rows")),
    *(("inspect-grad", "n", x, RED) for x in ("--samples", "--layer", "--why", "--view")),
    *(("inspect-grad", "n", x, RED) for x in ("--output", "--format", "--check", "--section")),
    *(("explain", "n", x, RED) for x in ("--sample", "--layer", "--wrong", "--format", "--output")),
    *(("check", "n", RED), ("check", RED, RED), ("replay", RED), ("diff", f"{RED}.trace", RED)),
    *(("check", "n", "t", "--name", RED), ("inspect-grad", "n", "--save", RED)),
    *(("export", "r", "--to", RED), ("predict", "r", RED), ("evaluate", "r", "--data", RED)),
    *(("compare", RED, RED), ("summary", RED), ("train", "--resume", RED)),
)  # fmt: skip


@pytest.fixture
def red(nncli: Run, tmp_path: Path) -> dict[str, str]:
    """Files whose names, and the columns and classes in them, would act on a terminal."""
    rows = "".join(f'{k},{k % 3},"{["u" + RED, "v"][k % 2]}"\n' for k in range(20))
    (tmp_path / f"t{RED}.csv").write_text(f'"a{RED}",b,"y{RED}"\n{rows}')
    (tmp_path / f"n{RED}.yaml").write_text(SPEC)
    (tmp_path / f"m{RED}.csv").write_text("1,2\n3,4\n")
    assert nncli("train", f"n{RED}.yaml", "--out", f"r{RED}").status == 0
    return {
        "t": f"t{RED}.csv",
        "n": f"n{RED}.yaml",
        "m": f"m{RED}.csv",
        "r": f"r{RED}",
        "s": f"s{RED}.trace",
    }


@pytest.mark.parametrize("words", mostly_slow(SOUND, 3), ids=" ".join)
def test_no_name_acts_on_a_terminal(
    nncli: Run, red: dict[str, str], words: tuple[str, ...]
) -> None:
    done = nncli(*(red.get(word, word) for word in words))
    assert done.status == 0 or words[0] == "inspect-grad"
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    "words", mostly_slow(WRONG, 3), ids=lambda words: " ".join(words).replace(RED, "RED")
)
def test_no_message_acts_on_a_terminal(
    nncli: Run, red: dict[str, str], words: tuple[str, ...]
) -> None:
    done = nncli(*(red.get(word, word) for word in words))
    assert done.status == 2
    assert "\x1b" not in done.out + done.err
    assert "RED" in done.err


def test_json_holds_names_as_they_are(nncli: Run, red: dict[str, str]) -> None:
    record = json.loads(nncli("evaluate", red["r"], "--format", "json").out)
    assert sorted(row["class"] for row in record["classes"]) == sorted([f"u{RED}", "v"])
