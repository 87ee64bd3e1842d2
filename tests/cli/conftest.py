"""Runs that several tests of commands look at, and do not change."""

from pathlib import Path

import pytest

import nncli
from nncli.spec import load_spec
from tests.conftest import CONFIGS


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: iris, digits (images), plane (numbers as targets)."""
    folder = tmp_path_factory.mktemp("runs")
    nncli.train(CONFIGS / "iris.yaml", out=folder / "iris")
    nncli.train(load_spec(CONFIGS / "digits-conv.yaml", ["train.epochs=3"]), out=folder / "digits")
    table = "".join(f"{x},{y},{x + y},{x - y}\n" for x in range(10) for y in range(10))
    (folder / "plane.csv").write_text("x,y,sum,difference\n" + table)
    (folder / "plane.yaml").write_text(
        "data: {train: plane.csv, target: [sum, difference], scale: standard}\n"
        "network: [{type: dense, units: 2, activation: identity}]\n"
        "train: {eta: 0.1, epochs: 20}\n"
    )
    nncli.train(folder / "plane.yaml", out=folder / "plane")
    return folder
