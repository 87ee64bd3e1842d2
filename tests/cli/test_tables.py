"""Tables as packages ship them: init, train and evaluate run on each, as they stand."""

import json

import pytest

from tests.conftest import ROOT, Run, mostly_slow

FOLDER = ROOT / "tests/tables"
# The target that init takes by itself, and the number of classes; 0: numbers.
TABLES = {
    "wine.csv": ("target", 3),
    "anes96.csv": ("'vote'", 2),
    "engel.csv": ("foodexp", 0),
    "penguins.csv": ("species", 3),
    "seattle-weather.csv": ("weather", 5),
    "three_blobs.csv.gz": (-1, 3),
    "mpg.csv": ("class", 7),
    "modechoice.csv": ("choice", 2),
    "grunfeld.csv": ("value", 0),
    "longley.csv": ("POP", 0),
    "stackloss.csv": ("ACIDCONC", 0),
    "statecrime.csv": ("urban", 0),
    "strikes.csv": ("iprod", 0),
    "msleep.csv": ("bodywt", 0),
}


@pytest.mark.parametrize("name", mostly_slow(list(TABLES), 4))
def test_a_table_as_it_ships(nncli: Run, name: str) -> None:
    target, classes = TABLES[name]
    table = FOLDER / name
    made = nncli("init", "net", "--quick", "--data", table)
    assert made.status == 0, made.err
    assert f"learns {target if isinstance(target, str) else 'column -1'}, " in made.out
    done = nncli("train", "net.yaml", "--set", "train.epochs=2", "--out", "run")
    assert done.status == 0, done.err
    judged = nncli("evaluate", "run", "--data", table, "--format", "json")
    assert judged.status == 0, judged.err
    told = json.loads(judged.out)
    assert len(told["classes"] or ()) == classes
    assert (told["accuracy"] is None) == (classes == 0)


def test_every_table_is_tried() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*TABLES, "README.md"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("wine.csv", 0.95), ("longley.csv", 0.9)])
def test_what_init_found_by_trying_learns_it(nncli: Run, name: str, least: float) -> None:
    assert nncli("init", "net", "--data", FOLDER / name).status == 0
    assert nncli("train", "net.yaml", "--out", "run").status == 0
    told = json.loads(nncli("evaluate", "run", "--data", FOLDER / name, "--format", "json").out)
    score = told["outputs"][0]["r2"] if told["accuracy"] is None else told["accuracy"]
    assert score >= least
