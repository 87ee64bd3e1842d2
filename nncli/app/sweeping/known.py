"""What the journal of a sweep knows of its trials."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nncli.app.sweep_records import Trial
from nncli.app.sweeping.journal import boot_id
from nncli.app.sweeping.trial import LASTING
from nncli.training.evaluate import Evaluation
from nncli.training.run_files import is_run_folder

Event = Mapping[str, Any]


class Known:
    """How trials ended.

    Nobody waited for the disk. Of those that ended before the computer was started anew nothing is
    known: their runs are looked at again, as runs that were interrupted.

    Attributes:
        ended: the last event of each, also of trials that are not in the plan.
        reached: metrics after an epoch, by trial and epoch.
        boot: the id of this start of the computer, for the journal.
        failed: up to which epoch trials were to go that would fail again.
        tested: what winners came to on the test data.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.ended: dict[str, Event] = {}
        self.reached: dict[tuple[str, int | None], Mapping[str, Any]] = {}
        self.failed: dict[str, float] = {}
        self.tested: dict[str, Evaluation] = {}
        self.boot, is_sure = boot_id(), True
        for event in events:
            state, name, until = event["event"], event.get("id", ""), event.get("until")
            if state == "tested":
                self.tested[name] = Evaluation(event["cost"], event["accuracy"])
            elif state == "opened":
                is_sure = event.get("boot") == self.boot
            elif state == "failed" and event.get("cause") in LASTING:
                self.failed[name] = until or math.inf
                self._end(name, event)
            elif is_sure and state == "stopped" and until is not None and event.get("metrics"):
                self.reached[name, until] = event["metrics"]
                self._end(name, event)
            elif is_sure and state == "done":
                self._end(name, event)

    def _end(self, name: str, event: Event) -> None:
        if name not in self.ended or self.ended[name]["event"] != "done":
            self.ended[name] = event

    def fails(self, name: str, until: int | None) -> bool:
        """Whether a trial would fail again before it comes to an epoch; None: to its end."""
        return name in self.failed and self.failed[name] <= (until or math.inf)

    def of(self, trial: Trial) -> Trial:
        """A trial as it ended, where its run is there."""
        event = self.ended.get(trial.id)
        if event is None or not (event["event"] == "failed" or is_run_folder(trial.folder)):
            return trial
        return taken(trial, event, "metrics", "seconds", "error", "cause")

    def at(self, trial: Trial, until: int | None) -> Trial | None:
        """A trial as it was at an epoch, whatever came later; None: that is not known."""
        if self.fails(trial.id, until):
            return taken(trial, self.ended[trial.id], "seconds", "error", "cause")
        if until is None:
            ended = self.of(trial)
            return ended if ended.state == "done" else None
        metrics = self.reached.get((trial.id, until))
        return None if metrics is None else replace(trial, state="stopped", metrics=metrics)


def taken(trial: Trial, event: Event, *keys: str) -> Trial:
    """A trial with what became of it."""
    known: dict[str, Any] = {key: event.get(key) for key in keys}
    return replace(trial, **{**known, "state": event["event"]})
