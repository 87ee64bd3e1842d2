"""What `evaluate` and `predict` return: records of data, as those in `records`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nncli.core.notebooks import MimeBundle, mime_bundle

if TYPE_CHECKING:
    from nncli.core.reading import Reading
    from nncli.nn.arrays import Array
    from nncli.training.best import UsedWeights
    from nncli.training.evaluate import Assessment


class WorstSample(NamedTuple):
    """A sample that the network does badly on.

    Attributes:
        sample: its number in the data, from 0.
        line: its line in a table's file, from 1; None where the data are no table.
        cost: its C_x.
        target, predicted: classes by name; None where targets are plain numbers.
        targets, outputs: y and a.
        inputs: as the data have them, before scaling.
    """

    sample: int
    line: int | None
    cost: float
    target: str | None
    predicted: str | None
    targets: Array
    outputs: Array
    inputs: Array


class Evaluated(NamedTuple):
    """A run's network measured on some samples.

    Attributes:
        run: its folder, and its name.
        used: which of its weights it has.
        part: which data: `test`, `validation` or `train` of the run's own, or `data` that were
            given; `source` is the file of the inputs.
        cost_name: quadratic or cross_entropy.
        classes: their names; None where targets are labels or plain numbers.
        outputs: the names of the outputs.
        assessment: the numbers.
        worst: the samples of the largest C_x, the largest first.
        notes: what reading the samples left out, or took for something that it need not be.
    """

    run: Path
    name: str
    used: UsedWeights
    part: str
    source: str
    cost_name: str
    classes: tuple[str, ...] | None
    outputs: tuple[str, ...]
    assessment: Assessment
    worst: tuple[WorstSample, ...]
    notes: tuple[str, ...] = ()

    @property
    def epoch(self) -> int:
        """How many epochs it was trained."""
        return self.used.epoch

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


class Prediction(NamedTuple):
    """Outputs of a network.

    Attributes:
        outputs: samples x outputs, as the last layer gives them.
        names: of the outputs: the classes, or the target columns.
        classes: the names of the classes; None where the targets were labels or plain numbers.
        reading: what the outputs say of a sample.
    """

    outputs: Array
    names: tuple[str, ...]
    classes: tuple[str, ...] | None
    reading: Reading

    @property
    def labels(self) -> list[str] | None:
        """The class of each sample, see `nncli.nn.reading`; None where there are no classes."""
        from nncli.nn.reading import class_indices

        if self.classes is None:
            return None
        return [self.classes[k] for k in class_indices(self.outputs).tolist()]

    @property
    def given(self) -> list[tuple[str, ...]] | None:
        """The labels that each sample is given; None where targets were no labels."""
        from nncli.nn.reading import HALF

        if self.reading != "labels":
            return None
        return [
            tuple(name for name, is_on in zip(self.names, row, strict=True) if is_on)
            for row in (self.outputs > HALF).tolist()
        ]
