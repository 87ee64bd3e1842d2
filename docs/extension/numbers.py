"""Numbers in sentences: computed when the site is built, from what a command prints as JSON.

A page says `{n}`two dense2.delta[0, 0]``. The first word names a command of `docs/records.toml`,
the rest is an expression: a key of its JSON, or of a step the name of a layer, whose keys are
attributes and whose lists are arrays. `| .3f` at the end is a format, `| shape` writes
lengths as 2×3, `| matrix` all entries, row by row; a number has six significant digits otherwise.
"""

import json
import re
import tempfile
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from nncli.core.text import sizes
from tests.pages import ran

QUERY = re.compile(r"\{n\}`([^`]+)`")
RECORDS = Path(__file__).parents[1] / "records.toml"


def with_numbers(text: str) -> str:
    """A page's source with its queries answered.

    Raises:
        ValueError: a query that has no answer; it says which.
    """
    return QUERY.sub(lambda found: answer(found[1]), text)


def answer(query: str) -> str:
    """The text that stands for a query.

    Raises:
        ValueError: a name, a key or an index that is not there.
    """
    asked, _, form = query.partition("|")
    name, _, expression = asked.strip().partition(" ")
    try:
        value = eval(expression, {"np": np, **record(name)})  # pages are code of this project
    except Exception as error:
        raise ValueError(f"{{n}}`{query}`: {type(error).__name__}: {error}") from error
    return written(value, form.strip())


def written(value: Any, form: str) -> str:
    """A value as it stands in a sentence, with the minus that formulas have."""
    if form == "shape":
        return sizes(np.shape(value), "×")
    if form == "matrix":
        rows = [" ".join(written(entry, "") for entry in row) for row in np.atleast_2d(value)]
        return f"[{'; '.join(rows)}]"
    if isinstance(value, str):
        return value
    return format(float(value), form or ".6g").replace("-", "−")


@cache
def record(name: str) -> Mapping[str, Any]:
    """What the command of this name in `records.toml` prints, as names for expressions."""
    command = tomllib.loads(RECORDS.read_text(encoding="utf-8"))[name]
    with tempfile.TemporaryDirectory() as folder:
        done = ran(f"{command} --format json", Path(folder))
    if not done.out:
        raise ValueError(f"{command}: {done.err}")
    printed = json.loads(done.out)
    layers = {layer["name"]: opened(layer) for layer in printed.get("layers", ())}
    return {key: opened(value) for key, value in printed.items()} | layers


def opened(value: Any) -> Any:
    """JSON with attributes for keys and arrays for lists of numbers."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: opened(item) for key, item in value.items()})
    if isinstance(value, list):
        try:
            return np.array(value, float)
        except (TypeError, ValueError):
            return [opened(item) for item in value]
    return value
