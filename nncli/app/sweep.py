"""nncli.sweep: many trainings of one spec, and what is found in them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from nncli.app.evaluate import evaluate
from nncli.app.pipeline import prepare
from nncli.app.sweep_records import SweepRecord, Trial
from nncli.app.sweeping.journal import Journal, boot_id
from nncli.app.sweeping.planned import PlannedTrial, planned_trials, spec_of
from nncli.app.sweeping.processes import Processes
from nncli.app.sweeping.runners import Futures, Runner, run_tasks
from nncli.app.sweeping.trial import LASTING, Outcome, Task
from nncli.core.errors import NncliError, RunError
from nncli.core.text import count_of, printable
from nncli.nn.parallel.blas import arithmetic, available_cores
from nncli.spec import Spec
from nncli.spec.trials import Plan, plan_from, read_plan
from nncli.training.evaluate import Evaluation
from nncli.training.run_files import is_run_folder

SWEEPS, TRIALS = "sweeps", "trials"
WITH_VALIDATION, WITHOUT = "validation_cost", "train_cost"

OnTrial = Callable[[Trial], None]


class PlannedSweep(NamedTuple):
    """A sweep that is checked, of which nothing is trained yet.

    Attributes:
        folder: where it is to be.
        trials: each once, in the order of the plan.
    """

    plan: Plan
    folder: Path
    trials: tuple[PlannedTrial, ...]

    def record(self) -> SweepRecord:
        """All of its trials, waiting."""
        metric = WITHOUT if self.plan.spec.data.validation is None else WITH_VALIDATION
        keys = tuple(key for key in self.plan.keys if key != "seed")
        trials = tuple(Trial(t.id, t.set, t.seed, self.folder / TRIALS / t.id) for t in self.trials)
        return SweepRecord(self.plan.spec.name, self.folder, metric, keys, trials)


def plan_sweep(
    source: str | Path | Spec,
    overrides: Sequence[str] = (),
    *,
    vary: Sequence[str] | Mapping[str, Any] = (),
    zip: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    out: str | Path | None = None,
) -> PlannedSweep:
    """The trials of a sweep, all of them checked; the arguments are those of `sweep`.

    Raises:
        SpecError: the spec, or the sweep, or a value that it tries, is wrong.
    """
    plan = read_plan(source, overrides, vary=vary, zip=zip, seeds=seeds)
    is_own_file = not isinstance(source, Spec) and plan.spec._file != Path(source)
    name = Path(str(source)).stem if is_own_file else plan.spec.name
    folder = Path(SWEEPS, name) if out is None else Path(out)
    if is_run_folder(folder):
        raise RunError(f"{printable(folder)}: is a run folder; --out DIR writes elsewhere")
    return PlannedSweep(plan, folder, tuple(planned_trials(plan)))


def reopen_sweep(folder: str | Path) -> PlannedSweep:
    """The sweep of a folder, to be gone on with.

    Raises:
        RunError: it holds none, or one that is running. SpecError: its spec is none any more.
    """
    folder = Path(folder)
    journal = Journal(folder, make=False)
    journal.close()
    plans = [event for event in journal.events if event["event"] == "plan"]
    if not plans:
        raise RunError(f"{printable(folder)}: its journal names no trials; begin anew")
    try:
        plan = plan_from(plans[-1]["plan"])
    except (KeyError, TypeError, ValueError):
        why = "damaged: the plan in its journal is none"
        raise RunError(f"{printable(folder)}: {why}") from None
    return PlannedSweep(plan, folder, tuple(planned_trials(plan)))


def sweep(
    source: str | Path | Spec | PlannedSweep,
    overrides: Sequence[str] = (),
    *,
    vary: Sequence[str] | Mapping[str, Any] = (),
    zip: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    fail_fast: bool = False,
    on_trial: OnTrial | None = None,
    on_start: Callable[[SweepRecord], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SweepRecord:
    """Trains a spec many times, with other values each time.

    A trial is a run folder, named by a hash of what it computes: one that is done is not trained
    again, whichever sweep of this folder asked for it. What comes out does not depend on the number
    of processes, on the order of the trials, nor on what was interrupted.

    Args:
        source: a spec, whose key `sweep` counts where it has one; a file `{spec, vary, zip,
            seeds}`; or what `plan_sweep` or `reopen_sweep` made of one.
        overrides: values of the spec, as `load_spec` takes them.
        vary: more keys to vary: `{"train.eta": [0.1, 1]}`, or `["train.eta=0.1,1"]`.
        zip: values that are taken together, a list of as many by each key.
        seeds: how many seeds each setting is trained with, from 0 on; or which.
        out: the sweep's folder; None: sweeps/<name>.
        jobs: processes that train at once; None: as many as there are cores.
        executor: trains the trials instead of processes of our own.
        fail_fast: whether to stop at the first trial that fails.
        on_trial: called with each trial that is begun or has ended.
        on_start: called with the sweep before the first trial; those done before are done in it.
        should_stop: asked now and then; once it says yes, trials save their state and stop.

    Raises:
        SpecError: the spec, or the sweep, or a value that it tries, is wrong; nothing is trained.
        DataError: the data cannot be read.
        RunError: the sweep's folder is in use, or cannot be written.
    """
    if isinstance(source, PlannedSweep):
        planned = source
    else:
        planned = plan_sweep(source, overrides, vary=vary, zip=zip, seeds=seeds, out=out)
    jobs = jobs or available_cores()
    stop = should_stop or (lambda: False)
    prepared = prepare(spec_of(planned.plan, planned.trials[0]))  # what is wrong is told at once
    journal = Journal(planned.folder)
    try:
        running = _Running(planned, journal, fail_fast, stop, on_trial)
        for note in prepared.notes:
            running.note(note)
        if on_start is not None:
            on_start(running.record())
        runner: Runner = Processes(jobs) if executor is None else Futures(executor, jobs)
        try:
            for event in run_tasks(runner, running.tasks(), running.should_stop):
                running.follow(event)
        finally:
            runner.close()
        return _tested(running.record(), planned, journal)
    finally:
        journal.close()


class _Running:
    """A sweep under way: what is known of each trial."""

    def __init__(
        self,
        planned: PlannedSweep,
        journal: Journal,
        fail_fast: bool,
        stop: Callable[[], bool],
        on_trial: OnTrial | None,
    ) -> None:
        start = planned.record()
        self._planned, self._journal, self._on_trial = planned, journal, on_trial
        self._fail_fast, self._stop = fail_fast, stop
        self._start, self._notes = start, list[str]()
        self._trials = {trial.id: trial for trial in start.trials}
        self._has_failed = False
        self._take_up()
        versions = _versions()
        opened = [e for e in journal.events if e["event"] == "opened"]
        if opened and opened[-1].get("versions") != versions:
            before = ", ".join(f"{k} {v}" for k, v in opened[-1].get("versions", {}).items())
            self.note(f"trials of this sweep were trained by {before}; the last bits may differ")
        journal.add("opened", versions=versions, boot=boot_id())
        plan = planned.plan.as_plain()
        plans = [e for e in journal.events if e["event"] == "plan"]
        if not plans or plans[-1].get("plan") != plan:
            journal.add("plan", plan=plan)

    def _take_up(self) -> None:
        """What the journal knows: of the trials that are done, and of which the runs are there.

        Nobody waited for the disk. Where the computer was started anew since, runs are looked at
        again, as those that were interrupted.
        """
        others, boot, is_sure = set[str](), boot_id(), True
        for event in self._journal.events:
            state = event["event"]
            if state == "opened":
                is_sure = event.get("boot") == boot
            if state not in ("done", "failed"):
                continue
            trial = self._trials.get(event.get("id", ""))
            if trial is None:
                others.add(event.get("id", ""))
            elif state == "done" and is_sure and is_run_folder(trial.folder):
                self._trials[trial.id] = _taken(trial, event, "metrics", "seconds")
            elif state == "failed" and event.get("cause") in LASTING and trial.state != "done":
                self._trials[trial.id] = _taken(trial, event, "error", "cause", "seconds")
        if others:
            count = count_of(len(others), "trial")
            self.note(f"{count} more in {printable(self._planned.folder)} are not of this plan")

    def note(self, text: str) -> None:
        self._notes.append(text)

    def record(self) -> SweepRecord:
        return replace(self._start, trials=tuple(self._trials.values()), notes=tuple(self._notes))

    def should_stop(self) -> bool:
        return self._stop() or (self._fail_fast and self._has_failed)

    def tasks(self) -> Iterator[Task]:
        spec = self._planned.plan.spec
        for planned in self._planned.trials:
            trial = self._trials[planned.id]
            if trial.state == "waiting":
                yield Task(planned.id, spec, planned.values, trial.folder)

    def follow(self, event: Task | Outcome) -> None:
        """Takes down what happened."""
        trial = self._trials[event.id]
        if isinstance(event, Task):
            trial = replace(trial, state="running")
            self._journal.add("started", id=trial.id, set=trial.set, seed=trial.seed)
        else:
            known = {key: value for key, value in event._asdict().items() if value is not None}
            state = known.pop("state")
            trial = _taken(trial, {"event": state, **known}, *known)
            self._has_failed |= state == "failed"
            if state != "waiting":
                self._journal.add(state, **known)
        self._trials[trial.id] = trial
        if self._on_trial is not None:
            self._on_trial(trial)


def _taken(trial: Trial, event: Mapping[str, Any], *keys: str) -> Trial:
    """A trial with what became of it."""
    known: dict[str, Any] = {key: event.get(key) for key in keys}
    return replace(trial, **{**known, "state": event["event"]})


def _versions() -> dict[str, str]:
    """What decides the last bits, besides the specs."""
    try:
        own = version("nncli")
    except PackageNotFoundError:  # a checkout that is not installed
        own = "unknown"
    return {"nncli": own, **arithmetic()}


def _tested(record: SweepRecord, planned: PlannedSweep, journal: Journal) -> SweepRecord:
    """The record with the best trial measured on the test data, once all have come to an end."""
    ended = record.count("done") + record.count("failed") == len(record.trials)
    best = record.best
    if best is None or not ended or planned.plan.spec.data.test is None:
        return record
    try:
        assessment = evaluate(best.folder).assessment
    except NncliError as error:
        return replace(record, notes=(*record.notes, f"the test data are not measured: {error}"))
    accuracy = None if assessment.counts is None else assessment.counts.accuracy
    test = Evaluation(assessment.cost, accuracy)
    journal.add("tested", id=best.id, **test._asdict())
    return replace(record, test=test)
