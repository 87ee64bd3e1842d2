"""From suspicions and cures that were tried to findings, the most likely one first.

A cure that works is the best evidence for its cause: so a cause is found where one of its cures
makes the network clearly better. Of those whose cures do about as much the one nearer the root
comes first, for it may have brought about the others. Where a network is bad and no cure is known
to help, the evidence has to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nncli.inspection.diagnosis.causes import CAUSES, Cause
from nncli.inspection.diagnosis.record import (
    Course,
    Cure,
    Evidence,
    Finding,
    Result,
    Suspicion,
    Tried,
)

LEAST_GAIN, SHARE_OF_ROOM = 0.12, 0.3  # of skill; and of what is missing to 1
# What a longer training would do too; and that of copies trained for less than the spec asks.
LEAST_GAIN_OF_SPEED, LEAST_GAIN_OF_SAMPLE = 0.15, 0.25
ABOUT_AS_GOOD = 0.6  # of the best cure's gain
POOR = 0.3  # the skill below which evidence alone is enough
STRONG = 0.5  # the severity of such evidence
PLAIN = 4  # how telling evidence is that does without a cure in a network that is not that bad
GOOD = 0.97  # a skill with which there is nothing to look for


class Trial(NamedTuple):
    """A cure and the training of a copy with it; None where it was not tried."""

    cure: Cure
    course: Course | None


class Suspect(NamedTuple):
    """A cause, its evidence, and its cures."""

    cause: Cause
    suspicion: Suspicion
    trials: Sequence[Trial] = ()

    @property
    def most_trials(self) -> int:
        return len(self.suspicion.cures) + len(self.suspicion.further)


def suspects(evidence: Evidence) -> list[Suspect]:
    """All causes that there is evidence for, untried, in the order of the table."""
    found = []
    for cause in CAUSES:
        suspicion = cause.suspect(evidence)
        if suspicion is not None:
            found.append(Suspect(cause, suspicion))
    return found


def is_conclusive(suspect: Suspect) -> bool:
    """Whether there is nothing to learn, and so nothing that a cure could show."""
    return suspect.cause.judge == "evidence"


class _Judged(NamedTuple):
    suspect: Suspect
    best: Trial | None
    gain: float
    confirmed: bool


def findings(evidence: Evidence, tried: Iterable[Suspect]) -> tuple[Finding, ...]:
    """What was found, the most likely first; nothing for a network that is healthy."""
    base = evidence.base
    judged = [_judge(evidence, suspect) for suspect in tried]
    for j in judged:
        if is_conclusive(j.suspect):
            return (_finding(evidence, j),)
    told = [j for j in judged if j.suspect.cause.judge == "told"]
    confirmed = [j for j in judged if j.confirmed and not _is_end(j)]
    found = _ranked(confirmed)
    if not found:
        found = [j for j in judged if _is_plain(base, j)]
    if not found and base is not None and base.score < POOR:
        # Each of several causes hides what a cure of another does.
        found = _ranked([j for j in judged if j.gain >= LEAST_GAIN / j.suspect.cause.telling])
    words = {j.suspect.cause.word for j in found}
    if base is not None and base.score < POOR:
        found += [j for j in judged if _is_end(j) and j.suspect.cause.word not in words]
    return tuple(_finding(evidence, j) for j in _each_cure_once([*found, *told]))


def _ranked(judged: Sequence[_Judged]) -> list[_Judged]:
    """Those whose cures do about as much as the best, the root first; then the others by gain."""
    best = max((j.gain for j in judged), default=0.0)
    about_as_good = [j for j in judged if j.gain >= ABOUT_AS_GOOD * best]
    others = sorted((j for j in judged if j not in about_as_good), key=lambda j: -j.gain)
    return [*about_as_good, *others]


def _each_cure_once(found: Sequence[_Judged]) -> Iterable[_Judged]:
    """What has the very cure of a finding before it is part of that."""
    seen: list[Mapping[str, Any]] = []
    for judged in found:
        sets = {} if judged.best is None else judged.best.cure.set
        if not sets or sets not in seen:
            yield judged
        seen.append(sets)


def _is_plain(base: Course | None, judged: _Judged) -> bool:
    """Whether the evidence alone is enough: of a bad network, or one with no cure tried."""
    cause, severity = judged.suspect.cause, judged.suspect.suspicion.severity
    is_refuted = judged.best is not None and cause.telling == 1
    if severity < STRONG or is_refuted or _is_end(judged):
        return False
    if base is None or base.score < POOR:
        return True
    is_measured = cause.judge in ("held", "balance") or cause.telling >= PLAIN
    return judged.best is None and is_measured and base.score < GOOD


def _is_end(judged: _Judged) -> bool:
    """Whether it is a divergence itself, say, which something else has brought about."""
    return judged.suspect.cause.judge == "end"


def _judge(evidence: Evidence, suspect: Suspect) -> _Judged:
    base, cause = evidence.base, suspect.cause
    trials = [trial for trial in suspect.trials if trial.course is not None]
    if base is None or not trials:
        return _Judged(suspect, None, 0.0, cause.judge in ("evidence", "end"))
    gains = [_gain(cause, base, trial.course) for trial in trials if trial.course is not None]
    most = max(gains)
    # The first that does about as much: the simplest ones come first, and the mildest of η.
    best = next(k for k, gain in enumerate(gains) if gain >= most - 0.02)
    least = LEAST_GAIN
    if cause.word in ("eta_too_small", "underfitting"):
        least = LEAST_GAIN_OF_SAMPLE if evidence.is_sample else LEAST_GAIN_OF_SPEED
    needed = max(least, SHARE_OF_ROOM * (1 - _value(cause, base))) / cause.telling
    return _Judged(suspect, trials[best], most, most >= needed)


def _gain(cause: Cause, base: Course, course: Course) -> float:
    if cause.judge == "fit" and base.held is not None and course.held is not None:
        fit, score = course.fit - base.fit, course.score - base.score
        return score if cause.telling > 1 and fit > -0.02 else min(fit, score)
    return _value(cause, course) - _value(cause, base)


def _value(cause: Cause, course: Course) -> float:
    if cause.judge == "balance":
        # Of both: there may be next to no samples of a rare class among those held back.
        results = [result for result in (course.held, course.train) if result is not None]
        return sum(result.balanced for result in results) / max(1, len(results))
    return course.score


def _finding(evidence: Evidence, judged: _Judged) -> Finding:
    suspect, trial = judged.suspect, judged.best
    suspicion = suspect.suspicion
    cures = suspicion.cures
    cure = trial.cure if trial is not None else cures[0] if cures else Cure({}, "")
    tried = None
    if trial is not None and trial.course is not None and evidence.base is not None:
        tried = compare(suspect.cause, evidence.base, trial.course)
    return Finding(
        suspect.cause.word,
        suspect.cause.title,
        suspicion.layers,
        suspicion.evidence,
        suspicion.says,
        cure,
        tried,
    )


def compare(cause: Cause, before: Course, after: Course) -> Tried:
    """The metric of two trainings that a reader knows best."""
    is_held = before.held is not None or after.held is not None  # none of what diverged
    part = "validation" if is_held else "train"
    is_classes = bool(after.train and after.train.recalls)
    if cause.judge == "balance":
        name = "balanced"
    elif is_classes and not _is_coarse(before, after):
        name = "accuracy"
    else:
        name = "skill"
    metric = "balanced_accuracy" if name == "balanced" else name
    return Tried(_number(before, name), _number(after, name), f"{part}_{metric}")


def _is_coarse(before: Course, after: Course) -> bool:
    """Whether accuracies hide what outputs show."""
    one, other = _result(before), _result(after)
    return one is not None and other is not None and (one.accuracy or 0) >= (other.accuracy or 0)


def _result(course: Course) -> Result | None:
    return None if course.diverged else course.held or course.train


def _number(course: Course, name: str) -> float | None:
    result = _result(course)
    return None if result is None else float(getattr(result, name))
