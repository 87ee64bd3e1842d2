"""What a shell offers at the Tab key, asked for as the shells ask."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from nncli.app.init import STARTERS
from nncli.cli.app import COMMANDS, app_for
from nncli.cli.options import data_files, runs, specs, specs_or_runs

SCRIPT = Path(sys.executable).with_name("nncli")
BUILT: dict[str, object] = dict(get_command(app_for(COMMANDS)).commands)  # type: ignore[attr-defined]
Complete = Callable[..., list[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with specs, runs and data."""
    for name in (
        "net.yaml",
        "other.yml",
        "notes.txt",
        ".hidden.yaml",
        "my.csv",
        "configs/iris.yaml",
        "configs/xor.yaml",
        "configs/nncli.schema.json",
        "runs/iris/spec.yaml",
        "runs/iris-2/spec.yaml",
        "runs/notes.txt",
        "deep/deeper/deepest.yaml",
        "data/x-ubyte",
        "data/x.npz",
        "empty/",
    ):
        path = tmp_path / name
        path.mkdir(parents=True) if name.endswith("/") else None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if not path.is_dir() else None
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def complete(here: Path) -> Complete:
    """What bash is offered for the last of these words."""

    def ask(*words: str, shell: str = "bash") -> list[str]:
        asked = {
            "bash": {"COMP_WORDS": " ".join(["nncli", *words]), "COMP_CWORD": str(len(words))},
            "zsh": {"_TYPER_COMPLETE_ARGS": " ".join(["nncli", *words])},
            "fish": {
                "_TYPER_COMPLETE_ARGS": " ".join(["nncli", *words]),
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
        }[shell]
        done = subprocess.run(
            [SCRIPT],
            env={**os.environ, **asked, "_NNCLI_COMPLETE": f"complete_{shell}"},
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return ask


def test_commands(complete: Complete) -> None:
    assert complete("") == list(BUILT)
    assert complete("ini") == ["init"]


@pytest.mark.parametrize("command", BUILT)
def test_options_of_every_command(complete: Complete, command: str) -> None:
    offered = complete(command, "--")
    known = [
        name
        for param in BUILT[command].params  # type: ignore[attr-defined]
        for name in param.opts
        if name.startswith("--")
    ]
    assert sorted(offered) == sorted([*known, "--help"])


def test_values_of_options(complete: Complete) -> None:
    assert complete("compare", "--format", "") == ["table", "json"]
    assert complete("inspect-grad", "--view", "h") == ["hadamard"]


SPECS = ["configs/", "data/", "deep/", "empty/", "net.yaml", "other.yml", "runs/"]
ARGUMENTS = {
    command: argument.metavar or argument.name
    for command in BUILT
    for argument in BUILT[command].params[:1]  # type: ignore[attr-defined]
    if argument.param_type_name == "argument"
}
TAKING = {
    word: [c for c, metavar in ARGUMENTS.items() if word in metavar] for word in ("SPEC", "RUN")
}


@pytest.mark.parametrize("command", TAKING["SPEC"])
def test_every_command_that_takes_a_spec_offers_them(complete: Complete, command: str) -> None:
    """Such an argument has autocompletion=specs, or is one of nncli.cli.options."""
    assert complete(command, "configs/") == ["configs/iris.yaml", "configs/xor.yaml"]


@pytest.mark.parametrize("command", TAKING["RUN"])
def test_every_command_that_takes_a_run_offers_them(complete: Complete, command: str) -> None:
    """Such an argument has autocompletion=runs, or is one of nncli.cli.options."""
    assert complete(command, "runs/") == ["runs/iris", "runs/iris-2"]


def test_there_are_such_commands() -> None:
    assert {"train", "inspect-grad", "show"} <= set(TAKING["SPEC"])
    assert {"inspect-grad", "show", "compare"} <= set(TAKING["RUN"])


def test_each_of_many_runs(complete: Complete) -> None:
    assert complete("compare", "runs/iris", "runs/iris-") == ["runs/iris-2"]


def test_starters(complete: Complete) -> None:
    assert complete("init", "") == sorted(STARTERS)
    assert complete("init", "--starter", "d") == ["digits"]


def test_data(complete: Complete) -> None:
    assert complete("init", "--data", "data/") == ["data/x-ubyte", "data/x.npz"]
    assert "my.csv" in complete("init", "--data", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_same(complete: Complete, shell: str) -> None:
    offered = " ".join(complete("train", "configs/i", shell=shell))
    assert "configs/iris.yaml" in offered
    assert "xor" not in offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself(here: Path) -> None:
    code = (
        f"source <('{SCRIPT}' --show-completion bash); COMP_WORDS=(nncli train con); COMP_CWORD=2;"
        f"_nncli_completion '{SCRIPT}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code],
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["configs/iris.yaml", "configs/xor.yaml"]


# Which names are offered


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("offer", "typed", "offered"),
    [
        (specs, "", SPECS),
        (specs, "n", ["net.yaml"]),
        (specs, "./n", ["./net.yaml"]),
        (specs, ".h", [".hidden.yaml"]),
        (specs, "no", []),
        (specs, "notes", []),
        (specs, "nowhere/", []),
        # A folder that is the only choice is gone into, so that no space comes behind it.
        (specs, "conf", ["configs/iris.yaml", "configs/xor.yaml"]),
        (specs, "de", ["deep/deeper/deepest.yaml"]),
        (specs, "empty", []),
        (specs, "runs/", ["runs/iris-2/", "runs/iris/"]),
        (runs, "runs/", ["runs/iris", "runs/iris-2"]),
        (runs, "runs/iris-", ["runs/iris-2"]),
        (runs, "net", []),
        (specs_or_runs, "runs/", ["runs/iris", "runs/iris-2"]),
        (specs_or_runs, "n", ["net.yaml"]),
        (data_files, "m", ["my.csv"]),
    ],
)
def test_names(offer: Callable[[str], list[str]], typed: str, offered: list[str]) -> None:
    assert offer(typed) == offered


def test_home_and_absolute_paths(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert specs("~/n") == ["~/net.yaml"]
    assert specs(f"{here}/n") == [f"{here}/net.yaml"]


def test_names_that_could_act_on_the_terminal_are_not_offered(here: Path) -> None:
    (here / "evil\x1b[31m.yaml").touch()
    (here / "evil\nline.yaml").touch()
    assert specs("evil") == []


def test_a_folder_that_may_not_be_read_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: str) -> None:
        raise PermissionError(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert specs("") == []


def test_folders_within_each_other_without_end(here: Path) -> None:
    (here / "loop/loop").mkdir(parents=True)
    (here / "loop/loop/loop").symlink_to(here / "loop")
    assert specs("loo") == []


def test_completion_loads_neither_numbers_nor_yaml_nor_rich(here: Path) -> None:
    code = (
        "import sys; sys.argv = ['nncli']; from nncli.cli.app import run; run();"
        "heavy = ('numpy', 'yaml', 'rich', 'nncli.spec', 'nncli.data', 'nncli.app');"
        "print([x for x in heavy if x in sys.modules])"
    )
    asked = {"_NNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "nncli train c", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["configs/iris.yaml", "configs/xor.yaml", "[]"]
