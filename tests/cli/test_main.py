"""The command line as a whole."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, Run, mostly_slow


def test_help_names_the_commands(nncli: Run) -> None:
    done = nncli("--help")
    assert done.status == 0
    assert "train" in done.out


def test_version(nncli: Run) -> None:
    assert nncli("--version").out == "nncli 0.1.0\n"


@pytest.mark.parametrize("closed", mostly_slow(["<&- >&- 2>&-", ">&-", "2>&-"], 3))
def test_streams_may_be_closed(closed: str, tmp_path: Path) -> None:
    train = f"train {ROOT / 'configs/xor.yaml'} --epochs 1 --out run"
    for command in (train, "show run", "--version"):
        line = f"'{sys.executable}' -m nncli {command} {closed}"
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    spec = (tmp_path / "run/spec.yaml").read_text()
    assert spec.startswith("name: xor")  # and nothing that was to be printed is in it


SIZES = ["9" * 20, "10000000000", "1000000", "0", "-5", "3", "abc", "", "٣"]


@pytest.mark.parametrize("size", mostly_slow(SIZES, 9))
@pytest.mark.parametrize("name", mostly_slow(["COLUMNS", "LINES", "TERMINAL_WIDTH"], 3))
def test_sizes_that_no_terminal_has_are_not_believed(
    nncli_process: Run, name: str, size: str
) -> None:
    """Lines of as many blanks ended the program, or filled the memory."""
    spec = ROOT / "configs/xor.yaml"
    for words, status in ((("--help",), 0), (("nosuch",), 2), (("summary", spec), 0)):
        done = nncli_process(*words, **{name: size})
        assert done.status == status
        lines = (done.out + done.err).splitlines()
        assert max(map(len, lines)) <= 80 or words[0] == "summary"
        assert words[0] != "--help" or max(map(len, lines)) == 80


def test_what_does_not_fit_in_memory_is_said_in_our_words(
    nncli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(*_: object, **__: object) -> None:
        np.empty((1 << 24, 1 << 24))  # beyond any address space

    monkeypatch.setattr("nncli.app.conv.explain", explain)
    done = nncli("conv", "m.csv", "box")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "nncli: no memory is left for an array of 16777216 x 16777216 numbers (2,097,152.0 GiB); "
        "a smaller network, mini-batch or matrix would fit\n"
    )


def test_without_arguments_it_helps(nncli: Run) -> None:
    done = nncli()
    assert "Usage" in done.out
    assert done.err == ""


def test_an_unknown_option_is_status_2(nncli: Run) -> None:
    done = nncli("train", "x.yaml", "--epoch", "3")
    assert (done.status, done.out) == (2, "")
    assert "--epoch" in done.err


def test_help_loads_no_numbers_and_no_models() -> None:
    code = (
        "import sys; sys.argv = ['nncli', '--help']; from nncli.cli.app import run; run();"
        "print([x for x in ('numpy', 'pydantic', 'yaml') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_loads_no_plug_ins() -> None:
    spec = Path("configs/two-two-two.yaml").absolute()
    code = (
        f"import os, sys; sys.argv = ['nncli', 'inspect-grad', {str(spec)!r}];"
        "os._exit = lambda status: print(status, 'importlib.metadata' in sys.modules);"
        "from nncli.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_on_windows_it_says_where_it_runs() -> None:
    code = "import sys; sys.platform = 'win32'; from nncli.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nncli: it runs on Linux, macOS and other POSIX systems")


def test_what_an_option_holds_does_not_act_on_the_terminal(nncli: Run) -> None:
    done = nncli("conv", "x.csv", "box", "--padding", "\x1b[31m\x9b1m\rover\u202e")
    assert done.status == 2
    assert "nncli: --padding \\x1b[31m\\x9b1m\\rover\\u202e: expected valid" in done.err


@pytest.mark.parametrize(
    "command", [["train"], ["inspect-grad"], ["summary"], ["evaluate"], ["export", "--to", "npz"]]
)
def test_a_path_too_long_to_ask_for_is_refused(nncli: Run, command: list[str]) -> None:
    done = nncli(*command, "x" * 5000)
    assert done.status == 2
    told = "…?: (the file cannot be read: File name too long|there is no such folder.*)"
    assert re.fullmatch(rf"nncli: x+{told}\n", done.err)


def test_a_run_to_start_from_whose_path_is_too_long_is_refused(nncli: Run) -> None:
    done = nncli("train", ROOT / "configs/xor.yaml", "--init-from", "x" * 5000)
    assert done.status == 2
    assert done.err.rstrip().endswith("cannot be read: file name too long")


def test_a_spec_names_a_path_too_long_to_ask_for(nncli: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        f"data: {{train: {'x' * 300}.csv}}\n"
        "network: [{type: dense, units: 1}]\ntrain: {eta: 1}\n"
    )
    done = nncli("train", spec)
    assert done.status == 2
    assert f"net.yaml:1:15: data.train: there is no file '{tmp_path}/xxx" in done.err


def test_steps_of_thousands_of_digits_are_refused(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("1,2\n3,4\n")
    done = nncli("conv", "m.csv", "1 1", "--steps", "9" * 5000)
    assert done.status == 2
    assert done.err.endswith(": expected all, or how many, from 1\n")


SMALLEST = """\
data: {train: {inputs: [[1]], targets: [[0.5]]}, classes: none}
network: [{type: dense, units: 1}]
train: {eta: 0.5, epochs: 1}
"""
NOUNS = (
    "batches biases channels classes columns digits elements entries epochs filters inputs labels "
    "layers mini-batches neurons numbers outputs parameters places rows samples steps targets "
    "times units values weights windows"
)
COMMANDS = [
    *("train one.yaml", "show one.yaml", "summary one.yaml --time", "evaluate runs/one"),
    *("evaluate runs/one --data t.csv", "predict runs/one wide.csv", "predict runs/one t.csv"),
    *(f"inspect-grad runs/one --view {v}" for v in ("matrix", "hadamard", "kronecker", "index")),
    "inspect-grad one.yaml --why dense1[0,0]",
    *("diagnose one.yaml", "diagnose one.yaml --quick", "diagnose runs/one --quick"),
    *("export runs/one --to onnx", "export runs/one --to pytorch", "compare runs/one runs/one"),
    *("init --data t.csv made", "train one.yaml --resume runs/one --epochs 1"),
    *("conv 5 2 --steps all", "conv 5 2 --compare", "train one.yaml --set data.shape=[1,1,2]"),
]


def test_one_of_a_kind_has_no_plural(nncli: Run, tmp_path: Path) -> None:
    """What every command says of a network of one unit and one sample."""
    (tmp_path / "one.yaml").write_text(SMALLEST)
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    (tmp_path / "wide.csv").write_text("1,2,3\n")
    plural = re.compile(rf"(?<![\d.,:/×-])1 (?:of \w+ )?(?:{'|'.join(NOUNS.split())})\b")
    assert plural.search("160 samples of 1 inputs")
    for command in COMMANDS:
        done = nncli(*command.split(), COLUMNS="300")
        said = done.out + done.err
        assert "Usage" not in said, command
        assert plural.findall(said) == [], command


def test_a_title_stands_once(nncli: Run) -> None:
    lines = [line.strip() for line in nncli("conv", "1 2; 3 4", "1").out.splitlines()]
    assert [line for line in lines if line.startswith("output")] == ["output  2×2"]


def test_what_is_said_besides_results_loads_no_screen() -> None:
    code = (
        "import sys; from nncli.render.streams import DelayedProgressBar, say; say('a note');"
        "DelayedProgressBar()(1, 2); print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "nncli: a note\n")
