"""What `compare` and `report` return: records of data, as those in `records`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.spec.dump import ABSENT as ABSENT  # in a Difference

if TYPE_CHECKING:
    from nncli.app.evaluation_records import Evaluated
    from nncli.app.records import Diagnosis
    from nncli.app.summary_records import Summary
    from nncli.spec import Spec
    from nncli.training.checkpoint import RunIdentity
    from nncli.training.history import Epoch

Measure = Callable[["Epoch"], "float | None"]


class ComparedRun(NamedTuple):
    """A run folder: what was trained, and how it went.

    Attributes:
        notes: warnings: what of its metrics is not as the training wrote it.
        has_stopped_early: whether it came to its end before the last epoch, since none was better.
        has_diverged: whether it came to an end as the training diverged.
        chance: the accuracy of guessing; None where that cannot be told.
    """

    path: Path
    spec: Spec
    history: tuple[Epoch, ...]
    notes: tuple[str, ...] = ()
    has_stopped_early: bool = False
    has_diverged: bool = False
    chance: float | None = None

    @property
    def lowest_cost(self) -> Epoch | None:
        """By the cost on the data held back; where there are none, on those trained on."""
        return self._first(cost_of, min)

    @property
    def highest_accuracy(self) -> Epoch | None:
        return self._first(accuracy_of, max)

    @property
    def seconds(self) -> float:
        """Spent on steps."""
        return sum(epoch.train_seconds for epoch in self.history)

    def _first(self, measure: Measure, choose: Callable[..., float]) -> Epoch | None:
        """The first epoch at which a measure was what `choose` takes of all."""
        taken = [value for epoch in self.history if (value := measure(epoch)) is not None]
        if not taken:
            return None
        chosen = choose(taken)
        return next(epoch for epoch in self.history if measure(epoch) == chosen)


class Difference(NamedTuple):
    """A key in which specs differ, and its value in each; ABSENT where one has no such key."""

    key: str
    values: tuple[Any, ...]


class Comparison(NamedTuple):
    """Runs side by side, as `compare` returns them.

    Attributes:
        runs: in the order given.
        differences: of their specs, defaults and paths compared as they were filled in.
        is_same_cost: whether the costs measure the same.
        is_same_data: whether all were judged by the same samples.
    """

    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]
    is_same_cost: bool
    is_same_data: bool

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


def cost_of(epoch: Epoch) -> float | None:
    """The cost to judge an epoch by."""
    if epoch.validation_cost is not None:
        return epoch.validation_cost
    return epoch.train_cost if epoch.train_cost_after is None else epoch.train_cost_after


def accuracy_of(epoch: Epoch) -> float | None:
    """The accuracy to judge an epoch by."""
    return epoch.accuracy


class ReportedRun(NamedTuple):
    """All that a run folder says of its training. None: that part of it cannot be read.

    Attributes:
        run: its spec, its epochs, and what of its metrics is damaged.
        spec: as YAML with every default, a line each.
        layers: shapes and parameters.
        data: how its data were read: the content of its data.json.
        identity: of its checkpoint: checksums of the data, threads, versions.
        evaluated: how good its network is, where its data are still there.
        divergence: where it diverged, if it did, as its divergence.json has it.
        diagnosis: what its training tells of what is wrong, where its data are still there.
        missing: what could not be read or measured, and why, a line each.
        notes: which of its weights were measured, where there was a choice.
    """

    run: ComparedRun
    spec: tuple[str, ...]
    layers: Summary | None
    data: Mapping[str, Any] | None
    identity: RunIdentity | None
    evaluated: Evaluated | None
    divergence: Mapping[str, Any] | None = None
    diagnosis: Diagnosis | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Report(NamedTuple):
    """Trainings, as `report` returns them.

    Attributes:
        runs: in the order given.
        comparison: of the runs; None where there is one.
    """

    runs: tuple[ReportedRun, ...]
    comparison: Comparison | None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)
