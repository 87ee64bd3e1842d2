"""What the columns of a table mean: target, classes, scale."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import PlainValidator

from nncli.spec.values import (
    NULL,
    JsonSchema,
    any_of,
    is_integer,
    is_number,
    listed,
    unexpected,
    unknown_word,
    wrong,
)
from nncli.spec.words import describe

MOST_CLASSES = 100_000


def _column(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and bool(value))


def _target(value: Any) -> str | int | tuple[str | int, ...]:
    if _column(value):
        return value  # type: ignore[no-any-return]
    items = listed(value)
    if not items or not all(map(_column, items)):
        raise unexpected("a column's name or index, or a list of them", value)
    _refuse_twins(items)
    return tuple(items)


def _classes(value: Any) -> int | str | tuple[str, ...]:
    if type(value) is int and value > MOST_CLASSES:
        raise unexpected(f"at most {MOST_CLASSES} classes", value)
    if value == "none" or is_integer(value, 2):
        return value  # type: ignore[no-any-return]
    items = listed(value)
    if items is None or len(items) < 2:
        raise unexpected("at least 2 classes: their number, a list of names, or none", value)
    for i, name in enumerate(items):
        if not isinstance(name, str):
            raise wrong(f"expected a name, got {describe(name)}; put it in quotes", (i,))
    _refuse_twins(items)
    return tuple(items)


def _refuse_twins(items: Sequence[Any]) -> None:
    seen: set[Any] = set()
    for i, item in enumerate(items):
        if item in seen:
            raise wrong(f"{describe(item)} is given twice; keep one", (i,))
        seen.add(item)


def _scale(value: Any) -> float | str:
    words = ("minmax", "standard", "none")
    if isinstance(value, str):
        if value not in words:
            raise unknown_word(value, (*words, "a positive number"))
        return value
    if not is_number(value) or value <= 0:
        raise unexpected("a positive number, minmax, standard or none", value)
    return float(value)


_STRING: JsonSchema = {"type": "string", "minLength": 1}
_INTEGER: JsonSchema = {"type": "integer"}
_DISTINCT: JsonSchema = {"type": "array", "uniqueItems": True}

Target = Annotated[
    str | int | tuple[str | int, ...] | None,
    PlainValidator(lambda value: None if value is None else _target(value)),
    any_of(
        _STRING,
        _INTEGER,
        {**_DISTINCT, "items": {"anyOf": [_STRING, _INTEGER]}, "minItems": 1},
        NULL,
    ),
]
Classes = Annotated[
    int | Literal["none"] | tuple[str, ...] | None,
    PlainValidator(lambda value: None if value is None else _classes(value)),
    any_of(
        {"type": "integer", "minimum": 2, "maximum": MOST_CLASSES},
        {**_DISTINCT, "items": {"type": "string"}, "minItems": 2},
        {"const": "none"},
        NULL,
    ),
]
Scale = Annotated[
    float | Literal["minmax", "standard", "none"],
    PlainValidator(_scale),
    any_of({"type": "number", "exclusiveMinimum": 0}, {"enum": ["minmax", "standard", "none"]}),
]
