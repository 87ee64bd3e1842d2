"""A whole check: arrays under the names of a trace, and the record of what is wrong with them."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from nncli.core.text import first_of
from nncli.inspection.foreign.judge import Explanation, Judge
from nncli.inspection.foreign.record import Checked, Compared, Made
from nncli.inspection.mistakes.rules import record_of
from nncli.inspection.mistakes.scene import Scene
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace

CLOSE = 0.01  # of the largest entry


class Named(NamedTuple):
    """An array that was given: its own name, that of the trace, and how it was turned.

    `factor`: what it was multiplied by besides.
    """

    mine: str
    name: str
    array: Array
    how: str = ""
    factor: float = 1.0


@np.errstate(all="ignore")  # what was given may be of any size
def check_step(
    trace: Trace,
    given: Iterable[Named],
    *,
    others: Callable[[], Iterable[Trace]] = tuple,
    steps_an_epoch: int = 1,
    notes: Iterable[str] = (),
) -> Checked:
    """Compares arrays with a trace, and finds the mistake that explains them.

    Args:
        given: in the shapes of the trace.
        others: the same step on other samples.
        steps_an_epoch: of the training.
        notes: what is to be said of the names.
    """
    named = {one.name: one for one in given}
    judge = Judge(
        Scene(trace, steps_an_epoch=steps_an_epoch),
        {name: one.array for name, one in named.items()},
        factors={name: one.factor for name, one in named.items()},
    )
    return checked_by(judge, named, others=others, notes=notes)


@np.errstate(all="ignore")
def checked_by(
    judge: Judge,
    named: Mapping[str, Named],
    *,
    others: Callable[[], Iterable[Trace]] = tuple,
    notes: Iterable[str] = (),
) -> Checked:
    """The record of what a judge finds; `named` are what it was given, by the trace's names."""
    trace = judge.scene.trace
    wrong = judge.wrong_here()
    explanations = judge.explanations(others) if wrong else []
    made = tuple(tuple(_made(explanation)) for explanation in explanations)
    ratios = {change.ratio for e in explanations for _, change in e.changes}
    ratio = ratios.pop() if len(ratios) == 1 else None
    if wrong and not explanations:
        ratio = judge.ratio(wrong[0])
    return Checked(
        trace.name,
        trace.samples,
        tuple(_compared(judge, named[name], wrong, explained=bool(made)) for name in judge.mine),
        wrong[0] if wrong else None,
        tuple(dict.fromkeys(made)),
        ratio,
        _pattern(judge, wrong[0]) if wrong else None,
        tuple(notes),
        () if explanations or not wrong else tuple(m for e in judge.hints() for m in _made(e)),
    )


def in_our_conventions(trace: Trace, given: Iterable[Named]) -> tuple[list[Named], list[str]]:
    """The arrays in this project's conventions, where they were given in others that are as good.

    δ of each C_x, not of the mean; and the velocity without η, see `_without_eta`.

    Returns:
        The arrays, and what is to be said.
    """
    named, said = _without_eta(trace, given)
    named, more = _of_each_sample(trace, named)
    return named, [*said, *more]


def _without_eta(trace: Trace, given: Iterable[Named]) -> tuple[list[Named], list[str]]:
    """Velocities of v = μ v − η ∂C/∂W and W_new = W + v, as textbooks have it, over −η."""
    record, made, notes = record_of(trace), list[Named](), list[str]()
    for one in given:
        for factor in (-trace.eta, trace.eta):
            is_velocity = one.name.endswith("_velocity") and factor not in (0, 1)
            if is_velocity and _is_near(one.array / factor, record[one.name]):
                notes.append(f"{one.mine} was given with η in it; it is compared without")
                one = one._replace(array=one.array / factor, factor=1 / factor)
                break
        made.append(one)
    return made, notes


def _of_each_sample(trace: Trace, given: Iterable[Named]) -> tuple[list[Named], list[str]]:
    """The arrays with δ of each C_x, where it was given of the mean C.

    Many write δ = ∂C/∂z with C the mean, so that 1/n is in δ already, and sum for the gradient.
    That is no mistake. It is told by the output layer: its δ is 1/n of the record's, and its
    gradient, if it was given, is right. Where the outputs themselves are wrong, by what is 1/n of
    the a − y of those that were given.
    """
    named, n = list(given), len(trace.inputs)
    last = next(layer for layer in reversed(trace.layers) if layer.delta is not None)
    record = record_of(trace)
    errors = [one for one in named if one.name in (f"{last.name}.delta", f"{last.name}.upstream")]
    gradients = [one for one in named if one.name.startswith(f"{last.name}.weight_grad")]
    outputs = next((one.array for one in named if one.name == f"{last.name}.a"), None)
    if outputs is not None and not _is_near(outputs, record[f"{last.name}.a"]):
        error = f"{last.name}.{'delta' if trace.cost.error_is_delta else 'upstream'}"
        errors, gradients = [one for one in errors if one.name == error], []
        record = {**record, error: outputs - trace.targets}
    if n == 1 or not errors or not all(_is_near(n * one.array, record[one.name]) for one in errors):
        return named, []
    if not all(_is_near(one.array, record[one.name]) for one in gradients):
        return named, []
    backward = ("delta", "upstream", "downstream")
    note = "δ was given of the mean C, with 1/n in it; it is compared times n"
    return [
        one._replace(array=one.array * n, factor=n) if one.name.split(".")[-1] in backward else one
        for one in named
    ], [note]


def _is_near(array: Array, value: Array) -> bool:
    size = float(np.abs(value).max(initial=0))
    return bool(np.abs(array - value).max(initial=0) <= CLOSE * size)


def _made(explanation: Explanation) -> Iterable[Made]:
    for mistake, change in explanation.changes:
        yield Made(
            mistake.word,
            change.way,
            change.place,
            mistake.says,
            mistake.right,
            mistake.look,
            change.ratio,
        )


def _compared(judge: Judge, one: Named, wrong: list[str], *, explained: bool) -> Compared:
    mine, is_right = judge.mine[one.name], judge.is_right(one.name)
    # Biases may have come with a row for each sample.
    right = np.broadcast_to(np.asarray(judge.scene.record[one.name], np.float64), mine.shape)
    difference = np.abs(mine - right)
    at = np.unravel_index(int(difference.argmax()), difference.shape)
    root = None if is_right else judge.root(one.name)
    if not is_right and root is None and explained and one.name != wrong[0]:
        root = wrong[0]
    size = float(np.abs(right).max(initial=0))
    worst = float(difference[at])
    entries = judge.wrong_entries(one.name)
    return Compared(
        one.mine,
        one.name,
        one.how,
        is_right,
        root,
        worst / size if size else float(worst and np.inf),
        tuple(int(k) for k in at),
        float(mine[at]),
        float(right[at]),
        judge.digits[one.name].words(),
        0 if is_right else int(entries.sum()),
        int(mine.size),
    )


AXES: dict[
    str, dict[int, tuple[str, ...]]
] = {  # of arrays by how many axes they have, and by what they are
    "weight": {2: ("row", "column"), 4: ("filter", "channel", "row", "column")},
    "sample": {2: ("sample", "unit"), 4: ("sample", "channel", "row", "column")},
    "bias": {1: ("unit",)},
}


def _pattern(judge: Judge, name: str) -> str | None:
    """Which entries are wrong, where it is not all of them."""
    wrong = judge.wrong_entries(name)
    if wrong.all() or not wrong.any() or wrong.ndim == 0:
        return None
    quantity = name.split(".")[-1]
    kind = next((k for k in ("weight", "bias") if quantity.startswith(k)), "sample")
    axes = AXES[kind].get(wrong.ndim, tuple(f"axis {k}" for k in range(wrong.ndim)))
    for axis, noun in enumerate(axes):
        others = tuple(k for k in range(wrong.ndim) if k != axis)
        some, every = wrong.any(axis=others), wrong.all(axis=others)
        if not some.all() and np.array_equal(some, every):
            numbers = np.flatnonzero(some).tolist()
            return f"only {noun}{'s' if len(numbers) > 1 else ''} {first_of(numbers, 8)}"
    count = int(wrong.sum())
    if count == 1:
        return f"only the entry at {list(map(int, np.argwhere(wrong)[0]))}"
    return f"{count} of {wrong.size} entries"
