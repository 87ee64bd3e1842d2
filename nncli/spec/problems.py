"""pydantic's complaints in our words. Most are ours already: see `values`."""

from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from nncli.core.text import brief, quote
from nncli.spec.base import Model
from nncli.spec.models import OWNERS
from nncli.spec.nodes import Problem
from nncli.spec.words import KeyPath, describe, suggestion

Location = tuple[str | int, ...]


def problems(errors: Iterable[ErrorDetails]) -> list[Problem]:
    return [_problem(error) for error in errors]


def _problem(error: ErrorDetails) -> Problem:
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        return Problem(_path_of_key(location), _unknown_key(location), at_key=True)
    if error["type"] == "missing":
        return Problem(_path_of_key(location), _missing(location))
    path = _without_tags(location)
    if error["type"] == "spec":
        context: dict[str, Any] = error["ctx"]
        return Problem((*path, *context["at"]), context["message"])
    return Problem(path, _not_a_mapping(location, error["input"]))


def _without_tags(location: Location) -> KeyPath:
    return tuple(part for part in location if not _is_tag(part))


def _path_of_key(location: Location) -> KeyPath:
    """A key that the file may have made up can look like a tag."""
    return (*_without_tags(location[:-1]), location[-1])


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _owner(location: Location) -> type[Model]:
    """The model at a place, which is named by the place's last part."""
    return OWNERS[str(location[-1]) if location else ""]


def _unknown_key(location: Location) -> str:
    key = str(location[-1])
    known = _owner(location[:-1]).model_fields
    return f"unknown key {quote(key)}; {suggestion(key, known)}"


def _missing(location: Location) -> str:
    key = str(location[-1])
    examples = _owner(location[:-1]).model_fields[key].examples or ["..."]
    return f"missing; write for example '{key}: {examples[0]}'"


def _not_a_mapping(location: Location, value: Any) -> str:
    if str(location[-1]) not in OWNERS:
        return f"{brief(describe(value))} is not possible here"
    keys = ", ".join(_owner(location).model_fields)
    return f"expected a mapping of keys ({keys}), got {describe(value)}"
