"""data.json in a run folder: what the training data settled, so that the run needs them no more."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nncli.core.errors import RunError
from nncli.core.files import read_regular, reason, shown
from nncli.core.jsons import to_json

DATA = "data.json"
DATA_FORMAT = "nncli.data/1"


def data_text(settled: Mapping[str, Any]) -> str:
    """The text of a data.json, a line a key."""
    content = {"format": DATA_FORMAT, **settled}
    lines = ",\n".join(f'  "{key}": {to_json(value)}' for key, value in content.items())
    return f"{{\n{lines}\n}}\n"


def read_data(folder: Path) -> dict[str, Any]:
    """What the data.json in a run folder holds.

    Raises:
        RunError: there is none, it is no JSON, or of another format.
    """
    path = folder / DATA
    name = shown(path)
    try:
        content = json.loads(read_regular(path))
    except FileNotFoundError:
        raise RunError(f"{name}: there is no such file; a run folder holds one") from None
    except OSError as error:
        raise RunError(f"{name}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{name}: damaged: it is no JSON: {error}") from error
    written = content.get("format") if isinstance(content, dict) else None
    if written != DATA_FORMAT:
        raise RunError(
            f"{name}: its format is {written!r}, this version of nncli reads {DATA_FORMAT!r}"
        )
    assert isinstance(content, dict)
    return content
