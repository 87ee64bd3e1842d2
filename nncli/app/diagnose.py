"""nncli.diagnose: what is wrong with a network, and which cure helps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from nncli.app.copies import (
    MOST_LOOKED_AT,
    Copies,
    inputs_of,
    origin_of,
    result_on,
    some_of,
    states_of,
)
from nncli.app.diagnosed_settings import settings_of
from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.pipeline import prepare
from nncli.app.records import Diagnosis, Prepared
from nncli.core.errors import NncliError
from nncli.data import Dataset
from nncli.inspection.diagnosis.baselines import agreement, baselines, brief_baselines
from nncli.inspection.diagnosis.measures import data_facts, held_facts, unseen_classes
from nncli.inspection.diagnosis.ranking import (
    GOOD,
    Suspect,
    Trial,
    findings,
    is_conclusive,
    suspects,
)
from nncli.inspection.diagnosis.record import (
    Course,
    Cure,
    DataFacts,
    Evidence,
    LayerState,
    Result,
)
from nncli.nn.arrays import Array
from nncli.spec import Spec
from nncli.training.diverged import read_divergence
from nncli.training.history import Divergence, History, read_history


def diagnose(
    source: Spec | str | Path,
    overrides: Sequence[str] = (),
    *,
    quick: bool = False,
    on_estimate: Callable[[float], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Diagnosis:
    """Finds out what is wrong with a network, by training copies of it.

    Args:
        source: a spec, or the path of one or of a run folder.
        overrides: as `train.eta=0.5`, for a path.
        quick: trains nothing: what the samples, the spec and the first weights tell; of a run also
            how it went.
        on_estimate: called with the seconds that the cures will take, before the first is tried.
        progress: called with the copies that were trained, and how many are to be.

    Raises:
        SpecError, DataError, RunError: as for `train`.
    """
    if isinstance(source, Spec):
        opened = SpecOrRun(prepare(source), None)
    else:
        opened = open_spec_or_run(source, overrides)
    copies = Copies(opened.prepared, weight_files=opened.state is None)
    evidence = gather(opened.prepared, copies)
    began = perf_counter()
    if not quick:
        base = copies.train()
        seconds = perf_counter() - began
        evidence = replace(evidence, base=base)
    elif opened.state is not None and not isinstance(source, Spec):
        history = History(read_history(Path(source)))
        evidence = replace(evidence, base=_course_of(opened.prepared, history, None))
    suspected = suspects(evidence)
    is_settled = any(is_conclusive(suspect) for suspect in suspected)
    if evidence.base is not None and not (quick or is_settled or _is_good(evidence.base)):
        trials = sum(suspect.most_trials for suspect in suspected)
        if on_estimate is not None:
            on_estimate(trials * seconds)
        suspected = _try_all(copies, suspected, progress)
    held = copies.extent.held
    return Diagnosis(
        name=opened.prepared.spec.name,
        findings=findings(evidence, suspected),
        evidence=evidence,
        samples=(len(copies.extent.train), 0 if held is None else len(held)),
        epochs=0 if quick else copies.extent.epochs,
        trials=tuple(suspected),
        notes=opened.notes,
    )


BRIEF_SAMPLES, BRIEF_STATES = 500, 64  # that the end of a training is judged by


def first_states(prepared: Prepared) -> tuple[LayerState, ...]:
    """The layers before the first step of a training, for `brief_diagnosis`."""
    classes = prepared.has_classes
    return states_of(prepared.network, prepared.data.train, classes=classes, most=BRIEF_STATES)


def brief_diagnosis(
    prepared: Prepared,
    start: tuple[LayerState, ...],
    history: History,
    divergence: Divergence | None = None,
) -> Diagnosis:
    """What a training that has come to its end tells by itself, in a few milliseconds.

    Args:
        prepared: with the trained network.
        start: what `first_states` gave; none of a run that was resumed.
    """
    origin = None if divergence is None else vars(divergence)
    return _diagnosis_of(prepared, start, history, origin)


def run_diagnosis(run: str | Path, opened: SpecOrRun | None = None) -> Diagnosis:
    """What a run folder tells by itself of how its training went, without training anything.

    Args:
        opened: the run, where it has been opened already.

    Raises:
        RunError, SpecError, DataError: it cannot be read.
    """
    if opened is None:
        opened = open_spec_or_run(run)
    history = History(read_history(Path(run)))
    return _diagnosis_of(opened.prepared, (), history, read_divergence(Path(run)))


def quick_diagnosis(opened: SpecOrRun, source: str | Path) -> Diagnosis:
    """What a spec or a run tells without training anything.

    Args:
        source: the path that it was opened from.

    Raises:
        RunError: the run's metrics cannot be read.
    """
    if opened.state is not None:
        return run_diagnosis(source, opened)
    copies = Copies(opened.prepared, weight_files=True)
    evidence = gather(opened.prepared, copies)
    suspected = suspects(evidence)
    held = copies.extent.held
    return Diagnosis(
        name=opened.prepared.spec.name,
        findings=findings(evidence, suspected),
        evidence=evidence,
        samples=(len(copies.extent.train), 0 if held is None else len(held)),
        epochs=0,
        trials=tuple(suspected),
    )


def _diagnosis_of(
    prepared: Prepared,
    start: tuple[LayerState, ...],
    history: History,
    origin: Mapping[str, Any] | None,
) -> Diagnosis:
    data = prepared.data
    train = some_of(data.train, BRIEF_SAMPLES)
    counted = some_of(data.train, MOST_LOOKED_AT)
    judged = train if data.validation is None else some_of(data.validation, BRIEF_SAMPLES)
    facts = _placed(
        data_facts(*inputs_of(train), classes=prepared.has_classes),
        np.searchsorted(data.train.index, train.index),
    )
    evidence = Evidence(
        settings_of(prepared),
        _named(facts._replace(samples=len(data.train)), prepared),
        start,
        _course_of(prepared, history, origin),
        brief_baselines(
            counted.targets[counted.index],
            judged.targets[judged.index],
            classes=prepared.has_classes,
        ),
    )
    suspected = suspects(evidence)
    return Diagnosis(
        name=prepared.spec.name,
        findings=findings(evidence, suspected),
        evidence=evidence,
        samples=(len(train), 0 if data.validation is None else len(judged)),
        epochs=len(history),
        trials=tuple(suspected),
    )


def _course_of(prepared: Prepared, history: History, origin: Mapping[str, Any] | None) -> Course:
    """A training that has come to its end; `prepared` has the network, `origin` a divergence's."""
    classes, data = prepared.has_classes, prepared.data
    costs, held_costs = (
        tuple(x for x in history.column(key) if x is not None)
        for key in ("train_cost", "validation_cost")
    )
    if origin is not None:
        return Course(costs, held_costs, None, None, True, origin_of(origin))

    def result(samples: Dataset) -> Result:
        return result_on(prepared.network, some_of(samples, BRIEF_SAMPLES), classes=classes)

    held = None if data.validation is None else result(data.validation)
    end = states_of(prepared.network, data.train, classes=classes, most=BRIEF_STATES)
    return Course(costs, held_costs, result(data.train), held, end=end)


def _is_good(base: Course) -> bool:
    return min(base.fit, base.score) >= GOOD


def gather(prepared: Prepared, copies: Copies) -> Evidence:
    """What is known before anything is trained."""
    train = inputs_of(copies.train_set())
    held_set = copies.held_set()
    held = None if held_set is None else inputs_of(held_set)
    cost = prepared.spec.train.cost
    return Evidence(
        settings_of(prepared),
        _facts(copies, held),
        copies.states(),
        None,
        baselines(train, held, classes=copies.classes, cost=cost),
        copies.extent.is_sample,
    )


def _facts(copies: Copies, held: tuple[Array, Array] | None) -> DataFacts:
    chosen, samples = copies.facts_set()
    train = inputs_of(samples)
    facts = _named(data_facts(*train, classes=copies.classes), copies.prepared)
    validation = copies.prepared.data.validation
    if held is not None and validation is not None:
        beside = held_facts(train, held, classes=copies.classes)
        beside = beside._replace(agreement=agreement(train, held))
        if copies.classes:
            parts = (copies.prepared.data.train, validation)
            unseen, share = unseen_classes(*(part.targets[part.index] for part in parts))
            beside = beside._replace(unseen_classes=unseen, unseen_share=share)
        facts = facts._replace(held_back=beside)
    return _placed(facts, chosen)


def _placed(facts: DataFacts, places: Array) -> DataFacts:
    """With the places of its samples among all of the training data."""
    outlier, heavy = (
        None if one is None else one._replace(sample=int(places[one.sample]))
        for one in (facts.outlier, facts.heavy)
    )
    return facts._replace(outlier=outlier, heavy=heavy)


def _named(facts: DataFacts, prepared: Prepared) -> DataFacts:
    preprocessing = prepared.data.preprocessing
    rules, columns = preprocessing.rules, preprocessing.columns or ()
    names = columns if rules is None else tuple(f for rule in rules for f in rule.features)
    outputs = preprocessing.classes or preprocessing.output_names
    return facts._replace(
        input_names=names if len(names) == facts.inputs else (), output_names=outputs
    )


def _try_all(
    copies: Copies, suspected: list[Suspect], progress: Callable[[int, int], None] | None
) -> list[Suspect]:
    """The suspects with their cures tried, but for those that are nothing to try."""
    total = sum(suspect.most_trials for suspect in suspected)
    done, tried, cured = 0, list[Suspect](), False
    known: dict[str, Course | None] = {}  # several causes have the same cure
    for suspect in suspected:
        trials = list[Trial]()
        if cured and suspect.cause.telling == 1:  # it would be that of a cured network
            tried.append(suspect)
            continue
        cures, further = suspect.suspicion.cures, suspect.suspicion.further
        for k, cure in enumerate((*cures, *further)):
            if k >= len(cures) and _is_cured(trials):
                break
            key = repr((cure.set, cure.remedy, cure.sample))
            if key not in known:
                known[key] = _try(copies, cure)
            trials.append(Trial(cure, known[key]))
            done += 1
            if progress is not None:
                progress(done, total)
        tried.append(suspect._replace(trials=tuple(trials)))
        cured |= _is_cured(trials)
    return tried


def _is_cured(trials: Sequence[Trial]) -> bool:
    return any(trial.course is not None and _is_good(trial.course) for trial in trials)


def _try(copies: Copies, cure: Cure) -> Course | None:
    """None for a cure that nothing can be tried of, or that these data do not allow."""
    if not cure.set and cure.remedy == "set":
        return None
    try:
        return copies.train(cure)
    except NncliError:
        return None
