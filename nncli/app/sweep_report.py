"""nncli.report of a sweep: its trials as its journal has them, and the curves of the best."""

from dataclasses import replace
from pathlib import Path

from nncli.app.compare import open_compared
from nncli.app.report_records import ComparedRun
from nncli.app.sweep import reopen_sweep
from nncli.app.sweep_records import SweepRecord, SweepReport, Trial
from nncli.app.sweeping.journal import read_events
from nncli.app.sweeping.known import Known
from nncli.core.errors import NncliError
from nncli.training.run_files import TRIALS

MOST_CURVES = 8


def report_sweep(folder: str | Path) -> SweepReport:
    """A sweep as it stands, whether it is over, interrupted or running.

    Raises:
        RunError: the folder holds no sweep. SpecError: its spec is none any more.
    """
    record = read_sweep(Path(folder))
    curves, notes = list[ComparedRun](), list(record.notes)
    for group in record.ranking[:MOST_CURVES]:
        best = record.best_of(group)
        if best is not None:
            try:
                curves.append(open_compared(best.folder))
            except NncliError as error:
                notes.append(str(error))
    return SweepReport(replace(record, notes=tuple(notes)), tuple(curves))


def read_sweep(folder: Path) -> SweepRecord:
    """What the journal of a sweep says; nothing is trained."""
    planned = reopen_sweep(folder)
    events = list(read_events(folder))
    known, start = Known(events), planned.record()
    trials = {trial.id: trial for trial in start.trials}
    if planned.proposals is not None:
        begun = (event for event in events if event["event"] == "started")
        own = (e for e in begun if set(e["set"]) == set(start.keys))
        proposed = (Trial(e["id"], e["set"], e["seed"], folder / TRIALS / e["id"]) for e in own)
        trials = {trial.id: trial for trial in proposed}
    plan = max(k for k, event in enumerate(events) if event["event"] == "plan")
    is_complete = any(event["event"] == "complete" for event in events[plan:])
    found = {name: known.of(trial) for name, trial in trials.items()}
    if planned.halving is not None:
        for goals in planned.rounds(lambda goal: start.reached(found[goal.trial.id])):
            reached = [known.at(planned.waiting(trial), until) for trial, until in goals]
            found.update((trial.id, trial) for trial in reached if trial is not None)
            if None in reached:
                break
    record = replace(start, trials=tuple(found.values()), is_complete=is_complete)
    if is_complete and record.best is not None:
        record = replace(record, test=known.tested.get(record.best.id))
    return record
