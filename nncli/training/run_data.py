"""What a run folder records about its data: data.json, and a fingerprint to know them again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nncli.core.errors import RunError
from nncli.core.files import read_regular, reason
from nncli.core.jsons import to_json
from nncli.core.text import count_of, printable
from nncli.training.run_files import DATA
from nncli.training.steps import Array, Samples

DATA_FORMAT = "nncli.data/1"


def data_text(preprocessing: Mapping[str, Any]) -> str:
    """The text of a data.json, a line a key."""
    content = {"format": DATA_FORMAT, **preprocessing}
    lines = ",\n".join(f'  "{key}": {to_json(value)}' for key, value in content.items())
    return f"{{\n{lines}\n}}\n"


def read_data(folder: Path) -> dict[str, Any]:
    """What the data.json in a run folder holds.

    Raises:
        RunError: there is none, it is no JSON, or of another format.
    """
    path = folder / DATA
    name = printable(path)
    try:
        content = json.loads(read_regular(path))
    except FileNotFoundError:
        raise RunError(f"{name}: there is no such file; a run folder holds one") from None
    except OSError as error:
        raise RunError(f"{name}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{name}: damaged: it is no JSON{_line_of(error)}") from error
    written = content.get("format") if isinstance(content, dict) else None
    if written != DATA_FORMAT:
        raise RunError(
            f"{name}: its format is {written!r}, this version of nncli reads {DATA_FORMAT!r}"
        )
    assert isinstance(content, dict)
    return content


def _line_of(error: Exception) -> str:
    """Where JSON ends to be JSON, in words; empty where it is not even text."""
    return f" from line {error.lineno} on" if isinstance(error, json.JSONDecodeError) else ""


Fingerprint = dict[str, tuple[float, ...]]
SAMPLES_COMPARED = 16  # samples of each part


def fingerprint(train: Samples, validation: Samples | None, shape: tuple[int, ...]) -> Fingerprint:
    """Of each part: how many samples it has, and two numbers for each of some of them.

    Args:
        shape: of one sample's inputs.
    """
    parts = {"train": train, "validation": validation}
    return {name: _numbers(part, shape) for name, part in parts.items() if part is not None}


def check_same(then: Fingerprint, now: Fingerprint, run: str) -> None:
    """Checks that the data are those of the run.

    Raises:
        RunError: they are others; the message says what shows it.
    """
    for part in ("train", "validation"):
        (count, *numbers), (new_count, *new) = then.get(part, (0,)), now.get(part, (0,))
        if count != new_count:
            what = f"{part} has {count_of(round(new_count), 'sample')} now, it had {count:,.0f}"
        elif len(numbers) != len(new) or not np.allclose(numbers, new, rtol=1e-4, atol=1e-12):
            what = f"{part} holds other numbers than it did"
        else:
            continue
        raise RunError(f"{run}: a run goes on with its own data, and these have changed: {what}")


def _numbers(part: Samples, shape: tuple[int, ...]) -> tuple[float, ...]:
    """The number of samples, and for each of those compared a mean of its inputs and targets.

    Six digits: another machine may scale a little differently.
    """
    count = len(part.index)
    rows = part.index[np.linspace(0, count - 1, min(count, SAMPLES_COMPARED)).astype(np.int64)]
    targets = np.zeros((len(rows), part.targets.shape[1]), part.targets.dtype)
    inputs = np.zeros((len(rows), *shape), targets.dtype)
    part.gather(rows, inputs, targets)
    means = [_mean_by_place(array.reshape(len(rows), -1)) for array in (inputs, targets)]
    return (float(count), *(float(f"{mean:.6g}") for mean in np.concatenate(means)))


def _mean_by_place(rows: Array) -> Array:
    """A mean of the |entries| of each row that depends on their order."""
    weights = np.linspace(1.0, 2.0, rows.shape[1])
    means: Array = np.abs(rows.astype(np.float64)) @ weights / len(weights)
    return means
