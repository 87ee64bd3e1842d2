"""Where commands write: one rule, held for every option that names a file or a folder to write."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from nncli.cli.app import COMMANDS, app_for
from nncli.training.run_files import RUN_FILES, is_run_folder
from tests.commands import in_this_process
from tests.conftest import ROOT, Outcome, Run, mostly_slow

BUILT = dict(get_command(app_for(COMMANDS)).commands)  # type: ignore[attr-defined]
WRITING = {"-o", "--output", "--out", "--save"}
SPEC = """\
data: {train: table.csv, target: y, validation: held.csv, test: test.csv}
network: [{type: dense, units: 2, weights: w.npz, bias: b.csv}]
train: {eta: 0.1, epochs: 1}
"""
TABLE = "a,b,y\n1,2,u\n3,4,v\n5,6,u\n"
MADE_OF_SPEC = ("net.yaml", "table.csv", "held.csv", "test.csv", "w.npz", "b.csv")
MATRICES = ("m.csv", "f.csv", "u.csv")
# A command, how it is called, the name it is asked to write, and the files that it reads.
CASES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "inspect-grad": (("net.yaml", "--output"), "out.json", MADE_OF_SPEC),
    "conv": (("m.csv", "f.csv", "--upstream", "u.csv", "--output"), "out.csv", MATRICES),
    "predict": (("run", "table.csv", "--output"), "out.csv", ("table.csv",)),
    "export": (("run", "--to", "npz", "--output"), "out.npz", ()),
    "evaluate": (("run", "-o"), "out.json", MADE_OF_SPEC[1:]),
    "compare": (("run", "run", "-o"), "out.json", ()),
    "report": (("run", "-o"), "out.json", MADE_OF_SPEC[1:]),
    "schema": (("--output",), "out.json", ()),
    "explain": (("net.yaml", "-o"), "out.md", MADE_OF_SPEC),
    "recorder": (("numpy", "-o"), "out.py", ()),
    "exercise": (("-o",), "out.md", ()),
    "grade": (("key.json", "ada.csv", "-o"), "out.json", ("key.json", "ada.csv")),
}
FORMS = {  # asked for by an option, so that a file may have any name
    "inspect-grad": ("--format", "json"),
    "predict": ("--format", "csv"),
    "explain": ("--format", "markdown"),
}
BY_SUFFIX = {"evaluate", "report"}  # the format is that of the suffix, and .csv is of none
FOLDERS = {"train", "sweep"}  # those that write folders, which have tests of their own


def options_of(command: str) -> set[str]:
    return {name for param in BUILT[command].params for name in param.opts}


def test_every_command_that_writes_a_file_is_tried() -> None:
    writing = {command for command in BUILT if options_of(command) & WRITING}
    assert writing == CASES.keys() | FOLDERS
    replacing = {*writing, "init"} - {"sweep"}  # a sweep goes on in its folder
    assert all("--overwrite" in options_of(command) for command in replacing)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec with all the files it may name, a run of it, and a matrix with its filter."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("table.csv", "held.csv", "test.csv"):
        (folder / name).write_text(TABLE)
    for name in ("key.json", "ada.csv"):
        (folder / name).write_bytes((ROOT / "data/exercises" / name).read_bytes())
    np.savez(folder / "w.npz", w=np.ones((2, 2)))
    (folder / "b.csv").write_text("0,0\n")
    (folder / "net.yaml").write_text(SPEC)
    (folder / "m.csv").write_text("1,2\n3,4\n")
    (folder / "f.csv").write_text("2\n")
    (folder / "u.csv").write_text("1,1\n1,1\n")
    assert in_this_process("train", "net.yaml", "--out", "run", folder=folder).status == 0
    return folder


@pytest.fixture
def here(prepared: Path, tmp_path: Path) -> Path:
    """A copy of what is prepared, for a test to change."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    spec = tmp_path / "run/spec.yaml"  # names its files in full
    spec.write_text(spec.read_text().replace(str(prepared), str(tmp_path)))
    return tmp_path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(nncli: Run, here: Path) -> Callable[..., str]:
    """Runs a command that must be refused, and must change nothing; what it says."""

    def run(*arguments: str, stdin: bytes = b"") -> str:
        before = snapshot(here)
        done: Outcome = nncli(*arguments, stdin=stdin)
        assert (done.status, done.out) == (2, "")
        assert snapshot(here) == before
        return done.err

    return run


@pytest.mark.parametrize("command", CASES)
class TestFiles:
    def test_one_that_is_there_is_kept_without_overwrite(
        self, nncli: Run, here: Path, refused: Callable[..., str], command: str
    ) -> None:
        arguments, name, _ = CASES[command]
        (here / name).write_text("precious")
        message = refused(command, *arguments, name)
        assert f"nncli: {name}: is there already; --overwrite replaces it" in message
        assert nncli(command, *arguments, name, "--overwrite").status == 0
        assert (here / name).read_bytes() != b"precious"

    @pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard link", "symbolic link"])
    def test_other_names_of_one_that_is_replaced_keep_it(
        self,
        nncli: Run,
        here: Path,
        refused: Callable[..., str],
        command: str,
        link: Callable[[Path, Path], None],
    ) -> None:
        arguments, name, _ = CASES[command]
        (here / "other").write_text("precious")
        link(here / "other", here / name)
        refused(command, *arguments, name)
        assert nncli(command, *arguments, name, "--overwrite").status == 0
        assert (here / "other").read_text() == "precious"
        assert (here / name).read_bytes() != b"precious"
        assert not (here / name).is_symlink()

    def test_a_symbolic_link_to_nothing_is_there_too(
        self, here: Path, refused: Callable[..., str], command: str
    ) -> None:
        arguments, name, _ = CASES[command]
        (here / name).symlink_to("nowhere")
        assert "is there already" in refused(command, *arguments, name)

    @pytest.mark.parametrize(
        "link", mostly_slow([None, os.link, os.symlink], 3), ids=["itself", "hard", "soft"]
    )
    def test_what_is_read_is_never_replaced(
        self,
        here: Path,
        refused: Callable[..., str],
        command: str,
        link: Callable[[Path, Path], None] | None,
    ) -> None:
        arguments, name, read = CASES[command]
        for file in read:
            target = file
            if link is None and command in BY_SUFFIX and file.endswith(".csv"):
                continue  # it cannot be asked for under that name
            if link is not None:
                target = f"{Path(file).stem}-too{Path(name).suffix}"
                link(here / file, here / target)
            more = FORMS.get(command, ())
            message = refused(command, *arguments, target, "--overwrite", *more)
            assert f"{target}: is read by this command" in message

    @pytest.mark.parametrize("name", mostly_slow(RUN_FILES, 6))
    def test_nothing_is_written_into_a_run_folder(
        self, here: Path, refused: Callable[..., str], command: str, name: str
    ) -> None:
        arguments, new, _ = CASES[command]
        is_free = command in FORMS or command == "schema"  # of the suffix
        target = f"run/{name if is_free else new}"
        (here / "alias").symlink_to("run")
        (here / "run/sub/deeper").mkdir(parents=True)
        (here / "into").symlink_to("run/sub")
        folders = ("run", "./run", "alias", "run/sub", "run/sub/deeper", "into", "into/new")
        for given in (f"{folder}{target.removeprefix('run')}" for folder in folders):
            message = refused(command, *arguments, given, "--overwrite", *FORMS.get(command, ()))
            assert "would be written into a run folder" in message

    @pytest.mark.parametrize("overwrite", [(), ("--overwrite",)], ids=["", "overwrite"])
    def test_a_device_or_a_pipe_is_no_file(
        self, here: Path, refused: Callable[..., str], command: str, overwrite: tuple[str, ...]
    ) -> None:
        arguments, name, _ = CASES[command]
        os.mkfifo(here / "pipe")
        (here / name).symlink_to("/dev/null")
        suffix = Path(name).suffix
        (here / f"link{suffix}").symlink_to("pipe")
        for given in (name, f"link{suffix}"):
            message = refused(command, *arguments, given, *overwrite)
            assert f"{given}: is a device or a pipe, which no file may replace; " in message
            assert "is there already" not in message

    def test_a_folder_is_no_file(
        self, here: Path, refused: Callable[..., str], command: str
    ) -> None:
        arguments, name, _ = CASES[command]
        (here / name).mkdir()
        assert f"{name}: is a folder" in refused(command, *arguments, name, "--overwrite")


def test_what_comes_by_standard_input_is_read_too(here: Path) -> None:
    command = "predict run - --output table.csv --overwrite"
    with open(here / "table.csv") as table:
        done = subprocess.run(
            [sys.executable, "-m", "nncli", *command.split()],
            cwd=here,
            stdin=table,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "table.csv: is read by this command" in done.stderr
    assert (here / "table.csv").read_text() == TABLE


# A new spec


def test_a_new_spec_replaces_no_data(here: Path, refused: Callable[..., str]) -> None:
    os.link(here / "table.csv", here / "table.yaml")
    message = refused("init", "table", "--quick", "--data", "table.csv", "--overwrite")
    assert "table.yaml: is read by this command" in message


def test_a_new_spec_does_not_go_into_a_run(here: Path, refused: Callable[..., str]) -> None:
    for name in ("run/spec", "run/new"):
        assert "into a run folder" in refused("init", name, "--starter", "xor", "--overwrite")


# A run


@pytest.mark.parametrize(
    "arguments",
    [
        ("run/spec.yaml", "--out", "run"),
        ("run/spec.yaml",),
        ("net.yaml", "--init-from", "run", "--out", "run"),
        ("net.yaml", "--init-from", "run/checkpoint.safetensors", "--out", "run"),
    ],
    ids=["its spec", "its spec, by default", "its weights", "its checkpoint"],
)
def test_a_run_does_not_replace_what_it_is_made_of(
    nncli: Run, here: Path, refused: Callable[..., str], arguments: tuple[str, ...]
) -> None:
    if "--out" not in arguments:
        (here / "runs").mkdir()
        (here / "run").rename(here / "runs/net")
        arguments = ("runs/net/spec.yaml", "--set", "name=net")
    message = refused("train", *arguments, "--overwrite")
    assert "is what this training reads; --out DIR writes elsewhere" in message


def test_a_run_does_not_go_into_another(here: Path, refused: Callable[..., str]) -> None:
    (here / "run/sub").mkdir()
    for again in ("run/again", "run/sub/again"):
        message = refused("train", "net.yaml", "--out", again, "--overwrite")
        assert f"{again}: would be written into a run folder" in message


def test_a_run_may_be_replaced_from_within(nncli: Run, here: Path) -> None:
    done = nncli("train", "../net.yaml", "--out", "../run", "--overwrite", folder=here / "run")
    assert done.status == 0


def linked(folder: Path, link: Callable[[Path, Path], None]) -> Iterator[tuple[Path, bytes]]:
    """Gives every file of a run a second name; those, with what they hold."""
    (folder / "kept").mkdir()
    for name in RUN_FILES:
        own, other = folder / "run" / name, folder / "kept" / name
        if not own.exists():
            continue
        if link is os.symlink:
            own.rename(other)
            own.symlink_to(other)
        else:
            link(own, other)
        yield other, other.read_bytes()


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard links", "symbolic links"])
def test_a_run_that_is_replaced_is_kept_under_other_names(
    nncli: Run, here: Path, link: Callable[[Path, Path], None]
) -> None:
    kept = dict(linked(here, link))
    assert len(kept) >= 4
    assert all(content for content in kept.values())
    again = ("net.yaml", "--out", "run", "--overwrite", "--epochs", "3", "--set", "train.eta=0.2")
    assert nncli("train", *again).status == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert len((here / "run/metrics.jsonl").read_text().splitlines()) == 3
    assert not any((here / "run" / name).is_symlink() for name in RUN_FILES)
    assert {path.name for path in (here / "run").iterdir()} <= set(RUN_FILES)


def test_a_run_that_goes_on_is_kept_under_other_names(nncli: Run, here: Path) -> None:
    """As a backup by hard links has it."""
    kept = dict(linked(here, os.link))
    assert nncli("train", "--resume", "run", "--epochs", "3").status == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert len((here / "run/metrics.jsonl").read_text().splitlines()) == 3


def test_metrics_that_are_a_link_are_not_added_to(nncli: Run, here: Path) -> None:
    kept = dict(linked(here, os.symlink))
    done = nncli("train", "--resume", "run", "--epochs", "3")
    assert done.status == 2
    assert "run/metrics.jsonl: cannot be opened: it is a symbolic link" in done.err
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize(
    ("names", "is_run"),
    [
        (RUN_FILES, True),
        (("metrics.jsonl", "spec.yaml"), True),
        (("checkpoint.safetensors", "data.json"), True),
        (("spec.yaml", "data.json"), False),  # names that anybody may choose
        (("metrics.jsonl",), False),
        ((), False),
    ],
)
def test_which_folder_is_a_run(tmp_path: Path, names: tuple[str, ...], is_run: bool) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert is_run_folder(tmp_path) is is_run
