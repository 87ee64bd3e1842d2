"""Columns as a spec names them."""

from dataclasses import replace

from nncli.data.readers.rows import read_table
from nncli.data.survey_columns import keys_of, useless_inputs
from tests.data.conftest import write


class Counted(str):
    """A name that counts how often one is compared with another."""

    times = 0
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.times += 1
        return str(self) == str(other)


def test_names_that_are_no_keys_are_replaced_by_places() -> None:
    table = read_table(write("t.csv", "a,b,b,,c\n1,2,3,4,5\n"))
    assert keys_of(table, range(5)) == ["a", 1, 2, 3, "c"]
    twice = read_table(write("t.csv", "a,b,a\n1,2,3\n"))
    assert keys_of(twice, [2, 1]) == [-1, "b"]
    assert [each.key for each in useless_inputs(twice, [(1, ""), (2, "")], [])] == ["b", 2]


def test_to_name_many_columns_takes_no_more_than_once_through_them() -> None:
    n = 400
    path = write("t.csv", ",".join(f"c{k}" for k in range(n)) + "\n" + ",".join("1" * n) + "\n")
    table = read_table(path)
    table = replace(table, header=tuple(map(Counted, table.header or ())))
    Counted.times = 0
    useless = useless_inputs(table, [(k, "is 1") for k in range(n)], [])
    assert [each.key for each in useless] == [f"c{k}" for k in range(n)]
    assert Counted.times < 5 * n
