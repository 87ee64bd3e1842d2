"""A sampler proposes the trials of a sweep by what came out of those before: Optuna's TPE."""

import logging
from collections.abc import Iterator
from statistics import median
from typing import Any

from nncli.app.sweeping.planned import PlannedTrial, Planner
from nncli.app.sweeping.rounds import Goal, Rounds, ValueOf
from nncli.core.errors import NncliError
from nncli.spec.trials import Choice, Plan
from nncli.spec.words import dotted

AT_ONCE = 4  # trials that are proposed before any of them has come out


def sampled_rounds(plan: Plan, count: int, value_of: ValueOf) -> Rounds:
    """Rounds of trials that a sampler proposes, `count` settings in all, each with every seed.

    The proposals follow from the spec's seed and from what came out. Nothing of them is kept: a
    sweep that goes on has them proposed again, and finds that they are trained.

    Raises:
        NncliError: Optuna is not there.
        SpecError: the spec does not take what is proposed.
    """
    optuna: Any = _optuna()
    space = _space(plan, optuna.distributions)
    planner = Planner(plan)
    sampler = optuna.samplers.TPESampler(seed=plan.spec.seed, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    for start in range(0, count, AT_ONCE):
        asked = [study.ask(space) for _ in range(min(AT_ONCE, count - start))]
        goals = [[Goal(t) for t in _trials(plan, planner, each.params)] for each in asked]
        yield [goal for group in goals for goal in group]
        for trial, group in zip(asked, goals, strict=True):
            values = [value for goal in group if (value := value_of(goal)) is not None]
            if values:
                study.tell(trial, median(values))
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        why = "--sampler tpe needs Optuna, which is not installed: pip install 'nncli[optuna]'"
        raise NncliError(why) from None
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _space(plan: Plan, distributions: Any) -> dict[str, Any]:
    """What Optuna chooses: a number from each span, and one point of each axis, by its place."""
    space: dict[str, Any] = {}
    for span, _ in plan.ranges:
        kind = distributions.IntDistribution if span.whole else distributions.FloatDistribution
        space[dotted(span.key)] = kind(span.low, span.high, log=span.is_log)
    for k, axis in enumerate(_axes(plan)):
        space[f"axis {k}"] = distributions.CategoricalDistribution(range(len(axis)))
    return space


def _axes(plan: Plan) -> list[Any]:
    """Those that are chosen from: all but the seeds."""
    (block,) = plan.blocks
    return [axis for axis in block if axis[0][0].key != ("seed",)]


def _trials(plan: Plan, planner: Planner, params: dict[str, Any]) -> Iterator[PlannedTrial]:
    (block,) = plan.blocks
    seeds = [axis for axis in block if axis[0][0].key == ("seed",)]
    chosen: Choice = tuple(each.value(params[dotted(each.span.key)]) for each in plan.ranges)
    for k, axis in enumerate(_axes(plan)):
        chosen += axis[params[f"axis {k}"]]
    for point in seeds[0] if seeds else ((),):
        yield planner.trial((*chosen, *point))
