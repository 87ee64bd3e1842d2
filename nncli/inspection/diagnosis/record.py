"""What a diagnosis is made from, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Remedy = Literal["set", "balance", "leave_out"]


class LayerFacts(NamedTuple):
    """A layer of the spec that has weights.

    Attributes:
        name, place: `dense1`, and where it stands in the spec's list.
        width: its units or filters, under the spec's `width_key`.
        init: how its weights are drawn; None where it is the activation's default.
        has_weights, has_biases: whether their values are given, not drawn.
    """

    name: str
    place: int
    activation: str
    width: int
    width_key: str
    init: str | None
    has_weights: bool
    has_biases: bool
    is_output: bool


class Place(NamedTuple):
    """A layer by its name, and where it stands in the spec's list."""

    name: str
    number: int


class Gap(NamedTuple):
    """A layer whose windows are further apart than they reach.

    Attributes:
        kernel, stride: rows and columns of a window, and from one to the next.
        read: the share of its input that is in a window.
    """

    place: Place
    kernel: tuple[int, int]
    stride: tuple[int, int]
    read: float


class Brakes(NamedTuple):
    """What holds a training up, if there is too much of it.

    Attributes:
        gaps: layers that do not read all of their input.
        frozen: layers whose weights are not trained.
        faded: the first epoch with less than a hundredth of η; None where there is none.
        early_stop: patience and min_delta, where there is one.
        clip: `norm` or `value`, and to what.
        decays: weight decays and L1 that are not 0, by their key.
        dropouts: the rate of each dropout layer.
        class_weights: the smallest and the largest.
        normalised: names of layers that take their means over the mini-batch.
    """

    gaps: tuple[Gap, ...] = ()
    frozen: tuple[Place, ...] = ()
    faded: int | None = None
    early_stop: tuple[int, float] | None = None
    clip: Mapping[str, float] = MappingProxyType({})
    decays: Mapping[str, float] = MappingProxyType({})
    dropouts: Mapping[Place, float] = MappingProxyType({})
    class_weights: tuple[float, float] | None = None
    normalised: tuple[str, ...] = ()


class Settings(NamedTuple):
    """What of a spec the causes ask for.

    Attributes:
        init_from: the file that weights are read from.
        layers: those with weights, in forward order.
    """

    eta: float
    momentum: float
    batch_size: int
    epochs: int
    cost: str
    scale: str
    weight_decay: float
    optimizer: str
    init_from: str | None
    layers: tuple[LayerFacts, ...]
    brakes: Brakes = Brakes()

    @property
    def hidden(self) -> tuple[LayerFacts, ...]:
        return self.layers[:-1]

    @property
    def output(self) -> LayerFacts:
        return self.layers[-1]


class Outlier(NamedTuple):
    """A sample with a number far beyond all others of its kind.

    Attributes:
        sample: of the training data, from 0.
        quantity: input or target; `value` is the number, `usual` the largest of all the others.
    """

    sample: int
    quantity: str
    value: float
    usual: float


class Giveaway(NamedTuple):
    """An input that is as good as a target, by their places from 0; output None: as the class."""

    input: int
    output: int | None


class Held(NamedTuple):
    """The samples held back, beside those trained on.

    Attributes:
        shift: by how many deviations the mean of an input is another, the median over inputs.
        stretch: how many times larger its deviation is, or smaller, the median over inputs.
        agreement: deviations from 0 of the correlation of their targets with what a linear model
            makes of the others; None where it has nothing to tell.
        unseen_classes: those that they alone have; unseen_share: of how many of them these are.
        seen: the share that is among those trained on too; 0 where no input has many values, so
            that some are bound to be.
        heavy: as in `DataFacts`.
    """

    shift: float = 0.0
    stretch: float = 1.0
    agreement: float | None = None
    unseen_classes: tuple[int, ...] = ()
    unseen_share: float = 0.0
    seen: float = 0.0
    heavy: Outlier | None = None


class DataFacts(NamedTuple):
    """The samples, as the network takes them.

    Attributes:
        samples: of the training data; `inputs` numbers each.
        constant: how many of the inputs are the same in all samples.
        rms: the root mean square of all inputs.
        largest_rms, smallest_rms: of single inputs that are not constant; 0 where all are.
        offset: the largest |mean| / deviation of an input that is not constant; 0 where all are.
        targets: the least and the largest.
        class_shares: of each class; () where targets are plain numbers.
        outlier: None where no sample is one.
        same_targets: whether all samples have the same.
        giveaways: inputs that vary with a target as if they were it.
        heavy: a sample whose target makes nearly all that targets vary; None where there is none.
        held_back: None where the spec holds back none.
        input_names, output_names: in their order; () where they have none.
    """

    samples: int
    inputs: int
    constant: int
    rms: float
    largest_rms: float
    smallest_rms: float
    offset: float
    targets: tuple[float, float]
    class_shares: tuple[float, ...]
    outlier: Outlier | None
    same_targets: bool = False
    giveaways: tuple[Giveaway, ...] = ()
    heavy: Outlier | None = None
    held_back: Held | None = None
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()

    def input_name(self, place: int) -> str:
        return self.input_names[place] if self.input_names else f"{place}"

    def output_name(self, place: int) -> str:
        return self.output_names[place] if self.output_names else f"output {place}"


class LayerState(NamedTuple):
    """A layer with weights in a step that was not taken: on some samples, as they are now.

    Attributes:
        z_rms, spread: the root mean square of z, and the mean deviation of a unit's a over samples.
        dead: the share of units whose σ′ is 0 for every sample; 0 where σ′ is never 0 for long.
        saturated: the share of (unit, sample) with |σ′| < 0.01, of samples answered wrong.
        delta_norm: ‖δ‖ / √samples.
        identical: whether all its units have the same weights and biases.
        alike: whether each unit has the same weight for all inputs.
        gradient_norm, weight_norm: of ∂C/∂W and W.
    """

    name: str
    z_rms: float
    spread: float
    dead: float
    saturated: float
    delta_norm: float
    identical: bool
    alike: bool
    gradient_norm: float
    weight_norm: float


class Result(NamedTuple):
    """How near outputs come to targets.

    Attributes:
        skill: 1 − Σ (a − y)² / Σ (y − mean y)²: 1 is perfect, 0 what the mean of the targets
            reaches; of classes Brier's skill score.
        mse: the mean of (a − y)² over samples and outputs.
        accuracy: the share of samples that are right; None where there are no classes.
        recalls: of each class there is; () where there are none.
    """

    skill: float
    mse: float
    accuracy: float | None = None
    recalls: tuple[float, ...] = ()

    @property
    def balanced(self) -> float:
        """The mean recall."""
        return sum(self.recalls) / len(self.recalls) if self.recalls else 0.0


@dataclass(frozen=True)
class Course:
    """A training, or what there is of it.

    Attributes:
        costs: the mean cost of each epoch, its samples taken before their updates.
        held_costs: after each epoch, on the samples held back; empty where there are none.
        train, held: how good it is at the end; None where it was not measured.
        diverged: whether it ended as it diverged.
        origin: in which layer, quantity and sample, and at which step, it did.
        end: the layers after the last step; () where they were not looked at.
        stopped_early: whether it ended before its last epoch, as `early_stop` has it.
    """

    costs: tuple[float, ...]
    held_costs: tuple[float, ...]
    train: Result | None
    held: Result | None
    diverged: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict)
    end: tuple[LayerState, ...] = ()
    stopped_early: bool = False

    @property
    def fit(self) -> float:
        """The skill on the samples trained on, from -1 to 1; a divergence has -1."""
        return _bounded(self.train, self.diverged)

    @property
    def score(self) -> float:
        """The skill to judge by: on the samples held back, where there are any."""
        return _bounded(self.train if self.held is None else self.held, self.diverged)


def _bounded(result: Result | None, diverged: bool) -> float:
    if diverged or result is None or not result.skill > -1:
        return -1.0
    return result.skill


class Baselines(NamedTuple):
    """What needs no network. Accuracies where there are classes, else mean squared errors.

    Attributes:
        chance, majority: of classes; None for plain numbers.
        mean: of the mean of the targets; None for classes.
        linear: of a linear model fitted to the same samples by least squares.
        chance_cost: the cost of outputs that are all equal, ln(classes); None where that is not
            what the cost would be.
        relation: by how many standard deviations inputs tell targets better than by chance (the
            better of a linear model and of nearest neighbours); None where samples are too few.
    """

    chance: float | None
    majority: float | None
    mean: float | None
    linear: float | None
    chance_cost: float | None
    relation: float | None


@dataclass(frozen=True)
class Evidence:
    """All that causes are suspected by.

    Attributes:
        start: the layers before the first step.
        base: the training as the spec has it; None where nothing was trained.
        is_sample: whether that had fewer samples or epochs than the spec asks for.
    """

    settings: Settings
    data: DataFacts
    start: tuple[LayerState, ...]
    base: Course | None
    baselines: Baselines
    is_sample: bool = False

    def state(self, name: str) -> LayerState:
        return next(state for state in self.start if state.name == name)


class Cure(NamedTuple):
    """What to do: keys of the spec with their new values, and in words.

    Attributes:
        remedy: `set` is those keys alone; `balance` repeats the samples of rare classes, and
            `leave_out` leaves the outlier out, for which there is no key.
    """

    set: Mapping[str, Any]
    says: str
    remedy: Remedy = "set"
    sample: int | None = None


class Suspicion(NamedTuple):
    """A cause that there is evidence for.

    Attributes:
        severity: 0 to 1, by the evidence alone.
        layers: those concerned.
        evidence: numbers by name.
        says: the evidence in a sentence.
        cures: what may help; the first that does best is kept.
        further: those to try after them, one by one, until the network is good.
    """

    severity: float
    layers: tuple[str, ...]
    evidence: Mapping[str, Any]
    says: str
    cures: tuple[Cure, ...]
    further: tuple[Cure, ...] = ()


class Tried(NamedTuple):
    """A cure tried: a metric without and with it."""

    before: float | None
    after: float | None
    metric: str


class Finding(NamedTuple):
    """A cause that was found, with the cure that helped most of those tried for it.

    `cause` is its word in records, `title` what a reader is told.
    """

    cause: str
    title: str
    layers: tuple[str, ...]
    evidence: Mapping[str, Any]
    says: str
    cure: Cure
    tried: Tried | None
