"""What came out of a sweep: on a terminal, as a document for every format, as JSON or CSV."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nncli.app.sweep_records import (
    METRICS,
    Cause,
    Group,
    SweepRecord,
    SweepReport,
    Trial,
    value_text,
)
from nncli.core.jsons import to_json
from nncli.core.text import count_of
from nncli.render.document import Document, Grid, Heading, Lines, Page, Paragraph
from nncli.render.pages.predictions import csv_text
from nncli.render.text import NONE, number, percent, plain
from nncli.render.web.report import comparison_page
from nncli.render.widgets.tables import Column, Columns

MOST_RANKED = 20  # settings that are shown
MOST_CAUSES = 10
MOST_NAMED = 3  # trials that are named for a cause
EFFECTS_NOTE = "Each is the median over all trials with that value, whatever else they have."
LONGEST_VALUE = 24  # characters
METRIC_WORDS = {"validation_cost": "validation cost", "train_cost_after": "training cost"}


def setting_text(trial: Trial, *, seed: bool) -> str:
    """`train.eta=0.1 seed=2`"""
    parts = [f"{key}={_shown(value)}" for key, value in trial.set.items()]
    return " ".join([*parts, *([f"seed={trial.seed}"] if seed or not parts else [])])


def _shown(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


Table = tuple[list[Column], list[list[str]]]


class SweepPage:
    """What came out: the ranking, which key mattered, and why trials failed."""

    def __init__(self, record: SweepRecord) -> None:
        self.record = record

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        record = self.record
        if ranked(record):
            table = Columns(*ranking(record))
            if table.width > options.max_width:
                table = Columns(*ranking(record, short=True))
            yield table
            yield ""
            words = " ".join(notes_on(record))
            if words:
                yield plain(words, "dim")
            yield from (
                plain(line, "bold" if k == 0 else "") for k, line in enumerate(best(record))
            )
        else:
            yield plain("No trial is done.", "bold")
        if not record.is_complete:
            yield plain(_state(record))
        if record.effects and record.best is not None:
            yield ""
            yield plain("Which key mattered", "bold")
            yield Columns(*effects(record))
            yield plain(EFFECTS_NOTE, "dim")
        if record.causes:
            yield ""
            yield from self._causes()

    def _causes(self) -> Iterator[Text]:
        causes = self.record.causes
        failed = self.record.count("failed")
        yield plain(f"{count_of(failed, 'trial')} failed", "bold")
        for cause in causes[:MOST_CAUSES]:
            yield from cause_lines(cause)
        if len(causes) > MOST_CAUSES:
            yield plain(f"and {len(causes) - MOST_CAUSES} more causes: --format json has them all")


def ranked(record: SweepRecord) -> list[Group]:
    """The settings that came to something, the best first."""
    return [group for group in record.ranking if group.median is not None]


def has_stopped(record: SweepRecord) -> bool:
    """Whether halving has stopped some of them before their last epoch."""
    return any(group.epochs is not None for group in ranked(record))


def last_parts(keys: Sequence[str]) -> list[str]:
    """`eta` for train.eta: the last part of each key that no other key ends with, else the key."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def ranking(record: SweepRecord, *, short: bool = False) -> Table:
    """A row for each of the best settings; `short` are headings for which there is little room."""
    settings = ranked(record)
    has_seeds = any(len(group.trials) > 1 for group in settings)
    metric = METRIC_WORDS[record.metric]
    keys = last_parts(record.keys) if short else record.keys
    columns = [Column("", rank=3), *map(Column, keys), Column(metric)]
    if has_seeds:
        columns += [Column("lowest", rank=1), Column("highest", rank=1), Column("seeds")]
    is_classified = any(group.accuracy is not None for group in settings)
    if is_classified:
        columns.append(Column("accuracy", rank=2))
    if has_stopped(record):
        columns.append(Column("epochs"))
    rows = []
    for k, group in enumerate(settings[:MOST_RANKED], 1):
        row = [str(k), *(_value(group, key) for key in record.keys), number(group.median)]
        if has_seeds:
            seeds = f"{group.done}/{len(group.trials)}"
            row += [number(group.low), number(group.high), seeds]
        if is_classified:
            row.append(percent(group.accuracy))
        if has_stopped(record):
            row.append("all" if group.epochs is None else str(group.epochs))
        rows.append(row)
    return columns, rows


def _value(group: Group, key: str) -> str:
    return _shown(group.set[key]) if key in group.set else NONE


def notes_on(record: SweepRecord) -> Iterator[str]:
    """What is to be known of the ranking, in sentences."""
    settings = ranked(record)
    if any(len(group.trials) > 1 for group in settings):
        yield f"Ranked by the median of the {METRIC_WORDS[record.metric]} over the seeds."
    measured = [trial.metrics for trial in record.trials if trial.state == "done" and trial.metrics]
    if any(metrics["epoch"] < metrics["epochs"] for metrics in measured):
        yield "A trial counts by its best epoch, whose weights it uses."
    if has_stopped(record):
        yield "Settings that did worse than others were stopped before the last epoch."
    if len(settings) > MOST_RANKED:
        yield f"The best {MOST_RANKED} of {len(settings):,} settings are shown."
    if record.metric != "validation_cost":
        yield (
            "There are no validation data, so the cost of the training data decides: it says "
            "nothing of new samples. data.validation: 0.2 holds some back."
        )


def best(record: SweepRecord) -> Iterator[str]:
    """Which trial is the best, where it is, and what it is worth on the test data."""
    if record.best is None:
        return
    many = any(len(group.trials) > 1 for group in record.ranking)
    yield f"Best: {setting_text(record.best, seed=many)}  in {record.best.folder}"
    if record.test is not None:
        accuracy = record.test.accuracy
        right = "" if accuracy is None else f", {percent(accuracy)} right"
        yield f"On the test data, used this once: cost {number(record.test.cost)}{right}"


def effects(record: SweepRecord) -> Table:
    """The medians at each value of each key."""
    rows = []
    for effect in record.effects:
        for k, level in enumerate(effect.levels):
            key, failed = effect.key if k == 0 else "", str(level.failed) if level.failed else ""
            rows.append([key, level.label, number(level.median), str(level.done), failed])
    columns = [
        Column("key", words=True),
        Column("value"),
        Column(f"median {METRIC_WORDS[record.metric]}"),
        Column("done", rank=2),
        Column("failed", rank=1),
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return columns, rows


def cause_lines(cause: Cause) -> Iterator[Text]:
    many = len({trial.seed for trial in cause.trials}) > 1
    trials = [setting_text(trial, seed=many) for trial in cause.trials[:MOST_NAMED]]
    more = len(cause.trials) - len(trials)
    named = "; ".join(trials) + (f"; and {more:,} more" if more else "")
    times = f"{count_of(len(cause.trials), 'trial')}: " if len(cause.trials) > 1 else ""
    yield plain(f"{times}{named}")
    for line in cause.error.split("\n")[:3]:
        yield plain(f"  {line}")


def sweep_document(report: SweepReport) -> Document:
    """The report of a sweep, for every format."""
    record = report.record
    title = f"{record.name}: sweep"
    top: Page = [Heading(title, 0), Paragraph(_state(record))]
    if ranked(record):
        top.append(_grid(ranking(record)))
    top += [Paragraph(words, note=True) for words in notes_on(record)]
    top += [Paragraph(line) for line in best(record)]
    if record.effects and record.best is not None:
        top += [Heading("Which key mattered", 1), _grid(effects(record), words=2)]
        top.append(Paragraph(EFFECTS_NOTE, note=True))
    if record.causes:
        lines = tuple(line.plain for cause in record.causes for line in cause_lines(cause))
        top += [Heading(f"{count_of(record.count('failed'), 'trial')} failed", 1), Lines(lines)]
    curves: Page = []
    if report.curves:
        curves.append(Heading("The best trial of each setting, by its place above", 1))
    runs = [(str(k), run) for k, run in enumerate(report.curves, 1)]
    return Document(
        title,
        lambda: top,
        lambda: sweep_record(record),
        dict,
        lambda: comparison_page(title, [*top, *curves], runs, []),
    )


def _state(record: SweepRecord) -> str:
    counts = [f"{record.count('done'):,} of {count_of(record.size, 'trial')} done"]
    for state in ("failed", "stopped"):
        if record.count(state):
            counts.append(f"{record.count(state):,} {state}")
    return f"{', '.join(counts)}, in {record.folder}."


def _grid(table: Table, words: int = 0) -> Grid:
    columns, rows = table
    return Grid(tuple(column.heading for column in columns), tuple(map(tuple, rows)), words)


def sweep_json(record: SweepRecord) -> str:
    return to_json(sweep_record(record), indent=2)


def sweep_record(record: SweepRecord) -> dict[str, Any]:
    """As plain data."""
    best = record.best
    return {
        "schema": "nncli.sweep/1",
        "name": record.name,
        "folder": str(record.folder),
        "metric": record.metric,
        "halving": record.halving,
        "complete": record.is_complete,
        "best": None if best is None else best.id,
        "test": None if record.test is None else record.test._asdict(),
        "trials": [_trial(record, trial) for trial in record.trials],
        "ranking": [
            {
                "set": group.set,
                "trials": [trial.id for trial in group.trials],
                "done": group.done,
                "epochs": group.epochs,
                "median": group.median,
                "lowest": group.low,
                "highest": group.high,
                "accuracy": group.accuracy,
            }
            for group in record.ranking
        ],
        "effects": [
            {
                "key": effect.key,
                "span": effect.span,
                "values": [level._asdict() for level in effect.levels],
            }
            for effect in record.effects
        ],
        "notes": list(record.notes),
    }


def _trial(record: SweepRecord, trial: Trial) -> dict[str, Any]:
    return {
        "id": trial.id,
        "set": trial.set,
        "seed": trial.seed,
        "state": trial.state,
        "metric": record.value(trial),
        "metrics": trial.metrics,
        "error": trial.error,
        "cause": trial.cause,
        "seconds": trial.seconds,
        "folder": str(trial.folder),
    }


METRIC_COLUMNS = (*METRICS, "epoch", "epochs")


def sweep_csv(record: SweepRecord) -> str:
    """A row a trial."""
    rows: list[Sequence[Any]] = [
        ("id", *record.keys, "seed", "state", *METRIC_COLUMNS, "seconds", "cause", "error")
    ]
    for trial in record.trials:
        values = [value_text(trial.set[key]) if key in trial.set else "" for key in record.keys]
        measured = [(trial.metrics or {}).get(key) for key in METRIC_COLUMNS]
        last = (trial.seconds, trial.cause, trial.error)
        rows.append((trial.id, *values, trial.seed, trial.state, *measured, *last))
    return csv_text(rows).rstrip("\n")
