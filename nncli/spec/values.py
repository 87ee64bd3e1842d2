"""The kinds of value that a spec's fields take, each with the words for what it expects.

Every mistake becomes a PydanticCustomError of our own wording. Its context may carry `at`, the
path below the field to blame, so that the third row of a matrix is reported at the third row.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from nncli.core.text import quote
from nncli.spec.words import KeyPath, describe, in_latin, look_alikes, one_of, suggestion

LARGEST = 10**9

JsonSchema = dict[str, Any]

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f]")


def wrong(message: str, at: KeyPath = ()) -> PydanticCustomError:
    return PydanticCustomError("spec", "{message}", {"message": message, "at": at})


def unexpected(what: str, value: object, at: KeyPath = ()) -> PydanticCustomError:
    return wrong(f"expected {what}, got {describe(value)}", at)


def expected(what: str, most: float = math.inf) -> WrapValidator:
    """Whatever the type's own validation objects to is reported in these words."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except (ValidationError, OverflowError):
            if type(value) is int and value > most:
                raise wrong(f"{describe(value)} is too large; the most is {most}") from None
            raise unexpected(what, value) from None

    return WrapValidator(check)


def word(literal: Any) -> WrapValidator:
    """One of a Literal's words, the nearest of which is suggested."""
    known = get_args(literal)

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise unknown_word(value, known) from None

    return WrapValidator(check)


def unknown_word(value: Any, known: Sequence[str], at: KeyPath = ()) -> PydanticCustomError:
    if not isinstance(value, str):
        return unexpected(f"a word ({', '.join(known)})", value, at)
    alike = look_alikes(value)
    return wrong(f"{quote(value)}{alike} is not known; {suggestion(value, known)}", at)


def among(known: Sequence[str]) -> PlainValidator:
    """One of some words, the nearest of which is suggested."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise unknown_word(value, known)
        return value

    return PlainValidator(check)


def enum(known: Sequence[str]) -> WithJsonSchema:
    return WithJsonSchema({"enum": [*known], "type": "string"})


def is_integer(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= LARGEST


def refuse_too_large(value: object) -> None:
    """Raises for a size beyond all others, alone or in a list."""
    items = listed(value)
    for i, size in enumerate([value] if items is None else items):
        if type(size) is int and size > LARGEST:
            at = () if items is None else (i,)
            raise wrong(f"{describe(size)} is too large; the most is {LARGEST}", at)


def is_number(value: object) -> bool:
    if type(value) is int:
        return value.bit_length() <= 1000  # float() overflows soon after
    return type(value) is float and math.isfinite(value)


def listed(value: object) -> Sequence[Any] | None:
    return value if isinstance(value, list | tuple) else None


PATH: JsonSchema = {"type": "string", "minLength": 1}
NUMBER: JsonSchema = {"type": "number"}
NULL: JsonSchema = {"type": "null"}


def any_of(*schemas: JsonSchema) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


# Plain numbers and words

Count = Annotated[
    int, Field(strict=True, ge=1, le=LARGEST), expected("a positive integer", LARGEST)
]
CountOrZero = Annotated[
    int,
    Field(strict=True, ge=0, le=LARGEST),
    expected("an integer that is not negative", LARGEST),
]
Seed = Annotated[int, Field(strict=True, ge=0), expected("an integer that is not negative")]
Flag = Annotated[bool, Field(strict=True), expected("true or false")]
MOST_THREADS = 256


def _threads(value: Any) -> Literal["auto"] | int:
    if value == "auto":
        return "auto"
    if isinstance(value, str):
        raise unknown_word(value, ("auto", "a positive integer"))
    if type(value) is not int or value < 1:
        raise unexpected("auto or a positive integer", value)
    if value > MOST_THREADS:
        raise wrong(f"{describe(value)} is too large; the most is {MOST_THREADS}")
    return value


Threads = Annotated[
    Literal["auto"] | int,
    PlainValidator(_threads),
    any_of({"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": MOST_THREADS}),
]


def number_or_none(least: float, most: float) -> PlainValidator:
    what = "a number that is not negative" if least == 0 else f"a number of at least {least:g}"
    if math.isfinite(most):
        what = f"a number from {least:g} to {most:g}"

    def check(value: Any) -> float | None:
        if value is None:
            return None
        if not is_number(value) or not least <= value <= most:
            raise unexpected(what, value)
        return float(value)

    return PlainValidator(check)


def range_schema(least: float, most: float) -> WithJsonSchema:
    bounds = {"minimum": least, **({"maximum": most} if math.isfinite(most) else {})}
    return WithJsonSchema({**NUMBER, **bounds})


_FINITE = Field(strict=True, allow_inf_nan=False)
Positive = Annotated[float, _FINITE, Field(gt=0), expected("a positive number")]
NotNegative = Annotated[float, _FINITE, Field(ge=0), expected("a number that is not negative")]
Momentum = Annotated[
    float, _FINITE, Field(ge=0, lt=1), expected("a number from 0 up to, but not including, 1")
]
Share = Annotated[float, _FINITE, Field(ge=0, le=1), expected("a number from 0 to 1")]
Rate = Annotated[float, _FINITE, Field(ge=0, lt=1), expected("a number from 0, below 1")]
Decay = Annotated[float, _FINITE, Field(gt=0, le=1), expected("a number above 0 and at most 1")]


def check_path(value: str) -> str:
    if not value:
        raise wrong("expected a path, got an empty string")
    # Any other character may be in the name of a file.
    if "\0" in value:
        raise wrong(f"{quote(value)} holds a NUL character; take it out")
    return value


def _folder_name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise unexpected("a name", value)
    slash = re.search(r"[/\\]", value)
    if slash is not None:
        why = f"holds '{slash.group()}', so it"
    elif len(value) > 100:
        why = "is longer than 100 characters, so it"
    elif _UNPRINTABLE.search(value):
        why = "holds a control character, so it"
    elif value in (".", ".."):
        why = "is a folder already and"
    else:
        return value
    raise wrong(f"{quote(value)} {why} cannot be the name of a run folder; use a short plain word")


Name = Annotated[
    str,
    PlainValidator(_folder_name),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[^/\\\x00-\x1f]+$"}
    ),
]


# Sizes of windows


def _pair_of(least: int, what: str) -> Callable[[Any], tuple[int, int]]:
    def check(value: Any) -> tuple[int, int]:
        if is_integer(value, least):
            return (value, value)
        items = listed(value)
        if items is not None and len(items) == 2 and all(is_integer(i, least) for i in items):
            return (items[0], items[1])
        refuse_too_large(value)
        raise unexpected(f"{what} or [rows, columns]", value)

    return check


def _pair_schema(least: int, *more: JsonSchema) -> WithJsonSchema:
    integer = {"type": "integer", "minimum": least}
    pair = {"type": "array", "items": integer, "minItems": 2, "maxItems": 2}
    return WithJsonSchema({"anyOf": [*more, integer, pair]})


_size = _pair_of(1, "a positive integer")
_padding_size = _pair_of(0, "valid, same, same_upper, an integer that is not negative")
_side = _pair_of(0, "an integer that is not negative")


def _size_or_none(value: Any) -> tuple[int, int] | None:
    return None if value is None else _size(value)


PADDINGS = ("valid", "same", "same_upper")


def _padding(value: Any) -> str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(value, str):
        if value not in PADDINGS:
            raise unknown_word(value, (*PADDINGS, "an integer", "[rows, columns]"))
        return value
    sides = listed(value)
    if sides is not None and len(sides) == 2 and any(listed(side) is not None for side in sides):
        return (_side(sides[0]), _side(sides[1]))
    return _padding_size(value)


_WIDTH: JsonSchema = {"type": "integer", "minimum": 0}
_SIDES: JsonSchema = {
    "type": "array",
    "items": {"type": "array", "items": _WIDTH, "minItems": 2, "maxItems": 2},
    "minItems": 2,
    "maxItems": 2,
}
Size = Annotated[tuple[int, int], PlainValidator(_size), _pair_schema(1)]
SizeOrNone = Annotated[
    tuple[int, int], PlainValidator(_size_or_none), _pair_schema(1, {"type": "null"})
]
Padding = Annotated[
    str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]],
    PlainValidator(_padding),
    _pair_schema(0, {"enum": [*PADDINGS]}, _SIDES),
]


def _image_shape(value: Any) -> tuple[int, int, int]:
    items = listed(value)
    if items is None or len(items) != 3 or not all(is_integer(i, 1) for i in items):
        refuse_too_large(value)
        raise unexpected("[channels, rows, columns], three positive integers", value)
    return (items[0], items[1], items[2])


Shape = Annotated[
    tuple[int, int, int],
    PlainValidator(_image_shape),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "minItems": 3,
            "maxItems": 3,
        }
    ),
]


# Models, and unions of them that `type` tells apart


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def tag(kind: str) -> str:
    """The tag of a union's member, in brackets: `problems` tells it from a file's own keys."""
    return f"<{kind}>"


def tag_by_type(value: Any) -> str:
    """The tag of the model that a mapping (or a model) is meant for, by its `type`."""
    return tag(value["type"] if isinstance(value, dict) else value.type)


def known_kind(example: str, *kinds: str) -> BeforeValidator:
    """Looks at `type` before pydantic picks a model by it, to put an unknown one in our words."""

    def check(value: Any) -> Any:
        if isinstance(value, Model):
            return value
        if not isinstance(value, dict):
            raise wrong(f"expected a mapping such as {example}, got {describe(value)}")
        if "type" not in value:
            meant = (key for key in value if isinstance(key, str) and in_latin(key) == "type")
            others = "".join(f"; {quote(key)}{look_alikes(key)} is another key" for key in meant)
            raise wrong(f"missing; expected {one_of(kinds)}{others}", ("type",))
        if value["type"] not in kinds:
            raise unknown_word(value["type"], kinds, ("type",))
        return value

    return BeforeValidator(check)


def union_by_type(models: Mapping[str, type[Model]], example: str) -> Any:
    """A field that holds one of `models`, told apart by `type`.

    Args:
        models: by their `type`.
        example: of a mapping, for messages.
    """
    members = (Annotated[model, Tag(tag(kind))] for kind, model in models.items())
    return Annotated[reduce(or_, members), Discriminator(tag_by_type), known_kind(example, *models)]
