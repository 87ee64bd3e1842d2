"""A helper that parses a share of a table: what is read is what one process reads."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.core import processes
from nncli.core.errors import DataError
from nncli.data.readers import helper
from nncli.data.readers.helper import Begun, Helper, helper_for, one_ahead, parsed
from nncli.data.readers.matrices import read_matrix
from nncli.data.readers.number_tables import read_number_table
from nncli.data.readers.numbers import parse
from nncli.data.readers.rows import RowReader, read_table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
RANDOM = np.random.default_rng(0)
COLUMNS = {
    "small integers": RANDOM.integers(0, 256, (30_000, 3)),
    "large integers": RANDOM.integers(-(10**14), 10**14, (20_000, 3)),
    "decimals": RANDOM.normal(size=(20_000, 3)),
    "of a larger type later": np.repeat([[1, 2, 3], [400, -500, 6], [10**12, 0, 0.5]], 20_000, 0),
}


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[Helper]:
    """Has a helper for each text; those that there were."""
    made: list[Helper] = []
    begin = Helper.__init__

    def noted(self: Helper, *args: Any) -> None:
        begin(self, *args)
        made.append(self)

    monkeypatch.setattr(Helper, "__init__", noted)
    monkeypatch.setattr(helper, "WORTH", 1)
    monkeypatch.setattr(helper, "available_threads", lambda: 2)
    return made


def written(path: Path, values: Any) -> Path:
    rows = (",".join(map(repr, row)) for row in values.tolist())
    path.write_text("a,b,c\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS.keys())
def test_what_is_read_is_what_was_written(tmp_path: Path, helped: Any, values: Any) -> None:
    path = written(tmp_path / "table.csv", values)
    table = read_number_table(path, ",")
    assert table is not None
    assert isinstance(table.cells, np.ndarray)
    np.testing.assert_array_equal(table.cells, values, strict=False)
    np.testing.assert_array_equal(read_matrix(path).array, values)
    with path.open("rb") as stream:
        reader = RowReader(stream, "table.csv")
        reader.read_header_row()
        tables = list(reader.tables(1))
    np.testing.assert_array_equal(np.concatenate([part.cells for part in tables]), values)
    np.testing.assert_array_equal(
        np.concatenate([part.lines for part in tables]), np.arange(2, len(values) + 2)
    )
    assert len(helped) == 3


def test_a_mistake_far_down_is_told_as_without_a_helper(tmp_path: Path, helped: Any) -> None:
    path = written(tmp_path / "table.csv", COLUMNS["decimals"][:8_000])
    path.write_text(path.read_text() + "1,2\n" + "4,5,6\n" * 9)
    for read in (read_table, read_matrix):
        with pytest.raises(DataError, match="row 8002, column 3: expected 3 cells"):
            read(path)
    assert len(helped) == 2


def test_lines_that_are_no_numbers_are_looked_at_once(
    helped: list[Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []

    def noted(text: bytes, delimiter: str, width: int) -> None:
        looked_at.append(text)

    monkeypatch.setattr(helper, "parse", noted)
    texts = [b"1,x\n", b"2,y\n"]
    assert list(parsed(texts, ",", 2, None)) == [(text, None) for text in texts]
    assert list(Begun(texts, ",", 2, None).blocks()) == [None, None]
    assert looked_at == texts * 2


def test_it_need_not_live(helped: list[Helper]) -> None:
    texts = [b"%d,2.5\n" % k * 1000 for k in range(40)]
    expected = [parse(text, ",", 2) for text in texts]
    with helper_for(1, ",", 2) as ours:
        assert ours is not None
        found = []
        for k, (_, block) in enumerate(parsed(texts, ",", 2, ours)):
            found.append(block)
            if k == 5:
                os.kill(ours._pid, signal.SIGKILL)
    for block, other in zip(found, expected, strict=True):
        assert block is not None
        assert other is not None
        np.testing.assert_array_equal(block.values, other.values)


def test_what_was_begun_and_not_asked_for_is_dropped(helped: list[Helper]) -> None:
    texts = [b"1,2\n", b"a,b\n", b"3,4\n"]
    with helper_for(1, ",", 2) as ours:
        blocks = Begun(texts, ",", 2, ours).blocks()
        assert next(blocks) is not None
        assert next(blocks) is None
        blocks.close()
        (again,) = Begun([b"5,6\n"], ",", 2, ours).blocks()
        assert again is not None
        assert again.values.tolist() == [[5, 6]]


def test_there_is_none_without_a_second_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "available_threads", lambda: 1)
    with helper_for(1 << 40, ",", 2) as ours:
        assert ours is None


def test_there_is_none_where_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError

    monkeypatch.setattr(helper, "available_threads", lambda: 2)
    monkeypatch.setattr(processes, "fork", refuse)
    with helper_for(1 << 40, ",", 2) as ours:
        assert ours is None


@pytest.mark.parametrize("count", range(4))
def test_one_ahead_gives_all(count: int) -> None:
    assert list(one_ahead(iter(range(count)))) == list(range(count))
