"""What a kind of layer is, and its part of a step.

A kind is a `Layer`: hyperparameters, the shapes that follow from them, and what a step of it costs.
Its part of a step is a `LayerStep`: arrays, and rules that fill them. Each kind has both in a file
of its own, and `nncli.nn.layers.LAYERS` lists them all.

The bias row: z = W a + b is one product, [W b] [a; 1], where a is followed by a row of ones. So an
output that a dense layer may read is allocated with such a row behind it (`has_ones_row`), and the
biases of a layer that reads one are stored as one more row of W (`has_bias_row`;
`Placed.has_joint_weights`). The arrays themselves keep their shapes; `arrays.extended_by_one` gives
the view that has the row too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nncli.core.text import sizes
from nncli.nn.arrays import Array, Operations, Shape, Zeros
from nncli.nn.windows import Padding, Pair, Windows, place_windows


class ShapeMismatch(Exception):
    """An input that does not fit a layer; `key` is the hyperparameter to blame."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def _of_series(windows: Windows, kernel: Pair) -> str:
    """What a window on a series, an image of one row or column, has to be."""
    rows, columns = windows
    if rows.padded == 1 < rows.kernel and columns.outputs > 0:
        return f"; on a single row it is [1, {kernel[1]}]"
    if columns.padded == 1 < columns.kernel and rows.outputs > 0:
        return f"; on a single column it is [{kernel[0]}, 1]"
    return ""


def windows_on(
    kind: str, input_shape: Shape, kernel: Pair, key: str, **how: Padding | Pair | bool
) -> Windows:
    """The windows of a layer on an image of `input_shape`.

    Args:
        key: the hyperparameter that `kernel` comes from.
        how: stride, padding, dilation and ceil_mode, as `place_windows` has them.

    Raises:
        ShapeMismatch: it is no image, or smaller than a window.
    """
    if len(input_shape) != 3:
        raise ShapeMismatch(
            f"a {kind} layer takes an image of channels x rows x columns, "
            f"its input is a vector of {sizes(input_shape)}; say the image's shape in data.shape"
        )
    windows = place_windows(input_shape[1:], kernel, **how)  # type: ignore[arg-type]
    if min(windows.output_shape) < 1:
        reach = (windows.rows.reach, windows.columns.reach)
        dilated = f" (reaching over {sizes(reach)})" if reach != kernel else ""
        padded = " with its padding" if windows.is_padded else ""
        raise ShapeMismatch(
            f"a window of {sizes(kernel)}{dilated} is larger than its input of "
            f"{sizes(windows.padded_shape)}{padded}{_of_series(windows, kernel)}",
            key,
        )
    return windows


class RecordedQuantity(NamedTuple):
    """An array of a step that only some kinds have: `recorded` of their steps holds it.

    Attributes:
        key: its name in the record.
        symbol, tex: what a heading says, and the same for LaTeX.
        meaning: in words.
        by_sample: whether its last axis is the samples.
    """

    key: str
    symbol: str
    tex: str
    meaning: str
    by_sample: bool = True


class Formula(NamedTuple):
    """A line of what a layer computes, for a page that shows it with its numbers.

    Attributes:
        text: the formula.
        terms: the record's quantities in it, the result last.
        signs: what is written between them; "" where there are no signs.
        product: which kind of product it has, in words.
    """

    text: str
    terms: tuple[str, ...]
    signs: str
    product: str = "Hadamard product"


class Workspace(NamedTuple):
    """What a layer's part of a step is made from.

    Attributes:
        zeros: makes arrays, as np.zeros does.
        n: the samples of the whole mini-batch, by which gradients are divided; the layer's input
            may hold some of them only.
        parameters, gradients, updates: the layer's own, by key (`weight`, `bias`): views of the
            flat vectors of the network and its optimizer.
        is_training: whether the step is in training mode; else it is in evaluation mode.
        state: the layer's own, by key, see `Layer.initial_state`.
    """

    zeros: Zeros
    n: int
    parameters: dict[str, Array]
    gradients: dict[str, Array]
    updates: dict[str, Array]
    is_training: bool = True
    state: Mapping[str, Array] = MappingProxyType({})


class Layer:
    """A layer by its hyperparameters. Shapes are those of one sample, without the batch axis.

    Attributes:
        type: the kind's name, as a spec has it.
        synonyms: what other programs and books call it.
        distinctive: the hyperparameters that tell it from others of its kind in a word or two;
            None: all.
        takes_vectors: whether its input is a vector; an image before it is flattened.
        takes_images: whether its input is an image of channels x rows x columns.
        makes_vectors: whether its output is a vector, whatever came in.
        has_windows: whether it goes over its input by windows.
        is_output: whether a network may end in it.
        has_modes: whether a step of it does something else in evaluation mode than in training.
        is_random: whether a step of it in training mode takes random numbers.
        has_kinks: whether its output is a piecewise function, see `LayerStep.piece`.
        splits_samples: whether workers may have some of its samples each (data parallelism).
        splits_units: whether workers may have some of its units each (tensor parallelism).
        has_ones_row: whether its output, units x samples, is followed by a row of ones in memory;
            None: where its input is.
        quantities: what is recorded of its steps besides the quantities that every kind has.
        forward_formulas, backward_formulas: what it computes, of a kind with no page of its own.
        symbols: what its parameters are called in mathematics, where it is not W and b.
        attenuates: what weakens or strengthens an error signal on its way from output to input, in
            a word; None where it passes unchanged.
        activation_name: of σ in a = σ(z); None for a layer without z.
    """

    type: ClassVar[str]
    synonyms: ClassVar[tuple[str, ...]] = ()
    distinctive: ClassVar[tuple[str, ...] | None] = None
    takes_vectors: ClassVar[bool] = False
    takes_images: ClassVar[bool] = False
    makes_vectors: ClassVar[bool] = False
    has_windows: ClassVar[bool] = False
    is_output: ClassVar[bool] = False
    has_modes: ClassVar[bool] = False
    is_random: ClassVar[bool] = False
    splits_samples: ClassVar[bool] = True
    splits_units: ClassVar[bool] = False
    has_ones_row: ClassVar[bool | None] = False
    attenuates: ClassVar[str | None] = None
    symbols: ClassVar[Mapping[str, str]] = MappingProxyType({})
    quantities: ClassVar[tuple[RecordedQuantity, ...]] = ()
    forward_formulas: ClassVar[tuple[Formula, ...]] = ()
    backward_formulas: ClassVar[tuple[Formula, ...]] = ()

    @property
    def activation_name(self) -> str | None:
        return None

    @property
    def has_kinks(self) -> bool:
        return False

    @property
    def has_bias_row(self) -> bool:
        """Whether its biases are one more row of W over an input of ones, where there is one."""
        return False

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of one output.

        Raises:
            ShapeMismatch: an input of `input_shape` does not fit.
        """
        raise NotImplementedError

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """The shapes of `weight` and `bias`, in this order; empty where a layer learns nothing."""
        return {}

    def initialise(self, name: str, parameters: dict[str, Array], rng: np.random.Generator) -> None:
        """Fills the parameters, which are all 0, with those that training starts from.

        Args:
            name: what the layer is called, for messages.

        Raises:
            ShapeMismatch: values that were given do not fit.
        """

    def initial_state(self, input_shape: Shape, dtype: np.dtype[Any]) -> dict[str, Array]:
        """What the layer keeps from step to step and is no parameter, as training starts from it.

        Arrays by key, of `dtype` or integers; empty where a layer keeps nothing.
        """
        return {}

    def smallest_batch(self, input_shape: Shape) -> int:
        """The fewest samples that a step in training mode needs."""
        return 1

    def multiply_adds(self, input_shape: Shape) -> int:
        """Products of a weight and a number in the forward pass of one sample."""
        return 0

    def workspace_size(self, input_shape: Shape, n: int) -> int:
        """How many numbers its part of a step on `n` samples holds.

        The output is counted, the input is that of the layer below; the gradients and updates of
        its parameters are not counted.
        """
        raise NotImplementedError

    def settings(self) -> Mapping[str, object]:
        """The hyperparameters that the arrays of a step do not show."""
        return {}

    def step(self, placed: "Placed", input: Array, workspace: Workspace) -> "LayerStep":
        """The layer's part of a step whose samples are in `input`, samples last.

        In evaluation mode it may do something else than in training; all other rules are the same.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Placed:
    """A layer in its place in a network.

    Attributes:
        index: its place in the layers that were asked for; an implied flatten layer bears that of
            the dense layer that implies it.
        has_joint_weights: whether biases are one more row of W, see above; in the vector of
            parameters, the bias of a unit follows its weights.
    """

    name: str
    index: int
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    has_joint_weights: bool = False

    @property
    def parameter_shapes(self) -> dict[str, Shape]:
        return self.layer.parameter_shapes(self.input_shape)

    @cached_property
    def state_shapes(self) -> dict[str, Shape]:
        """The shapes of what it keeps from step to step, see `Layer.initial_state`."""
        state = self.layer.initial_state(self.input_shape, np.dtype(np.float32))
        return {key: array.shape for key, array in state.items()}

    @cached_property
    def parameters(self) -> int:
        """How many parameters it has."""
        return sum(map(prod, self.parameter_shapes.values()))

    def views(self, flat: Array) -> dict[str, Array]:
        """Its part of the network's flat vector, cut up by key; a matrix is stored unit by unit.

        A sample's inputs are contiguous, and so are a dense unit's weights then: the products of a
        first layer take 5 % less time, those of [784, 30] with 10 samples 30 %; further up it makes
        no difference.
        """
        shapes = self.parameter_shapes
        if self.has_joint_weights:
            inputs, units = shapes["weight"]
            joint = flat.reshape(units, inputs + 1)
            return {"weight": joint[:, :-1].T, "bias": joint[:, -1]}
        ends = [0, *accumulate(map(prod, shapes.values()))]
        parts = [flat[start:end] for start, end in pairwise(ends)]
        return {
            key: part.reshape(shape[::-1]).T if len(shape) == 2 else part.reshape(shape)
            for part, (key, shape) in zip(parts, shapes.items(), strict=True)
        }

    @property
    def activation(self) -> str | None:
        return self.layer.activation_name

    @property
    def multiply_adds(self) -> int:
        """Products of a weight and a number in the forward pass of one sample."""
        return self.layer.multiply_adds(self.input_shape)

    def workspace_size(self, n: int) -> int:
        """How many numbers its part of a step on `n` samples holds, parameters' included."""
        return self.layer.workspace_size(self.input_shape, n) + 3 * self.parameters

    def step(self, input: Array, workspace: Workspace) -> "LayerStep":
        return self.layer.step(self, input, workspace)


class LayerStep:
    """One layer's part of a step: its arrays, and the rules that fill them.

    A rule is a method that yields NumPy calls, see `arrays.Operation`. `input` is the array the
    layer below calls `a`, and `upstream` the one the layer above calls `downstream`: neighbours
    share them. A quantity that the layer does not have is None.

    Attributes:
        input, z, a: forward; `a` is the output of a layer without σ too.
        upstream: ∂C_x/∂a.  sigma_prime: σ'(z).  delta: ∂C_x/∂z.  downstream: ∂C_x/∂input.
        parameters, gradients, updates: by key (`weight`, `bias`), views of the flat vectors.
        recorded: by key, what the kind's `quantities` name.
    """

    z: Array | None = None
    sigma_prime: Array | None = None
    delta: Array | None = None
    upstream: Array
    a: Array
    downstream: Array

    def __init__(self, placed: Placed, input: Array) -> None:
        self.placed = placed
        self.name = placed.name
        self.input = input
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.updates: dict[str, Array] = {}
        self.recorded: dict[str, Array] = {}

    def randomise(self, uniform: Array) -> None:
        """Sets the random numbers of the next step, where the kind `is_random`.

        Args:
            uniform: from 0 to 1 (exclusive), one for each entry of the output.
        """

    def replay_random(self, recorded: Mapping[str, Array]) -> None:
        """Sets its random numbers to those that another step of the layer `recorded`."""

    def bind_upstream(self, upstream: Array) -> None:
        """Says where ∂C_x/∂a will be written; done once, from the last layer to the first."""
        self.upstream = upstream

    def forward(self) -> Operations:
        """Fills z and a from input."""
        raise NotImplementedError

    def activate(self) -> Operations:
        """Fills a and σ'(z) from z, where the layer has an activation."""
        return ()

    def piece(self, steps: float = 0.0) -> Array | None:
        """Which smooth piece of a piecewise function each output is on, by input or z.

        None for a kind without kinks.

        Args:
            steps: how many times its imaginary part is added to each number, in a complex step.
        """
        return None

    def evaluate_pieces(self, piece: Array) -> Operations:
        """Fills a, and what the backward rules read, by the formula of the given pieces.

        Each output follows the formula of its entry of `piece`, whichever side of a kink it is on.
        """
        return ()

    def multiply_hadamard(self) -> Operations:
        """Fills delta = upstream ⊙ σ'(z), where the layer has an activation."""
        return ()

    def backward(self) -> Operations:
        """Fills the gradients from delta and input."""
        return ()

    def update_state(self) -> Operations:
        """Changes what the layer keeps from step to step, where it does; in training mode only."""
        return ()

    def contributions(self, key: str, index: tuple[int, ...]) -> Array:
        """How large each sample's part in an entry of a gradient is, at least in proportion."""
        raise NotImplementedError

    def backward_input(self) -> Operations:
        """Fills downstream."""
        raise NotImplementedError
