"""Data that come after the training: read by its preprocessing alone, by names where it has any."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.core.jsons import to_json
from nncli.data import Pair, Preprocessing, preprocessing_from, read_inputs, read_measured
from nncli.data import inference_inputs as later
from nncli.data.readers import files
from tests.data.conftest import FLOAT32, FLOAT64, gathered, load, problems, write

TRAIN = "a,b,y\n1,2,q\n3,6,p\n5,2,q\n"


@pytest.fixture
def preprocessing() -> Preprocessing:
    return load(write("train.csv", TRAIN), scale="minmax").preprocessing


def inputs(preprocessing: Any, source: Any, dtype: Any = FLOAT64) -> Any:
    found = read_inputs(preprocessing, source, dtype)
    return np.concatenate([gathered(part, dtype)[0] for part in found.parts]), found.notes


def later_table(preprocessing: Any, text: Any, name: str = "t.csv") -> Any:
    return inputs(preprocessing, write(name, text))


EXPECTED = [[0.5, 0.5]]


@pytest.mark.parametrize(
    "text",
    ["a,b\n3,4\n", "b,a\n4,3\n", "3,4\n", '"a","b"\n"3","4"\n'],
    ids=["as trained", "another order", "no header", "quoted"],
)
def test_inputs_are_found_and_scaled_as_in_training(preprocessing: Any, text: str) -> None:
    found, notes = later_table(preprocessing, text)
    assert (found.tolist(), notes) == (EXPECTED, ())


def test_a_target_among_them_is_left_out_and_told(preprocessing: Any) -> None:
    found, notes = later_table(preprocessing, "y,b,a\nq,4,3\n")
    assert found.tolist() == EXPECTED
    assert notes == ("t.csv: left out 'y', which the network predicts",)


def test_columns_that_the_network_does_not_take_are_told(preprocessing: Any) -> None:
    found, notes = later_table(preprocessing, "id,b,a,note\n7,4,3,x\n")
    assert found.tolist() == EXPECTED
    assert notes == ("t.csv: left out 'id', 'note', which the network was not trained on",)


@pytest.mark.parametrize("text", ["3,4,q\n", "3,4,0\n"], ids=["a word", "a number"])
def test_without_names_targets_are_where_they_were(preprocessing: Any, text: str) -> None:
    found, notes = later_table(preprocessing, text)
    assert found.tolist() == EXPECTED
    assert notes == ("t.csv: left out column 3, which the network predicts",)


def test_names_may_be_numbers() -> None:
    preprocessing = load(write("n.csv", "0,1,y\n5,6,0\n7,8,1\n"), target="y").preprocessing
    assert later_table(preprocessing, "1,0\n4,3\n")[0].tolist() == [[3, 4]]
    assert later_table(preprocessing, "1,5\n0,3\n")[0].tolist() == [[1, 5], [0, 3]]


def test_names_given_twice_are_taken_by_position() -> None:
    preprocessing = load(write("n.csv", "x,x,y\n5,6,0\n7,8,1\n")).preprocessing
    assert later_table(preprocessing, "x,x\n1,2\n")[0].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("y,a,a\n0,1,5\n", "'y', 'a'"),
        ("a,y,a\n1,0,5\n", "'a', 'y'"),
        ("a,b\n1,5\n", "'a', 'b'"),
    ],
)
def test_names_given_twice_in_another_order_are_refused(text: str, found: str) -> None:
    by = load(write("train.csv", "a,a,y\n1,5,0\n2,6,1\n")).preprocessing
    (told,) = problems(later_table, by, text)
    assert told.startswith(f"t.csv: has {found} where the network takes 'a', 'a'; ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,B\n1,2\n", "t.csv: lacks the column 'b', which the network takes; its other columns "
         "are 'B'"),
        ("a,c\n1,2\n", "t.csv: lacks the column 'b', which the network takes; its other columns "
         "are 'c'"),
        ("u,v\n1,2\n", "t.csv: lacks the columns 'a', 'b', which the network takes; its other "
         "columns are 'u', 'v'"),
        ("a,b,a\n1,2,3\n", "t.csv: has more than one column named 'a'"),
        ("1\n", "t.csv: has 1 column, but the network takes 2 inputs ('a', 'b'), with or without "
         "1 target column"),
        ("1,2,3,4\n", "t.csv: has 4 columns, but the network takes 2 inputs ('a', 'b'), with or "
         "without 1 target column"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit(preprocessing: Any, text: str, told: str) -> None:
    assert problems(later_table, preprocessing, text) == [told]


def test_a_name_nearly_right() -> None:
    preprocessing = load(write("n.csv", "width,height,y\n5,6,0\n7,8,1\n")).preprocessing
    assert problems(later_table, preprocessing, "width,heigth\n1,2\n") == [
        "t.csv: lacks the column 'height', which the network takes; did you mean 'heigth'?"
    ]


def test_a_cell_that_is_no_number_is_told_with_its_row(preprocessing: Any) -> None:
    assert problems(later_table, preprocessing, "a,b\n1,2\n3,x\n") == [
        "t.csv: row 3, column 2 (b): 'x' is not a number"
    ]


def test_gzip_is_looked_through_before_its_first_row_is_answered(
    preprocessing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 16)
    bomb = write("t.csv.gz", b"3,4\n" * (1 << 17))
    assert problems(read_inputs, preprocessing, bomb, FLOAT64) == [
        "t.csv.gz: expands to more than 75 times its size; refused as a decompression bomb"
    ]
    rng = np.random.default_rng(0)
    text = "\n".join(f"{a},{b}" for a, b in rng.random((30_000, 2)))
    whole = write("u.csv.gz", f"{text}\n".encode())
    assert len(inputs(preprocessing, whole)[0]) == 30_000
    whole.write_bytes(whole.read_bytes()[:-9])
    assert problems(read_inputs, preprocessing, whole, FLOAT64) == [
        "u.csv.gz: is cut short: the gzip data do not end"
    ]


def test_a_bomb_of_blank_lines_is_refused_by_its_size(
    preprocessing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 16)
    bomb = write("t.csv.gz", b"\n" * (1 << 17))
    for read in (read_inputs, read_measured):
        assert problems(read, preprocessing, bomb, FLOAT64) == [
            "t.csv.gz: expands to more than 75 times its size; refused as a decompression bomb"
        ]


def test_standard_input_is_a_table(preprocessing: Any) -> None:
    found, _ = inputs(preprocessing, io.BytesIO(b"b,a\n4,3\n"))
    assert found.tolist() == EXPECTED
    assert problems(inputs, preprocessing, io.BytesIO(b"b,a\n4,x\n")) == [
        "standard input: row 2, column 2 (a): 'x' is not a number"
    ]


@pytest.mark.parametrize("good", [b"", b"b,a\n4,3\n"], ids=["at once", "after a row"])
def test_standard_input_that_cannot_be_read(preprocessing: Any, good: bytes) -> None:
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1) -> Any:
            if content := super().read1(size):
                return content
            raise OSError(5, "Input/output error")

    assert problems(inputs, preprocessing, Failing(good)) == [
        "standard input: cannot be read: input/output error"
    ]


@pytest.mark.parametrize("stored", ["<f4", ">f8", "u1"])
def test_arrays_in_memory_in_files_and_mapped(
    preprocessing: Any, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later, "PIECE", 8)
    array = np.arange(40).reshape(20, 2).astype(stored)
    np.save("x.npy", array)
    np.savez("x.npz", x=array)
    expected = (array.astype(float) - [1, 2]) / 4
    for source in (array, Path("x.npy"), Path("x.npz")):
        found = read_inputs(preprocessing, source, FLOAT32)
        assert found.total == 20
        made = np.concatenate([gathered(part, FLOAT32)[0] for part in found.parts])
        np.testing.assert_array_equal(made, expected.astype(np.float32))


def test_arrays_that_do_not_fit(preprocessing: Any) -> None:
    assert problems(read_inputs, preprocessing, np.zeros((4, 3)), FLOAT64) == [
        "inputs: has 3 inputs a sample, but the network takes 2 inputs"
    ]
    assert problems(read_inputs, preprocessing, np.zeros((4, 28, 28)), FLOAT64) == [
        "inputs: has an image of 1 x 28 x 28 a sample, but the network takes 2 inputs"
    ]
    np.save("nan.npy", np.array([[1.0, 2.0], [3.0, np.nan]]))
    assert problems(read_inputs, preprocessing, Path("nan.npy"), FLOAT64) == [
        "nan.npy: element [1, 1]: nan is not a finite number"
    ]


def test_images_for_a_network_of_images() -> None:
    pair = Pair(np.arange(24.0).reshape(4, 6).tolist(), [0, 1, 0, 1])
    preprocessing = load(pair, shape=(1, 2, 3)).preprocessing
    for source in (np.ones((5, 2, 3)), np.ones((5, 6)), np.ones((5, 1, 2, 3))):
        (part,) = read_inputs(preprocessing, source, FLOAT64).parts
        assert part.inputs.shape == (5, 1, 2, 3)


# With targets


def measured(preprocessing: Any, text: Any) -> Any:
    return read_measured(preprocessing, write("t.csv", text), FLOAT64)


@pytest.mark.parametrize(
    "text", ["a,b,y\n3,4,p\n", "y,b,a\np,4,3\n", "3,4,p\n"], ids=["as trained", "moved", "bare"]
)
def test_targets_are_found_and_encoded_as_in_training(preprocessing: Any, text: str) -> None:
    part = measured(preprocessing, text)
    assert (part.inputs.tolist(), part.targets.tolist()) == (EXPECTED, [[1, 0]])
    assert part.origin.lines.tolist() == [text.count("\n")]


def test_classes_may_be_counted_where_their_names_are_not_numbers(preprocessing: Any) -> None:
    named = load(write("n.csv", TRAIN), classes=("q", "p")).preprocessing
    assert measured(named, "a,b,y\n3,4,1\n").targets.tolist() == [[0, 1]]
    assert problems(measured, preprocessing, "a,b,y\n3,4,1\n") == [
        "t.csv: row 2, column 3 (y): '1' is not a class; the classes are 'p', 'q'"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b,y\n1,2,p\n3,4,r\n",
         "t.csv: row 3, column 3 (y): 'r' is not a class; the classes are 'p', 'q'"),
        ("a,b\n1,2\n", "t.csv: lacks the target column 'y', which the network is measured by"),
        ("1,2\n", "t.csv: lacks the target column 'y', which the network is measured by"),
        ("a,y\n1,p\n",
         "t.csv: lacks the column 'b', which the network takes"),
    ],
)  # fmt: skip
def test_measured_tables_that_do_not_fit(preprocessing: Any, text: str, told: str) -> None:
    assert problems(measured, preprocessing, text) == [told]


def test_inputs_and_targets_from_two_files(preprocessing: Any) -> None:
    np.save("x.npy", np.array([[3.0, 4.0]]))
    write("y.csv", "q\n")
    part = read_measured(preprocessing, Pair(Path("x.npy"), Path("y.csv")), FLOAT64)
    assert (gathered(part)[0].tolist(), part.targets.tolist()) == (EXPECTED, [[0, 1]])
    assert problems(read_measured, preprocessing, Path("x.npy"), FLOAT64) == [
        "x.npy: holds inputs alone; give the file of their targets too (--targets)"
    ]


def test_numbers_as_targets() -> None:
    preprocessing = load(write("n.csv", "a,u,v\n1,2,3\n4,5,6\n"), target=["u", "v"]).preprocessing
    assert preprocessing.output_names == ("u", "v")
    assert measured(preprocessing, "v,u,a\n30,20,1\n").targets.tolist() == [[20, 30]]
    np.savez("t.npz", x=np.ones((2, 1)), y=np.ones((2, 3)))
    assert problems(read_measured, preprocessing, Path("t.npz"), FLOAT64) == [
        "t.npz: y: has 3 targets a sample, but the network has 2 outputs"
    ]


def test_a_network_trained_on_arrays_is_measured_on_a_table() -> None:
    pair = Pair([[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.25], [1, 2]])
    preprocessing = load(pair).preprocessing
    assert preprocessing.output_names == ("output_0", "output_1")
    assert measured(preprocessing, "1,2,3,4\n").targets.tolist() == [[3, 4]]


# In plain words


@pytest.mark.parametrize("scale", ["none", 16, "minmax", "standard"])
@pytest.mark.parametrize("classes", [None, "none", 4, ("no", "yes")])
def test_a_recipe_comes_back_from_json(scale: int | str, classes: Any) -> None:
    table = "a,b,c,y\n1,5,1e-3,0\n3,5,0.1,1\n7,5,2,1\n"  # b is constant: its divisor is infinite
    preprocessing = load(write("n.csv", table), scale=scale, classes=classes).preprocessing
    again = preprocessing_from(json.loads(to_json(preprocessing.as_plain())))
    without: dict[str, Any] = {"scaling": None}
    assert again._replace(**without) == preprocessing._replace(**without)
    text = "a,b,c\n2,5,0.3\n9,6,1\n"
    np.testing.assert_array_equal(later_table(again, text)[0], later_table(preprocessing, text)[0])


def test_scaling_is_undone_but_for_constants() -> None:
    preprocessing = load(write("n.csv", "a,b,y\n1,5,0\n3,5,1\n"), scale="standard").preprocessing
    raw = np.array([[1.5, 5.0], [7.0, 5.0]])
    (part,) = read_inputs(preprocessing, raw, FLOAT64).parts
    np.testing.assert_allclose(preprocessing.scaling.undone(gathered(part)[0]), raw)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_shape", [2.5]),
        ("input_shape", "2"),
        ("outputs", None),
        ("classes", [1, 2]),
        ("offset", [1.0]),
        ("divisor", "x"),
        ("columns", {"a": 1}),
    ],
)
def test_a_damaged_recipe_is_an_error(preprocessing: Any, key: str, value: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        preprocessing_from({**preprocessing.as_plain(), key: value})


def test_a_recipe_without_a_key_is_an_error(preprocessing: Any) -> None:
    for key in preprocessing.as_plain():
        if key != "classes_by_index":
            with pytest.raises(KeyError):
                preprocessing_from({k: v for k, v in preprocessing.as_plain().items() if k != key})


# Axes: a reshape where a transpose is meant


IMAGES = np.arange(2 * 3 * 6 * 6).reshape(2, 3, 6, 6) % 251


def of_images() -> Preprocessing:
    np.save("x.npy", IMAGES)
    np.save("y.npy", np.array([0, 1]))
    return load(Pair(Path("x.npy"), Path("y.npy"))).preprocessing


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        pytest.param(
            IMAGES.transpose(0, 2, 3, 1),
            "has an image of 6 x 6 x 3 a sample, but the network takes an image of 3 x 6 x 6; "
            "save the array as x.transpose(0, 3, 1, 2)",
            id="channels last",
        ),
        pytest.param(
            IMAGES.transpose(0, 2, 1, 3),
            "has an image of 6 x 3 x 6 a sample, but the network takes an image of 3 x 6 x 6; "
            "save the array as x.transpose(0, 2, 1, 3)",
            id="channels between",
        ),
        pytest.param(
            IMAGES.reshape(2, 3, 36).transpose(0, 2, 1),
            "has an image of 1 x 36 x 3 a sample, but the network takes an image of 3 x 6 x 6; "
            "save the array as x.transpose(0, 2, 1).reshape(-1, 3, 6, 6)",
            id="pixels by channels",
        ),
        pytest.param(
            IMAGES.reshape(2, 4, 27),
            "has an image of 1 x 4 x 27 a sample, but the network takes an image of 3 x 6 x 6; "
            "if that is what is meant, save the array as x.reshape(-1, 3, 6, 6)",
            id="another image",
        ),
        pytest.param(
            IMAGES.reshape(2, 18, 6),
            "has an image of 1 x 18 x 6 a sample, but the network takes an image of 3 x 6 x 6; "
            "if that is what is meant, save the array as x.reshape(-1, 3, 6, 6)",
            id="stacked",
        ),
    ],
)
def test_axes_that_are_not_those_of_the_network_are_refused(stored: Any, told: str) -> None:
    preprocessing = of_images()
    np.save("later.npy", stored)
    assert problems(read_inputs, preprocessing, Path("later.npy"), FLOAT64) == [
        f"later.npy: {told}"
    ]
    assert problems(read_inputs, preprocessing, stored, FLOAT64) == [f"inputs: {told}"]
    pair = Pair(Path("later.npy"), Path("y.npy"))
    assert problems(read_measured, preprocessing, pair, FLOAT64) == [f"later.npy: {told}"]


@pytest.mark.parametrize(
    "shape", [(3, 6, 6), (108,), (1, 108), (1, 1, 108)], ids=lambda s: "x".join(map(str, s))
)
def test_axes_of_length_one_and_flat_samples_are_taken(shape: Any) -> None:
    found, _ = inputs(of_images(), IMAGES.reshape(2, *shape))
    assert found.tolist() == IMAGES.tolist()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (1, 5, 7)])
def test_a_grey_image_with_its_channel_anywhere(shape: Any) -> None:
    grey = np.arange(70).reshape(2, 5, 7)
    preprocessing = load(Pair(grey.tolist(), [0, 1])).preprocessing
    assert inputs(preprocessing, grey.reshape(2, *shape))[0][:, 0].tolist() == grey.tolist()
    told = problems(read_inputs, preprocessing, grey.transpose(0, 2, 1), FLOAT64)
    assert told[0].endswith("; save the array as x.transpose(0, 2, 1)")
