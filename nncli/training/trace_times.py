"""At which steps of a training all is recorded: every N, some by number, the last ones."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from nncli.core.errors import NncliError
from nncli.core.text import brief
from nncli.nn.trace import Trace

HOW = "every=100, steps=1,10,100 or last=5"


class TraceTimes(NamedTuple):
    """Steps by number, counted from 1 over the whole training.

    Attributes:
        every: each whole multiple of it; 0: none of these.
        steps: these, in ascending order.
        last: so many before the end of the training.
    """

    every: int = 0
    steps: tuple[int, ...] = ()
    last: int = 0

    def next_after(self, taken: int, total: int) -> int | None:
        """The first of them after `taken` steps of `total`; None: there is none."""
        found = [next((step for step in self.steps if step > taken), None)]
        if self.every:
            found.append(taken + self.every - taken % self.every)
        if self.last:
            found.append(max(taken, total - self.last) + 1)
        return min((step for step in found if step is not None and step <= total), default=None)


@dataclass(frozen=True)
class Traced:
    """The record of a step of a training, as an event of it."""

    step: int
    trace: Trace


def trace_times(words: Iterable[str]) -> TraceTimes:
    """The times that words such as `every=100` say, all of them together.

    Raises:
        NncliError: a word says none.
    """
    every, steps, last = 0, set[int](), 0
    for word in words:
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
    return TraceTimes(every, tuple(sorted(steps)), last)
