"""What of a table's text is no sample: headers, of numbers too, comments, empty last columns."""

import io
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pytest

from nncli.data import read_inputs, read_source, read_values
from nncli.data.inference_inputs import read_measured
from nncli.data.readers.headers import pieces_without_comments
from nncli.data.readers.matrices import read_matrix
from nncli.data.readers.rows import RowReader, read_table
from tests.data.conftest import FLOAT64, gathered, load, problems, write


def read(text: str, name: str = "t.csv", **options: Any) -> Any:
    return read_source(write(name, text), **options)


COUNTED = (
    "t.csv: the first row, {} to {}, was taken for a header; if it is a sample, set header: false"
)
DOUBTED = (
    "t.csv: the first row, {} to {}, was taken for a sample; if it is a header, set header: true"
)


@pytest.mark.parametrize(
    ("text", "inputs", "targets", "columns"),
    [
        pytest.param(
            "0,1,2,3\n0.7,0.5,0.3,1\n0.3,0.1,0.6,0\n",
            [[0.7, 0.5, 0.3], [0.3, 0.1, 0.6]],
            [1, 0],
            ("0", "1", "2"),
            id="above decimals",
        ),
        pytest.param(
            "0,1,2\n5.1,3.5,cat\n4.9,3.0,dog\n",
            [[5.1, 3.5], [4.9, 3.0]],
            ["cat", "dog"],
            ("0", "1"),
            id="above words",
        ),
        pytest.param(
            "0,1,2,3,4\n0,16,3,2,1\n9,0,7,7,0\n",
            [[0, 16, 3, 2], [9, 0, 7, 7]],
            [1, 0],
            ("0", "1", "2", "3"),
            id="above many columns of integers",
        ),
        pytest.param(
            ",0,1\n0,0.5,3\n1,0.25,4\n",
            [[0, 0.5], [1, 0.25]],
            [3, 4],
            ("", "0"),
            id="above row names",
        ),
        pytest.param(
            "0.0,1.0,2.0,3.0\n0.7,0.5,3.25,1.0\n0.3,4.0,0.6,0.0\n",
            [[0.7, 0.5, 3.25], [0.3, 4, 0.6]],
            [1, 0],
            ("0.0", "1.0", "2.0"),
            id="written as decimals",
        ),
        pytest.param(
            "0.0,1.0,2.0,3.0,4.0\n0.0,16.0,3.0,2.0,1.0\n9.0,0.0,7.0,7.0,0.0\n",
            [[0, 16, 3, 2], [9, 0, 7, 7]],
            [1, 0],
            ("0.0", "1.0", "2.0", "3.0"),
            id="written as decimals, above many columns of whole numbers",
        ),
    ],
)
def test_a_header_that_counts_the_columns(
    text: str, inputs: Any, targets: Any, columns: Any
) -> None:
    samples = read(text)
    assert samples.inputs.tolist() == inputs
    assert samples.targets.tolist() == targets
    assert samples.columns == columns
    counted = text.split("\n")[0].strip(",").split(",")
    assert samples.notes == (COUNTED.format(counted[0], counted[-1]),)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        pytest.param("0,1\n1,0\n2,5\n", (), id="two columns of integers"),
        pytest.param("0,1\n0.5,0.9\n1,0\n", (), id="two columns, one with other integers"),
        pytest.param("0,1\n0.5,0.9\n0.2,0.1\n", (DOUBTED.format(0, 1),), id="two of decimals"),
        pytest.param(
            "0.0,1.0,2.0\n1.0,0.5,1.0\n2.0,2.0,0.0\n",
            (DOUBTED.format("0.0", "2.0"),),
            id="three decimals, with whole numbers in each column",
        ),
        pytest.param(
            "0.0,1.0,2.0,3.0,4.0\n1.0,2.0,3.0,4.0,5.0\n",
            (DOUBTED.format("0.0", "4.0"),),
            id="a window over 0.0, 1.0, ...",
        ),
        pytest.param("0.0,1.0\n1.0,0.0\n", (), id="two columns of whole decimals"),
        pytest.param("0,1,2\n1,0,1\n2,2,0\n", (DOUBTED.format(0, 2),), id="three of integers"),
        pytest.param(
            "0,1,2,3,4\n1,2,3,4,5\n2,3,4,5,6\n",
            (DOUBTED.format(0, 4),),
            id="a window over 0, 1, ...",
        ),
        pytest.param("0,1,2,3,4\n", (), id="nothing below"),
        pytest.param("1,2,3\n0.5,0.25,1\n", (), id="not from 0"),
        pytest.param("0,1,2.0\n0.5,0.25,1\n", (), id="not written as integers"),
    ],
)
def test_a_first_row_that_counts_and_may_be_a_sample(text: str, notes: Any) -> None:
    samples = read(text)
    assert len(samples) == text.count("\n")
    assert (samples.columns, samples.notes) == (None, notes)


def test_the_key_settles_what_the_first_row_is() -> None:
    table = "0,1,2,3\n0.7,0.5,0.3,1\n0.3,0.1,0.6,0\n"
    as_sample, as_header = read(table, header=False), read(table, header=True)
    assert (len(as_sample), as_sample.notes) == (3, ())
    assert (len(as_header), as_header.notes) == (2, ())
    assert len(read(table, target="3")) == 2


def test_data_that_come_later_have_such_a_header_too() -> None:
    table = "0,1,2\n0.5,2.5,1\n1.5,3.5,0\n"
    preprocessing = load(write("train.csv", table)).preprocessing
    plain = load(write("plain.csv", table.split("\n", 1)[1])).preprocessing
    inputs = [[0.5, 2.5], [1.5, 3.5]]
    note = "the first row, 0 to 2, was taken for a header; if it is a sample, put a header above it"
    for by, notes in ((preprocessing, ()), (plain, (f"t.csv: {note}",))):
        found = read_inputs(by, write("t.csv", table), FLOAT64)
        assert [gathered(part)[0].tolist() for part in found.parts] == [inputs]
        assert found.notes[: len(notes)] == notes
        measured = read_measured(by, write("t.csv", table), FLOAT64)
        assert gathered(measured)[0].tolist() == inputs


def test_a_matrix_has_such_a_header_too() -> None:
    matrix = read_matrix(write("m.csv", "0,1,2\n0.5,0.25,1\n1,2.5,3\n"))
    assert matrix.array.tolist() == [[0.5, 0.25, 1], [1, 2.5, 3]]
    assert matrix.notes == ("m.csv: row 1 was taken for a header: '0', '1', '2'",)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    ("text", "columns"),
    [
        pytest.param("# a,b,y\n1,2,0\n3,4,1\n", ("a", "b"), id="as np.savetxt writes it"),
        pytest.param("#a,b,y\n\n1,2,0\n3,4,1\n", ("a", "b"), id="no blank, and a blank line"),
        pytest.param("# from the lab\n# a,b,y\n1,2,0\n3,4,1\n", ("a", "b"), id="below another"),
        pytest.param("# x,y,z\na,b,y\n1,2,0\n3,4,1\n", ("a", "b"), id="above a header"),
        pytest.param("# 9,9,9\n1,2,0\n3,4,1\n", None, id="a sample that is left out"),
        pytest.param("# a,b\n1,2,0\n3,4,1\n", None, id="of fewer cells"),
        pytest.param("#,b,y\n1,2,0\n3,4,1\n", ("#", "b"), id="a column called #"),
        pytest.param('# "a, a",b,y\n1,2,0\n3,4,1\n', ("a, a", "b"), id="quoted"),
        pytest.param('# a\n# b 5" wide\n1,2,0\n3,4,1\n', None, id="with a quote in it"),
    ],
)
def test_comments_above_the_rows(text: str, columns: Any, end: str) -> None:
    samples = read(text.replace("\n", end))
    assert samples.inputs.tolist() == [[1, 2], [3, 4]]
    assert samples.targets.tolist() == [0, 1]
    assert (samples.columns, samples.notes) == (columns, ())
    lines = [i for i, line in enumerate(text.split("\n"), start=1) if line[:2] in ("1,", "3,")]
    assert samples.inputs_origin.lines.tolist() == lines


def test_what_np_savetxt_writes_is_read() -> None:
    np.savetxt(
        "t.csv", [[1, 2, 0], [3, 4, 1]], delimiter=",", header="a,b,y", footer="the end", fmt="%d"
    )
    samples = read_source(Path("t.csv"))
    assert (samples.columns, samples.inputs.tolist()) == (("a", "b"), [[1, 2], [3, 4]])
    assert samples.notes == ("t.csv: left out row 4, which begins with #, as comments do",)


def test_comments_among_the_rows_are_left_out_and_told() -> None:
    samples = read("a,y\n1,u\n#2,v\n3,w\n  # x\n4,u\n")
    assert samples.inputs.tolist() == [[1], [3], [4]]
    assert samples.inputs_origin.lines.tolist() == [2, 4, 6]
    assert samples.notes == (
        "t.csv: left out 2 rows that begin with #, as comments do; the first is row 3",
    )


def test_a_quoted_cell_is_no_comment() -> None:
    samples = read('tag,y\n1,"\n# not one\n"\n2,"#b"\n', target="y")
    assert samples.targets.tolist() == ["# not one", "#b"]
    assert read('"#a",1\n"#b",2\n', target=0).targets.tolist() == ["#a", "#b"]


def test_a_table_of_comments_alone_is_refused() -> None:
    assert problems(read, "# a\n#b\n") == [
        "t.csv: holds only comments (lines that begin with #); a table with a row for each sample "
        "is needed"
    ]


def test_weights_and_matrices_may_have_comments() -> None:
    path = write("w.csv", "# weights\n1,2\n3,4\n# the end\n")
    assert read_values(path).tolist() == [[1, 2], [3, 4]]
    assert read_matrix(path).array.tolist() == [[1, 2], [3, 4]]


class Pipe:
    """Gives a few bytes at a time, as a slow program would."""

    def __init__(self, text: str, size: int) -> None:
        self.stream = io.BytesIO(text.encode())
        self.size = size

    def read1(self, _: int) -> bytes:
        return self.stream.read(self.size)

    read = read1


@pytest.mark.parametrize("size", [1, 4, 9, 1000])
def test_a_stream_is_read_alike_wherever_its_pieces_end(size: int) -> None:
    preprocessing = load(write("train.csv", "a,b,y\n5,6,0\n7,8,1\n")).preprocessing
    for text in (
        "# from the lab\n\n# b,a\n\n2,1\n# between\n4,3\n",
        "b,a,\n2,1,\n4,3,\n",
        "1,2,\n3,4,\n",
        "#,b,a\n0,2,1\n1,4,3\n",
    ):
        found = read_inputs(preprocessing, cast(IO[bytes], Pipe(text, size)), FLOAT64)
        parts = [gathered(part)[0] for part in found.parts]
        assert np.concatenate(parts).tolist() == [[1, 2], [3, 4]]


def test_an_empty_last_column_without_a_name_is_left_out_and_told_once() -> None:
    samples = read("a,b,y,\n1,2,u,\n3,4,v,\n", target="y")
    assert samples.inputs.tolist() == [[1, 2], [3, 4]]
    assert samples.targets.tolist() == ["u", "v"]
    assert samples.notes == ("t.csv: left out column 4, empty and without a name",)
    samples = read("1,2,u, ,\n3,4,v,,\n")
    assert samples.targets.tolist() == ["u", "v"]
    assert samples.notes == ("t.csv: left out columns 4 to 5, empty and without a name",)
    matrix = read_matrix(write("m.csv", "1,2,\n3,4,\n"))
    assert matrix.array.tolist() == [[1, 2], [3, 4]]
    assert matrix.notes == ("m.csv: left out column 3, empty and without a name",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b,y,z\n1,2,3,\n4,5,6,\n", "t.csv: no row has a target: column 4 (z) is empty"),
        ("a,b\n1,2,\n", "t.csv: row 2, column 3: expected 2 cells as in the first row, found 3"),
    ],
    ids=["with a name", "not in the header"],
)
def test_another_last_column_is_not(text: str, told: str) -> None:
    assert problems(read, text)[0].startswith(told)


def test_one_that_has_something_in_it_is_the_target() -> None:
    samples = read("a,b,y,\n1,2,3,\n4,5,6,7\n")
    assert samples.targets.tolist() == [7]
    assert samples.notes == ("t.csv: left out 1 row without a target (row 2)",)


def test_something_in_a_column_that_was_empty_is_told_in_blocks() -> None:
    reader = RowReader(cast(IO[bytes], Pipe("1,2,\n3,4,5\n", 1000)), "t.csv")
    assert reader.width == 3
    reader = RowReader(cast(IO[bytes], Pipe("1,2,\n1,2,\n3,4,5\n", 5)), "t.csv")
    assert reader.width == 2
    assert problems(list, reader.tables()) == [
        "t.csv: row 3 or below: something stands in column 3, empty in the first row"
    ]


def test_a_column_that_has_few_integers_is_no_column_of_them() -> None:
    rows = "5.1,3.5,1.4,0\n4.2,3.1,1.3,1\n3,3,1,0\n"
    table = read_table(write("t.csv", f"0,1,2,3\n{rows}"))
    assert table.header == ("0", "1", "2", "3")
    assert table.notes == (COUNTED.format(0, 3),)


@pytest.mark.parametrize("blocks", [False, True], ids=["whole", "in blocks"])
@pytest.mark.parametrize(
    ("comments", "header"),
    [
        ("# a,b,y\n# units: cm,cm,-\n", ("a", "b", "y")),
        ("# made by hand\n\n# a,b,y\n# one, two\n", ("a", "b", "y")),
        ("# by me\n# a,b,y\n", ("a", "b", "y")),
    ],
)
def test_the_first_comment_that_fits_is_the_header(
    comments: str, header: tuple[str, ...], blocks: bool
) -> None:
    text = f"{comments}1,2,0\n3,4,1\n"
    if not blocks:
        table = read_table(write("t.csv", text))
        assert (table.header, table.lines.tolist()[1]) == (header, text.count("\n"))
        return
    pieces = list(enumerate(text.splitlines(keepends=True), start=1))
    joined = list(pieces_without_comments(iter(pieces), "t.csv", ","))
    lines = [(line, row) for line, row in joined if row.strip()]
    at, first = lines[0]
    start = next(i for i, row in enumerate(first.split("\n")) if row.strip())
    assert first.split("\n")[start] == ",".join(header)
    assert at + start == comments[: comments.index("# a,b,y")].count("\n") + 1


def test_a_wanted_name_chooses_the_comment() -> None:
    path = write("t.csv", "# title, of, three\n# a,b,y\n1,2,0\n3,4,1\n")
    assert read_table(path, names=["y"]).header == ("a", "b", "y")
