"""Conditions: what they may name, what became of them, and the step at which one stopped."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any
from xml.etree import ElementTree

from nncli.app.records import InspectedStep, QuantityListing, QuantityRow, Training
from nncli.core.jsons import to_json
from nncli.core.text import count_of, printable
from nncli.render.document import Heading, Lines, Page
from nncli.render.pages.brief import brief_page
from nncli.training.conditions import Condition, Failure
from nncli.training.tallies import Outcome

NAMES = 21  # columns of names
LONGEST_LINE = 100
MOST_SAMPLES = 12  # that are named

# What they may name


def quantities_lines(listing: QuantityListing, width: int) -> Iterator[str]:
    """The listing as text of lines as wide as `width`."""
    width = min(width, LONGEST_LINE)
    of_training = [row for row in listing.rows if row.of == "training"]
    of_layers = [row for row in listing.rows if row.of == "layer"]
    numbers = [row for row in of_layers if not row.is_array]
    of_steps = [row for row in of_training if not row.by_epoch]
    whose = "" if listing.spec is None else f" in {printable(listing.spec)}"
    yield from _section("Of the training, at every step:", _meanings(of_steps), width)
    of_epochs = [row for row in of_training if row.by_epoch]
    yield from _section("Of the training, at the end of an epoch:", _meanings(of_epochs), width)
    yield from _section(
        f"Of a layer{whose}, a number, as dense1.delta_norm:", _meanings(numbers), width
    )
    arrays = [row for row in of_layers if row.is_array]
    yield from _section(
        f"Of a layer{whose}, an array, as max(abs(dense1.delta)):", _meanings(arrays), width
    )
    yield from _section("Functions:", listing.functions, width)
    yield from _section("In place of a layer's name, in a comparison:", listing.words, width)
    yield "Presets, in place of a condition:"
    for name, (meaning, lines) in listing.presets.items():
        yield f"  {name:<{NAMES}}{meaning}:"
        yield from (f"    {line}" for line in lines)
    yield ""
    yield from wrap(
        "A condition compares numbers (< <= > >= == !=, + - * /) and joins comparisons by and, or, "
        "not. In a spec: expect: [all.delta_norm > 1e-6], break: [cost > 10].",
        width,
    )


def _meanings(rows: Sequence[QuantityRow]) -> dict[str, str]:
    def meaning(row: QuantityRow) -> str:
        where = row.where if row.layers is None else ", ".join(row.layers)
        return f"{row.meaning} [{where}]" if where else row.meaning

    return {row.name: meaning(row) for row in rows}


def _section(title: str, meanings: Mapping[str, str], width: int) -> Iterator[str]:
    yield title
    for name, meaning in meanings.items():
        first, *rest = wrap(meaning, width - NAMES - 2) or [""]
        yield f"  {name:<{NAMES}}{first}"
        yield from (f"  {'':<{NAMES}}{line}" for line in rest)
    yield ""


def quantities_json(listing: QuantityListing) -> str:
    record = {
        "schema": "nncli.quantities/1",
        "spec": listing.spec,
        "quantities": [row._asdict() for row in listing.rows],
        "functions": listing.functions,
        "words": listing.words,
        "presets": {
            name: {"meaning": meaning, "conditions": lines}
            for name, (meaning, lines) in listing.presets.items()
        },
    }
    return to_json(record, indent=2)


# What became of them


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An expectation as plain data."""
    condition, first = outcome.condition, outcome.first
    return {
        "that": condition.that,
        "after": condition.after,
        "for": condition.in_a_row,
        "every": condition.every,
        "at": condition.at,
        "held": outcome.held,
        "checks": outcome.checks,
        "failures": outcome.failures,
        "failed_at": None if first is None else failure_record(first),
        "value": first.terms[0].value if first is not None and first.terms else None,
    }


def failure_record(failure: Failure) -> dict[str, Any]:
    return {**failure.as_plain(), "message": failure.says()}


def condition_lines(training: Training) -> Iterator[str]:
    """What became of the expectations of a training, in a few lines; none where there are none."""
    outcomes = training.expectations
    if not outcomes:
        return
    failed = training.failed
    unseen = [outcome for outcome in outcomes if outcome.held is None]
    held = len(outcomes) - len(failed) - len(unseen)
    yield f"expectations: {held} of {len(outcomes)} held"
    for outcome in failed:
        first = outcome.first
        assert first is not None
        yield f"  failed       {_named(outcome.condition)}"
        yield f"               at {first.where()}: {first.found()}; {_times(outcome)}"
    for outcome in unseen:
        yield f"  not checked  {_named(outcome.condition)}"


def _times(outcome: Outcome) -> str:
    if outcome.checks == 1:
        return "checked once"
    return f"failed {outcome.failures:,} of {outcome.checks:,} times"


def failed_words(failed: Sequence[Outcome]) -> str:
    """The message of a training whose expectations failed."""
    named = "; ".join(outcome.condition.that for outcome in failed)
    return f"{count_of(len(failed), 'expectation')} failed: {named}"


def junit(training: Training) -> bytes:
    """The conditions of a training as JUnit's XML, a test case each; of breaks, those met."""
    cases = [outcome for outcome in training.conditions if _is_case(outcome)]
    failed = [outcome for outcome in cases if outcome.held is False]
    unseen = [outcome for outcome in cases if outcome.held is None]
    seconds = sum(epoch.train_seconds for epoch in training.history)
    counts = {"tests": len(cases), "failures": len(failed), "errors": 0, "skipped": len(unseen)}
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": printable(training.spec.name),
            **{key: str(count) for key, count in counts.items()},
            "time": f"{seconds:.3f}",
        },
    )
    for outcome in cases:
        named = {"classname": outcome.condition.key, "name": _named(outcome.condition)}
        case = ElementTree.SubElement(suite, "testcase", named)
        if outcome.first is not None:
            message = outcome.first.says()
            found = ElementTree.SubElement(case, "failure", {"message": message})
            found.text = f"{message}\n{_times(outcome)}"
        elif outcome.held is None:
            ElementTree.SubElement(case, "skipped", {"message": "it was never looked at"})
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    made: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def _is_case(outcome: Outcome) -> bool:
    return outcome.condition.key == "expect" or outcome.first is not None


def _named(condition: Condition) -> str:
    """The condition, and what tells it from another of the same text."""
    options = [
        *([f"after {condition.after}"] if condition.after else []),
        *([f"for {condition.in_a_row}"] if condition.in_a_row > 1 else []),
        *([f"every {condition.every}"] if condition.every > 1 else []),
        *([f"at {condition.at}"] if condition.at != "step" else []),
    ]
    return f"{condition.that} ({', '.join(options)})" if options else condition.that


# The step at which one stopped


def brief_step(step: InspectedStep, failure: Failure) -> Page:
    """What there is to say of a step on one screen; all of it is in a file."""
    trace = step.inspection.trace
    title = f"{trace.name}: step {failure.step:,} (epoch {failure.epoch:,})"
    _, *rest = brief_page(step, "")
    shown = ", ".join(map(str, trace.samples[:MOST_SAMPLES]))
    more = len(trace.samples) - MOST_SAMPLES
    samples = f"samples {shown}{f' and {more:,} more' if more > 0 else ''} of the training data"
    return [Heading(title, 0), Lines((samples,)), *rest]
