"""What a training says before it begins."""

from pathlib import Path

import numpy as np
import pytest

from nncli.app.pipeline import prepare
from nncli.core.errors import SpecError
from nncli.render.pages.training import Tables, plan_page
from nncli.spec import load_spec
from tests.render.reading import shown

SPEC = """
data: {{train: t.csv, classes: {classes}}}
network: [{{type: dense, units: {units}, activation: identity}}]
train: {{eta: 0.1, epochs: 1, cost: quadratic}}
"""


def plan(folder: Path, columns: int, samples: int, units: int = 1, classes: str = "none") -> str:
    table = np.arange(float(samples * columns)).reshape(samples, columns)
    np.savetxt(folder / "t.csv", table, "%g", ",")
    (folder / "s.yaml").write_text(SPEC.format(units=units, classes=classes))
    return shown(plan_page(prepare(load_spec(folder / "s.yaml"))))


@pytest.mark.parametrize(
    ("columns", "samples", "words"),
    [
        (2, 160, "160 samples of 1 input\n"),
        (3, 160, "160 samples of 2 inputs\n"),
        (3, 1, "1 sample of 2 inputs\n"),
        (1201, 2, "2 samples of 1,200 inputs\n"),
    ],
)
def test_one_of_a_kind_is_no_plural(columns: int, samples: int, words: str, tmp_path: Path) -> None:
    text = plan(tmp_path, columns, samples)
    assert f"data     {words}" in text
    assert "length   1 epoch in mini-batches of" in text


@pytest.mark.parametrize(
    ("units", "classes", "words"),
    [
        (2, "none", "the data have 1 target a sample, got 2 units; units: 1 would fit"),
        (1, "[a, b, c]", "the data have 3 classes, got 1 unit; units: 3 would fit"),
    ],
)
def test_one_unit_or_target_that_does_not_fit_is_no_plural(
    units: int, classes: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("1,a\n2,b\n" if classes != "none" else "1,3\n2,5\n")
    (tmp_path / "s.yaml").write_text(SPEC.format(units=units, classes=classes))
    with pytest.raises(SpecError, match=words):
        prepare(load_spec(tmp_path / "s.yaml"))


def test_a_fact_that_is_too_long_goes_on_below_itself(tmp_path: Path) -> None:
    from nncli.render.widgets.tables import Facts

    assert shown(Facts([("data", "one two three four"), ("cost", "five")]), 16) == (
        "data  one two\n      three four\ncost  five\n"
    )


@pytest.mark.parametrize(
    ("tables", "due"),
    [
        (Tables(), [6]),
        (Tables(every=2), [2, 4, 6]),
        (Tables(every=4), [4, 6]),
        (Tables(every=None, last=False), []),
    ],
    ids=str,
)
def test_when_a_table_is_due(tables: Tables, due: list[int]) -> None:
    assert [epoch for epoch in range(1, 7) if tables.are_due(epoch, 6)] == due
