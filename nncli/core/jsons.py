"""Records as JSON."""

import json
import math
from typing import Any

from nncli.core.errors import Malformed

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


def from_json(text: str | bytes) -> dict[str, Any]:
    """The mapping that a JSON text is; Malformed where it is something else."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("it is no JSON") from error
    if not isinstance(record, dict):
        raise Malformed("it is no JSON object")
    return record
