"""nncli.compare: run folders, side by side."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nncli.app.opening import read_preprocessing, spec_file
from nncli.app.plan import early_stop_of
from nncli.app.report_records import ComparedRun, Comparison, Difference
from nncli.core.errors import RunError
from nncli.core.text import printable
from nncli.nn.reading import chance_of
from nncli.spec import load_spec
from nncli.spec.dump import differences
from nncli.spec.words import dotted
from nncli.training.best import stops_early
from nncli.training.history import read_history
from nncli.training.run_files import DIVERGENCE
from nncli.training.run_reader import notes_on_metrics


def compare(runs: Sequence[str | Path]) -> Comparison:
    """Sets runs side by side: in what their specs differ, and how each training went.

    No data are read. A run may still be in training. Of metrics that are not as its training wrote
    them, the `notes` of a run tell.

    Args:
        runs: the paths of two or more run folders.

    Raises:
        RunError: there are fewer than two; or one of them is no run folder, or is damaged.
        SpecError: a run's spec is wrong.
    """
    if len(runs) < 2:
        raise RunError("a comparison takes two run folders or more")
    return side_by_side([open_compared(Path(path)) for path in runs])


def side_by_side(opened: Sequence[ComparedRun]) -> Comparison:
    """The comparison of runs that are opened."""
    dumps = [run.spec.absolute() for run in opened]
    found = tuple(Difference(dotted(path), values) for path, values in differences(dumps))
    costs = {run.spec.train.cost for run in opened}
    samples = [_evaluated_on(dump) for dump in dumps]
    return Comparison(tuple(opened), found, len(costs) == 1, all(s == samples[0] for s in samples))


def _evaluated_on(dump: dict[str, Any]) -> list[Any]:
    """The keys that decide which samples a training is evaluated on."""
    data = dump["data"]
    keys = ("train", "validation", "target", "classes")
    drawn = dump["seed"] if isinstance(data["validation"], float) else None
    return [*(data[key] for key in keys), drawn]


def open_compared(path: Path) -> ComparedRun:
    """A run folder with its spec and its epochs; nothing else of it is read.

    Raises:
        RunError: it is no run folder, or its metrics are damaged. SpecError: its spec is wrong.
    """
    if not os.path.isdir(path):
        there = "is no folder" if os.path.exists(path) else "there is no such folder"
        raise RunError(f"{printable(path)}: {there}; a run folder is needed")
    spec, history = load_spec(spec_file(path)), read_history(path)
    notes = (f"{note}; it is compared as it is" for note in notes_on_metrics(path))
    has_stopped = stops_early(early_stop_of(spec), history, spec.train.epochs)
    has_diverged = os.path.exists(path / DIVERGENCE)
    return ComparedRun(path, spec, history, tuple(notes), has_stopped, has_diverged, _chance(path))


def _chance(path: Path) -> float | None:
    """The accuracy of guessing; None where the run does not say how it reads its data."""
    try:
        known = read_preprocessing(path)
    except RunError:
        return None
    return chance_of(known.reading, known.outputs)
