"""What a mistake is, and the step that it is made in."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.rules import record_of, rules_of, start_of
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace


class Change(NamedTuple):
    """One way to make a mistake, at one place of a step.

    Attributes:
        way: what was done, in words; "" where the mistake's own sentence says it.
        place: the layer; "" where it is the whole step.
        rules: what takes the place of the right rules.
        ratio: the factor, where the mistake is one.
    """

    way: str
    place: str
    rules: Mapping[str, Rule]
    ratio: float | None = None


class Mistake(NamedTuple):
    """A kind of mistake: a row of the table.

    Attributes:
        word: its name for scripts.
        says: a sentence that says what was done.
        right: the line of mathematics as it should be.
        look: what to look at.
        changes: every way to make it in a step.
    """

    word: str
    says: str
    right: str
    look: str
    changes: Callable[["Scene"], Iterable[Change]]


class Scene:
    """A step, its right rules, and what mistakes ask of it.

    Attributes:
        rules, start, record: see `rules`; by name.
        n: the samples of the mini-batch.
        learners: the layers with a δ, in forward order; `output` is the last.
        parameters: the names of all weights and biases, as `dense1.weight`.
    """

    def __init__(self, trace: Trace, *, steps_an_epoch: int = 1) -> None:
        """
        Args:
            steps_an_epoch: of the training that the step is of.
        """
        self.trace = trace
        self.steps_an_epoch = steps_an_epoch
        self.rules, self.start, self.record = rules_of(trace), start_of(trace), record_of(trace)
        self.n = len(trace.inputs)
        self.learners = [layer for layer in trace.layers if layer.delta is not None]
        self.output = self.learners[-1]
        self.hidden = self.learners[:-1]
        self.fused = trace.cost.error_is_delta
        self.parameters = [
            f"{layer.name}.{key}" for layer in trace.layers for key in layer.optimizer
        ]

    @cached_property
    def right(self) -> Values:
        """The right rules with nothing given, all made."""
        values = Values(self.rules, self.start)
        values.make_all()
        return values

    @property
    def error(self) -> str:
        """The name of the first quantity behind the cost that everything follows from."""
        return f"{self.output.name}.{'delta' if self.fused else 'upstream'}"

    def scaled(self, name: str, factor: float) -> Rule:
        """The right rule of a name, times a factor."""
        rule = self.rules[name]
        return lambda v: factor * rule(v)

    def times(self, factor: float, *names: str) -> dict[str, Rule]:
        """The right rules of these names times a factor; of a name that there is none of, none."""
        return {name: self.scaled(name, factor) for name in names if name in self.rules}

    def gradients(self, *keys: str) -> Iterator[str]:
        """The names of all gradients of `weight`, `bias` or both."""
        return (f"{p}_gradient" for p in self.parameters if p.split(".")[-1] in keys)

    def updates(self, *keys: str) -> Iterator[str]:
        """The names of all updates of `weight`, `bias` or both."""
        return (f"{p}_update" for p in self.parameters if p.split(".")[-1] in keys)

    def below(self, layer: LayerTrace) -> LayerTrace | None:
        """The layer before it with a z, if nothing but a flatten layer is between."""
        k = self.trace.layers.index(layer) - 1
        while k >= 0 and self.trace.layers[k].type == "flatten":
            k -= 1
        return self.trace.layers[k] if k >= 0 and self.trace.layers[k].z is not None else None


def everywhere(changes: Iterable[Change]) -> list[Change]:
    """The changes, and of each way that has several places the one that is made at all of them.

    Of more than two also those at all but the last (in all hidden layers) and all but the first.
    """
    found = list(changes)
    ways: dict[str, list[Change]] = {}
    for change in found:
        ways.setdefault(change.way, []).append(change)
    for way, same in ways.items():
        if len(same) > 1 and all(change.place for change in same):
            found.insert(0, _together(way, "", same))
        if len(same) > 2 and all(change.place for change in same):
            for some in (same[:-1], same[1:]):
                found.append(_together(way, ", ".join(change.place for change in some), some))
    return found


def _together(way: str, place: str, changes: Sequence[Change]) -> Change:
    """Changes made at once, at `place`."""
    rules = {name: rule for change in changes for name, rule in change.rules.items()}
    return Change(way, place, rules, changes[0].ratio)


def flat_like(array: Array, like: Array) -> Array:
    """The same numbers in the shape of another array, samples first."""
    return array.reshape(like.shape)
