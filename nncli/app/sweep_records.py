"""What a sweep returns: its trials, and what follows from them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nncli.core.jsons import to_json

if TYPE_CHECKING:
    from nncli.app.report_records import ComparedRun
    from nncli.training.evaluate import Evaluation

METRICS = (  # of an epoch, by the names of `Epoch`
    *("train_cost", "train_cost_after", "train_accuracy"),
    *("validation_cost", "validation_accuracy"),
)
State = Literal["done", "failed", "stopped", "running", "waiting"]
MOST_POINTS = 8  # different numbers of a key that are told one by one
RANGES = 4  # that more of them are put in


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        id: the name of its run folder: a hash of what it computes.
        set: the values that it has, by key; its seed apart.
        metrics: those of the epoch whose weights it uses, by the names of `Epoch`; None before it
            is done. `epochs` is how many it took. One that halving has stopped has those of its
            last epoch.
        error: why it failed.
        cause: the kind of that: diverged, halted, killed, memory, spec, data, run, error.
        seconds: that it took.
    """

    id: str
    set: Mapping[str, Any]
    seed: int
    folder: Path
    state: State = "waiting"
    metrics: Mapping[str, Any] | None = None
    error: str | None = None
    cause: str | None = None
    seconds: float | None = None


class Group(NamedTuple):
    """The trials that differ by their seed alone.

    Attributes:
        done: how many are done; where halving has stopped them all, how many were stopped.
        epochs: after how many epochs it has stopped them; None: they are done.
        median, low, high: of the metric of those; None where there are none.
        accuracy: the median of theirs; None where there are no classes.
    """

    set: Mapping[str, Any]
    trials: tuple[Trial, ...]
    done: int
    epochs: int | None
    median: float | None
    low: float | None
    high: float | None
    accuracy: float | None


class Level(NamedTuple):
    """A value of a key, or a range of its numbers, and the median over all trials that have it."""

    label: str
    done: int
    failed: int
    median: float | None


class Effect(NamedTuple):
    """How much a key matters: the medians at its values, and how far apart they are."""

    key: str
    levels: tuple[Level, ...]
    span: float


class Cause(NamedTuple):
    """Trials that failed for the same reason."""

    cause: str
    error: str
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class SweepRecord:
    """A sweep: all its trials, and what is found in them.

    Attributes:
        folder: where its run folders and its journal are.
        metric: what trials are ranked by, the less the better: never one of the test data.
        keys: that are varied, as they are written; without `seed`.
        size: how many trials there are to be; fewer are in `trials` where a sampler proposes them.
        halving: only the best 1/halving of the settings were trained on; None: all.
        is_complete: whether all that was to be trained came to an end.
        test: the best trial on the test data, where there are some and all trials came to an end.
        notes: what is to be said of it.
    """

    name: str
    folder: Path
    metric: str
    keys: tuple[str, ...]
    trials: tuple[Trial, ...]
    size: int = 0
    halving: int | None = None
    is_complete: bool = False
    test: Evaluation | None = None
    notes: tuple[str, ...] = ()

    def value(self, trial: Trial) -> float | None:
        """What a trial is ranked by, once it is done."""
        return self.reached(trial) if trial.state == "done" else None

    def reached(self, trial: Trial) -> float | None:
        """What a trial has come to so far; None where it failed."""
        value = (trial.metrics or {}).get(self.metric)
        is_number = trial.state != "failed" and value is not None and math.isfinite(value)
        return value if is_number else None

    def count(self, state: State) -> int:
        return sum(trial.state == state for trial in self.trials)

    @cached_property
    def ranking(self) -> tuple[Group, ...]:
        """The settings, the one of the smallest median first.

        Then those that halving has stopped, the latest first; last those of which none came so far.
        """
        groups: dict[str, list[Trial]] = {}
        for trial in self.trials:
            groups.setdefault(to_json(trial.set), []).append(trial)
        ranked = [self._group(trials) for trials in groups.values()]
        return tuple(
            sorted(
                ranked,
                key=lambda g: (
                    g.epochs is not None,
                    -(g.epochs or 0),
                    math.inf if g.median is None else g.median,
                ),
            )
        )

    def _group(self, trials: Sequence[Trial]) -> Group:
        counted, epochs = [t for t in trials if self.value(t) is not None], None
        if not counted:
            stopped = [t for t in trials if t.state == "stopped" and self.reached(t) is not None]
            epochs = max((t.metrics["epochs"] for t in stopped if t.metrics), default=None)
            counted = [t for t in stopped if t.metrics and t.metrics["epochs"] == epochs]
        values = [value for t in counted if (value := self.reached(t)) is not None]
        key = "validation_accuracy" if self.metric == "validation_cost" else "train_accuracy"
        right = [found for t in counted if (found := (t.metrics or {}).get(key)) is not None]
        accuracy = median(right) if right else None
        own = trials[0].set, tuple(trials), len(values), epochs
        if not values:
            return Group(*own, None, None, None, accuracy)
        return Group(*own, median(values), min(values), max(values), accuracy)

    def _values(self, trials: Iterable[Trial]) -> list[float]:
        return [value for trial in trials if (value := self.value(trial)) is not None]

    @property
    def best(self) -> Trial | None:
        """The best of the setting that ranks first, where that is done."""
        first = self.ranking[0] if self.ranking else None
        return None if first is None or first.epochs is not None else self.best_of(first)

    def best_of(self, group: Group) -> Trial | None:
        """The trial of a setting with the smallest metric; None where it has come to none."""
        value_of = self.value if group.epochs is None else self.reached
        found = [(value_of(trial), k) for k, trial in enumerate(group.trials)]
        values = [(value, k) for value, k in found if value is not None]
        return group.trials[min(values)[1]] if values else None

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """The keys, that of the largest effect first; none where halving chose what is done."""
        if self.halving is not None:
            return ()
        found = (self._effect(key) for key in self.keys)
        return tuple(sorted(filter(None, found), key=lambda effect: -effect.span))

    def _effect(self, key: str) -> Effect | None:
        having = [trial for trial in self.trials if key in trial.set]
        parts = _levels(key, having)
        if len(parts) < 2:
            return None
        levels = []
        for label, trials in parts:
            values = self._values(trials)
            failed = sum(trial.state == "failed" for trial in trials)
            levels.append(Level(label, len(values), failed, median(values) if values else None))
        medians = [level.median for level in levels if level.median is not None]
        return Effect(key, tuple(levels), max(medians) - min(medians) if medians else 0.0)

    @cached_property
    def causes(self) -> tuple[Cause, ...]:
        """Why trials failed, each reason once, the most frequent first."""
        groups: dict[tuple[str, str], list[Trial]] = {}
        for trial in self.trials:
            if trial.state == "failed":
                # Epochs, steps and costs differ from trial to trial.
                alike = re.sub(r"[-+]?\d[\d,.]*(e[-+]?\d+)?", "0", trial.error or "")
                cause = trial.cause or "error"
                groups.setdefault((cause, "" if cause == "diverged" else alike), []).append(trial)
        causes = [Cause(c, t[0].error or "", tuple(t)) for (c, _), t in groups.items()]
        return tuple(sorted(causes, key=lambda cause: -len(cause.trials)))


class SweepReport(NamedTuple):
    """A sweep, as `report` tells of it.

    Attributes:
        curves: the best run of each of the settings that rank first, in their order.
    """

    record: SweepRecord
    curves: tuple[ComparedRun, ...]


def _levels(key: str, trials: Sequence[Trial]) -> list[tuple[str, list[Trial]]]:
    """The trials by the value of a key; by ranges of it where it has many different numbers."""
    by_value: dict[str, list[Trial]] = {}
    for trial in trials:
        by_value.setdefault(to_json(trial.set[key]), []).append(trial)
    values = {text: having[0].set[key] for text, having in by_value.items()}
    is_number = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()
    )
    if not is_number:
        return [(value_text(values[text]), having) for text, having in by_value.items()]
    ordered = sorted(by_value, key=lambda text: values[text])
    if len(ordered) <= MOST_POINTS:
        return [(value_text(values[text]), by_value[text]) for text in ordered]
    parts = []
    for k in range(RANGES):
        part = ordered[k * len(ordered) // RANGES : (k + 1) * len(ordered) // RANGES]
        label = f"{values[part[0]]:.3g} to {values[part[-1]]:.3g}"
        parts.append((label, [trial for text in part for trial in by_value[text]]))
    return parts


def value_text(value: Any) -> str:
    """A value as a reader knows it from the spec."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return to_json(value)
