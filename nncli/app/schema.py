"""The JSON Schema of a spec."""

import json
from typing import Any

from nncli.spec import json_schema


def schema() -> dict[str, Any]:
    """What a spec may hold and what each key of it means, as a JSON Schema (draft 2020-12)."""
    return json_schema()


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
