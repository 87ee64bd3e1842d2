"""Records as JSON."""

import json
import math
from collections import Counter
from typing import Any

from nncli.core.errors import Malformed
from nncli.core.text import brief, quote

_ENCODER = json.JSONEncoder(allow_nan=False)  # to make one takes longer than a short record


def to_json(record: Any, indent: int | None = None) -> str:
    """`record` (mappings, lists, numbers, text) as JSON text, every digit kept, without a newline.

    JSON has no word for what is not finite: it becomes null.
    """
    try:
        if indent is None:
            return _ENCODER.encode(record)
        return json.dumps(record, indent=indent, allow_nan=False)
    except ValueError:  # something is not finite, which is seldom: to look for it takes longer
        return json.dumps(_finite(record), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The mapping that these pairs are, as `object_pairs_hook`; Malformed where one key is two."""
    made = dict(pairs)
    if len(made) < len(pairs):
        times = Counter(key for key, _ in pairs)
        twice = next(key for key in made if times[key] > 1)
        raise Malformed(f"{quote(brief(twice))} is given twice; keep one")
    return made


def why_no_json(error: Exception) -> str:
    """What to say of a file, after its name, whose text `json.loads` could not read."""
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON (line {error.lineno}, character {error.colno}: {error.msg})"
    if isinstance(error, Malformed):
        return str(error)
    return "is no JSON that has an end: too many digits or brackets"


def from_json(text: str | bytes) -> dict[str, Any]:
    """The mapping that a JSON text is; Malformed where it is something else."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("it is no JSON") from error
    if not isinstance(record, dict):
        raise Malformed("it is no JSON object")
    return record
