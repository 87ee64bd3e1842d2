"""Parquet, Feather and Excel, as pyarrow and openpyxl write them."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.core.errors import DataError
from nncli.data.readers.read import read_source
from nncli.data.readers.rows import read_table
from tests.conftest import present

pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not here: make peers")
openpyxl: Any = pytest.importorskip("openpyxl", reason="openpyxl is not here: make peers")
feather: Any = pytest.importorskip("pyarrow.feather", reason="pyarrow is not here: make peers")
parquet: Any = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not here: make peers")

ROWS = np.random.default_rng(0).normal(size=(300, 3))
LABELS = ["yes", "no, never", 'say "so"'] * 100


def written(path: Path, columns: dict[str, Any]) -> Path:
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        sheet = present(book.active)
        sheet.append(list(columns))
        for row in zip(*columns.values(), strict=True):
            sheet.append(
                [value.item() if isinstance(value, np.generic) else value for value in row]
            )
        book.save(path)
    elif path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path)
    else:
        feather.write_feather(pa.table(columns), path)
    return path


SUFFIXES = pytest.mark.parametrize("suffix", [".parquet", ".feather", ".arrow", ".xlsx"])


@SUFFIXES
def test_numbers_and_words(tmp_path: Path, suffix: str) -> None:
    columns = {"a": ROWS[:, 0], "b": ROWS[:, 1], "count": np.arange(300), "answer": LABELS}
    samples = read_source(written(tmp_path / f"t{suffix}", columns), target="answer")
    assert samples.columns == ("a", "b", "count")
    digits = 1e-15 if suffix == ".xlsx" else 0  # a workbook keeps 16
    np.testing.assert_allclose(samples.inputs[:, :2], ROWS[:, :2], rtol=digits)
    assert samples.inputs[:, 2].tolist() == list(range(300))
    assert present(samples.targets).tolist() == LABELS


@SUFFIXES
def test_training_and_prediction(tmp_path: Path, suffix: str) -> None:
    table = written(tmp_path / f"t{suffix}", {"a": ROWS[:, 0], "b": ROWS[:, 1], "y": ROWS[:, 2]})
    spec = tmp_path / "net.yaml"
    spec.write_text(
        f"data: {{train: t{suffix}, target: y, validation: 0.2}}\n"
        "network: [{type: dense, units: 1, activation: identity}]\n"
        "train: {eta: 0.01, epochs: 2}\n"
    )
    nncli.train(spec, out=tmp_path / "run")
    text = tmp_path / "t.csv"
    text.write_text("a,b,y\n" + "".join(f"{a!r},{b!r},{y!r}\n" for a, b, y in ROWS.tolist()))
    costs = [nncli.evaluate(tmp_path / "run", data).assessment.cost for data in (table, text)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)


@SUFFIXES
def test_gaps_truth_and_dates(tmp_path: Path, suffix: str) -> None:
    days = [datetime.date(2020, 1, 31), datetime.date(2021, 2, 1)]
    columns = {"a": [1.5, None], "sure": [True, False], "day": days}
    table = read_table(written(tmp_path / f"t{suffix}", columns))
    assert list(table.cells) == [["1.5", "true", "2020-01-31"], ["", "false", "2021-02-01"]]


def test_categories_of_arrow_are_words(tmp_path: Path) -> None:
    kinds = pa.array(["u", "v", "u"]).dictionary_encode()
    parquet.write_table(pa.table({"a": [1, 2, 3], "kind": kinds}), tmp_path / "t.parquet")
    assert present(read_source(tmp_path / "t.parquet").targets).tolist() == ["u", "v", "u"]


@SUFFIXES
def test_what_is_damaged(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"t{suffix}", {"a": ROWS[:, 0]})
    content = path.read_bytes()
    for damaged in (b"", b"a,b\n1,2\n", content[: len(content) // 2], content[:-20]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged, or no"):
            read_source(path)


def test_cells_of_several_values(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [[1, 2], [3]], "y": [1, 2]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"cells of .a. hold several values; one is needed"):
        read_source(tmp_path / "t.parquet")


def test_sheets_of_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for title in ("first", "second"):
        book.create_sheet(title).append([1, 2])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(
        DataError, match=r"holds several sheets \('first', 'second'\); save the one"
    ):
        read_source(tmp_path / "t.xlsx")
