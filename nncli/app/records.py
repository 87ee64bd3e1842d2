"""What the commands return: records of data, without any function that makes one.

They, `evaluation_records`, `report_records` and `summary_records` are all that `nncli.render` knows
of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from nncli.core.notebooks import MimeBundle, mime_bundle

if TYPE_CHECKING:
    from nncli.core.layouts import Layout
    from nncli.data import Data
    from nncli.exchange.importing import ModuleOrigin
    from nncli.exchange.trained import Trained
    from nncli.filtering.record import Backward, Filtering
    from nncli.inspection.check import Sweep
    from nncli.inspection.diagnosis.ranking import Suspect
    from nncli.inspection.diagnosis.record import Evidence, Finding
    from nncli.inspection.findings import Why
    from nncli.inspection.record import Inspection
    from nncli.nn.arrays import Array, Shape
    from nncli.nn.links import Link
    from nncli.nn.network import Network
    from nncli.nn.parallel.ranks import Ranks
    from nncli.spec import Spec, ValueOrigin
    from nncli.training.best import UsedWeights
    from nncli.training.conditions import Condition
    from nncli.training.evaluate import Evaluation, Fit
    from nncli.training.history import History
    from nncli.training.steps import Plan
    from nncli.training.tallies import Outcome

SPEC_SUFFIXES = (".yaml", ".yml")


class InitialWeights(NamedTuple):
    """The file that a network's weights were read from, and where in it each layer's were.

    Attributes:
        layout: of dense weights in it: nncli's inputs x units, or pytorch's outputs x inputs.
        notes: warnings: what of a run is damaged.
    """

    file: Path
    layout: Layout
    origins: tuple[ModuleOrigin, ...]
    notes: tuple[str, ...] = ()


class Prepared(NamedTuple):
    """Everything a training needs, read and checked; no step is taken yet.

    Attributes:
        links: what the optimizer is made of.
        initial: where the network's weights were read from; None: they are the spec's own.
        notes: what its user should look at: of the data as they were read, and of their shape.
        conditions: what is to hold in the training, and what it is to stop at.
        ranks: the processes of an MPI job that it is shared among; None: it is alone.
    """

    spec: Spec
    data: Data
    network: Network
    plan: Plan
    links: tuple[Link, ...] = ()
    initial: InitialWeights | None = None
    notes: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    ranks: Ranks | None = None

    @property
    def has_classes(self) -> bool:
        """Whether targets are classes: each has an output, or the second of two has one."""
        return self.plan.reading == "classes"


class TrainingFit(NamedTuple):
    """How near outputs come to plain numbers.

    Attributes:
        part: which data: train or validation.
        outputs: their names.
    """

    part: Literal["train", "validation"]
    outputs: tuple[str, ...]
    fit: Fit


@dataclass(frozen=True)
class Training:
    """A training that has come to its end.

    Attributes:
        spec: what was trained.
        network: with its trained parameters.
        history: a record an epoch, those before a resume included.
        test: on the spec's test data, with the weights `used`; None where it names none.
        folder: the run folder, or None where none was asked for.
        conditions: of its spec, and what became of each.
        used: the weights that a command given the run takes; `network` has the last.
        has_stopped_early: whether it ended before the last epoch, since none was better.
        fit: of targets that are numbers, how near outputs come to them in their own units, on the
            data held back or else on those trained on, with the weights `used`.
        chance: the accuracy of guessing; None of targets that are numbers.
    """

    spec: Spec
    network: Network
    history: History
    test: Evaluation | None
    folder: Path | None
    conditions: tuple[Outcome, ...] = ()
    used: UsedWeights | None = None
    has_stopped_early: bool = False
    fit: TrainingFit | None = None
    chance: float | None = None

    @property
    def expectations(self) -> tuple[Outcome, ...]:
        """The conditions that were to hold."""
        return tuple(outcome for outcome in self.conditions if outcome.condition.key == "expect")

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The expectations that did not hold."""
        return tuple(outcome for outcome in self.expectations if outcome.held is False)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


class InspectedStep(NamedTuple):
    """A step, taken apart.

    Attributes:
        why: which samples pushed one weight, where that was asked for.
        sweep: the error of central differences over the step size, where that was asked for.
        diagnosis: what is wrong with the network, as far as that is known without training, where
            that was asked for.
    """

    inspection: Inspection
    why: Why | None = None
    sweep: Sweep | None = None
    diagnosis: Diagnosis | None = None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


class Diagnosis(NamedTuple):
    """What is wrong with a network.

    Attributes:
        findings: the causes, the most likely first; none: it is healthy.
        evidence: what they follow from.
        samples: how many copies were trained on, and judged by.
        epochs: for how many they were trained.
        trials: every cause that was suspected, with the cures that were tried.
        notes: what reading the data, or the run, left out.
    """

    name: str
    findings: tuple[Finding, ...]
    evidence: Evidence
    samples: tuple[int, int]
    epochs: int
    trials: tuple[Suspect, ...]
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return not self.findings


class ExplainedFilter(NamedTuple):
    """A filter over a matrix, and what was asked for beyond its output.

    Attributes:
        names: of the matrix and of the filter, as they were given.
        indices: of the outputs whose products are to be shown, in reading order.
        other: the output with the filter the other way round, for comparison.
        backward: what flows back of an upstream gradient.
        notes: what reading or writing the files left out.
    """

    filtering: Filtering
    names: tuple[str, str]
    indices: tuple[Shape, ...] = ()
    other: Array | None = None
    backward: Backward | None = None
    notes: tuple[str, ...] = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


class SpecLine(NamedTuple):
    """A line of YAML.

    Attributes:
        text: it, without a line break.
        key, origin: of the value that begins in it. A mapping's own line has neither, nor have the
            rows of a list.
        meaning: the meaning of a default that is null, in words.
    """

    text: str
    key: str | None = None
    origin: ValueOrigin | None = None
    meaning: str = ""


class SpecListing(NamedTuple):
    """A spec with every default filled in and every path absolute.

    Attributes:
        file: where it was read from.
        spec: the filled one.
        lines: it as YAML that reads back as an equal spec, wherever it is put.
        columns: what those of a run's table became, where they are not numbers alone.
    """

    file: Path
    spec: Spec
    lines: tuple[SpecLine, ...]
    columns: tuple[str, ...] = ()


Shown = SpecListing  # its first public name


class QuantityRow(NamedTuple):
    """A quantity that a condition may name.

    Attributes:
        of: whether it is of the training or of a layer.
        where: which layers have it, in words; layers: by name, those of a spec, where one is given.
    """

    name: str
    meaning: str
    of: Literal["training", "layer"]
    by_epoch: bool = False
    is_array: bool = False
    where: str = ""
    layers: tuple[str, ...] | None = None


class QuantityListing(NamedTuple):
    """The language of conditions.

    Attributes:
        rows: the quantities.
        functions, words: functions of them, and words for layers, each with its meaning.
        presets: by word: the meaning, and the conditions as a spec writes them.
        spec: the name of the spec whose layers are listed; None where all kinds are.
    """

    rows: tuple[QuantityRow, ...]
    functions: Mapping[str, str]
    words: Mapping[str, str]
    presets: Mapping[str, tuple[str, tuple[str, ...]]]
    spec: str | None = None


class Starter(NamedTuple):
    """A spec that comes with nncli: its text, or the data that it is made for."""

    file: str
    about: str
    origin: str = ""

    @property
    def is_text(self) -> bool:
        return self.file.endswith(SPEC_SUFFIXES)


class Brought(NamedTuple):
    """A network of another program's, as a spec with its weights beside it.

    Attributes:
        spec: as it was written.
        files: the spec's own first.
        notes: what its user should know.
    """

    spec: Spec
    files: tuple[Path, ...]
    notes: tuple[str, ...]


class Draft(NamedTuple):
    """A spec that can be written.

    Attributes:
        path: where to.
        text: of the spec.
        files: those to be written beside it, by path: the schema for editors, a starter's data.
        facts: the data in a line; empty for a starter that holds them itself.
        target: the column that was chosen as a table's target, and why; empty where none was.
        tried: the networks that were tried, and what they came to; empty where none were.
        notes: what its maker should look at.
    """

    path: Path
    text: str
    files: dict[Path, bytes]
    facts: str = ""
    target: str = ""
    notes: tuple[str, ...] = ()
    tried: str = ""


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        to: the format.
        files: the one that was asked for first, then those that belong to it.
        network: what was exported: its name, shapes, scaling and classes.
        scales: whether what was written scales raw inputs by itself.
        used: which of the run's weights it has; None: it is a training, from the first ones on.
        notes: what was changed on the way.
    """

    to: str
    files: tuple[Path, ...]
    network: Trained
    scales: bool
    used: UsedWeights | None
    notes: tuple[str, ...]
