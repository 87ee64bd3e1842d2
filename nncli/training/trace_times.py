"""At which steps of a training all is recorded: every N, some, the last, or where it breaks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import brief, count_of, join_words
from nncli.nn.arrays import Array
from nncli.nn.recorder import TraceReader, TraceRecorder
from nncli.nn.trace import Trace
from nncli.training.conditions import Condition

HOW = "every=100, steps=1,10,100, last=5 or on=break"
ON = ("break", "expect")  # keys of conditions


class TraceTimes(NamedTuple):
    """Steps by number, counted from 1 over the whole training.

    Attributes:
        every: each whole multiple of it; 0: none of these.
        steps: these, in ascending order.
        last: so many before the end of the training.
        on: those too at which a condition under one of these keys of the spec comes to count.
    """

    every: int = 0
    steps: tuple[int, ...] = ()
    last: int = 0
    on: tuple[str, ...] = ()

    def next_after(self, taken: int, total: int) -> int | None:
        """The first of them after `taken` steps of `total`; None: there is none."""
        if not (self.every or self.steps or self.last):
            return None
        found = [next((step for step in self.steps if step > taken), None)]
        if self.every:
            found.append(taken + self.every - taken % self.every)
        if self.last:
            found.append(max(taken, total - self.last) + 1)
        return min((step for step in found if step is not None and step <= total), default=None)

    def notes(self, total: int) -> list[str]:
        """What of it a training of so many steps does not come to."""
        late = [f"{step:,}" for step in self.steps if step > total]
        lost = [f"step {join_words(late, 'or')}"] if late else []
        if self.every > total:
            lost.append(f"any whole multiple of {self.every:,}")
        return [
            f"--trace: the training has {count_of(total, 'step')}, so it does not come to {each}"
            for each in lost
        ]


@dataclass(frozen=True)
class Traced:
    """A step of a training that is to be recorded, as an event of it.

    Nothing is copied yet: `trace` is to be called, or the recorder, before the training goes on.

    Attributes:
        recorder: of its workspace.
        eta, cost: of the step.
        rows: of a table of samples, those of its mini-batch.
        among: those of that table that the training takes, ascending.
    """

    step: int
    recorder: TraceRecorder
    eta: float
    cost: float
    rows: Array
    among: Array

    def trace(self) -> Trace:
        """Its record."""
        return read_step(self.recorder, self.eta, self.cost, self.rows, self.among)


def read_step(
    recorder: TraceRecorder | TraceReader, eta: float, cost: float, rows: Array, among: Array
) -> Trace:
    """The record of a step of a training; arguments as the attributes of `Traced`."""
    samples = np.searchsorted(among, rows).tolist()
    return recorder.record(eta=eta, cost=cost, samples=samples)


def trace_times(words: Iterable[str], conditions: Iterable[Condition] = ()) -> TraceTimes:
    """The times that words such as `every=100` say, all of them together.

    Args:
        conditions: those of the spec.

    Raises:
        NncliError: a word says none, or names conditions that there are none of.
    """
    every, steps, last, on = 0, set[int](), 0, list[str]()
    for word in words:
        key, _, event = word.strip().partition("=")
        if key == "on":
            if event not in ON:
                raise NncliError(f"--trace {brief(word)}: on is {join_words(ON)}, as on=break")
            if event not in {condition.key for condition in conditions}:
                message = f"the spec has no {event}, so nothing would be kept"
                raise NncliError(f"--trace {brief(word)}: {message}")
            on.append(event)
            continue
        found = re.fullmatch(r"(every|last)=(\d{1,9})|steps=(\d{1,9}(?:,\d{1,9})*)", word.strip())
        numbers = [int(x) for x in re.findall(r"\d+", word)] if found else []
        if not numbers or min(numbers) < 1:
            raise NncliError(f"--trace {brief(word)}: takes {HOW}, numbers from 1 on")
        if word.strip().startswith("steps"):
            steps |= set(numbers)
        elif word.strip().startswith("every"):
            every = numbers[0]
        else:
            last = numbers[0]
    return TraceTimes(every, tuple(sorted(steps)), last, tuple(dict.fromkeys(on)))
