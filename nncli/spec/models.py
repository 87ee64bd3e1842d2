"""The spec as frozen models: names, defaults and meanings of all keys.

The models check each value by itself; what concerns several parts at once is in `load`, which puts
both together. `problems` words what pydantic itself complains of; most words are in `values`.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from nncli.core.errors import SpecError
from nncli.core.files import file_and_array, files_of, is_pattern
from nncli.core.layouts import Layout
from nncli.core.text import brief, join_words, quote
from nncli.nn.costs import COSTS, activations_of
from nncli.spec import inline, nodes, values, words
from nncli.spec.conditions import (
    BoundCondition,
    Breaks,
    BreakSpec,
    Expectations,
    ExpectSpec,
    bound_conditions,
)
from nncli.spec.data import DataSpec, PairSpec
from nncli.spec.layers import LAYERS, AnyLayer
from nncli.spec.nodes import Problem, SpecSource, ValueOrigin
from nncli.spec.schedules import SCHEDULES, ConstantSchedule, Schedule
from nncli.spec.train import ClipSpec, EarlyStopSpec, Shuffle
from nncli.spec.values import Model, tag, union_by_type, word, wrong
from nncli.spec.words import KeyPath, describe, look_alikes, nearest, parse_path, suggestion

_COSTS = tuple(dict.fromkeys(row.name for row in COSTS))
Cost = Annotated[str, values.among(_COSTS), values.enum(_COSTS)]


_COST = (
    "What is made small: quadratic, ½‖a − y‖², for any outputs; or cross_entropy, for "
    f"{join_words(activations_of('cross_entropy'))} outputs."
)


def _sweep(value: Any) -> Any:
    from nncli.spec.sweep import checked_sweep  # few specs have one

    return checked_sweep(value)


_BLOCK: values.JsonSchema = {"type": "object", "additionalProperties": True}
_BLOCKS = {"anyOf": [_BLOCK, {"type": "array", "items": _BLOCK, "minItems": 1}]}
_SEEDS = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
    ]
}
Sweep = Annotated[
    Any,
    PlainValidator(_sweep),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"vary": _BLOCKS, "zip": _BLOCKS, "seeds": _SEEDS},
            "additionalProperties": False,
        }
    ),
]


class OptimizerSpec(Model):
    """What makes a step of a gradient; one model for each of `nncli.nn.optimizers.OPTIMIZERS`.

    Attributes:
        train_keys: keys of `train` that are its settings too. Other optimizers do not have them.
    """

    train_keys: ClassVar[tuple[str, ...]] = ()

    type: str


class SgdSpec(OptimizerSpec):
    """Stochastic gradient descent."""

    train_keys = ("momentum", "nesterov")

    type: Literal["sgd"] = Field(description="Stochastic gradient descent.")


class AdamSpec(OptimizerSpec):
    """Adam, with the meaning that PyTorch gives it."""

    type: Literal["adam"] = Field(description="Adam: each weight has a pace of its own.")
    beta1: values.Momentum = Field(0.9, description="How much of the mean of gradients stays.")
    beta2: values.Momentum = Field(0.999, description="How much of the mean of squares stays.")
    epsilon: values.Positive = Field(1e-8, description="Keeps the division from 0.")


OPTIMIZERS: dict[str, type[OptimizerSpec]] = {"sgd": SgdSpec, "adam": AdamSpec}
DEFAULT_OPTIMIZER = SgdSpec(type="sgd")
# Each key of `train` that is a setting of some optimizers only, and the kinds that have it.
OPTIMIZER_KEYS = {
    key: tuple(kind for kind, model in OPTIMIZERS.items() if key in model.train_keys)
    for model in OPTIMIZERS.values()
    for key in model.train_keys
}


def _type_by_word(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


if TYPE_CHECKING:
    _Optimizer = OptimizerSpec
else:
    _Optimizer = Annotated[
        union_by_type(OPTIMIZERS, "{type: adam, beta1: 0.9}"), BeforeValidator(_type_by_word)
    ]


class TrainSpec(Model):
    """How the network is trained."""

    eta: values.Positive = Field(
        description="The learning rate η; the key may also be written η.", examples=[0.5]
    )
    epochs: values.Count = Field(30, description="How often the training data is gone through.")
    batch_size: values.Count = Field(10, description="Samples in a mini-batch.")
    cost: Cost = Field(COSTS[0].name, description=_COST)
    optimizer: _Optimizer = Field(
        DEFAULT_OPTIMIZER,
        description=f"What makes a step of a gradient. By default {DEFAULT_OPTIMIZER.type}.",
    )
    momentum: values.Momentum = Field(0.0, description="Momentum, as in PyTorch's SGD.")
    nesterov: values.Flag = Field(
        False, description="Whether momentum looks ahead, as in PyTorch's SGD."
    )
    weight_decay: values.NotNegative = Field(
        0.0, description="Weight decay, added to the gradient as in PyTorch."
    )
    decoupled_weight_decay: values.NotNegative = Field(
        0.0, description="Weight decay behind momentum, not through it, as in PyTorch's AdamW."
    )
    decay_biases: values.Flag = Field(
        True, description="Whether weight decay and L1 are of biases too, as in PyTorch."
    )
    l1: values.NotNegative = Field(
        0.0, description="L1: this times the sign of each weight is added to its gradient."
    )
    clip: ClipSpec | None = Field(
        None,
        description="Makes gradients smaller that are too large: {norm: 1.0} or {value: 0.5}. By "
        "default they are taken as they are.",
    )
    shuffle: Shuffle = Field(
        True,
        description="Whether each epoch has an order of its own. `blocks` shuffles blocks of "
        "samples, and the samples of some blocks at a time: files larger than the memory are read "
        "by stretches. That is also the default where data.train names several files.",
    )
    threads: values.Threads = Field(
        "auto", description="How many threads share the work. By default as many as are worth it."
    )
    micro_batches: values.Count = Field(
        1,
        description="Into how many parts a mini-batch is split. Their gradients are computed apart "
        "and added up in order: the same bits on however many threads, or processes of MPI.",
    )
    schedule: Schedule = Field(
        ConstantSchedule(type="constant"), description="How η changes from epoch to epoch."
    )
    early_stop: EarlyStopSpec | None = Field(
        None,
        description="Ends the training where epochs bring no improvement any more: "
        "{patience: 10, metric: validation_cost}. By default it goes through all epochs.",
    )
    init_from: inline.PathOrNone = Field(
        None,
        description="What all layers start from: an .npz or .safetensors file, or a run folder, of "
        "which the last weights are taken.",
    )
    weights_layout: Annotated[Layout, word(Layout)] = Field(
        "nncli",
        description="How dense weights lie in files: nncli's inputs x units, or pytorch's "
        "outputs x inputs.",
    )

    @model_serializer(mode="wrap")
    def _without_keys_of_other_optimizers(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        foreign = OPTIMIZER_KEYS.keys() - set(self.optimizer.train_keys)
        return {key: value for key, value in dump.items() if key not in foreign}

    def optimizer_settings(self) -> dict[str, Any]:
        """Of the engine's optimizer of this kind."""
        common = ("weight_decay", "decoupled_weight_decay", "decay_biases", "l1")
        of_train = {key: getattr(self, key) for key in (*self.optimizer.train_keys, *common)}
        clip = {} if self.clip is None else self.clip.model_dump()
        return {**self.optimizer.model_dump(exclude={"type"}), **of_train, "clip": clip}


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
    expect: Expectations = Field(
        (), description="Conditions that are to hold while it is trained: all.delta_norm > 1e-6."
    )
    breaks: Breaks = Field(
        (), alias="break", description="Conditions at which the training stops and shows its step."
    )
    sweep: Sweep | None = Field(
        None,
        description="What nncli sweep tries: values to vary, values that go together, seeds.",
    )

    _source: SpecSource = PrivateAttr(default_factory=lambda: nodes.source("spec"))
    _folder: Path = PrivateAttr(default_factory=Path)
    _file: Path | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _several_files_by_blocks(self) -> "Spec":
        """Training data that several files hold are shuffled by blocks, where nothing is said."""
        if "shuffle" in self.train.model_fields_set or not self.data.is_several_files:
            return self
        train = self.train.model_copy(update={"shuffle": "blocks"})
        return self.model_copy(update={"train": train})

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return self._folder

    def conditions(self) -> tuple[BoundCondition, ...]:
        """Those of `expect`, then those of `break`; presets are written out."""
        entries = (*self.expect, *self.breaks)
        return tuple(bound_conditions(self.model_dump(), entries)) if entries else ()

    @model_serializer(mode="wrap")
    def _without_empty_conditions(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        expect, breaks = dump.pop("expect", ()), dump.pop("breaks", ())
        optional = {"expect": expect, "break": breaks, "sweep": dump.pop("sweep", None)}
        return dump | {key: entries for key, entries in optional.items() if entries}

    def resolve(self, path: str) -> Path:
        """A path of this spec as seen from the current folder."""
        return self._folder / os.path.expanduser(path)

    def files(self) -> list[Path]:
        """The file that it was read from, and those that it names, as seen from here."""
        return [*([] if self._file is None else [self._file]), *self.named_files()]

    def named_files(self) -> list[Path]:
        """The files that it names, as seen from here."""
        dump = self.model_dump()
        paths = [self.resolve(file_and_array(x[key])[0]) for x, key in _paths(dump)]
        return [f for path in paths for f in (files_of(path) if is_pattern(path) else [path])]

    def error_at(self, path: KeyPath, message: str) -> SpecError:
        """A mistake that shows only later, placed where its value (or a parent) is written."""
        return SpecError([self._source.line(Problem(path, message))])

    def origin(self, path: str | KeyPath) -> ValueOrigin:
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
        return self.with_paths(os.path.realpath)

    def with_paths(self, named: Callable[[Path], str]) -> dict[str, Any]:
        """All values, defaults filled in, and in place of each path what `named` makes of it."""
        dump = self.model_dump()
        for owner, key in _paths(dump):
            file, array = file_and_array(owner[key])
            path = named(self.resolve(file))
            owner[key] = path if array is None else f"{path}#{array}"
        return dump

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.absolute() == other.absolute()


def _paths(dump: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Each field of a dumped spec that holds a path, as its owner and key."""
    data = dump["data"]
    sources = ("train", "validation", "test")
    fields = [(data, key) for key in sources]
    pairs = (data[key] for key in sources if isinstance(data[key], dict))
    fields += [(pair, key) for pair in pairs for key in pair]
    fields += [(layer, key) for layer in dump["network"] for key in ("bias", "weights")]
    fields.append((dump["train"], "init_from"))
    return [(owner, key) for owner, key in fields if isinstance(owner.get(key), str)]


# Who owns the keys at a place: by the union's tag where there is one, else by the section's name.
OWNERS: dict[str, type[Model]] = {
    "": Spec,
    "data": DataSpec,
    "train": TrainSpec,
    "expect": ExpectSpec,
    "break": BreakSpec,
    "early_stop": EarlyStopSpec,
    "clip": ClipSpec,
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
    named = [part for part in location[-2:] if isinstance(part, str)]  # not the place in a list
    return OWNERS[named[-1] if named else ""]


def _keys_of(model: type[Model]) -> list[str]:
    """As a spec writes them: `for`, where Python has a name of its own."""
    return [field.alias or key for key, field in model.model_fields.items()]


def _unknown_key(location: Location) -> str:
    key, known = str(location[-1]), _keys_of(_owner(location[:-1]))
    hint = suggestion(key, known)
    if len(location) == 1 and nearest(key, known) is None:
        elsewhere = words.OF_A_SWEEP.get(key) or _place_elsewhere(key)
        hint = f"did you mean {elsewhere}?" if elsewhere else hint
    return f"unknown key {quote(key)}{look_alikes(key)}; {hint}"


def _place_elsewhere(key: str) -> str:
    """Where a key that has no place at the top of a spec has one, under this name or a like one."""
    layers = dict.fromkeys(name for layer in LAYERS.values() for name in layer.model_fields)
    parts = {
        "data": list(DataSpec.model_fields),
        "train": list(TrainSpec.model_fields),
        "network[0]": list(layers),
    }
    same = [f"{part}.{key}" for part, known in parts.items() if key in known]
    alike = [f"{part}.{near}" for part, known in parts.items() if (near := nearest(key, known))]
    return next(iter([*same, *alike]), "")


def _missing(location: Location) -> str:
    key = str(location[-1])
    examples = _owner(location[:-1]).model_fields[key].examples or ["..."]
    return f"missing; write for example '{key}: {examples[0]}'"


def _not_a_mapping(location: Location, value: Any) -> str:
    if str(location[-1]) not in OWNERS:
        return f"{brief(describe(value))} is not possible here"
    keys = ", ".join(_keys_of(_owner(location)))
    return f"expected a mapping of keys ({keys}), got {describe(value)}"
