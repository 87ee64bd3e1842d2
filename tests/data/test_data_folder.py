"""data/ holds what its README says, and make.py makes it."""

import gzip
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nncli.data import Pair, read_source, read_table

DATA = Path(__file__).parents[2] / "data"
STARTERS = DATA.parent / "nncli" / "starters"
IMAGES = DATA / "mnist" / "train-images-idx3-ubyte.gz"
LABELS = DATA / "mnist" / "train-labels-idx1-ubyte.gz"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec: Any = importlib.util.spec_from_file_location("make_data", DATA / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def readme_row(name: str) -> list[str]:
    lines = (DATA / "README.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"| `{name}`"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", ["digits.csv", "iris.csv", "xor.csv"])
def test_table_has_the_rows_and_classes_of_the_readme(name: str) -> None:
    samples: Any = read_source(DATA / name)
    _, counts = np.unique(samples.targets, return_counts=True)
    _, rows, _, classes = readme_row(name)
    assert f"{len(samples):,}" == rows
    told = classes.split(": ")[1]
    alike = f"{counts[0]} each" if len(set(counts)) == 1 else None
    assert told in (alike, ", ".join(map(str, counts)))


@pytest.mark.parametrize("name", ["iris.csv", "xor.csv"])
def test_header_is_the_readme_s(name: str) -> None:
    header: Any = read_table(DATA / name).header
    assert [cell in readme_row(name)[2] for cell in header] == [True] * len(header)


def test_digits_are_pixels_from_0_to_16() -> None:
    samples: Any = read_source(DATA / "digits.csv")
    assert samples.columns == tuple(f"pixel_{r}_{c}" for r in range(8) for c in range(8))
    assert (samples.inputs.min(), samples.inputs.max()) == (0, 16)
    assert sorted(set(samples.targets)) == list(range(10))


def test_iris_is_fishers() -> None:
    samples: Any = read_source(DATA / "iris.csv")
    means = samples.inputs.mean(axis=0).round(2).tolist()
    assert means == [5.84, 3.06, 3.76, 1.2]
    assert sorted(set(samples.targets)) == ["setosa", "versicolor", "virginica"]


def test_mnist_is_as_published() -> None:
    assert gzip.decompress(IMAGES.read_bytes())[:4].hex() == "00000803"
    assert gzip.decompress(LABELS.read_bytes())[:4].hex() == "00000801"
    samples: Any = read_source(Pair(IMAGES, LABELS))
    assert samples.inputs.shape == (5000, 1, 28, 28)
    assert samples.inputs.dtype == np.uint8
    assert np.bincount(samples.targets).tolist() == [500] * 10
    assert readme_row("mnist/train-images-idx3-ubyte.gz")[1] == "5,000"
    assert (np.diff(samples.targets.astype(int)) >= 0).all(), "sorted by class, as README says"


def test_make_reproduces_the_small_tables(make: Any) -> None:
    tables = make.small_tables()
    assert sorted(tables) == ["conv/filter.csv", "conv/matrix.csv", "xor.csv"]
    for name, text in tables.items():
        assert (DATA / name).read_bytes() == text.encode()


def test_make_writes_idx_that_reads_back(make: Any, here: Any) -> None:
    rows = [[str((i + j) % 256) for j in range(784)] + [str(i)] for i in range(10)]
    for name, content in make.mnist_files(rows).items():
        (here / Path(name).name).write_bytes(content)
        assert content == make.mnist_files(rows)[name], "the same bytes every time"
    samples: Any = read_source(Pair(Path(IMAGES.name), Path(LABELS.name)))
    table = np.array(rows, dtype=int)
    np.testing.assert_array_equal(samples.inputs.reshape(10, 784), table[:, :-1])
    np.testing.assert_array_equal(samples.targets, table[:, -1])


def test_make_writes_species_in_words(make: Any) -> None:
    text = make.iris_text([["1", "4", "setosa", "other"], ["5.1", "3.5", "1.4", "0.2", "1"]])
    assert text.splitlines()[1] == "5.1,3.5,1.4,0.2,other"


def test_starters_are_made_of_the_same_tables(make: Any) -> None:
    texts = {name: (DATA / name).read_text() for name in ("iris.csv", "digits.csv")}
    made = {name.rsplit("/", 1)[1]: content for name, content in make.starters(texts).items()}
    for name in ("iris.csv", "wave.csv"):
        assert made[name] == (STARTERS / name).read_bytes()
    shipped = (STARTERS / "digits.csv.gz").read_bytes()
    assert gzip.decompress(made["digits.csv.gz"]) == gzip.decompress(shipped)


def test_every_version_that_set_up_needs_is_pinned(make: ModuleType) -> None:
    lines = (DATA.parent / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in lines if "==" in line}
    project = tomllib.loads((DATA.parent / "pyproject.toml").read_text())
    named = [*make.PACKAGES, *project["build-system"]["requires"]]
    named += project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        named += [line for line in extra if not line.startswith("nncli[")]
    assert {re.split("[^a-z0-9-]", line.lower())[0] for line in named} <= pinned
