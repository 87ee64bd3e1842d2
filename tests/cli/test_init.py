"""nncli init: what it writes trains at once, and well."""

import csv
import gzip
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import nncli as api
from nncli.app.init import FOLDER, STARTERS
from nncli.spec import yaml12
from nncli.spec.nodes import plain
from nncli.spec.schema import POINTER
from tests.conftest import CONFIGS, ROOT, Outcome, Run, mostly_slow

SCHEMA = "nncli.schema.json"
VALIDATOR = Draft202012Validator(api.schema())
Rows = Iterable[Iterable[Any]]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: Rows, header: str = "", name: str = "my.csv") -> Path:
        with (tmp_path / name).open("w", newline="") as file:
            if header:
                file.write(header + "\n")
            csv.writer(file, delimiter="\t" if ".tsv" in name else ",").writerows(rows)
        return tmp_path / name

    return write


@pytest.mark.parametrize("given", mostly_slow(["pair", "npz"], 2))
@pytest.mark.parametrize(
    "labels",
    mostly_slow([np.array([2**64 - 1, 2**64 - 2], np.uint64), np.array([2**53, 2**53 + 1])], 2),
    ids=lambda labels: str(labels.dtype),
)
def test_integers_that_float64_makes_one_are_two_classes(
    nncli: Run, tmp_path: Path, labels: Any, given: str
) -> None:
    x, y = np.eye(4), np.tile(labels, 2)
    np.save(tmp_path / "nx.npy", x)
    np.save(tmp_path / "ny.npy", y)
    np.savez(tmp_path / "n.npz", x=x, y=y)
    source = ["n.npz"] if given == "npz" else ["nx.npy", "--targets", "ny.npy"]
    made = nncli("init", "a", "--quick", "--data", *source)
    one, two = sorted(map(int, labels))
    assert made.status == 0, made.err
    found = " ".join(made.out.split())
    assert f"4 samples of 4 inputs, 2 classes ({one}, {two})" in found
    assert accuracy(trained(nncli, "a.yaml")) == 1


def test_measures_that_are_one_number_in_float64(nncli: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "nx.npy", np.eye(40))
    np.save(tmp_path / "ny.npy", 2**60 + np.arange(40))
    made = nncli("init", "--quick", "--data", "nx.npy", "--targets", "ny.npy")
    assert made.err == (
        "nncli: ny.npy: the target is, rounded to float64, 1.15292e+18 in all 40 samples: "
        "there is nothing to learn\n"
    )


def trained(nncli: Run, spec: str) -> list[dict[str, Any]]:
    """The epochs of a training from the shell."""
    done = nncli("train", spec, "--out", "run", "--overwrite", "--format", "json")
    assert done.status == 0, done.err
    epochs: list[dict[str, Any]] = json.loads(done.out)["epochs"]
    return epochs


def accuracy(epochs: list[dict[str, Any]]) -> float:
    last = epochs[-1]
    found = last["validation_accuracy"]
    return float(last["train_accuracy"] if found is None else found)


def determination(epochs: list[dict[str, Any]], spec: Path) -> float:
    """R² on the data held back: C is half the mean squared error."""
    held_back = api.prepare(api.load_spec(spec)).data.validation
    assert held_back is not None
    targets = held_back.targets[held_back.index].astype(np.float64)
    return float(1 - 2 * epochs[-1]["validation_cost"] / targets.var(axis=0).sum())


def wrote(done: Outcome) -> list[str]:
    (line,) = [line for line in done.out.splitlines() if line.startswith("wrote ")]
    return line.removeprefix("wrote ").split(", ")


# Shipped data


@pytest.mark.parametrize(("name", "least"), [("xor", 1.0), ("iris", 0.93), ("digits", 0.96)])
def test_what_it_writes_for_a_shipped_table_trains_well(
    nncli: Run, tmp_path: Path, name: str, least: float
) -> None:
    done = nncli("init", "mine", "--quick", "--data", ROOT / "data" / f"{name}.csv")
    assert (done.status, done.err) == (0, "")
    assert wrote(done) == ["mine.yaml", SCHEMA]
    assert "next: nncli train mine.yaml" in done.out
    assert accuracy(trained(nncli, "mine.yaml")) >= least


@pytest.mark.slow
def test_what_it_writes_for_mnist_trains_well(nncli: Run, tmp_path: Path) -> None:
    images = ROOT / "data/mnist/train-images-idx3-ubyte.gz"
    done = nncli("init", "--quick", "--data", images)
    assert wrote(done) == ["train-images.yaml", SCHEMA]
    spec = api.load_spec(tmp_path / "train-images.yaml", ["train.epochs=2"])
    assert [layer.type for layer in spec.network] == ["conv", "maxpool"] * 2 + ["dense"] * 2
    assert spec.data.scale == 255
    history = api.train(spec).history
    assert history[-1].accuracy is not None
    assert history[-1].accuracy >= 0.9


@pytest.mark.parametrize("seed", mostly_slow(range(1, 4), 3))
@pytest.mark.parametrize("table", mostly_slow([("xor", 1.0), ("iris", 0.9), ("digits", 0.95)], 3))
def test_it_trains_well_from_other_seeds(
    tmp_path: Path, table: tuple[str, float], seed: int
) -> None:
    name, least = table
    draft = api.init(tmp_path / name, data=ROOT / "data" / f"{name}.csv", quick=True)
    history = api.train(api.load_spec(draft.path, [f"seed={seed}"])).history
    assert history[-1].accuracy is not None
    assert history[-1].accuracy >= least


# Starters


@pytest.mark.parametrize("name", STARTERS)
def test_every_starter_trains_at_once(nncli: Run, tmp_path: Path, name: str) -> None:
    done = nncli("init", name)
    assert (done.status, done.err) == (0, "")
    assert sorted(wrote(done)) == sorted(p.name for p in tmp_path.iterdir())
    epochs = trained(nncli, f"{name}.yaml")
    match name:
        case "two-two-two":
            assert epochs[0]["train_cost"] == pytest.approx(0.2983711088, abs=5e-11)
        case "wave":
            assert determination(epochs, tmp_path / "wave.yaml") > 0.97
        case _:
            assert accuracy(epochs) >= 0.95


def test_they_are_listed(nncli: Run, tmp_path: Path) -> None:
    done = nncli("init")
    assert done.status == 0
    assert nncli("init", "--list").out == done.out
    assert [line.split()[0] for line in done.out.splitlines()[: len(STARTERS)]] == list(STARTERS)
    assert all(starter.about in done.out for starter in STARTERS.values())
    assert list(tmp_path.iterdir()) == []


def test_a_starter_under_another_name_has_data_of_that_name(nncli: Run, tmp_path: Path) -> None:
    assert wrote(nncli("init", "flowers", "--starter", "iris")) == [
        "flowers.yaml",
        SCHEMA,
        "flowers.csv",
    ]
    assert api.load_spec(tmp_path / "flowers.yaml").name == "flowers"
    assert nncli("train", "flowers.yaml", "--set", "train.epochs=1").status == 0


def test_what_starters_hold_is_what_is_shipped() -> None:
    assert (FOLDER / "iris.csv").read_bytes() == (ROOT / "data/iris.csv").read_bytes()
    digits = gzip.decompress((FOLDER / "digits.csv.gz").read_bytes())
    assert digits == (ROOT / "data/digits.csv").read_bytes()
    two = (CONFIGS / "two-two-two.yaml").read_text().replace("name: two-two-two\n", "")
    assert (FOLDER / "two-two-two.yaml").read_text() == two
    rows = [line.split(",") for line in (FOLDER / "wave.csv").read_text().splitlines()[1:]]
    assert all(float(y) == round(math.sin(float(x)), 4) for x, y in rows)


# What it makes of a table


def test_it_says_why_and_what_else_there_could_be(nncli: Run, table: Any, tmp_path: Path) -> None:
    rows = [(k % 7, k % 3, "ab"[k % 2]) for k in range(60)]
    table(rows, "x,z,kind")
    nncli("init", "--quick", "--data", "my.csv")
    text = (tmp_path / "my.yaml").read_text()
    assert text.startswith(f"{POINTER}\n# Made by nncli init for my.csv: 60 samples of 2 inputs")
    why = "by its name, the last column, the only column of words, of two values: classes a, b"
    assert f"  # {why}\n  target: kind\n" in text
    assert "  # test: " in text
    assert all(f"\n  {key}: " in text for key in ("momentum", "weight_decay", "schedule"))
    assert max(map(len, text.splitlines())) <= 100


def test_all_it_writes_is_valid_by_the_schema_that_lies_beside_it(
    nncli: Run, tmp_path: Path
) -> None:
    for name in STARTERS:
        nncli("init", name)
    assert json.loads((tmp_path / SCHEMA).read_text()) == api.schema()
    for path in tmp_path.glob("*.yaml"):
        text = path.read_text()
        assert text.splitlines()[0] == POINTER
        node, _ = yaml12.read(text)
        assert node is not None
        VALIDATOR.validate(plain(node))


def test_what_is_commented_out_could_be_there(nncli: Run, tmp_path: Path) -> None:
    nncli("init", "iris")
    text = (tmp_path / "iris.yaml").read_text()
    tried = text.replace("  # - {", "  - {")
    assert tried.count("#") == text.count("#") - 1
    (tmp_path / "tried.yaml").write_text(tried)
    done = nncli("train", "tried.yaml", "--set", "train.eta=0.01")
    assert done.status == 0


def test_the_name_of_the_data_is_told_from_the_spec(nncli: Run, tmp_path: Path, table: Any) -> None:
    table([(k, k % 2) for k in range(30)])
    (tmp_path / "specs").mkdir()
    nncli("init", "specs/one", "--quick", "--data", "my.csv")
    assert api.load_spec(tmp_path / "specs/one.yaml").data.train == "../my.csv"
    assert nncli("train", "specs/one.yaml", "--set", "train.epochs=1").status == 0


def rng_rows(seed: int, n: int, features: int) -> Any:
    return np.random.default_rng(seed).normal(size=(n, features))


@pytest.mark.parametrize(
    ("header", "row", "target"),
    [
        ("a,b,c", lambda k: (k, k % 5, k % 2), "c"),
        ("", lambda k: (k, k % 5, k % 2), -1),
        ("kind,a,b", lambda k: ("pq"[k % 2], k, k % 5), "kind"),
        ("", lambda k: ("pq"[k % 2], k, k % 5), 0),
        ("label,a,b", lambda k: (k % 2, k, k % 5), "label"),
        ("Target,a,b", lambda k: (k % 2, k, k % 5), "Target"),
        ("a,a,a", lambda k: (k, k % 5, k % 2), -1),
        ("on,b,class", lambda k: (k, k % 5, k % 2), "class"),
        ("a,b,on", lambda k: (k, k % 5, k % 2), "on"),
        ("a,b,c: d # e", lambda k: (k, k % 5, k % 2), "c: d # e"),
    ],
)
def test_the_target_column(
    nncli: Run, tmp_path: Path, table: Any, header: str, row: Any, target: str | int
) -> None:
    table([row(k) for k in range(40)], header)
    assert nncli("init", "--quick", "--data", "my.csv").status == 0
    prepared = api.prepare(api.load_spec(tmp_path / "my.yaml"))
    assert prepared.spec.data.target == target
    assert prepared.data.classes is not None
    assert len(prepared.data.classes) == 2


@pytest.mark.parametrize(
    ("asked", "target", "inputs"),
    [(["b"], "b", 2), (["0"], 0, 2), (["-1"], -1, 2), (["a", "c"], ("a", "c"), 1)],
)
def test_the_target_may_be_said(
    nncli: Run, tmp_path: Path, table: Any, asked: list[str], target: Any, inputs: int
) -> None:
    table([(k % 9, k % 4, k % 2) for k in range(40)], "a,b,c")
    options = [x for column in asked for x in ("--target", column)]
    assert nncli("init", "--quick", "--data", "my.csv", *options).status == 0
    prepared = api.prepare(api.load_spec(tmp_path / "my.yaml"))
    assert prepared.spec.data.target == target
    assert prepared.data.input_shape == (inputs,)


def test_a_target_of_thousands_of_digits_is_no_index(nncli: Run, table: Any) -> None:
    table([(k, k % 2) for k in range(40)], "a,b")
    done = nncli("init", "--quick", "--data", "my.csv", "--target", "9" * 5000)
    assert done.status == 2
    assert "there is no column '999" in done.err


@pytest.mark.parametrize(
    ("targets", "classes"),
    [
        ([k % 3 for k in range(60)], 3),
        ([k % 3 + 4 for k in range(60)], 3),
        ([k % 30 for k in range(300)], 30),
        ([k % 40 for k in range(2000)], 40),
        ([k % 2 for k in range(4)], 2),
        ([37 * k % 1000 for k in range(300)], None),
        ([k % 40 + 1950 for k in range(300)], None),
        (list(range(60)), None),
        ([k % 3 + 0.5 for k in range(60)], None),
    ],
)
def test_integers_are_classes_where_they_look_so(
    tmp_path: Path, table: Any, targets: list[Any], classes: int | None
) -> None:
    table([(math.sin(k), y) for k, y in enumerate(targets)], "x,z")
    data = api.prepare(
        api.load_spec(api.init(tmp_path / "s", data=tmp_path / "my.csv", quick=True).path)
    ).data
    assert (data.classes and len(data.classes)) == classes
    assert data.outputs == (classes or 1)


def test_an_only_column_of_words_beats_the_last(nncli: Run, table: Any) -> None:
    table([(k, "uv"[k % 2], k % 5) for k in range(40)], "a\tkind\tc", "my.tsv")
    done = nncli("init", "--quick", "--data", "my.tsv")
    assert "2 classes (u, v)" in done.out


# Numbers as targets, of any size


@pytest.mark.parametrize("factor", mostly_slow([1e-3, 0.1, 1.0, 30.0, 1e6], 4))
@pytest.mark.parametrize("offset", mostly_slow([0.0, 50.0], 2))
def test_targets_of_any_size_are_learnt(
    nncli: Run, tmp_path: Path, table: Any, factor: float, offset: float
) -> None:
    x = rng_rows(0, 300, 3)
    y = np.sin(x[:, 0]) + 0.5 * x[:, 1] + 0.3 * np.abs(x[:, 2])
    y = factor * (y + offset)
    table([(*(f"{v:.6f}" for v in row), f"{t:.9g}") for row, t in zip(x, y, strict=True)])
    assert nncli("init", "--quick", "--data", "my.csv").status == 0
    assert determination(trained(nncli, "my.yaml"), tmp_path / "my.yaml") > 0.98
    is_scaled = "target_scale: standard" in (tmp_path / "my.yaml").read_text()
    assert is_scaled == (factor != 1 or offset != 0)


def test_several_targets_of_different_means(nncli: Run, tmp_path: Path, table: Any) -> None:
    x = rng_rows(1, 300, 2)
    y = np.column_stack([100 * x[:, 0] + 900, 80 * np.sin(x[:, 1]) - 50])
    table([(*a, *b) for a, b in zip(x.tolist(), y.tolist(), strict=True)], "a,b,c,d")
    nncli("init", "--quick", "--data", "my.csv", "--target", "c", "--target", "d")
    assert determination(trained(nncli, "my.yaml"), tmp_path / "my.yaml") > 0.98


# Inputs


@pytest.mark.parametrize(
    ("inputs", "scale"),
    [
        (lambda x: x, "none"),
        (lambda x: x > 0, "none"),
        (lambda x: 1e6 * x + 3, "standard"),
        (lambda x: 1e-4 * x, "standard"),
        (lambda x: x + np.array([0, 0, 0, 1e3]), "standard"),
        (lambda x: x * np.array([1, 1, 1, 0.01]), "standard"),
    ],
)
def test_the_scale_fits_the_inputs(tmp_path: Path, table: Any, inputs: Any, scale: str) -> None:
    x = rng_rows(2, 100, 4)
    rows = [
        (*row, "pq"[int(k)]) for row, k in zip((1 * inputs(x)).tolist(), x[:, 0] > 0, strict=True)
    ]
    table(rows)
    spec = api.load_spec(api.init(tmp_path / "s", data=tmp_path / "my.csv", quick=True).path)
    assert spec.data.scale == scale


def bars(n: int, side: int, channels: int = 1) -> tuple[Any, Any]:
    """Soft bars, lying or standing, as n x channels x side x side from 0 to 1."""
    rng = np.random.default_rng(3)
    lying = rng.integers(0, 2, n)
    middle = rng.uniform(1, side - 2, (n, 1, 1))
    rows, columns = np.mgrid[:side, :side]
    across = np.where(lying[:, None, None] == 1, rows, columns)
    images = np.exp(-((across - middle) ** 2))
    return np.repeat(images[:, None], channels, axis=1), lying


@pytest.mark.parametrize("channels", mostly_slow([1, 3], 2))
def test_rows_that_are_images_get_a_shape(
    nncli: Run, tmp_path: Path, table: Any, channels: int
) -> None:
    images, lying = bars(200, 9, channels)
    pixels = np.rint(200 * images).astype(int).reshape(200, -1)
    table([(*row, y) for row, y in zip(pixels.tolist(), lying.tolist(), strict=True)])
    nncli("init", "--quick", "--data", "my.csv")
    spec = api.load_spec(tmp_path / "my.yaml")
    assert spec.data.shape == (channels, 9, 9)
    assert spec.data.scale == 255
    assert spec.network[0].type == "conv"
    assert accuracy(trained(nncli, "my.yaml")) >= 0.95


def noise(rng: Any) -> Any:
    return rng.integers(0, 256, (200, 64))


def answers(rng: Any) -> Any:
    """Of a survey: who says 5 to one question tends to say so to another."""
    return np.clip(rng.integers(1, 6, (200, 1)) + rng.integers(-1, 2, (200, 64)), 0, 10)


def series(rng: Any) -> Any:
    """Measurements at 64 moments: neighbours are alike, and those 8 apart less so."""
    frequency, phase = rng.uniform(0.2, 6, (2, 200, 1))
    at = np.linspace(0, 1, 64)
    return np.rint(100 + 90 * np.sin(2 * np.pi * (frequency * at + phase)))


def negative(rng: Any) -> Any:
    images, _ = bars(200, 8)
    return np.rint(100 * images.reshape(200, -1)) - 50


@pytest.mark.parametrize("make", [noise, answers, series, negative])
def test_rows_that_only_have_a_square_number_of_values_get_none(
    tmp_path: Path, table: Any, make: Any
) -> None:
    rows = make(np.random.default_rng(4)).astype(int)
    table([(*row, k % 2) for k, row in enumerate(rows.tolist())])
    draft = api.init(tmp_path / "s", data=tmp_path / "my.csv", quick=True)
    assert api.load_spec(draft.path).data.shape is None


def test_columns_named_for_pixels_are_believed(tmp_path: Path, table: Any) -> None:
    rows = np.random.default_rng(5).integers(0, 256, (40, 49)).tolist()
    header = ",".join(["label", *(f"pixel{k}" for k in range(49))])
    table([(k % 2, *row) for k, row in enumerate(rows)], header)
    spec = api.load_spec(api.init(tmp_path / "s", data=tmp_path / "my.csv", quick=True).path)
    assert (spec.data.shape, spec.data.target) == ((1, 7, 7), "label")


@pytest.mark.parametrize("form", mostly_slow(["npz", "npy", "idx", "said"], 4))
def test_arrays(nncli: Run, tmp_path: Path, form: str) -> None:
    images, lying = bars(120, 12)
    images = np.rint(250 * images).astype(np.uint8)
    arguments = ["--quick", "--data", "x_train.npy"]
    if form == "npz":
        np.savez(tmp_path / "both.npz", x=images, y=lying)
        arguments = ["--quick", "--data", "both.npz"]
    elif form == "idx":
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (120, 12, 12))
        (tmp_path / "images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = b"\0\0\x08\x01" + (120).to_bytes(4, "big")
        (tmp_path / "labels-idx1-ubyte").write_bytes(header + lying.astype(np.uint8).tobytes())
        arguments = ["--quick", "--data", "images-idx3-ubyte"]
    else:
        np.save(tmp_path / "x_train.npy", images)
        np.save(tmp_path / ("y_train.npy" if form == "npy" else "which.npy"), lying)
        arguments += ["--targets", "which.npy"] if form == "said" else []
    done = nncli("init", "net", *arguments)
    assert (done.status, done.err) == (0, "")
    assert "120 samples of images of 1 x 12 x 12, 2 classes (0, 1)" in done.out
    assert accuracy(trained(nncli, "net.yaml")) >= 0.95


def test_one_hot_rows_get_softmax(tmp_path: Path) -> None:
    x = rng_rows(6, 90, 4)
    np.savez(tmp_path / "hot.npz", x=x, y=np.eye(3)[np.argmax(x[:, :3], axis=1)])
    spec = api.load_spec(api.init(tmp_path / "s", data=tmp_path / "hot.npz", quick=True).path)
    last: Any = spec.network[-1]
    assert (spec.train.cost, last.activation) == ("cross_entropy", "softmax")
    cost = api.train(spec).history[-1].validation_cost
    assert cost is not None
    assert cost < 0.4


# What is to be told


NOT_IN_REPORT = ("id: only counts the rows", "z: is 5 in every row", "")  # beside a value


@pytest.mark.parametrize(
    ("header", "row", "note"),
    [
        ("id,x,y", lambda k: (k + 100, k % 7, k % 2), "id: only counts the rows"),
        ("x,z,y", lambda k: (k % 7, 5, k % 2), "z: is 5 in every row"),
        ("x,x,y", lambda k: (k % 7, k % 5, k % 2), "more than one column is called x;"),
        ("x,z,y", lambda k: (k % 5, k % 7, k % 2), ""),
        ("x,z,y", lambda k: (k % 35, k % 7, k % 35 % 2), "5 of 40 samples are the same as one"),
        ("x,z,y", lambda k: (k % 7, k % 5, int(k == 3)), "fewer than 5 samples are of class 1."),
    ],
)
def test_what_is_odd_is_noted(
    nncli: Run, tmp_path: Path, table: Any, header: str, row: Any, note: str
) -> None:
    table([row(k) for k in range(40)], header)
    done = nncli("init", "--quick", "--data", "my.csv")
    assert done.status == 0
    assert note in " ".join((tmp_path / "my.yaml").read_text().replace("# ", "").split())
    assert note in " ".join(done.out.split()) or note in NOT_IN_REPORT
    assert max(map(len, done.out.splitlines())) <= 80
    assert ("are the same as one" in done.out) is ("are the same as one" in note)
    assert ("more than one column" in done.out) is ("more than one column" in note)
    assert nncli("train", "my.yaml", "--set", "train.epochs=1").status == 0


def test_images_with_channels_last_are_noted(nncli: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    np.savez(tmp_path / "rgb.npz", x=rng.random((40, 9, 9, 3)), y=np.arange(40) % 2)
    assert "x.transpose(0, 3, 1, 2)" in nncli("init", "--quick", "--data", "rgb.npz").out


# Files


def test_nothing_is_overwritten_unasked(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "iris.yaml").write_text("mine")
    done = nncli("init", "iris")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "nncli: iris.yaml: there already; --overwrite replaces that, another NAME goes beside it\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["iris.yaml"]
    assert nncli("init", "iris", "--overwrite").status == 0
    assert (tmp_path / "iris.yaml").read_text().startswith(POINTER)


def test_a_starters_data_do_not_overwrite_either(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "iris.csv").write_text("mine")
    done = nncli("init", "iris")
    assert done.status == 2
    assert "iris.csv: there already" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["iris.csv"]


def test_the_data_themselves_are_safe(nncli: Run, tmp_path: Path, table: Any) -> None:
    path = table([(k, k % 2) for k in range(30)], name="my.csv")
    before = path.read_bytes()
    done = nncli("init", "my", "--starter", "iris")
    assert done.status == 2
    assert path.read_bytes() == before


def test_a_schema_that_is_there_is_kept(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / SCHEMA).write_text("{}")
    assert wrote(nncli("init", "xor")) == ["xor.yaml"]
    assert (tmp_path / SCHEMA).read_text() == "{}"
    assert wrote(nncli("init", "xor", "--overwrite")) == ["xor.yaml", SCHEMA]
    assert json.loads((tmp_path / SCHEMA).read_text()) == api.schema()


def test_stdout_prints_the_spec_and_writes_nothing(nncli: Run, tmp_path: Path) -> None:
    printed = nncli("init", "iris", "--stdout")
    assert (printed.status, printed.err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    nncli("init", "iris")
    assert (tmp_path / "iris.yaml").read_text() == printed.out


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    texts = {api.draft(tmp_path / "d", data=ROOT / "data/digits.csv").text for _ in range(2)}
    assert len(texts) == 1


def test_names_cannot_act_on_the_terminal(nncli: Run, table: Any, tmp_path: Path) -> None:
    evil = "\x1b[31m[bold]\u202ey"
    table([(k + 7, f"q{evil}" if k % 2 else "p") for k in range(40)], f"{evil},kind")
    done = nncli("init", "--quick", "--data", "my.csv")
    assert done.status == 0
    text = (tmp_path / "my.yaml").read_text()
    for shown in (done.out, text):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert nncli("train", "my.yaml", "--set", "train.epochs=1").status == 0


# What is refused

REFUSED = {
    "no.csv: no such file": ("--data", "no.csv"),
    ".: is a folder; a file is needed": ("--data", "."),
    "one.npy: holds one array; name the file of the targets too: --targets FILE": (
        *("--data", "one.npy"),
    ),
    "--target chooses a column of a table; these data have none": (
        *("--data", "one.npy", "--targets", "one.npy", "--target", "2"),
    ),
    "my.csv: there is no column 'kin'; did you mean 'kind'?": (
        *("--data", "my.csv", "--target", "kin"),
    ),
    "my.csv: target 7 is out of range: there are 3 columns": (
        *("--data", "my.csv", "--target", "7"),
    ),
    "no/where: there is no such folder; make it, or choose another": (
        *("no/where/net", "--data", "my.csv"),
    ),
    "..: names no file; a name such as my-net is needed": ("..", "--data", "my.csv"),
    "no starter is called 'iriss'; did you mean 'iris'?; for your own: --data FILE": ("iriss",),
    "no starter is called 'zzz'; there are xor, two-two-two, wave, iris, digits": (
        *("x", "--starter", "zzz"),
    ),
    "data and a starter are two ways to begin; give one of them": (
        *("--data", "my.csv", "--starter", "xor"),
    ),
    "targets go with data; give their inputs with --data FILE": ("--targets", "one.npy"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_status_2_and_writes_nothing(
    nncli: Run, tmp_path: Path, table: Any, message: str
) -> None:
    table([(k, "uv"[k % 2], k % 5) for k in range(40)], "a,kind,c")
    np.save(tmp_path / "one.npy", np.ones((3, 3)))
    before = sorted(tmp_path.iterdir())
    done = nncli("init", *REFUSED[message])
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith("nncli: ")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "my.csv: is empty"),
        ("a,b\n", "my.csv: has a header but no rows below it"),
        ("a\n1\n", "has 1 column, which leaves no inputs"),
        ("1,2,0\n2,3,0\n", "all 2 labels are '0': one class cannot be learnt"),
        ("a,b\n1,p\n2,p\n", "all 2 labels are 'p': one class cannot be learnt"),
        ("a,b\n1,.5\n2,.5\n", "the target is 0.5 in all 2 samples: there is nothing to learn"),
        ("a,b\n,2\n,3\n", "my.csv: left out a, which is empty"),
        ("a,b\n1,2\nx,3\n2,2\n", "my.csv: row 3, column 1 (a): 'x' is not a number"),
        ("a,b\n1,2\n3\n", "my.csv: row 3, column 2: expected 2 cells"),
        ("a,b\n1,inf\n2,3\n", "my.csv: row 2, column 2 (b): 'inf' is not a finite number"),
    ],
)
def test_tables_of_which_nothing_can_be_learnt(
    nncli: Run, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "my.csv").write_text(text)
    done = nncli("init", "--quick", "--data", "my.csv")
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["my.csv"]


@pytest.mark.parametrize("bad", ["inputs", "targets"])
def test_arrays_that_are_not_finite(nncli: Run, tmp_path: Path, bad: str) -> None:
    x, y = np.ones((30, 2)), np.linspace(0, 1, 30)
    (x if bad == "inputs" else y)[3] = np.nan
    np.savez(tmp_path / "my.npz", x=x, y=y)
    done = nncli("init", "--quick", "--data", "my.npz")
    assert (done.status, done.out) == (2, "")
    assert f"holds {bad} that are not finite" in done.err


def test_words_gaps_and_names_of_rows_are_told_and_trained(nncli: Run, tmp_path: Path) -> None:
    rows = [
        f"p{k},{'' if k % 9 == 0 else k % 7},{('red', 'blue', '')[k % 3]},{k % 2}"
        for k in range(90)
    ]
    (tmp_path / "my.csv").write_text("\n".join(["name,size,colour,y", *rows]))
    assert nncli("init", "--quick", "--data", "my.csv").status == 0
    text = " ".join((tmp_path / "my.yaml").read_text().replace("# ", "").split())
    why = "name: has 90 different words in 90 rows: names rather than categories"
    assert f"ignore: [name] {why}" in text
    assert "size: {missing: median, indicator: true}" in text
    assert "colour: category" in text
    done = nncli("train", "my.yaml", "--set", "train.epochs=1")
    assert done.status == 0
    shown = nncli("show", "runs/my").out
    assert "#   name: ignored\n" in shown
    assert "#   size: a number; gaps become the median 3, and are marked\n" in shown
    (tmp_path / "new.csv").write_text("colour,size\ngreen,\n")
    predicted = nncli("predict", "runs/my", "new.csv")
    assert predicted.status == 0
    assert "colour: 1 cell with words that training did not meet" in predicted.err
    assert "size: 1 gap; gaps become the median 3, and are marked" in predicted.err
