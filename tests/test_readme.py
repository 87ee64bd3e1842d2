"""The README is true: its commands run, its output is what they print, its Python runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nncli.cli import app
from tests.conftest import ROOT, Run
from tests.pages import assert_true

TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line[:5] == "nncli"]


NUMBER = r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e-?\d+)?"


def words(text: str) -> list[str]:
    """Its lines without their numbers."""
    lines = [re.sub(NUMBER, "#", line) for line in text.splitlines()]
    return [re.sub(r"\s+", " ", re.sub("─+", "─", line)).strip() for line in lines]


def numbers(text: str) -> list[float]:
    return [float(x.replace(",", "")) for x in re.findall(NUMBER, text)]


def outputs_of(command: str) -> list[str]:
    """What the README shows of a command's output, up to the next command or heading."""
    after = re.split(r"^## |^```sh", TEXT.split(f"{command}\n```\n", 1)[1], maxsplit=1, flags=re.M)
    return re.findall(r"^```text\n(.*?)^```", after[0], re.M | re.S)


def part_like(shown: str, printed: str) -> str:
    """The part of what was printed that has the words of what is shown."""
    lines, wanted = printed.splitlines(), words(shown)
    for start in range(len(lines)):
        part = "\n".join(lines[start : start + len(wanted)])
        if words(part) == wanted:
            return part
    raise AssertionError(f"not printed:\n{shown}")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_what_the_readme_shows(command: str, nncli: Run) -> None:
    given = command.split()[1:]
    for run in (word for word in given if word.startswith("runs/")):
        assert nncli("train", ROOT / f"configs/{run[5:]}.yaml").status == 0
    shipped = ("configs/", "data/")
    arguments = [str(ROOT / word) if word.startswith(shipped) else word for word in given]
    done = nncli(*arguments)
    # These two find something, and say so.
    assert done.status == (given[0] in ("diagnose", "check"))
    exact = "train" not in command and "runs/" not in command
    for shown in outputs_of(command):
        printed = part_like(shown, done.out)
        # A training in float32 may end a little differently on another machine's matrix products;
        # and of rounding errors only their size can be told.
        close = pytest.approx(numbers(shown), rel=1e-9 if exact else 0.2)
        assert numbers(printed) == close or "largest relative error" in shown


def test_the_first_lesson_of_the_site_is_true_too(tmp_path: Path) -> None:
    assert_true(ROOT / "docs/tutorial/1-by-hand.md", tmp_path)


def test_the_make_commands_are_there() -> None:
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.M)
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


@pytest.mark.parametrize("code", blocks("python"))
def test_its_python_runs(code: str, tmp_path: Path) -> None:
    for folder in ("configs", "data"):
        code = code.replace(f'"{folder}/', f'"{ROOT}/{folder}/')
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_its_spec_is_a_spec(nncli: Run, tmp_path: Path) -> None:
    (spec,) = blocks("yaml")
    (tmp_path / "spec.yaml").write_text(spec.replace("../data", f"{ROOT}/data"))
    assert nncli("train", "spec.yaml", "--set", "train.epochs=1").status == 0


def test_its_conditions_are_conditions(nncli: Run, tmp_path: Path) -> None:
    (conditions,) = blocks("yml")
    spec = (ROOT / "configs/iris.yaml").read_text().replace("../data", f"{ROOT}/data")
    (tmp_path / "spec.yaml").write_text(f"{spec}\n{conditions}")
    done = nncli("train", "spec.yaml")
    assert done.status == 0
    assert "expectations: 4 of 4 held" in done.out


def test_the_mistake_it_shows_is_reported_so(nncli: Run, tmp_path: Path) -> None:
    (line,) = re.findall(r"^nncli: net.yaml.*$", TEXT, re.M)
    spec = "\n" * 8 + "network: [{type: dense, units: 2, activation: sigmod}]\n"
    (tmp_path / "net.yaml").write_text("data: {train: x.csv}\ntrain: {eta: 1}\n" + spec[2:])
    assert line.split(": ", 2)[2] in nncli("train", "net.yaml").err


@pytest.mark.parametrize("command", app.COMMANDS)
def test_every_command_stands_in_its_table(command: str) -> None:
    assert re.search(rf"^\| .*`nncli {command}\b", TEXT, re.M)
