"""What has become of the conditions of a training: counts, and where each failed first."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nncli.core.errors import Malformed
from nncli.nn.arrays import Array
from nncli.training.conditions import Condition, Failure, Term

TallyState = Mapping[str, Any]
"""A tally as plain data, as checkpoints keep it."""


class Outcome(NamedTuple):
    """What has become of a condition, as a training's record has it.

    Attributes:
        held: None where it was not looked at.
        first: where it failed first, or where the training was to stop first.
    """

    condition: Condition
    held: bool | None
    checks: int
    failures: int
    first: Failure | None


class Tally:
    """What has become of a condition so far.

    Attributes:
        run: how many times in a row it has failed (or, a break, held), up to the last look.
        checks: how often it was looked at. failures: how often it counted as failed.
        first: where it did so first.
    """

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.run, self.checks, self.failures = 0, 0, 0
        self.first: Failure | None = None

    def outcome(self) -> Outcome:
        held = self.first is None if self.checks else None
        return Outcome(self.condition, held, self.checks, self.failures, self.first)

    def count(self, held: Array) -> Iterator[int]:
        """Counts some looks; gives those at which there is something to be done.

        Args:
            held: whether it held at each.
        """
        is_break = self.condition.key == "break"
        self.checks += len(held)
        if not held.any() if is_break else held.all():
            self.run = 0 if len(held) else self.run
            return
        wanted = self.condition.in_a_row
        for k, holds in enumerate(held.tolist()):
            self.run = self.run + 1 if holds == is_break else 0
            self.failures += self.run >= wanted
            if self.run == wanted and (is_break or self.first is None):
                yield k

    def state(self) -> TallyState:
        identity = self.condition.identity
        first = None if self.first is None else self.first.as_plain()
        counts = {"run": self.run, "checks": self.checks, "failures": self.failures}
        return {"condition": [*identity], **counts, "first": first}

    def restore(self, state: TallyState | None) -> None:
        state = state or {"run": 0, "checks": 0, "failures": 0, "first": None}
        self.run, self.checks, self.failures = (state[key] for key in ("run", "checks", "failures"))
        self.first = None if state["first"] is None else _failure(self.condition, state["first"])


def states_from(plain: Mapping[str, Any]) -> tuple[TallyState, ...]:
    """The states of tallies from their JSON; Malformed where they cannot be ones."""
    states = plain.get("tallies")
    if not isinstance(states, list):
        raise Malformed("what has become of its conditions is no list")
    for state in states:
        is_state = isinstance(state, dict) and isinstance(state.get("condition"), list)
        if not is_state or not all(isinstance(x, str | int) for x in state["condition"]):
            raise Malformed("it does not say which condition it is of")
        if not all(_is_count(state.get(key)) for key in ("run", "checks", "failures")):
            raise Malformed("a condition holds no counts")
        if "first" not in state or not _is_first(state["first"]):
            raise Malformed("a condition does not say where it failed")
    return tuple(states)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_first(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or not isinstance(value.get("at"), str):
        return False
    terms = value.get("terms")
    places = (value.get("step"), value.get("epoch"))
    return (
        all(map(_is_count, places))
        and isinstance(terms, list)
        and all(isinstance(term, dict) and term.keys() == TERM_KEYS for term in terms)
    )


TERM_KEYS = Term.__dataclass_fields__.keys()


def _failure(condition: Condition, plain: Mapping[str, Any]) -> Failure:
    return Failure(
        key=condition.key,
        that=condition.that,
        step=plain["step"],
        epoch=plain["epoch"],
        terms=tuple(Term(**{**term, "units": tuple(term["units"])}) for term in plain["terms"]),
        at=plain["at"],
        in_a_row=condition.in_a_row,
        actions=condition.actions,
        stops=condition.stops,
    )
