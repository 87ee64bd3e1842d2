import csv
import gzip
import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nncli.core.errors import DataError
from nncli.core.text import quote
from nncli.data import ColumnKeys, read_source, read_table
from nncli.data.readers import files, number_tables
from nncli.data.readers.sheets import SHEETS
from nncli.data.readers.tables import is_number
from tests.conftest import present
from tests.data.conftest import problems, told_if_any, write

HERE_IS_SAFE = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


NUMBERS = ColumnKeys(columns={"a*": {"as": "number"}})
REFUSE_B = ColumnKeys(columns={"b": {"missing": "refuse"}})


def read(text: Any, name: str = "t.csv", **options: Any) -> Any:
    return read_source(write(name, text), **options)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("t.csv", "a,b,y\n1,2,0\n3,4,1\n", id="plain"),
        pytest.param("t.csv", "1,2,0\n3,4,1\n", id="no header"),
        pytest.param("t.csv", "1,2,0\n3,4,1", id="no last line end"),
        pytest.param("t.csv", "a,b,y\r\n1,2,0\r\n3,4,1\r\n", id="CRLF"),
        pytest.param("t.csv", "\ufeffa,b,y\n1,2,0\n3,4,1\n", id="BOM"),
        pytest.param("t.csv", "\n\na,b,y\n\n1,2,0\n   \n3,4,1\n\n", id="blank lines"),
        pytest.param("t.csv", 'a,b,y\n"1","2",0\n3,4,"1"\n', id="quoted"),
        pytest.param("t.csv", " a , b , y \n 1 , 2 , 0 \n 3 , 4 , 1 \n", id="spaces"),
        pytest.param("t.csv", '"a, or ""A""",b,"y\nz"\n1,2,0\n3,4,1\n', id="quotes in header"),
        pytest.param("t.csv", "a,b,y\n1e0,+2.,0\n.3e+1,4.0,1.0\n", id="ways of a number"),
        pytest.param("t.tsv", "a\tb\ty\n1\t2\t0\n3\t4\t1\n", id="tsv"),
        pytest.param("t.csv.gz", "a,b,y\n1,2,0\n3,4,1\n", id="csv.gz"),
        pytest.param("t.tsv.gz", "a\tb\ty\n1\t2\t0\n3\t4\t1\n", id="tsv.gz"),
        pytest.param("T.CSV", "a,b,y\n1,2,0\n3,4,1\n", id="capitals"),
    ],
)
def test_ways_to_write_one_table(name: str, text: str) -> None:
    samples = read(text, name)
    assert samples.inputs.tolist() == [[1, 2], [3, 4]]
    assert samples.targets.tolist() == [0, 1]
    assert samples.targets.dtype == np.int64


def test_header_names_the_inputs() -> None:
    assert read("a,b,y\n1,2,0\n").columns == ("a", "b")
    assert read("1,2,0\n").columns is None


@pytest.mark.parametrize(
    ("target", "inputs", "targets"),
    [
        pytest.param(None, [[1, 2], [4, 5]], [3, 6], id="last column"),
        pytest.param(0, [[2, 3], [5, 6]], [1, 4], id="index"),
        pytest.param(-2, [[1, 3], [4, 6]], [2, 5], id="negative index"),
        pytest.param("b", [[1, 3], [4, 6]], [2, 5], id="name"),
        pytest.param(["b"], [[1, 3], [4, 6]], [2, 5], id="list of one"),
        pytest.param(["c", 0], [[2], [5]], [[3, 1], [6, 4]], id="list, in its order"),
    ],
)
def test_target(target: Any, inputs: list[list[int]], targets: Any) -> None:
    samples = read("a,b,c\n1,2,3\n4,5,6\n", target=target)
    assert samples.inputs.tolist() == inputs
    assert samples.targets.tolist() == targets


def test_a_target_name_demands_a_header() -> None:
    samples = read("0,1,y\n1,2,0\n3,4,1\n", target="y")
    assert samples.targets.tolist() == [0, 1]
    assert samples.columns == ("0", "1")


def test_header_true_makes_numbers_a_header() -> None:
    samples = read("1,2,3\n4,5,6\n", header=True)
    assert (samples.columns, samples.inputs.tolist()) == (("1", "2"), [[4, 5]])


@pytest.mark.parametrize(
    ("cells", "kind", "shape"),
    [
        pytest.param(["1", "2", "1"], "i", (3,), id="integers"),
        pytest.param(["1.0", "2.0", "1.0"], "i", (3,), id="whole floats"),
        pytest.param(["1.5", "2", "1"], "f", (3, 1), id="floats"),
        pytest.param(["1e20", "2e20", "1e20"], "f", (3, 1), id="beyond exact integers"),
        pytest.param(["cat", "dog", "cat"], "U", (3,), id="words"),
        pytest.param(["1a", "2", "b"], "U", (3,), id="mostly words"),
    ],
)
def test_kind_of_target(cells: list[str], kind: str, shape: tuple[int, ...]) -> None:
    targets = read("".join(f"7,{cell}\n" for cell in cells)).targets
    assert (targets.dtype.kind, targets.shape) == (kind, shape)


def test_names_of_classes_let_a_column_mix_words_and_numbers() -> None:
    text = "7,1\n7,2\n7,3\n7,3a\n"
    assert read(text, classes=("1", "2", "3", "3a")).targets.tolist() == ["1", "2", "3", "3a"]
    assert problems(read, text) == [
        "t.csv: row 4, column 2: '3a' is not a number; if these are classes, name them: "
        'classes: ["1", "2", "3", "3a"]'
    ]


def test_without_targets_every_column_is_an_input() -> None:
    samples = read("a,b\n1,2\n", with_targets=False)
    assert (samples.inputs.tolist(), samples.targets) == ([[1, 2]], None)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        pytest.param(
            "a,b,y\n1,2,0\n1,abc,0\n",
            {},
            "t.csv: row 3, column 2 (b): 'abc' is not a number",
            id="word",
        ),
        pytest.param(
            "a,b,y\n\n1,,0\n",
            {"keys": REFUSE_B},
            "t.csv: row 3, column 2 (b): the cell is empty; it needs a number",
            id="empty cell",
        ),
        pytest.param(
            "a,b,y\n1,2,0\n1,nan,0\n",
            {"keys": REFUSE_B},
            "t.csv: row 3, column 2 (b): 'nan' is not a finite number",
            id="nan",
        ),
        pytest.param(
            "1,2,0\n1,inf,0\n", {}, "t.csv: row 2, column 2: 'inf' is not a finite number", id="inf"
        ),
        pytest.param(
            "1,2,0\n1,-inf,0\n",
            {},
            "t.csv: row 2, column 2: '-inf' is not a finite number",
            id="inf",
        ),
        pytest.param(
            "1,2,0\n1,1e999,0\n",
            {},
            "t.csv: row 2, column 2: '1e999' is too large for a number",
            id="too large",
        ),
        pytest.param(
            "1,2,0\n1,1_000,0\n",
            {},
            "t.csv: row 2, column 2: '1_000' is not a number",
            id="underscore",
        ),
        pytest.param(
            "1\t2\t0\n1\t2,5\t0\n",
            {"name": "t.tsv"},
            "t.tsv: row 2, column 2: '2,5' is not a number; decimals are written with a point",
            id="decimal comma",
        ),
        pytest.param(
            f"1,2,0\n1,\x1b[31m{'x' * 99},0\n",
            {},
            f"t.csv: row 2, column 2: '\\x1b[31m{'x' * 31}…' is not a number",
            id="escaped and shortened",
        ),
        pytest.param(
            "1,2,0\n1,2\n",
            {},
            "t.csv: row 2, column 3: expected 3 cells as in the first row, found 2",
            id="ragged",
        ),
        pytest.param(
            "a,b\n1,2,0\n",
            {"header": True},
            "t.csv: row 2, column 3: expected 2 cells as in the first row, found 3",
            id="narrow header",
        ),
        pytest.param(
            "", {}, "t.csv: is empty; a table with a row for each sample is needed", id="empty"
        ),
        pytest.param(
            "\n \n", {}, "t.csv: is empty; a table with a row for each sample is needed", id="blank"
        ),
        pytest.param("a,b\n", {}, "t.csv: has a header but no rows below it", id="only a header"),
        pytest.param(
            "1,2\n",
            {"header": True},
            "t.csv: has a header but no rows below it",
            id="only numbers as header",
        ),
        pytest.param(
            "pixel,digit\n1,2\n",
            {"target": "digt"},
            "t.csv: there is no column 'digt'; did you mean 'digit'?",
            id="target near",
        ),
        pytest.param(
            "a,b\n1,2\n",
            {"target": "species"},
            "t.csv: there is no column 'species'; the columns are 'a', 'b'",
            id="target far",
        ),
        pytest.param(
            "1,2\n",
            {"target": "y", "header": False},
            "t.csv: target 'y' is a name, but the table has no header; give the column by its "
            "index from 0, or set header: true",
            id="target without header",
        ),
        pytest.param(
            "a,a,b\n1,2,3\n",
            {"target": "a"},
            "t.csv: 2 columns are named 'a'; give the index of one as target, from 0",
            id="target twice in header",
        ),
        pytest.param(
            "1,2,3\n",
            {"target": 3},
            "t.csv: target 3 is out of range: there are 3 columns, 0 to 2, or -3 to -1 counted "
            "from the end",
            id="target out of range",
        ),
        pytest.param(
            "1,2,3\n", {"target": [0, -3]}, "t.csv: target 0 is asked for twice", id="target twice"
        ),
        pytest.param(
            "1;2|3\n4;5|6\n",
            {},
            "t.csv: its cells may be separated by ';' or '|'; say by which, as in separator: "
            '";" (under data)',
            id="two separators",
        ),
        pytest.param(
            "1\n4\n",
            {},
            "t.csv: has 1 column, which leaves no inputs beside the target; cells are separated by "
            "commas (.csv) or tabs (.tsv)",
            id="one column",
        ),
        pytest.param(
            "7,1\n7,2\n7,1o\n",
            {},
            "t.csv: row 3, column 2: '1o' is not a number; if these are classes, name them: "
            'classes: ["1", "1o", "2"]',
            id="slip in label",
        ),
        pytest.param(
            "0,1,y\n1,2,0\n3,4,1\n",
            {},
            "t.csv: row 1, column 3: 'y' is not a number; if the first row is a header, set "
            "header: true",
            id="header of numbers",
        ),
        pytest.param(
            "country,2019,2020,y\n1,2,3,0.5\n4,5,6,0.7\n",
            {},
            "t.csv: row 1, columns 1 and 4: 'country' and 'y' are not numbers; if the first row is "
            "a header, set header: true",
            id="header of words and numbers",
        ),
        pytest.param(
            "a,y\n7,\n8,\n",
            {},
            "t.csv: no row has a target: column 2 (y) is empty",
            id="no labels",
        ),
        pytest.param(
            "7,cat\n",
            {"classes": "none", "header": False},
            "t.csv: row 1, column 2: 'cat' is not a number; if the first row is a header, set "
            "header: true",
            id="classes none",
        ),
        pytest.param(
            '1,"2\n3,4\n',
            {},
            "t.csv: row 1: a quote is opened that is never closed",
            id="open quote",
        ),
        pytest.param(
            '1,2\n"3"x,4\n',
            {},
            "t.csv: row 2: a quoted cell goes on after its closing quote; a quote within one is "
            "written twice",
            id="after a quote",
        ),
        pytest.param(
            f"a,b\n1,{'x' * 200_000}\n",
            {},
            "t.csv: row 2: a cell is longer than 131,072 characters; is a quote left open?",
            id="long cell",
        ),
        pytest.param(
            b"a,b\n1,\xe9\n",
            {},
            "t.csv: row 2: byte 0xe9 is not UTF-8; save the table as UTF-8"
            ", or name its encoding, as in encoding: latin-1 (under data)",
            id="latin-1",
        ),
        pytest.param(
            b"\xef\xbb\xbf1,2\n\n\xff,1\n",
            {},
            "t.csv: row 3: byte 0xff is not UTF-8; save the table as UTF-8"
            ", or name its encoding, as in encoding: latin-1 (under data)",
            id="not UTF-8 behind a BOM",
        ),
        pytest.param(
            "a,b\n".encode("utf-16"),
            {},
            "t.csv: is UTF-16; save it as UTF-8, or set encoding: utf-16 (under data)",
            id="UTF-16",
        ),
        pytest.param(
            b"1,2\n1,\0\n", {}, "t.csv: row 2: holds a NUL byte; is it a text file?", id="NUL"
        ),
        pytest.param(
            b"\x1f\x8b\x08...",
            {},
            "t.csv: is cut short: the gzip data do not end",
            id="gzip cut short, unnamed",
        ),
    ],
)
def test_mistake(text: Any, options: Any, message: str) -> None:
    assert problems(read, text, **options) == [message]


def test_ten_mistakes_are_told_and_the_rest_counted() -> None:
    told = problems(read, "0" + ",1" * 25 + "\n0" + ",x" * 24 + ",0\n")
    assert told[0] == "t.csv: row 2, column 2: 'x' is not a number"
    assert told[9] == "t.csv: row 2, column 11: 'x' is not a number"
    assert told[10:] == ["t.csv: and 14 more"]


def test_mistakes_of_one_cause_are_told_in_one_line() -> None:
    assert problems(read, "a,y\n" + "x,0\n" * 25, keys=NUMBERS) == [
        "t.csv: row 2, column 1 (a): 'x' is not a number; where it is meant, columns: {a: "
        "category} takes all cells as words; the same in rows 3, 4, 5, 6, 7 and 19 more"
    ]
    assert problems(read, "a,b,y\n1,,0\nx,,1\n2,,0\n", keys=REFUSE_B) == [
        "t.csv: row 2, column 2 (b): the cell is empty; it needs a number; the same in rows 3, 4",
        "t.csv: row 3, column 1 (a): 'x' is not a number",
    ]
    assert problems(read, "a,b\n1,2\n1\n1,2,3\n2\n") == [
        "t.csv: row 3, column 2: expected 2 cells as in the first row, found 1; the same in row 5",
        "t.csv: row 4, column 3: expected 2 cells as in the first row, found 3",
    ]


def test_mistakes_of_inputs_and_targets_are_told_together() -> None:
    told = problems(read, "a,y\n1,2\nx,3\n1,2\n1,oops\n")
    assert told == [
        "t.csv: row 3, column 1 (a): 'x' is not a number",
        "t.csv: row 5, column 2 (y): 'oops' is not a number; if these are classes, name them: "
        'classes: ["2", "3", "oops"]',
    ]


def test_lines_are_counted_through_blank_and_quoted_ones() -> None:
    text = 'a,y\n\n1,"two\nlines"\n\nx,b\n'
    assert problems(read, text) == ["t.csv: row 6, column 1 (a): 'x' is not a number"]


def test_a_quote_left_open_is_found_before_numpy_reads_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all of it is read")

    monkeypatch.setattr(np, "loadtxt", refuse)
    monkeypatch.setattr("nncli.data.readers.rows.check_lines", refuse)
    told = problems(read, '"a",b\n1,2\n3,"' + "\n" * 200_000)
    assert told == ["t.csv: row 3: a cell is longer than 131,072 characters; is a quote left open?"]


def test_much_text_behind_the_last_quote_is_no_cell() -> None:
    text = '"a","b"\n' + "1,2\n" * 50_000
    assert read(text).inputs.shape == (50_000, 1)
    text = '"a","b"\n1,"x"\n' + "1,z\n" * 50_000  # two classes
    assert len(read(text)) == 50_001


def test_a_quote_left_open_in_the_header_is_told_without_a_warning() -> None:
    told = problems(read, 'a,b,"y\n1,2,0\n"\n')
    assert told == ["t.csv: has a header but no rows below it"]


def test_files_that_are_not_there_or_not_files(here: Any) -> None:
    (here / "folder.csv").mkdir()
    assert problems(read_source, Path("none.csv")) == ["none.csv: no such file"]
    assert problems(read_source, Path("folder.csv")) == [
        "folder.csv: is a folder; a file is needed"
    ]
    assert problems(read_source, Path("a\nb.csv")) == ["a\\nb.csv: no such file"]
    assert problems(read_source, Path("a\0b.csv")) == ["a\\x00b.csv: no such file"]
    (told,) = problems(read_source, Path("x" * 999 + ".csv"))
    assert told.endswith("cannot be read: file name too long")


def test_a_file_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write("t.csv", "1,2\n")
    monkeypatch.setattr(Path, "open", refuse)
    assert problems(read_source, path) == ["t.csv: cannot be read: permission denied"]


def test_unknown_format() -> None:
    known = (
        f"known are .csv, .tsv (each also .gz), {', '.join(SHEETS)}, .npz, .npy and IDX (also .gz)"
    )
    for name, wrong in {
        "t.xls": "'.xls' is not a known format",
        "table": "no suffix tells its format",
        "t.txt.gz": "'.txt.gz' is not a known format",
    }.items():
        assert problems(read_source, write(name, "1,2")) == [f"{name}: {wrong}; {known}"]


def test_gzip_that_is_none_or_cut_short() -> None:
    path = write("t.csv.gz", "1,2\n" * 1000)
    content = path.read_bytes()
    path.write_bytes(content[:30])
    assert problems(read_source, path) == ["t.csv.gz: is cut short: the gzip data do not end"]
    path.write_bytes(b"1,2\n")
    assert problems(read_source, path) == ["t.csv.gz: is not gzip, though its name ends in .gz"]
    path.write_bytes(content[:12] + b"\xff" * 8 + content[20:])
    assert problems(read_source, path)[0].startswith("t.csv.gz: is damaged gzip")


def test_text_that_expands_too_far_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 16)
    path = write("t.csv.gz", b"1,2\n" * (1 << 17))
    assert problems(read_source, path) == [
        "t.csv.gz: expands to more than 75 times its size; refused as a decompression bomb"
    ]
    for module in (files, number_tables):
        monkeypatch.setattr(module, "TEXT_LIMIT", 1 << 10)
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 30)
    assert "holds more than 0 GiB of text" in problems(read_source, path)[0]


finite = st.floats(allow_nan=False, allow_infinity=False)
tables = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(finite, min_size=width, max_size=width), min_size=1, max_size=8)
)


@given(tables, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
@HERE_IS_SAFE
def test_numbers_written_read_back_equal(
    rows: Any, line_end: Any, with_header: Any, quoted: Any
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, lineterminator=line_end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    )
    if with_header:
        writer.writerow([f"c{i}" for i in range(len(rows[0]))])
    writer.writerows(rows)
    table = read_table(write("t.csv", text.getvalue()))
    np.testing.assert_array_equal(np.array(table.cells), np.array(rows))
    assert (table.header is not None) == with_header


words = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda word: word == word.strip() and not is_number(word))


@given(st.lists(st.tuples(finite, words), min_size=2, max_size=8), st.sampled_from("ct"))
@HERE_IS_SAFE
def test_words_written_read_back_equal(rows: Any, kind: Any) -> None:
    names = [word for _, word in rows]
    text = io.StringIO(newline="")
    # Without its quotes a lone \r would end a row.
    delimiter = "," if kind == "c" else "\t"
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["x", "y"])
    writer.writerows(rows)
    samples = read_source(write(f"t.{kind}sv", text.getvalue()), classes=tuple(set(names)))
    assert samples.inputs[:, 0].tolist() == [number for number, _ in rows]
    assert present(samples.targets).tolist() == names


@given(st.binary(max_size=200))
@HERE_IS_SAFE
def test_any_bytes_give_samples_or_a_data_error(content: Any) -> None:
    path = write("t.csv", content)
    assert all(problem.startswith("t.csv: ") for problem in told_if_any(read_source, path))


@pytest.mark.parametrize("text", ["1,2,0\n3,4,1\n", "1,2,0\n"], ids=["rows", "one row"])
def test_a_target_name_for_a_table_of_numbers_alone_is_told_of_the_missing_header(
    text: str,
) -> None:
    assert problems(read, text, target="y") == [
        "t.csv: target 'y' is a name, but the table has no header; give the column by its index "
        "from 0, or set header: true"
    ]


def test_numbers_that_hold_the_target_name_are_a_header() -> None:
    samples = read("1,2,3\n4,5,6\n", target="2")
    assert (samples.columns, samples.targets.tolist()) == (("1", "3"), [5])


def test_spaces_behind_numbers_do_not_make_a_header() -> None:
    samples = read("1 ,2 \n3 ,4 \n")
    assert (samples.columns, samples.inputs.tolist()) == (None, [[1], [3]])


def test_no_column_left_for_inputs_is_told_without_a_word_of_commas() -> None:
    assert problems(read, "a,b\n1,2\n", target=["a", "b"]) == [
        "t.csv: no column is left for the inputs: all 2 are targets"
    ]


def test_mistakes_are_told_by_row_and_the_first_ten_of_all_columns() -> None:
    text = "y,b\n1,2\n" + "1,x\n" * 2 + "q,z\n" + "1,x\n" * 20
    told = problems(read, text, target="y", keys=ColumnKeys(columns={"b": {"as": "number"}}))
    assert told == [
        "t.csv: row 3, column 2 (b): 'x' is not a number; where it is meant, columns: {b: "
        "category} takes all cells as words; the same in rows 4, 5, 6, 7, 8 and 17 more",
        "t.csv: row 5, column 1 (y): 'q' is not a number; if these are classes, name them: "
        'classes: ["1", "q"]',
    ]


def test_gzip_with_bytes_behind_its_end_is_not_called_no_gzip() -> None:
    path = write("t.csv.gz", "1,0\n2,1\n")
    path.write_bytes(path.read_bytes() + b"tail")
    assert problems(read_source, path) == [
        "t.csv.gz: other bytes follow its gzip data; it is damaged, or something was added to it"
    ]


MEMBER = gzip.compress(b"1,2\n")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        pytest.param(MEMBER * 2 + b"PK", "other bytes follow its gzip data", id="two members"),
        pytest.param(MEMBER + bytes(600) + b"x", "other bytes follow its gzip data", id="zeros"),
        pytest.param(MEMBER + MEMBER[:-8] + bytes(8), "is damaged gzip", id="second checksum"),
        pytest.param(MEMBER[:2] + b"\7" + MEMBER[3:], "is damaged gzip", id="unknown method"),
    ],
)
def test_what_is_wrong_with_gzip_is_told_by_its_bytes(content: bytes, wrong: str) -> None:
    path = write("t.csv.gz", "")
    path.write_bytes(content)
    assert problems(read_source, path)[0].startswith(f"t.csv.gz: {wrong}")


def test_words_where_classes_are_counted_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,setosa\n2,setosa\n3,virginica\n")
    with pytest.raises(DataError) as caught:
        read_source(path, classes=2)
    assert caught.value.key == "classes"
    assert str(caught.value) == (
        f"{path}: column 2 holds words such as 'setosa', but a number of classes takes the "
        "integers 0 to 1; name the classes, or leave them out"
    )


def test_a_label_far_longer_than_the_others_is_refused_before_all_are_padded_to_it() -> None:
    told = problems(read, "1,a\n2,b\n" * 1000 + f"3,{'x' * 100_000}\n")
    shortened = "x" * 39 + "…"
    assert told == [
        f"t.csv: row 2001, column 2: the label '{shortened}' has 100,000 characters, far more than "
        "the others; is a quote left open?"
    ]
    labels = read("1,a\n2,b\n" * 1000 + f"3,{'x' * 1000}\n").targets
    assert labels[-1] == "x" * 1000


@pytest.mark.slow
def test_a_table_with_words_takes_little_more_memory_than_its_text() -> None:
    text = "1,ab\n2,cd\n" * 50_000
    tracemalloc.start()
    try:
        labels = read(text).targets
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert labels[:2].tolist() == ["ab", "cd"]
    assert peak < 16 * len(text)  # 40 with a list of text for each row


def test_a_line_that_would_take_many_times_its_length_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nncli.data.readers.rows.LONGEST_LINE", 1 << 20)
    text = "1,0\n" + "1," * (1 << 19) + "2\n"
    assert problems(read, text) == ["t.csv: row 2 is longer than 1 MiB; save the samples as .npy"]


def test_nobody_counts_the_mistakes_of_a_table_that_is_nothing_else() -> None:
    rest = "t.csv: there may be more; it was read no further"
    assert problems(read, "a,y\n1,2\n" + "x,3\n" * 5000, keys=NUMBERS)[-1] == rest
    assert problems(read, "1,2\n" + "1\n" * 5000)[-1] == rest
    wide = ",".join(f"a{i}" for i in range(20)) + "\n"
    told = problems(read, wide + (",".join("x" * 20) + "\n") * 500, keys=NUMBERS)
    assert told[-1] == "t.csv: and at least 470 more"


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        (
            '"1.234,5"',
            'write 1234.5, without points between thousands, or set thousands: "." (under data)',
        ),
        (
            "1.234.567",
            'write 1234567, without points between thousands, or set thousands: "." (under data)',
        ),
        (
            "1 500",
            'write 1500, without spaces between thousands, or set thousands: " " (under data)',
        ),
        (
            "1\u00a0500.5",
            'write 1500.5, without spaces between thousands, or set thousands: " " (under data)',
        ),
        (
            "1'500",
            'write 1500, without apostrophes between thousands, or set thousands: "\'" '
            "(under data)",
        ),
        ("$5", "write 5, without $"),
        ("5 €", "write 5, without €"),
        ("-0.5%", "write -0.5, without %"),
    ],
)
def test_numbers_with_groups_or_units_are_told_how_to_be_written(cell: str, advice: str) -> None:
    written = cell.strip('"')
    path = write("t.csv", f"a,b,y\n1,2,0.5\n2,{cell},0.7\nx,3,0.5\n")
    assert problems(read_source, path) == [
        f"t.csv: row 3, column 2 (b): {quote(written)} is not a number; {advice}",
        "t.csv: row 4, column 1 (a): 'x' is not a number",
    ]


def test_each_way_of_writing_has_a_line_of_its_own() -> None:
    cells = ['"1.234,5"', "1 500", "$5", "$6", "5%", '"2.345,6"']
    path = write("t.csv", "a,y\n" + "".join(f"{cell},0.5\n" for cell in cells))
    told = [line.partition("; write ")[2] for line in problems(read_source, path)]
    assert told == [
        '1234.5, without points between thousands, or set thousands: "." (under data); the same '
        "in row 7",
        '1500, without spaces between thousands, or set thousands: " " (under data)',
        "5, without $; the same in row 5",
        "5, without %",
    ]
