"""nncli evaluate, from the shell."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as library
from tests.cli.test_train import in_a_terminal
from tests.conftest import CONFIGS, ROOT, Run

IRIS = ROOT / "data/iris.csv"
MNIST = CONFIGS.parent / "data/mnist"


def record(nncli: Run, *arguments: str | Path | int) -> dict[str, Any]:
    done = nncli("evaluate", *arguments, "--format", "json")
    assert (done.status, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_page_for_reading(nncli: Run, runs: Path) -> None:
    done = nncli("evaluate", runs / "iris")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("iris after 60 epochs, on 30 samples: its validation data of")
    assert re.search(r"^accuracy  \d+\.\d\d%: \d+ of 30$", done.out, re.M)
    assert re.search(r"^setosa +10 +· +·$", done.out, re.M)
    assert re.search(r"^setosa +10 +10 +10 +100\.0% +100\.0%$", done.out, re.M)
    assert "\x1b" not in done.out


def test_it_agrees_with_the_training(nncli: Run, runs: Path) -> None:
    for name in ("iris", "digits"):
        made = record(nncli, runs / name)
        last = json.loads((runs / name / "metrics.jsonl").read_text().splitlines()[-1])
        assert made["data"]["part"] == "validation"
        assert made["cost"]["value"] == pytest.approx(last["validation_cost"], rel=1e-6)
        assert made["accuracy"] == last["validation_accuracy"]


def test_the_record_against_plain_loops(nncli: Run, runs: Path) -> None:
    made = record(nncli, runs / "digits", "--worst", 1000)
    assert made["schema"] == "nncli.evaluation/1"
    worst, classes = made["worst"], [row["class"] for row in made["classes"]]
    assert len(worst) == made["samples"] == 359
    pairs = [(sample["class"], sample["predicted"]) for sample in worst]
    for i, true in enumerate(classes):
        assert made["confusion"][i] == [pairs.count((true, taken)) for taken in classes]
        right = pairs.count((true, true))
        row = made["classes"][i]
        assert row["recall"] == right / sum(pair[0] == true for pair in pairs)
        assert row["precision"] == right / sum(pair[1] == true for pair in pairs)
    assert made["accuracy"] == sum(a == b for a, b in pairs) / 359
    costs = [sample["cost"] for sample in worst]
    assert costs == sorted(costs, reverse=True)
    assert np.mean(costs) == pytest.approx(made["cost"]["value"], rel=1e-5)
    with (ROOT / "data/digits.csv").open() as file:
        rows = list(csv.reader(file))
    for sample in worst:
        assert sample["row"] == sample["sample"] + 2
        pixels = [float(x) for x in rows[sample["row"] - 1][:-1]]
        assert np.ravel(sample["inputs"]) == pytest.approx(pixels)
        assert sample["class"] == rows[sample["row"] - 1][-1]
        assert classes[int(np.argmax(sample["outputs"]))] == sample["predicted"]


def test_other_data_by_name_and_without_the_training_data(
    nncli: Run, runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "iris", tmp_path / "run")
    spec = (tmp_path / "run/spec.yaml").read_text()
    (tmp_path / "run/spec.yaml").write_text(spec.replace(str(IRIS), "/gone/iris.csv"))
    lines = [line.split(",") for line in IRIS.read_text().splitlines()]
    turned = "".join(",".join(reversed(line)) + "\n" for line in lines)
    (tmp_path / "turned.csv").write_text(turned)
    made = record(nncli, "run", "--data", "turned.csv")
    assert made["data"] == {"part": "data", "source": "turned.csv"}
    assert made["samples"] == 150
    assert made["cost"] == record(nncli, runs / "iris", "--data", IRIS)["cost"]
    done = nncli("evaluate", "run")
    assert done.status == 2
    assert "there is no file '/gone/iris.csv'; check the path" in done.err
    assert "nncli: run: nncli evaluate with --data FILE measures it on others\n" in done.err


def test_inputs_and_targets_from_two_files(nncli: Run, tmp_path: Path) -> None:
    library.train(
        library.load_spec(CONFIGS / "mnist-mlp.yaml", ["train.epochs=1"]), out=tmp_path / "run"
    )
    images, labels = (MNIST / f"train-{x}-ubyte.gz" for x in ("images-idx3", "labels-idx1"))
    made = record(nncli, "run", "--data", images, "--targets", labels)
    assert made["samples"] == 5000
    assert made["accuracy"] > 0.7
    assert sum(map(sum, made["confusion"])) == 5000


@pytest.mark.parametrize(
    ("overrides", "part", "samples"),
    [
        ([f"data.test={IRIS}"], "test", 150),
        ([f"data.validation={IRIS}"], "validation", 150),
        (["data.validation=null"], "train", 150),
        (["data.validation=0.4"], "validation", 60),
    ],
)
def test_the_data_that_tell_most(
    nncli: Run, tmp_path: Path, overrides: list[str], part: str, samples: int
) -> None:
    spec = library.load_spec(CONFIGS / "iris.yaml", ["train.epochs=1", *overrides])
    library.train(spec, out=tmp_path / "run")
    made = record(nncli, "run")
    assert (made["data"]["part"], made["samples"]) == (part, samples)
    assert made["data"]["source"] == str(IRIS)


def test_numbers_as_targets(nncli: Run, runs: Path) -> None:
    made = record(nncli, runs / "plane", "--worst", 1000)
    assert made["accuracy"] is made["classes"] is made["confusion"] is None
    y = np.array([sample["targets"] for sample in made["worst"]])
    a = np.array([sample["outputs"] for sample in made["worst"]])
    for k, name in enumerate(("sum", "difference")):
        row = made["outputs"][k]
        assert row["output"] == name
        assert row["mse"] == pytest.approx(sum((a[:, k] - y[:, k]) ** 2) / 100)
        assert row["mae"] == pytest.approx(sum(abs(a[:, k] - y[:, k])) / 100)
        spread = sum((y[:, k] - sum(y[:, k]) / 100) ** 2)
        assert row["r2"] == pytest.approx(1 - 100 * row["mse"] / spread)
    assert made["cost"]["value"] == pytest.approx(sum(row["mse"] for row in made["outputs"]) / 2)
    page = nncli("evaluate", runs / "plane").out
    assert re.search(r"^output +MSE +RMSE +MAE +R²$", page, re.M)
    assert re.search(r"^difference +\S+ +\S+ +\S+ +(1\.000|0\.9\d+)$", page, re.M)


def test_what_is_undefined_is_a_dash(nncli: Run, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("sum,x,y,difference\n3,1,2,-1\n3,2,1,-1\n")
    page = nncli("evaluate", runs / "plane", "--data", "one.csv").out
    assert re.search(r"^sum .* –$", page, re.M)
    lines = IRIS.read_text().splitlines()
    (tmp_path / "setosa.csv").write_text("\n".join(lines[:5]) + "\n")
    page = nncli("evaluate", runs / "iris", "--data", "setosa.csv").out
    assert re.search(r"^virginica +0 +0 +0 +– +–$", page, re.M)
    made = record(nncli, runs / "iris", "--data", "setosa.csv")
    assert [row["precision"] for row in made["classes"]] == [1, None, None]


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("name", ["iris", "digits", "plane"])
def test_no_line_is_wider_than_the_terminal(nncli: Run, runs: Path, name: str, width: int) -> None:
    done = nncli("evaluate", runs / name, COLUMNS=str(width))
    assert max(map(len, done.out.splitlines())) <= width


def test_images_in_a_terminal(runs: Path, tmp_path: Path) -> None:
    shown = in_a_terminal(tmp_path, "evaluate", runs / "digits", COLORTERM="truecolor")
    assert shown.count("▀") == 2 * 4 * 16 * 8
    assert "38;2;" in shown
    plain = in_a_terminal(tmp_path, "evaluate", runs / "digits", NO_COLOR="1")
    assert "▀" not in plain
    assert "48;" not in plain
    assert re.search(r"sample \d+ +sample \d+", plain)


def test_worst_none(nncli: Run, runs: Path) -> None:
    done = nncli("evaluate", runs / "digits", "--worst", 0)
    assert "largest cost" not in done.out
    assert "taken for" not in done.out
    assert done.out.count("@") == 0


def test_a_hundred_classes(nncli: Run, tmp_path: Path) -> None:
    rows = "".join(f"{k % 100},{k % 7},c{k % 100}\n" for k in range(400))
    (tmp_path / "many.csv").write_text("x,y,class\n" + rows)
    (tmp_path / "many.yaml").write_text(
        "data: {train: many.csv, scale: standard}\n"
        "network: [{type: dense, units: 100}]\ntrain: {eta: 1, epochs: 1}\n"
    )
    assert nncli("train", "many.yaml").status == 0
    done = nncli("evaluate", "runs/many")
    assert re.search(r"^class +often taken for +times$", done.out, re.M)
    assert "… and 60 more classes" in done.out
    assert len(record(nncli, "runs/many")["confusion"]) == 100


def test_names_that_would_act(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,[red]\n2,\x1b[31m\n3,[red]\n")
    (tmp_path / "t.yaml").write_text(
        "data: {train: t.csv}\nnetwork: [{type: dense, units: 2}]\ntrain: {eta: 1}\n"
    )
    assert nncli("train", "t.yaml").status == 0
    done = nncli("evaluate", "runs/t")
    assert "[red]" in done.out
    assert "\x1b" not in done.out


DATA_JSON = (
    '{"format": "nncli.data/1", "input_shape": [4], "classes": null, "outputs": 3, "offset": 0.5, '
    '"divisor": 1, "columns": null, "target_columns": null, "target_positions": []}'
)


class TestWrong:
    """One line a mistake on standard error, status 2."""

    def fails(self, nncli: Run, *arguments: str | Path) -> str:
        done = nncli("evaluate", *arguments)
        assert (done.status, done.out) == (2, "")
        return done.err

    def test_no_run(self, nncli: Run, tmp_path: Path, runs: Path) -> None:
        assert self.fails(nncli, "none") == (
            "nncli: none: there is no such folder; nncli train writes run folders\n"
        )
        assert self.fails(nncli, tmp_path) == (
            f"nncli: {tmp_path}: is no run folder: it holds no spec.yaml\n"
        )
        assert "is a file; a run folder is needed" in self.fails(nncli, runs / "plane.yaml")

    @pytest.mark.parametrize("file", ["checkpoint.safetensors", "data.json"])
    def test_a_run_that_lacks_a_file(
        self, nncli: Run, runs: Path, tmp_path: Path, file: str
    ) -> None:
        shutil.copytree(runs / "iris", tmp_path / "run")
        for one in (tmp_path / "run").glob(f"{file}*"):  # of checkpoints, the one before too
            one.unlink()
        assert self.fails(nncli, "run") == (
            f"nncli: run/{file}: there is no such file; a run folder holds one\n"
        )

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("{", "damaged: it is no JSON"),
            ('{"format": "nncli.data/9"}', "its format is 'nncli.data/9', this version"),
            ("[]", "damaged: it is no JSON object"),
            ("{}", "damaged: it holds no format, where 'nncli.data/1' is expected"),
            ('{"format": [1]}', "damaged: it has a format that is no text, where"),
            ('{"format": "nncli.data/1"}', "damaged: it holds no 'input_shape'"),
            # What NumPy, or Python itself, would say of these is not ours to say.
            (DATA_JSON.replace("0.5", '"x"'), "damaged: its content is not what nncli writes"),
            (DATA_JSON.replace("0.5", "[[], 1]"), "damaged: its content is not what nncli writes"),
            (DATA_JSON.replace("[4]", "{}"), "damaged: its input_shape is {}, not a list of whole"),
            (DATA_JSON.replace("[]", "null"), "damaged: its target_positions is null, not a list"),
            (
                DATA_JSON.replace("[]", f"[{'1, ' * 900}-1]"),
                f"damaged: its target_positions is [{'1, ' * 12}1,…, not a list of whole numbers\n",
            ),
            (DATA_JSON.replace('s": 3', 's": null'), "damaged: its outputs is null, not a whole"),
            (
                DATA_JSON.replace('columns": null', 'columns": [1]', 1),
                "damaged: its columns is [1], not a list of names",
            ),
            (DATA_JSON.replace('r": 1', 'r": 0.0'), "damaged: its divisor is 0\n"),
            (DATA_JSON.replace('r": 1', 'r": -2'), "damaged: its divisor is -2\n"),
            (
                DATA_JSON.replace('r": 1', 'r": [1, null, 0, 1]'),
                "damaged: its divisor is 0 for input 3\n",
            ),
            (DATA_JSON.replace('r": 1', 'r": [1, 2]'), "damaged: its divisor is 2 numbers, not 4"),
            (DATA_JSON.replace("0.5", "null"), "damaged: its offset is null\n"),
            (DATA_JSON.replace("0.5", "1e999"), "damaged: its offset is inf\n"),
            (DATA_JSON.replace("0.5", "NaN"), "damaged: it is no JSON"),
        ],
    )
    def test_a_damaged_data_file(
        self, nncli: Run, runs: Path, tmp_path: Path, content: str, told: str
    ) -> None:
        shutil.copytree(runs / "iris", tmp_path / "run")
        (tmp_path / "run/data.json").write_text(content)
        assert self.fails(nncli, "run").startswith(f"nncli: run/data.json: {told}")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"classes": []}, "for a network of 0 outputs"),
            ({"classes": None, "outputs": 10**20}, "for a network of 100,000,000,000,000,000,000"),
            ({"outputs": 4}, "for a network of 4 outputs, that of spec.yaml has 3"),
        ],
    )
    def test_the_data_file_of_another_network(
        self, nncli: Run, runs: Path, tmp_path: Path, change: dict[str, Any], told: str
    ) -> None:
        shutil.copytree(runs / "iris", tmp_path / "run")
        settled = json.loads((tmp_path / "run/data.json").read_text())
        (tmp_path / "run/data.json").write_text(json.dumps(settled | change))
        assert self.fails(nncli, "run").startswith(f"nncli: run/data.json: damaged: it is {told}")

    def test_unknown_classes(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        header, *rows = IRIS.read_text().splitlines()
        rows[3] = rows[3].replace("setosa", "tulip")
        (tmp_path / "t.csv").write_text("\n".join([header, *rows]))
        assert self.fails(nncli, runs / "iris", "--data", "t.csv") == (
            "nncli: t.csv: row 5, column 5 (species): 'tulip' is not a class; the classes are "
            "'setosa', 'versicolor', 'virginica'\n"
        )

    def test_data_of_another_shape(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "t.npz", x=np.zeros((4, 9, 9)), y=np.arange(4))
        assert self.fails(nncli, runs / "digits", "--data", "t.npz") == (
            "nncli: t.npz: x: has an image of 1 x 9 x 9 a sample, but the network takes an image "
            "of 1 x 8 x 8\n"
        )

    def test_training_data_that_have_changed(self, nncli: Run, runs: Path, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
        (tmp_path / "t.yaml").write_text(
            "data: {train: t.csv, scale: minmax}\nnetwork: [{type: dense, units: 2}]\n"
            "train: {eta: 1}\n"
        )
        assert nncli("train", "t.yaml").status == 0
        (tmp_path / "t.csv").write_text("x,y\n1,a\n2,b\n3,a\n9,b\n")
        assert "are no longer those that it was trained with" in self.fails(nncli, "runs/t")

    @pytest.mark.parametrize("changed", ["x,y\n1,a\n2,b\n3,a\n4,a\n", "x,y\n1,a\n3,b\n2,a\n4,b\n"])
    def test_changed_data_that_would_be_read_alike(
        self, nncli: Run, tmp_path: Path, changed: str
    ) -> None:
        (tmp_path / "t.csv").write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
        (tmp_path / "t.yaml").write_text(
            "data: {train: t.csv, scale: minmax}\nnetwork: [{type: dense, units: 2}]\n"
            "train: {eta: 1}\n"
        )
        assert nncli("train", "t.yaml").status == 0
        assert nncli("evaluate", "runs/t").status == 0
        (tmp_path / "t.csv").write_text(changed)
        assert "are no longer those that it was trained with" in self.fails(nncli, "runs/t")

    def test_options_that_need_each_other(self, nncli: Run, runs: Path) -> None:
        assert "--targets goes with --data" in self.fails(nncli, runs / "iris", "--targets", "x")


def test_scaled_targets_are_measured_in_their_own_units(nncli: Any, tmp_path: Any) -> None:
    rows = [f"{k},{300 + 5 * k}" for k in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *rows]))
    (tmp_path / "n.yaml").write_text(
        "data: {train: t.csv, target: y, classes: none, scale: standard, target_scale: standard}\n"
        "network: [{type: dense, units: 1, activation: identity}]\n"
        "train: {eta: 0.2, epochs: 8, batch_size: 40, cost: quadratic}\n"
    )
    assert nncli("train", "n.yaml").status == 0
    predicted = nncli("predict", "runs/n", "t.csv").out.split()[1:]
    errors = [(float(a) - (300 + 5 * k)) ** 2 for k, a in enumerate(predicted)]
    measured = json.loads(nncli("evaluate", "runs/n", "--format", "json").out)
    (output,) = measured["outputs"]
    assert output["mse"] == pytest.approx(np.mean(errors), rel=1e-3)
    assert 1 < np.mean(errors) < 1000
