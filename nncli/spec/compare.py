"""In what specs differ."""

from collections.abc import Iterator, Sequence
from typing import Any

from nncli.spec.words import KeyPath

ABSENT = ...  # what a spec has no place for: the third layer of a network of two


def differences(
    values: Sequence[Any], path: KeyPath = ()
) -> Iterator[tuple[KeyPath, tuple[Any, ...]]]:
    """The paths at which dumped specs are not all equal, as far down as they are alike."""
    first = values[0]
    if all(value == first for value in values):
        return
    if all(isinstance(value, dict) for value in values):
        if "type" in first and len({v["type"] for v in values}) > 1:
            yield path, tuple(values)
            return
        for key in dict.fromkeys(key for value in values for key in value):
            yield from differences([value.get(key, ABSENT) for value in values], (*path, key))
    elif all(isinstance(v, tuple) and v and isinstance(v[0], dict) for v in values):
        for index in range(max(map(len, values))):
            there = [value[index] if index < len(value) else ABSENT for value in values]
            yield from differences(there, (*path, index))
    else:
        yield path, tuple(values)
