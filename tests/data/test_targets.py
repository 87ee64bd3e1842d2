from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.data import Encoding, Pair, read_measured, targets
from nncli.data.readers.read import read_source
from nncli.data.targets import FIRST, reading_of_columns
from tests.data.conftest import FLOAT32, FLOAT64, gathered, load, problems, write


def table(*labels: Any) -> Any:
    return write("t.csv", "x,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels)))


@pytest.mark.parametrize(
    ("labels", "classes", "names", "indices"),
    [
        pytest.param([10, 2, -1], None, ("-1", "2", "10"), [2, 1, 0], id="integers by value"),
        pytest.param(["b", "a", "B"], None, ("B", "a", "b"), [2, 1, 0], id="words sorted"),
        pytest.param([2, 0], 4, ("0", "1", "2", "3"), [2, 0], id="counted"),
        pytest.param(["b", "a"], ("b", "c", "a"), ("b", "c", "a"), [0, 2], id="named"),
        pytest.param([1, 0, 2], ("b", "c", "a"), ("b", "c", "a"), [1, 0, 2], id="by index"),
        pytest.param([5, 3], ("3", "5"), ("3", "5"), [1, 0], id="integers as names"),
    ],
)
def test_classes(labels: Any, classes: Any, names: tuple[str, ...], indices: list[int]) -> None:
    data = load(table(*labels), classes=classes)
    assert data.classes == names
    assert data.outputs == len(names)
    np.testing.assert_array_equal(data.train.targets, np.eye(len(names))[indices])


@pytest.mark.parametrize(
    ("labels", "target", "expected"),
    [
        pytest.param([0, 1, 1], None, [[0], [1], [1]], id="integers kept"),
        pytest.param([0.5, 1, 2], None, [[0.5], [1], [2]], id="floats"),
        pytest.param([3, 4], ["y", "x"], [[3, 0], [4, 1]], id="several"),
    ],
)
def test_vectors(labels: Any, target: Any, expected: Any) -> None:
    path = write("t.csv", "w,x,y\n" + "".join(f"9,{i},{y}\n" for i, y in enumerate(labels)))
    data = load(path, target=target, classes="none", dtype=FLOAT32)
    assert data.classes is None
    assert data.train.targets.dtype == np.float32
    assert data.train.targets.tolist() == expected


def test_a_single_column_of_floats_is_a_vector_without_being_told() -> None:
    assert load(table(0.5, 1)).classes is None


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        pytest.param(
            ["cat", "dgo"],
            ("cat", "dog"),
            "t.csv: row 3, column 2 (y): 'dgo' is not a class; the classes are 'cat', 'dog'; did "
            "you mean 'dog'?",
            id="slip in a name",
        ),
        pytest.param(
            [0, 10],
            10,
            "t.csv: row 3, column 2 (y): '10' is not a class; the classes are 0 to 9",
            id="above the count",
        ),
        pytest.param(
            [0, -1],
            10,
            "t.csv: row 3, column 2 (y): '-1' is not a class; the classes are 0 to 9",
            id="below 0",
        ),
        pytest.param(
            [0, 3],
            ("a", "b", "c"),
            "t.csv: row 3, column 2 (y): '3' is not a class; the classes are 0 to 2",
            id="index of no name",
        ),
        pytest.param(
            [0, 1.5],
            2,
            "t.csv: row 3, column 2 (y): 1.5 is no class, which is an integer or text",
            id="a float",
        ),
        pytest.param(["a", "b"], ("a", "b", "a"), "t.csv: classes names 'a' twice", id="twice"),
        pytest.param([0, 1], 0, "t.csv: classes 0 is not above 0", id="no classes"),
    ],
)
def test_mistakes(labels: Any, classes: Any, message: str) -> None:
    assert problems(load, table(*labels), classes=classes) == [message]


def test_labels_of_other_sources_must_be_known() -> None:
    train = table("a", "b", "a")
    other = write("v.csv", "x,y\n1,a\n2,c\n")
    message = "v.csv: row 3, column 2 (y): 'c' is not a class; the classes are 'a', 'b'"
    assert problems(load, train, validation=other) == [message]
    assert problems(load, train, test=other) == [message]


def test_integers_do_not_pass_for_words_learnt_elsewhere() -> None:
    told = problems(load, table("a", "b", "a"), test=write("v.csv", "x,y\n1,0\n"))
    assert told == ["v.csv: row 2, column 2 (y): '0' is not a class; the classes are 'a', 'b'"]


def test_labels_of_arrays_are_told_by_their_element() -> None:
    pair = Pair([[1], [2]], [[0], [7]])
    assert problems(load, pair, classes=2) == [
        "targets: element [1, 0]: '7' is not a class; the classes are '0', '1'"
    ]


def test_classes_of_several_columns() -> None:
    told = problems(load, Pair([[1], [2]], [[0, 1], [1, 0]]), classes=2)
    assert told == ["targets: classes need one column of labels, but the target has 2 columns"]


def test_measurements_do_not_become_thousands_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST_CLASSES", 3)
    assert problems(load, table(1, 2, 3, 4)) == [
        "t.csv: the target has 4 different values, too many for classes (at most 3); for plain "
        "numbers set classes: none"
    ]
    assert load(table(1, 2, 3, 4), classes="none").outputs == 1


MANY = [i % 3 for i in range(300)]
ADVICE = "all other labels are integers (0 to 2); mend it, or set classes: none for plain numbers"


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ("0.5", "0.5 is no class"),
        ("1e20", "1e+20 is too large for a class"),
        ("9007199254740993", "9.0072e+15 is too large for a class"),
    ],
)
def test_a_slip_in_one_label_does_not_turn_classes_into_regression(slip: str, told: str) -> None:
    path = table(*MANY, slip, 1)
    assert problems(load, path) == [f"t.csv: row 302, column 2 (y): {told}; {ADVICE}"]
    assert load(path, classes="none").classes is None


def test_slips_in_a_list_are_told_too() -> None:
    inputs = [[i] for i in range(41)]
    for slip, told in ((0.5, "0.5 is no class"), (10**20, "1e+20 is too large for a class")):
        for wrap, place in ((lambda y: y, "[40]"), (lambda y: [y], "[40, 0]")):
            pair = Pair(inputs, [wrap(y) for y in [*MANY[:40], slip]])
            assert problems(load, pair) == [f"targets: element {place}: {told}; {ADVICE}"]
            assert load(pair, classes="none").outputs == 1
    assert load(Pair(inputs, [*map(float, MANY[:40]), 0.5])).classes is None


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([*MANY[:95], *[0.5] * 5], id="as many as five in a hundred"),
        pytest.param([*MANY * 2, *[0.5] * 11], id="more than ten"),
        pytest.param([0, 1, 0.5], id="one of three"),
    ],
)
def test_measurements_are_no_slips(labels: Any) -> None:
    assert load(table(*labels)).classes is None


def test_an_array_of_floats_means_floats() -> None:
    np.save("y.npy", np.array([*MANY, 0.5]))
    assert load(Pair([[i] for i in range(301)], Path("y.npy"))).classes is None


def test_validation_data_may_be_rounder_than_those_of_training() -> None:
    data = load(table(0.1, 0.2, 3), validation=write("v.csv", "x,y\n" + "1,2\n" * 99 + "1,0.5\n"))
    assert data.classes is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["a"] * 4,
            "all 4 labels are 'a': one class cannot be learnt to tell from others; if another "
            "column holds the labels, name it, as in target: 0",
        ),
        (
            [1, 1],
            "all 2 labels are '1': one class cannot be learnt to tell from others; for plain "
            "numbers set classes: none; if another column holds the labels, name it, as in "
            "target: 0",
        ),
    ],
)
def test_one_class_alone_is_refused(labels: Any, message: str) -> None:
    assert problems(load, table(*labels)) == [f"t.csv: {message}"]
    assert load(table(*labels), classes=("a", "1")).outputs == 2


def test_classes_counted_in_the_millions_are_refused_at_once() -> None:
    told = problems(load, table(0, 1), classes=20_000_000)
    assert told == ["t.csv: classes 20000000 is above 100,000, the most there can be"]


def test_many_classes_and_many_mistakes_cost_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def described(self: Any, lookup: Any) -> str:
        names.append(1)
        return "many"

    monkeypatch.setattr(Encoding, "described", described)
    told = problems(load, table(*range(-3000, 0)), classes=100_000)
    assert told[-1] == "t.csv: and 2,990 more"
    assert names == [1]
    assert (
        load(table("a1", "a2"), classes=tuple(f"a{i}" for i in range(100_000))).outputs == 100_000
    )


def test_text_where_numbers_are_asked_for() -> None:
    told = problems(load, Pair([[1], [2]], ["a", "b"]), classes="none")
    assert told == ["targets: the targets are text, but classes are not asked for"]


LARGE = 2**53


@pytest.mark.parametrize("classes", [None, (str(LARGE), str(LARGE + 1))], ids=["found", "named"])
@pytest.mark.parametrize("header", ["", "a,y\n"], ids=["no header", "header"])
def test_integers_that_no_float_tells_apart_stay_different_classes(
    header: str, classes: Any
) -> None:
    text = header + "".join(f"{i},{LARGE + i % 2}\n" for i in range(1, 7))
    data = load(write("t.csv", text), classes=classes)
    assert data.classes == (str(LARGE), str(LARGE + 1))
    assert gathered(data.train)[1].argmax(axis=1).tolist() == [1, 0, 1, 0, 1, 0]
    measured = read_measured(data.preprocessing, Path("t.csv"), FLOAT64)
    assert measured.targets.argmax(axis=1).tolist() == [1, 0, 1, 0, 1, 0]


def test_large_integers_are_exact_wherever_labels_come_from() -> None:
    inputs = [[1], [2], [3], [4]]
    for first in (LARGE, 2**63, 2**70):
        labels = [first, first + 1, first, first + 1]
        assert load(Pair(inputs, labels)).classes == (str(first), str(first + 1))
        column = write("y.csv", "".join(f"{label}\n" for label in labels))
        assert load(Pair(inputs, column)).classes == (str(first), str(first + 1))
        assert load(Pair(inputs, labels), classes="none").classes is None
    np.save("y.npy", np.array([2**63, 2**63 + 1, 2**63, 2**63 + 1], np.uint64))
    assert load(Pair(inputs, Path("y.npy"))).classes == (str(2**63), str(2**63 + 1))


def test_a_large_integer_among_small_ones_is_a_slip() -> None:
    text = "".join(f"{i},{i % 2}\n" for i in range(60)) + f"60,{2**70}\n"
    assert "too large for a class" in problems(load, write("t.csv", text))[0]


def test_inputs_beyond_exact_integers_are_rounded_as_any_number() -> None:
    data = load(write("t.csv", f"{2**60 + 1},a\n2,b\n"))
    assert data.train.inputs.tolist() == [[float(2**60)], [2]]
    plain = load(write("t.csv", f"{2**60 + 1},0.5\n2,1.5\n"))
    assert plain.train.inputs.tolist() == [[float(2**60)], [2]]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (
            "1,500",
            'write 1500 if its comma groups thousands, or set thousands: "," (under data); '
            "1.5 if it "
            "marks decimals",
        ),
        (
            "-2,050",
            'write -2050 if its comma groups thousands, or set thousands: "," (under data); '
            "-2.05 if "
            "it marks decimals",
        ),
        (
            "1,234,567",
            'write 1234567, without commas between thousands, or set thousands: "," (under data)',
        ),
        (
            "1,234.5",
            'write 1234.5, without commas between thousands, or set thousands: "," (under data)',
        ),
        ("1,5", "decimals are written with a point"),
        ("1,50,0", None),
    ],
)
def test_a_number_with_commas(cell: str, told: str | None) -> None:
    (line,) = problems(load, write("t.csv", f'a,y\n"{cell}",u\n2,v\n'))
    more = f"; {told}" if told else ""
    assert line == f"t.csv: row 2, column 1 (a): '{cell}' is not a number{more}"


def test_unknown_labels_are_told_once_each() -> None:
    train, other = write("t.csv", "1,a\n2,b\n"), write("v.csv", "1,a\n2,c\n3,d\n4,c\n5,c\n")
    assert problems(load, train, validation=other) == [
        "v.csv: row 2, column 2: 'c' is not a class; the classes are 'a', 'b'; the same in rows "
        "4, 5",
        "v.csv: row 3, column 2: 'd' is not a class; the classes are 'a', 'b'",
    ]


def classes_of(*labels: object) -> tuple[str, ...] | None:
    return load(table(*labels)).classes


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("007", "7", "8"), ("007", "7", "8")),
        (("00", "0", "1"), ("0", "00", "1")),
        (("9007199254740993.0", "9007199254740992.0"),
         ("9007199254740992.0", "9007199254740993.0")),
        (("07", "08", "07"), ("7", "8")),
        (("1.0", "2.0", "1.0"), ("1", "2")),
        (("1e3", "1000", "7"), ("7", "1000")),
    ],
    ids=lambda labels: " ".join(labels),
)  # fmt: skip
def test_labels_that_differ_as_they_are_written(
    labels: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    assert classes_of(*labels) == classes


@pytest.mark.parametrize("labels", [("1e3", "1000"), ("1", "1.0"), ("5", "+5")])
def test_labels_that_are_one_number_are_told(labels: tuple[str, ...]) -> None:
    samples = read_source(table(*labels, "7"))
    assert samples.notes == (
        f"t.csv: the labels '{labels[0]}' and '{labels[1]}' are one number, and so one class",
    )
    assert read_source(table("1", "2", "1")).notes == ()


def test_codes_stay_text_in_other_sources() -> None:
    whole = load(table("007", "7", "8"), test=write("u.csv", "x,y\n0,007\n1,007\n2,8\n"))
    assert whole.test is not None
    assert whole.test.targets.argmax(axis=1).tolist() == [0, 0, 2]


def test_elements_of_an_array_are_not_called_rows() -> None:
    np.savez("a.npz", x=np.eye(4), y=np.array([0.5, 1, 0.5, 0.5]))
    assert problems(load, Path("a.npz"), classes=2) == [
        "a.npz: y: element [0]: 0.5 is no class, which is an integer or text; the same in "
        "elements [2], [3]"
    ]


def test_labels_are_read_so_whatever_rows_come_first() -> None:
    labels = np.zeros((FIRST + 4, 2))
    labels[-3:] = [[0, 1], [1, 1], [1, 0]]
    assert reading_of_columns(labels) == reading_of_columns(labels[::-1]) == "labels"
    labels[-1, 0] = 0.5
    assert reading_of_columns(labels) == reading_of_columns(labels[::-1]) == "numbers"
