"""The conditions of a spec, `expect` and `break`: their models, presets, and what is wrong in them.

The language of conditions is `nncli.core.expressions`; which names there are says `binding`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from nncli.core.expressions import ExpressionError, Node, parse
from nncli.spec import values
from nncli.spec.binding import PRESET_WORDS, bind, epoch_names, held_in
from nncli.spec.nodes import Problem
from nncli.spec.values import Model, listed, unexpected, word, wrong
from nncli.spec.words import KeyPath, describe

At = Literal["step", "epoch", "end"]
Action = Literal["warn", "stop", "trace", "page"]
ACTIONS: tuple[Action, ...] = ("warn", "stop", "trace", "page")
COUNTS = ("after", "for", "every")
TIMES = (*COUNTS, "at")
MOST = 200  # conditions of a kind
EXAMPLE = "a condition such as all.delta_norm > 1e-6"


def _actions(value: Any) -> Any:
    words = [value] if isinstance(value, str) else listed(value)
    if not words:
        raise unexpected(f"one or more of {', '.join(ACTIONS)}", value)
    for k, action in enumerate(words):
        if action not in ACTIONS:
            raise values.unknown_word(action, ACTIONS, () if isinstance(value, str) else (k,))
    return tuple(dict.fromkeys(words))


Actions = Annotated[
    tuple[Action, ...],
    BeforeValidator(_actions),
    values.any_of(
        {"enum": [*ACTIONS]}, {"type": "array", "items": {"enum": [*ACTIONS]}, "minItems": 1}
    ),
]
Text = Annotated[str, Field(strict=True, min_length=1), values.expected(EXAMPLE)]


class ConditionSpec(Model):
    """A condition, and when it is looked at.

    Attributes:
        key: where in a spec it stands.
        counted: what `after`, `for` and `every` count.
    """

    key: ClassVar[Literal["expect", "break"]] = "expect"

    that: Text = Field(
        description="The condition, or a preset: healthy.", examples=["all.delta_norm > 1e-6"]
    )
    after: values.CountOrZero = Field(
        0, description="Steps (or epochs, at: epoch) that it is not looked at."
    )
    for_: values.Count = Field(
        1, alias="for", description="How many times in a row it has to be so, to count."
    )
    every: values.Count = Field(1, description="It is looked at every so many steps, or epochs.")
    at: Annotated[At, word(At)] = Field(
        "step",
        description="When it is looked at. By default epoch, where it names a quantity of epochs.",
    )
    do: Actions = Field(("warn",), description="What is done when it fails, the first time.")

    @model_serializer(mode="wrap")
    def _by_key(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump = {"for" if key == "for_" else key: value for key, value in handler(self).items()}
        without = TIMES if self.that in PRESETS else COUNTS if self.at == "end" else ()
        return {key: value for key, value in dump.items() if key not in without}


class ExpectSpec(ConditionSpec):
    """What is to hold."""


class BreakSpec(ConditionSpec):
    """What the training stops at."""

    key = "break"

    do: Actions = Field(("stop", "trace"), description="What is done there, besides stopping.")


class Preset(NamedTuple):
    """Conditions by one word: those of a network that learns."""

    meaning: str
    conditions: tuple[dict[str, Any], ...]


PRESETS: dict[str, Preset] = {
    "healthy": Preset(
        "the signs of a network that learns",
        (
            # Some times in a row: one mini-batch may be odd. Signals are compared with that of the
            # outputs: all of them end where a network has learnt its samples.
            {"that": "hidden.delta_norm > 0.01 * last.delta_norm", "for": 5, "every": 20},
            {"that": "hidden.delta_norm < 100 * last.delta_norm", "for": 5, "every": 20},
            {"that": "hidden.dead < 0.9", "for": 5, "every": 20},
            {"that": "all.relative_update < 0.3", "for": 5, "every": 20},
            {"that": "train_cost < 0.99 * untrained_cost", "at": "end"},
        ),
    )
}
assert tuple(PRESETS) == PRESET_WORDS


def _entries(value: Any) -> Any:
    items = [value] if isinstance(value, str | dict | Model) else listed(value)
    if items is None:
        raise unexpected(f"{EXAMPLE}, or a list of them", value)
    if len(items) > MOST:
        raise wrong(f"{len(items)} conditions are too many; the most is {MOST}")
    return items


def _entry(value: Any) -> Any:
    if isinstance(value, str):
        value = {"that": value}
    if isinstance(value, Model):
        return value
    if not isinstance(value, dict):
        message = f"expected {EXAMPLE}, or a mapping {{that: ..., after: 100}}, got"
        raise wrong(f"{message} {describe(value)}")
    if "at" not in value and isinstance(value.get("that"), str):
        try:
            is_of_epochs = any(epoch_names(parse(value["that"])))
        except ExpressionError:  # which `mistakes` says
            return value
        return {**value, "at": "epoch"} if is_of_epochs else value
    return value


Expectations = Annotated[
    tuple[Annotated[ExpectSpec, BeforeValidator(_entry)], ...], BeforeValidator(_entries)
]
Breaks = Annotated[
    tuple[Annotated[BreakSpec, BeforeValidator(_entry)], ...], BeforeValidator(_entries)
]


# What is wrong in them


class _Written(NamedTuple):
    """A condition as a spec's plain values have it: where its text stands, and its options."""

    key: str
    path: KeyPath
    text: str
    options: dict[str, Any]

    def option_path(self, key: str) -> KeyPath:
        return (*self.path[:-1], key)


def condition_mistakes(data: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with the conditions of a spec, from its plain values."""
    held = held_in(data)
    for written in _written(data):
        if written.text in PRESETS:
            yield from _preset_mistakes(written)
            continue
        try:
            tree = parse(written.text)
        except ExpressionError as error:
            yield Problem(written.path, error.message, offset=error.at)
            continue
        _, found = bind(tree, held)
        for wrong_name in found:
            yield Problem(written.path, wrong_name.message, offset=wrong_name.at)
        yield from _time_mistakes(written, tree)


def _written(data: dict[str, Any]) -> Iterator[_Written]:
    for model in (ExpectSpec, BreakSpec):
        for k, entry in enumerate(listed(data.get(model.key)) or ()):
            path: KeyPath = (model.key, k)
            if isinstance(entry, str) and entry:
                yield _Written(model.key, path, entry, {})
            elif isinstance(entry, dict) and isinstance(entry.get("that"), str) and entry["that"]:
                yield _Written(model.key, (*path, "that"), entry["that"], entry)


def _preset_mistakes(written: _Written) -> Iterator[Problem]:
    if written.key == "break":
        message = f"{written.text} is for expect; name what the training is to stop at"
        yield Problem(written.path, message)
    for key in TIMES:
        if key in written.options:
            message = f"the preset {written.text} has times of its own; leave '{key}' out"
            yield Problem(written.option_path(key), message, at_key=True)


def _time_mistakes(written: _Written, tree: Node) -> Iterator[Problem]:
    at = written.options.get("at")
    if at == "step":
        for name in epoch_names(tree):
            message = f"{name} is there at the end of an epoch; write at: epoch"
            yield Problem(written.path, message, offset=name.at)
    if at == "end":
        for key in COUNTS:
            if key in written.options:
                message = f"a condition at the end is looked at once; leave '{key}' out"
                yield Problem(written.option_path(key), message, at_key=True)
        if written.key == "break":
            yield Problem(written.option_path("at"), "at the end there is nothing left to stop")


# What a training takes


class BoundCondition(NamedTuple):
    """A condition whose names are bound.

    Attributes:
        path: of the condition in its spec.
        that: its text; that of a preset's own.
        tree: its comparisons, all. and any. written out layer by layer.
        entry: its options.
    """

    path: KeyPath
    that: str
    tree: Node
    entry: ConditionSpec


def bound_conditions(
    dump: dict[str, Any], entries: tuple[ConditionSpec, ...]
) -> Iterator[BoundCondition]:
    """The conditions of a checked spec, presets written out.

    Args:
        dump: the spec's plain values.
    """
    held = held_in(dump)
    for k, entry in enumerate(entries):
        path: KeyPath = (entry.key, k)
        preset = PRESETS.get(entry.that)
        if preset is None:
            yield BoundCondition(path, entry.that, bind(parse(entry.that), held)[0], entry)
            continue
        for options in preset.conditions:
            own = type(entry).model_validate(_entry({**options, "do": entry.do}))
            tree, found = bind(parse(own.that), held)
            if not found:  # what it says of hidden layers is nothing, where there are none
                yield BoundCondition(path, own.that, tree, own)


def preset_lines() -> Iterator[tuple[str, str, list[str]]]:
    """Each preset: its word, its meaning, its conditions as a spec has them."""
    for key, preset in PRESETS.items():
        yield key, preset.meaning, [_line(options) for options in preset.conditions]


def _line(options: dict[str, Any]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in options.items())}}}"
