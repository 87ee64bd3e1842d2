"""In what two specs differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nncli.spec.models import Spec
from nncli.spec.words import KeyPath, clean, describe, dotted


class Difference(NamedTuple):
    """A key with two values, each as a message names it."""

    path: KeyPath
    one: str
    other: str

    @property
    def key(self) -> str:
        return dotted(self.path)


def differences(one: Spec, other: Spec) -> list[Difference]:
    """The keys whose values differ, paths compared by the files they lead to."""
    return list(_walk((), one.absolute(), other.absolute()))


def _walk(path: KeyPath, one: Any, other: Any) -> Iterator[Difference]:
    if one == other:
        return
    if _alike(one, other):
        for key in one:
            yield from _walk((*path, key), one[key], other[key])
    elif _are_mappings(one) and _are_mappings(other) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from _walk((*path, index), *pair)
    else:
        yield Difference(path, _named(one), _named(other))


def _alike(one: Any, other: Any) -> bool:
    """Whether both are mappings of the same kind, so that one key differs rather than the whole."""
    return isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys()


def _are_mappings(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, dict) for item in value)


def _named(value: Any) -> str:
    if isinstance(value, str):
        return clean(value, 4096)
    if isinstance(value, dict):
        return clean(f"{{{', '.join(f'{k}: {_named(v)}' for k, v in value.items())}}}", 200)
    if isinstance(value, tuple) and value and isinstance(value[0], dict | tuple):
        return f"a list of {len(value)}"
    return describe(value)
