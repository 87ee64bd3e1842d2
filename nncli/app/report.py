"""nncli.report: all that run folders say of their trainings."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeVar

from nncli.app.compare import open_compared, side_by_side
from nncli.app.diagnose import run_diagnosis
from nncli.app.evaluate import evaluate
from nncli.app.opening import open_run
from nncli.app.report_records import Report, ReportedRun
from nncli.app.run_weights import note_on_weights
from nncli.app.show import show
from nncli.app.summary import summary
from nncli.core.errors import NncliError, RunError
from nncli.training.best import Which
from nncli.training.diverged import read_divergence
from nncli.training.run_data import read_data
from nncli.training.run_reader import last_identity

T = TypeVar("T")
WORST = 10


def report(
    runs: Sequence[str | Path] | str | Path,
    *,
    worst: int = WORST,
    weights: Which | None = None,
) -> Report:
    """Reports on trainings: their epochs, specs, data and versions, and how good they are now.

    A network is measured as `evaluate` does it, where its data are still there. What cannot be read
    or measured is in `missing` of its run, and the rest is reported.

    Args:
        runs: the path of a run folder, or those of several.
        worst: how many of the samples that a network does worst on to keep.
        weights: those after a run's best epoch, or the last; None: the best, where kept.

    Raises:
        RunError: there is no path; or one is no run folder, or its metrics are damaged.
        SpecError: a run's spec is wrong.
    """
    paths = [runs] if isinstance(runs, str | PathLike) else list(runs)
    if not paths:
        raise RunError("a report is of one run folder or more")
    found = tuple(_report(Path(path), worst, weights) for path in paths)
    several = len(found) > 1
    return Report(found, side_by_side([each.run for each in found]) if several else None)


def _report(path: Path, worst: int, weights: Which | None) -> ReportedRun:
    run, missing = open_compared(path), list[str]()

    def tried(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except NncliError as error:
            missing.extend(line for line in str(error).splitlines() if line not in missing)
            return None

    opened = tried(lambda: open_run(path, weights))
    return ReportedRun(
        run=run,
        spec=tuple(line.text for line in show(path).lines),
        layers=tried(lambda: summary(path)),
        data=tried(lambda: read_data(path)),
        identity=tried(lambda: last_identity(path)),
        evaluated=tried(lambda: evaluate(opened, worst=worst)) if opened is not None else None,
        divergence=tried(lambda: read_divergence(path)),
        diagnosis=tried(lambda: run_diagnosis(path)) if run.history else None,
        missing=(*missing, *(opened.notes if opened is not None else ())),
        notes=() if opened is None else note_on_weights(opened.used),
    )
