"""Tables in other encodings, with other comments, and with groups of thousands."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.data.columns.choice import ColumnKeys
from nncli.data.inference_inputs import read_inputs
from nncli.data.preprocessing import preprocessing_from
from nncli.data.readers import rewriting
from nncli.data.readers.rewriting import Rewritten
from nncli.data.readers.rows import read_table
from nncli.data.readers.separators import MARKS, Form
from nncli.spec.columns import ENCODINGS
from tests.conftest import Run
from tests.data.conftest import FLOAT64, load, problems, write

TEXT = "größe;art\n" + "".join(f"{k},5;{'äß'[k % 2]}\n" for k in range(20))


def keys(**form: Any) -> ColumnKeys:
    return ColumnKeys(form=Form(**form))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8", "mac-roman"])
def test_a_table_in_another_encoding(encoding: str) -> None:
    path = write("t.csv", TEXT.encode(encoding))
    data = load(path, keys=keys(encoding=encoding))
    assert data.classes == ("ß", "ä")
    assert data.preprocessing.columns == ("größe",)
    np.testing.assert_array_equal(data.train.inputs[:, 0], np.arange(20) + 0.5)
    settled = preprocessing_from(json.loads(json.dumps(data.preprocessing.as_plain())))
    assert settled.form == Form(encoding=encoding)
    later = read_inputs(settled, path, FLOAT64)
    np.testing.assert_array_equal(np.concatenate([p.inputs for p in later.parts])[:, 0][:20],
                                  np.arange(20) + 0.5)  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis"])
def test_characters_may_be_cut_anywhere(
    monkeypatch: pytest.MonkeyPatch, size: int, encoding: str
) -> None:
    monkeypatch.setattr(rewriting, "BLOCK", size)
    text = "a,b\r\n% c\r\nカタ,2\r% カ\n\n3,4"
    made = Rewritten(io.BytesIO(text.encode(encoding)), "t", encoding, "%").read()
    assert made.decode() == "a,b\n\nカタ,2\n\n\n3,4"


def test_text_without_the_mark_that_its_encoding_begins_with() -> None:
    (told,) = problems(load, write("t.csv", b"a,b\n1,2\n3,4\n"), keys=keys(encoding="utf-16"))
    assert told == (
        "t.csv: has not the mark that utf-16 begins with; leave encoding out, or name "
        "utf-16-le or utf-16-be, which have none"
    )


def test_a_byte_that_is_not_in_the_encoding_is_placed() -> None:
    path = write("t.csv", b"a,b\n1,2\r\n3,\xe9\n")
    assert problems(load, path) == [
        "t.csv: row 3: byte 0xe9 is not UTF-8; save the table as UTF-8, or name its encoding, as "
        "in encoding: latin-1 (under data)"
    ]
    assert problems(load, path, keys=keys(encoding="ascii")) == [
        "t.csv: row 3: byte 0xe9 is not ascii; name another encoding, as in encoding: latin-1 "
        "(under data)"
    ]
    (told,) = problems(load, write("t.csv", "a,b\n1,2\n".encode("utf-16")))
    assert told == "t.csv: is UTF-16; save it as UTF-8, or set encoding: utf-16 (under data)"


def test_comments_of_another_mark() -> None:
    path = write("t.csv", "% made by hand\n% x, y\n1,2\n  % three\n3,4\n5,%\n")
    table = read_table(path, form=Form(comment="%"))
    assert table.header == ("x", "y")
    assert table.lines.tolist() == [3, 5, 6]
    assert [list(row) for row in table.cells] == [["1", "2"], ["3", "4"], ["5", "%"]]
    quoted = write("t.csv", 'a,b\n"x\n// y",1\n// z\nu,2\n')
    table = read_table(quoted, form=Form(comment="//"))
    assert [list(row) for row in table.cells] == [["x\n// y", "1"], ["u", "2"]]


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        ('"1,234",-2\n"12,345,678.5",0.25\n', {"thousands": ","}),
        ("1,234;-2\n12,345,678.5;0.25\n", {"thousands": ","}),
        ("1.234;-2\n12.345.678,5;0,25\n", {"thousands": "."}),
        ("1'234;-2\n12’345’678.5;0.25\n", {"thousands": "'"}),
        ("1 234;-2\n12\u00a0345\u202f678,5;0,25\n", {"thousands": " "}),
        ("1.234\t-2\n12.345.678,5\t0,25\n", {"thousands": ".", "separator": "\t"}),
        ("1,234 -2\n12,345,678.5 0.25\n", {"thousands": ",", "separator": " "}),
    ],
)
def test_groups_of_thousands(cells: str, form: Any) -> None:
    path = write("t.csv", cells)
    numbers = [[1234, -2], [12345678.5, 0.25]]
    table = read_table(path, header=False, form=Form(**form))
    np.testing.assert_array_equal(np.array(table.cells, float), numbers)
    reader = read_inputs_of(path, form)
    np.testing.assert_array_equal(reader, numbers)


def read_inputs_of(path: Path, form: Any) -> Any:
    """As predict reads them."""
    data = load(write("train.csv", "1;2;0\n3;4;1\n"), header=False, target=2)
    settled = data.preprocessing._replace(form=Form(**form))
    return np.concatenate([p.inputs[p.index] for p in read_inputs(settled, path, FLOAT64).parts])


def test_what_is_no_group_stays() -> None:
    path = write("t.csv", "a;b\n1,23;x 1,234\n12,34;1,2345\n")
    (told,) = problems(load, path, keys=keys(thousands=","), target="b")
    assert "'1,23' is not a number" in told


def test_a_group_is_told_with_the_key(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,y\n"1,234",0\n"2,345",1\n3,0\n')
    net = "data: {train: t.csv}\nnetwork: [{type: dense, units: 2}]\ntrain: {eta: 1, epochs: 1}\n"
    (tmp_path / "net.yaml").write_text(net)
    told = nncli("train", "net.yaml").err
    assert 'write 1234 if its comma groups thousands, or set thousands: "," (under data)' in told
    assert nncli("train", "net.yaml", "--set", 'data.thousands=","').status == 0
    assert json.loads((tmp_path / "runs/net/data.json").read_text())["form"][2] == ","
    assert nncli("evaluate", "runs/net", "--data", "t.csv").status == 0
    for override, words in {
        "data.encoding=utf9": "expected an encoding such as utf-8, latin-1",
        "data.comment=x": 'expected what begins a comment, such as "%"',
        "data.thousands=x": "data.thousands: 'x' is not known",
    }.items():
        done = nncli("train", "net.yaml", "--set", override)
        assert (done.status, words in done.err) == (2, True)
    same = ("--set", 'data.thousands=","', "--set", 'data.decimal=","')
    assert "',' marks the decimals already" in nncli("train", "net.yaml", *same).err


def test_every_encoding_and_mark_of_the_spec_is_one() -> None:
    for encoding in ENCODINGS:
        assert Rewritten(io.BytesIO("a,1\n".encode(encoding)), "t", encoding).read() == b"a,1\n"
    from nncli.spec.columns import THOUSANDS

    assert set(THOUSANDS) == set(MARKS)
