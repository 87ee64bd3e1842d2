"""Columns of words, gaps and mixtures: what they are taken for, and what they become."""

import json
import math
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import DataError
from nncli.data import ColumnKeys, preprocessing_from, read_inputs, read_measured
from nncli.data.columns.kept import rule_from
from nncli.data.columns.kinds import KINDS
from nncli.data.readers.columns import read_columns
from nncli.data.readers.rows import read_table
from nncli.spec import columns as spec_columns
from tests.data.conftest import FLOAT64, gathered, load, problems, write

CABINS = (
    "port,age,fare,deck,lived\n"
    "S,22,7,C,0\n"
    "C,38,71,,1\n"
    "S,,8,E,1\n"
    "Q,35,53,C,1\n"
    "S,35,8,C,0\n"
    ",54,51,E,0\n"
)


def inputs_of(data: Any) -> Any:
    return gathered(data.train)[0]


def names(data: Any) -> Any:
    return data.train.origin.columns


def test_words_become_one_hot_and_gaps_the_median() -> None:
    data = load(write("t.csv", CABINS))
    assert names(data) == (
        *("port=C", "port=Q", "port=S", "port missing"),
        *("age", "age missing", "fare"),
        *("deck=C", "deck=E", "deck missing"),
    )
    np.testing.assert_array_equal(
        inputs_of(data),
        [
            [0, 0, 1, 0, 22, 0, 7, 1, 0, 0],
            [1, 0, 0, 0, 38, 0, 71, 0, 0, 1],
            [0, 0, 1, 0, 35, 1, 8, 0, 1, 0],
            [0, 1, 0, 0, 35, 0, 53, 1, 0, 0],
            [0, 0, 1, 0, 35, 0, 8, 1, 0, 0],
            [0, 0, 0, 1, 54, 0, 51, 0, 1, 0],
        ],
    )
    assert data.notes == (
        "t.csv: port: 3 categories, one-hot: C, Q, S; gaps have a feature of their own (3 "
        "different words, 1 of 6 cells is empty)",
        "t.csv: age: gaps become the median 35, and are marked (1 of 6 cells is empty)",
        "t.csv: deck: 2 categories, one-hot: C, E; gaps have a feature of their own (2 different "
        "words, 1 of 6 cells is empty)",
    )


def test_scale_is_for_numbers_alone() -> None:
    data = load(write("t.csv", CABINS), scale="standard")
    inputs = inputs_of(data)
    marks = [i for i, name in enumerate(names(data)) if name not in ("age", "fare")]
    assert set(inputs[:, marks].ravel()) == {0, 1}
    np.testing.assert_allclose(inputs[:, [4, 6]].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(inputs[:, [4, 6]].std(axis=0), 1)
    divided = inputs_of(load(write("t.csv", CABINS), scale=2.0))
    assert divided[0].tolist() == [0, 0, 1, 0, 11, 0, 3.5, 1, 0, 0]


def test_rules_are_fitted_on_the_training_part_alone() -> None:
    rows = [f"{k},{'' if k % 7 == 0 else k * k},{'pq'[k % 2]},{k % 2}" for k in range(60)]
    text = "\n".join(["i,x,w,y", *rows[:59], "60,1,rare,1"]) + "\n"
    data = load(write("t.csv", text), validation=0.3)
    rules = {rule.name: rule for rule in data.preprocessing.rules or ()}
    numbers = [
        0 if i == 59 else i for i in data.train.index.tolist() if i == 59 or (i % 7 and i < 59)
    ]
    values = [1.0 if i == 0 else float(i * i) for i in numbers]
    assert rules["x"].fill == np.median(values)
    assert data.validation is not None
    held_rare = 59 in data.validation.index
    assert ("rare" in rules["w"].categories) != held_rare  # type: ignore[attr-defined]


def test_what_is_said_of_columns_is_done() -> None:
    keys = ColumnKeys(
        ignore=("port", "d*"),
        columns={"age": {"missing": "mean", "indicator": False}, "fare": {"as": "category"}},
    )
    data = load(write("t.csv", CABINS), keys=keys)
    assert names(data) == ("age", "fare=7", "fare=8", "fare=51", "fare=53", "fare=71")
    assert inputs_of(data)[2].tolist() == [36.8, 0, 1, 0, 0, 0]
    assert data.notes == ()
    number = load(write("t.csv", CABINS), keys=ColumnKeys(columns={"age": {"missing": -1.0}}))
    assert inputs_of(number)[2, 4] == -1


def test_rows_with_gaps_may_be_left_out_and_are_counted() -> None:
    keys = ColumnKeys(ignore=("port", "deck"), columns={"age": {"missing": "drop"}})
    data = load(write("t.csv", CABINS), keys=keys)
    assert (len(data.train), data.train.origin.lines.tolist()) == (5, [2, 3, 5, 6, 7])  # type: ignore[union-attr]
    assert data.notes == ("t.csv: left out 1 row without age",)


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    data = load(write("t.csv", "w,y\na,p\nb,\na,NA\nb,q\na,p\n"))
    assert data.notes[-1] == "t.csv: left out 2 rows without a target (rows 3, 4)"
    assert gathered(data.train)[1].tolist() == [[1, 0], [0, 1], [1, 0]]
    named_so = load(write("t.csv", "x,y\n1,p\n2,NA\n3,NA\n4,\n"), classes=("p", "NA"))
    assert len(named_so.train) == 3


def test_a_table_of_numbers_alone_has_no_rules() -> None:
    data = load(write("t.csv", "a,b,y\n1,2,p\n3,4,q\n"))
    assert data.preprocessing.rules is None
    assert "rules" not in data.preprocessing.as_plain()
    narrower = load(write("t.csv", "a,b,y\n1,2,0\n3,4,1\n"), keys=ColumnKeys(ignore=("a",)))
    assert narrower.preprocessing.rules is None
    assert narrower.train.inputs.tolist() == [[2], [4]]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3e2", "4"], "number"),
        (["1", "", "3", "NA"], "number"),
        (["a", "b", "a", "c"], "category"),
        (["a", "b", "", "7"], "category"),
        (["yes", "no", "no", ""], "boolean"),
        (["True", "False", "False", "True"], "boolean"),
        (["T", "F", "F", "T"], "boolean"),
        (["2020-01-31", "2021-02-01", "", "2020-05-05"], "date"),
        (["31.1.2020", "1.2.2021", "1.2.2020", "2.2.2020"], "date"),
        ([f"w{k}" for k in range(20)], None),
        (["same"] * 4, None),
        ([""] * 4, None),
        ([f"w{k % 40}" for k in range(80)], "hash"),
    ],
)
def test_kinds_are_found_out(cells: list[str], kind: str | None) -> None:
    text = "x,c,y\n" + "".join(f"{k},{cell},{k % 2}\n" for k, cell in enumerate(cells))
    data = load(write("t.csv", text))
    rules = {rule.name: rule.kind for rule in data.preprocessing.rules or ()}
    if data.preprocessing.rules is not None or kind is None:
        assert rules.get("c") == kind
    else:
        assert kind == "number"
    told = [note for note in data.notes if note.startswith("t.csv: left out c, which ")]
    assert len(told) == (kind is None)


def test_a_few_words_among_numbers_are_mistakes() -> None:
    text = "w,x,y\n" + "".join(f"{'uv'[k % 2]},{k},{k % 2}\n" for k in range(1000))
    told = problems(load, write("t.csv", text + "u,l2,1\nv,,0\n"))
    assert told == [
        "t.csv: row 1002, column 2 (x): 'l2' is not a number; where it is meant, columns: {x: "
        "category} takes all cells as words"
    ]
    as_words = ColumnKeys(columns={"x": {"as": "hash", "buckets": 4}})
    assert load(write("t.csv", text + "u,l2,1\n"), keys=as_words).input_shape == (6,)


def test_dates_that_can_be_read_in_two_ways_are_refused() -> None:
    text = "d,x,y\n01/02/2020,1,0\n03/04/2020,2,1\n"
    (told,) = problems(load, write("t.csv", text))
    assert told == (
        "t.csv: the column 'd' holds dates such as '01/02/2020', which can be read by "
        '"%d/%m/%Y" or "%m/%d/%Y"; say which, as in columns: {d: {date: "%d/%m/%Y"}}'
    )
    for form, month in (("%d/%m/%Y", 1), ("%m/%d/%Y", 0)):
        keys = ColumnKeys(columns={"d": {"as": "date", "format": form}})
        data = load(write("t.csv", text), keys=keys)
        at = names(data).index("d month sin")
        assert inputs_of(data)[0, at] == pytest.approx(np.sin(2 * np.pi * month / 12))
    assert load(write("t.csv", text.replace("03/04", "13/04"))).notes


@pytest.mark.parametrize(
    ("said", "cells", "features"),
    [
        ({"ordinal": ["low", "mid", "high"]}, ["mid", "low", "high", "mid"], [[1], [0], [2], [1]]),
        (
            {"ordinal": ["low", "high"]},
            ["low", "", "what", "low"],
            [[0, 0], [0, 1], [0, 1], [0, 0]],
        ),
        ({"ordinal": [1, 2]}, ["1.0", "2", "2", "1"], [[0], [1], [1], [0]]),
        ("boolean", ["Yes", "no", "", "yes"], [[1, 0], [0, 0], [1, 1], [1, 0]]),
        ({"as": "boolean", "indicator": False}, ["1", "0", "", "1"], [[1], [0], [1], [1]]),
        ({"hash": 2}, ["a", "b", "", "a"], None),
        (
            "number",
            ["1970-01-02", "1970-01-01", "1969-12-31", ""],
            [[1, 0], [0, 0], [-1, 0], [0, 1]],
        ),
        ({"missing": "most_frequent"}, ["4", "", "4", "9"], [[4], [4], [4], [9]]),
    ],
)
def test_what_a_spec_says_of_a_column(said: Any, cells: list[str], features: Any) -> None:
    text = "c,y\n" + "".join(f"{cell},{k % 2}\n" for k, cell in enumerate(cells))
    keys = ColumnKeys(columns={"c": spec_columns.normal(spec_columns._columns({"c": said})["c"])})
    data = load(write("t.csv", text), keys=keys)
    if features is None:
        features = np.zeros((4, 3))
        features[2, 2] = 1
        for k in (0, 1, 3):
            features[k, zlib.crc32(cells[k].encode()) % 2] = 1
    np.testing.assert_array_equal(inputs_of(data), features)
    again = preprocessing_from(json.loads(json.dumps(data.preprocessing.as_plain())))
    assert again.rules == data.preprocessing.rules


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"ordinal": ["low", "high"]},
            "t.csv: c: 3 cells with words beside low and high, taken for a gap: 'mid' and 'huge'; "
            "gaps become the median, and are marked",
        ),
        ({"ordinal": ["low", "mid", "high", "huge"]}, None),
    ],
)
def test_words_without_a_place_in_an_order_are_told(said: Any, told: str | None) -> None:
    text = "c,y\nmid,0\nlow,1\nmid,0\nhuge,1\n,1\n"
    keys = ColumnKeys(columns={"c": spec_columns.normal(spec_columns._columns({"c": said})["c"])})
    assert [note for note in load(write("t.csv", text), keys=keys).notes if "beside" in note] == (
        [told] if told else []
    )


def test_words_without_a_place_in_an_order_are_refused_where_gaps_are() -> None:
    said = {"as": "ordinal", "order": ("low", "high"), "missing": "refuse"}
    path = write("t.csv", "c,y\nlow,0\nmid,1\n")
    assert problems(load, path, keys=ColumnKeys(columns={"c": said})) == [
        "t.csv: row 3, column 1 (c): 'mid' is none of low, high"
    ]


@pytest.mark.parametrize("missing", ["median", "mean", "most_frequent"])
def test_an_empty_column_has_nothing_to_fill_its_gaps_with(missing: str) -> None:
    path = write("t.csv", "a,c,y\n1,,0\n2,,1\n")
    keys = ColumnKeys(columns={"c": {"missing": missing}})
    (told,) = problems(load, path, keys=keys)
    assert told == (
        f"t.csv: the column 'c' is empty, so its gaps have no {missing.replace('_', ' ')}; "
        "leave it out of columns, or give a number as missing"
    )


def test_a_date_is_a_year_and_points_on_circles() -> None:
    days = ["2020-02-29", "2021-12-31", "2023-01-01"]
    data = load(write("t.csv", "d,y\n" + "".join(f"{d},{k}\n" for k, d in enumerate(days))))
    expected = []
    for day in map(datetime.fromisoformat, days):
        row: list[float] = [day.year]
        for at, period in ((day.month - 1, 12), (day.day - 1, 31), (day.weekday(), 7)):
            row += [math.sin(2 * math.pi * at / period), math.cos(2 * math.pi * at / period)]
        expected.append(row)
    np.testing.assert_allclose(inputs_of(data), expected, atol=1e-12)
    assert names(data)[:3] == ("d year", "d month sin", "d month cos")


# Targets that are scaled


def test_targets_are_scaled_by_the_training_part_and_given_back_in_their_units() -> None:
    text = "x,y\n" + "".join(f"{k},{1000 + k * k / 7:.3f}\n" for k in range(50))
    plain = load(write("t.csv", text), validation=0.2)
    y = plain.train.targets[plain.train.index, 0]
    for scale, offset, divisor in (
        ("standard", y.mean(), y.std()),
        ("minmax", y.min(), np.ptp(y)),
        (50.0, 0, 50),
    ):
        data = load(write("t.csv", text), validation=0.2, target_scale=scale)
        scaled = data.train.targets
        np.testing.assert_allclose(scaled, (plain.train.targets - offset) / divisor)
        known = preprocessing_from(json.loads(json.dumps(data.preprocessing.as_plain())))
        np.testing.assert_allclose(known.in_own_units(scaled), plain.train.targets)
        measured = read_measured(known, Path("t.csv"), FLOAT64)
        np.testing.assert_allclose(gathered(measured)[1], scaled)
    assert plain.preprocessing.as_plain().keys() <= known.as_plain().keys()
    assert "target_offset" not in plain.preprocessing.as_plain()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,p\n2,q\n", "t.csv: target_scale is for numbers, and these targets are classes"),
        ("x,y\n1,.5\n2,.5\n", "t.csv: a target is the same in every sample trained on"),
        ("x,y\n1,1e308\n2,-1e308\n", "t.csv: its numbers are too large for target_scale"),
    ],
)
def test_targets_that_cannot_be_scaled(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(write("t.csv", text), target_scale="standard")
    assert caught.value.key == "target_scale"
    assert caught.value.problems[0].startswith(message)


# Later data


def trained(**options: Any) -> Any:
    return load(write("t.csv", CABINS), classes="none", scale="standard", **options)


def parts(preprocessing: Any, text: str) -> tuple[Any, Any]:
    found = read_inputs(preprocessing, write("later.csv", text), FLOAT64)
    return np.concatenate([gathered(part)[0] for part in found.parts]), found


def test_columns_of_later_data_are_found_by_name() -> None:
    data = trained()
    same = "lived,deck,extra,fare,port,age\n0,C,9,7,S,22\n1,E,9,8,S,\n"
    inputs, found = parts(data.preprocessing, same)
    np.testing.assert_array_equal(inputs, inputs_of(data)[[0, 2]])
    assert found.notes == (
        "later.csv: left out 'lived', which the network predicts",
        "later.csv: left out 'extra', which the network was not trained on",
    )
    assert found.counted() == ["later.csv: age: 1 gap; gaps become the median 35, and are marked"]
    measured = read_measured(data.preprocessing, Path("t.csv"), FLOAT64)
    np.testing.assert_array_equal(gathered(measured)[0], inputs_of(data))


def test_words_that_training_did_not_meet_are_no_category_and_counted() -> None:
    inputs, found = parts(trained().preprocessing, "port,age,fare,deck\nX,1,,C\nX,1,2,\n")
    assert inputs[:, :4].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert found.counted() == [
        "later.csv: port: 2 cells with words that training did not meet, taken for no category: "
        "'X'",
        "later.csv: fare: 1 gap; gaps become the median 29.5",
        "later.csv: deck: 1 gap; gaps have a feature of their own",
    ]


def test_what_is_no_number_stays_a_mistake_in_later_data() -> None:
    preprocessing = trained().preprocessing
    told = problems(parts, preprocessing, "port,age,fare,deck\nS,old,1,C\n")
    assert told == ["later.csv: row 2, column 2 (age): 'old' is not a number"]


def test_a_gap_is_refused_where_it_leaves_a_row_without_a_prediction() -> None:
    preprocessing = trained(keys=ColumnKeys(columns={"deck": {"missing": "drop"}})).preprocessing
    told = problems(parts, preprocessing, "port,age,fare,deck\nS,1,1,\nS,1,1,C\n")
    assert told == [
        "later.csv: row 2, column 4 (deck): the cell is empty; in training its row was left out, "
        "here every row is needed"
    ]


def test_validation_and_test_tables_are_read_by_name_and_by_the_same_rules() -> None:
    other = write("v.csv", "lived,deck,port,age,fare\n1,E,Z,,8\n,C,S,1,1\n")
    data = trained(test=other)
    assert data.test is not None
    assert gathered(data.test)[1].tolist() == [[1]]
    np.testing.assert_array_equal(gathered(data.test)[0][0, 4:], inputs_of(data)[2, 4:])
    assert [note for note in data.notes if note.startswith("v.csv")] == [
        "v.csv: left out 1 row without a target (row 3)",
        "v.csv: port: 1 cell with words that training did not meet, taken for no category: 'Z'",
        "v.csv: age: 1 gap; gaps become the median 35, and are marked",
    ]


def test_a_table_without_header_is_read_by_position() -> None:
    text = "S,1,u,0\nC,2,v,1\nS,4,w,1\n"
    keys = ColumnKeys(ignore=(2,), columns={"0": {"as": "category"}})
    data = load(write("t.csv", text), keys=keys, classes="none")
    assert names(data) == ("column 1=C", "column 1=S", "column 2")
    for later in ("S,4,w,1\n", "S,4\n"):
        path = write("l.csv", later)
        found = read_inputs(data.preprocessing, path, FLOAT64)
        assert [gathered(part)[0].tolist() for part in found.parts] == [[[0, 1, 4]]]


# What is kept, and what is refused


def test_rules_are_kept_in_plain_words() -> None:
    preprocessing = trained().preprocessing
    plain = json.loads(json.dumps(preprocessing.as_plain()))
    again = preprocessing_from(plain)
    assert again.rules == preprocessing.rules
    assert again.as_plain() == preprocessing.as_plain()


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "zap"},
        {"fill": "x"},
        {"missing": "so"},
        {"name": 3},
        {"indicator": 1},
        {"categories": 4},
    ],
)
def test_damaged_rules_are_refused(damage: Any) -> None:
    plain = trained().preprocessing.as_plain()
    plain["rules"][0].update(damage if "fill" not in damage else {"missing": 1, **damage})
    with pytest.raises((KeyError, TypeError, ValueError)):
        preprocessing_from(plain)


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        (ColumnKeys(ignore=("prt",)), "ignore", "t.csv: there is no column 'prt'; did you mean"),
        (ColumnKeys(ignore=("lived",)), "ignore", "t.csv: 'lived' is the target, and ignore is"),
        (ColumnKeys(ignore=(9,)), "ignore", "t.csv: ignore 9 is out of range: there are 5 columns"),
        (ColumnKeys(ignore=("*",)), "ignore", "t.csv: no column is left for the inputs"),
        (
            ColumnKeys(columns={"z*": {"as": "number"}}),
            "columns",
            "t.csv: there is no column 'z*'",
        ),
        (
            ColumnKeys(columns={"port": {"missing": "mean"}}),
            "columns",
            "t.csv: the column 'port' is of kind category, whose gaps can be most_frequent, drop",
        ),
        (
            ColumnKeys(columns={"port": {"as": "date"}}),
            "columns",
            "t.csv: the column 'port' holds 'S', no date that is known",
        ),
        (
            ColumnKeys(columns={"port": {"as": "boolean"}}),
            None,
            "t.csv: row 2, column 1 (port): 'S' is neither true nor false; the same in rows 4, 6",
        ),
    ],
)
def test_keys_that_do_not_fit(keys: ColumnKeys, key: str | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(write("t.csv", CABINS), target="lived", keys=keys)
    assert caught.value.key == key
    assert caught.value.problems[0].startswith(message)


def test_words_of_a_spec_are_the_kinds_that_there_are() -> None:
    assert {*spec_columns.KINDS, "ordinal"} == {*KINDS, "ignore"}
    for kind in KINDS.values():
        plain = kind("x", missing=kind.fills[0], fill=0.0).as_plain()
        if kind.kind in ("number", "boolean"):
            assert type(rule_from(json.loads(json.dumps(plain)))) is kind
        assert {*kind.fills} - {"apart"} <= {*spec_columns.FILLS}


def test_columns_are_read_alike_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_table(write("t.csv", CABINS))
    whole = read_columns(table, range(5))
    monkeypatch.setattr("nncli.data.readers.columns.PIECE", 2)
    for one, other in zip(whole, read_columns(table, range(5)), strict=True):
        assert one.words == other.words
        np.testing.assert_array_equal(one.gaps, other.gaps)
        np.testing.assert_array_equal(one.as_numbers(), other.as_numbers())


def test_a_column_whose_word_comes_late_has_the_cells_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nncli.data.readers.columns.PIECE", 2)
    table = read_table(write("t.csv", 'a,b,c\n1,7,u\n2,8,"v"\n1.0,9,u\nx,,w\n'))
    late, numbers, words = read_columns(table, range(3))
    assert (late.words, late.codes is not None and late.codes.tolist()) == (
        ("1", "2", "1.0", "x"),
        [0, 1, 2, 3],
    )
    np.testing.assert_array_equal(numbers.numbers, [7, 8, 9, np.nan])
    assert words.codes is not None
    assert [words.words[code] for code in words.codes] == ["u", "v", "u", "w"]
    assert read_columns(table, [1], as_words=[1])[0].words == ("7", "8", "9", "")
