"""A step on one screen: its verdicts, where its error signal was lost, its most telling facts."""

from collections.abc import Callable, Iterator, Mapping
from math import ceil, isfinite
from pathlib import Path
from textwrap import wrap
from typing import Any

from nncli.app.records import InspectedStep
from nncli.core.text import count_of
from nncli.inspection.facts import LONG, Fact, SignalAt, signals, telling
from nncli.inspection.findings import Attenuation, RelativeUpdate
from nncli.nn.trace import Trace
from nncli.render.document import Document, Grid, Heading, Lines, Page
from nncli.render.pages.proof import change_words, saturation_words, unchanged_words, verdict
from nncli.render.pages.update import overflow_words
from nncli.render.text import NONE, number, percent

WIDTH, HEIGHT = 80, 23  # of a screen, less the line that the shell asks in
FACTS = 3
ABOUT = 2.0  # a factor that is of no account
MANY_TIMES = 10.0  # that are said so, not as a percentage
LEAST_ROWS = 3
TABLE = 2  # lines above the rows of a table


def brief_document(step: InspectedStep, source: str | Path) -> Document:
    """The same for every format that has a page; `source` is the spec's or run's path."""
    from nncli.render.pages.diagnosis import diagnose_command  # no other page of a step needs it

    return Document(
        step.inspection.trace.name, lambda: brief_page(step, diagnose_command(source)), dict, dict
    )


def brief_page(step: InspectedStep, more: str) -> Page:
    """What fits one screen.

    Args:
        more: the command that tries cures.
    """
    trace = step.inspection.trace
    top = [verdict_words(step), cost_words(trace)]
    beyond = step.inspection.overflow
    if beyond is not None:
        top.append(overflow_words(trace, beyond))
    if step.diagnosis is not None:
        from nncli.render.pages.diagnosis import short_verdict

        top += short_verdict(step.diagnosis, more, WIDTH)
    facts = list(fact_lines(trace)) if beyond is None else []
    used = sum(len(wrap(line, WIDTH, subsequent_indent="    ")) for line in (*top, *facts))
    room = HEIGHT - used - TABLE - 4  # the title, and a gap between each two blocks
    page: Page = [Heading(f"{trace.name}: one step in brief", 0), Lines(tuple(top))]
    if beyond is None:
        page += [*signal_table(trace, max(LEAST_ROWS, room)), Lines(tuple(facts))]
    return page


def verdict_words(step: InspectedStep) -> str:
    check = step.inspection.check
    return "The gradients were not checked (--check off)." if check is None else verdict(check)


def cost_words(trace: Trace) -> str:
    before = number(trace.cost_before, 5)
    after = number(trace.cost_after, 5) if isfinite(trace.cost_after) else "not finite"
    samples = count_of(len(trace.samples), "sample")
    return f"C = {before} → {after} in one step on {samples}, η = {trace.eta:g}."


def signal_table(trace: Trace, most: int | None = None) -> Page:
    """The error signal from the output back: how large it is at each layer, and what has taken it.

    Args:
        most: rows; of more the middle is left out.
    """
    found = signals(trace)
    if not found:
        return []
    rows = [_signal_row(signal) for signal in found]
    if most is not None and len(rows) > most:
        gap = ("…", f"{len(rows) - most + 1} more layers", "…", "…", "…", "…")
        first = ceil((most - 1) / 2)
        rows = [*rows[:first], gap, *rows[len(rows) - (most - 1 - first) :]]
    headings = ("error signal", "mostly taken by", "on the way", "σ′", "‖δ‖", "of the output's")
    return [Grid(headings, tuple(rows), words=2)]


def _signal_row(signal: SignalAt) -> tuple[str, ...]:
    factors = (_times(signal.on_the_way), _times(signal.sigma_prime))
    share = NONE if signal.share is None else _share(signal.share)
    return signal.layer, signal.taken_by, *factors, number(signal.delta_norm), share


def _share(share: float) -> str:
    """As a percentage; a small one with its digits, a large one in times."""
    if share >= MANY_TIMES:
        return f"{number(share)} times"
    return percent(share) if share >= 0.001 or not share else f"{number(100 * share, 2)}%"


def _times(factor: float | None) -> str:
    return NONE if factor is None else f"×{number(factor)}"


# The facts in words


def fact_lines(trace: Trace) -> Iterator[str]:
    """The most telling facts, the first one the most."""
    for place, fact in enumerate(telling(trace, FACTS), 1):
        yield f"{place}. {WORDS[fact.kind](trace, fact)}"


def _change(trace: Trace, fact: Fact) -> str:
    return change_words(trace, fact.numbers["change"])


def _signal(trace: Trace, fact: Fact) -> str:
    worst: Attenuation = fact.numbers["worst"]
    share = fact.numbers["share"]
    if 1 / ABOUT < share < ABOUT:
        return (
            f"The error signal keeps its size: {number(share)} times that of the output arrives at "
            f"{fact.layer}."
        )
    if share < 1:
        what, verb = f"{_share(share)} of the output's error signal reaches", "take"
    else:
        what, verb = f"{number(share)} times the output's error signal arrives at", "add"
    cause = f"σ′ of {worst.layer}" if worst.cause == "σ′" else f"the {worst.cause} of {worst.layer}"
    ending = "" if worst.cause == "weights" else "s"
    return f"{what} {fact.layer}; {cause} {verb}{ending} most (×{number(worst.factor)})."


def _unmoved(trace: Trace, fact: Fact) -> str:
    return unchanged_words(fact.numbers["unchanged"]).text


def _symmetric(trace: Trace, fact: Fact) -> str:
    units, value = fact.numbers["units"], number(fact.numbers["value"], 3)
    return (
        f"{fact.layer}: all {units:,} units have the same weights (the first is {value}) and can "
        "learn nothing but the same; random ones (init) differ."
    )


def _wrong(trace: Trace, fact: Fact) -> str:
    n: Mapping[str, Any] = fact.numbers
    unit = ",".join(map(str, n["unit"]))
    return (
        f"{fact.layer}: {n['starved']:,} of {count_of(n['wrong'], 'wrong output')} "
        f"{'are' if n['starved'] > 1 else 'is'} saturated: unit {unit} of sample {n['sample']} is "
        f"{number(n['a'])} for {number(n['y'])}, and σ′ = {number(n['sigma_prime'], 2)} lets "
        "hardly any of its error pass; behind cross_entropy all of it would."
    )


def _off(trace: Trace, fact: Fact) -> str:
    return saturation_words(fact.numbers["saturation"], fact.numbers["samples"])


def _moved(trace: Trace, fact: Fact) -> str:
    update: RelativeUpdate = fact.numbers["update"]
    words = f"{update.layer} moves most for its size: ‖ΔW‖/‖W‖ = {number(update.ratio, 2)}"
    if update.ratio is not None and update.ratio > LONG:
        return f"{words}, where 0.001 is usual."
    return f"{words}."


def _input_size(trace: Trace, fact: Fact) -> str:
    n = fact.numbers
    if n["largest"] > 20:
        return f"Inputs reach {number(n['largest'], 3)}; data.scale brings them near to 1."
    return (
        f"{n['zero']:,} of {count_of(n['inputs'], 'input')} are 0 on {_these(trace)}: the weights "
        "behind them get no gradient."
    )


def _output(trace: Trace, fact: Fact) -> str:
    n, unit = fact.numbers, ",".join(map(str, fact.numbers["unit"]))
    return (
        f"Furthest off is unit {unit} of {fact.layer}: {number(n['a'], 4)} for {number(n['y'], 4)} "
        f"in sample {n['sample']}."
    )


def _these(trace: Trace) -> str:
    return "this sample" if len(trace.samples) == 1 else "these samples"


WORDS: dict[str, Callable[[Trace, Fact], str]] = {
    "change": _change,
    "signal": _signal,
    "unmoved": _unmoved,
    "symmetric": _symmetric,
    "wrong_and_saturated": _wrong,
    "off_units": _off,
    "moved": _moved,
    "input_size": _input_size,
    "output": _output,
}
