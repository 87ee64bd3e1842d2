"""Arrays by name: what somebody saved of a step of their own, in whatever format.

Only numbers are read, never code: .npz without pickle, .safetensors, .json, .npy, and folders of
tables, each file named after what it holds.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncli.core import safetensors_format
from nncli.core.errors import DataError
from nncli.core.jsons import each_once, why_no_json
from nncli.core.text import join_words, nearest, printable, quote
from nncli.data.readers.arrays import read_npy, read_whole_npz
from nncli.data.readers.files import (
    check_expansion,
    explain_read_errors,
    file_size,
    opened,
    read_upto,
    utf8_text,
)
from nncli.data.readers.read import read_values

Array = NDArray[Any]
Arrays = dict[str, Array]
JSON_LIMIT = 256 << 20  # bytes of text; each number takes some thirty in memory
DEEPEST = 16  # mappings within mappings
# What an array holds, by NumPy's letters for kinds.
NO_NUMBERS = {
    **dict.fromkeys("US", "text"),
    **dict.fromkeys("mM", "dates"),
    "c": "complex numbers",
    "O": "numbers beyond 64 bits, or none at all,",
    "V": "records",
}
TABLES = (".csv", ".tsv", ".txt", ".npy")


def is_named(path: Path) -> bool:
    """Whether a path is, by its name, one of those that `read_named` reads; or is not there."""
    if os.path.isdir(path):
        return any(entry.suffix.lower() in TABLES for entry in path.iterdir())
    return path.suffix.lower() in READERS or not os.path.exists(path)


def read_named(path: Path) -> Arrays:
    """The arrays of a file or a folder, by name, all of finite numbers.

    Raises:
        DataError, RunError: it cannot be read, is damaged, or holds what is no finite number.
    """
    if os.path.isdir(path):
        arrays = _read_folder(path)
    else:
        suffix = path.suffix.lower()
        if suffix not in READERS:
            file_size(path)  # of what is not there, that is what is to be said
            known = join_words(READERS)
            raise DataError(
                f"{printable(path)}: arrays are read from {known}, or from a folder of .csv files"
                f"{nearest(suffix, READERS)}"
            )
        with explain_read_errors(path):
            arrays = READERS[suffix](path)
    return clean(arrays, f"{printable(path)}: ")


def clean(arrays: Mapping[str, Any], where: str = "") -> Arrays:
    """The arrays, of finite numbers all.

    Args:
        where: what messages begin with.

    Raises:
        DataError: some hold something else; the message says which, and where.
    """
    found, problems = Arrays(), list[str]()
    for name, value in arrays.items():
        try:
            array = np.asarray(value)
        except ValueError:
            problems.append(f"{where}{quote(name)} is no array: its rows are of different lengths")
            continue
        if array.dtype == object and array.size and None in array.ravel().tolist():
            problems.append(f"{where}{quote(name)} holds null where a number belongs")
        elif array.dtype.kind not in "biuf":
            held = NO_NUMBERS.get(array.dtype.kind, "something else")
            problems.append(f"{where}{quote(name)} holds {held} where numbers belong")
        elif array.size == 0:
            problems.append(f"{where}{quote(name)} holds no numbers")
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            at = [int(k) for k in np.argwhere(~np.isfinite(array))[0]]
            problems.append(
                f"{where}{quote(name)} is {array[tuple(at)]} at {at}: it must be finite"
            )
        else:
            found[str(name)] = array
    if problems:
        raise DataError(problems)
    return found


def _read_folder(path: Path) -> Arrays:
    try:
        files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in TABLES)
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read: {error.strerror or error}") from error
    if not files:
        raise DataError(f"{printable(path)}: the folder holds no {join_words(TABLES)}")
    return {file.stem: _read_one(file) for file in files}


def _read_one(file: Path) -> Array:
    return np.array(read_npy(file)) if file.suffix.lower() == ".npy" else read_values(file)


def _read_json(path: Path) -> Arrays:
    name = printable(path)
    check_expansion(path)
    with opened(path) as stream:
        content = read_upto(stream, JSON_LIMIT + 1)
    if len(content) > JSON_LIMIT:
        raise DataError(f"{name}: holds more than {JSON_LIMIT >> 20} MiB; save the arrays as .npz")
    try:
        record = json.loads(utf8_text(name, content, 1, "file"), object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: {why_no_json(error)}") from error
    if not isinstance(record, dict):
        raise DataError(f"{name}: must hold a JSON object: names with nested lists of numbers")
    if str(record.get("schema", "")).startswith("nncli.trace/"):
        return dict(_of_trace(record, name))
    return dict(_flat(record, "", 0))


def _of_trace(record: dict[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """The quantities of a trace as `inspect-grad --format json` writes it."""
    if record["schema"] != "nncli.trace/1":
        raise DataError(f"{name}: is of schema {quote(record['schema'])}; known is nncli.trace/1")
    yield "inputs", record.get("inputs")
    yield "targets", record.get("targets")
    if isinstance(record.get("cost"), dict):
        yield "cost", record["cost"].get("before")
    layers = record.get("layers")
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            for key, value in layer.items():
                if isinstance(value, list):
                    yield f"{layer.get('name')}.{key}", value


def _flat(record: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Names with their lists; of objects within, the names joined by points. Text is left out."""
    for key, value in record.items():
        if isinstance(value, dict) and depth < DEEPEST:
            yield from _flat(value, f"{prefix}{key}.", depth + 1)
        elif isinstance(value, list | int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", value


def _read_trace(path: Path) -> Arrays:
    """A trace that was saved: its quantities, and what the optimizer keeps, as a check has them."""
    found = Arrays()
    for name, array in safetensors_format.read(path)[0].items():
        layer, *parts = name.split(".")
        match parts:
            case ["optimizer", _, kept] if kept.endswith("_before"):
                pass  # what the step starts from
            case ["optimizer", key, kept]:
                found[f"{layer}.{key}_{kept}"] = array
            case ["recorded", key]:
                found[f"{layer}.{key}"] = array
            case _:
                if layer != "scalars":
                    found[name] = array
    return found


def _read_safetensors(path: Path) -> Arrays:
    return safetensors_format.read(path)[0]


READERS: dict[str, Callable[[Path], Arrays]] = {
    ".npz": read_whole_npz,
    ".safetensors": _read_safetensors,
    ".json": _read_json,
    ".trace": _read_trace,
    ".npy": lambda path: {path.stem: _read_one(path)},
    ".csv": lambda path: {path.stem: _read_one(path)},
}
