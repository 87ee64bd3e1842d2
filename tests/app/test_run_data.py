"""A run's data.json decides what its outputs are called: one that was changed is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nncli
from nncli.app.opening import open_run
from nncli.core.errors import DataError
from nncli.spec import parse_spec
from nncli.training.run_files import DATA

SPEC = """
data:
  train: {inputs: [[0, 1], [1, 0], [2, 1], [1, 2]], targets: [a, b, b, a]}
  classes: [a, b]
  scale: standard
network: [{type: dense, units: 2}]
train: {eta: 0.5, epochs: 2}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    nncli.train(parse_spec(SPEC), out=path)
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def edited(run: Path, change: Callable[[dict[str, Any]], object], indent: int | None = 1) -> str:
    """Changes data.json, and gives what is said of that."""
    content = json.loads((run / DATA).read_text())
    change(content)
    (run / DATA).write_text(json.dumps(content, indent=indent))
    return f"{run / DATA}: not as the training wrote it: the checksum is another; it is "


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data["classes"].reverse(), id="classes"),
        pytest.param(lambda data: data.update(divisor=[7.0, 1.0]), id="scaling"),
    ],
)
def test_one_that_was_edited_is_told(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    kept = (run / DATA).read_text()
    said = edited(run, change)
    assert open_run(run).notes == (f"{said}used as it is",)
    with pytest.raises(DataError, match=r"its training data or its data.json are no longer those"):
        nncli.evaluate(run)
    notes: list[str] = []
    nncli.resume(run, overrides=["train.epochs=3"], on_warning=notes.append)
    assert notes == [f"{said}written again"]
    assert (run / DATA).read_text() == kept
    assert open_run(run).notes == ()


def test_the_same_in_other_words_is_the_same(run: Path) -> None:
    edited(run, lambda _: None, indent=None)
    assert open_run(run).notes == ()
