"""What a run folder records about its data: data.json, and a fingerprint to know them again."""

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nncli.core.errors import Malformed, RunError
from nncli.core.files import read_regular, reason
from nncli.core.jsons import to_json
from nncli.core.text import count_of, printable
from nncli.training.run_files import DATA
from nncli.training.steps import Array, SampleSet

DATA_FORMAT = "nncli.data/1"
LONGEST_FORMAT = 40  # characters of one in a message


def data_text(preprocessing: Mapping[str, Any]) -> str:
    """The text of a data.json, a line a key."""
    content = {"format": DATA_FORMAT, **preprocessing}
    lines = ",\n".join(f'  "{key}": {to_json(value)}' for key, value in content.items())
    return f"{{\n{lines}\n}}\n"


def mark_of(preprocessing: Mapping[str, Any]) -> int:
    """A checksum of a data.json, by which it is known again however it is written."""
    return zlib.crc32(data_text(preprocessing).encode())


def read_data(folder: Path) -> dict[str, Any]:
    """What the data.json in a run folder holds.

    Raises:
        RunError: there is none, it is no JSON, or of another format.
    """
    path = folder / DATA
    name = printable(path)
    try:
        content = json.loads(read_regular(path), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise RunError(f"{name}: there is no such file; a run folder holds one") from None
    except OSError as error:
        raise RunError(f"{name}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{name}: damaged: it is no JSON{_line_of(error)}") from error
    if not isinstance(content, dict):
        raise RunError(f"{name}: damaged: it is no JSON object")
    written = content.get("format")
    if not isinstance(written, str):
        why = "holds no format" if written is None else "has a format that is no text"
        raise RunError(f"{name}: damaged: it {why}, where {DATA_FORMAT!r} is expected")
    if written != DATA_FORMAT:
        shown = printable(repr(written), LONGEST_FORMAT)
        raise RunError(
            f"{name}: its format is {shown}, this version of nncli reads {DATA_FORMAT!r}"
        )
    return content


def _refuse_constant(word: str) -> None:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise Malformed(f"{word} is no JSON")


def _line_of(error: Exception) -> str:
    """Where JSON ends to be JSON, in words; empty where it is not even text."""
    return f" from line {error.lineno} on" if isinstance(error, json.JSONDecodeError) else ""


Fingerprint = dict[str, tuple[float, ...]]
Checksums = Mapping[str, Mapping[str, Any]]
"""Of each part: `inputs` and `targets`, CRC-32s of all their values, and `type`, that of the inputs
as they are stored."""
SAMPLES_COMPARED = 16  # samples of each part


def fingerprint(
    train: SampleSet, validation: SampleSet | None, shape: tuple[int, ...]
) -> Fingerprint:
    """Of each part: how many samples it has, and two numbers for each of some of them.

    Args:
        shape: of one sample's inputs.
    """
    parts = {"train": train, "validation": validation}
    return {name: _numbers(part, shape) for name, part in parts.items() if part is not None}


class DataIdentity(NamedTuple):
    """By what a run knows its data again. Runs of older versions have no checksums."""

    fingerprint: Fingerprint
    checksums: Checksums


def check_same(then: DataIdentity, now: DataIdentity, run: str) -> Iterator[str]:
    """Checks that the data are those of the run; notes on what could not be compared.

    Raises:
        RunError: they are others; the message says what shows it.
    """
    for part in ("train", "validation"):
        change, note = _change(part, then, now)
        if change:
            raise RunError(
                f"{run}: a run goes on with its own data, and these have changed: {part} {change}"
            )
        if note:
            yield f"{run}: {note}"


def _change(part: str, then: DataIdentity, now: DataIdentity) -> tuple[str, str]:
    """What has changed of a part, and what there is to say if nothing has; either may be empty."""
    count, *numbers = then.fingerprint.get(part, (0,))
    new_count, *new = now.fingerprint.get(part, (0,))
    if count != new_count:
        return f"has {count_of(round(new_count), 'sample')} now, it had {count:,.0f}", ""
    before, after = then.checksums.get(part), now.checksums.get(part)
    if before is not None and after is not None and before["type"] == after["type"]:
        others = other_values(before, after)
        return f"has other {' and '.join(others)} than it had" if others else "", ""
    if len(numbers) != len(new) or not np.allclose(numbers, new, rtol=1e-4, atol=1e-12):
        return "holds other numbers than it did", ""
    if before is None or after is None:
        return "", ""
    return "", (
        f"the inputs of {part} are stored as {after['type']} now, they were {before['type']}; "
        f"{SAMPLES_COMPARED} of its samples were compared, not all"
    )


def other_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Which of `inputs` and `targets` differ, by checksums of inputs of one type."""
    return [what for what in ("inputs", "targets") if before[what] != after[what]]


def checksums_from(plain: Any) -> Checksums:
    """Checksums from their JSON, without those that an older version took of some of the bytes.

    Raises:
        Malformed: they cannot be ones.
    """
    if not isinstance(plain, dict) or not all(isinstance(sums, dict) for sums in plain.values()):
        raise Malformed("the checksums of the data are none")
    for sums in plain.values():
        counts = [sums["inputs"], sums["targets"], sums.get("covered", 0), sums.get("size", 0)]
        if not all(type(n) is int and n >= 0 for n in counts) or type(sums["type"]) is not str:
            raise Malformed("the checksums of the data are none")
    return {part: sums for part, sums in plain.items() if sums.get("covered") == sums.get("size")}


def _numbers(part: SampleSet, shape: tuple[int, ...]) -> tuple[float, ...]:
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
