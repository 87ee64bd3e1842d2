"""Which column of a table is to be learnt, where nobody says."""

from collections.abc import Sequence

import numpy as np
import pytest

from nncli.data.readers.rows import read_table
from nncli.data.target_choice import EVIDENCE, candidates, chosen_columns
from tests.data.conftest import write

ROWS = 40
RNG = np.random.default_rng(0)
COLUMNS = {  # kinds of columns: the cells of 40 rows
    "measure": [f"{value:.3f}" for value in RNG.normal(size=ROWS)],
    "other measure": [f"{value:.3f}" for value in RNG.normal(size=ROWS)],
    "whole": [str(value) for value in RNG.integers(0, 400, ROWS)],
    "few whole": [str(k % 3) for k in range(ROWS)],
    "two": [str(k % 2) for k in range(ROWS)],
    "words": ["abc"[k % 3] for k in range(ROWS)],
    "other words": ["xyz"[k % 3] for k in range(ROWS)],
    "names": [f"name {k}" for k in range(ROWS)],
    "counts": [str(k + 1) for k in range(ROWS)],
    "ids": [str(7 * k + 1000) for k in RNG.permutation(ROWS)],
    "constant": ["5"] * ROWS,
    "gaps": ["1.5", "2.5", "", "", ""] * (ROWS // 5),
}
CASES = [
    # columns as `name: kind`, the target, whether it is evident, the second choice
    ("a: measure, b: words, medv: measure", "medv", True, None),
    ("target: measure, b: words, c: measure", "target", True, "c"),
    ("Species: words, b: measure, c: measure", "Species", True, "c"),
    (": counts, mpg: measure, b: whole, c: few whole", "mpg", True, "c"),
    (": names, mpg: measure, b: whole, c: few whole", "mpg", True, "c"),
    ("id: ids, b: measure, c: measure", "c", False, "b"),
    ("a: measure, SalePrice_usd: measure, c: few whole", "SalePrice_usd", False, "c"),
    ("x: measure, y: measure", "y", True, None),
    ("x: measure, y: measure, z: other measure", "z", False, "x"),
    ("a: measure, b: measure, kind of it: words", "kind of it", True, None),
    ("use: words, b: measure, c: other words", "c", False, "use"),
    ("low: two, b: measure, c: measure", "low", True, "c"),
    ("Ozone: measure, wind: measure, Day: whole", "Ozone", False, "wind"),
    ("a: measure, b: measure, townid: whole", "a", False, "b"),
    ("a: measure, b: measure, c: constant", "b", False, "a"),
    ("a: measure, b: measure, c: gaps", "a", False, "b"),
    ("a: few whole, b: measure, c: constant", "a", True, None),
    ("a: measure, unit_price: measure, c: few whole", "c", False, "unit_price"),
    ("a: measure", "a", True, None),
    ("age: measure, b: measure, year: whole", "b", False, "year"),
]
NAMELESS = [
    ("measure, other measure, few whole", -1, True, None),
    ("few whole, measure, other measure", 0, True, -1),
    ("measure, other measure, measure", -1, False, 0),
]


def text_of(kinds: Sequence[str], header: Sequence[str] | None = None) -> str:
    rows = zip(*(COLUMNS[kind.strip()] for kind in kinds), strict=True)
    lines = [",".join(row) for row in rows]
    return "\n".join([*([",".join(header)] if header else []), *lines]) + "\n"


@pytest.mark.parametrize(("columns", "target", "is_evident", "second"), CASES)
def test_the_column_that_looks_like_the_target(
    columns: str, target: str, is_evident: bool, second: str | None
) -> None:
    pairs = [column.split(":") for column in columns.split(", ")]
    header = [name.strip() for name, _ in pairs]
    table = read_table(write("t.csv", text_of([kind for _, kind in pairs], header)))
    (chosen,) = chosen_columns(table, ())
    assert (chosen.key, chosen.is_evident, chosen.second) == (target, is_evident, second)
    assert chosen.why


@pytest.mark.parametrize(("columns", "target", "is_evident", "second"), NAMELESS)
def test_without_a_header(columns: str, target: int, is_evident: bool, second: int | None) -> None:
    table = read_table(write("t.csv", text_of(columns.split(","))))
    (chosen,) = chosen_columns(table, ())
    assert (chosen.key, chosen.is_evident, chosen.second) == (target, is_evident, second)


def test_every_evidence_weighs_somewhere() -> None:
    texts = [text_of(columns.split(",")) for columns, *_ in NAMELESS]
    for columns, *_ in CASES:
        pairs = [column.split(":") for column in columns.split(", ")]
        texts.append(text_of([kind for _, kind in pairs], [name.strip() for name, _ in pairs]))
    words = "".join(f"{k},word {chr(97 + k % 7)}{chr(97 + k % 6)}\n" for k in range(600))
    texts.append(f"a,b\n{words}")  # 42 words
    tables = [read_table(write("t.csv", text)) for text in texts]
    found = {each for t in tables for candidate in candidates(t) for each in candidate.evidence}
    assert found == set(EVIDENCE)


def test_of_a_wide_table_ends_and_names_are_looked_at() -> None:
    header = [f"c{k}" for k in range(120)]
    kinds = ["constant", *["measure"] * 117, "two", "constant"]
    table = read_table(write("t.csv", text_of(kinds, header)))
    assert [each.position for each in candidates(table)] == [1, 118]
    header[60] = "label"
    table = read_table(write("t.csv", text_of(kinds, header)))
    (chosen,) = chosen_columns(table, ())
    assert (chosen.key, chosen.is_evident) == ("label", True)
