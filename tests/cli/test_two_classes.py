"""Two classes with one output, one-hot columns and labels, from the table to every command."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as library
from nncli.core import safetensors_format
from tests.conftest import Run

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((80, 2)).round(3)
ABOVE = X.sum(axis=1) > 0.3
SPEC = """\
data: {{train: {name}.csv, target: {target}, validation: 0.25}}
network: [{{type: dense, units: 4, activation: tanh}}, {{type: dense, units: {units}}}]
train: {{eta: 0.5, epochs: 4, batch_size: 10, cost: cross_entropy}}
"""
TABLES = {
    "bought": ("y", 1, ["yes" if above else "no" for above in ABOVE]),
    "codes": ("y", 1, ABOVE.astype(int)),
    "onehot": ("[low, high]", 2, [f"{int(not above)},{int(above)}" for above in ABOVE]),
    "labels": ("[a, b]", 2, [f"{int(x > 0)},{int(y > 0.5)}" for x, y in X]),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: Any) -> Path:
    """A run of each of the tables."""
    folder: Path = tmp_path_factory.mktemp("two")
    for name, (target, units, cells) in TABLES.items():
        rows = (f"{x},{y},{cell}" for (x, y), cell in zip(X, cells, strict=True))
        columns = ",".join(target.strip("[]").split(", "))
        (folder / f"{name}.csv").write_text("\n".join([f"x1,x2,{columns}", *rows, ""]))
        spec = folder / f"{name}.yaml"
        spec.write_text(SPEC.format(name=name, target=target, units=units))
        library.train(spec, out=folder / name)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def outputs_of(run: Path) -> Any:
    """The outputs for the whole table, in NumPy alone."""
    p, _ = safetensors_format.read(run / "checkpoint.safetensors")
    x = X.astype(np.float32)
    z = np.tanh(x @ p["dense1.weight"] + p["dense1.bias"]) @ p["dense2.weight"] + p["dense2.bias"]
    return 1 / (1 + np.exp(-z))


def evaluated(nncli: Run, *arguments: str) -> Any:
    done = nncli("evaluate", *arguments, "--format", "json")
    assert done.status == 0
    return json.loads(done.out)


@pytest.mark.parametrize(("name", "classes"), [("bought", ["no", "yes"]), ("codes", ["0", "1"])])
def test_two_classes_with_one_output(
    nncli: Run, folder: Path, name: str, classes: list[str]
) -> None:
    made = evaluated(nncli, name, "--data", f"{name}.csv", "--weights", "last")
    a = outputs_of(folder / name)[:, 0]
    right = (a > 0.5) == ABOVE
    assert made["accuracy"] == np.mean(right)
    assert [row["class"] for row in made["classes"]] == classes
    assert made["confusion"] == [
        [int(((a > 0.5) == taken)[true == ABOVE].sum()) for taken in (False, True)]
        for true in (False, True)
    ]
    pairs = [(p > n) + (p == n) / 2 for p in a[ABOVE] for n in a[~ABOVE]]
    assert made["roc_area"] == pytest.approx(np.mean(pairs), abs=2e-3)
    worst = made["worst"][0]
    assert worst["class"] == classes[int(ABOVE[worst["sample"]])]
    assert len(worst["outputs"]) == 1
    last = json.loads((folder / name / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["validation_accuracy"] == evaluated(nncli, name, "--weights", "last")["accuracy"]


def test_predictions_have_the_names_of_classes(nncli: Run, folder: Path) -> None:
    lines = nncli("predict", "bought", "bought.csv", "--weights", "last").out.splitlines()
    a = outputs_of(folder / "bought")[:, 0]
    assert lines[0] == "class,yes"
    assert [line.split(",")[0] for line in lines[1:]] == [("no", "yes")[int(x > 0.5)] for x in a]
    assert float(lines[1].split(",")[1]) == pytest.approx(a[0], rel=1e-5)
    first = nncli("predict", "bought", "bought.csv", "--format", "jsonl").out.splitlines()[0]
    assert json.loads(first).keys() == {"class", "outputs"}


@pytest.mark.slow
def test_pages_of_two_classes(nncli: Run, folder: Path) -> None:
    page = nncli("evaluate", "bought").out
    assert "\nROC area  " in page
    assert "a of yes" in page
    assert "2 classes (output 1 is yes)" in nncli("train", "bought.yaml", "--out", "again").out
    for page_name in ("page.md", "page.html"):
        assert nncli("report", "bought", "-o", page_name).status == 0
        assert "ROC area" in (folder / page_name).read_text()
    assert nncli("compare", "bought", "codes").status == 0
    assert nncli("export", "bought", "--to", "pytorch", "-o", "net.py").status == 0
    assert "CLASSES" in (folder / "net.py").read_text()


def test_a_script_that_trains_is_refused(nncli: Run, folder: Path) -> None:
    """It would take its targets for indices of outputs, and has no weights of classes."""
    train = ("--to", "pytorch", "--train", "-o", "net.py")
    done = nncli("export", "bought", *train)
    assert done.status == 2
    assert "the script has an output for each class, this network one for two" in done.err
    nncli("train", "onehot.yaml", "--set", "data.class_weights=balanced", "--out", "weighted")
    done = nncli("export", "weighted", *train)
    assert done.status == 2
    assert "the script has a cost without weights" in done.err


def test_one_hot_columns_are_classes(nncli: Run, folder: Path) -> None:
    made = evaluated(nncli, "onehot", "--data", "onehot.csv", "--weights", "last")
    taken = outputs_of(folder / "onehot").argmax(axis=1)
    assert made["accuracy"] == np.mean(taken == ABOVE)
    assert [row["class"] for row in made["classes"]] == ["low", "high"]
    assert nncli("predict", "onehot", "onehot.csv").out.startswith("class,low,high\n")
    assert (
        evaluated(nncli, "onehot")["accuracy"]
        == json.loads((folder / "onehot/metrics.jsonl").read_text().splitlines()[-1])[
            "validation_accuracy"
        ]
    )


def test_labels(nncli: Run, folder: Path) -> None:
    made = evaluated(nncli, "labels", "--data", "labels.csv", "--weights", "last")
    given = outputs_of(folder / "labels") > 0.5
    true = np.stack([X[:, 0] > 0, X[:, 1] > 0.5], axis=1)
    assert made["accuracy"] == np.mean((given == true).all(axis=1))
    for k, row in enumerate(made["labels"]):
        both = int((given & true)[:, k].sum())
        assert row["label"] == "ab"[k]
        assert (row["samples"], row["right"]) == (int(true[:, k].sum()), both)
        assert row["precision"] == both / given[:, k].sum()
        assert row["f1"] == pytest.approx(2 * both / (given[:, k].sum() + true[:, k].sum()))
    assert (made["classes"], made["confusion"], made["outputs"]) == (None, None, None)
    lines = nncli("predict", "labels", "labels.csv", "--weights", "last").out.splitlines()
    assert lines[0] == "labels,a,b"
    names = [";".join(n for n, g in zip("ab", row, strict=True) if g) for row in given]
    assert [line.split(",")[0] for line in lines[1:]] == names
    first = nncli("predict", "labels", "labels.csv", "--format", "jsonl").out.splitlines()[0]
    assert json.loads(first)["labels"] == ([*names[0].split(";")] if names[0] else [])
    assert "have all labels right" in nncli("evaluate", "labels").out
    assert nncli("report", "labels", "-o", "page.html").status == 0
    assert "Each label" in (folder / "page.html").read_text()


def test_classes_none_takes_columns_for_numbers(nncli: Run, folder: Path) -> None:
    for name in ("onehot", "codes"):
        quadratic = ("--set", "data.classes=none", "--set", "train.cost=quadratic")
        nncli("train", f"{name}.yaml", *quadratic, "--out", f"{name}-numbers")
        made = evaluated(nncli, f"{name}-numbers")
        assert made["accuracy"] is None
        assert made["outputs"][0]["r2"] < 1


@pytest.mark.parametrize(("shape", "is_binary"), [([[0.0], [1.0]], True), ([[0.0], [0.5]], False)])
def test_an_array_of_zeros_and_ones(
    nncli: Run, folder: Path, shape: list[list[float]], is_binary: bool
) -> None:
    np.savez(folder / "x.npz", x=X, y=np.tile(shape, (40, 1)))
    spec = SPEC.format(name="x", target="null", units=1).replace("x.csv", "x.npz")
    (folder / "x.yaml").write_text(spec.replace("target: null, ", ""))
    assert nncli("train", "x.yaml").status == 0
    made = evaluated(nncli, "runs/x", "--weights", "last")
    assert (made["accuracy"] is not None) == is_binary
    settled = json.loads((folder / "runs/x/data.json").read_text())
    assert settled["classes"] == (["0", "1"] if is_binary else None)


def test_a_softmax_needs_two_units(nncli: Run, folder: Path) -> None:
    done = nncli("train", "bought.yaml", "--set", "network[1].activation=softmax")
    assert done.err.endswith("the data have 2 classes, got 1 unit; units: 2 would fit\n")


@pytest.mark.parametrize(("key", "value"), [("columns_reading", "words"), ("one_output", False)])
def test_a_damaged_run_is_told(nncli: Run, folder: Path, key: str, value: Any) -> None:
    path = folder / "bought/data.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    done = nncli("evaluate", "bought")
    assert done.status == 2
    assert "data.json" in done.err


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_numbers_are_measured_in_their_own_units(nncli: Run, folder: Path, scale: str) -> None:
    rows = (f"{a},{b},{100 + 40 * a - 10 * b:.2f}" for a, b in X)
    (folder / "r.csv").write_text("\n".join(["a,b,y", *rows, ""]))
    quadratic = ("--set", "train.cost=quadratic", "--set", f"data.target_scale={scale}")
    (folder / "r.yaml").write_text(
        SPEC.format(name="r", target="y", units=1).replace(
            "units: 1", "units: 1, activation: identity"
        )
    )
    eta = ("--set", "train.eta=0.01", "--format", "json")
    trained = json.loads(nncli("train", "r.yaml", *quadratic, *eta).out)
    (told,) = trained["fit"]["outputs"]
    made = evaluated(nncli, "runs/r")
    assert made["outputs"] == [told]
    assert trained["fit"]["part"] == made["data"]["part"] == "validation"
    # By the predictions, in plain Python.
    whole = evaluated(nncli, "runs/r", "--data", "r.csv")["outputs"][0]
    lines = nncli("predict", "runs/r", "r.csv").out.splitlines()[1:]
    y = [float(line.split(",")[2]) for line in (folder / "r.csv").read_text().splitlines()[1:]]
    misses = [abs(float(a) - b) for a, b in zip(lines, y, strict=True)]
    assert whole["mae"] == pytest.approx(sum(misses) / len(misses), rel=1e-4)
    assert whole["mse"] == pytest.approx(sum(m * m for m in misses) / len(misses), rel=1e-4)
