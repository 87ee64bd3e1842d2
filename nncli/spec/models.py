"""The spec as frozen models: names, defaults and meanings of all keys.

The models check each value by itself; `checks` holds what concerns several parts at once, and
`load` puts both together.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
)

from nncli.core.errors import SpecError
from nncli.nn.activations import listed
from nncli.nn.costs import COSTS, activations_of
from nncli.spec import columns, inline, nodes, values
from nncli.spec.base import Model, tag, union_by_type
from nncli.spec.layers import LAYERS, AnyLayer
from nncli.spec.nodes import Origin, Problem, Source
from nncli.spec.paths import parse_path
from nncli.spec.values import unknown_word, word, wrong
from nncli.spec.words import KeyPath, count, describe

_COSTS = tuple(dict.fromkeys(row.name for row in COSTS))
Cost = Annotated[str, values.among(_COSTS), values.enum(_COSTS)]
Dtype = Literal["float32", "float64"]
Layout = Literal["nncli", "pytorch"]


MOST_LAYERS = 1000


def _path_or_pair(value: Any) -> str:
    return "<pair>" if isinstance(value, dict | PairSpec) else "<path>"


# Data


class PairSpec(Model):
    """Inputs and targets, each a file or lists written here."""

    inputs: inline.Inputs = Field(
        description="A path (.npy, IDX, also .gz), or one row of numbers for each sample.",
        examples=["train-images-idx3-ubyte.gz"],
    )
    targets: inline.Targets = Field(
        description="A path (.npy, IDX, also .gz), or one label or row of numbers a sample.",
        examples=["train-labels-idx1-ubyte.gz"],
    )

    @field_validator("targets")
    @classmethod
    def _one_for_each_input(cls, targets: Any, info: ValidationInfo) -> Any:
        inputs = info.data.get("inputs")
        if isinstance(inputs, tuple) and isinstance(targets, tuple) and len(inputs) != len(targets):
            wanted = count(len(inputs), "target")
            raise wrong(f"expected {wanted}, one for each of the inputs, got {len(targets)}")
        return targets


_Pair = Annotated[PairSpec, Tag("<pair>")]
Table = Annotated[Annotated[inline.TablePath, Tag("<path>")] | _Pair, Discriminator(_path_or_pair)]
ShareOrTable = Annotated[
    Annotated[inline.ShareOrPath, Tag("<path>")] | _Pair, Discriminator(_path_or_pair)
]


class DataSpec(Model):
    """Where the samples come from and what their columns mean."""

    train: Table = Field(
        description="Training data: a table (.csv, .tsv, .npz) or {inputs, targets}. "
        "Paths are relative to the spec file.",
        examples=["digits.csv"],
    )
    validation: ShareOrTable | None = Field(
        None,
        description="What the network is judged by after each epoch: a share held back from train, "
        "such as 0.2, or a path, or {inputs, targets}. By default nothing.",
    )
    test: Table | None = Field(
        None,
        description="Data to judge the trained network by, once: a table or {inputs, targets}. "
        "By default none.",
    )
    target: columns.Target = Field(
        None,
        description="The target's column: name, index, or a list of them. "
        "By default the last column.",
    )
    classes: columns.Classes = Field(
        None,
        description="How many classes there are, or their names; `none` where integers are plain "
        "numbers. By default found from the targets.",
    )
    header: values.Flag | None = Field(
        None, description="Whether a table's first line holds names. By default found out."
    )
    scale: columns.Scale = Field(
        "none",
        description="A number to divide the inputs by; or for each input minmax, to 0 to 1; or "
        "standard, to mean 0 and deviation 1; or none.",
    )
    shape: values.Shape | None = Field(
        None,
        description="[channels, rows, columns]: how a row of a table becomes an image. By default "
        "as stored.",
    )


# Layers


def _some_layers(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        example = "a list of layers such as [{type: dense, units: 10}]"
        raise wrong(f"expected {example}, got {describe(value)}")
    if len(value) > MOST_LAYERS:
        raise wrong(f"{len(value)} layers are too many; the most is {MOST_LAYERS}")
    return value


# Training


class ConstantSchedule(Model):
    """η stays as it is."""

    type: Literal["constant"] = Field(description="η stays as it is.")


class StepSchedule(Model):
    """η is multiplied by gamma every `step_size` epochs."""

    type: Literal["step"] = Field(description="η times gamma every step_size epochs.")
    step_size: values.Count = Field(description="Epochs from one step to the next.", examples=[10])
    gamma: values.Decay = Field(0.1, description="The factor.")


class ExponentialSchedule(Model):
    """η is multiplied by gamma every epoch."""

    type: Literal["exponential"] = Field(description="η times gamma every epoch.")
    gamma: values.Decay = Field(description="The factor.", examples=[0.95])


class CosineSchedule(Model):
    """η falls to `eta_min` along half a cosine."""

    type: Literal["cosine"] = Field(description="η falls to eta_min along half a cosine.")
    eta_min: values.NotNegative = Field(0.0, description="Where η ends.")
    t_max: values.Count | None = Field(
        None, description="Epochs until η has come to eta_min. By default all of them."
    )


SCHEDULES: dict[str, type[Model]] = {
    "constant": ConstantSchedule,
    "step": StepSchedule,
    "exponential": ExponentialSchedule,
    "cosine": CosineSchedule,
}
Schedule = ConstantSchedule | StepSchedule | ExponentialSchedule | CosineSchedule


def _constant_by_word(value: Any) -> Any:
    if value == "constant":
        return {"type": "constant"}
    if isinstance(value, str) and value in SCHEDULES:
        raise wrong(f"expected a mapping such as {{type: {value}, ...}}, got the word '{value}'")
    if isinstance(value, str):
        raise unknown_word(value, tuple(SCHEDULES))
    return value


if TYPE_CHECKING:
    _Schedule = Schedule
else:
    _Schedule = Annotated[
        union_by_type(SCHEDULES, "{type: step, step_size: 10}"), BeforeValidator(_constant_by_word)
    ]


_COST = (
    "What is made small: quadratic, ½‖a − y‖², for any outputs; or cross_entropy, for "
    f"{listed(activations_of('cross_entropy'))} outputs."
)


class TrainSpec(Model):
    """How the network is trained."""

    eta: values.Positive = Field(
        description="The learning rate η; the key may also be written η.", examples=[0.5]
    )
    epochs: values.Count = Field(30, description="How often the training data is gone through.")
    batch_size: values.Count = Field(10, description="Samples in a mini-batch.")
    cost: Cost = Field("quadratic", description=_COST)
    momentum: values.Momentum = Field(0.0, description="Momentum, as in PyTorch's SGD.")
    weight_decay: values.NotNegative = Field(0.0, description="Weight decay, as in PyTorch's SGD.")
    shuffle: values.Flag = Field(True, description="Whether each epoch has an order of its own.")
    threads: values.Threads = Field(
        "auto", description="How many threads share the work. By default as many as are worth it."
    )
    schedule: _Schedule = Field(
        ConstantSchedule(type="constant"), description="How η changes from epoch to epoch."
    )
    init_from: inline.PathOrNone = Field(
        None,
        description="An .npz or .safetensors file, or a run folder: what all layers start from.",
    )
    weights_layout: Annotated[Layout, word(Layout)] = Field(
        "nncli",
        description="How dense weights lie in files: nncli's inputs x units, or pytorch's "
        "outputs x inputs.",
    )


# The whole


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

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return self._folder

    def resolve(self, path: str) -> Path:
        """A path of this spec as seen from the current folder."""
        return self._folder / os.path.expanduser(path)

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
    **{tag(kind): model for kind, model in (*LAYERS.items(), *SCHEDULES.items())},
}
