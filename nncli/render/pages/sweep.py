"""A sweep on a terminal, in a pipe, as JSON or CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.text import Text

from nncli.app.sweep_records import Cause, SweepRecord, Trial, value_text
from nncli.app.sweep_records import Group as Setting
from nncli.core.jsons import to_json
from nncli.core.text import count_of, shell_word
from nncli.render.streams import results
from nncli.render.text import NONE, duration, number, percent, plain
from nncli.render.widgets.tables import Column, Columns, Facts

MOST_RANKED = 20  # settings that are shown
MOST_CAUSES = 10
MOST_NAMED = 3  # trials that are named for a cause
SHOWN_EVERY = 0.1  # seconds between two states of the live table
LONGEST_VALUE = 24  # characters
METRIC_WORDS = {"validation_cost": "validation cost", "train_cost_after": "training cost"}


def setting_text(trial: Trial, *, seed: bool) -> str:
    """`train.eta=0.1 seed=2`"""
    parts = [f"{key}={_shown(value)}" for key, value in trial.set.items()]
    return " ".join([*parts, *([f"seed={trial.seed}"] if seed or not parts else [])])


def _shown(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


class SweepScreen:
    """What is seen while a sweep runs: on a terminal a few lines that change, else one a trial.

    A context manager.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = results(quiet=quiet)
        self._live: Live | None = None
        self._running: dict[str, Trial] = {}
        self._states: dict[str, str] = {}  # of the trials that have ended
        self._counts = {"done": 0, "failed": 0, "stopped": 0}
        self._best: tuple[float, Trial] | None = None
        self._began, self._shown_at = monotonic(), 0.0
        self._before = self._total = 0

    def __enter__(self) -> "SweepScreen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def on_start(self, record: SweepRecord) -> None:
        """Takes the sweep as it is before its first trial."""
        self._record, self._total = record, record.size
        self._has_seeds = len({trial.seed for trial in record.trials}) > 1
        for trial in record.trials:
            if trial.state in self._counts:
                self._end(trial)
        self._before = self._ended
        began = f"{count_of(self._total, 'trial')} in {record.folder}"
        if self._before:
            began += f", {self._before:,} of them ended before"
        self.console.print(plain(began), soft_wrap=True)
        if self.console.is_terminal and not self.console.quiet:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()

    def on_trial(self, trial: Trial) -> None:
        """Takes a trial that is begun or has ended."""
        if trial.state == "running":
            self._running[trial.id] = trial
        else:
            self._running.pop(trial.id, None)
            self._end(trial)
            if self._live is None and trial.state != "waiting":
                self.console.print(self._line(trial), soft_wrap=True)
        if self._live is not None and monotonic() - self._shown_at > SHOWN_EVERY:
            self._live.update(Group(*self._state()), refresh=True)
            self._shown_at = monotonic()

    def _end(self, trial: Trial) -> None:
        if trial.state == "waiting":
            return
        if trial.id in self._states:
            self._counts[self._states[trial.id]] -= 1
        self._states[trial.id] = trial.state
        self._counts[trial.state] += 1
        value = self._record.value(trial)
        if value is not None and (self._best is None or value < self._best[0]):
            self._best = (value, trial)

    @property
    def _ended(self) -> int:
        return self._counts["done"] + self._counts["failed"]

    def _line(self, trial: Trial) -> Text:
        what = setting_text(trial, seed=self._has_seeds)
        if self._record.halving is None:
            what = f"{self._ended:>{len(str(self._total))}}/{self._total}  {what}"
        took = "" if trial.seconds is None else f"  {duration(trial.seconds)}"
        if trial.state == "done":
            metric = METRIC_WORDS[self._record.metric]
            return plain(f"{what}  {metric} {number(self._record.value(trial))}{took}")
        if trial.state == "failed":
            return plain(f"{what}  failed: {first_line(trial.error)}")
        if trial.metrics is not None:
            metric, epochs = self._record.metric, count_of(trial.metrics["epochs"], "epoch")
            value = number(trial.metrics[metric])
            return plain(f"{what}  {METRIC_WORDS[metric]} {value} after {epochs}{took}")
        return plain(f"{what}  stopped; its state is saved")

    def _state(self) -> Iterator[Text | Facts]:
        """The lines that change."""
        facts = []
        if self._best is not None:
            value, trial = self._best
            words = setting_text(trial, seed=self._has_seeds)
            metric = METRIC_WORDS[self._record.metric]
            facts.append(("best so far", f"{metric} {number(value)}  {words}"))
        done = f"{self._counts['done']:,} of {self._total:,}"
        if self._counts["failed"]:
            done += f", {self._counts['failed']:,} failed"
        facts.append(("done", done))
        running = list(self._running.values())
        if running:
            names = [setting_text(trial, seed=self._has_seeds) for trial in running[:4]]
            facts.append(("running", "; ".join(names)))
        now = self._ended - self._before
        if now and self._record.halving is None:
            left = (monotonic() - self._began) / now * (self._total - self._ended)
            facts.append(("time left", f"about {duration(left)}"))
        yield Facts(facts)


class SweepPage:
    """What came out: the ranking, which key mattered, and why trials failed."""

    def __init__(self, record: SweepRecord) -> None:
        self.record = record

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        record = self.record
        yield ""
        best = record.best
        if best is None:
            yield plain("No trial is done.", "bold")
        else:
            yield self._ranking()
            yield ""
            yield from self._notes()
        if record.effects and best is not None:
            yield ""
            yield plain("Which key mattered", "bold")
            yield self._effects()
            yield plain(
                "Each is the median over all trials with that value, whatever else they have.",
                "dim",
            )
        if record.causes:
            yield ""
            yield from self._causes()

    def _ranking(self) -> Columns:
        record = self.record
        settings = [group for group in record.ranking if group.median is not None]
        has_seeds = any(len(group.trials) > 1 for group in settings)
        metric = METRIC_WORDS[record.metric]
        columns = [Column("", rank=3), *(Column(key) for key in record.keys), Column(metric)]
        if has_seeds:
            columns += [Column("lowest", rank=1), Column("highest", rank=1), Column("seeds")]
        is_classified = any(group.accuracy is not None for group in settings)
        if is_classified:
            columns.append(Column("accuracy", rank=2))
        if record.halving is not None:
            columns.append(Column("epochs"))
        rows = []
        for k, group in enumerate(settings[:MOST_RANKED], 1):
            row = [str(k), *(self._value(group, key) for key in record.keys), number(group.median)]
            if has_seeds:
                seeds = f"{group.done}/{len(group.trials)}"
                row += [number(group.low), number(group.high), seeds]
            if is_classified:
                row.append(percent(group.accuracy))
            if record.halving is not None:
                row.append("all" if group.epochs is None else str(group.epochs))
            rows.append(row)
        return Columns(columns, rows)

    def _value(self, group: Setting, key: str) -> str:
        return _shown(group.set[key]) if key in group.set else NONE

    def _notes(self) -> Iterator[Text]:
        record, best = self.record, self.record.best
        assert best is not None
        settings = [group for group in record.ranking if group.median is not None]
        words = []
        if any(len(group.trials) > 1 for group in settings):
            words.append(
                f"Ranked by the median of the {METRIC_WORDS[record.metric]} over the seeds."
            )
        if record.halving is not None:
            words.append("Settings that did worse than others were stopped before the last epoch.")
        if len(settings) > MOST_RANKED:
            words.append(f"The best {MOST_RANKED} of {len(settings):,} settings are shown.")
        if record.metric != "validation_cost":
            words.append(
                "There are no validation data, so the cost of the training data decides: it says "
                "nothing of new samples. data.validation: 0.2 holds some back."
            )
        if words:
            yield plain(" ".join(words), "dim")
        many = any(len(group.trials) > 1 for group in record.ranking)
        yield plain(f"Best: {setting_text(best, seed=many)}  in {best.folder}", "bold")
        if record.test is not None:
            accuracy = record.test.accuracy
            right = "" if accuracy is None else f", {percent(accuracy)} right"
            yield plain(f"On the test data, used this once: cost {number(record.test.cost)}{right}")

    def _effects(self) -> Columns:
        rows = []
        for effect in self.record.effects:
            for k, level in enumerate(effect.levels):
                rows.append(
                    [
                        effect.key if k == 0 else "",
                        level.label,
                        number(level.median),
                        str(level.done),
                        str(level.failed) if level.failed else "",
                    ]
                )
        columns = [
            Column("key", words=True),
            Column("value"),
            Column(f"median {METRIC_WORDS[self.record.metric]}"),
            Column("done", rank=2),
        ]
        if any(row[-1] for row in rows):
            columns.append(Column("failed", rank=1))
        else:
            rows = [row[:-1] for row in rows]
        return Columns(columns, rows)

    def _causes(self) -> Iterator[Text]:
        causes = self.record.causes
        failed = self.record.count("failed")
        yield plain(f"{count_of(failed, 'trial')} failed", "bold")
        for cause in causes[:MOST_CAUSES]:
            yield from cause_lines(cause)
        if len(causes) > MOST_CAUSES:
            yield plain(f"and {len(causes) - MOST_CAUSES} more causes: --format json has them all")


def cause_lines(cause: Cause) -> Iterator[Text]:
    many = len({trial.seed for trial in cause.trials}) > 1
    trials = [setting_text(trial, seed=many) for trial in cause.trials[:MOST_NAMED]]
    more = len(cause.trials) - len(trials)
    named = "; ".join(trials) + (f"; and {more:,} more" if more else "")
    times = f"{count_of(len(cause.trials), 'trial')}: " if len(cause.trials) > 1 else ""
    yield plain(f"{times}{named}")
    for line in cause.error.split("\n")[:3]:
        yield plain(f"  {line}")


def first_line(text: str | None) -> str:
    return (text or "").split("\n")[0]


def plan_lines(record: SweepRecord) -> Iterator[str]:
    """The trials of a plan, a line each."""
    many = len({trial.seed for trial in record.trials}) > 1
    yield f"{count_of(len(record.trials), 'trial')} in {record.folder}"
    for trial in record.trials:
        yield f"{trial.id}  {setting_text(trial, seed=many)}"


def sweep_json(record: SweepRecord) -> str:
    best = record.best
    plain_record = {
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
    return to_json(plain_record, indent=2)


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


METRIC_COLUMNS = (
    *("train_cost", "train_cost_after", "train_accuracy"),
    *("validation_cost", "validation_accuracy", "epoch", "epochs"),
)


def sweep_csv(record: SweepRecord) -> str:
    """A row a trial."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["id", *record.keys, "seed", "state", *METRIC_COLUMNS, "seconds", "cause", "error"]
    )
    for trial in record.trials:
        values: Sequence[Any] = [
            value_text(trial.set[key]) if key in trial.set else "" for key in record.keys
        ]
        metrics = trial.metrics or {}
        measured = ["" if metrics.get(key) is None else metrics[key] for key in METRIC_COLUMNS]
        last = [trial.seconds, trial.cause, trial.error]
        writer.writerow(
            [
                *[trial.id, *values, trial.seed, trial.state, *measured],
                *("" if value is None else value for value in last),
            ]
        )
    return text.getvalue().rstrip("\n")


def going_on(record: SweepRecord) -> str:
    """How the rest of a sweep is run."""
    return f"to go on: nncli sweep --resume {shell_word(record.folder)}"
