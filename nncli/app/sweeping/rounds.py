"""In which order the trials of a sweep are trained: rounds, each of which ends before the next.

What is in a round follows from what came out of those before, never from when it came out: so a
sweep has the same trials whatever the number of processes, and after whatever was interrupted.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from nncli.app.sweeping.planned import PlannedTrial
from nncli.core.jsons import to_json


class Goal(NamedTuple):
    """A trial, and the epoch up to which it is to be trained; None: to its end."""

    trial: PlannedTrial
    until: int | None = None


Round = list[Goal]
Rounds = Iterator[Round]
ValueOf = Callable[
    [Goal], float | None
]  # what a goal came to, the less the better; None: it failed


def halving_rounds(trials: Sequence[PlannedTrial], factor: int, value_of: ValueOf) -> Rounds:
    """Successive halving: settings that are worse by then are not trained on.

    All settings are trained for a share of their epochs, those that rank among the best 1/factor
    by the median over their seeds go on, for `factor` times as many epochs, and so forth; so each
    round costs about the same. (K. Jamieson, A. Talwalkar: Non-stochastic Best Arm Identification
    and Hyperparameter Optimization, 2016.)
    """
    groups: dict[str, list[PlannedTrial]] = {}
    for trial in trials:
        groups.setdefault(to_json(trial.set), []).append(trial)
    going = list(groups.values())
    longest = max(trial.epochs for trial in trials)
    last = 0  # the number of the last round
    while factor ** (last + 1) <= min(len(going), longest):
        last += 1
    for number in range(last + 1):
        share = factor ** (last - number)
        goals = [[_goal(trial, share) for trial in group] for group in going]
        yield [goal for group in goals for goal in group]
        ranks = [(_median(group, value_of), k) for k, group in enumerate(goals)]
        best = sorted(ranks)[: math.ceil(len(going) / factor)]
        going = [going[k] for k in sorted(k for _, k in best)]


def _goal(trial: PlannedTrial, share: int) -> Goal:
    return Goal(trial, None if share == 1 else math.ceil(trial.epochs / share))


def _median(goals: Sequence[Goal], value_of: ValueOf) -> float:
    """Of seeds that failed, the worst there is."""
    values = [value_of(goal) for goal in goals]
    return median(math.inf if value is None else value for value in values)
