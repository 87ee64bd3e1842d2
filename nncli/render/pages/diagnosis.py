"""What is wrong with a network, as a page, in a few lines, and as JSON."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from nncli.app.records import Diagnosis
from nncli.core.jsons import to_json
from nncli.core.text import capitalised, count_of, shell_word
from nncli.inspection.diagnosis.ranking import POOR
from nncli.inspection.diagnosis.record import Course, Cure, Finding, Result, Tried
from nncli.render.document import Grid, Heading, Lines, Page, Paragraph
from nncli.render.text import NONE, number

BAR = 36  # characters of a skill of 1
NEAR_CHANCE = 0.02  # of ln(classes), for a cost that sits there
MOST_LINES = 4  # of a short verdict
NO_SKILL = 5e-4  # below which a skill is that of rounding
WELL = 0.75  # the skill of a network that is called healthy though no cure was tried


def diagnosis_page(diagnosis: Diagnosis) -> Page:
    """The findings with their evidence and cures, what the network is measured against, the test.

    Of η, where one was made, and the layers.
    """
    page: Page = [Heading(f"{diagnosis.name}: {verdict_words(diagnosis)}", 0)]
    page.append(Paragraph(_how(diagnosis), note=True))
    for place, finding in enumerate(diagnosis.findings, 1):
        page += _finding_blocks(finding, place)
    page += _result_blocks(diagnosis)
    page += _eta_blocks(diagnosis)
    page += _layer_blocks(diagnosis)
    return page


def verdict_words(diagnosis: Diagnosis) -> str:
    """The first cause by its title, or that there is none."""
    if diagnosis.findings:
        first, *others = [finding.title for finding in diagnosis.findings]
        return f"{first}{f', and {len(others)} more' if others else ''}"
    return "healthy" if _is_well(diagnosis) else "nothing found"


def _is_well(diagnosis: Diagnosis) -> bool:
    """Whether it may be called healthy: it does well, or cures were tried and none does better."""
    base = diagnosis.evidence.base
    if base is None:
        return False
    has_tried = any(suspect.trials for suspect in diagnosis.trials)
    return base.score >= (POOR if has_tried else WELL)


def _how(diagnosis: Diagnosis) -> str:
    base, (train, held) = diagnosis.evidence.base, diagnosis.samples
    if base is None:
        return "Nothing was trained: this follows from the samples, the spec and the first weights."
    if not diagnosis.epochs:
        return "Nothing was trained: this follows from the spec and from how the run went."
    by = f"{held:,} held back" if held else "the same"
    words = (
        f"Copies were trained for {count_of(diagnosis.epochs, 'epoch')} on "
        f"{count_of(train, 'sample')} and "
        f"judged by {by}."
    )
    if not diagnosis.findings:
        tried = sum(trial.course is not None for s in diagnosis.trials for trial in s.trials)
        if tried:
            words += f" {count_of(tried, 'cure')} tried, and none makes it clearly better."
    return words


def _finding_blocks(finding: Finding, place: int) -> Page:
    where = f" ({', '.join(finding.layers)})" if finding.layers else ""
    page: Page = [Heading(f"{place}. {finding.title}{where}", 2)]
    page.append(Paragraph(f"{capitalised(finding.says)}."))
    if finding.cure.says:
        end = "" if finding.cure.says.endswith("?") else "."
        page.append(Paragraph(f"Cure: {finding.cure.says}{end}"))
    if finding.cure.set:
        page.append(Lines(tuple(f"    {line}" for line in set_options(finding.cure))))
    if finding.tried is not None:
        tried = finding.tried
        helps = tried.after is not None and (tried.before is None or tried.after > tried.before)
        page.append(
            Paragraph(f"Tried: {tried_words(tried)}{'' if helps else ', no help by itself'}.")
        )
    return page


def set_options(cure: Cure) -> Iterator[str]:
    """`--set key=value` for each key of a cure."""
    for key, value in cure.set.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"--set {shell_word(f'{key}={text}')}"


def tried_words(tried: Tried) -> str:
    words = skill_words if tried.metric.endswith("skill") else number
    before, after = (
        "diverged" if value is None else words(value) for value in (tried.before, tried.after)
    )
    return f"{tried.metric.replace('_', ' ')} {before} → {after}"


def skill_words(skill: float) -> str:
    """A skill, of which what rounding leaves is 0."""
    return number(0 if abs(skill) < NO_SKILL else skill)


def _result_blocks(diagnosis: Diagnosis) -> Page:
    evidence, b = diagnosis.evidence, diagnosis.evidence.baselines
    base, is_classes = evidence.base, evidence.baselines.chance is not None
    what = "accuracy" if is_classes else "mean squared error"
    rows = []
    if base is not None:
        rows.append(("this network", *(_measure(x, is_classes) for x in (base.train, base.held))))
    rows += [
        (name, "", number(value))
        for name, value in (
            ("chance", b.chance),
            ("the majority class", b.majority),
            ("the mean of the targets", b.mean),
            ("a linear model", b.linear),
        )
        if value is not None
    ]
    page: Page = [
        Heading("What it is measured against", 2),
        Grid((what, "trained on", "held back"), tuple(rows)),
    ]
    if base is not None:
        page += cost_words(base, b.chance_cost)
    return page


def _measure(result: Result | None, is_classes: bool) -> str:
    if result is None:
        return NONE
    return number(result.accuracy if is_classes else result.mse)


def cost_words(base: Course, chance_cost: float | None) -> Page:
    """What became of the cost, and whether it sits at what equal outputs cost."""
    if not base.costs:
        return []
    words = f"The cost went from {number(base.costs[0], 4)} in the first epoch to "
    words += f"{number(base.costs[-1], 4)} in the last."
    if chance_cost is None or base.costs[-1] < (1 - NEAR_CHANCE) * chance_cost:
        return [Paragraph(words)]
    chance = number(chance_cost, 4)
    equal = f"ln({round(math.exp(chance_cost))}) = {chance}, what equal outputs cost"
    if base.costs[-1] > (1 + NEAR_CHANCE) * chance_cost:
        words += f" That is more than {equal}: wrong answers are given as if they were certain."
    else:
        near = "" if number(base.costs[-1], 4) == chance else "close to "
        words += f" That is {near}{equal}."
    return [Paragraph(words)]


def _eta_blocks(diagnosis: Diagnosis) -> Page:
    """The range test: the skill that copies came to, by η."""
    base = diagnosis.evidence.base
    courses = {
        trial.cure.set["train.eta"]: trial.course
        for suspect in diagnosis.trials
        for trial in suspect.trials
        if trial.course is not None and list(trial.cure.set) == ["train.eta"]
    }
    if base is None or not courses:
        return []
    courses[diagnosis.evidence.settings.eta] = base
    lines = tuple(_bar(diagnosis, eta, courses[eta]) for eta in sorted(courses))
    return [
        Heading("By η", 2),
        Lines(("skill: 1 is perfect, 0 what the mean of the targets reaches", *lines)),
    ]


def _bar(diagnosis: Diagnosis, eta: float, course: Course) -> str:
    mark = "→" if eta == diagnosis.evidence.settings.eta else " "
    length = round(BAR * max(0.0, course.score))
    words = "diverged" if course.diverged else skill_words(course.score)
    return f"{mark} η {f'{eta:g}':>9}  {'█' * length}{' ' if length else ''}{words}"


def _layer_blocks(diagnosis: Diagnosis) -> Page:
    rows = tuple(
        (
            state.name,
            number(state.z_rms),
            number(state.spread),
            f"{state.dead:.0%}",
            f"{state.saturated:.0%}",
            number(state.delta_norm),
        )
        for state in diagnosis.evidence.start
    )
    headings = ("layer", "size of z", "spread of a", "dead", "saturated", "‖δ‖")
    return [
        Heading("The layers before the first step", 2),
        Grid(headings, rows),
        Paragraph(
            "Of a unit's a the deviation over samples; saturated among those answered wrong; ‖δ‖ a "
            "sample.",
            note=True,
        ),
    ]


# In a few lines


def diagnose_command(source: str | Path) -> str:
    """The command that tries cures."""
    return f"nncli diagnose {shell_word(source)}"


def short_verdict(diagnosis: Diagnosis, more: str, width: int = 80) -> list[str]:
    """At most four lines: that it is healthy, or what seems wrong, and how to learn more.

    Args:
        more: the command that tries cures.
    """
    if not diagnosis.findings:
        if diagnosis.evidence.base is None:
            return wrapped(f"diagnosis: nothing found before training; {more} trains copies", width)
        lines = [f"diagnosis: {_good_words(diagnosis)}"]
        return lines if _is_well(diagnosis) else [*lines, f"cures are tried by {more}"]
    lines = wrapped(f"diagnosis: {verdict_words(diagnosis)}: {diagnosis.findings[0].says}", width)
    if len(lines) >= MOST_LINES:
        lines = [*lines[: MOST_LINES - 2], f"{lines[MOST_LINES - 2][: width - 2]} …"]
    return [*lines, f"cures are tried by {more}"]


def wrapped(text: str, width: int) -> list[str]:
    """In lines; names with hyphens stay whole."""
    return wrap(text, width, break_on_hyphens=False)


def _good_words(diagnosis: Diagnosis) -> str:
    base, b = diagnosis.evidence.base, diagnosis.evidence.baselines
    result = None if base is None else base.held or base.train
    if base is None or result is None:
        return "nothing found"
    if not _is_well(diagnosis):
        return f"nothing plain is wrong, but its skill is {skill_words(result.skill)} of 1"
    against = "" if b.majority is None else f", the majority class {number(b.majority)}"
    if result.accuracy is not None:
        return f"healthy: accuracy {number(result.accuracy)}{against}"
    against = "" if b.mean is None else f", of the mean of the targets {number(b.mean)}"
    return f"healthy: mean squared error {number(result.mse)}{against}"


# JSON


def diagnosis_json(diagnosis: Diagnosis) -> str:
    return to_json(diagnosis_record(diagnosis), indent=2)


def diagnosis_record(diagnosis: Diagnosis) -> dict[str, Any]:
    """The schema nncli.diagnosis/1."""
    base, evidence = diagnosis.evidence.base, diagnosis.evidence
    b = evidence.baselines
    baselines = {"chance": b.chance, "majority": b.majority, "mean": b.mean, "linear": b.linear}
    return {
        "schema": "nncli.diagnosis/1",
        "name": diagnosis.name,
        "healthy": diagnosis.healthy,
        "causes": [_finding_record(finding) for finding in diagnosis.findings],
        "baselines": baselines,
        "chance_cost": b.chance_cost,
        "result": None if base is None else _course_record(base),
        "samples": dict(zip(("train", "held_back"), diagnosis.samples, strict=True)),
        "epochs": diagnosis.epochs,
        "layers": [state._asdict() for state in evidence.start],
        "trials": [
            {
                "cause": suspect.cause.word,
                "cure": _cure_record(trial.cure),
                "result": _course_record(trial.course),
            }
            for suspect in diagnosis.trials
            for trial in suspect.trials
            if trial.course is not None
        ],
    }


def _finding_record(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "layers": list(finding.layers),
        "evidence": {**finding.evidence, "says": finding.says},
        "cure": _cure_record(finding.cure),
        "tried": None if finding.tried is None else finding.tried._asdict(),
    }


def _cure_record(cure: Cure) -> dict[str, Any]:
    return {"set": dict(cure.set), "says": cure.says}


def _course_record(course: Course) -> Mapping[str, Any]:
    return {
        "diverged": course.diverged,
        "costs": list(course.costs),
        "train": None if course.train is None else course.train._asdict(),
        "held_back": None if course.held is None else course.held._asdict(),
    }
