"""What a derivation is made of: lessons, each one statement with its numbers.

Arrays are those of the one sample that is followed, and those of an image layer are flat unless
their shape is given. An `Excerpt` says which entries of a long axis a reader is shown.
"""

from dataclasses import dataclass
from typing import NamedTuple

from nncli.inspection.conventions import WrittenStep
from nncli.inspection.derivation.base import Excerpt, Lesson
from nncli.inspection.derivation.wrong import Wrong
from nncli.nn.arrays import Array, Shape
from nncli.nn.trace import LayerTrace, Trace


@dataclass(frozen=True, eq=False, kw_only=True)
class Question(Lesson):
    """What a mini-batch is asked."""

    trace: Trace
    sample: int  # its number in the training data
    inputs: Array
    targets: Array
    shown_inputs: Excerpt
    shown_targets: Excerpt
    parameters: int


# Forward


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseForward(Lesson):
    """z = a W + b and a = σ(z); `products` are a_i w_ij of the unit that is written out."""

    unit: int
    products: Array
    input: Array
    weight: Array
    bias: Array | None
    z: Array
    a: Array
    inputs: Excerpt
    units: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvForward(Lesson):
    """One window of one filter. `products` is window ⊙ filter; all are channels x rows x columns.

    `place` is the filter, and row and column of the output; `channel` is shown, `sums` are those
    of each channel's products.
    """

    place: tuple[int, int, int]
    channel: int
    window: Array
    filter: Array
    products: Array
    sums: Array
    bias: float | None
    z: float
    a: float
    windows: int
    rows: Excerpt
    columns: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolForward(Lesson):
    """One window of one channel: rows x columns; `place` is channel, row and column of `a`.

    `window` is its cells on the image; `count` of them, with those of the padding, make a mean.
    """

    place: tuple[int, int, int]
    window: Array
    count: int
    a: float


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskForward(Lesson):
    """a = input ⊙ mask of a dropout layer."""

    input: Array
    mask: Array
    a: Array
    units: Excerpt
    kept: int


@dataclass(frozen=True, eq=False, kw_only=True)
class NormForward(Lesson):
    """One unit or channel of a batchnorm layer over the mini-batch, `input` as a vector."""

    unit: int
    input: Array
    normalised: Array
    a: Array
    mean: float
    variance: float
    gamma: float
    beta: float
    entries: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class CostLesson(Lesson):
    """C_x, what each output adds to it, and ∂C_x/∂a.

    weight: that of the sample's class, a factor of all of them; None where classes have none.
    """

    trace: Trace
    a: Array
    y: Array
    parts: Array
    upstream: Array
    cost_of_sample: float
    units: Excerpt
    weight: float | None = None


# The error goes back


@dataclass(frozen=True, eq=False, kw_only=True)
class Sigma(Lesson):
    """The chain rule through an elementwise σ: its Jacobian is diagonal.

    Attributes:
        units: those shown; `jacobian` is ∂a_k/∂z_j of these, k down and j across.
        has_off: whether one of them is there because its σ′ is 0.
        shape: of the layer's output; the vectors are flat.
        fused: whether the step takes δ = a − y, because σ′ cancels.
        a, y: of an output layer's units.
        weight: that of the sample's class, a factor of a − y; None where classes have none.
    """

    units: Excerpt
    has_off: bool
    shape: Shape
    jacobian: Array
    upstream: Array
    sigma_prime: Array
    delta: Array
    fused: bool = False
    a: Array | None = None
    y: Array | None = None
    weight: float | None = None

    @property
    def is_telling(self) -> bool:
        """Whether σ′ does something to the error."""
        return not self.fused and self.of.activation != "identity"


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftmaxJacobian(Lesson):
    """∂a_k/∂z_j of a softmax: not diagonal. Of many classes `units` are shown."""

    a: Array
    jacobian: Array
    units: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftmaxError(Lesson):
    """∂C_x/∂a times the Jacobian is a − y.

    `diagonal` is what its diagonal alone would give, most wrong at the class `missed`. Where
    classes have weights, it is w (a − y), of the `difference` a − y.
    """

    upstream: Array
    jacobian: Array
    a: Array
    y: Array
    delta: Array
    diagonal: Array
    missed: int
    units: Excerpt
    weight: float | None = None
    difference: Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseBack(Lesson):
    """∂C_x/∂a_i = Σ_j w_ij δ_j; `products` are those of the input that is written out."""

    input: int
    products: Array
    weight: Array
    delta: Array
    downstream: Array
    inputs: Excerpt
    units: Excerpt
    below: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvBack(Lesson):
    """The way back to one cell of a conv layer's input: δ around it ⊙ the filter turned.

    Attributes:
        cell: channel, row, column.
        filter: the one shown; `sums` are what each of them adds.
        around: δ of the windows over the cell, as they lie in the output; 0 where there is none.
        turned: the filter of that channel by 180 degrees; `products` is around ⊙ turned.
        untouched: the same filter as it is.
        windows: how many windows are over the cell, of as many as the filter has taps.
    """

    cell: tuple[int, int, int]
    filter: int
    around: Array
    turned: Array
    untouched: Array
    products: Array
    sums: Array
    downstream: float
    windows: int
    rows: Excerpt
    columns: Excerpt
    below: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolBack(Lesson):
    """∂C_x/∂a of one window goes to its cells: `share` is what each is given."""

    place: tuple[int, int, int]
    upstream: float
    window: Array
    count: int
    share: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshaped(Lesson):
    """A layer that computes nothing: the same numbers in another shape."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskBack(Lesson):
    """∂C_x/∂input = ∂C_x/∂a ⊙ mask: a diagonal Jacobian once more."""

    units: Excerpt
    jacobian: Array
    upstream: Array
    mask: Array
    downstream: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class NormBack(Lesson):
    """One unit of a batchnorm layer: each input of the mini-batch acts on each output.

    `jacobian` is ∂a_x/∂input_y of the `entries` shown, x down and y across.
    """

    unit: int
    entries: Excerpt
    jacobian: Array
    upstream: Array
    direct: Array
    through_mean: float
    through_variance: Array
    downstream: Array


# The gradients


@dataclass(frozen=True, eq=False, kw_only=True)
class Outer(Lesson):
    """∂C_x/∂W of one sample: `product`[i, j] = a_i δ_j; `weight` is the one written out."""

    weight: tuple[int, int]
    input: Array
    delta: Array
    product: Array
    inputs: Excerpt
    units: Excerpt
    samples: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples(Lesson):
    """The sum over the samples is aᵀ δ. All arrays are of the mini-batch, samples first.

    `summed` is aᵀ δ, `gradient` the mean that it makes.
    `products` are a_xi δ_xj of the weight that is written out; `sample_numbers` name the samples.
    """

    weight: tuple[int, int]
    sample_numbers: tuple[int, ...]
    input: Array
    delta: Array
    products: Array
    summed: Array
    gradient: Array
    inputs: Excerpt
    units: Excerpt
    samples: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvGradient(Lesson):
    """∂C/∂w of one filter tap: the cells under it ⊙ δ, summed over the windows.

    Attributes:
        tap: filter, channel, row, column.
        cells, delta, products: of the output's shape, of the sample that is followed.
        sums: of each sample's products; their mean is `gradient`.
        rows, columns: of the output, those shown.
    """

    tap: tuple[int, int, int, int]
    cells: Array
    delta: Array
    products: Array
    sums: Array
    gradient: float
    rows: Excerpt
    columns: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class NormGradient(Lesson):
    """∂C/∂γ and ∂C/∂β of one unit: Σ ∂C/∂a ⊙ x̂ and Σ ∂C/∂a, over the mini-batch."""

    unit: int
    upstream: Array
    normalised: Array
    products: Array
    gamma_gradient: float
    beta_gradient: float
    entries: Excerpt


@dataclass(frozen=True, eq=False, kw_only=True)
class Written(Lesson):
    """In what another convention differs from nncli's own."""

    written: WrittenStep


@dataclass(frozen=True, eq=False, kw_only=True)
class WrittenLine(Lesson):
    """What was derived of a layer, as another convention writes it."""

    written: WrittenStep


class WeightStep(NamedTuple):
    """The step of one weight of a layer."""

    layer: LayerTrace
    place: tuple[int, ...]
    weight: float
    gradient: float
    update: float
    new: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Update(Lesson):
    """The step, of each layer the weight with the largest gradient; and what the cost did."""

    trace: Trace
    steps: tuple[WeightStep, ...]
    predicted: float


# The end


class Use(NamedTuple):
    """A line of the computation in which a product is used, with one of its entries.

    Attributes:
        what: word for the line: forward, σ, back, outer, ...
        result: the entry; `factors` the two numbers that make it, or all that are summed.
        is_weighted: whether the weight of a class is among them.
    """

    what: str
    layer: LayerTrace
    factors: tuple[float, ...] = ()
    result: float | None = None
    is_weighted: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Products(Lesson):
    """Which product is used where, in the order of the step."""

    uses: tuple[Use, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers(Lesson):
    """Questions of a reader that this network can answer, with the lessons that they go back to."""

    questions: tuple[tuple[str, Lesson], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Mistaken(Lesson):
    """A classic mistake beside what is right, behind the lesson in which a number is wrong first.

    `at` is the sample that is followed, as its position in the mini-batch.
    """

    mistake: Wrong
    at: int


@dataclass(frozen=True, eq=False, kw_only=True)
class MistakenStep(Lesson):
    """What a mistake would do to the step."""

    mistake: Wrong
    trace: Trace
