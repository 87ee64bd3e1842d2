"""The metrics of a run folder, read back."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from itertools import islice
from pathlib import Path
from typing import Any

from nncli.core.errors import DamagedError, RunError
from nncli.core.files import read_regular, reason
from nncli.core.jsons import from_json
from nncli.core.text import printable
from nncli.nn.measures import LayerMeasures
from nncli.training.history import Epoch, History

METRICS = "metrics.jsonl"
WORDS = {"name", "activation"}  # the fields that hold text; all others hold numbers


def read_history(folder: Path) -> tuple[Epoch, ...]:
    """The epochs of a run, as its training recorded them.

    Half a line at the end is what a training leaves that was killed while it wrote, and is passed
    over. So are keys that a newer version may have added.

    Raises:
        RunError: the file is not there, or damaged: at which line.
    """
    path = folder / METRICS
    try:
        lines = read_regular(path).splitlines(keepends=True)
    except FileNotFoundError:
        raise RunError(
            f"{printable(path)}: there is no such file; a run folder holds one"
        ) from None
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    return tuple(_epochs(printable(path), lines))


def read_first(folder: Path, epochs: int) -> tuple[History, int]:
    """The first `epochs` of them, and how many bytes of the file they take.

    The rest of the file is not read.

    Raises:
        DamagedError: the file cannot be read, or not all of them are there and whole.
    """
    path = folder / METRICS
    try:
        with path.open("rb") as file:
            lines = list(islice(file, epochs))
    except OSError as error:
        raise DamagedError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    history = History(_epochs(printable(path), lines))
    if len(history) < epochs:
        number = len(history) + 1
        raise DamagedError(f"{printable(path)}:{number}: the record of epoch {number} is missing")
    return history, sum(map(len, lines))


def _epochs(name: str, lines: list[bytes]) -> Iterator[Epoch]:
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            record = _known(Epoch, from_json(line))
            layers = (LayerMeasures(**_known(LayerMeasures, item)) for item in record["layers"])
            epoch = Epoch(**{**record, "layers": tuple(layers)})
            if epoch.epoch != number:
                raise ValueError(f"it is that of epoch {epoch.epoch}")
        except (ValueError, TypeError, RecursionError) as error:
            why = printable(error)
            expected = f"expected the record of epoch {number}"
            raise DamagedError(f"{name}:{number}: damaged: {expected}: {why}") from error
        yield epoch


def _known(kind: Any, record: Any) -> dict[str, Any]:
    """The fields of `kind` that a record holds; raises ValueError where one is missing."""
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    needed: tuple[Field[Any], ...] = fields(kind)
    missing = [f.name for f in needed if f.default is MISSING and f.name not in record]
    if missing:
        raise ValueError(f"it holds no {', '.join(missing)}")
    found = {f.name: record[f.name] for f in needed if f.name in record}
    for key, value in found.items():
        kinds = str if key in WORDS else list if key == "layers" else int | float
        if isinstance(value, bool) or not (value is None or isinstance(value, kinds)):
            raise ValueError(f"its {key} is {json.dumps(value)[:40]}")
    return found
