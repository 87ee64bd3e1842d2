"""The models of a spec's `data`: where the samples come from and what their columns mean."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from nncli.core.text import count_of
from nncli.spec import columns, inline, values
from nncli.spec.base import Model
from nncli.spec.values import wrong


def _path_or_pair(value: Any) -> str:
    return "<pair>" if isinstance(value, dict | PairSpec) else "<path>"


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
