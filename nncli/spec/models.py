"""The spec as frozen models: names, defaults and meanings of all keys.

The models check each value by itself; `checks` holds what concerns several parts at once, and
`load` puts both together. `problems` puts into words what pydantic itself complains of; most
complaints have their words from `values`.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
)
from pydantic_core import ErrorDetails

from nncli.core.errors import SpecError
from nncli.core.text import brief, quote
from nncli.spec import inline, nodes, values
from nncli.spec.data import DataSpec, PairSpec
from nncli.spec.layers import LAYERS, AnyLayer
from nncli.spec.nodes import Origin, Problem, Source
from nncli.spec.training import OPTIMIZERS, SCHEDULES, TrainSpec
from nncli.spec.values import Model, tag, word, wrong
from nncli.spec.words import KeyPath, describe, parse_path, suggestion

Dtype = Literal["float32", "float64"]


MOST_LAYERS = 1000


def _some_layers(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        example = "a list of layers such as [{type: dense, units: 10}]"
        raise wrong(f"expected {example}, got {describe(value)}")
    if len(value) > MOST_LAYERS:
        raise wrong(f"{len(value)} layers are too many; the most is {MOST_LAYERS}")
    return value


class Spec(Model):
    """A network, its data and its training, as one YAML file gives them.

    Two specs are equal when they mean the same: paths are compared by the files they lead to.
    """

    name: values.Name = Field("spec", description="The run's name. By default the file's stem.")
    seed: values.Seed = Field(0, description="Initial weights, split and shuffling follow from it.")
    dtype: Annotated[Dtype, word(Dtype)] = Field(
        "float32", description="The precision that is computed in."
    )
    data: DataSpec = Field(
        description="Where the samples come from, and what their columns mean.",
        examples=["{train: digits.csv}"],
    )
    network: Annotated[tuple[AnyLayer, ...], BeforeValidator(_some_layers)] = Field(
        description="The layers, first to last.",
        examples=["[{type: dense, units: 10}]"],
        json_schema_extra={"minItems": 1},
    )
    train: TrainSpec = Field(description="How it is trained.", examples=["{eta: 0.5}"])

    _source: Source = PrivateAttr(default_factory=lambda: nodes.source("spec"))
    _folder: Path = PrivateAttr(default_factory=Path)
    _file: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return self._folder

    def resolve(self, path: str) -> Path:
        """A path of this spec as seen from the current folder."""
        return self._folder / os.path.expanduser(path)

    def files(self) -> list[Path]:
        """The file that it was read from, and those that it names, as seen from here."""
        dump = self.model_dump()
        named = (self.resolve(inline.file_and_array(x[key])[0]) for x, key in _paths(dump))
        return [*([] if self._file is None else [self._file]), *named]

    def error_at(self, path: KeyPath, message: str) -> SpecError:
        """A mistake that shows only later, placed where its value (or a parent) is written."""
        return SpecError([self._source.line(Problem(path, message))])

    def origin(self, path: str | KeyPath) -> Origin:
        """Where a value came from: `spec.origin("train.eta")`."""
        return self._source.origin(parse_path(path) if isinstance(path, str) else path)

    def default_of(self, path: KeyPath) -> str:
        """What the default of a key means, where its value alone does not tell: in words."""
        owner: Any = self
        for part in path[:-1]:
            owner = owner[part] if isinstance(part, int) else getattr(owner, part)
        field = type(owner).model_fields[str(path[-1])]
        _, _, meaning = (field.description or "").partition("By default ")
        return meaning.rstrip(".")

    def absolute(self) -> dict[str, Any]:
        """All values, defaults filled in and paths absolute, as plain dicts, tuples and scalars."""
        dump = self.model_dump()
        for owner, key in _paths(dump):
            file, array = inline.file_and_array(owner[key])
            path = os.path.realpath(self.resolve(file))
            owner[key] = path if array is None else f"{path}#{array}"
        return dump

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.absolute() == other.absolute()


def _paths(dump: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Each field of a dumped spec that holds a path, as its owner and key."""
    data = dump["data"]
    fields = [(data, key) for key in ("train", "validation", "test")]
    fields += [(pair, key) for pair in data.values() if isinstance(pair, dict) for key in pair]
    fields += [(layer, key) for layer in dump["network"] for key in ("bias", "weights")]
    fields.append((dump["train"], "init_from"))
    return [(owner, key) for owner, key in fields if isinstance(owner.get(key), str)]


# Who owns the keys at a place: by the union's tag where there is one, else by the section's name.
OWNERS: dict[str, type[Model]] = {
    "": Spec,
    "data": DataSpec,
    "train": TrainSpec,
    "<pair>": PairSpec,
    **{
        tag(kind): model
        for table in (LAYERS, SCHEDULES, OPTIMIZERS)
        for kind, model in table.items()
    },
}


# pydantic's complaints in our words


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
    homes = [name for name in ("data", "train") if key in OWNERS[name].model_fields]
    if len(location) == 1 and homes:
        return f"unknown key {quote(key)}; did you mean {homes[0]}.{key}?"
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
