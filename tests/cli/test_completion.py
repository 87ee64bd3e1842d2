"""What a shell offers at the Tab key, asked for as the shells ask."""

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nncli.app.init import STARTERS
from nncli.cli.app import COMMANDS, app_for
from nncli.cli.completion import data_files, runs, specs, specs_or_runs
from tests.commands import in_this_process
from tests.conftest import Run

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
        "steps/one.trace",
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


def question(*words: str, shell: str = "bash") -> dict[str, Any]:
    """The variables by which a shell asks for the last of these words."""
    asked = {
        "bash": {"COMP_WORDS": " ".join(["nncli", *words]), "COMP_CWORD": str(len(words))},
        "zsh": {"_TYPER_COMPLETE_ARGS": " ".join(["nncli", *words])},
        "fish": {
            "_TYPER_COMPLETE_ARGS": " ".join(["nncli", *words]),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }[shell]
    return {**asked, "_NNCLI_COMPLETE": f"complete_{shell}"}


@pytest.fixture
def complete(here: Path) -> Complete:
    """What bash is offered for the last of these words."""

    def ask(*words: str) -> list[str]:
        done = in_this_process(program=SCRIPT, folder=here, **question(*words))
        assert done.err == ""
        return done.out.split()

    return ask


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_from_a_shell(here: Path, shell: str) -> None:
    done = subprocess.run(
        [SCRIPT],
        env={**os.environ, **question("train", "configs/i", shell=shell)},
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert "configs/iris.yaml" in done.stdout
    assert "xor" not in done.stdout


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


SPECS = ["configs/", "data/", "deep/", "empty/", "net.yaml", "other.yml", "runs/", "steps/"]
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


def test_traces(complete: Complete) -> None:
    assert complete("replay", "steps/") == ["steps/one.trace"]
    assert complete("diff", "steps/one.trace", "steps/") == ["steps/one.trace"]


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


# Real shells at a terminal

SHELLS = {
    "bash": (["bash", "--norc", "-i"], "set -o emacs"),
    "zsh": (["zsh", "-f", "-i"], "bindkey -e; autoload -Uz compinit; compinit -u -D"),
}
# What a shell would make of these as they are is another thing, and mostly runs a program.
HOSTILE = (
    "a$(touch PWNED).yaml",
    r"b\$(touch PWNED).yaml",
    "c`touch PWNED`.yaml",
    "d;touch PWNED;.yaml",
    "e';touch PWNED;'.yaml",
    'f"$(touch PWNED)".yaml',
    "g(1).yaml",
    "h*.yaml",
    "i  i.yaml",
    "j$HOME.yaml",
    "k!k.yaml",
    "l{1,2}.yaml",
    "m&touch PWNED&.yaml",
)
SOUND = (
    "a b.yaml",
    "b c d.yaml",
    "c:d.yaml",
    "d=e.yaml",
    "f,g@+%.yaml",
    "é ü.yaml",
    "g.h-i_j.yaml",
)


def typed_in(shell: str, folder: Path, lines: list[str]) -> list[list[str]]:
    """Types each line into a shell, then the Tab key; the words that the shell reads then."""
    command, setting = SHELLS[shell]
    source = f'eval "$(nncli --show-completion {shell})"; PS1="> "\n'
    # To the line's beginning, and to its end.
    taken = [f"{line}\t\x01printf '%s\\0' \x05>> words; echo >> words\n" for line in lines]
    process, terminal = pty.fork()
    if process == 0:
        environment = {
            "PATH": f"{SCRIPT.parent}:{os.defpath}",
            "HOME": str(folder),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        }
        os.chdir(folder)
        os.execvpe(command[0], command, environment)
    for text in (f"{setting}\n", source, *taken, "exit\n"):
        os.write(terminal, text.encode())
    while select.select([terminal], [], [], 60)[0]:
        try:
            os.read(terminal, 1 << 16)
        except OSError:  # the shell has left
            break
    os.close(terminal)
    os.waitpid(process, 0)
    return [line.split("\0")[:-1] for line in (folder / "words").read_text().splitlines()]


@pytest.mark.serial
@pytest.mark.parametrize("shell", SHELLS)
class TestShells:
    @pytest.fixture(autouse=True)
    def there(self, shell: str) -> None:
        if shutil.which(SHELLS[shell][0][0]) is None:
            pytest.skip(f"there is no {shell}")

    def test_names_with_blanks_and_signs_become_one_word(self, tmp_path: Path, shell: str) -> None:
        for name in SOUND:
            (tmp_path / name).touch()
        words = typed_in(shell, tmp_path, [f"nncli train {name[0]}" for name in SOUND])
        assert words == [["nncli", "train", name] for name in SOUND]

    @pytest.mark.parametrize("quote", ["'", '"'], ids=["single", "double"])
    def test_a_quote_that_was_begun_is_closed(self, tmp_path: Path, shell: str, quote: str) -> None:
        (tmp_path / "a b.yaml").touch()
        (tmp_path / "net.yaml").touch()
        words = typed_in(shell, tmp_path, [f"nncli train {quote}{start}" for start in ("a ", "n")])
        assert words == [["nncli", "train", name] for name in ("a b.yaml", "net.yaml")]

    def test_no_name_of_a_file_is_run(self, tmp_path: Path, shell: str) -> None:
        for name in HOSTILE:
            (tmp_path / name).touch()
        words = typed_in(shell, tmp_path, [f"nncli train {name[0]}" for name in HOSTILE])
        assert not (tmp_path / "PWNED").exists()
        # The shell completes them on its own, quoted.
        assert words == [["nncli", "train", name] for name in HOSTILE]

    def test_no_name_of_a_folder_is_run(self, tmp_path: Path, shell: str) -> None:
        for name in ("a$(touch PWNED)", r"b\$(touch PWNED)", "c`touch PWNED`"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "net.yaml").touch()
        started = [r"a\$\(touch\ PWNED\)/n", r"b\\\$\(touch\ PWNED\)/n", r"c\`touch\ PWNED\`/n"]
        words = typed_in(shell, tmp_path, [f"nncli train {start}" for start in started])
        assert not (tmp_path / "PWNED").exists()
        assert [len(line) for line in words] == [3, 3, 3]


@pytest.mark.parametrize(
    "variables",
    [
        {"_NNCLI_COMPLETE": "complete_bash"},
        {"_NNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "nncli t", "COMP_CWORD": "x"},
        {"_NNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "nncli t", "COMP_CWORD": "-1"},
        {"_NNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "nncli t", "COMP_CWORD": "9" * 5000},
        {"_NNCLI_COMPLETE": "complete_bash", "COMP_CWORD": "1"},
        {"_NNCLI_COMPLETE": "complete_tcsh"},
        {"_NNCLI_COMPLETE": "_"},
        {"_NNCLI_COMPLETE": "x"},
    ],
    ids=["none", "no number", "below 0", "too long", "no words", "shell", "parts", "word"],
)
def test_variables_that_no_shell_sets(nncli: Run, variables: dict[str, str]) -> None:
    done = nncli(program=SCRIPT, **variables)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("nncli: _NNCLI_COMPLETE is set, by which a shell asks")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", ["", "nncli train 'x", "nncli train --every x", "nncli \\", "nncli -- \x1b["]
)
def test_odd_words_and_fewer_than_the_shell_says(here: Path, words: str) -> None:
    asked: dict[str, Any] = {**question(), "COMP_WORDS": words, "COMP_CWORD": "99"}
    done = in_this_process(program=SCRIPT, folder=here, **asked)
    assert (done.status, done.err) == (0, "")


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


@pytest.mark.parametrize("name", [*HOSTILE, "evil\x1b[31m.yaml", "evil\nline.yaml", "--out.yaml"])
def test_names_that_could_act_on_shell_or_terminal_are_not_offered(here: Path, name: str) -> None:
    (here / name).touch()
    (here / name.removesuffix(".yaml")).mkdir()
    (here / name.removesuffix(".yaml") / "net.yaml").touch()
    assert not any(name.removesuffix(".yaml") in offered for offered in specs(name[:1]))
    assert specs(f"{name.removesuffix('.yaml')}/") == []


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
