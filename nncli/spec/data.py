"""The models of a spec's `data`: where the samples come from and what their columns mean.

Target, classes and scale are kinds of value that only columns have.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PlainValidator, Tag, ValidationInfo, field_validator

from nncli.core.text import count_of
from nncli.spec import inline, values
from nncli.spec.columns import DECIMALS, SEPARATORS, THOUSANDS, Columns, Comment, Encoding, Ignored
from nncli.spec.values import (
    NULL,
    JsonSchema,
    Model,
    among,
    any_of,
    enum,
    is_integer,
    is_number,
    listed,
    unexpected,
    unknown_word,
    wrong,
)
from nncli.spec.words import describe

MOST_CLASSES = 100_000


def _column(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and bool(value))


def _target(value: Any) -> str | int | tuple[str | int, ...]:
    if _column(value):
        return value  # type: ignore[no-any-return]
    items = listed(value)
    if not items or not all(map(_column, items)):
        raise unexpected("a column's name or index, or a list of them", value)
    _refuse_duplicates(items)
    return tuple(items)


def _classes(value: Any) -> int | str | tuple[str, ...]:
    if type(value) is int and value > MOST_CLASSES:
        raise unexpected(f"at most {MOST_CLASSES} classes", value)
    if value == "none" or is_integer(value, 2):
        return value  # type: ignore[no-any-return]
    items = listed(value)
    if items is None or len(items) < 2:
        raise unexpected("at least 2 classes: their number, a list of names, or none", value)
    for i, name in enumerate(items):
        if not isinstance(name, str):
            raise wrong(f"expected a name, got {describe(name)}; put it in quotes", (i,))
    _refuse_duplicates(items)
    return tuple(items)


def _refuse_duplicates(items: Sequence[Any]) -> None:
    seen: set[Any] = set()
    for i, item in enumerate(items):
        if item in seen:
            raise wrong(f"{describe(item)} is given twice; keep one", (i,))
        seen.add(item)


def _class_weights(value: Any) -> dict[str, float] | str:
    if isinstance(value, str):
        if value != "balanced":
            raise unknown_word(value, ("balanced", "a mapping from classes to numbers above 0"))
        return value
    if not isinstance(value, dict) or not value:
        raise unexpected("balanced, or a mapping from classes to numbers above 0", value)
    for name, weight in value.items():
        if not is_number(weight) or not 0 < weight < math.inf:
            raise unexpected("a number above 0", weight, (name,))
    return {str(name): float(weight) for name, weight in value.items()}


def _scale(value: Any) -> float | str:
    words = ("minmax", "standard", "none")
    if isinstance(value, str):
        if value not in words:
            raise unknown_word(value, (*words, "a positive number"))
        return value
    if not is_number(value) or value <= 0:
        raise unexpected("a positive number, minmax, standard or none", value)
    return float(value)


_STRING: JsonSchema = {"type": "string", "minLength": 1}
_INTEGER: JsonSchema = {"type": "integer"}
_DISTINCT: JsonSchema = {"type": "array", "uniqueItems": True}

Target = Annotated[
    str | int | tuple[str | int, ...] | None,
    PlainValidator(lambda value: None if value is None else _target(value)),
    any_of(
        _STRING,
        _INTEGER,
        {**_DISTINCT, "items": {"anyOf": [_STRING, _INTEGER]}, "minItems": 1},
        NULL,
    ),
]
Classes = Annotated[
    int | Literal["none"] | tuple[str, ...] | None,
    PlainValidator(lambda value: None if value is None else _classes(value)),
    any_of(
        {"type": "integer", "minimum": 2, "maximum": MOST_CLASSES},
        {**_DISTINCT, "items": {"type": "string"}, "minItems": 2},
        {"const": "none"},
        NULL,
    ),
]
ClassWeights = Annotated[
    dict[str, float] | Literal["balanced"] | None,
    PlainValidator(lambda value: None if value is None else _class_weights(value)),
    any_of(
        {"const": "balanced"},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        },
        NULL,
    ),
]
Scale = Annotated[
    float | Literal["minmax", "standard", "none"],
    PlainValidator(_scale),
    any_of({"type": "number", "exclusiveMinimum": 0}, {"enum": ["minmax", "standard", "none"]}),
]


def _path_or_pair(value: Any) -> str:
    return "<pair>" if isinstance(value, dict | PairSpec) else "<path>"


class PairSpec(Model):
    """Inputs and targets, each a file or lists written here."""

    inputs: inline.Inputs = Field(
        description="A path (.npy, IDX, also .gz), or .npy files by a pattern (x-*.npy), or one "
        "row of numbers for each sample.",
        examples=["train-images-idx3-ubyte.gz"],
    )
    targets: inline.Targets = Field(
        description="A path (.npy, IDX, also .gz), or .npy files by a pattern (y-*.npy), or one "
        "label or row of numbers a sample.",
        examples=["train-labels-idx1-ubyte.gz"],
    )

    @field_validator("targets")
    @classmethod
    def _one_for_each_input(cls, targets: Any, info: ValidationInfo) -> Any:
        inputs = info.data.get("inputs")
        if isinstance(inputs, tuple) and isinstance(targets, tuple) and len(inputs) != len(targets):
            wanted = count_of(len(inputs), "target")
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
        description="Training data: a table (.csv, .tsv, .parquet, .feather, .xlsx, .jsonl), .npz, "
        "or {inputs, targets}. "
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
    target: Target = Field(
        None,
        description="The target's column: name, index, or a list of them. "
        "By default the last column.",
    )
    classes: Classes = Field(
        None,
        description="How many classes there are, or their names; `none` where integers are plain "
        "numbers. A network of one unit takes two classes, and says 1 for the second. By default "
        "found from the targets.",
    )
    class_weights: ClassWeights = Field(
        None,
        description="What C_x of a sample of each class is multiplied by in training, and with it "
        "its δ: balanced, n / (k n_c) for a class with n_c of the n samples, of k classes; or a "
        "mapping from classes to numbers above 0, 1 where a class is not named. Costs that "
        "are measured (validation, test, evaluate) are not weighted. By default none.",
        examples=["balanced", {"rare": 5}],
    )
    header: values.Flag | None = Field(
        None, description="Whether a table's first line holds names. By default found out."
    )
    separator: Annotated[str, among(SEPARATORS), enum(SEPARATORS)] | None = Field(
        None, description="What is between the cells of a table. By default found out."
    )
    decimal: Annotated[str, among(DECIMALS), enum(DECIMALS)] | None = Field(
        None, description="What marks decimals in a table. By default found out."
    )
    thousands: Annotated[str, among(THOUSANDS), enum(THOUSANDS)] | None = Field(
        None,
        description="What groups the thousands of a table's numbers; a comma then marks no "
        "decimals, nor a point. By default nothing does.",
    )
    comment: Comment = Field(
        None,
        description="What begins a line of a table that is a comment, besides #. "
        "By default nothing.",
        examples=["%"],
    )
    encoding: Encoding = Field(
        None,
        description="The encoding of tables of text, such as latin-1, cp1252 or utf-16. By "
        "default UTF-8.",
        examples=["latin-1"],
    )
    ignore: Ignored = Field(
        None,
        description="Columns of a table to leave out: names, indices from 0, or patterns such as "
        "id_*. By default none.",
        examples=[["name", "ticket"]],
    )
    columns: Columns = Field(
        None,
        description="What columns of a table are: number, boolean, category, date, hash, ignore; "
        "or a mapping with ordinal, hash, date, missing, indicator. By default found out.",
        examples=[{"sex": "category", "age": {"missing": "median"}}],
    )
    scale: Scale = Field(
        "none",
        description="A number to divide the inputs by; or for each input minmax, to 0 to 1; or "
        "standard, to mean 0 and deviation 1; or none.",
    )
    target_scale: Scale = Field(
        "none",
        description="As scale, for targets that are numbers; outputs are given back in the "
        "targets' own units.",
    )
    shape: values.Shape | None = Field(
        None,
        description="[channels, rows, columns]: how a row of a table becomes an image. By default "
        "as stored.",
    )

    @property
    def is_several_files(self) -> bool:
        """Whether the training data are in files that a pattern names."""
        inputs = self.train.inputs if isinstance(self.train, PairSpec) else self.train
        return isinstance(inputs, str) and ("*" in inputs or "?" in inputs)
