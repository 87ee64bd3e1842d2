"""What a spec says of the columns of a table: `ignore` and `columns` under `data`."""

import codecs
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

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
from nncli.spec.words import describe, suggestion

SEPARATOR_OF = {"tab": "\t", "blank": " "}  # what has a word in a spec
SEPARATORS = (",", ";", "|", "tab", "blank")
DECIMALS = (".", ",")
THOUSANDS = (",", ".", "'", " ")
UTF_8 = "utf-8"
# Those that files have; Python has more names for them.
ENCODINGS = (
    *(UTF_8, "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii"),
    *("latin-1", *(f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16))),
    *(f"cp125{n}" for n in range(9)),
    *("cp437", "cp850", "cp852", "cp866", "mac-roman", "koi8-r", "koi8-u"),
    *("gbk", "gb18030", "big5", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949"),
)
KINDS = ("number", "boolean", "category", "date", "hash", "ignore")  # that a word alone asks for
FILLS = ("median", "mean", "most_frequent", "drop", "refuse")
MOST_BUCKETS = 1000
COLUMN_KEYS = ("as", "ordinal", "hash", "date", "missing", "indicator")
EXAMPLE = "a kind of column, or a mapping such as {missing: median}"


def normal(written: str | Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a column, in one form: as, order, buckets, format, missing, indicator."""
    if isinstance(written, str):
        return {"as": written}
    said = {key: written[key] for key in ("as", "missing", "indicator") if key in written}
    for kind, key in (("ordinal", "order"), ("hash", "buckets"), ("date", "format")):
        if kind in written:
            said.setdefault("as", kind)
            said[key] = written[kind]
    return said


def _column(value: Any) -> str | dict[str, Any]:
    if isinstance(value, str):
        return _kind(value)
    if not isinstance(value, dict) or not value:
        raise unexpected(EXAMPLE, value)
    said = {}
    for key, entry in value.items():
        if key not in COLUMN_KEYS:
            raise wrong(f"unknown key {describe(key)}; {suggestion(str(key), COLUMN_KEYS)}", (key,))
        said[key] = _CHECKS[key](entry)
    kinds = [key for key in ("ordinal", "hash", "date") if key in said]
    if len(kinds) > 1 or (kinds and said.get("as", kinds[0]) not in _MAY_BE[kinds[0]]):
        names = " and ".join(kinds if len(kinds) > 1 else [f"as: {said['as']}", kinds[0]])
        raise wrong(f"{names} are two kinds of column; keep one")
    return said


_MAY_BE = {"ordinal": ("ordinal",), "hash": ("hash",), "date": ("date", "number")}


def _kind(value: Any) -> str:
    if value == "ordinal":
        raise wrong("ordinal needs its words in order, as in {ordinal: [low, mid, high]}")
    if value not in KINDS:
        raise unknown_word(value, (*KINDS, "ordinal"))
    return str(value)


def _order(value: Any) -> tuple[str, ...]:
    items = listed(value)
    if items is None or len(items) < 2:
        raise unexpected("at least 2 words in their order", value, ("ordinal",))
    for i, word in enumerate(items):
        if not isinstance(word, str) and not (is_number(word) and type(word) in (int, float)):
            raise unexpected("a word; put it in quotes", word, ("ordinal", i))
    words = tuple(str(word) for word in items)
    for i, word in enumerate(words):
        if word in words[:i]:
            raise wrong(f"{describe(word)} is given twice; keep one", ("ordinal", i))
    return words


def _buckets(value: Any) -> int:
    if not is_integer(value, 2) or value > MOST_BUCKETS:
        raise unexpected(f"a number of features from 2 to {MOST_BUCKETS}", value, ("hash",))
    return int(value)


def _format(value: Any) -> str:
    if not isinstance(value, str) or "%" not in value:
        raise unexpected('a form of date such as "%d.%m.%Y"', value, ("date",))
    return value


def _missing(value: Any) -> float | str:
    if is_number(value) and math.isfinite(value):
        return float(value)
    if not isinstance(value, str) or value not in FILLS:
        raise unknown_word(value, (*FILLS, "a number"), ("missing",))
    return value


def _indicator(value: Any) -> bool:
    if not isinstance(value, bool):
        raise unexpected("true or false", value, ("indicator",))
    return value


_CHECKS = {
    "as": _kind,
    "ordinal": _order,
    "hash": _buckets,
    "date": _format,
    "missing": _missing,
    "indicator": _indicator,
}


def _columns(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise unexpected("a mapping from columns to what they are, such as {sex: category}", value)
    made: dict[str, Any] = {}
    for name, said in value.items():
        try:
            made[str(name)] = _column(said)
        except Exception as error:
            raise _below(error, name) from None
    return made


def _below(error: Exception, name: Any) -> Exception:
    """The same mistake, placed below the column's name."""
    context = getattr(error, "context", None)
    if not context or "at" not in context:
        return error
    return wrong(context["message"], (name, *context["at"]))


def _ignored(value: Any) -> tuple[str | int, ...]:
    items: Sequence[Any] | None = [value] if isinstance(value, str | int) else listed(value)
    if not items or isinstance(value, bool):
        raise unexpected("columns by name, index or pattern, in a list", value)
    for i, item in enumerate(items):
        if type(item) is not int and not (isinstance(item, str) and item):
            raise unexpected("a column's name, index or pattern", item, (i,))
        if item in items[:i]:
            raise wrong(f"{describe(item)} is given twice; keep one", (i,))
    return tuple(items)


def _encoding(value: Any) -> str:
    known = {codecs.lookup(name).name for name in ENCODINGS}
    try:
        found = codecs.lookup(value).name if isinstance(value, str) and value.isascii() else ""
    except (LookupError, ValueError):
        found = ""
    if found.removesuffix("-sig") not in known:
        raise unexpected("an encoding such as utf-8, latin-1, cp1252 or utf-16", value)
    return UTF_8 if found.startswith(UTF_8) else str(value)


def _comment(value: Any) -> str:
    is_mark = isinstance(value, str) and 0 < len(value) <= LONGEST_MARK and value.isprintable()
    if not is_mark or any(c.isalnum() or c in "\"' \t.,+-" for c in value):
        raise unexpected('what begins a comment, such as "%" or "//"', value)
    return str(value)


LONGEST_MARK = 8

_NAME: JsonSchema = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}
_RULE: JsonSchema = {
    "anyOf": [
        {"enum": list(KINDS)},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "as": {"enum": list(KINDS), "description": "What kind of column it is."},
                "ordinal": {
                    "type": "array",
                    "minItems": 2,
                    "uniqueItems": True,
                    "items": {"type": ["string", "number"]},
                    "description": "Its words in their order: they become 0, 1, 2, ...",
                },
                "hash": {
                    "type": "integer",
                    "minimum": 2,
                    "maximum": MOST_BUCKETS,
                    "description": "How many features its words share.",
                },
                "date": {
                    "type": "string",
                    "description": "The form of its dates, such as %d.%m.%Y.",
                },
                "missing": {
                    "anyOf": [{"enum": list(FILLS)}, {"type": "number"}],
                    "description": "What stands in for a gap; drop leaves the row out, refuse "
                    "makes a gap a mistake.",
                },
                "indicator": {
                    "type": "boolean",
                    "description": "Whether a feature of its own tells where gaps were.",
                },
            },
        },
    ]
}

Ignored = Annotated[
    tuple[str | int, ...] | None,
    PlainValidator(lambda value: None if value is None else _ignored(value)),
    any_of(_NAME, {"type": "array", "items": _NAME, "minItems": 1, "uniqueItems": True}, NULL),
]
Columns = Annotated[
    dict[str, Any] | None,
    PlainValidator(lambda value: None if value is None else _columns(value)),
    any_of({"type": "object", "minProperties": 1, "additionalProperties": _RULE}, NULL),
]
Encoding = Annotated[
    str | None,
    PlainValidator(lambda value: None if value is None else _encoding(value)),
    any_of({"type": "string", "examples": list(ENCODINGS)}, NULL),
]
Comment = Annotated[
    str | None,
    PlainValidator(lambda value: None if value is None else _comment(value)),
    any_of({"type": "string", "minLength": 1, "maxLength": LONGEST_MARK}, NULL),
]
