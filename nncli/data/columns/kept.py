"""Rules of columns as a run folder keeps them, read again and looked at for damage."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from nncli.core.errors import Malformed
from nncli.core.text import quote
from nncli.data.columns.kinds import FILLS, KINDS, MOST_BUCKETS, Date, Hash, Rule
from nncli.data.columns.words import date_parts


def rule_from(plain: Mapping[str, Any]) -> Rule:
    """The rule that `as_plain` has put in plain words.

    Raises KeyError, TypeError or ValueError where it is damaged.
    """
    kind = KINDS.get(plain["kind"])
    if kind is None:
        raise Malformed(f"its columns are of an unknown kind {quote(str(plain['kind']))}")
    known = {}
    for field in fields(kind):
        value = plain[field.name]
        if field.type in ("tuple[str, ...]", tuple[str, ...]):
            if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
                raise Malformed(f"its {field.name} of a column is not a list of words")
            value = tuple(value)
        known[field.name] = value
    rule = kind(**known)
    _check(rule)
    return rule


def _check(rule: Rule) -> None:
    texts = (rule.name, rule.why, getattr(rule, "format", ""))
    fills = rule.missing in FILLS or isinstance(rule.missing, float | int)
    is_sound = (
        all(isinstance(text, str) for text in texts)
        and type(rule.indicator) is bool
        and (isinstance(rule.missing, float | int) or rule.missing in rule.fills)
        and (isinstance(rule.fill, float | int) and math.isfinite(rule.fill) if fills else True)
        and (not isinstance(rule, Hash) or _is_count(rule.buckets, MOST_BUCKETS))
        and (not isinstance(rule, Date) or set(rule.parts) <= {*date_parts(np.zeros(1))})
    )
    if not is_sound or not rule.features:
        raise Malformed(f"its rule for the column {quote(str(rule.name))} is damaged")


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most
