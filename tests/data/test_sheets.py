"""Tables that are kept as other than text. What pyarrow and openpyxl read is in tests/peers."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nncli.core.errors import DataError
from nncli.data.readers.read import read_source
from nncli.data.readers.rows import read_table
from nncli.data.readers.sheets import SHEETS


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_json_lines(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "t.jsonl",
        {"a": 1, "kind": "x"},
        {"kind": "y, z", "a": 0.1},
        {"a": 1e-300, "kind": "x"},
    )
    samples = read_source(path, target="kind")
    assert samples.columns == ("a",)
    assert samples.inputs.tolist() == [[1.0], [0.1], [1e-300]]
    assert samples.targets is not None
    assert samples.targets.tolist() == ["x", "y, z", "x"]


def test_what_a_row_lacks_is_an_empty_cell(tmp_path: Path) -> None:
    path = lines(tmp_path / "t.jsonl", {"a": 1}, {"b": 2, "a": None}, {"a": 3, "b": True})
    table = read_table(path)
    assert table.header == ("a", "b")
    assert list(table.cells) == [["1", ""], ["", "2"], ["3", "true"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: is no JSON: Expecting value at character 6"),
        (
            '{"a": 1}\n[1, 2]\n',
            'line 2: is no object with a value for each column, such as {"a": 1, "b": "red"}',
        ),
        ('{"a": [1], "b": {}}\n', 'line 1: "a" and "b" hold several values; one is needed'),
        ('{"a": [1]}\n', 'line 1: "a" holds several values; one is needed'),
        ('{"a": 1, "b": 2, "a": 3}', "line 1: 'a' is given twice; keep one"),
        ('\n{"a": "\\ud800"}', "line 2: half of a surrogate pair is not a character"),
        ('{"\\udfff": 1}', "line 1: half of a surrogate pair is not a character"),
        ("[" * 200_000, "line 1: is no JSON that has an end: too many digits or brackets"),
        ("9" * 5000, "line 1: is no JSON that has an end: too many digits or brackets"),
        ("", "is empty; a table with a row for each sample is needed"),
    ],
)
def test_lines_that_are_no_table(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_source(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("latin-1", "line 1: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("utf-16", "is UTF-16; save it as UTF-8"),
    ],
)
def test_json_lines_in_another_encoding(tmp_path: Path, encoding: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "é"}\n', encoding)
    with pytest.raises(DataError) as caught:
        read_source(path)
    assert str(caught.value) == f"{path}: {message}"


def test_json_lines_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "\\u00e9"}\n', "utf-8-sig")
    assert list(read_table(path).cells) == [["é"]]


@pytest.mark.parametrize("suffix", [suffix for suffix in SHEETS if suffix != ".jsonl"])
def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    for library in ("pyarrow", "openpyxl"):
        monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"reading it needs \w+: pip install 'nncli\[tables\]'"):
        read_source(path)
