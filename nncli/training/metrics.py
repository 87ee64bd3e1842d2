"""The metrics of a run: a line of JSON an epoch."""

import json
from pathlib import Path
from typing import Any

from nncli.errors import DamagedError
from nncli.files import reason, shown
from nncli.jsons import to_json
from nncli.nn.measures import LayerMeasures
from nncli.training.history import Epoch, History


def lines_of(history: History, start: int, stop: int) -> bytes:
    """The epochs at these indices, as they are written."""
    return "".join(f"{to_json(history.record(i))}\n" for i in range(start, stop)).encode()


def read_metrics(path: Path, epochs: int) -> tuple[History, int]:
    """The records of the first `epochs` epochs, and how many bytes they take.

    What follows them (an epoch that is not in the checkpoint, half a line) is left alone.

    Raises:
        DamagedError: the file cannot be read, or not all of the records are there.
    """
    history, size = History(), 0
    try:
        with path.open("rb") as file:
            for number in range(1, epochs + 1):
                line = file.readline()
                history.append(_epoch(line, number))
                size += len(line)
    except OSError as error:
        raise DamagedError(f"{shown(path)}: cannot be read: {reason(error)}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedError(
            f"{shown(path)}:{len(history) + 1}: expected the record of epoch {len(history) + 1}: "
            f"{shown(error)}"
        ) from error
    return history, size


def _epoch(line: bytes, number: int) -> Epoch:
    if not line.endswith(b"\n"):
        raise ValueError("the file ends in the middle of it" if line else "the file ends before it")
    record: dict[str, Any] = json.loads(line)
    layers = tuple(LayerMeasures(**layer) for layer in record.pop("layers"))
    epoch = Epoch(**record, layers=layers)
    if epoch.epoch != number:
        raise ValueError(f"it is that of epoch {epoch.epoch!r}")
    return epoch
