"""nncli.sweep: many trainings of one spec, and what is found in them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nncli.app.evaluate import evaluate
from nncli.app.pipeline import prepare
from nncli.app.records import Prepared
from nncli.app.sweep_records import SweepRecord, Trial
from nncli.app.sweeping.journal import Journal, read_events
from nncli.app.sweeping.known import Known, taken
from nncli.app.sweeping.planned import PlannedTrial, planned_trials, spec_of
from nncli.app.sweeping.processes import Processes
from nncli.app.sweeping.rounds import Goal, Round, Rounds, ValueOf, halving_rounds
from nncli.app.sweeping.runners import Futures, Runner, Submits, run_tasks
from nncli.app.sweeping.shared import FOLDER, make_folder, shared
from nncli.app.sweeping.trial import Outcome, Task, data_key
from nncli.app.sweeping.trial import versions as known_versions
from nncli.core.errors import DataError, NncliError, RunError, SpecError
from nncli.core.jsons import to_json
from nncli.core.processes import available_cores
from nncli.core.text import count_of, printable, quote
from nncli.spec import Spec
from nncli.spec.sweep import MOST_VALUES, too_many
from nncli.spec.trials import Plan, plan_from, read_plan
from nncli.spec.words import suggestion
from nncli.training.evaluate import Evaluation
from nncli.training.run_files import TRIALS, is_run_folder

SWEEPS = "sweeps"
WITH_VALIDATION, WITHOUT = "validation_cost", "train_cost_after"
SAMPLERS = ("tpe",)
SEED = ("seed",)

OnTrial = Callable[[Trial], None]


class PlannedSweep(NamedTuple):
    """A sweep that is checked, of which nothing is trained yet.

    Attributes:
        folder: where it is to be.
        trials: each once, in the order of the plan; none where a sampler proposes them.
        halving: the best 1/halving of the settings are trained on; None: all are, to their end.
        proposals: how many settings a sampler proposes; None: the plan names the trials.
    """

    plan: Plan
    folder: Path
    trials: tuple[PlannedTrial, ...]
    halving: int | None = None
    proposals: int | None = None

    def record(self) -> SweepRecord:
        """All of its trials, waiting."""
        metric = WITHOUT if self.plan.spec.data.validation is None else WITH_VALIDATION
        keys = tuple(key for key in self.plan.keys if key != "seed")
        trials = tuple(map(self.waiting, self.trials))
        name, size = self.plan.spec.name, len(trials)
        if self.proposals is not None:
            seeds = {value.value for c in self.plan.choices() for value in c if value.key == SEED}
            size = self.proposals * max(1, len(seeds))
        return SweepRecord(name, self.folder, metric, keys, trials, size, self.halving)

    def waiting(self, trial: PlannedTrial) -> Trial:
        return Trial(trial.id, trial.set, trial.seed, self.folder / TRIALS / trial.id)

    def rounds(self, value_of: ValueOf) -> Rounds:
        """Which trials are trained when, by what came out before."""
        if self.proposals is not None:
            from nncli.app.sweeping.sampler import sampled_rounds

            return sampled_rounds(self.plan, self.proposals, value_of)
        if self.halving is not None:
            return halving_rounds(self.trials, self.halving, value_of)
        return iter([[Goal(trial) for trial in self.trials]])

    def as_plain(self) -> dict[str, Any]:
        """As plain data, from which `reopen_sweep` makes it again."""
        return {**self.plan.as_plain(), "halving": self.halving, "proposals": self.proposals}


def plan_sweep(
    source: str | Path | Spec,
    overrides: Sequence[str] = (),
    *,
    vary: Sequence[str] | Mapping[str, Any] = (),
    zip: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    halving: int | None = None,
    sampler: str | None = None,
    trials: int | None = None,
    out: str | Path | None = None,
) -> PlannedSweep:
    """The trials of a sweep, all of them checked; the arguments are those of `sweep`.

    Raises:
        SpecError: the spec, or the sweep, or a value that it tries, is wrong.
    """
    if sampler is not None and sampler not in SAMPLERS:
        raise NncliError(f"sampler: {suggestion(sampler, SAMPLERS)}, got {quote(sampler)}")
    if halving is not None and (sampler is not None or halving < 2):
        raise NncliError("--halving takes 2 or more, and no --sampler besides: keep one of them")
    if (sampler is None) != (trials is None):
        raise NncliError("--sampler and --trials go together, as in --sampler tpe --trials 50")
    plan = read_plan(source, overrides, vary=vary, zip=zip, seeds=seeds, draws=sampler is None)
    is_own_file = not isinstance(source, Spec) and plan.spec._file != Path(source)
    name = Path(str(source)).stem if is_own_file else plan.spec.name
    folder = Path(SWEEPS, name) if out is None else Path(out)
    if is_run_folder(folder):
        raise RunError(f"{printable(folder)}: is a run folder; --out DIR writes elsewhere")
    if trials is not None:
        planned = PlannedSweep(plan, folder, (), proposals=trials)
        if not 0 < planned.record().size <= MOST_VALUES:
            raise NncliError(f"trials: {too_many(planned.record().size)}")
        return planned
    return PlannedSweep(plan, folder, tuple(planned_trials(plan)), halving)


def reopen_sweep(folder: str | Path) -> PlannedSweep:
    """The sweep of a folder, to be gone on with.

    Raises:
        RunError: it holds none. SpecError: its spec is none any more.
    """
    folder = Path(folder)
    plans = [event for event in read_events(folder) if event["event"] == "plan"]
    if not plans:
        raise RunError(f"{printable(folder)}: its journal names no trials; begin anew")
    try:
        known = plans[-1]["plan"]
        plan, halving, proposals = plan_from(known), known["halving"], known["proposals"]
    except (KeyError, TypeError, ValueError):
        why = "damaged: the plan in its journal is none"
        raise RunError(f"{printable(folder)}: {why}") from None
    trials = () if proposals else tuple(planned_trials(plan))
    return PlannedSweep(plan, folder, trials, halving, proposals)


def sweep(
    source: str | Path | Spec | PlannedSweep,
    overrides: Sequence[str] = (),
    *,
    vary: Sequence[str] | Mapping[str, Any] = (),
    zip: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    halving: int | None = None,
    sampler: str | None = None,
    trials: int | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    executor: Submits | None = None,
    on: str | None = None,
    store: str | None = None,
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
        halving: successive halving: after a share of their epochs the best 1/halving of the
            settings are trained on, for `halving` times as many epochs, and so forth.
        sampler: "tpe" has Optuna choose the values, by what came out so far; it takes
            `{log_uniform: [0.001, 1]}` without samples.
        trials: how many settings a sampler proposes.
        out: the sweep's folder; None: sweeps/<name>.
        jobs: processes that train at once; None: as many as there are cores.
        executor: trains the trials instead of processes of our own: one of `concurrent.futures`, or
            of submitit.
        on: trains them on a Dask cluster: the address of its scheduler, `local`,
            `ssh://host1,host2`, or a .yaml file of dask-jobqueue's settings.
        store: a folder, or a URL of fsspec's, where workers of a cluster keep the states of their
            trials, if they do not see the sweep's folder.
        fail_fast: whether to stop at the first trial that fails.
        on_trial: called with each trial that is begun or has ended.
        on_start: called with the sweep before the first trial; those done before are done in it.
        should_stop: asked now and then; once it says yes, trials save their state and stop.

    Raises:
        SpecError: the spec, or the sweep, or a value that it tries, is wrong, or data cannot be
            read; nothing is trained.
        RunError: the sweep's folder is in use, or cannot be written; the scheduler does not answer,
            or no longer.
        NncliError: `on` is no place to train, or its workers cannot.
    """
    if executor is not None and on is not None:
        raise NncliError("executor and on are two places to train; give one")
    if store is not None and on is None:
        raise NncliError("a store is for the workers of a cluster; say which, by on")
    if isinstance(source, PlannedSweep):
        planned = source
    else:
        planned = plan_sweep(
            source,
            overrides,
            vary=vary,
            zip=zip,
            seeds=seeds,
            halving=halving,
            sampler=sampler,
            trials=trials,
            out=out,
        )
    jobs = jobs or available_cores()
    stop = should_stop or (lambda: False)
    first: Prepared | None = _prepared(planned)
    with ExitStack() as opened:
        cluster = None
        if on is not None:
            from nncli.app.sweeping.places import open_cluster

            cluster = open_cluster(on, jobs)
            opened.callback(cluster.close)
        journal = Journal(planned.folder)
        opened.callback(journal.close)
        folder = planned.folder / FOLDER
        opened.callback(make_folder(folder))
        running = _Running(planned, journal, fail_fast, stop, on_trial)
        assert first is not None
        for note in first.notes:
            running.note(note)
        shared(folder, data_key(first.spec), partial(first.data._replace, test=None))
        first = None  # it is no longer needed here
        runner: Runner
        if cluster is not None:
            from nncli.app.sweeping.cluster import Dask

            runner = dask = Dask(cluster, planned.folder, store, planned.plan.spec)
            for note in dask.notes:
                running.note(note)
        elif executor is not None:
            runner = Futures(executor, jobs)
        else:
            runner = Processes(jobs)
        opened.callback(runner.close)
        if on_start is not None:
            on_start(running.record())
        for goals in planned.rounds(running.value_of):
            for event in run_tasks(runner, running.tasks(goals), running.should_stop):
                running.follow(event)
            if running.should_stop():
                break
        else:
            running.is_complete = True
            journal.add("complete")
        return _tested(running.record(), planned, running.known, journal)


def _prepared(planned: PlannedSweep) -> Prepared:
    """The first trial made ready, and of those with other data one each: what is wrong is told.

    Raises:
        SpecError: the data of some cannot be read, or do not fit; all of those are told.
    """
    others: dict[str, PlannedTrial] = {}
    for trial in planned.trials:
        data = {key: value for key, value in trial.set.items() if key.split(".")[0] == "data"}
        others.setdefault(to_json(data), trial)
    specs = [spec_of(planned.plan, trial) for trial in others.values()] or [planned.plan.spec]
    first: Prepared | None = None
    problems = dict[str, None]()
    for spec in specs:
        try:
            made = prepare(spec)
        except (SpecError, DataError) as error:
            problems.update(dict.fromkeys(error.problems))
        else:
            first = first or made
    if problems or first is None:
        raise SpecError(list(problems))
    return first


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
        self._has_failed = self.is_complete = False
        self.known = known = Known(journal.events)
        self._trials = {trial.id: known.of(trial) for trial in start.trials}
        others = len(known.ended.keys() - self._trials.keys())
        if others and planned.proposals is None:
            count = count_of(others, "trial")
            self.note(f"{count} more in {printable(planned.folder)} are not of this plan")
        versions = known_versions()
        opened = [e for e in journal.events if e["event"] == "opened"]
        if opened and opened[-1].get("versions") != versions:
            before = ", ".join(f"{k} {v}" for k, v in opened[-1].get("versions", {}).items())
            self.note(f"trials of this sweep were trained by {before}; the last bits may differ")
        journal.add("opened", versions=versions, boot=known.boot)
        plan = planned.as_plain()
        plans = [e for e in journal.events if e["event"] == "plan"]
        if not plans or plans[-1].get("plan") != plan:
            journal.add("plan", plan=plan)

    def note(self, text: str) -> None:
        self._notes.append(text)

    def record(self) -> SweepRecord:
        trials, notes = tuple(self._trials.values()), tuple(self._notes)
        return replace(self._start, trials=trials, notes=notes, is_complete=self.is_complete)

    def should_stop(self) -> bool:
        return self._stop() or (self._fail_fast and self._has_failed)

    def tasks(self, goals: Round) -> Iterator[Task]:
        """Those of a round that are not known yet."""
        spec = self._planned.plan.spec
        for planned, until in goals:
            waiting = self._planned.waiting(planned)
            known = self.known.at(waiting, until)
            if known is not None:
                self._trials[planned.id] = known
            else:
                self._trials.setdefault(planned.id, waiting)
                place = self._planned.folder / FOLDER
                yield Task(planned.id, spec, planned.values, waiting.folder, until, place)

    def value_of(self, goal: Goal) -> float | None:
        """What a trial of a round that is over came to; None: it failed."""
        return self._start.reached(self._trials[goal.trial.id])

    def follow(self, event: Task | Outcome) -> None:
        """Takes down what happened."""
        before = self._trials[event.id]
        if isinstance(event, Task):
            trial = replace(before, state="running")
            self._journal.add("started", id=trial.id, set=trial.set, seed=trial.seed)
        else:
            trial = self._ended(before, event)
        self._trials[trial.id] = trial
        if self._on_trial is not None:
            self._on_trial(trial)

    def _ended(self, before: Trial, outcome: Outcome) -> Trial:
        known = {key: value for key, value in outcome._asdict().items() if value is not None}
        state = known.pop("state")
        if state != "waiting":
            self._journal.add(state, **known)
        known.pop("until", None)
        if state == "failed":
            self._has_failed = True
        return taken(before, {"event": state, **known}, *known)


def _tested(
    record: SweepRecord, planned: PlannedSweep, known: Known, journal: Journal
) -> SweepRecord:
    """The record with the best trial measured on the test data, once all have come to an end.

    A trial that was measured before is not measured again.
    """
    best = record.best
    if best is None or not record.is_complete or planned.plan.spec.data.test is None:
        return record
    if best.id in known.tested:
        return replace(record, test=known.tested[best.id])
    try:
        assessment = evaluate(best.folder).assessment
    except NncliError as error:
        return replace(record, notes=(*record.notes, f"the test data are not measured: {error}"))
    accuracy = None if assessment.counts is None else assessment.counts.accuracy
    test = Evaluation(assessment.cost, accuracy)
    journal.add("tested", id=best.id, **test._asdict())
    return replace(record, test=test)
