"""Runs, side by side."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nncli.app.opening import spec_file
from nncli.core.errors import RunError
from nncli.core.files import shown
from nncli.spec import Spec, load_spec
from nncli.spec.compare import ABSENT as ABSENT  # its renderer needs it too
from nncli.spec.compare import differences
from nncli.spec.words import dotted
from nncli.training.history import Epoch
from nncli.training.metrics_reader import read_history

Measure = Callable[[Epoch], float | None]


class Run(NamedTuple):
    """A run folder: what was trained, and how it went."""

    path: Path
    spec: Spec
    history: tuple[Epoch, ...]

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
    """What `compare` found.

    Attributes:
        runs: in the order given.
        differences: of their specs, defaults and paths compared as they were filled in.
        is_same_cost: whether the costs measure the same.
        is_same_data: whether all were judged by the same samples.
    """

    runs: tuple[Run, ...]
    differences: tuple[Difference, ...]
    is_same_cost: bool
    is_same_data: bool


def cost_of(epoch: Epoch) -> float | None:
    """The cost to judge an epoch by."""
    if epoch.validation_cost is not None:
        return epoch.validation_cost
    return epoch.train_cost if epoch.train_cost_after is None else epoch.train_cost_after


def accuracy_of(epoch: Epoch) -> float | None:
    """The accuracy to judge an epoch by."""
    return epoch.accuracy


def compare(runs: Sequence[str | Path]) -> Comparison:
    """Sets runs side by side: in what their specs differ, and how each training went.

    Neither data nor weights are read. A run may still be in training.

    Args:
        runs: the paths of two or more run folders.

    Raises:
        RunError: there are fewer than two; or one of them is no run folder, or is damaged.
        SpecError: a run's spec is wrong.
    """
    if len(runs) < 2:
        raise RunError("a comparison takes two run folders or more")
    opened = tuple(_open(Path(path)) for path in runs)
    dumps = [run.spec.absolute() for run in opened]
    found = tuple(Difference(dotted(path), values) for path, values in differences(dumps))
    costs = {run.spec.train.cost for run in opened}
    judges = list(map(_judges, dumps))
    return Comparison(opened, found, len(costs) == 1, all(j == judges[0] for j in judges))


def _judges(dump: dict[str, Any]) -> list[Any]:
    """What decides by which samples a training is judged."""
    data = dump["data"]
    keys = ("train", "validation", "target", "classes")
    drawn = dump["seed"] if isinstance(data["validation"], float) else None
    return [*(data[key] for key in keys), drawn]


def _open(path: Path) -> Run:
    if not os.path.isdir(path):
        there = "is no folder" if os.path.exists(path) else "there is no such folder"
        raise RunError(f"{shown(path)}: {there}; a run folder is needed")
    return Run(path, load_spec(spec_file(path)), read_history(path))
