"""Paths, and lists of numbers or labels written in the spec itself."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from nncli.core.text import count_of, quote
from nncli.spec.values import (
    NULL,
    NUMBER,
    PATH,
    JsonSchema,
    any_of,
    check_path,
    is_number,
    listed,
    unexpected,
    wrong,
)
from nncli.spec.words import KeyPath

Inline = tuple[Any, ...]  # numbers nested to some depth, regular


def _depth(value: Any) -> int:
    depth = 0
    while (items := listed(value)) is not None:
        depth += 1
        if not items:
            break
        value = items[0]
    return depth


def _regular(value: Any, depth: int, leaf: Callable[[Any, KeyPath], Any]) -> Inline:
    """`value` as tuples nested `depth` deep, every list as long as its first sibling."""
    lengths: list[int] = []

    def walk(items: Any, at: KeyPath) -> Inline:
        level = len(at)
        if listed(items) is None:
            raise unexpected("a list, as its first neighbour is", items, at)
        if level == len(lengths):
            lengths.append(len(items))
        if not items:
            raise wrong("expected at least one value, got an empty list", at)
        if len(items) != lengths[level]:
            values = count_of(lengths[level], "value")
            message = f"expected {values}, as in the first such list, got {len(items)}"
            raise wrong(message, at)
        if level == depth - 1:
            return tuple(leaf(item, (*at, i)) for i, item in enumerate(items))
        return tuple(walk(item, (*at, i)) for i, item in enumerate(items))

    return walk(value, ())


def _number_leaf(value: Any, at: KeyPath) -> float:
    if not is_number(value):
        raise unexpected("a finite number", value, at)
    return float(value)


def _as_written(value: Any, at: KeyPath) -> int | float:
    """A number of a target: an integer stays one, since integers may be classes."""
    if not is_number(value):
        raise unexpected("a finite number", value, at)
    return value  # type: ignore[no-any-return]


def _label(value: Any, at: KeyPath) -> str:
    if not isinstance(value, str):
        raise unexpected("a string, as the first label is", value, at)
    return value


def _list_or_path(depths: Sequence[int], what: str) -> Callable[[Any], str | Inline]:
    def check(value: Any) -> str | Inline:
        if isinstance(value, str):
            return check_path(value)
        depth = _depth(value)
        if depth not in depths:
            raise unexpected(what, value)
        return _regular(value, depth, _number_leaf)

    return check


def _targets(value: Any) -> str | Inline:
    if isinstance(value, str):
        return check_path(value)
    depth = _depth(value)
    if depth not in (1, 2):
        raise unexpected("a path, a list of labels, or a list of rows of numbers", value)
    labels = depth == 1 and bool(value) and isinstance(value[0], str)
    return _regular(value, depth, _label if labels else _as_written)


def _dense_weights(value: Any) -> str | Inline | None:
    return None if value is None else _rows_or_path(value)


def _conv_weights(value: Any) -> str | Inline | None:
    return None if value is None else _filters_or_path(value)


_TRUTHS = {"yes": "true", "on": "true", "true": "true"}
_TRUTHS |= {"no": "false", "off": "false", "false": "false"}


def _path_or_none(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise unexpected("a path", value)
    return check_path(value)


def _bias(value: Any) -> bool | str | Inline:
    if isinstance(value, str) and value.lower() in _TRUTHS:
        truth = _TRUTHS[value.lower()]
        how = f"{truth} without quotes" if value.lower() == truth else truth
        raise wrong(f"YAML 1.2 reads {quote(value)} as a word; write {how}")
    return value if isinstance(value, bool) else _values_or_path(value)


_inputs = _list_or_path((2, 3, 4), "a path or a list of rows of numbers")
_rows_or_path = _list_or_path((2,), "a path, or a list of rows with a number for each unit")
_filters_or_path = _list_or_path(
    (4,), "a path, or numbers nested as filters x channels x rows x columns"
)
_values_or_path = _list_or_path((1,), "true, false, a list of numbers, or a path")


def _nested(depth: int, leaf: JsonSchema) -> JsonSchema:
    for _ in range(depth):
        leaf = {"type": "array", "items": leaf, "minItems": 1}
    return leaf


Inputs = Annotated[
    str | Inline,
    PlainValidator(_inputs),
    any_of(PATH, *(_nested(depth, NUMBER) for depth in (2, 3, 4))),
]
Targets = Annotated[
    str | Inline,
    PlainValidator(_targets),
    any_of(PATH, _nested(1, {"type": "string"}), _nested(1, NUMBER), _nested(2, NUMBER)),
]
DenseWeights = Annotated[
    str | Inline | None, PlainValidator(_dense_weights), any_of(PATH, _nested(2, NUMBER), NULL)
]
ConvWeights = Annotated[
    str | Inline | None, PlainValidator(_conv_weights), any_of(PATH, _nested(4, NUMBER), NULL)
]
PathOrNone = Annotated[str | None, PlainValidator(_path_or_none), any_of(PATH, NULL)]
Bias = Annotated[
    bool | str | Inline,
    PlainValidator(_bias),
    any_of({"type": "boolean"}, PATH, _nested(1, NUMBER)),
]


def _path_to_table(value: Any) -> str:
    if not isinstance(value, str):
        raise unexpected("a path or {inputs: ..., targets: ...}", value)
    return check_path(value)


# `0.2`, `20%`, `0,2`, `0.5=3`: a share gone wrong rather than the name of a file.
_LIKE_A_SHARE = re.compile(r"[-+]?[\d.,][\d.,\s%=]*(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)


def _share_or_path(value: Any) -> float | str:
    quotes = ""
    if isinstance(value, str):
        if not any(map(str.isdigit, value)) or not _LIKE_A_SHARE.fullmatch(value.strip()):
            return check_path(value)
        quotes = " (written without quotes)"
    if isinstance(value, str) or not is_number(value) or not 0 < value < 1:
        what = f"a share between 0 and 1{quotes}, a path, or {{inputs: ..., targets: ...}}"
        raise unexpected(what, value)
    return float(value)


TablePath = Annotated[str, PlainValidator(_path_to_table), WithJsonSchema(PATH)]
ShareOrPath = Annotated[
    float | str,
    PlainValidator(_share_or_path),
    any_of({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, PATH),
]
