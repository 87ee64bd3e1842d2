"""Runs side by side, on a terminal or as JSON."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from string import ascii_uppercase
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nncli.app.report_records import (
    ABSENT,
    ComparedRun,
    Comparison,
    Difference,
    accuracy_of,
    cost_of,
)
from nncli.core.jsons import to_json
from nncli.core.text import count_of
from nncli.nn.layers import LAYERS, Layer
from nncli.render.document import Grid
from nncli.render.text import NONE, duration, number, percent, plain, shape
from nncli.render.widgets.curve import Curves, Series, accuracy_curves
from nncli.render.widgets.tables import GAP, Column, Columns
from nncli.training.history import Epoch

MOST_CURVES = 10  # on one pair of axes; more cannot be told apart
LONGEST_LIST = 24  # characters


class SideBySide:
    """The runs with a letter each, the keys in which their specs differ, outcomes and curves."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.letters = [letter(k) for k in range(len(comparison.runs))]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found = self.comparison
        for name, run in zip(self.letters, found.runs, strict=True):
            yield plain(f"{name}  {run.path}")
        yield ""
        yield from self._differences(options.max_width)
        yield ""
        outcomes = self._outcomes()
        yield outcomes
        yield ""
        is_cut = outcomes.width > options.max_width
        yield plain(" ".join(outcome_notes(found, is_cut=is_cut)), "dim")
        yield from self._curves()

    def _differences(self, width: int) -> Iterator[Columns | Text]:
        """A column a run; of values too long for that, each in a line of its own."""
        differences = self.comparison.differences
        if not differences:
            yield plain("Their specs are the same.")
            return
        rows = [[d.key, *map(value_words, d.values)] for d in differences]
        keys = max(cell_len(row[0]) for row in rows)
        room = max(6, (width - keys) // len(self.letters) - len(GAP))
        short = [row for row in rows if max(map(cell_len, row[1:])) <= room]
        table = Columns([Column("what differs", words=True), *map(Column, self.letters)], short)
        is_short = bool(short) and table.width <= width
        if is_short:
            yield table
        for key, *values in rows:
            if not is_short or [key, *values] not in short:
                yield plain(key, "bold")
                for name, value in zip(self.letters, values, strict=True):
                    yield plain(f"  {name}  {value}")

    def _outcomes(self) -> Columns:
        """A row a run."""
        return Columns(*outcome_table(self.comparison))

    def _curves(self) -> Iterator[Curves | str | Text]:
        runs = self.comparison.runs
        drawn = [run for run in runs[:MOST_CURVES] if run.history]
        if max((len(run.history) for run in drawn), default=0) < 2:
            return
        epochs = range(1, max(run.history[-1].epoch for run in drawn) + 1)
        for title, measure in (("cost", cost_of), ("accuracy", accuracy_of)):
            series = [
                Series(name, values, at, name)
                for name, run in zip(self.letters, runs[:MOST_CURVES], strict=False)
                for at, values in [epochs_with(run, measure)]
            ]
            if any(s.values for s in series):
                yield ""
                yield (
                    Curves(title, series, epochs)
                    if title == "cost"
                    else accuracy_curves(series, epochs, _least_chance(drawn))
                )
        if len(runs) > MOST_CURVES:
            yield plain(f"Curves are drawn of {MOST_CURVES} runs, A to {letter(MOST_CURVES - 1)}.")


def outcome_table(comparison: Comparison) -> tuple[list[Column], list[list[str]]]:
    """How runs ended, a row each."""
    columns = [
        Column("", words=True),
        Column("epochs"),
        Column("train", rank=6),
        Column("cost"),
        Column("lowest", rank=2),
        Column("epoch", rank=4),
    ]
    is_classified = any(run.highest_accuracy for run in comparison.runs)
    if is_classified:
        columns += [Column("accuracy"), Column("highest", rank=1), Column("epoch", rank=3)]
    columns.append(Column("took", rank=5))
    rows = []
    for k, run in enumerate(comparison.runs):
        last = run.history[-1] if run.history else None
        cells = [letter(k), f"{last.epoch if last else 0}/{run.spec.train.epochs}"]
        cells.append(number(last.train_cost if last else None, 4))
        measured = measure_cells(last, run.lowest_cost, cost_of, lambda cost: number(cost, 4))
        cells += ["diverged", *measured[1:]] if run.has_diverged else measured
        if is_classified:
            cells += measure_cells(last, run.highest_accuracy, accuracy_of, share)
        rows.append([*cells, duration(run.seconds) if last else NONE])
    return columns, rows


def outcome_grid(comparison: Comparison) -> Grid:
    """The same as a block of a page."""
    columns, rows = outcome_table(comparison)
    return Grid(tuple(column.heading or "run" for column in columns), tuple(map(tuple, rows)))


def outcome_notes(comparison: Comparison, *, is_cut: bool = False) -> Iterator[str]:
    """What the columns are of; `is_cut`: that of the training cost is left out."""
    held_back = {run.spec.data.validation is not None for run in comparison.runs}
    words = {True: "the data held back", False: "the training data"}
    where = " or, where there are none, ".join(words[x] for x in sorted(held_back)[::-1])
    mean = "" if is_cut else "; train is the mean cost within it"
    yield f"Cost and accuracy are of {where}, after the epoch{mean}."
    if not comparison.is_same_cost:
        yield "The cost functions differ: costs do not compare."
    if not comparison.is_same_data:
        yield "Not all were judged by the same samples: compare with care."


def _least_chance(runs: Iterable[ComparedRun]) -> float | None:
    return min((run.chance for run in runs if run.chance is not None), default=None)


def letter(k: int) -> str:
    """A to Z, then AA, AB, ..., as spreadsheets count."""
    head, tail = divmod(k, len(ascii_uppercase))
    return (letter(head - 1) if head else "") + ascii_uppercase[tail]


def epochs_with(
    run: ComparedRun, measure: Callable[[Epoch], float | None]
) -> tuple[list[int], list[float]]:
    """The epochs that have a measure, and the measure."""
    pairs = [(epoch.epoch, value) for epoch in run.history if (value := measure(epoch)) is not None]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def measure_cells(
    last: Epoch | None,
    best: Epoch | None,
    measure: Callable[[Epoch], float | None],
    words: Callable[[float | None], str],
) -> list[str]:
    """A measure after the last epoch, at its best, and when that was."""
    if last is None or best is None:
        return [NONE] * 3
    return [words(measure(last)), words(measure(best)), str(best.epoch)]


def share(value: float | None) -> str:
    return percent(value, 2)


def value_words(value: Any) -> str:
    """A value of a spec in one short line."""
    if value is ABSENT:
        return NONE
    if isinstance(value, dict):
        return dict_words(value)
    if isinstance(value, tuple):
        return list_words(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and os.path.isabs(value):
        return min(value, os.path.relpath(value), key=len)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def dict_words(value: dict[str, Any]) -> str:
    """A layer, a schedule, inputs and targets, or a condition."""
    if "that" in value:
        counts = {"after": 0, "for": 1, "every": 1}  # what goes without saying
        said = [
            f"{key} {value[key]}" for key in counts if value.get(key, counts[key]) != counts[key]
        ]
        return ", ".join([str(value["that"]), *said])
    kind = value.get("type")
    layer = LAYERS.get(str(kind), Layer)
    keys = layer.distinctive or tuple(key for key in value if key != "type")
    parts = [part_words(value[key]) for key in keys if value.get(key) is not None]
    return " ".join([*([str(kind)] if kind else []), *parts])


def part_words(value: Any) -> str:
    is_size = isinstance(value, tuple) and all(isinstance(n, int) for n in value)
    return shape(value) if is_size else value_words(value)


def list_words(value: tuple[Any, ...]) -> str:
    text = f"[{', '.join(map(value_words, value))}]"
    if len(text) <= LONGEST_LIST:
        return text
    inner = (
        f"{count_of(len(value), 'row')} of {len(value[0])}" if isinstance(value[0], tuple) else ""
    )
    return inner or f"a list of {len(value)}"


def comparison_json(comparison: Comparison) -> str:
    return to_json(comparison_record(comparison), indent=2)


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """The schema nncli.comparison/1."""
    return {
        "schema": "nncli.comparison/1",
        "runs": [run_record(run) for run in comparison.runs],
        "differences": [difference_record(d) for d in comparison.differences],
        "same_cost": comparison.is_same_cost,
        "same_data": comparison.is_same_data,
    }


def run_record(run: ComparedRun) -> dict[str, Any]:
    epochs = [asdict(epoch) for epoch in run.history]
    lowest, highest = run.lowest_cost, run.highest_accuracy
    return {
        "run": str(run.path),
        "name": run.spec.name,
        "epochs_asked_for": run.spec.train.epochs,
        "seconds": run.seconds,
        "diverged": run.has_diverged,
        "lowest_cost_epoch": lowest and lowest.epoch,
        "highest_accuracy_epoch": highest and highest.epoch,
        "epochs": epochs,
    }


def difference_record(difference: Difference) -> dict[str, Any]:
    """A key that a spec has no place for is null there, as one that is null."""
    values = [None if value is ABSENT else value for value in difference.values]
    return {"key": difference.key, "values": values}
